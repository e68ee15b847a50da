"""Fields of a request that a server refuses: which one its refusal names, and the request without it.

Only a field that the user did not set is left out; the two names of the limit of tokens stand for each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ...errors import DelugeError

if TYPE_CHECKING:
    from ...dialects.base import Ask, Exchange

_REFUSING = frozenset({400, 406, 422, 501})
# Other failures, too, where the reply says that it does not know a field.
_OTHERWISE_REFUSING = frozenset({403, 404, 405, 415, 500})
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
_ALWAYS_OWN = ("stream_options", "store", "options", "cache_prompt", "strict")
PROMPT_FIELDS = frozenset({"messages", "input", "prompt", "contents"})
"""Fields of the prompt."""
# Fields that the user cannot choose: a refusal that names one of them is about another field, or about the request.
_STRUCTURE = PROMPT_FIELDS | {"model", "stream"}
# Fields that hold others, and those among them that are not the user's.
_NESTED = ("generationConfig", "options")
_HOLDING_STRICT = ("response_format", "response_format.json_schema", "text", "text.format", "tools")
# The value is at fault, and the field itself is known.
_BAD_VALUE = re.compile(
    r"too (?:large|big|small|long|many|high|low)|at (?:most|least)|exceed|(?:less|greater|more) than|maximum|minimum"
    r"|positive|between|range|context (?:length|window)",
    re.IGNORECASE,
)
_SHORTEST_WORD = 4
# Not stream_options: an underscore is a part of the word.
_STREAMING = re.compile(r"\bstream(?:ing|ed|s)?\b(?![\s-]?options)", re.IGNORECASE)
_LOCATION = re.compile(r"/?[A-Za-z_][\w./-]*")
# Keys of an error's body that give the place of a field, and those of a list of fields.
_PLACES = (
    *("loc", "param", "parameter", "field", "path", "instancePath", "pointer", "argument", "property"),
    *("additionalProperty", "keys"),
)
_UNKNOWN_FIELD = re.compile(
    r"un(?:known|recogni[sz]ed|supported|expected)"
    r"|not (?:\w+ )?(?:known|recogni[sz]ed|supported|permitted|allowed|available)"
    r"|does ?n[o']t (?:\w+ )?(?:support|know|accept|allow)|forbidden|extra inputs",
    re.IGNORECASE,
)
# What follows is a list of the fields that the server takes.
_ACCEPTED = re.compile(
    r"expected one of|must be one of|\b(?:allowed|accepted|supported|valid|known|permitted|available|possible|expected)"
    r"(?: \w+){0,2}(?: are\b:?| is\b:?|:)",
    re.IGNORECASE,
)


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
    if not ask.stream:
        own.add("stream")
    if ask.endpoint.dialect == "anthropic":  # it requires a limit
        own.discard("max_tokens")
    return frozenset(
        path for path in _paths(body) if path.rpartition(".")[2] in own and path.partition(".")[0] not in user
    )


def is_refusal(error: DelugeError) -> bool:
    """Return whether a failure may be the refusal of a field: by its status, or else by its words."""
    status = getattr(error, "status_code", None)
    is_inside = status is None and getattr(error, "body", None) is not None  # of a successful reply
    return status in _REFUSING or (
        (status in _OTHERWISE_REFUSING or is_inside) and _UNKNOWN_FIELD.search(refusal_text(error)) is not None
    )


def find_refused(error: DelugeError, ask: Ask, body: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return the field that a refusal names, and True if its other name may do; None if there is nothing to change.

    The place of a field that the body gives counts most, then the message, then the rest of the body, which may repeat
    the request. Where one of them names fields of the user's alone, nothing is left out.
    """
    own = own_fields(ask, body)
    paths = sorted(_paths(body), key=len, reverse=True)
    refusal = getattr(error, "body", None)
    places = " ".join(name.replace(".", " ") for name in _located(refusal))
    for text in (places, _before_accepted(str(error)), _before_accepted(refusal_text(error))):
        named = [path for path in paths if _names(text, path)]
        for path in named:
            if _is_renamable(path, ask) and not _BAD_VALUE.search(refusal_text(error)):
                return path, True
            if path in own:
                return path, False
        if not _STRUCTURE.issuperset(named):
            return None
    return None


