"""OpenAI's chat-completions API, which most servers implement."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import MalformedResponseError
from ..logprobs.table import Logprobs
from ..memo import remember_last
from ..tools import Tool, ToolCall
from .base import Ask, Completion, Exchange, Request, converse, load
from .choices import ChoiceReader
from .reading.alternatives import least_alternatives, wants_none
from .reading.answer import checked
from .reading.chat_table import ChatTableReader
from .reading.decode import decode, excerpt, one_line
from .reading.faults import Faults
from .reading.fitting import read_counts
from .reading.framing.documents import parse_json
from .reading.tables import read_odd_table
from .reading.thinking.fields import Content, Message, join_parts, table_of_reply, thinking_of, thinking_rows
from .reading.values import remove_value, strip_echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..models.spec import Endpoint
    from ..sampling import SamplingParams

NAME = "openai"

_SAME_NAME_SETTINGS = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "top_logprobs",
    "n",
)
_TABLE_KEY, _NEXT_KEY = b'"logprobs":', b'"finish_reason":'
_TABLE_PATH = "choices[0].logprobs"


class _Function(msgspec.Struct):
    name: str
    arguments: str | dict[str, Any] | None = ""


class WireToolCall(msgspec.Struct):
    """Tool call in a reply."""

    function: _Function
    id: str | None = None


class WireMessage(Message):
    """Message in a reply, or in a chunk of a stream."""

    content: Content = None
    refusal: str | None = None
    tool_calls: list[WireToolCall] | None = None


class _Choice(msgspec.Struct):
    message: WireMessage | None = None
    # A stream of one chunk, and the completions API, have these in its place.
    delta: WireMessage | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_decode_reply = msgspec.json.Decoder(_Reply).decode


def build_request(ask: Ask) -> Request:
    """Return the HTTP request for an ask."""
    params = ask.params
    body = {"model": ask.model, "messages": messages(ask), **_settings(params, ask.endpoint)}
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias is not None:
        body["logit_bias"] = {str(token): bias for token, bias in params.logit_bias.items()}
    if ask.tools:
        body["tools"] = tool_definitions(ask.tools)
    if ask.output_schema is not None:
        shape = {"name": ask.output_schema.name, "schema": dict(ask.output_schema.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    if ask.prompt.prefill is not None and ask.endpoint.prefill_flag == "continue_final_message":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    reader = partial(ChoiceReader, ask, NAME, partial(read_table, ask=ask), chat=True)
    if params.extra_body:
        body |= params.extra_body
    return Request("/chat/completions", body, make_reader=reader)


@remember_last
def _settings(params: SamplingParams, endpoint: Endpoint) -> dict[str, Any]:
    """Return the fields of a request that are numbers and words of the settings."""
    settings, fields = params.chosen(), dict[str, Any]()
    if params.logprobs:
        fields["logprobs"] = True
    if wants_none(params, endpoint) and not endpoint.counted_logprobs:
        settings["top_logprobs"] = least_alternatives(params, endpoint)
    if params.logprobs and endpoint.counted_logprobs:
        fields["logprobs"] = max(1, settings.pop("top_logprobs", None) or 0)
    fields |= {name: settings[name] for name in _SAME_NAME_SETTINGS if settings.get(name) is not None}
    if params.max_new_tokens is not None:
        fields[endpoint.max_tokens_field] = params.max_new_tokens
    return fields


def tool_definitions(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return the definitions of tools for a request."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in tools
    ]


def messages(ask: Ask) -> list[Mapping[str, Any]]:
    """Return the conversation, with the model's instruction if the prompt has none, and with the prefill at the end."""
    messages = list(ask.prompt.messages)
    if ask.system is not None and not ask.prompt.has_system:
        messages.insert(0, {"role": "system", "content": ask.system})
    if ask.prompt.prefill is not None:
        flag = ask.endpoint.prefill_flag
        mark = {flag: True} if flag in ("prefix", "partial") else {}
        messages.append({"role": "assistant", "content": ask.prompt.prefill, **mark})
    return messages


def parse_response(body: bytes, ask: Ask) -> Completion:
    """Parse a successful reply.

    Raises
    ------
    MalformedResponseError
        When the body is not a chat completion; names the field.
    RequestError
        When the reply reports an error despite its status.
    """
    faults = Faults()
    split = _split_table(body, ask)
    raw, reply, logprobs = split or (body, decode(body, _Reply, NAME, faults=faults), None)
    if not reply.choices:
        raise faults.error or _without("choices", body, ask, "choices")
    choice = reply.choices[0]
    message = _message_of(choice)
    if message is None:
        raise faults.error or _without("a message", body, ask, "choices[0].message")
    text = join_parts(message.content, faults, "choices[0].message.content")
    calls = tuple(map(parse_tool_call, message.tool_calls or ()))
    if split is None and bytes(choice.logprobs) not in (b"", b"null"):
        known = len(faults)
        logprobs = read_table(choice.logprobs, ask, faults, text=text, refused=_is_refusal(message))
        # An odd table stays in the body: the one that was read does not tell what the server sent.
        raw = remove_value(body, bytes(choice.logprobs)) if len(faults) == known and not faults.remarks else body
    faults.check_answer(is_empty=not (text or message.refusal or calls))
    thinking, own = thinking_of(message, message.content), None
    if thinking is not None and ask.params.logprobs:
        # A list of its own, which stays in the body.
        rows = thinking_rows(table_of_reply(body, NAME), NAME)
        own = None if rows is None else msgspec.Raw(b'{"content":%b}' % rows)
    completion = Completion(
        text=strip_echo(text, ask.prompt.prefill, logprobs) if text is not None else message.refusal,
        logprobs=logprobs,
        finish_reason=_intern(choice.finish_reason),
        usage=read_counts(reply.usage, faults),
        model=_intern(reply.model),
        tool_calls=calls,
        refusal=message.refusal,
        raw=raw if own is None and choice.message is not None else body,
        thinking=thinking,
        thinking_logprobs=None if own is None else read_table(own, ask, faults, text=thinking),
        notes=faults.notes,
    )
    return checked(ask.model, body, completion, reply.error, choice.error)


