"""Cohere's chat API, version 2: log-probabilities of the chosen tokens, without alternatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from ..errors import MalformedResponseError
from ..logprobs.columns import Builder
from ..logprobs.table import Logprobs
from . import openai
from .base import Ask, Completion, Delta, Exchange, Request, StreamReader, converse
from .reading.answer import checked, failure
from .reading.decode import decode
from .reading.failures import is_failure
from .reading.faults import Faults
from .reading.fitting import read_counts
from .reading.thinking.fields import Content, Message, join_parts, thinking_of

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
    content: Content = None
    tool_calls: list[openai.WireToolCall] | None = None


class _Delta(msgspec.Struct):
    message: dict[str, Any] | None = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int | None = None
    delta: _Delta | None = None
    logprobs: Any = None
    error: Any = None


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
    return Request("/chat", body | (params.extra_body or {}), make_reader=partial(_Reader, ask))


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
    return checked(ask.model, body, completion, reply.error)


def exchange(ask: Ask) -> Exchange:
    """Send one request and parse its reply."""
    return (yield from converse(ask, build_request, parse_response))


class _Reader(StreamReader):
    """Parser of a stream of events that build a message; servers send one unasked, or where ``extra_body`` asks."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._items: list[Any] = []
        self._end = _Delta()
        self._done = False

    @property
    def complete(self) -> bool:
        """True if the server has reported the end of the message."""
        return self._done

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed."""
        content = [{"type": "thinking", "thinking": "".join(self._thoughts)}] if self._thoughts else []
        content += [{"type": "text", "text": "".join(self._texts)}] if self._texts else []
        calls = [call for _, call in sorted(self._calls.items())]
        message = {"role": "assistant", "content": content, "tool_calls": calls}
        reply: dict[str, Any] = {"message": message, "finish_reason": self._end.finish_reason, "usage": self._end.usage}
        return msgspec.json.encode(reply | ({"logprobs": self._items} if self._items else {}))

    def read(self, event: bytes) -> Iterator[Delta]:
        """Return the additions of one event to the answer."""
        fields = decode(event, _Event, NAME, faults=self.faults)
        delta = fields.delta or _Delta()
        error = fields.error or delta.error
        if error or fields.type == "error" or is_failure(delta.finish_reason):
            raise failure(self.ask.model, event, error or False, Completion(None, finish_reason=delta.finish_reason))
        if fields.type == "message-end":
            self._end, self._done = delta, True
        message = delta.message or {}
        if fields.type.startswith("tool-call"):
            self._add_call(message.get("tool_calls"), fields.index)
        elif fields.type.startswith("content"):
            yield from self._additions(message.get("content"), fields.logprobs)

    def _additions(self, content: Any, item: Any) -> Iterator[Delta]:
        part = content if isinstance(content, dict) else {"text": content}
        text, thought = (part.get(name) for name in ("text", "thinking"))
        if isinstance(thought, str) and thought:
            self._thoughts.append(thought)
            yield Delta(thought, thinking=True)
        if not isinstance(text, str) or not (text or item):
            return
        self._texts.append(text)
        items = item if isinstance(item, list) else [item] if isinstance(item, dict) else []
        self._items += items
        # What does not fit is recorded when the whole table is read.
        spans = decode(msgspec.json.encode(items), list[_Item], NAME, faults=Faults())
        yield Delta(text, _table(spans, self.ask) if spans else None)

    def _add_call(self, piece: Any, index: int | None) -> None:
        """Add a fragment of a tool call: the name comes first, then the arguments in parts."""
        piece = piece[0] if isinstance(piece, list) and piece else piece
        function = piece.get("function") if isinstance(piece, dict) else None
        if not isinstance(function, dict):
            return
        call = self._calls.setdefault(index or 0, {"id": piece.get("id"), "function": {"name": "", "arguments": ""}})
        for name in ("name", "arguments"):
            call["function"][name] += function[name] if isinstance(function.get(name), str) else ""


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
