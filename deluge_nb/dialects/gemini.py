"""Google's generateContent API, of the Gemini API and of Vertex AI."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from ..errors import MalformedResponseError, RequestError
from ..logprobs.columns import Builder
from ..logprobs.table import Logprobs
from ..prompts import Picture, read_parts, text_only
from ..tools import ToolCall
from . import openai
from .base import Ask, Completion, Delta, Exchange, Request, StreamReader, converse
from .reading.answer import checked, failure
from .reading.decode import decode
from .reading.failures import is_failure
from .reading.faults import Faults
from .reading.fitting import read_counts
from .reading.tables import build_checked
from .reading.thinking.rows import first_row

NAME = "gemini"

_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "seed": "seed",
    "max_new_tokens": "maxOutputTokens",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "n": "candidateCount",
}
_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    token: str = ""
    token_id: int | None = None
    log_probability: float | None = None


class _TopCandidates(msgspec.Struct, gc=False):
    candidates: list[_Candidate] | None = None


class _Result(msgspec.Struct, rename="camel"):
    chosen_candidates: list[_Candidate] | None = None
    top_candidates: list[_TopCandidates] | None = None


class _FunctionCall(msgspec.Struct):
    name: str
    args: dict[str, Any] | None = None
    id: str | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    function_call: _FunctionCall | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Answer(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    logprobs_result: _Result | None = None
    error: Any = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Reply(msgspec.Struct, rename="camel"):
    candidates: list[_Answer] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: dict[str, Any] | None = None
    model_version: str | None = None
    error: Any = None


def build_request(ask: Ask) -> Request:
    """Return the HTTP request for an ask."""
    params, settings = ask.params, ask.params.chosen()
    config: dict[str, Any] = {
        theirs: settings[ours] for ours, theirs in _NAMES.items() if settings.get(ours) is not None
    }
    if params.logprobs:
        config["responseLogprobs"] = True
        if params.top_logprobs:
            config["logprobs"] = params.top_logprobs
    if params.stop:
        config["stopSequences"] = list(params.stop)
    if params.reasoning_effort is not None:
        effort = params.reasoning_effort
        config["thinkingConfig"] = {"thinkingBudget": 0} if effort == "none" else {"thinkingLevel": effort}
    if ask.output_schema is not None:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": dict(ask.output_schema.schema)}
    messages = openai.messages(ask)
    body: dict[str, Any] = {"contents": list(_contents(messages, ask.model))}
    instructions = [message for message in messages if _is_instruction(message)]
    system = "\n\n".join(text_only(message, ask.model, " in a system message") or "" for message in instructions)
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if ask.tools:
        definitions = [
            {"name": tool.name, "description": tool.description, "parametersJsonSchema": dict(tool.parameters)}
            for tool in ask.tools
        ]
        body["tools"] = [{"functionDeclarations": definitions}]
    extra = dict(params.extra_body or {})
    config |= extra.pop("generationConfig", {})
    if config:
        body["generationConfig"] = config
    return Request(
        f"/models/{quote(ask.model, safe='')}:generateContent", body | extra, make_reader=partial(_Reader, ask)
    )


def parse_response(body: bytes, ask: Ask) -> Completion:
    """Parse a successful reply.

    Raises
    ------
    MalformedResponseError
        When the body does not fit this dialect; names the field.
    RequestError
        When the prompt was blocked, or the reply reports an error despite its status.
    """
    faults = Faults()
    reply = decode(body, _Reply, NAME, faults=faults)
    if not reply.candidates:
        raise _missing_candidates(reply, body, ask)
    answer = reply.candidates[0]
    parts = (answer.content.parts if answer.content is not None else None) or []
    texts = [part.text for part in parts if part.text is not None and not part.thought]
    calls = tuple(_tool_call(part.function_call) for part in parts if part.function_call is not None)
    faults.check_answer(is_empty=not (texts or calls))
    reason = answer.finish_reason
    completion = Completion(
        text="".join(texts) if texts or not calls else None,
        logprobs=_table(answer.logprobs_result, ask, faults),
        finish_reason="tool_calls" if calls else _REASONS.get(reason or "", (reason or "").lower() or None),
        usage=_usage(read_counts(reply.usage_metadata, faults, "usageMetadata")),
        model=reply.model_version,
        tool_calls=calls,
        raw=body,
        thinking="".join(part.text or "" for part in parts if part.thought) or None,
        notes=faults.notes,
    )
    return checked(ask.model, body, completion, reply.error, answer.error)


def exchange(ask: Ask) -> Exchange:
    """Send one request and parse its reply, which may be streamed."""
    return (yield from converse(ask, build_request, parse_response, _as_stream))


def _as_stream(request: Request, _: Ask) -> Request:
    return replace(request, path=request.path.replace(":generateContent", ":streamGenerateContent?alt=sse"))


class _Reader(StreamReader):
    """Parser of a stream whose events are replies with parts of the answer."""

    # Other events may follow the finish reason, with the token counts.
    final = False

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._reply: dict[str, Any] = {}
        self._answer: dict[str, Any] = {}
        self._parts: list[Any] = []
        self._lists: dict[str, list[Any]] = {"chosenCandidates": [], "topCandidates": []}

    @property
    def complete(self) -> bool:
        """True if the server has sent a finish reason."""
        return self._answer.get("finishReason") is not None

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed."""
        answer = {**self._answer, "content": {"role": "model", "parts": self._parts}}
        answer.pop("logprobsResult", None)
        answer.pop("error", None)
        if self._lists["chosenCandidates"]:
            answer["logprobsResult"] = self._lists
        return msgspec.json.encode({**self._reply, "candidates": [answer]} if self._answer else self._reply)

    def read(self, event: bytes) -> Iterable[Delta]:
        """Return the additions of one event to the answer."""
        fields: Any = decode(event, Any, NAME)
        if isinstance(fields, list) and fields:
            fields = fields[0]
        piece = decode(msgspec.json.encode(fields), _Reply, NAME, faults=self.faults)
        answer = piece.candidates[0] if piece.candidates else None
        if answer is not None:
            yield from self._additions(fields["candidates"][0], answer)
        reason = (answer.finish_reason or "") if answer is not None else ""
        error = piece.error or (answer.error if answer is not None else None)
        if error or is_failure(reason):
            raise failure(self.ask.model, event, error or False, Completion(None, finish_reason=reason or None))
        self._reply |= {name: value for name, value in fields.items() if name != "candidates"}
        if answer is not None:
            self._answer |= fields["candidates"][0]

    def _additions(self, fields: dict[str, Any], answer: _Answer) -> Iterable[Delta]:
        content, result = fields.get("content"), fields.get("logprobsResult")
        parts = content.get("parts") if isinstance(content, dict) else None
        self._parts += parts if isinstance(parts, list) else []
        lists = [result.get(name) for name in self._lists] if isinstance(result, dict) else []
        # Padded to one list of alternatives per token, because some events lack them.
        chosen, alternatives = (list(item) if isinstance(item, list) else [] for item in (*lists, None, None)[:2])
        self._lists["chosenCandidates"] += chosen
        self._lists["topCandidates"] += (alternatives + [{} for _ in chosen])[: len(chosen)]
        read = (answer.content.parts if answer.content is not None else None) or []
        text = "".join(part.text or "" for part in read if not part.thought)
        # What does not fit is recorded when the whole table is read.
        rows = _table(answer.logprobs_result, self.ask, Faults())
        thought = "".join(part.text or "" for part in read if part.thought)
        if thought:
            start = None if rows is None or not text else first_row(rows, text)
            yield Delta(thought, rows if rows is None or start is None else rows[:start], True)
            rows = None if rows is None or start is None else rows[start:]
        if text or rows:
            yield Delta(text, rows)


