"""Log-probabilities of a given text, and of the token after it, in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .client.calls.given import ask_next_token
from .client.client import LLMClient, client_for
from .client.sending.pairs import as_given_prompt, check_given
from .errors import LogprobsMissingError
from .interop.before import known_before
from .prompts import PromptLike, check_characters

if TYPE_CHECKING:
    from .logprobs.table import Logprobs
    from .models.spec import ServedModel
    from .response import APIResponse


def read(
    text: str,
    *,
    before: PromptLike = "",
    model: str | ServedModel | LLMClient = "local",
    top_logprobs: int | None = 20,
    show_progress: bool = True,
) -> Logprobs:
    """Return the log-probabilities of a given text: how probable each token was after everything before it.

    A text that does not fit the model's context is read in overlapping windows of which each begins half a window after
    the one before. Each row after the first window is then conditioned on at least half a window before it, not on the
    whole text, and the perplexity depends on the window; the table's ``note`` says so.

    Parameters
    ----------
    text
        The text.
    before
        What stands before it. A text is raw text, without a chat, and ``""`` reads from the very beginning. A
        :class:`Conversation` or a list of messages is a chat, and the text is then the model's answer.
    model
        A model's name, a :class:`LocalModel`, or a client.
    top_logprobs
        Alternatives to return at each token; at most as many as the server returns.
    show_progress
        Show a progress bar where reading takes longer than a second.

    Returns
    -------
    Logprobs
        One row for each token of the text. Where a token straddles the beginning of the text, the first row also holds
        characters before it, and ``note`` says how many. A view shows the end of ``before`` in grey.

    Raises
    ------
    SettingError
        If the model's server cannot score given texts, or does not prove that it does; the message names servers that
        can.
    DelugeError
        If the request fails.

    Examples
    --------
    >>> from deluge_nb import read
    >>> table = read(" Paris.", before="The capital of France is")
    >>> table.tokens
    [' Paris', '.']
    >>> read("Colourless green ideas", before="").perplexity > read("The capital of France", before="").perplexity
    True

    The surprisal of each word, in bits:

    >>> from deluge_nb.stats import word_surprisal
    >>> [word.word for word in word_surprisal(table, table.logprob)]
    ['Paris.']
    """
    check_given(text, "text")
    check_characters(before, "before")
    as_given_prompt(before, "before", as_raw=True)  # else the error would name a pair
    with client_for(model) as client:
        (response,) = client.read_sync([(before, text)], top_logprobs=top_logprobs, show_progress=show_progress)
    return _table_of(response)


def next_token(text: PromptLike, *, model: str | ServedModel | LLMClient = "local") -> Logprobs:
    """Return the distribution of the token after a text, as a table of one row.

    The row is that of the likeliest token. The embedded model and llama.cpp servers return the whole vocabulary; others
    return as many alternatives as they can.

    Parameters
    ----------
    text
        The text, as raw text without a chat; ``""`` is the very beginning, for the embedded model and llama.cpp
        servers. A :class:`Conversation` or a list of messages is a chat, and the token is the first of the answer.
    model
        A model's name, a :class:`LocalModel`, or a client.

    Returns
    -------
    Logprobs
        One row. The token that ends a text has an empty text.

    Raises
    ------
    SettingError
        If the model cannot continue raw text.
    LogprobsMissingError
        If the server returns no alternatives, as some do where the model ends the text at once.
    DelugeError
        If the request fails.

    Examples
    --------
    >>> from deluge_nb import next_token
    >>> table = next_token("The capital of France is")
    >>> table.tokens, len(table.top(0))
    ([' Paris'], 49152)
    """
    check_characters(text, "text")
    with client_for(model) as client:
        return _table_of(ask_next_token(client, text))


def _table_of(response: APIResponse) -> Logprobs:
    if response.error is not None:
        raise response.error
    if not response.logprobs:
        reason = response.note or "the server returned none"
        raise LogprobsMissingError(f"{response.model!r}: there are no log-probabilities ({reason}).")
    table = response.logprobs[:]
    table.note, table.before = response.note, known_before(response)
    return table
