"""Read the numbers that a learner wrote, and say what is wrong with the form of anything else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

from ...printable import printable
from ..lesson import format_number

_LONGEST = 40
_IN_TEXT = re.compile(r"([-+]?[\d.,]+)\s*(%|bits?)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")


def as_number(value: Any) -> float | None:
    """Return a number as a float, infinite if it is too large for one; None for anything else."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # pyrefly: ignore
    except ValueError:  # a NaN of decimals that signals
        return None
    return None if math.isnan(number) else number


def as_numbers(value: Any) -> tuple[float, ...]:
    """Return the numbers of a tuple, a list or an array; none for anything else."""
    if isinstance(value, str | bytes | dict | set | frozenset) or not isinstance(value, Iterable):
        return ()
    try:
        count = len(value)  # pyrefly: ignore
    except TypeError:  # a generator, or an array without a dimension
        return ()
    numbers = tuple(number for item in value if (number := as_number(item)) is not None)
    return numbers if len(numbers) == count else ()


def advice_on_form(value: Any) -> str:
    """Return the sentence that helps to make a number of a value which is none; empty where nothing helps."""
    if isinstance(value, str):
        number = _number_in(value)
        shown = f"not as {quoted(value)}" if number is None else f"as {format_number(number)}"
        return f"Write it without quotation marks, {shown}."
    if isinstance(value, tuple) and len(value) == 2 and all(type(part) is int for part in value):
        return f"Write it with a decimal point, as {value[0]}.{value[1]}."
    if as_numbers(value):
        return "Take it out of the list, for example with [0]."
    return ""


def quoted(text: str) -> str:
    """Return a learner's text in quotation marks, cut and without marks of emphasis."""
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return repr(printable(shown)).replace("*", "∗")


def _number_in(text: str) -> float | None:
    """Return the number that a text such as "50 %" or "0,5" stands for."""
    match = _IN_TEXT.fullmatch(text.strip())
    if match is None:
        return None
    digits, unit = match.groups()
    try:
        number = float(digits.replace(",", "" if _THOUSANDS.fullmatch(digits) else "."))
    except ValueError:
        return None
    return number / 100 if unit == "%" else number
