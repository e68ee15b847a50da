"""An arithmetic coder: a text as a number whose length is the text's surprisal, and the text back from the number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..errors import SettingError
from ..logprobs.columns import Floats
from ..text.counts import pluralize
from .model import distribution, scored
from .texts import names_of

# Probabilities are rounded to multiples of 2^-40, so that coder and decoder use the same whole numbers.
_UNIT = 1 << 40


@dataclass(frozen=True, slots=True)
class Code:
    """A text as a code.

    Examples
    --------
    >>> from deluge_nb.lab.coding import Code
    >>> len(Code("The", "0110", 3))
    4
    """

    begin: str
    """The text before, which the decoder knows as well."""

    bits: str
    """Zeros and ones."""

    count: int
    """The number of tokens."""

    def __len__(self) -> int:
        return len(self.bits)

    def __repr__(self) -> str:
        return f"Code({pluralize(self.count, 'token')} in {pluralize(len(self.bits), 'bit')}: {self.bits})"


def encode(begin: str, end: str) -> Code:
    """Return an end of a text after its beginning as a code, token by token.

    The unit interval is divided among all tokens in proportion to their probabilities, the part of the token that comes
    is divided again, and so on. The code is the shortest number within the last part. (J. Rissanen, 1976.)

    Parameters
    ----------
    begin
        The text before, which costs nothing.
    end
        The text to encode.

    Returns
    -------
    Code
        About as many bits as the surprisal of the text: at most two more.

    Raises
    ------
    SettingError
        If a token of the text is not in the model's distribution.
    DelugeError
        If the model does not return whole distributions.

    Examples
    --------
    >>> from deluge_nb.lab import decode, encode
    >>> decode(encode("The capital of France is", " Paris."))
    ' Paris.'
    """
    low, width = Fraction(0), Fraction(1)
    text = begin
    tokens = scored(begin, end).tokens
    for token in tokens:
        names, starts = _parts(text)
        if token not in names:
            raise SettingError(f"{token!r} is part of a letter, and cannot be encoded alone.", setting="end", value=end)
        place = names.index(token)
        first, last = int(starts[place]), int(starts[place + 1])
        total = int(starts[-1])
        low, width = low + width * Fraction(first, total), width * Fraction(last - first, total)
        text += token
    return Code(begin, _shortest(low, width), len(tokens))


def decode(code: Code) -> str:
    """Return the text of a code.

    Parameters
    ----------
    code
        A code that :func:`encode` has made with the same model.

    Returns
    -------
    str
        The text.

    Raises
    ------
    DelugeError
        If the model does not return whole distributions.

    Examples
    --------
    >>> from deluge_nb.lab import decode, encode
    >>> decode(encode("Once upon a time there was a", " king."))
    ' king.'
    """
    number = Fraction(int(code.bits, 2), 1 << len(code.bits)) if code.bits else Fraction(0)
    return "".join(_tokens(code.begin, number, code.count))


def _tokens(begin: str, number: Fraction, count: int) -> Iterator[str]:
    """Yield the tokens that a number stands for."""
    text = begin
    for _ in range(count):
        names, starts = _parts(text)
        total = int(starts[-1])
        place = int(np.searchsorted(starts, math.floor(number * total), side="right")) - 1
        first, last = int(starts[place]), int(starts[place + 1])
        number = (number * total - first) / (last - first)
        text += names[place]
        yield names[place]


def _parts(text: str) -> tuple[Sequence[str], Floats]:
    """Return the tokens that may follow a text, and where the part of each begins, in whole units."""
    table = distribution(text)
    weights = np.maximum(np.round(np.exp(table.top_logprob(0)) * _UNIT), 1).astype(np.int64)
    return names_of(table), np.concatenate([[0], np.cumsum(weights)])


def _shortest(low: Fraction, width: Fraction) -> str:
    """Return the fewest bits whose number lies within an interval."""
    length = max(width.denominator.bit_length() - width.numerator.bit_length() - 1, 0)
    while True:
        number = math.ceil(low * (1 << length))
        if Fraction(number, 1 << length) < low + width:
            return f"{number:0{length}b}" if length else ""
        length += 1
