"""Fit parsed JSON to a type field by field, so that an odd optional field costs at most itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from .faults import Faults

T = TypeVar("T")

# Integers that a float holds exactly; a larger number is no count, index or id.
_MOST = 1 << 53
# Types of the counts of nearly all replies, which need no conversion.
_PLAIN_COUNTS = frozenset({int, dict, type(None)})


class Misfit(Exception):
    """Value that does not fit its type; ``path`` is the field."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def fit(value: Any, type_: type[T], faults: Faults, at: str = "") -> T:
    """Return parsed JSON as an object of a type, without the optional fields that do not fit.

    Such a field gets its default and is recorded. An element of a list that does not fit becomes None where the list
    may have it, and is else left out.

    Parameters
    ----------
    value
        Parsed JSON.
    type_
        Any type that msgspec can decode.
    faults
        Receiver of the fields that did not fit.
    at
        Path of the value in the reply.

    Raises
    ------
    Misfit
        When the value, or a field that must be there, does not fit.
    """
    return _fit(value, _info(type_), faults, at)


def as_number(value: Any) -> float | None:
    """Return a number, also one that is written as text, as protobuf's JSON does; None for any other value.

    Examples
    --------
    >>> from deluge_nb.dialects.reading.fitting import as_number
    >>> as_number("-Infinity"), as_number("0.5"), as_number(True), as_number("half")
    (-inf, 0.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


@cache
def _info(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


def _fit(value: Any, info: inspect.Type, faults: Faults, at: str) -> Any:
    match info:
        case inspect.AnyType():
            return value
        case inspect.RawType():
            return msgspec.Raw(msgspec.json.encode(value))
        case inspect.UnionType():
            return _fit_union(value, info, faults, at)
        case inspect.StructType():
            return _fit_struct(value, info, faults, at)
        case inspect.ListType():
            return _fit_list(value, info, faults, at)
        case inspect.DictType() if isinstance(value, dict):
            return value
        case inspect.StrType() if isinstance(value, str):
            return value
        case inspect.BoolType() if isinstance(value, bool) or value in ("true", "false"):
            return value in (True, "true")
        case inspect.FloatType() if (number := as_number(value)) is not None:
            return number
        case inspect.IntType() if (number := as_number(value)) is not None:
            return _fit_integer(number, info, at)
        case _:
            raise Misfit(at)


def _fit_integer(number: float, info: inspect.IntType, at: str) -> int:
    if not math.isfinite(number) or number != int(number) or abs(number) > _MOST:
        raise Misfit(at)
    whole = int(number)
    if (info.ge is not None and whole < info.ge) or (info.le is not None and whole > info.le):
        raise Misfit(at)
    return whole


def _fit_union(value: Any, info: inspect.UnionType, faults: Faults, at: str) -> Any:
    if value is None and info.includes_none:
        return None
    known = len(faults)
    for member in info.types:
        if isinstance(member, inspect.NoneType):
            continue
        try:
            return _fit(value, member, faults, at)
        except Misfit:
            faults.forget(known)
    raise Misfit(at)


def _fit_struct(value: Any, info: inspect.StructType, faults: Faults, at: str) -> Any:
    if isinstance(value, str) and _is_part(info):
        value = {"text": value}
    if not isinstance(value, dict):
        raise Misfit(at)
    fields: dict[str, Any] = {}
    for field in info.fields:
        path = f"{at}.{field.encode_name}" if at else field.encode_name
        if field.encode_name not in value:
            if field.required:
                raise Misfit(path)
            continue
        try:
            fields[field.name] = _fit(value[field.encode_name], field.type, faults, path)
        except Misfit as misfit:
            if field.required:
                raise
            faults.add(misfit.path)
    return info.cls(**fields)


def _is_part(info: inspect.Type) -> bool:
    """Return whether a type is that of a part with a text."""
    names = {field.encode_name for field in info.fields} if isinstance(info, inspect.StructType) else set()
    return "text" in names and not names.isdisjoint(("type", "thought"))


def _fit_list(value: Any, info: inspect.ListType, faults: Faults, at: str) -> list[Any]:
    member = info.item_type
    text = value.get("text") if isinstance(value, dict) else value
    if isinstance(text, str) and text and _is_part(member):  # in place of a list of one part
        value = [value]
    if not isinstance(value, list):
        raise Misfit(at)
    may_be_none = isinstance(member, inspect.UnionType) and member.includes_none
    items: list[Any] = []
    for index, item in enumerate(value):
        try:
            items.append(_fit(item, member, faults, f"{at}[{index}]"))
        except Misfit as misfit:
            if may_be_none:
                items.append(None)
            elif not isinstance(member, inspect.StructType | inspect.DictType):
                raise Misfit(at) from None  # a column without one of its values would be shifted
            faults.add(misfit.path)
    return items


def read_counts(usage: Mapping[str, Any] | None, faults: Faults, at: str = "usage") -> dict[str, Any] | None:
    """Return token counts without the values that are no counts; the other fields stay as they are."""
    if usage is None:
        return None
    is_plain = type(usage) is dict and all(map(_is_count, usage))
    if is_plain and all(type(value) is int and 0 <= value <= _MOST for value in usage.values()):
        return usage
    if not _PLAIN_COUNTS.issuperset(map(type, usage.values())):
        usage = {name: _as_count(value) if _is_count(name) else value for name, value in usage.items()}
    odd = [name for name, value in usage.items() if not _is_plausible(name, value)]
    for name in odd:
        faults.add(f"{at}.{name}")
    counts = {name: value for name, value in usage.items() if name not in odd}
    for name, value in counts.items():
        if isinstance(value, dict):
            counts[name] = read_counts(value, faults, f"{at}.{name}")
    return counts


@lru_cache(256)
def _is_count(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(("tokens", "tokencount", "token_count", "cost")) and lower != "tokens"


def _as_count(value: Any) -> Any:
    """Return a number that is written as text as a number, and a whole one as an integer."""
    number = as_number(value)
    if number is None or not abs(number) <= _MOST:
        return value
    return int(number) if number.is_integer() else number


def _is_plausible(name: str, value: Any) -> bool:
    """Return whether a value may be a count of tokens, details of one, or the field is neither."""
    if value is None:
        return True
    lower = name.lower()
    if _is_count(name):
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST
    return isinstance(value, dict) or not lower.endswith(("details", "units", "tokens"))
