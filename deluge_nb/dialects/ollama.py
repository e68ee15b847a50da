"""Ollama's native API: chat, raw text to continue, and streams with one JSON value per line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from ..errors import MalformedResponseError
from ..logprobs.table import Logprobs
from ..prompts import Picture, read_parts, refusal
from . import openai
from .base import Ask, Completion, Delta, Exchange, Request, StreamReader, converse
from .reading.alternatives import least_alternatives
from .reading.answer import checked, failure
from .reading.decode import decode
from .reading.failures import is_failure
from .reading.faults import Faults
from .reading.thinking.fields import Content, Message, join_parts, joined_text, thinking_of
from .reading.thinking.rows import first_row

NAME = "ollama"

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "max_new_tokens": "num_predict",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}


class _Message(Message):
    content: Content = None
    tool_calls: list[openai.WireToolCall] | None = None


class _Reply(msgspec.Struct):
    message: _Message | None = None
    response: str | None = None
    thinking: Any = None
    model: str | None = None
    done: bool = False
    done_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")
    prompt_eval_count: int = 0
    eval_count: int = 0
    error: Any = None


def build_request(ask: Ask) -> Request:
    """Return the HTTP request for an ask."""
    params, settings = ask.params, ask.params.chosen()
    options: dict[str, Any] = {
        theirs: settings[ours] for ours, theirs in _OPTIONS.items() if settings.get(ours) is not None
    }
    if params.stop:
        options["stop"] = list(params.stop)
    body: dict[str, Any] = {"model": ask.model, "stream": ask.stream, "options": options}
    if params.logprobs:
        body |= {"logprobs": True, "top_logprobs": least_alternatives(params, ask.endpoint)}
    if params.reasoning_effort is not None:
        effort = params.reasoning_effort
        body["think"] = False if effort == "none" else effort
    if ask.output_schema is not None:
        body["format"] = dict(ask.output_schema.schema)
    if ask.prompt.raw is not None:
        body |= {"prompt": ask.prompt.raw, "raw": True}
        return Request("/api/generate", body | (params.extra_body or {}), make_reader=partial(_Reader, ask))
    body["messages"] = [_convert_message(message, ask.model) for message in openai.messages(ask)]
    if ask.tools:
        body["tools"] = openai.tool_definitions(ask.tools)
    return Request("/api/chat", body | (params.extra_body or {}), make_reader=partial(_Reader, ask))


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
    if reply.message is None and reply.response is None:
        excerpt = body[:200].decode("utf-8", "replace")
        raise faults.error or MalformedResponseError(
            f"{ask.model!r} answered without a message: {excerpt}", dialect=NAME, field="message", excerpt=excerpt
        )
    calls = tuple(map(openai.parse_tool_call, (reply.message.tool_calls if reply.message is not None else None) or ()))
    text = _text(reply, faults)
    faults.check_answer(is_empty=not (text or calls))
    counts = {"prompt_tokens": reply.prompt_eval_count, "completion_tokens": reply.eval_count}
    completion = Completion(
        text=text or (None if calls else ""),
        logprobs=_table(reply.logprobs, ask, faults, text),
        finish_reason="tool_calls" if calls else reply.done_reason,
        usage={**counts, "total_tokens": sum(counts.values())} if reply.done else None,
        model=reply.model,
        tool_calls=calls,
        raw=body,
        thinking=_thinking(reply) or None,
        notes=faults.notes,
    )
    return checked(ask.model, body, completion, reply.error)


def exchange(ask: Ask) -> Exchange:
    """Send one request and parse its reply, which may be streamed."""
    # The field that asks for a stream stands in every request, because the server streams by default.
    return (yield from converse(ask, build_request, parse_response, lambda request, _: request))


class _Reader(StreamReader):
    """Parser of a stream whose lines are replies with parts of the answer."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask, lines=True)
        self._last: dict[str, Any] = {}
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[Any] = []
        self._rows: list[Any] = []

    @property
    def complete(self) -> bool:
        """True if the server has reported the end of the answer."""
        # A reason is an end, too, where the flag does not fit.
        return self._last.get("done") is True or bool(self._last.get("done_reason"))

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed."""
        text = "".join(self._texts)
        answer: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
        if self._calls:
            answer["message"]["tool_calls"] = self._calls
        if self.ask.prompt.raw is not None:
            answer = {"response": text}
        if self._thoughts:
            answer.get("message", answer)["thinking"] = "".join(self._thoughts)
        if self._rows:
            answer["logprobs"] = self._rows
        return msgspec.json.encode({**self._last, **answer})

    def read(self, event: bytes) -> Iterator[Delta]:
        """Return the additions of one event to the answer."""
        if not event.strip():
            return
        piece = decode(event, _Reply, NAME, faults=self.faults)
        text = _text(piece, self.faults)
        self._texts.append(text)
        # What does not fit is recorded when the whole table is read.
        rows = _table(piece.logprobs, self.ask, Faults(), text) or None
        thought = _thinking(piece)
        if thought:
            self._thoughts.append(thought)
            start = None if rows is None or not text else first_row(rows, text)
            yield Delta(thought, rows if rows is None or start is None else rows[:start], True)
            rows = None if rows is None or start is None else rows[start:]
        if text or rows is not None:
            yield Delta(text, rows)
        if piece.error or is_failure(piece.done_reason):
            raise failure(
                self.ask.model, event, piece.error or False, Completion(None, finish_reason=piece.done_reason)
            )
        self._last = decode(event, dict[str, Any], NAME)
        message, table = self._last.get("message"), self._last.pop("logprobs", None)
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        self._calls += calls if isinstance(calls, list) else []
        self._rows += table if isinstance(table, list) else []


def _text(reply: _Reply, faults: Faults) -> str:
    content = None if reply.message is None else join_parts(reply.message.content, faults, "message.content")
    return content or reply.response or ""


def _thinking(reply: _Reply) -> str:
    if reply.message is None:
        return joined_text(reply.thinking)
    return thinking_of(reply.message, reply.message.content) or ""


def _convert_message(message: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return a message in Ollama's form: joined text, pictures beside it, arguments of tool calls as objects."""
    parts = read_parts(message, model, taken="images")
    pictures = [part for part in parts if isinstance(part, Picture)]
    for picture in pictures:
        if picture.data is None:
            raise refusal(picture.part_type, model, " with a URL", "Ollama takes a picture's bytes, as a data URL")
    converted = {**message, "content": "".join(part for part in parts if isinstance(part, str))}
    if pictures:
        converted["images"] = [*(message.get("images") or ()), *(picture.data for picture in pictures)]
    if message.get("tool_calls"):
        converted["tool_calls"] = [_convert_call(call) for call in message["tool_calls"]]
    return converted


def _convert_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    written = function.get("arguments") or {}
    arguments = json.loads(written) if isinstance(written, str) else written
    return {"function": {"name": function["name"], "arguments": arguments}}


def _table(raw: msgspec.Raw, ask: Ask, faults: Faults, text: str | None) -> Logprobs | None:
    if bytes(raw) in (b"", b"null"):
        return None
    table = msgspec.Raw(b'{"content":%b}' % bytes(raw))
    return openai.read_table(table, ask, faults, text=text, at="logprobs")
