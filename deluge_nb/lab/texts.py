"""Reading of texts in the order of a lesson: what stands first comes first, and the lessons' model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import reading
from .model import current_model

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..logprobs.table import Logprobs
    from ..models.spec import ServedModel
    from ..prompts import PromptLike


def read(
    begin: PromptLike, end: str, *, model: str | ServedModel | LLMClient | None = None, top_logprobs: int | None = 20
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
    asked = current_model() if model is None else model
    return reading.read(end, before=begin, model=asked, top_logprobs=top_logprobs)


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
    return reading.next_token(text, model=current_model() if model is None else model)
