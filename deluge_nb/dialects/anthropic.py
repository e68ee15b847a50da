"""Anthropic's Messages dialect. It has no log-probabilities; everything else works."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from ..errors import MalformedResponseError, SettingError
from ..tools import ToolCall
from . import openai
from .base import Ask, Completion, Delta, Exchange, Request, StreamReader, failure
from .decode import decode
from .events import ServerSentEvents

NAME = "anthropic"

_PASSED_ON = ("temperature", "top_p")
_ABSENT = ("seed", "presence_penalty", "frequency_penalty", "logit_bias")
# The API wants a limit in every request.
_MOST_TOKENS = 4096
_REASONS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
# A shape is asked for as the arguments of a tool that must be called: every model can do that.
_ANSWER = "answer"


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""
    name: str = ""
    id: str | None = None
    input: Any = None


class _Reply(msgspec.Struct):
    content: list[_Block] | None = None
    stop_reason: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: dict[str, Any] | None = None
    content_block: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None


def build_request(ask: Ask) -> Request:
    """The request for an ask.

    Raises
    ------
    SettingError
        For what this API does not have.
    """
    params, settings = ask.params, ask.params.chosen()
    for name in _ABSENT:
        if settings.get(name):
            raise SettingError(f"Anthropic's API has no {name}; leave it out.", setting=name, value=settings[name])
    if params.reasoning_effort not in (None, "none"):
        raise SettingError(
            f"reasoning_effort={params.reasoning_effort!r} is not Anthropic's word for it; give 'thinking' in "
            "extra_body.",
            setting="reasoning_effort",
            value=params.reasoning_effort,
        )
    found = openai.messages(ask)
    told = "\n\n".join(openai.text_of(one.get("content")) or "" for one in found if _is_instruction(one))
    body: dict[str, Any] = {
        "model": ask.model,
        "max_tokens": params.max_new_tokens or _MOST_TOKENS,
        "messages": list(_turns(found)),
    }
    if told:
        body["system"] = told
    body |= {name: settings[name] for name in _PASSED_ON if settings.get(name) is not None}
    if params.stop:
        body["stop_sequences"] = list(params.stop)
    tools = [{"name": one.name, "description": one.description, "input_schema": one.parameters} for one in ask.tools]
    if ask.output_schema is not None:
        said = "Give the answer in this shape."
        tools.append({"name": _ANSWER, "description": said, "input_schema": dict(ask.output_schema.schema)})
        body["tool_choice"] = {"type": "any"} if ask.tools else {"type": "tool", "name": _ANSWER}
    if tools:
        body["tools"] = tools
    return Request("/messages", body | (params.extra_body or {}))


def parse_response(body: bytes, ask: Ask) -> Completion:
    """What a successful reply meant.

    Raises
    ------
    MalformedResponseError
        When the body is no message; names the field.
    RequestError
        When the reply is an error in spite of its status.
    """
    reply = decode(body, _Reply, NAME)
    if reply.content is None:
        if reply.error is not None:
            raise failure(ask, body)
        excerpt = body[:200].decode("utf-8", "replace")
        raise MalformedResponseError(
            f"{ask.model!r} answered without content: {excerpt}", dialect=NAME, field="content", excerpt=excerpt
        )
    texts = [block.text for block in reply.content if block.type == "text"]
    used = [block for block in reply.content if block.type == "tool_use"]
    shaped = [block for block in used if ask.output_schema is not None and block.name == _ANSWER]
    calls = tuple(_tool_call(block) for block in used if block not in shaped)
    text = "".join(texts) if texts or not calls else None
    if shaped:
        text = json.dumps(shaped[0].input, ensure_ascii=False)
    ended = _REASONS.get(reply.stop_reason or "", reply.stop_reason)
    return Completion(
        text=text,
        finish_reason="stop" if shaped and not calls and ended == "tool_calls" else ended,
        usage=_usage(reply.usage),
        model=reply.model,
        tool_calls=calls,
        refusal=text if reply.stop_reason == "refusal" else None,
        raw=body,
    )


def exchange(ask: Ask) -> Exchange:
    """One request, one reply, which may come in pieces."""
    request = build_request(ask)
    if ask.stream:
        request = replace(request, body={**(request.body or {}), "stream": True}, reader=_Reader(ask))
    reply = yield request
    return parse_response(reply, ask)


class _Reader(StreamReader):
    """Reads a stream of events that build a message block by block."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask, ServerSentEvents())
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._written: dict[int, list[str]] = {}
        self._done = False

    @property
    def complete(self) -> bool:
        """Whether the server has said that this is all."""
        return self._done

    def body(self) -> bytes:
        """What has come, as the body of a reply that was not streamed."""
        blocks: list[dict[str, Any]] = []
        for place, block in sorted(self._blocks.items()):
            written = "".join(self._written[place])
            if block.get("type") == "tool_use":
                block = {**block, "input": _object(written)}
            elif block.get("type") == "text":
                block = {**block, "text": written}
            blocks.append(block)
        return msgspec.json.encode({**self._message, "content": blocks})

    def read(self, event: bytes) -> Iterator[Delta]:
        """Return what one event adds to the answer."""
        found = decode(event, _Event, NAME)
        if found.type == "error":
            raise failure(self.ask, event)
        if found.type == "message_start":
            self._message = found.message or {}
        elif found.type == "content_block_start":
            self._blocks[found.index] = found.content_block or {}
            self._written[found.index] = []
        elif found.type == "content_block_delta":
            delta = found.delta or {}
            piece = delta.get("text") or delta.get("partial_json") or ""
            self._written.setdefault(found.index, []).append(piece)
            # A shape is written as the arguments of a call; it is the answer all the same.
            shaped = self.ask.output_schema is not None and self._blocks.get(found.index, {}).get("name") == _ANSWER
            if piece and (delta.get("type") == "text_delta" or shaped):
                yield Delta(piece)
        elif found.type == "message_delta":
            self._message |= found.delta or {}
            self._message["usage"] = {**(self._message.get("usage") or {}), **(found.usage or {})}
        elif found.type == "message_stop":
            self._done = True


def _is_instruction(message: Mapping[str, Any]) -> bool:
    return message["role"] in ("system", "developer")


def _turns(messages: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if _is_instruction(message):
            continue
        text = openai.text_of(message.get("content"))
        if message["role"] == "tool":
            result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id", ""), "content": text or ""}
            yield {"role": "user", "content": [result]}
            continue
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        for call in message.get("tool_calls") or ():
            function = call["function"]
            given = function.get("arguments") or {}
            arguments = _object(given) if isinstance(given, str) else given
            blocks.append({"type": "tool_use", "id": call.get("id"), "name": function["name"], "input": arguments})
        yield {"role": message["role"], "content": blocks if message.get("tool_calls") else text or ""}


def _object(written: str) -> Any:
    try:
        return json.loads(written or "{}")
    except ValueError:  # it was broken off
        return written


def _tool_call(block: _Block) -> ToolCall:
    arguments = block.input if isinstance(block.input, dict) else None
    return ToolCall(block.name, arguments, block.id, json.dumps(block.input, ensure_ascii=False))


def _usage(counts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Cached tokens come beside the others here, and are among them everywhere else."""
    if counts is None:
        return None
    cached = counts.get("cache_read_input_tokens") or 0
    asked = (counts.get("input_tokens") or 0) + (counts.get("cache_creation_input_tokens") or 0) + cached
    answered = counts.get("output_tokens") or 0
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
