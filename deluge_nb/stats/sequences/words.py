"""Surprisal of whole words, from the log-probabilities of their tokens."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from ...errors import SettingError, invalid_argument
from ..core.records import Result
from ..core.validation import log_base
from ..offsets import decode_tokens
from .likelihood import read_known


@dataclass(frozen=True, slots=True, eq=False)
class WordSurprisal(Result):
    """A word with its surprisal, in bits unless another base was given. Its tokens are ``begin:end``."""

    word: str
    surprisal: float
    begin: int
    end: int


def word_surprisal(tokens: Iterable[Any], logprobs: ArrayLike, *, base: float | None = 2) -> list[WordSurprisal]:
    """Return the surprisal of each word of a text, in bits: other functions of this module work in nats.

    Words are separated by white space; punctuation belongs to the word that it touches. A token counts for the word of
    its first character that is not white space. A token of white space alone counts for the next word, and at the end
    for the last one. So each token counts once, and the sum is the surprisal of the text.

    Parameters
    ----------
    tokens
        The text of each token; or dicts with ``token`` and ``bytes``, such as a table of log-probabilities, which also
        have the right text where a character is split into several tokens.
    logprobs
        The log-probability of each token in nats, shape (n,).
    base
        Base of the logarithm: 2 (bits) by default; None for nats.

    Returns
    -------
    list of WordSurprisal
        One record per word, in order; none for a text without words. A word has no token of its own, and a surprisal of
        0, where a token that begins in an earlier word contains all of it.

    Raises
    ------
    LogprobError
        If a number is not a log-probability, or was withheld.
    ValueError
        If the lists differ in length, or ``base`` is not a base of logarithms.

    Examples
    --------
    >>> from deluge_nb.stats import word_surprisal
    >>> for word in word_surprisal(["The", " capi", "tal", " is"], [-0.5, -2.0, -0.25, -0.1]):
    ...     print(word.word, round(word.surprisal, 2), word.begin, word.end)
    The 0.72 0 1
    capital 3.25 1 3
    is 0.14 3 4
    """
    scale = log_base(base)
    if isinstance(tokens, str | bytes) or not isinstance(tokens, Iterable):
        raise invalid_argument("tokens", tokens, "a list of texts")
    decoded = decode_tokens(tokens)
    values = read_known(logprobs).tolist()
    if len(decoded.char_spans) != len(values):
        raise SettingError(
            f"tokens and logprobs must be of the same length, not {len(decoded.char_spans)} and {len(values)}.",
            setting="logprobs",
            value=len(values),
        )
    words = list(re.finditer(r"\S+", decoded.text))
    ends = [word.end() for word in words]
    # The first word that ends after the start of a token holds its first character that is not white space.
    owners = [min(bisect_right(ends, start), len(words) - 1) for start, _ in decoded.char_spans]
    result = []
    begin = 0
    for index, word in enumerate(words):
        end = bisect_right(owners, index)
        result.append(WordSurprisal(word[0], 0.0 - math.fsum(values[begin:end]) / scale, begin, end))
        begin = end
    return result
