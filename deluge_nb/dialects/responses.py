"""OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from ..errors import MalformedResponseError, SettingError
from ..logprobs.table import Logprobs
from ..prompts import Picture, read_parts, refusal
from . import openai
from .base import Ask, Completion, Delta, Exchange, Request, StreamReader, converse, with_stream_field
from .reading.answer import checked, failure
from .reading.decode import decode
from .reading.failures import is_failure
from .reading.faults import Faults
from .reading.fitting import read_counts
from .reading.thinking.fields import TEXT_PARTS, joined_text

NAME = "responses"

_NAMES = {"temperature": "temperature", "top_p": "top_p", "max_new_tokens": "max_output_tokens"}
_ABSENT = ("seed", "stop", "presence_penalty", "frequency_penalty", "logit_bias")
_MIN_TOKENS = 16
_REASONS = {"max_output_tokens": "length"}
_THINKING_EVENTS = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")


class _Item(msgspec.Struct):
    type: str = ""
    content: list[_Part] | None = None
    summary: Any = None
    name: str = ""
    arguments: str | dict[str, Any] = ""
    call_id: str | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Reply(msgspec.Struct):
    output: list[_Item] | None = None
    # The whole text, which some servers send beside the output, or in its place.
    output_text: str | None = None
    status: str | None = None
    incomplete_details: _Incomplete | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: Any = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")
    response: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


def build_request(ask: Ask) -> Request:
    """Return the HTTP request for an ask.

    Raises
    ------
    SettingError
        For a setting that this API does not have.
    """
    params, settings = ask.params, ask.params.chosen()
    for name in _ABSENT:
        if settings.get(name):
            raise SettingError(
                f"OpenAI's Responses API has no {name}; leave it out, or use {ask.model!r} without the "
                "prefix 'openai-responses/'.",
                setting=name,
                value=settings[name],
            )
    if params.max_new_tokens is not None and params.max_new_tokens < _MIN_TOKENS:
        raise SettingError(
            f"OpenAI's Responses API gives at least {_MIN_TOKENS} tokens, so max_new_tokens cannot be "
            f"{params.max_new_tokens}.",
            setting="max_new_tokens",
            value=params.max_new_tokens,
        )
    # By default the provider stores the response, which the user has not requested.
    body: dict[str, Any] = {"model": ask.model, "input": list(_input(openai.messages(ask), ask.model)), "store": False}
    body |= {theirs: settings[ours] for ours, theirs in _NAMES.items() if settings.get(ours) is not None}
    if params.logprobs:
        body |= {"include": ["message.output_text.logprobs"], "top_logprobs": params.top_logprobs or 0}
    if params.reasoning_effort is not None:
        body["reasoning"] = {"effort": params.reasoning_effort}
    if ask.tools:
        body["tools"] = [
            {"type": "function", "strict": False, **tool["function"]} for tool in openai.tool_definitions(ask.tools)
        ]
    if ask.output_schema is not None:
        shape = {"name": ask.output_schema.name, "schema": dict(ask.output_schema.schema), "strict": True}
        body["text"] = {"format": {"type": "json_schema", **shape}}
    return Request("/responses", body | (params.extra_body or {}), make_reader=partial(_Reader, ask))


def parse_response(body: bytes, ask: Ask) -> Completion:
    """Parse a successful reply.

    Raises
    ------
    MalformedResponseError
        When the body is not a response; names the field.
    RequestError
        When the reply reports a failure.
    """
    faults = Faults()
    reply = decode(body, _Reply, NAME, faults=faults)
    if reply.output is None:
        excerpt = body[:200].decode("utf-8", "replace")
        raise faults.error or MalformedResponseError(
            f"{ask.model!r} answered without output: {excerpt}", dialect=NAME, field="output", excerpt=excerpt
        )
    # A part without a type has the one that its fields show.
    parts = [part for item in reply.output if item.type in ("message", "") for part in item.content or ()]
    texts = [part.text for part in parts if part.type in TEXT_PARTS and part.text is not None]
    refusal = next((part.refusal for part in parts if part.type in ("refusal", "") and part.refusal is not None), None)
    calls = tuple(
        openai.parse_tool_call(openai.wire_tool_call(item.name, item.arguments, item.call_id))
        for item in reply.output
        if item.type == "function_call"
    )
    faults.check_answer(is_empty=not (texts or refusal or calls))
    text = "".join(texts) if texts else refusal if refusal is not None or calls else reply.output_text or ""
    reason = reply.incomplete_details.reason if reply.incomplete_details is not None else None
    default = "tool_calls" if calls else "stop" if reply.status == "completed" else None
    completion = Completion(
        text=text,
        logprobs=_table([part.logprobs for part in parts if part.type in TEXT_PARTS], ask, faults, text),
        finish_reason=_REASONS.get(reason, reason) if reason else default,
        usage=_usage(read_counts(reply.usage, faults)),
        model=reply.model,
        tool_calls=calls,
        refusal=refusal,
        raw=body,
        thinking=_thinking(reply.output),
        notes=faults.notes,
    )
    if is_failure(reply.status) and not reply.error:
        raise failure(ask.model, body, False, replace(completion, finish_reason=reply.status))
    return checked(ask.model, body, completion, reply.error)


def exchange(ask: Ask) -> Exchange:
    """Send one request and parse its reply, which may be streamed."""
    return (yield from converse(ask, build_request, parse_response, with_stream_field))


class _Reader(StreamReader):
    """Parser of a stream whose last event has the whole response; the tokens of earlier events have no bytes."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._rows: list[Any] = []
        self._whole = b""

    @property
    def complete(self) -> bool:
        """True if the whole response has been received."""
        return bool(self._whole)

    def body(self) -> bytes:
        """Return the whole response, or the part of it that has been received."""
        if self._whole:
            return self._whole
        part: dict[str, Any] = {"type": "output_text", "text": "".join(self._texts)}
        if self._rows:
            part["logprobs"] = self._rows
        item = {"type": "message", "role": "assistant", "content": [part]}
        thoughts = [{"type": "reasoning", "summary": "".join(self._thoughts)}] if self._thoughts else []
        return msgspec.json.encode({"status": "in_progress", "model": self.ask.model, "output": [*thoughts, item]})

    def read(self, event: bytes) -> Iterator[Delta]:
        """Return the additions of one event to the answer."""
        fields = decode(event, _Event, NAME, faults=self.faults)
        if fields.type in ("response.completed", "response.incomplete"):
            self._whole = bytes(fields.response)
        elif fields.type in ("response.failed", "error") or fields.error:
            raise failure(self.ask.model, bytes(fields.response) or event)
        elif fields.type in ("response.output_text.delta", "response.refusal.delta") and isinstance(fields.delta, str):
            self._texts.append(fields.delta)
            # What does not fit is recorded when the whole table is read.
            table = _table([fields.logprobs], self.ask, Faults(), fields.delta)
            rows = msgspec.json.decode(bytes(fields.logprobs) or b"null")
            self._rows += rows if isinstance(rows, list) else []
            if fields.delta or table:
                yield Delta(fields.delta, table or None)
        elif fields.type in _THINKING_EVENTS and isinstance(fields.delta, str):
            self._thoughts.append(fields.delta)
            yield Delta(fields.delta, thinking=True)


