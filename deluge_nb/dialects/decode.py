"""Read the bytes of a reply: typed objects, whatever state the JSON is in, and the reason in an error's body."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from ..errors import MalformedResponseError
from ..logprobs.columns import replace_surrogates

T = TypeVar("T")

# Long enough for any sentence a provider writes, short enough for a table of errors.
_LONGEST_MESSAGE = 400
# "retryDelay": "46s", "try again in 2m59.56s", "Please retry after 37 seconds", "retry in 46.1s"
_WAIT = re.compile(
    r"(?:\"retryDelay\"\s*:\s*\"|(?:try again|retry) (?:in|after) )(?P<time>(?:\d+(?:\.\d+)?\s*(?:h|ms|m|s))+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(h|ms|m|s)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PATH = re.compile(r" - at `\$\.?(.*?)`$")


@dataclass(frozen=True, slots=True)
class ServerError:
    """The reason that a server gives for a failure: one line of text, its own code, and the body as it could be read.

    ``wait`` is how many seconds the body says to wait before another try.
    """

    message: str
    code: str | None = None
    body: Any = None
    wait: float | None = None


def decode(body: bytes, type_: type[T], dialect: str, *, at: str = "") -> T:
    """Read JSON into a type.

    Servers send what JSON does not allow: lone surrogates, NaN, numbers beyond a float's range, broken UTF-8. Such a
    body is read leniently, cleaned and read again, so that one odd token does not cost an answer.

    Parameters
    ----------
    body
        What came.
    type_
        Anything msgspec can read into.
    dialect, at
        For the error: whose body, and which part of it.

    Raises
    ------
    MalformedResponseError
        When the body is no JSON or does not fit; names the field.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        reason = str(error)
        if "out of range" not in reason:
            raise _misfit(body, dialect, at, reason) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        read = json.loads(body.decode("utf-8-sig", "replace"), parse_int=_integer)
        return msgspec.json.decode(msgspec.json.encode(_cleaned(read)), type=type_)
    except msgspec.ValidationError as error:
        reason = str(error)
    except (ValueError, RecursionError):
        reason = ""
    if reason:
        raise _misfit(body, dialect, at, reason)
    what = "an empty body" if not body.strip() else f"no JSON: {excerpt(body)!r}"
    raise MalformedResponseError(f"The server sent {what}.", dialect=dialect, field=at, excerpt=excerpt(body))


def parse_error(status: int, body: bytes) -> ServerError:
    """Return the reason in the body of a failed reply, from any of the shapes that servers use; never raises."""
    text = body.decode("utf-8", "replace").strip()
    try:
        read: Any = json.loads(text)
    except ValueError:
        if text[:1] == "<":  # a proxy's HTML page says nothing to a person
            text = ""
        return ServerError(one_line(text) or f"status {status} without an explanation", body=text or None)
    found = read[0] if isinstance(read, list) and read else read
    code = None
    while isinstance(found, dict):
        code = found.get("code") or found.get("type") or found.get("status") or code
        inner = next((found[key] for key in ("error", "message", "detail", "msg", "error_msg") if found.get(key)), None)
        if inner is None:
            break
        found = inner[0] if isinstance(inner, list) and inner else inner
    message = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return ServerError(
        one_line(message) or f"status {status}",
        str(code) if code is not None else None,
        read,
        wait=_seconds_to_wait(text),
    )


def _seconds_to_wait(text: str) -> float | None:
    """Seconds, from the words and fields in which servers without a header for it name them."""
    found = _WAIT.search(text)
    if found is None:
        return None
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(found["time"]))


def _integer(digits: str) -> int | float:
    """The number, or as near as a float comes to one that would need more than 64 bits."""
    return int(digits) if len(digits) < 19 else float(digits)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): _cleaned(item) for key, item in value.items()}
    return value


def _misfit(body: bytes, dialect: str, at: str, reason: str) -> MalformedResponseError:
    found = _PATH.search(reason)
    path = found[1] if found else ""
    missing = re.search(r"missing required field `(\w+)`", reason)
    field = ".".join(part for part in (at, path, missing[1] if missing else "") if part).replace(".[", "[")
    told = _PATH.sub("", reason)
    told = f"{told[:1].lower()}{told[1:]}"
    return MalformedResponseError(
        f"The server's answer does not fit the {dialect} dialect at {field or 'the top'}: {told}.",
        dialect=dialect,
        field=field,
        excerpt=excerpt(body),
    )


def excerpt(body: bytes) -> str:
    """Return the beginning of a body, for an error's field."""
    return body[:200].decode("utf-8", "replace")


def one_line(text: str) -> str:
    """Return a text on one line, cut to the length of a sentence."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[: _LONGEST_MESSAGE - 1]}…"
