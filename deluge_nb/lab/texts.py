"""Reading of texts in the order of a lesson: what stands first comes first, and the lessons' model is asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import reading
from ..errors import invalid_argument
from ..interop.readers import as_logprobs
from .model import LISTED, current_model, distribution, not_empty, scored

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..logprobs.table import Logprobs
    from ..models.spec import ServedModel
    from ..prompts import PromptLike


def read(
    begin: PromptLike,
    end: str,
    *,
    model: str | ServedModel | LLMClient | None = None,
    top_logprobs: int | None = LISTED,
) -> Logprobs:
    """Return the log-probabilities of an end of a text after its beginning.

    Parameters
    ----------
    begin
        What stands before: raw text, or a chat, as ``before`` of :func:`deluge_nb.read`.
    end
        The text whose tokens are read.
    model
        A model's name, a :class:`deluge_nb.LocalModel`, or a client; None for the lessons' model, which is the embedded
        one unless :func:`use_model` chose another.
    top_logprobs
        As for :func:`deluge_nb.read`.

    Returns
    -------
    Logprobs
        One row for each token of the end.

    Raises
    ------
    SettingError
        If an argument is no text, or the model's server cannot score given texts.
    DelugeError
        If the request fails.

    Examples
    --------
    >>> from deluge_nb.lab import read
    >>> read("The capital of France is", " Paris.").tokens
    [' Paris', '.']
    """
    if model is None and isinstance(begin, str) and isinstance(end, str) and top_logprobs == LISTED:
        return scored(begin, end)
    asked = current_model() if model is None else model
    return reading.read(not_empty(end), before=begin, model=asked, top_logprobs=top_logprobs, show_progress=False)


def next_token(text: PromptLike, *, model: str | ServedModel | LLMClient | None = None) -> Logprobs:
    """Return the distribution of the token after a text, as a table of one row.

    Parameters
    ----------
    text
        As for :func:`deluge_nb.next_token`.
    model
        As for :func:`read`.

    Returns
    -------
    Logprobs
        One row, of the likeliest token, with the whole vocabulary where the model returns it.

    Raises
    ------
    SettingError
        If the model cannot continue raw text.
    DelugeError
        If the request fails.

    Examples
    --------
    >>> from deluge_nb.lab import next_token
    >>> next_token("I would like a cup of").tokens
    [' coffee']
    """
    if model is None and isinstance(text, str):
        return distribution(text)
    return reading.next_token(text, model=current_model() if model is None else model)


def likeliest(logprobs: Any, count: int = 20) -> dict[str, float]:
    """Return the likeliest next tokens with their probabilities, in order.

    Parameters
    ----------
    logprobs
        A table of one token, as :func:`next_token` returns it.
    count
        The number of tokens.

    Returns
    -------
    dict of str to float
        Probabilities by the text of the token. Their sum is less than 1, unless all tokens are listed.

    Raises
    ------
    LogprobsMissingError
        If there are no log-probabilities.
    SettingError
        If the count is not positive.

    Examples
    --------
    >>> from deluge_nb.lab import likeliest, next_token
    >>> list(likeliest(next_token("The capital of France is"), 3))
    [' Paris', ' the', ' London']
    """
    table = as_logprobs(logprobs)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise invalid_argument("count", count, "a positive number of tokens")
    listed: dict[str, float] = {}
    for token, logprob in zip(names_of(table, count), table.top_logprob(0)[:count].tolist(), strict=True):
        # Tokens that are parts of letters have the same text.
        listed[token] = listed.get(token, 0.0) + math.exp(logprob)
    return listed


def names_of(table: Logprobs, count: int | None = None) -> list[str]:
    """Return the texts of the first alternatives of the first token; without a dict for each of a whole vocabulary."""
    texts, (_, _, alternative, _, offsets) = table.vocabulary.texts, table.columns
    return [texts[index] for index in alternative[offsets[0] : offsets[1]][:count].tolist()]
