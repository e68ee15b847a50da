"""From the bytes of a reply to typed objects, whatever state the JSON is in."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar

import msgspec

from ..errors import MalformedResponseError
from ..logprobs.columns import scrub

T = TypeVar("T")

_PATH = re.compile(r" - at `\$\.?(.*?)`$")


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
    what = "an empty body" if not body.strip() else f"no JSON: {_excerpt(body)!r}"
    raise MalformedResponseError(f"The server sent {what}.", dialect=dialect, field=at, excerpt=_excerpt(body))


def _integer(digits: str) -> int | float:
    """The number, or as near as a float comes to one that would need more than 64 bits."""
    return int(digits) if len(digits) < 19 else float(digits)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {scrub(key): _cleaned(item) for key, item in value.items()}
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
        excerpt=_excerpt(body),
    )


def _excerpt(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")
