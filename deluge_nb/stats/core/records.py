"""Result records of this package: small frozen dataclasses that compare, print and serialise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np


class Result:
    """A record of numbers. Two records are equal if all their fields are, arrays included."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python objects.

        Returns
        -------
        dict of str to object
            Arrays and tuples as lists, nested results as dicts.
        """
        return {name: _plain(getattr(self, name)) for name in _names(self)}

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(_is_equal(getattr(self, name), getattr(other, name)) for name in _names(self))

    __hash__ = None  # type: ignore[assignment]


class Ends(Result):
    """A record whose last two fields are the ends of an interval. It unpacks: ``low, high = record``."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, name) for name in _names(self)[-2:]])


def _names(record: Any) -> list[str]:
    return [field.name for field in fields(record)]


def _is_equal(left: object, right: object) -> bool:
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return bool(np.array_equal(left, right, equal_nan=left.dtype.kind == "f" and right.dtype.kind == "f"))
    return bool(left == right)


def _plain(value: object) -> Any:
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value
