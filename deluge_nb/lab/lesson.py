"""Types of what a lesson keeps out of its notebook: reveals that follow guesses, answers, and named mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["probability", "bits", "number"]
Truth = float | str | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer that people give, and the sentence that explains it."""

    value: Truth
    why: str


@dataclass(frozen=True, slots=True)
class Guess:
    """A number to guess before it is revealed."""

    label: str
    """The quantity, such as ``"P(heads)"``."""

    truth: Callable[[], float]
    kind: Kind = "probability"
    mistakes: Sequence[Mistake] = ()
    """Guesses that deserve a sentence of their own."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """Guesses, and what is said and drawn once they are made."""

    guesses: Mapping[str, Guess]
    after: str
    """One or two sentences; words between asterisks are emphasised."""

    figures: Callable[[], Sequence[Any]] = tuple
    """Charts, views or tables to show below the sentences."""


@dataclass(frozen=True, slots=True)
class Key:
    """The right answer of an exercise, and the wrong ones with their sentences."""

    truth: Truth
    right: str
    wrong: Sequence[Mistake]
    tolerance: float = 0.005
    """The largest difference that counts as equal, for numbers."""

    relative: float = 0.0
    """The largest difference as a share of the number, where that is more."""

    choices: Sequence[str] = ()
    """The words among which the answer is chosen, for an answer in words."""

    kind: Kind = "number"
    """The unit, by which percent, nats and logarithms to base 10 are recognised."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson of the course."""

    number: int
    """Its place in the course, from 0; finales come last."""

    name: str
    """The notebook's file name, without its ending."""

    title: str
    learn: str
    """The skill that it teaches, as the end of "you can …"."""

    minutes: int
    reveals: Mapping[str, Reveal] = field(default_factory=dict)
    exercises: Mapping[str, Callable[[], Key]] = field(default_factory=dict)


def format_number(value: float) -> str:
    """Return a number with three significant digits, without an exponent unless it would be long."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "not a number"
    if value == 0:
        return "0"
    if not 1e-12 <= abs(value) < 1e15:
        return f"{value:.3g}"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
