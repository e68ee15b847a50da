"""Token counts and costs, read from the fields of every provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_IN, _OUT = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")


def tokens_in(counts: Mapping[str, Any] | None) -> int | None:
    """Return the tokens of the prompt; None where the server does not report them."""
    return count(counts, *_IN)


def tokens_out(counts: Mapping[str, Any] | None) -> int | None:
    """Return the generated tokens; None where the server does not report them."""
    return count(counts, *_OUT)


def dollars(counts: Mapping[str, Any] | None) -> float | None:
    """Return the cost in US dollars; None where the server does not report it."""
    value = counts.get("cost") if isinstance(counts, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(counts: Any, *names: str) -> int | None:
    """Return the first of these counts that is present; None where none is."""
    values = (counts.get(name) for name in names) if isinstance(counts, Mapping) else ()
    numbers = (value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    # A number that is not finite is no count.
    return next((int(value) for value in numbers if abs(value) < 1e300), None)
