"""Thresholds on the confidence that reach a precision, or the nearest to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..logprobs.columns import Floats
from ..render.scale import percent
from ..stats.core.records import Result
from ..stats.scoring import clopper_pearson, wilson_interval
from ..stats.selective import Threshold, most_precise_threshold, threshold_for_precision
from .intervals import Estimate


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PrecisionThreshold(Result):
    """Threshold on the confidence that reaches a precision; true in a condition if there is one.

    Answering from ``threshold`` on answers ``n`` cases, the share ``coverage`` of all; the share ``precision`` of them
    is right. Its interval is Clopper and Pearson's where ``delta`` was given, else Wilson's.

    Where no threshold reaches the precision, ``reachable`` is False, ``threshold`` is infinite and answers nothing, and
    ``best`` is the lowest threshold of the highest precision; with ``delta``, of the highest promised one.
    ``target`` is the precision that was asked for, and ``promised`` the one that the data at hand have, or that
    ``delta`` promises for new data.
    """

    threshold: float
    precision: Estimate
    coverage: float
    n: int
    reachable: bool
    best: PrecisionThreshold | None
    target: float
    promised: float

    def __bool__(self) -> bool:
        return self.reachable

    def __repr__(self) -> str:
        return f"PrecisionThreshold({self})"

    def __str__(self) -> str:
        wanted = percent(self.target)
        if self.best is None:
            return f"{wanted} right: from {self.threshold:.3g} on, {self._describe()}"
        nearest = self.best
        promised = "" if nearest.promised == nearest.precision.value else " promised"
        at_best = f"at best {percent(nearest.promised)}{promised} from {nearest.threshold:.3g} on"
        return f"{wanted} right: not reachable; {at_best}, {percent(nearest.coverage)} of cases"

    def _describe(self) -> str:
        low, high = percent(self.precision.low), percent(self.precision.high)
        share = f"{percent(self.precision.value)} [{low}, {high}]"
        return f"{share} in {percent(self.coverage)} of cases (n={self.n})"


def find_threshold(
    confidence: Floats, correct: Floats, precision: float, delta: float | None, level: float
) -> PrecisionThreshold:
    """Return the lowest threshold that reaches a precision, or the answer that none does."""

    def describe(cut: Threshold, promised: float) -> PrecisionThreshold:
        hits = round(cut.precision * cut.n)
        bounds = (wilson_interval if delta is None else clopper_pearson)(hits, cut.n, level)
        share = Estimate(cut.precision, bounds.low, bounds.high)
        return PrecisionThreshold(cut.threshold, share, cut.coverage, cut.n, True, None, precision, promised)

    cut = threshold_for_precision(confidence, correct, precision, delta=delta)
    if cut is not None:
        return describe(cut, cut.precision if delta is None else precision)
    best = describe(*most_precise_threshold(confidence, correct, delta))
    nothing = Estimate(math.nan, 0.0, 1.0)
    return PrecisionThreshold(math.inf, nothing, 0.0, 0, False, best, precision, best.promised)
