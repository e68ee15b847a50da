"""What a colour can say, the steps a legend shows of it, and how a probability is written.

The stylesheet turns the numbers into colours; it has the same caps, and a test keeps the two equal.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

ColorBy = Literal["probability", "entropy", "surprisal"]
COLOR_BY: tuple[ColorBy, ...] = get_args(ColorBy)


class Scale(NamedTuple):
    """The custom property the stylesheet paints, the unit, and the steps of the legend: text and value."""

    variable: str
    unit: str
    steps: list[tuple[str, float]]


def percent(probability: float) -> str:
    """A probability for people: ``93.1 %``, and never a rounded 0 or 100."""
    if math.isnan(probability):
        return "unknown"
    value = probability * 100
    if value < 0.01:
        return "0 %" if value == 0 else "<0.01 %"
    if 99.99 < value < 100:
        return ">99.99 %"
    digits = 2 if value < 1 or value >= 99.95 else 1
    return f"{value:.{digits}f}".removesuffix(".00").removesuffix(".0") + " %"


def _capped(variable: str, *steps: int) -> Scale:
    """A scale in bits whose last step stands for all that is beyond."""
    return Scale(variable, "bits", [(f"≥ {step}" if step == steps[-1] else f"{step}", step) for step in steps])


SCALES: dict[ColorBy, Scale] = {
    "probability": Scale("--p", "", [(percent(p), p) for p in (1, 0.9, 0.5, 0.1, 0.01)]),
    "entropy": _capped("--h", 0, 1, 2, 4, 8),
    "surprisal": _capped("--s", 0, 1, 3, 6, 10),
}
