"""The OpenAI chat-completions dialect, which most servers speak."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import MalformedResponseError, SettingError
from ..interop.entries import entries_from_columns
from ..logprobs.columns import RawBytes, Vocabulary
from ..logprobs.table import Logprobs
from ..tools import Tool, ToolCall
from .base import Ask, Completion, Exchange, Request, failure, load
from .choices import ChoiceReader, TableOf
from .decode import decode, excerpt, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "openai"

_PASSED_ON = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "top_logprobs",
)
_TABLE_KEY, _NEXT_KEY = b'"logprobs":', b'"finish_reason":'
_Octets = list[Annotated[int, msgspec.Meta(ge=0, le=255)]]


class _Alternative(msgspec.Struct, gc=False):
    token: str
    logprob: float | None = None
    # Raw, because each distinct token's bytes need reading only once, whatever the number of its appearances.
    bytes: msgspec.Raw = msgspec.Raw(b"")


class _Token(msgspec.Struct, gc=False):
    token: str
    logprob: float | None = None
    bytes: msgspec.Raw = msgspec.Raw(b"")
    top_logprobs: list[_Alternative] | None = None


class _Table(msgspec.Struct):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None
    tokens: msgspec.Raw = msgspec.Raw(b"")


class _Function(msgspec.Struct):
    name: str
    arguments: str | dict[str, Any] | None = ""


class WireToolCall(msgspec.Struct):
    """A tool call as it is written."""

    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[WireToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")


class _Reply(msgspec.Struct):
    choices: list[_Choice] = []
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


def build_request(ask: Ask) -> Request:
    """The chat request for an ask."""
    params, settings = ask.params, ask.params.chosen()
    body: dict[str, Any] = {"model": ask.model, "messages": messages(ask)}
    if params.logprobs:
        body["logprobs"] = True
    if params.logprobs and ask.endpoint.counted_logprobs:
        body["logprobs"] = max(1, settings.pop("top_logprobs", None) or 0)
    body |= {name: settings[name] for name in _PASSED_ON if settings.get(name) is not None}
    if params.max_new_tokens is not None:
        body[ask.endpoint.max_tokens_field] = params.max_new_tokens
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias is not None:
        body["logit_bias"] = {str(token): bias for token, bias in params.logit_bias.items()}
    if ask.tools:
        body["tools"] = offered(ask.tools)
    if ask.output_schema is not None:
        shape = {"name": ask.output_schema.name, "schema": dict(ask.output_schema.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    if ask.prompt.prefill is not None and ask.endpoint.prefill_flag == "continue_final_message":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return Request("/chat/completions", body | (params.extra_body or {}))


def offered(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Tools as the model is told of them."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in tools
    ]


def messages(ask: Ask) -> list[Mapping[str, Any]]:
    """The conversation, with the model's own instruction where the prompt brings none, and the prefill at its end."""
    found = list(ask.prompt.messages)
    if ask.system is not None and not ask.prompt.has_system:
        found.insert(0, {"role": "system", "content": ask.system})
    if ask.prompt.prefill is not None:
        flag = ask.endpoint.prefill_flag
        marked = {flag: True} if flag in ("prefix", "partial") else {}
        found.append({"role": "assistant", "content": ask.prompt.prefill, **marked})
    return found


def parse_response(body: bytes, ask: Ask) -> Completion:
    """What a successful reply meant.

    Raises
    ------
    MalformedResponseError
        When the body is no chat completion; names the field.
    RequestError
        When the reply is an error in spite of its status.
    """
    rest, apart = _parted(body, ask)
    reply = decode(body if rest is None else rest, _Reply, NAME)
    if not reply.choices:
        if reply.error is not None:
            raise failure(ask, body)
        raise MalformedResponseError(
            f"{ask.model!r} answered without choices: {one_line(excerpt(body))}",
            dialect=NAME,
            field="choices",
            excerpt=one_line(excerpt(body)),
        )
    choice = reply.choices[0]
    message = choice.message
    found, raw = apart, body if rest is None else rest
    if rest is None and bytes(choice.logprobs) not in (b"", b"null"):
        found = table(choice.logprobs, _is_refusal(message), ask)
        raw = _without(body, bytes(choice.logprobs))
    text = text_of(message.content)
    return Completion(
        text=_without_echo(text, ask.prompt.prefill, found) if text is not None else message.refusal,
        logprobs=found,
        finish_reason=_shared(choice.finish_reason),
        usage=reply.usage,
        model=_shared(reply.model),
        tool_calls=tuple(map(tool_call, message.tool_calls or ())),
        refusal=message.refusal,
        raw=raw,
    )


