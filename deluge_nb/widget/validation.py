"""Check the values of a view's traits: one sentence for each that is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import SettingError


def position(name: str, value: int | None, size: int) -> int | None:
    """Return the position of one of ``size`` tokens, or None for none.

    Raises
    ------
    SettingError
        When there is no such token.
    """
    if value is not None and not 0 <= value < size:
        allowed = f"None or a position from 0 to {size - 1}" if size else "None where there are no tokens"
        raise invalid(name, allowed, value)
    return value


def positions(name: str, values: Sequence[Any], size: int) -> list[int]:
    """Return positions of ``size`` tokens as a list.

    Raises
    ------
    SettingError
        When one is not the position of a token.
    """
    if not all(isinstance(value, int) and 0 <= value < size for value in values):
        raise invalid(name, f"positions from 0 to {size - 1}", list(values))
    return list(values)


def span(name: str, values: Sequence[Any], size: int) -> list[int]:
    """Return ``[start, stop]`` within ``size`` tokens, or an empty list.

    Raises
    ------
    SettingError
        When it is neither.
    """
    is_whole = all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in values)
    if len(values) and not (is_whole and len(values) == 2 and 0 <= values[0] < values[1] <= size):
        raise invalid(name, f"empty or [start, stop] with 0 <= start < stop <= {size}", list(values))
    return [int(value) for value in values]


def limits(name: str, values: Sequence[Any]) -> list[float]:
    """Return two values in order, or an empty list.

    Raises
    ------
    SettingError
        When it is neither.
    """
    numbers = [float(value) for value in values]
    if numbers and not (len(numbers) == 2 and numbers[0] <= numbers[1]):
        raise invalid(name, "empty or two values, the lower one first", numbers)
    return numbers


def between(name: str, value: float, low: float, high: float, allowed: str, *, open_low: bool = False) -> float:
    """Return a number within an interval; with ``open_low`` the lower end is not part of it.

    Raises
    ------
    SettingError
        When the number lies outside.
    """
    if not (low < value <= high if open_low else low <= value <= high):
        raise invalid(name, allowed, value)
    return value


def invalid(name: str, allowed: str, value: Any) -> SettingError:
    """Return the error for a trait that cannot have a value."""
    return SettingError(f"{name} must be {allowed}, not {value!r}.", setting=name, value=value)
