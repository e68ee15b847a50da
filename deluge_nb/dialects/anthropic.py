"""Anthropic's Messages API, which returns no log-probabilities; everything else works."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from ..errors import MalformedResponseError, SettingError
from ..prompts import Picture, read_parts, refusal, text_only
from ..tools import ToolCall
from . import openai
from .base import Ask, Completion, Delta, Exchange, Request, StreamReader, converse, with_stream_field
from .reading.answer import checked, failure
from .reading.decode import decode
from .reading.failures import is_failure
from .reading.faults import Faults
from .reading.fitting import read_counts
from .reading.framing.documents import parse_json
from .reading.thinking.fields import TEXT_PARTS, THINKING_PARTS

NAME = "anthropic"

_SAME_NAME_SETTINGS = ("temperature", "top_p")
_ABSENT = ("seed", "presence_penalty", "frequency_penalty", "logit_bias")
# Used without a setting, because the API requires a limit in every request.
_DEFAULT_MAX_TOKENS = 4096
_REASONS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
# An output schema is requested as the arguments of a tool that must be called, because all models support tools.
_ANSWER_TOOL = "answer"
_IN_SYSTEM = " in a system message"


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
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
    index: int | None = None
    message: dict[str, Any] | None = None
    content_block: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
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
            raise SettingError(f"Anthropic's API has no {name}; leave it out.", setting=name, value=settings[name])
    if params.reasoning_effort not in (None, "none"):
        raise SettingError(
            f"reasoning_effort={params.reasoning_effort!r} does not exist in Anthropic's API; set 'thinking' in "
            "extra_body.",
            setting="reasoning_effort",
            value=params.reasoning_effort,
        )
    messages = openai.messages(ask)
    instructions = [message for message in messages if _is_instruction(message)]
    system = "\n\n".join(text_only(message, ask.model, _IN_SYSTEM) or "" for message in instructions)
    body: dict[str, Any] = {
        "model": ask.model,
        "max_tokens": params.max_new_tokens or _DEFAULT_MAX_TOKENS,
        "messages": list(_turns(messages, ask.model)),
    }
    if system:
        body["system"] = system
    body |= {name: settings[name] for name in _SAME_NAME_SETTINGS if settings.get(name) is not None}
    if params.stop:
        body["stop_sequences"] = list(params.stop)
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in ask.tools
    ]
    if ask.output_schema is not None:
        description = "Give the answer in this shape."
        tools.append({"name": _ANSWER_TOOL, "description": description, "input_schema": dict(ask.output_schema.schema)})
        body["tool_choice"] = {"type": "any"} if ask.tools else {"type": "tool", "name": _ANSWER_TOOL}
    if tools:
        body["tools"] = tools
    return Request("/messages", body | (params.extra_body or {}), make_reader=partial(_Reader, ask))


def parse_response(body: bytes, ask: Ask) -> Completion:
    """Parse a successful reply.

    Raises
    ------
    MalformedResponseError
        When the body is not a message; names the field.
    RequestError
        When the reply reports an error despite its status.
    """
    faults = Faults()
    reply = decode(body, _Reply, NAME, faults=faults)
    if reply.content is None:
        excerpt = body[:200].decode("utf-8", "replace")
        raise faults.error or MalformedResponseError(
            f"{ask.model!r} answered without content: {excerpt}", dialect=NAME, field="content", excerpt=excerpt
        )
    # A block without a type has the one that its fields show.
    texts = [block.text for block in reply.content if block.type in TEXT_PARTS and (block.text or block.type)]
    tool_blocks = [block for block in reply.content if block.type == "tool_use"]
    answers = [block for block in tool_blocks if ask.output_schema is not None and block.name == _ANSWER_TOOL]
    calls = tuple(_tool_call(block) for block in tool_blocks if block not in answers)
    faults.check_answer(is_empty=not (any(texts) or tool_blocks))
    text = "".join(texts) if texts or not calls else None
    if answers:
        text = json.dumps(answers[0].input, ensure_ascii=False)
    reason = _REASONS.get(reply.stop_reason or "", reply.stop_reason)
    completion = Completion(
        text=text,
        finish_reason="stop" if answers and not calls and reason == "tool_calls" else reason,
        usage=_usage(read_counts(reply.usage, faults)),
        model=reply.model,
        tool_calls=calls,
        refusal=text if reply.stop_reason == "refusal" else None,
        raw=body,
        thinking="".join(block.thinking or block.text for block in reply.content if block.type in THINKING_PARTS)
        or None,
        notes=faults.notes,
    )
    return checked(ask.model, body, completion, reply.error)


def exchange(ask: Ask) -> Exchange:
    """Send one request and parse its reply, which may be streamed."""
    return (yield from converse(ask, build_request, parse_response, with_stream_field))


class _Reader(StreamReader):
    """Parser of a stream of events that build a message block by block."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._fragments: dict[int, list[str]] = {}
        self._done = False

    @property
    def complete(self) -> bool:
        """True if the server has reported the end of the message."""
        return self._done or bool(self._message.get("stop_reason"))

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed."""
        blocks: list[dict[str, Any]] = []
        for index, block in sorted(self._blocks.items()):
            text = "".join(self._fragments[index])
            if block.get("type") == "tool_use":
                block = {**block, "input": _parse_arguments(text)}
            elif block.get("type") == "text":
                block = {**block, "text": text}
            elif block.get("type") == "thinking":
                block = {**block, "thinking": text}
            blocks.append(block)
        return msgspec.json.encode({**self._message, "content": blocks})

    def read(self, event: bytes) -> Iterator[Delta]:
        """Return the additions of one event to the answer."""
        fields = decode(event, _Event, NAME, faults=self.faults)
        if fields.type == "error" or fields.error:
            raise failure(self.ask.model, event)
        if fields.type == "message_start":
            self._message = fields.message or {}
        elif fields.type == "content_block_start":
            index = fields.index if fields.index is not None else len(self._blocks)
            self._blocks[index] = fields.content_block or {}
            self._fragments[index] = []
        elif fields.type == "content_block_delta":
            yield from self._additions(fields.delta or {}, fields.index)
        elif fields.type == "message_delta":
            delta = fields.delta or {}
            reason = delta.get("stop_reason")
            if isinstance(reason, str) and is_failure(reason):
                raise failure(self.ask.model, event, False, Completion(None, finish_reason=reason))
            self._message |= delta
            usage = self._message.get("usage")
            self._message["usage"] = {**(usage if isinstance(usage, dict) else {}), **(fields.usage or {})}
        elif fields.type == "message_stop":
            self._done = True

    def _additions(self, delta: dict[str, Any], index: int | None) -> Iterator[Delta]:
        if index is None or index not in self._blocks:
            index = max(self._blocks, default=0)
        piece = delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
        if not isinstance(piece, str):
            self.faults.add("delta.text")
            return
        self._fragments.setdefault(index, []).append(piece)
        # With an output schema, the arguments of the answer tool are the answer.
        block = self._blocks.setdefault(index, {"type": "text"})
        is_answer = self.ask.output_schema is not None and block.get("name") == _ANSWER_TOOL
        is_text = delta.get("type") == "text_delta" or "text" in delta
        if is_text and not isinstance(block.get("type"), str):
            block["type"] = "text"
        if piece and (is_text or is_answer):
            yield Delta(piece)
        elif piece and (delta.get("type") == "thinking_delta" or "thinking" in delta):
            yield Delta(piece, thinking=True)


def _is_instruction(message: Mapping[str, Any]) -> bool:
    return message["role"] in ("system", "developer")


def _blocks(message: Mapping[str, Any], model: str) -> list[dict[str, Any]]:
    """Return the texts and pictures of a message; texts that follow each other are one."""
    blocks: list[dict[str, Any]] = []
    for part in read_parts(message, model):
        if isinstance(part, Picture):
            if message["role"] == "assistant":
                raise refusal(part.part_type, model, " in an answer")
            source = {"type": "url", "url": part.url}
            if part.data is not None:
                source = {"type": "base64", "media_type": part.media_type or "", "data": part.data}
            blocks.append({"type": "image", "source": source})
        elif blocks and blocks[-1]["type"] == "text":
            blocks[-1]["text"] += part
        elif part:
            blocks.append({"type": "text", "text": part})
    return blocks


def _as_content(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Return blocks as one text where they are no more than that."""
    return blocks if any(block["type"] != "text" for block in blocks) else "".join(block["text"] for block in blocks)