def exchange(ask: Ask) -> Exchange:
    """One request, one reply, which may come in pieces; text to be continued as it stands is no chat's business."""
    if ask.prompt.raw is not None:
        return (yield from load("completions").exchange(ask))
    request = build_request(ask)
    reply = yield streamed(request, ask, NAME, table, chat=True) if ask.stream else request
    return parse_response(reply, ask)


def streamed(request: Request, ask: Ask, dialect: str, rows: TableOf, *, chat: bool) -> Request:
    """The request for an answer in pieces, with what reads them."""
    told = {"stream_options": {"include_usage": True}} if ask.endpoint.stream_usage else {}
    reader = ChoiceReader(ask, dialect, partial(rows, ask=ask), chat=chat)
    return replace(request, body={**told, **(request.body or {}), "stream": True}, reader=reader)


def with_entries(raw: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
    """The reply's body with its log-probabilities put back."""
    first, *others = raw["choices"]
    refused = first["message"].get("content") is None and first["message"].get("refusal") is not None
    table = {"content": None, "refusal": entries} if refused else {"content": entries, "refusal": None}
    return {**raw, "choices": [{**first, "logprobs": table}, *others]}


def table(raw: msgspec.Raw, refused: bool, ask: Ask) -> Logprobs | None:
    """The rows of a reply's or a chunk's table; a refusal has its own."""
    found = decode(bytes(raw), _Table, NAME, at="choices[0].logprobs")
    if bytes(found.tokens) not in (b"", b"null"):  # some servers answer a chat with the old completions' columns
        return columns_table(decode(bytes(raw), dict[str, Any], NAME), NAME)
    tokens = found.refusal if refused or not found.content else found.content
    if tokens is None:
        tokens = found.content
    if tokens is None:
        return None
    return _filled(tokens, ask.vocabulary, ask.vocab_size)


def columns_table(table: dict[str, Any], dialect: str) -> Logprobs:
    """The table in parallel lists, as the old completions have it.

    Raises
    ------
    MalformedResponseError
        When the lists do not fit together.
    """
    try:
        return Logprobs.from_entries(entries_from_columns(table))
    except SettingError as error:
        raise MalformedResponseError(
            f"The server's answer does not fit the {dialect} dialect: {error}", dialect=dialect, field="logprobs"
        ) from None


def _filled(tokens: Sequence[_Token], vocabulary: Vocabulary | None, vocab_size: int | None) -> Logprobs:
    # Thousands of times in each reply: no call of a function and no object for a token that has been seen before.
    vocabulary = Vocabulary() if vocabulary is None else vocabulary
    among = [token.top_logprobs or () for token in tokens]
    # A chosen token without the field has no bytes; an alternative without it has no field.
    chosen = _entered(vocabulary, [(token.token, bytes(token.bytes) or b"null") for token in tokens])
    weighed = _entered(vocabulary, [(one.token, bytes(one.bytes)) for top in among for one in top])
    return Logprobs(
        vocabulary,
        np.array(chosen, np.int32),
        np.array([token.logprob for token in tokens], np.float64),
        np.array(weighed, np.int32),
        np.array([one.logprob for top in among for one in top], np.float64),
        _offsets(tuple(map(len, among))),
        vocab_size=vocab_size,
    )


@lru_cache(256)
def _offsets(counts: tuple[int, ...]) -> NDArray[np.int32]:
    """Where each token's alternatives begin: the same for all answers of a length that list the same number."""
    return np.array([0, *accumulate(counts)], np.int32)


def _entered(vocabulary: Vocabulary, keys: list[tuple[str, bytes]]) -> list[int]:
    """The indices of tokens by their spellings; those that are met for the first time are entered."""
    found = list(map(vocabulary.spelt.get, keys))
    if None in found:
        for place, index in enumerate(found):
            if index is None:
                found[place] = _index(vocabulary, keys[place])
    return cast(list[int], found)


def _index(vocabulary: Vocabulary, key: tuple[str, bytes]) -> int:
    known = vocabulary.spelt.get(key)
    if known is not None:
        return known
    text, raw = key
    octets: RawBytes = ... if raw == b"" else None
    if raw not in (b"", b"null"):
        octets = bytes(decode(raw, _Octets, NAME, at="choices[0].logprobs.content[…].bytes"))
    found = vocabulary.spelt[key] = vocabulary.add(text, octets)
    return found


def _shared(word: str | None) -> str | None:
    """The same object for the same word: thousands of answers have it."""
    return word if word is None else sys.intern(word)


def _is_refusal(message: _Message) -> bool:
    return message.content is None and message.refusal is not None


def _parted(body: bytes, ask: Ask) -> tuple[bytes | None, Logprobs | None]:
    """The body with null in place of its table, and the table, where it lies as it does with most servers.

    Tables outweigh everything else, and are found here without reading them twice. What lies between the two keys is
    taken only if it is a table and the rest a reply of its own; else nothing is parted.
    """
    start, end = body.find(_TABLE_KEY), body.rfind(_NEXT_KEY)
    if not 0 <= start < end:
        return None, None
    start += len(_TABLE_KEY)
    inside = body[start:end].strip()
    if inside[:1] != b"{" or inside[-1:] != b",":
        return None, None
    rest = b"%bnull,%b" % (body[:start], body[end:])
    try:
        choices = msgspec.json.decode(rest, type=_Reply).choices
        if len(choices) == 1 and bytes(choices[0].logprobs) == b"null":
            return rest, table(msgspec.Raw(inside[:-1]), _is_refusal(choices[0].message), ask)
    except (msgspec.DecodeError, UnicodeDecodeError, MalformedResponseError):
        pass
    return None, None


def _without(body: bytes, part: bytes) -> bytes:
    """The body with null in place of one of its values.

    Looked for by its beginning: a search for all of a value as long as the body costs more than reading the body.
    """
    at = body.find(part[:256])
    while at >= 0 and not body.startswith(part, at):
        at = body.find(part[:256], at + 1)
    return body if at < 0 else b"%bnull%b" % (body[:at], body[at + len(part) :])


def text_of(content: str | list[dict[str, Any]] | None) -> str | None:
    """The text of a message, which may come in parts."""
    if not isinstance(content, list):
        return content
    return "".join(part.get("text", "") for part in content if part.get("type", "text") == "text")


def _without_echo(text: str, prefill: str | None, table: Logprobs | None) -> str:
    """Some servers repeat the beginning they were given; the log-probabilities cover only what is new."""
    if not prefill or not text.startswith(prefill):
        return text
    return text if table is not None and table.text == text else text[len(prefill) :]


def tool_call(call: WireToolCall) -> ToolCall:
    """A tool call, with its arguments read where they can be."""
    written = call.function.arguments
    if isinstance(written, dict):
        return ToolCall(call.function.name, written, call.id, json.dumps(written))
    try:
        arguments = json.loads(written or "{}")
    except ValueError:
        arguments = None
    return ToolCall(call.function.name, arguments if isinstance(arguments, dict) else None, call.id, written or "")


def written_call(name: str, arguments: str | dict[str, Any] | None, identity: str | None) -> WireToolCall:
    """A tool call out of its parts."""
    return WireToolCall(_Function(name, arguments), identity)
