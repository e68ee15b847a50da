"""Map values to heat, list the steps of a legend, and format probabilities.

Heat is a number from 0 (sure) to 1 (unsure); only the stylesheet turns it into a colour. ``js/src/data/scale.ts``
computes it by the same curves, which are sent with the tokens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from ..logprobs.columns import Floats

if TYPE_CHECKING:
    from ..logprobs.table import Logprobs

ColorBy = Literal["probability", "surprisal", "entropy", "margin", "rank"]
COLOR_BY: tuple[ColorBy, ...] = get_args(ColorBy)
# Relative; larger than the error that a probability gets from a log-probability in single precision.
_SINGLE_PRECISION = 1e-6


class Scale(NamedTuple):
    """Curve from values to heat, with the unit of the values and the steps of the legend (text and value).

    The curve is ``"root"`` (the square root of 1 minus a share), ``"linear"`` up to a cap, or ``"log"`` (the logarithm
    of a rank divided by that of the cap).
    """

    curve: Literal["root", "linear", "log"]
    cap: float
    unit: str
    steps: list[tuple[str, float]]

    def heat(self, values: Any) -> Floats:
        """Return the heat of each value, from 0 to 1; NaN where the value is NaN."""
        column = np.asarray(values, np.float64)
        if self.curve == "root":
            return np.sqrt(np.clip(1 - column, 0, 1))
        if self.curve == "linear":
            return np.clip(column / self.cap, 0, 1)
        return np.clip(np.log(np.maximum(column, 1)) / math.log(self.cap), 0, 1)

    def sent(self) -> dict[str, Any]:
        """Return the message for the browser, with the heat of each step, so that the legend need not compute it."""
        return {**self._asdict(), "heats": self.heat([value for _, value in self.steps]).tolist()}


def percent(probability: float) -> str:
    """Format a probability for people: ``93.1 %``, and never a rounded 0 or 100.

    Halves are rounded up. A value less than a millionth (relative) below a half or a limit counts as that half or
    limit, because the browser receives log-probabilities in single precision. Python and the browser write the same
    text; the vectors in ``tests/fixtures/percent_vectors.json`` test both.

    Examples
    --------
    >>> from deluge_nb.render.scale import percent
    >>> percent(0.931), percent(0.0125), percent(0.99999), percent(0.00001)
    ('93.1 %', '1.3 %', '>99.99 %', '<0.01 %')
    """
    if math.isnan(probability):
        return "unknown"
    value = probability * 100
    raised = value * (1 + _SINGLE_PRECISION)
    if raised < 0.01:
        return "0 %" if value == 0 else "<0.01 %"
    if 99.99 * (1 + _SINGLE_PRECISION) < value < 100:
        return ">99.99 %"
    digits = 2 if raised < 1 or raised >= 99.95 else 1
    scale = 10**digits
    whole, part = divmod(math.floor(min(raised, 100.0) * scale + 0.5), scale)
    return f"{whole}.{part:0{digits}d} %" if part else f"{whole} %"


def scale_values(table: Logprobs, color_by: ColorBy) -> Floats:
    """Return the values of a scale, one per token: shares for probability and margin, bits, or ranks."""
    match color_by:
        case "probability":
            return table.prob
        case "surprisal":
            return table.surprisal(base=2)
        case "entropy":
            return table.entropy(base=2)
        case "margin":
            return table.margin()
        case "rank":
            return table.rank()


def _shares(*steps: float) -> list[tuple[str, float]]:
    return [(percent(step), step) for step in steps]


def _capped(*steps: int) -> list[tuple[str, float]]:
    """Return steps of which the last includes all larger values."""
    return [(f"≥ {step}" if step == steps[-1] else f"{step}", step) for step in steps]


SCALES: dict[ColorBy, Scale] = {
    "probability": Scale("root", 1, "", _shares(1, 0.9, 0.5, 0.1, 0.01)),
    "surprisal": Scale("linear", 10, "bits", _capped(0, 1, 3, 6, 10)),
    "entropy": Scale("linear", 8, "bits", _capped(0, 1, 2, 4, 8)),
    "margin": Scale("root", 1, "lead", _shares(1, 0.9, 0.5, 0.1, 0)),
    "rank": Scale("log", 32, "place", _capped(1, 2, 4, 8, 32)),
}