def _turns(messages: Iterable[Mapping[str, Any]], model: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        if _is_instruction(message):
            continue
        blocks = _blocks(message, model)
        if message["role"] == "tool":
            identity = message.get("tool_call_id", "")
            result = {"type": "tool_result", "tool_use_id": identity, "content": _as_content(blocks)}
            yield {"role": "user", "content": [result]}
            continue
        for call in message.get("tool_calls") or ():
            function = call["function"]
            written = function.get("arguments") or {}
            arguments = _parse_arguments(written) if isinstance(written, str) else written
            blocks.append({"type": "tool_use", "id": call.get("id"), "name": function["name"], "input": arguments})
        yield {"role": message["role"], "content": blocks if message.get("tool_calls") else _as_content(blocks)}


def _parse_arguments(text: str) -> Any:
    try:
        return parse_json(text or "{}")
    except ValueError:  # the stream broke off
        return text


def _tool_call(block: _Block) -> ToolCall:
    arguments = block.input if isinstance(block.input, dict) else None
    return ToolCall(block.name, arguments, block.id, json.dumps(block.input, ensure_ascii=False))


def _usage(counts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return OpenAI's token counts, whose number of prompt tokens includes cached tokens."""
    if counts is None:
        return None
    cached = counts.get("cache_read_input_tokens") or 0
    prompt = (counts.get("input_tokens") or 0) + (counts.get("cache_creation_input_tokens") or 0) + cached
    completion = counts.get("output_tokens") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
