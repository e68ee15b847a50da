"""OpenAI's chat-completions API, which most servers implement."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import MalformedResponseError
from ..logprobs.columns import UNREAD, RawBytes, Vocabulary
from ..logprobs.table import Logprobs
from ..memo import remember_last
from ..text.partial import may_hide_bytes
from ..tools import Tool, ToolCall
from .base import Ask, Completion, Exchange, Request, checked, converse, failure, load
from .choices import ChoiceReader
from .reading.alternatives import least_alternatives, wants_none
from .reading.contradictions import REPEATED, find_contradiction
from .reading.decode import decode, excerpt, one_line, parse_json
from .reading.faults import Faults
from .reading.fitting import join_parts, read_counts
from .reading.tables import read_odd_table, table_from_columns
from .reading.thinking.fields import Message, table_of_reply, thinking_of, thinking_rows
from .reading.values import remove_value, reported_bytes, strip_echo

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
_Octets = list[Annotated[int, msgspec.Meta(ge=0, le=255)]]


class _Alternative(msgspec.Struct, gc=False):
    # Without the bytes: nearly every text says what they are, and reading them would double the time.
    token: str
    logprob: float | None = None


class _Token(msgspec.Struct, gc=False):
    token: str
    logprob: float | None = None
    top_logprobs: list[_Alternative] | None = None


class _ExactAlternative(msgspec.Struct, gc=False):
    token: str
    # Raw, so that the bytes of a token are decoded once, however often it appears.
    bytes: msgspec.Raw = msgspec.Raw(b"")


class _ExactToken(msgspec.Struct, gc=False):
    token: str
    bytes: msgspec.Raw = msgspec.Raw(b"")
    top_logprobs: list[_ExactAlternative] | None = None


class _Rows(msgspec.Struct):
    content: list[msgspec.Raw] | None = None
    refusal: list[msgspec.Raw] | None = None


class _Table(msgspec.Struct):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None
    tokens: msgspec.Raw = msgspec.Raw(b"")


class _Function(msgspec.Struct):
    name: str
    arguments: str | dict[str, Any] | None = ""


class WireToolCall(msgspec.Struct):
    """Tool call in a reply."""

    function: _Function
    id: str | None = None


class _Message(Message):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[WireToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


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
    rest, logprobs = _split_table(body, ask)
    reply = decode(body if rest is None else rest, _Reply, NAME, faults=faults)
    if not reply.choices:
        if reply.error:
            raise failure(ask, body)
        raise faults.error or MalformedResponseError(
            f"{ask.model!r} answered without choices: {one_line(excerpt(body))}",
            dialect=NAME,
            field="choices",
            excerpt=one_line(excerpt(body)),
        )
    choice = reply.choices[0]
    message = choice.message
    text = join_parts(message.content, faults, "choices[0].message.content")
    calls = tuple(map(parse_tool_call, message.tool_calls or ()))
    raw = body if rest is None else rest
    if rest is None and bytes(choice.logprobs) not in (b"", b"null"):
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
        raw=raw if own is None else body,
        thinking=thinking,
        thinking_logprobs=None if own is None else read_table(own, ask, faults, text=thinking),
        notes=faults.notes,
    )
    return checked(ask, body, completion, reply.error, choice.error)


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
    if contradiction := find_contradiction(table):
        faults.remarks.append(contradiction)
    return table


def parse_table(raw: msgspec.Raw, refused: bool, ask: Ask, remarks: list[str] | None = None) -> Logprobs | None:
    """Parse the table of a reply or a chunk; a refusal has a table of its own."""
    body = bytes(raw)
    return _parse_table(body, 0, len(body), refused, ask, [] if remarks is None else remarks)


def _parse_table(body: bytes, start: int, end: int, refused: bool, ask: Ask, remarks: list[str]) -> Logprobs | None:
    """Parse the table that stands between two offsets of a body; a copy of it would cost as much as a part of it."""
    part = memoryview(body)[start:end]
    lists = decode(part, _Table, NAME, at=_TABLE_PATH)
    if bytes(lists.tokens) not in (b"", b"null"):  # some servers send the columns of the completions API in a chat
        return table_from_columns(decode(part, dict[str, Any], NAME), NAME, remarks)
    is_refusal = (refused or not lists.content) and lists.refusal is not None
    tokens = lists.refusal if is_refusal else lists.content
    if tokens is None:
        return None
    # Runs for thousands of tokens per reply: C loops only, and the bytes are read only where the texts may hide them.
    vocabulary = Vocabulary() if ask.vocabulary is None else ask.vocabulary
    n, tops = len(tokens), [token.top_logprobs or () for token in tokens]
    texts = [token.token for token in tokens]
    texts += [other.token for top in tops for other in top]
    logprobs = [token.logprob for token in tokens]
    logprobs += [other.logprob for top in tops for other in top]
    offsets = _offsets(tuple(map(len, tops)))
    reported = reported_bytes(body, start, end, len(texts))
    if reported is ...:  # a missing field becomes null for a chosen token and stays missing for an alternative
        indices = vocabulary.add_texts(texts[:n], None) + vocabulary.add_texts(texts[n:], ...)
    elif reported is False:
        indices = [UNREAD] * len(texts)
    else:
        indices = vocabulary.add_texts(texts, reported)
    if reported is False or (vocabulary.has_unread and UNREAD in indices):
        rows = decode(part, _Rows, NAME, at=_TABLE_PATH)
        _read_exactly(indices, offsets, (rows.refusal if is_refusal else rows.content) or [], vocabulary)
    table = Logprobs.from_lists(vocabulary, indices, logprobs, offsets, vocab_size=ask.vocab_size)
    if table.top_counts.sum() < len(indices) - n:
        remarks.append(REPEATED)
    return table


def _read_exactly(
    indices: list[int], offsets: NDArray[np.int32], rows: list[msgspec.Raw], vocabulary: Vocabulary
) -> None:
    """Replace the indices that are UNREAD, by the bytes of their tokens."""
    n = len(rows)
    unread = np.flatnonzero(np.array(indices) == UNREAD)
    in_row = np.where(unread < n, unread, np.searchsorted(offsets, unread - n, "right") - 1)
    for row in np.unique(in_row).tolist():
        token = decode(bytes(rows[row]), _ExactToken, NAME, at=f"{_TABLE_PATH}.content[{row}]")
        indices[row] = _token_index(vocabulary, (token.token, bytes(token.bytes) or b"null"))
        start, stop = n + int(offsets[row]), n + int(offsets[row + 1])
        indices[start:stop] = [
            _token_index(vocabulary, (other.token, bytes(other.bytes))) for other in token.top_logprobs or ()
        ]


@lru_cache(256)
def _offsets(counts: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the start of each token's alternatives; cached, because answers of equal shape have equal offsets."""
    return np.array([0, *accumulate(counts)], np.int32)


