"""Cohere's chat API, version 2: log-probabilities of the chosen tokens, without alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from ..errors import MalformedResponseError
from ..logprobs.columns import Builder
from ..logprobs.table import Logprobs
from . import openai
from .base import Ask, Completion, Exchange, Request, checked, converse, failure
from .reading.decode import decode
from .reading.faults import Faults
from .reading.fitting import join_parts, read_counts
from .reading.thinking.fields import Message, thinking_of

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
    """Span of text, which may have several tokens."""

    text: str | None = None
    token_ids: list[int] = []
    logprobs: list[float | None] | None = None


class _Message(Message):
    content: list[dict[str, Any]] | str | None = None
    tool_calls: list[openai.WireToolCall] | None = None


class _Reply(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: list[_Item] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


def build_request(ask: Ask) -> Request:
    """Return the HTTP request for an ask."""
    params, settings = ask.params, ask.params.chosen()
    body: dict[str, Any] = {"model": ask.model, "messages": openai.messages(ask)}
    body |= {theirs: settings[ours] for ours, theirs in _NAMES.items() if settings.get(ours) is not None}
    if params.logprobs:
        body["logprobs"] = True
    if params.stop:
        body["stop_sequences"] = list(params.stop)
    if ask.tools:
        body["tools"] = openai.tool_definitions(ask.tools)
    if ask.output_schema is not None:
        body["response_format"] = {"type": "json_object", "json_schema": dict(ask.output_schema.schema)}
    return Request("/chat", body | (params.extra_body or {}))


def parse_response(body: bytes, ask: Ask) -> Completion:
    """Parse a successful reply.

    Raises
    ------
    MalformedResponseError
        When the body does not fit this dialect; names the field.
    RequestError
        When the reply reports an error despite its status.
    """
    faults = Faults()
    reply = decode(body, _Reply, NAME, faults=faults)
    message = reply.message
    if message is None:
        if reply.error:
            raise failure(ask, body)
        excerpt = body[:200].decode("utf-8", "replace")
        raise faults.error or MalformedResponseError(
            f"{ask.model!r} answered without a message: {excerpt}", dialect=NAME, field="message", excerpt=excerpt
        )
    calls = tuple(map(openai.parse_tool_call, message.tool_calls or ()))
    text = join_parts(message.content, faults, "message.content")
    faults.check_answer(is_empty=not (text or calls))
    completion = Completion(
        text=text or (None if calls else ""),
        logprobs=_table(reply.logprobs, ask),
        finish_reason=_REASONS.get(reply.finish_reason or "", reply.finish_reason),
        usage=_usage(read_counts(reply.usage, faults)),
        tool_calls=calls,
        raw=body,
        thinking=thinking_of(message, message.content),
        notes=faults.notes,
    )
    return checked(ask, body, completion, reply.error)


def exchange(ask: Ask) -> Exchange:
    """Send one request and parse its reply."""
    return (yield from converse(partial(build_request, ask), partial(parse_response, ask=ask)))


def _table(items: list[_Item] | None, ask: Ask) -> Logprobs | None:
    if items is None:
        return None
    builder = Builder(ask.vocabulary)
    for item in items:
        for position, token_id in enumerate(item.token_ids):
            logprobs = item.logprobs or []
            # The text belongs to the whole span, so its first token gets it.
            text = (item.text or "") if position == 0 else ""
            builder.add_token(text, logprobs[position] if position < len(logprobs) else None, token_id=token_id)
    return Logprobs(builder.vocabulary, *builder.columns(), vocab_size=ask.vocab_size)


def _usage(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    kinds = (usage.get("tokens"), usage.get("billed_units"))
    counts: dict[str, Any] = next((kind for kind in kinds if isinstance(kind, dict) and kind), {})
    prompt, completion = int(counts.get("input_tokens") or 0), int(counts.get("output_tokens") or 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": int(usage.get("cached_tokens") or 0)},
    }