def exchange(ask: Ask) -> Exchange:
    """Send one request and parse its reply, which may be streamed; raw text goes to the completions API."""
    if ask.prompt.raw is not None:
        return (yield from load("completions").exchange(ask))
    return (yield from converse(ask, build_request, parse_response, as_stream_request))


def as_stream_request(request: Request, ask: Ask) -> Request:
    """Return the request for a streamed answer."""
    options = {"stream_options": {"include_usage": True}} if ask.endpoint.stream_usage else {}
    return replace(request, body={**options, **(request.body or {}), "stream": True})


def with_entries(raw: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
    """Restore the log-probabilities in a reply's body, if they were removed from it."""
    first, *others = raw["choices"]
    if first.get("logprobs") is not None or "message" not in first:
        return raw
    refused = first["message"].get("content") is None and first["message"].get("refusal") is not None
    table = {"content": None, "refusal": entries} if refused else {"content": entries, "refusal": None}
    return {**raw, "choices": [{**first, "logprobs": table}, *others]}


def read_table(
    raw: msgspec.Raw, ask: Ask, faults: Faults, *, text: str | None, refused: bool = False, at: str = _TABLE_PATH
) -> Logprobs | None:
    """Return the table of a reply or a chunk, of either API; what does not fit is recorded and left out.

    Parameters
    ----------
    raw
        JSON of the table.
    ask
        The request, whose vocabulary gets new tokens.
    faults
        Receiver of what does not fit, and of remarks on a table that contradicts itself.
    text
        The answer, which fills in a token without a text.
    refused
        True for the table of a refusal.
    at
        Path of the table in the reply.
    """
    try:
        table = parse_table(raw, refused, ask, faults.remarks)
    except MalformedResponseError as error:
        faults.error, table = faults.error or error, None
    if table is None:
        shared = {"text": text, "vocabulary": ask.vocabulary, "vocab_size": ask.vocab_size}
        return read_odd_table(bytes(raw), faults, at, refused=refused, **shared)
    return table


def parse_table(raw: msgspec.Raw, refused: bool, ask: Ask, remarks: list[str] | None = None) -> Logprobs | None:
    """Parse the table of a reply or a chunk; a refusal has a table of its own."""
    body = bytes(raw)
    return _reader(ask).read(body, 0, len(body), refused=refused, remarks=[] if remarks is None else remarks)


def _reader(ask: Ask) -> ChatTableReader:
    return ChatTableReader(NAME, _TABLE_PATH, ask.vocabulary, ask.vocab_size)


def _intern(word: str | None) -> str | None:
    """Return one object for equal words, which thousands of answers repeat."""
    return word if word is None else sys.intern(word)


def _message_of(choice: _Choice) -> WireMessage | None:
    message = choice.message or choice.delta
    return WireMessage(content=choice.text) if message is None and choice.text is not None else message


def _without(missing: str, body: bytes, ask: Ask, field: str) -> MalformedResponseError:
    part = one_line(excerpt(body))
    message = f"{ask.model!r} answered without {missing}: {part}"
    return MalformedResponseError(message, dialect=NAME, field=field, excerpt=part)


def _is_refusal(message: WireMessage) -> bool:
    return message.content is None and message.refusal is not None


def _split_table(body: bytes, ask: Ask) -> tuple[bytes, _Reply, Logprobs | None] | None:
    """Return the body with null in place of its table, decoded, and the table, if the fields have the usual order.

    The table is by far the largest part of a body; here it is decoded only once. The bytes between the two keys are
    used only if they are a table without a fault and the rest of the body is a valid reply; else the result is None.
    """
    start, end = body.find(_TABLE_KEY), body.rfind(_NEXT_KEY)
    if not 0 <= start < end:
        return None
    start += len(_TABLE_KEY)
    stop = body.rfind(b",", start, end)
    if stop < 0 or body[stop + 1 : end].strip() or body[start : start + 64].lstrip()[:1] != b"{":
        return None
    rest = b"%bnull,%b" % (body[:start], body[end:])
    try:
        reply = _decode_reply(rest)
        choices = reply.choices
        if choices and len(choices) == 1 and bytes(choices[0].logprobs) == b"null":
            remarks: list[str] = []
            message = _message_of(choices[0])
            refused = message is not None and _is_refusal(message)
            table = _reader(ask).read(body, start, stop, refused=refused, remarks=remarks)
            if not remarks:
                return rest, reply, table
    except (msgspec.DecodeError, UnicodeDecodeError, MalformedResponseError):
        pass
    return None


def parse_tool_call(call: WireToolCall) -> ToolCall:
    """Return a tool call with parsed arguments; they are None if they are not a JSON object."""
    written = call.function.arguments
    if isinstance(written, dict):
        return ToolCall(call.function.name, written, call.id, json.dumps(written))
    try:
        arguments = parse_json(written or "{}")
    except ValueError:
        arguments = None
    return ToolCall(call.function.name, arguments if isinstance(arguments, dict) else None, call.id, written or "")


def wire_tool_call(name: str, arguments: str | dict[str, Any] | None, identity: str | None) -> WireToolCall:
    """Return a tool call from its parts."""
    return WireToolCall(_Function(name, arguments), identity)
