"""Decoding of replies: typed objects from JSON, also if it is not quite valid, and the reason of a failure."""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from ...errors import MalformedResponseError
from ...logprobs.columns import replace_surrogates
from .failures import REASON_FIELDS
from .faults import Faults
from .fitting import Misfit, fit
from .framing.documents import MAX_DEPTH, NestingError, parse_json
from .framing.halves import join_rows

T = TypeVar("T")

# Characters; longer than the sentences of providers, and short enough for a table of errors.
_MAX_MESSAGE_LENGTH = 400
# "retryDelay": "46s", "try again in 2m59.56s", "Please retry after 37 seconds", "retry in 46.1s"
_WAIT = re.compile(
    r"(?:\"retryDelay\"\s*:\s*\"|(?:try again|retry) (?:in|after) )(?P<time>(?:\d+(?:\.\d+)?\s*(?:h|ms|m|s))+)",
    re.IGNORECASE | re.ASCII,  # else a long s is an s
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(h|ms|m|s)", re.IGNORECASE | re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
# The beginning of a page; its head has the title.
_TITLE = re.compile(r"\A.{0,5000}?<title\b[^>]{0,200}>([^<]{1,1000})<", re.IGNORECASE | re.DOTALL)
_PATH = re.compile(r" - at `\$\.?(.*?)`$")


@dataclass(frozen=True, slots=True)
class ServerError:
    """Reason that a server gives for a failure: one line of text, its code, and the parsed body.

    ``wait`` is the number of seconds to wait before the next attempt, if the body gives one.
    """

    message: str
    code: str | None = None
    body: Any = None
    wait: float | None = None


def decode(body: bytes | memoryview, type_: type[T], dialect: str, *, at: str = "", faults: Faults | None = None) -> T:
    """Decode JSON into a type.

    Some servers send invalid JSON: lone surrogates, NaN, numbers beyond a float's range, invalid UTF-8. Such a body is
    parsed leniently, cleaned and parsed again, so that one odd token does not make the answer fail. With ``faults``, a
    body whose optional fields do not fit the type is read without them.

    Parameters
    ----------
    body
        The JSON.
    type_
        Any type that msgspec can decode.
    dialect, at
        Name of the dialect and of the part of the reply, for errors.
    faults
        Receiver of the optional fields that do not fit.

    Raises
    ------
    MalformedResponseError
        When the body is not JSON or does not fit the type; names the field.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        reason = str(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = ""
    body = bytes(body)
    try:
        value = parse_loosely(body)
    except (ValueError, RecursionError):
        content = "an empty body" if not body.strip() else f"no JSON: {excerpt(body)!r}"
        raise MalformedResponseError(
            f"The server sent {content}.", dialect=dialect, field=at, excerpt=excerpt(body)
        ) from None
    if not reason or "out of range" in reason:
        try:
            return msgspec.json.decode(msgspec.json.encode(value), type=type_)
        except msgspec.ValidationError as error:
            reason = str(error)
    mismatch = _type_mismatch(body, dialect, at, reason)
    if faults is None:
        raise mismatch
    faults.error = faults.error or mismatch
    try:
        return fit(value, type_, faults, at)
    except (Misfit, ValueError, RecursionError):
        raise mismatch from None


def parse_loosely(body: bytes) -> Any:
    """Parse JSON that may be invalid: lone surrogates, invalid UTF-8, NaN, infinities and integers of any length.

    Raises
    ------
    ValueError, RecursionError
        When it is not JSON, or too deep.
    """
    return _clean(join_rows(parse_json(body.decode("utf-8-sig", "replace"), parse_int=_parse_integer)))


def parse_error(status: int, body: bytes) -> ServerError:
    """Return the reason in the body of a failed reply, in any of the forms that servers use; never raises."""
    text = body.decode("utf-8", "replace").strip()
    try:
        value: Any = parse_json(text)
    except NestingError:
        return ServerError(f"status {status} with a body nested more than {MAX_DEPTH} levels deep", body=text)
    except ValueError:
        if text[:1] == "<":  # of an HTML page, as proxies send, only the title is a useful message
            title = _TITLE.search(text)
            text = f"a page with the title {html.unescape(one_line(title[1]))!r}" if title and title[1].strip() else ""
        return ServerError(one_line(text) or f"status {status} without an explanation", body=text or None)
    reason = value[0] if isinstance(value, list) and value else value
    code = None
    while isinstance(reason, dict):
        code = reason.get("code") or reason.get("type") or reason.get("status") or code
        # Not a number or a flag, which says only that there is a reason.
        values = (reason.get(name) for name in REASON_FIELDS)
        inner = next((value for value in values if value and isinstance(value, str | dict | list)), None)
        if inner is None:
            break
        if isinstance(reason.get("error"), str) and isinstance(reason.get("message"), str):
            inner = reason["message"] or inner  # the error is then the name of a kind, such as "Bad Request"
        reason = inner[0] if isinstance(inner, list) and inner else inner
    message = reason if isinstance(reason, str) else json.dumps(reason, ensure_ascii=False)
    return ServerError(
        one_line(message) or f"status {status}",
        str(code) if code is not None else None,
        value,
        wait=_seconds_to_wait(text),
    )


def _seconds_to_wait(text: str) -> float | None:
    """Return the seconds that a body asks to wait, in the phrases of servers that send no header for it."""
    match = _WAIT.search(text)
    if match is None:
        return None
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(match["time"]))


def _parse_integer(digits: str) -> int | float:
    """Return an integer, or the nearest float for one that may need more than 64 bits."""
    return int(digits) if len(digits) < 19 else float(digits)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): _clean(item) for key, item in value.items()}
    return value


def _type_mismatch(body: bytes, dialect: str, at: str, reason: str) -> MalformedResponseError:
    match = _PATH.search(reason)
    path = match[1] if match else ""
    missing = re.search(r"missing required field `(\w+)`", reason)
    field = ".".join(part for part in (at, path, missing[1] if missing else "") if part).replace(".[", "[")
    fault = _PATH.sub("", reason)
    fault = f"{fault[:1].lower()}{fault[1:]}"
    return MalformedResponseError(
        f"The server's answer does not fit the {dialect} dialect at {field or 'the top'}: {fault}.",
        dialect=dialect,
        field=field,
        excerpt=excerpt(body),
    )


def excerpt(body: bytes) -> str:
    """Return the first 200 bytes of a body as text, for an error."""
    return body[:200].decode("utf-8", "replace")


def one_line(text: str) -> str:
    """Return a text on one line, cut to the length of a sentence."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_MESSAGE_LENGTH else f"{line[: _MAX_MESSAGE_LENGTH - 1]}…"
