"""Token counts and costs, read from the fields of every provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A larger count is a mistake, and would hide all others in a sum.
_LARGEST = 1e15
# In the checks below a dict comes first: to ask for a Mapping takes longer than all the rest.
_IN, _OUT = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")


def tokens_in(counts: Mapping[str, Any] | None) -> int | None:
    """Return the tokens of the prompt; None where the server does not report them."""
    return count(counts, *_IN)


def tokens_out(counts: Mapping[str, Any] | None) -> int | None:
    """Return the generated tokens; None where the server does not report them."""
    return count(counts, *_OUT)


def dollars(counts: Mapping[str, Any] | None) -> float | None:
    """Return the cost in US dollars; None where the server does not report it."""
    cost = counts.get("cost") if isinstance(counts, (dict, Mapping)) else None
    return None if cost is None else _number(cost)


def count(counts: Any, *names: str) -> int | None:
    """Return the first of these counts that is present; None where none is."""
    if not counts or not isinstance(counts, (dict, Mapping)):
        return None
    for name in names:
        value = counts.get(name)
        if type(value) is int and 0 <= value <= _LARGEST:  # nearly always
            return value
        if value is not None and (number := _number(value)) is not None:
            return int(number)
    return None


def _number(value: object) -> float | None:
    """Return a count or a cost, also one that is written as a text; None for anything that is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= _LARGEST else None
