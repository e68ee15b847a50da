"""Reading of a given text, with what stands before it as the first argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import reading

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..logprobs.table import Logprobs
    from ..models.spec import ServedModel
    from ..prompts import PromptLike


def read(
    begin: PromptLike, end: str, *, model: str | ServedModel | LLMClient = "local", top_logprobs: int | None = 20
) -> Logprobs:
    """Return the log-probabilities of an end of a text after its beginning.

    Parameters
    ----------
    begin
        What stands before: raw text, or a chat, as ``before`` of :func:`deluge_nb.read`.
    end
        The text whose tokens are read.
    model, top_logprobs
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
    return reading.read(end, before=begin, model=model, top_logprobs=top_logprobs)