def _token_index(vocabulary: Vocabulary, key: tuple[str, bytes]) -> int:
    known = vocabulary.spelt.get(key)
    if known is not None:
        return known
    text, raw = key
    octets: RawBytes = ... if raw == b"" else None
    if raw not in (b"", b"null"):
        octets = bytes(decode(raw, _Octets, NAME, at=f"{_TABLE_PATH}.content[…].bytes"))
        if not may_hide_bytes(text):
            octets = text.encode()
    index = vocabulary.spelt[key] = vocabulary.add(text, octets)
    return index


def _intern(word: str | None) -> str | None:
    """Return one object for equal words, which thousands of answers repeat."""
    return word if word is None else sys.intern(word)


def _is_refusal(message: _Message) -> bool:
    return message.content is None and message.refusal is not None


def _split_table(body: bytes, ask: Ask) -> tuple[bytes | None, Logprobs | None]:
    """Return the body with null in place of its table, and the table, if the fields have the usual order.

    The table is by far the largest part of a body; here it is decoded only once. The bytes between the two keys are
    used only if they are a table without a fault and the rest of the body is a valid reply; else both results are None.
    """
    start, end = body.find(_TABLE_KEY), body.rfind(_NEXT_KEY)
    if not 0 <= start < end:
        return None, None
    start += len(_TABLE_KEY)
    stop = body.rfind(b",", start, end)
    if stop < 0 or body[stop + 1 : end].strip() or body[start : start + 64].lstrip()[:1] != b"{":
        return None, None
    rest = b"%bnull,%b" % (body[:start], body[end:])
    try:
        choices = msgspec.json.decode(rest, type=_Reply).choices
        if choices and len(choices) == 1 and bytes(choices[0].logprobs) == b"null":
            remarks: list[str] = []
            table = _parse_table(body, start, stop, _is_refusal(choices[0].message), ask, remarks)
            if not remarks and (table is None or find_contradiction(table) is None):
                return rest, table
    except (msgspec.DecodeError, UnicodeDecodeError, MalformedResponseError):
        pass
    return None, None


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
