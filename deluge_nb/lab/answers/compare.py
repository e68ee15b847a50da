"""Compare what a learner wrote with the truth, and describe the difference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..lesson import Guess, Key, Mistake, Truth, format_number
from .form import advice_on_form, as_number, as_numbers, quoted

# Guesses count as close within these distances.
_CLOSE_SHARE, _CLOSE_FACTOR, _CLOSE_BITS = 0.03, 1.2, 0.5


def guess_problem(value: Any, guess: Guess) -> str:
    """Return the sentence about a guess that is no number, or out of range; empty for a good one."""
    number = as_number(value)
    if number is None:
        return f"{guess.label}: a guess is a number. {advice_on_form(value)}".rstrip()
    if guess.kind == "probability" and not 0 <= number <= 1:
        return f"{guess.label}: {_share_problem(number)}"
    return ""


def _share_problem(number: float) -> str:
    """Return the sentence about a number that is no probability."""
    hint = f"; do you mean {format_number(number / 100)}?" if 1 < number <= 100 else "."
    return f"a probability lies between 0 and 1, and {format_number(number)} does not{hint}"


def describe_guess(value: float, truth: float, guess: Guess) -> str:
    """Return the line that sets a guess beside the truth."""
    said, true = (_with_unit(number, guess) for number in (value, truth))
    return f"*{guess.label}*: you said {said}, it is *{true}* ({_distance(value, truth, guess)})."


def _with_unit(number: float, guess: Guess) -> str:
    unit = (" bit" if number == 1 else " bits") if guess.kind == "bits" else ""
    return f"{format_number(number)}{unit}"


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
    return f"{ratio:.1f}" if ratio < 10 else format_number(float(f"{ratio:.2g}"))


def find_mistake(value: Any, mistakes: Iterable[Mistake], tolerance: float, relative: float = 0.0) -> str:
    """Return the sentence about the first mistake that an answer makes; empty if it makes none of them."""
    return next((mistake.why for mistake in mistakes if is_equal(value, mistake.value, tolerance, relative)), "")


def is_equal(value: Any, truth: Truth, tolerance: float, relative: float = 0.0) -> bool:
    """Return whether an answer is equal to another, within a tolerance for numbers."""
    if isinstance(truth, str):
        return isinstance(value, str) and value.strip().casefold() == truth.casefold()
    if isinstance(truth, tuple):
        ends = as_numbers(value)
        return len(ends) == len(truth) and all(
            is_equal(end, expected, tolerance, relative) for end, expected in zip(ends, truth, strict=True)
        )
    number = as_number(value)
    if number is None:
        return False
    # Sums of rounded numbers such as 0.645 may differ from their neighbour by a little more than the tolerance.
    return abs(number - truth) <= max(tolerance, relative * abs(truth)) * (1 + 1e-9)


def answer_problem(value: Any, key: Key) -> str:
    """Return the sentence about an answer of the wrong form; empty for one that can be compared."""
    if isinstance(key.truth, str):
        if isinstance(value, str) and value.strip().casefold() in {choice.casefold() for choice in key.choices}:
            return ""
        return f"Choose one of these, in quotation marks: {', '.join(map(repr, key.choices))}."
    if isinstance(key.truth, tuple):
        if len(as_numbers(value)) == len(key.truth):
            return ""
        like = ", ".join(f"0.{place}" for place in range(1, len(key.truth) + 1))
        return f"The answer has {len(key.truth)} numbers: write them without quotation marks, like {like}."
    return f"The answer is a number. {advice_on_form(value)}".rstrip() if as_number(value) is None else ""


def describe_miss(value: Any, key: Key) -> str:
    """Return the sentence about a wrong answer that is no known mistake."""
    if isinstance(key.truth, str):
        return f"It is not {quoted(value.strip())}."
    if isinstance(key.truth, tuple):
        return _describe_pair(as_numbers(value), key)
    number = as_number(value)
    assert number is not None  # its form was checked
    if key.kind == "probability" and not 0 <= number <= 1:
        return _as_sentence(_share_problem(number))
    if key.kind == "bits":
        for base, name in ((math.e, "in nats"), (10, "to base 10")):
            if is_equal(number, key.truth / math.log2(base), key.tolerance, key.relative):
                return f"That is {name}: take the logarithm to base 2."
    if _is_rounded(number, key.truth):
        return f"{format_number(number)} is rounded too far: write one more digit."
    return f"{format_number(number)} is too {'large' if number > key.truth else 'small'}."


def _is_rounded(number: float, truth: float) -> bool:
    """Return whether a number is the truth, rounded to the decimals that it has."""
    whole, _, decimals = repr(number).partition(".")
    return decimals.strip("0").isdigit() and not whole.startswith("inf") and round(truth, len(decimals)) == number


def _describe_pair(values: Sequence[float], key: Key) -> str:
    assert isinstance(key.truth, tuple)
    if key.kind == "probability" and (odd := [value for value in values if not 0 <= value <= 1]):
        return _as_sentence(_share_problem(odd[0]))
    names = ("first", "second", "third", "fourth")
    misses = [
        f"the {name} number is too {'large' if value > truth else 'small'}"
        for name, value, truth in zip(names, values, key.truth, strict=False)
        if not is_equal(value, truth, key.tolerance)
    ]
    return _as_sentence(" and ".join(misses) + ".")


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
