"""Read what a learner wrote, and compare it with the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from .lesson import Guess, Key, Mistake, Truth, format_number

# Guesses count as close within these distances.
_CLOSE_SHARE, _CLOSE_FACTOR, _CLOSE_BITS = 0.03, 1.2, 0.5


def number_problem(value: object, guess: Guess) -> str:
    """Return the sentence about a guess that is no number, or out of range; empty for a good one."""
    if isinstance(value, str):
        return f"{guess.label}: write the number without quotation marks."
    if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
        return f"{guess.label}: a guess is a number."
    number = float(value)
    if guess.kind == "probability" and not 0 <= number <= 1:
        hint = f"; do you mean {format_number(number / 100)}?" if 1 < number <= 100 else "."
        return f"{guess.label}: a probability lies between 0 and 1, and {format_number(number)} does not{hint}"
    return ""


def describe_guess(value: float, truth: float, guess: Guess) -> str:
    """Return the line that sets a guess beside the truth."""
    unit = " bits" if guess.kind == "bits" else ""
    line = f"*{guess.label}*: you said {format_number(value)}{unit}, it is *{format_number(truth)}{unit}*"
    return f"{line} ({_distance(value, truth, guess)})."


def _distance(value: float, truth: float, guess: Guess) -> str:
    """Return how far a guess is from the truth, in words."""
    too = "too high" if value > truth else "too low"
    if guess.kind == "probability":
        if _is_near_certain(value, truth) or (truth >= 0.1 and abs(value - truth) <= _CLOSE_SHARE):
            return "close"
        small, large = sorted((value, truth))
        if small == 0:
            return too
        if small < 0.1 and large / small > 2:
            return f"{_factor(large / small)} times {too}"
        return f"{_difference(value, truth)} {too}"
    if guess.kind == "bits" and abs(value - truth) <= max(_CLOSE_BITS, 0.1 * abs(truth)):
        return "close"
    if abs(value - truth) <= 0.1 * abs(truth):
        return "close"
    return f"{_difference(value, truth)} {too}"


def _difference(value: float, truth: float) -> str:
    """Return the difference of two numbers as they are shown, so that a reader can check it."""
    if not math.isfinite(value):
        return format_number(math.inf)
    shown = [float(format_number(number).replace(",", "")) for number in (value, truth)]
    return format_number(round(abs(shown[0] - shown[1]), 9))


def _is_near_certain(value: float, truth: float) -> bool:
    """Return whether a guess of a small probability is within a fifth of it."""
    small, large = sorted((value, truth))
    return small > 0 and truth < 0.1 and large / small <= _CLOSE_FACTOR


def _factor(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}"


def find_mistake(value: object, mistakes: Iterable[Mistake], tolerance: float, relative: float = 0.0) -> str:
    """Return the sentence about the first mistake that an answer makes; empty if it makes none of them."""
    return next((mistake.why for mistake in mistakes if is_equal(value, mistake.value, tolerance, relative)), "")


def is_equal(value: object, truth: Truth, tolerance: float, relative: float = 0.0) -> bool:
    """Return whether an answer is equal to another, within a tolerance for numbers."""
    if isinstance(truth, str):
        return isinstance(value, str) and value.strip().casefold() == truth.casefold()
    if isinstance(truth, tuple):
        ends = _numbers(value)
        return len(ends) == len(truth) and all(
            is_equal(end, expected, tolerance, relative) for end, expected in zip(ends, truth, strict=True)
        )
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    # Sums of rounded numbers such as 0.645 may differ from their neighbour by a little more than the tolerance.
    return abs(float(value) - truth) <= max(tolerance, relative * abs(truth)) * (1 + 1e-9)


def answer_problem(value: object, key: Key) -> str:
    """Return the sentence about an answer of the wrong form; empty for one that can be compared."""
    if isinstance(key.truth, str):
        if isinstance(value, str) and value.strip().casefold() in {choice.casefold() for choice in key.choices}:
            return ""
        return f"Choose one of these, in quotation marks: {', '.join(map(repr, key.choices))}."
    if isinstance(value, str):
        return f"The answer is a number: write it without quotation marks, not as {value!r}."
    if isinstance(key.truth, tuple):
        if len(_numbers(value)) == len(key.truth):
            return ""
        return f"The answer has {len(key.truth)} numbers, separated by a comma."
    if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
        return "The answer is a number."
    return ""


def describe_miss(value: Any, key: Key) -> str:
    """Return the sentence about a wrong answer that is no known mistake."""
    if isinstance(key.truth, str):
        return f"It is not {value.strip()!r}."
    if isinstance(key.truth, tuple):
        return _describe_pair(_numbers(value), key.truth, key.tolerance)
    if 0 <= key.truth <= 1 < value <= 100 and is_equal(value / 100, key.truth, key.tolerance, key.relative):
        return f"Write a probability from 0 to 1: {format_number(value)} % is {format_number(value / 100)}."
    return f"{format_number(float(value))} is too {'large' if value > key.truth else 'small'}."


def _describe_pair(values: Sequence[float], truths: Sequence[float], tolerance: float) -> str:
    names = ("first", "second", "third", "fourth")
    misses = [
        f"the {name} number is too {'large' if value > truth else 'small'}"
        for name, value, truth in zip(names, values, truths, strict=False)
        if not is_equal(value, truth, tolerance)
    ]
    sentence = " and ".join(misses)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _numbers(value: object) -> tuple[float, ...]:
    """Return the numbers of a tuple, a list or an array; none for anything else."""
    if isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__"):
        return ()
    items = tuple(value)  # pyrefly: ignore
    if any(isinstance(item, bool) or not isinstance(item, Real) or math.isnan(item) for item in items):
        return ()
    return tuple(map(float, items))