def _is_instruction(message: Mapping[str, Any]) -> bool:
    return message["role"] in ("system", "developer")


def _parts(message: Mapping[str, Any], model: str) -> list[dict[str, Any]]:
    """Return the texts and pictures of a message; texts that follow each other are one."""
    parts: list[dict[str, Any]] = []
    for part in read_parts(message, model):
        if isinstance(part, Picture):
            if part.data is not None:
                parts.append({"inlineData": {"mimeType": part.media_type, "data": part.data}})
            else:
                kind = mimetypes.guess_type(urlsplit(part.url).path)[0] or "image/jpeg"
                parts.append({"fileData": {"mimeType": kind, "fileUri": part.url}})
        elif parts and "text" in parts[-1]:
            parts[-1]["text"] += part
        elif part:
            parts.append({"text": part})
    return parts


def _contents(messages: list[Mapping[str, Any]], model: str) -> Iterable[dict[str, Any]]:
    names_by_id: dict[str, str] = {}
    for message in messages:
        if _is_instruction(message):
            continue
        if message["role"] == "tool":
            text = text_only(message, model, " in a tool's result")
            identity = message.get("tool_call_id", "")
            name = message.get("name") or names_by_id.get(identity, identity)
            parts = [{"functionResponse": {"name": name, "response": {"result": text}}}]
        else:
            parts = _parts(message, model)
        for call in message.get("tool_calls") or ():
            function = call["function"]
            names_by_id[call.get("id", "")] = function["name"]
            written = function.get("arguments") or "{}"
            arguments = json.loads(written) if isinstance(written, str) else written
            parts.append({"functionCall": {"name": function["name"], "args": arguments}})
        yield {"role": "model" if message["role"] == "assistant" else "user", "parts": parts}


def _table(result: _Result | None, ask: Ask, faults: Faults) -> Logprobs | None:
    if result is None or result.chosen_candidates is None:
        return None
    builder, lists = Builder(ask.vocabulary), result.top_candidates or []
    for position, chosen in enumerate(result.chosen_candidates):
        builder.add_token(chosen.token, chosen.log_probability, token_id=chosen.token_id)
        for other in (lists[position].candidates if position < len(lists) else None) or ():
            builder.add_alternative(other.token, other.log_probability, token_id=other.token_id)
    return build_checked(builder, faults, ask.vocab_size)


def _usage(counts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    thoughts = counts.get("thoughtsTokenCount") or 0
    prompt, completion = counts.get("promptTokenCount") or 0, (counts.get("candidatesTokenCount") or 0) + thoughts
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": counts.get("totalTokenCount") or prompt + completion,
        "prompt_tokens_details": {"cached_tokens": counts.get("cachedContentTokenCount") or 0},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }


def _tool_call(call: _FunctionCall) -> ToolCall:
    return ToolCall(call.name, call.args or {}, call.id, json.dumps(call.args or {}))


def _missing_candidates(reply: _Reply, body: bytes, ask: Ask) -> MalformedResponseError | RequestError:
    blocked = reply.prompt_feedback.block_reason if reply.prompt_feedback is not None else None
    if blocked is not None:
        reason = f"the prompt was blocked ({blocked})"
        return RequestError(f"{ask.model!r}: {reason}", model=ask.model, body=decode(body, Any, NAME))
    excerpt = body[:200].decode("utf-8", "replace")
    return MalformedResponseError(
        f"{ask.model!r} answered without candidates: {excerpt}", dialect=NAME, field="candidates", excerpt=excerpt
    )