def refuses_streaming(error: DelugeError) -> bool:
    """Return whether a refusal is about streaming."""
    return getattr(error, "status_code", None) == HTTPStatus.NOT_ACCEPTABLE or bool(
        _STREAMING.search(refusal_text(error))
    )


def refusal_text(error: DelugeError) -> str:
    """Return the message of a failure and the texts of its body.

    Other values are left out, with their names: a body may repeat the request.
    """
    return " ".join((str(error), *_texts(getattr(error, "body", None))))


def with_field_named(error: DelugeError) -> DelugeError:
    """Return a refusal whose message names the field, where only its body does."""
    body = getattr(error, "body", None)
    if not is_refusal(error) or not isinstance(body, dict | list):
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


def _edited(exchange: Exchange, ask: Ask) -> Exchange:
    from ...dialects.base import Request, advance

    request = next(exchange)
    while True:
        body = request.body
        if body:
            request = replace(request, body=_without(body, ask))
        try:
            reply = yield request
        except DelugeError as error:
            reply = error
        result = advance(exchange, reply)
        if not isinstance(result, Request):
            return result
        request = result


def _without(body: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    kept = _dropped(body, ask.left_out & own_fields(ask, body))
    return {OTHER_NAMES[name] if name in ask.renamed else name: value for name, value in kept.items()}


def _dropped(fields: Mapping[str, Any], dropped: frozenset[str], at: str = "") -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        path = at + name
        if path in dropped:
            continue
        if any(other.startswith(f"{path}.") for other in dropped):
            inner = [_dropped(item, dropped, f"{path}.") if isinstance(item, dict) else item for item in _items(value)]
            value = inner if isinstance(value, list) else inner[0]
        kept[name] = value
    return kept


def _paths(fields: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for name, value in fields.items():
        path = at + name
        if path not in _HOLDING_STRICT or not at:
            yield path
        for item in _items(value):
            if path in _NESTED and isinstance(item, dict):
                yield from (f"{path}.{inner}" for inner in item)
            elif path in _HOLDING_STRICT and isinstance(item, dict):
                yield from (inner for inner in _paths(item, f"{path}.") if inner.endswith(".strict"))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _before_accepted(text: str) -> str:
    """Return a refusal up to the list of the fields that the server takes."""
    start = _ACCEPTED.search(text)
    return text if start is None else text[: start.start()]


def _is_renamable(path: str, ask: Ask) -> bool:
    is_known = path in OTHER_NAMES and path not in ask.renamed and ask.endpoint.dialect == "openai"
    return is_known and path not in (ask.params.extra_body or {})


def _names(text: str, path: str) -> bool:
    """Return whether a refusal names a field, as a whole word."""
    return _word(path.rpartition(".")[2]).search(text) is not None


@lru_cache(256)
def _word(name: str) -> re.Pattern[str]:
    """Return the pattern of a field's name in any spelling: ``top_logprobs``, ``topLogprobs``, "Top logprobs"."""
    first, *others = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name) or [name]
    if others:
        word = "(?i:" + r"[\s_-]?".join(map(re.escape, (first, *others))) + ")"
    else:  # a single word may be one of the sentence
        word = re.escape(name) if len(name) < _SHORTEST_WORD else f"[{name[0].upper()}{name[0]}]{re.escape(name[1:])}"
    # Letters of other alphabets may stand beside it without a space.
    return re.compile(rf"(?<![A-Za-z0-9_-]){word}(?![A-Za-z0-9_-])")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            texts = [str(item)] if key == "code" and isinstance(item, int) else list(_texts(item))
            if texts and not isinstance(item, dict):
                yield str(key)
            yield from texts


def _located(value: Any) -> Iterator[str]:
    """Yield the names of fields that an error's body gives in ``loc``, ``param`` and their like."""
    if isinstance(value, list):
        for item in value:
            yield from _located(item)
    elif isinstance(value, dict):
        for key in _PLACES:
            place = value.get(key)
            if isinstance(place, str) and _LOCATION.fullmatch(place):
                yield place.strip("/").replace("/", ".")
            elif isinstance(place, list) and (
                names := [part for part in place if isinstance(part, str) and part != "body"]
            ):
                yield ".".join(names)
        for item in value.values():
            if isinstance(item, dict | list):
                yield from _located(item)
