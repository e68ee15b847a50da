"""Fields of a request that a server refuses: which one its refusal names, and the request without it.

Only a field that the user did not set is left out; the two names of the limit of tokens stand for each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import RequestError

if TYPE_CHECKING:
    from ...dialects.base import Ask, Completion, Exchange, Request
    from ...errors import DelugeError

REFUSING = frozenset({400, 422, 501})
"""Statuses with which servers refuse a field."""
OTHER_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two names of one field of the chat API."""
# Fields of requests, by the settings that they are made of.
_FIELDS = {
    "temperature": ("temperature",),
    "top_p": ("top_p", "p", "topP"),
    "max_new_tokens": ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "num_predict"),
    "reasoning_effort": ("reasoning_effort", "reasoning", "think", "thinkingConfig"),
    "seed": ("seed",),
}
# Fields that no setting asks for. An API that needs one of them never refuses it.
_ALWAYS_OWN = ("stream_options", "store", "options")
# Fields that hold others.
_NESTED = ("generationConfig", "options")
# The value is at fault, and the field itself is known.
_BAD_VALUE = re.compile(
    r"too (?:large|big|small|long|many|high|low)|at (?:most|least)|exceed|(?:less|greater|more) than|maximum|minimum"
    r"|positive|between|range|context (?:length|window)",
    re.IGNORECASE,
)
# Not stream_options: an underscore is a part of the word.
_STREAMING = re.compile(r"\bstream(?:ing|ed|s)?\b", re.IGNORECASE)
_LOCATION = re.compile(r"[A-Za-z_][\w.]*")


def own_fields(ask: Ask, body: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields of a request that the user did not set; a field inside another has both names."""
    filled = ask.params.filled
    user = set(ask.params.extra_body or {}) - {name.removeprefix("extra_body.") for name in filled}
    own = {*_ALWAYS_OWN, *(name.removeprefix("extra_body.") for name in filled if name.startswith("extra_body."))}
    for setting, fields in _FIELDS.items():
        if setting in filled or getattr(ask.params, setting) is None:
            own.update(fields)
    if ask.params.top_logprobs is None:
        own.add("top_logprobs")
    if ask.endpoint.dialect == "anthropic":  # it requires a limit
        own.discard("max_tokens")
    return frozenset(
        path for path in _paths(body) if path.rpartition(".")[2] in own and path.partition(".")[0] not in user
    )


def find_refused(error: DelugeError, ask: Ask, body: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return the field that a refusal names, and True if its other name may do; None if there is nothing to change."""
    text = _refusal(error)
    own = own_fields(ask, body)
    for path in sorted(_paths(body), key=len, reverse=True):
        name = path.rpartition(".")[2]
        if not _names(text, path):
            continue
        if name in OTHER_NAMES and name not in ask.renamed and path == name and ask.endpoint.dialect == "openai":
            if name in (ask.params.extra_body or {}) or _BAD_VALUE.search(text):
                continue
            return name, True
        if path in own:
            return path, False
    return None


def refuses_streaming(error: DelugeError) -> bool:
    """Return whether a refusal is about streaming."""
    return _STREAMING.search(_refusal(error)) is not None


def with_field_named(error: DelugeError) -> DelugeError:
    """Return a refusal whose message names the field, where only its body does."""
    body = getattr(error, "body", None)
    if getattr(error, "status_code", None) not in REFUSING or not isinstance(body, dict | list):
        return error
    names = [name for name in _located(body) if name not in str(error)]
    if names:
        error.args = (f"{str(error).rstrip('.')} (field: {', '.join(dict.fromkeys(names))})", *error.args[1:])
    return error


def exchange_without(exchange: Exchange, ask: Ask) -> Exchange:
    """Return an exchange whose requests lack the fields that the server has refused."""
    if not ask.left_out and not ask.renamed:
        return exchange
    return _edited(exchange, ask)


def first_body(exchange: Exchange) -> Mapping[str, Any]:
    """Return the body of the first request of an exchange, which is then closed."""
    try:
        return next(exchange).body or {}
    except StopIteration:
        return {}
    finally:
        exchange.close()


def _edited(exchange: Exchange, ask: Ask) -> Generator[Request, bytes, Completion]:
    request = next(exchange)
    while True:
        body = request.body
        if body:
            request = replace(request, body=_without(body, ask))
        try:
            reply = yield request
        except RequestError as error:
            proceed = partial(exchange.throw, error)
        else:
            proceed = partial(exchange.send, reply)
        try:
            request = proceed()
        except StopIteration as end:
            return end.value


def _without(body: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    dropped = ask.left_out & own_fields(ask, body)
    edited: dict[str, Any] = {}
    for name, value in body.items():
        if name in dropped:
            continue
        if name in _NESTED and isinstance(value, dict):
            value = {inner: item for inner, item in value.items() if f"{name}.{inner}" not in dropped}
        edited[OTHER_NAMES[name] if name in ask.renamed else name] = value
    return edited


def _paths(body: Mapping[str, Any]) -> Iterator[str]:
    for name, value in body.items():
        yield name
        if name in _NESTED and isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)


def _refusal(error: DelugeError) -> str:
    body = getattr(error, "body", None)
    return f"{error} {body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)}"


def _names(text: str, path: str) -> bool:
    """Return whether a refusal names a field, as a whole word."""
    name = path.rpartition(".")[2]
    # Google's messages write its fields in snake case.
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in {name, snake})


def _located(value: Any) -> Iterator[str]:
    """Yield the names of fields that an error's body gives in ``loc`` or ``param``."""
    if isinstance(value, list):
        for item in value:
            yield from _located(item)
    elif isinstance(value, dict):
        place = value.get("loc") or value.get("param")
        if isinstance(place, str) and _LOCATION.fullmatch(place):
            yield place
        elif isinstance(place, list) and (
            names := [part for part in place if isinstance(part, str) and part != "body"]
        ):
            yield names[-1]
        for item in value.values():
            if isinstance(item, dict | list):
                yield from _located(item)
