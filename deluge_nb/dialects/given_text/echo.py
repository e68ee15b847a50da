"""``echo`` of the completions API: the prompt's tokens come back with their log-probabilities, before generated ones.

OpenAI's older models, Together, Fireworks, llama-cpp-python, and others that copy this API.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from ...errors import SettingError
from ...interop.entries import entries_from_columns
from ..base import Ask, Request
from .boundary import Token, align, misspelt
from .reading import Reading, first_of, likeliest, number, reply_of, width_of, without_first_number

NAME = "echo"


def read(ask: Ask, before: str, text: str) -> Generator[Request, bytes, Reading]:
    """Return what a server says of a text after raw text."""
    body: dict[str, Any] = {
        "model": ask.model,
        "prompt": before + text,
        "echo": True,
        "logprobs": width_of(ask),
        # With 0, several servers refuse, or generate without a limit.
        "max_tokens": 1,
        "temperature": 1,
    }
    if ask.endpoint.name == "fireworks":  # else a long text may be cut
        body["context_length_exceeded_behavior"] = "error"
    reply = reply_of(ask, (yield Request("/completions", body, may_fail=True)))
    return read_reply(ask, reply, before, text)


def read_reply(ask: Ask, reply: dict[str, Any], before: str, text: str) -> Reading:
    """Return what a reply says of a text.

    Raises
    ------
    MalformedResponseError
        When the log-probabilities are not those of the text.
    """
    choice, prompt = first_of(reply.get("choices")), first_of(reply.get("prompt"))
    # Together has the prompt apart from the choice.
    tables = [table for table in (prompt.get("logprobs"), choice.get("logprobs")) if isinstance(table, dict)]
    tokens = without_first_number([token for table in tables for token in tokens_of(ask, table)])
    aligned = align(tokens, before + text)
    if aligned is None:
        raise misspelt(ask.model, NAME)
    usage = reply.get("usage")
    return Reading(
        *aligned,
        len(before.encode()),
        before + text,
        usage if isinstance(usage, dict) else None,
        reply.get("model"),
    )


def tokens_of(ask: Ask, table: dict[str, Any]) -> Iterator[Token]:
    """Yield the tokens of a table of parallel lists.

    Raises
    ------
    MalformedResponseError
        When the lists have different lengths.
    """
    try:
        entries = list(entries_from_columns(table))
    except SettingError:
        raise misspelt(ask.model, NAME) from None
    for entry in entries:
        top = [_token(other) for other in entry.get("top_logprobs") or ()]
        token = _token(entry)
        token.top = likeliest(top, width_of(ask))
        yield token


def _token(entry: Any) -> Token:
    return Token(str(entry.get("token") or ""), number(entry.get("logprob")), entry.get("id"), entry.get("bytes"))
