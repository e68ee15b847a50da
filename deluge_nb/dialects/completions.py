"""OpenAI's old completions dialect: text goes on where the prompt ends, and alternatives are keyed by their text."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import MalformedResponseError, SettingError
from ..logprobs.table import Logprobs
from . import openai
from .base import Ask, Completion, Exchange, Request
from .decode import decode

NAME = "completions"

_PASSED_ON = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")


class _Choice(msgspec.Struct):
    text: str = ""
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")


class _Reply(msgspec.Struct):
    choices: list[_Choice] = []
    model: str | None = None
    usage: dict[str, Any] | None = None


def build_request(ask: Ask) -> Request:
    """The request for an ask.

    Raises
    ------
    SettingError
        For what only a chat has: several messages, tools, a schema.
    """
    params, settings = ask.params, ask.params.chosen()
    body: dict[str, Any] = {"model": ask.model, "prompt": _text(ask)}
    body |= {name: settings[name] for name in _PASSED_ON if settings.get(name) is not None}
    if params.logprobs:
        body["logprobs"] = params.top_logprobs or 0
    if params.max_new_tokens is not None:
        body["max_tokens"] = params.max_new_tokens
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias is not None:
        body["logit_bias"] = {str(token): bias for token, bias in params.logit_bias.items()}
    return Request("/completions", body | (params.extra_body or {}))


def parse_response(body: bytes, ask: Ask) -> Completion:
    """What a successful reply meant.

    Raises
    ------
    MalformedResponseError
        When the body is no completion; names the field.
    """
    reply = decode(body, _Reply, NAME)
    if not reply.choices:
        excerpt = body[:200].decode("utf-8", "replace")
        raise MalformedResponseError(
            f"{ask.model!r} answered without choices: {excerpt}", dialect=NAME, field="choices", excerpt=excerpt
        )
    choice = reply.choices[0]
    return Completion(
        text=choice.text,
        logprobs=_rows(choice.logprobs, False, ask) if bytes(choice.logprobs) not in (b"", b"null", b"{}") else None,
        finish_reason=choice.finish_reason,
        usage=reply.usage,
        model=reply.model,
        raw=body,
    )


def exchange(ask: Ask) -> Exchange:
    """One request, one reply, which may come in pieces."""
    request = build_request(ask)
    reply = yield openai.streamed(request, ask, NAME, _rows, chat=False) if ask.stream else request
    return parse_response(reply, ask)


def _rows(raw: msgspec.Raw, refused: bool, ask: Ask) -> Logprobs | None:
    if b'"content"' in bytes(raw)[:200]:  # llama.cpp and Ollama answer here as they do in a chat
        return openai.table(raw, refused, ask)
    return openai.columns_table(decode(bytes(raw), dict[str, Any], NAME), NAME)


def _text(ask: Ask) -> str:
    prompt = ask.prompt
    if ask.tools or ask.output_schema is not None:
        raise SettingError(f"{ask.model!r} continues text and has neither tools nor output_schema.", setting="tools")
    if prompt.raw is not None:
        return prompt.raw
    only = prompt.messages[0] if len(prompt.messages) == 1 and prompt.prefill is None else None
    if only is None or only["role"] != "user":
        raise SettingError(
            f"{ask.model!r} continues text and cannot hold a conversation; give one text, or a chat model's name.",
            setting="prompt",
        )
    return openai.text_of(only["content"]) or ""