def _thinking(items: Iterable[_Item]) -> str | None:
    """Return the reasoning itself where it was sent, else its summary."""
    reasoning = [item for item in items if item.type == "reasoning"]
    texts = [part.text or "" for item in reasoning for part in item.content or ()]
    return "".join(texts) or "".join(joined_text(item.summary) for item in reasoning) or None


def _content(message: Mapping[str, Any], model: str) -> str | list[dict[str, Any]]:
    """Return the text of a message, or its parts if there are pictures."""
    parts = read_parts(message, model)
    if not any(isinstance(part, Picture) for part in parts):
        return "".join(part for part in parts if isinstance(part, str))
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, str):
            content.append({"type": "input_text", "text": part})
            continue
        if message["role"] == "assistant":
            raise refusal(part.part_type, model, " in an answer")
        detail = {"detail": part.detail} if part.detail else {}
        content.append({"type": "input_image", "image_url": part.url, **detail})
    return content


def _input(messages: Iterable[Mapping[str, Any]], model: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        content = _content(message, model)
        if message["role"] == "tool":
            yield {"type": "function_call_output", "call_id": message.get("tool_call_id", ""), "output": content}
        elif content:
            yield {"role": message["role"], "content": content}
        for call in message.get("tool_calls") or ():
            function = call["function"]
            arguments = function.get("arguments") or "{}"
            identity = call.get("id", "")
            yield {"type": "function_call", "call_id": identity, "name": function["name"], "arguments": arguments}


def _table(lists: list[msgspec.Raw], ask: Ask, faults: Faults, text: str | None) -> Logprobs | None:
    """Return one table of the lists of all parts."""
    raw = [bytes(part) for part in lists]
    for part in raw:
        if part not in (b"", b"null") and part[:1] != b"[":
            faults.add("output.content.logprobs")
    rows = [inside for part in raw if part[:1] == b"[" and (inside := part[1:-1].strip())]
    if not rows:
        # Requested log-probabilities of an empty answer are an empty table; missing ones are None.
        is_empty = any(part[:1] == b"[" for part in raw)
        return Logprobs.from_entries([]) if is_empty and ask.params.logprobs else None
    table = msgspec.Raw(b'{"content":[%b]}' % b",".join(rows))
    return openai.read_table(table, ask, faults, text=text, at="output.content.logprobs")


def _usage(counts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    return {
        "prompt_tokens": counts.get("input_tokens") or 0,
        "completion_tokens": counts.get("output_tokens") or 0,
        "total_tokens": counts.get("total_tokens") or 0,
        "prompt_tokens_details": counts.get("input_tokens_details") or {},
        "completion_tokens_details": counts.get("output_tokens_details") or {},
    }
