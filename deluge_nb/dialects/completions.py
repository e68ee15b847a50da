"""OpenAI's older completions API: it continues raw text, and its alternatives are keyed by their text."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from ..errors import MalformedResponseError, SettingError
from ..prompts import text_only
from . import openai
from .base import Ask, Completion, Exchange, Request, converse
from .choices import ChoiceReader
from .reading.alternatives import least_alternatives
from .reading.answer import checked
from .reading.decode import decode
from .reading.faults import Faults
from .reading.fitting import read_counts
from .reading.thinking.fields import join_parts, thinking_of

NAME = "completions"

_SAME_NAME_SETTINGS = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "n")


class _Choice(msgspec.Struct):
    text: str = ""
    # The chat API has one of these in its place.
    message: openai.WireMessage | None = None
    delta: openai.WireMessage | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


def build_request(ask: Ask) -> Request:
    """Return the HTTP request for an ask.

    Raises
    ------
    SettingError
        For features of a chat: several messages, tools, a schema.
    """
    params, settings = ask.params, ask.params.chosen()
    body: dict[str, Any] = {"model": ask.model, "prompt": _text(ask)}
    body |= {name: settings[name] for name in _SAME_NAME_SETTINGS if settings.get(name) is not None}
    if params.logprobs:
        body["logprobs"] = least_alternatives(params, ask.endpoint)
    if params.max_new_tokens is not None:
        body["max_tokens"] = params.max_new_tokens
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias is not None:
        body["logit_bias"] = {str(token): bias for token, bias in params.logit_bias.items()}
    reader = partial(ChoiceReader, ask, NAME, partial(openai.read_table, ask=ask), chat=False)
    return Request("/completions", body | (params.extra_body or {}), make_reader=reader)


def parse_response(body: bytes, ask: Ask) -> Completion:
    """Parse a successful reply.

    Raises
    ------
    MalformedResponseError
        When the body is not a completion; names the field.
    RequestError
        When the reply reports an error despite its status.
    """
    faults = Faults()
    reply = decode(body, _Reply, NAME, faults=faults)
    if not reply.choices:
        excerpt = body[:200].decode("utf-8", "replace")
        raise faults.error or MalformedResponseError(
            f"{ask.model!r} answered without choices: {excerpt}", dialect=NAME, field="choices", excerpt=excerpt
        )
    choice = reply.choices[0]
    message = choice.message or choice.delta
    content = join_parts(message.content, faults, "choices[0].message.content") if message is not None else None
    text = choice.text or content or ""
    faults.check_answer(is_empty=not text)
    has_table = bytes(choice.logprobs) not in (b"", b"null", b"{}")
    completion = Completion(
        text=text,
        logprobs=openai.read_table(choice.logprobs, ask, faults, text=text) if has_table else None,
        finish_reason=choice.finish_reason,
        usage=read_counts(reply.usage, faults),
        model=reply.model,
        raw=body,
        thinking=None if message is None else thinking_of(message, message.content),
        notes=faults.notes,
    )
    return checked(ask.model, body, completion, reply.error, choice.error)


def exchange(ask: Ask) -> Exchange:
    """Send one request and parse its reply, which may be streamed."""
    return (yield from converse(ask, build_request, parse_response, openai.as_stream_request))


def _text(ask: Ask) -> str:
    prompt = ask.prompt
    if ask.tools or ask.output_schema is not None:
        raise SettingError(f"{ask.model!r} continues text and has neither tools nor output_schema.", setting="tools")
    if prompt.raw is not None:
        return prompt.raw
    message = prompt.messages[0] if len(prompt.messages) == 1 and prompt.prefill is None else None
    if message is None or message["role"] != "user":
        raise SettingError(
            f"{ask.model!r} continues text and cannot hold a conversation; send one text, or use a chat model.",
            setting="prompt",
        )
    return text_only(message, ask.model) or ""
