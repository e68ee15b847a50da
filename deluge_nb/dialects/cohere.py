"""Cohere's chat dialect, version 2: the chosen tokens' log-probabilities, and no alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..logprobs.columns import Builder
from ..logprobs.table import Logprobs
from . import openai
from .base import Ask, Completion, Exchange, Request
from .decode import decode

NAME = "cohere"

_NAMES = {
    "temperature": "temperature",
    "top_p": "p",
    "seed": "seed",
    "max_new_tokens": "max_tokens",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
_REASONS = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


class _Item(msgspec.Struct, gc=False):
    """A stretch of text, which may be of several tokens."""

    text: str | None = None
    token_ids: list[int] = []
    logprobs: list[float | None] | None = None


class _Message(msgspec.Struct):
    content: list[dict[str, Any]] | str | None = None
    tool_calls: list[openai.WireToolCall] | None = None


class _Reply(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: list[_Item] | None = None
    usage: dict[str, Any] | None = None


def build_request(ask: Ask) -> Request:
    """The request for an ask."""
    params, settings = ask.params, ask.params.chosen()
    body: dict[str, Any] = {"model": ask.model, "messages": openai.messages(ask)}
    body |= {theirs: settings[ours] for ours, theirs in _NAMES.items() if settings.get(ours) is not None}
    if params.logprobs:
        body["logprobs"] = True
    if params.stop:
        body["stop_sequences"] = list(params.stop)
    if ask.tools:
        body["tools"] = openai.offered(ask.tools)
    if ask.output_schema is not None:
        body["response_format"] = {"type": "json_object", "json_schema": dict(ask.output_schema.schema)}
    return Request("/chat", body | (params.extra_body or {}))


def parse_response(body: bytes, ask: Ask) -> Completion:
    """What a successful reply meant.

    Raises
    ------
    MalformedResponseError
        When the body is no answer of this dialect; names the field.
    """
    reply = decode(body, _Reply, NAME)
    calls = tuple(map(openai.tool_call, reply.message.tool_calls or ()))
    text = openai.text_of(reply.message.content)
    return Completion(
        text=text or (None if calls else ""),
        logprobs=_table(reply.logprobs, ask),
        finish_reason=_REASONS.get(reply.finish_reason or "", reply.finish_reason),
        usage=_usage(reply.usage),
        tool_calls=calls,
        raw=body,
    )


def exchange(ask: Ask) -> Exchange:
    """One request, one reply."""
    reply = yield build_request(ask)
    return parse_response(reply, ask)


def _table(items: list[_Item] | None, ask: Ask) -> Logprobs | None:
    if items is None:
        return None
    builder = Builder(ask.vocabulary)
    for item in items:
        for place, token_id in enumerate(item.token_ids):
            given = item.logprobs or []
            # The text is the whole stretch's; only its first token can carry it.
            text = (item.text or "") if place == 0 else ""
            builder.token(text, given[place] if place < len(given) else None, token_id=token_id)
    return Logprobs(builder.vocabulary, *builder.columns(), vocab_size=ask.vocab_size)


def _usage(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    counts = usage.get("tokens") or usage.get("billed_units") or {}
    asked, answered = int(counts.get("input_tokens") or 0), int(counts.get("output_tokens") or 0)
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": int(usage.get("cached_tokens") or 0)},
    }
