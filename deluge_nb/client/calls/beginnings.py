"""Tell how a model can be asked how probable a given answer is, by its server and the settings of the request."""

from __future__ import annotations

from ...sampling import SamplingParams
from ..base import BaseClient
from ..route import greedy
from ..sending.pairs import check_scoring, scores_text
from ..sending.proof import starts_anew

# Protocols in which, by their documentation, the text of a message has at least one character.
_WITHOUT_EMPTY = frozenset({"anthropic", "cohere", "gemini"})


def can_read(client: BaseClient, *, after_chat: bool) -> bool:
    """Return whether the servers of all models are known to score given text.

    Parameters
    ----------
    client
        The client.
    after_chat
        True for text after a chat, False for text after raw text.
    """
    return all(scores_text(route, after_chat=after_chat) for route in client._routes)


def check_can_read(client: BaseClient, *, after_chat: bool) -> None:
    """Check that the servers of all models are known to score given text; nothing is sent.

    Parameters
    ----------
    client, after_chat
        As for :func:`can_read`.

    Raises
    ------
    SettingError
        When one is not.
    """
    check_scoring(client._routes, after_chat=after_chat)


def check_may_continue(client: BaseClient) -> None:
    """Check that no server is known to start a new answer where it is given the beginning of one; nothing is sent.

    Parameters
    ----------
    client
        The client.

    Raises
    ------
    SettingError
        When one is.
    """
    for route in client._routes:
        if route.endpoint.prefill is False:
            raise starts_anew(route)


def keeps_empty_messages(client: BaseClient) -> bool:
    """Return whether all models take messages without a text."""
    return all(route.endpoint.dialect not in _WITHOUT_EMPTY for route in client._routes)


def settings_for_beginnings(client: BaseClient, tokens: int) -> list[SamplingParams]:
    """Return the settings of each model for the alternatives at the first tokens of an answer.

    Parameters
    ----------
    client
        The client.
    tokens
        Largest number of tokens to generate.
    """
    params = SamplingParams(logprobs=True, top_logprobs=client.max_top_logprobs, max_new_tokens=tokens)
    return [greedy(params, route.target) for route in client._routes]
