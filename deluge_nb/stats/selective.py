"""Answering only where it is safe: risk and coverage, thresholds, decisions by cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from ..errors import invalid_argument
from ..extras import import_extra
from ..logprobs.columns import Floats
from .core.records import Result
from .core.validation import between, check_paired, number, outcomes, vector


@dataclass(frozen=True, slots=True, eq=False)
class RiskPoint(Result):
    """Answering from ``threshold`` on answers the share ``coverage``, of which ``risk`` is wrong."""

    threshold: float
    coverage: float
    risk: float


class RiskCurve(Sequence[RiskPoint]):
    """The points of a risk-coverage curve from the strictest threshold on; columns inside, float64, shape (m,)."""

    __slots__ = ("coverage", "risk", "threshold")

    def __init__(self, threshold: Floats, coverage: Floats, risk: Floats) -> None:
        self.threshold, self.coverage, self.risk = threshold, coverage, risk

    def __len__(self) -> int:
        return len(self.threshold)

    @overload
    def __getitem__(self, index: int) -> RiskPoint: ...
    @overload
    def __getitem__(self, index: slice) -> RiskCurve: ...
    def __getitem__(self, index: int | slice) -> RiskPoint | RiskCurve:
        if isinstance(index, slice):
            return RiskCurve(self.threshold[index], self.coverage[index], self.risk[index])
        return RiskPoint(float(self.threshold[index]), float(self.coverage[index]), float(self.risk[index]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RiskCurve):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RiskCurve({len(self)} thresholds)"


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage(Result):
    """The area under the risk-coverage curve, that of a perfect order of the same answers, and the excess over it."""

    aurc: float
    oracle: float
    e_aurc: float
    curve: RiskCurve


@dataclass(frozen=True, slots=True, eq=False)
class Threshold(Result):
    """Answering from ``threshold`` on answers ``n`` cases, the share ``coverage``, of which ``precision`` is right."""

    threshold: float
    precision: float
    coverage: float
    n: int


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """How the share of wrong answers grows as less certain ones are given too.

    Parameters
    ----------
    confidence
        Any scores, higher for more certain, shape (n,).
    correct
        0 or 1, shape (n,).

    Returns
    -------
    RiskCoverage
        ``aurc`` is the mean risk over the first 1, 2, … n answers; answers of the same confidence count as in the mean
        over all their orders.

    Raises
    ------
    ValueError
        When the lists are empty, differ in length, or hold anything else.

    References
    ----------
    Y. Geifman, R. El-Yaniv, "Selective Classification for Deep Neural Networks", 2017; Y. Geifman et al.,
    "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", 2019, for the excess.
    """
    ranked = _Ranking(confidence, correct)
    n = ranked.n
    # Between thresholds the number of errors grows, in the mean over orders, in a straight line.
    given = np.arange(1, n + 1, dtype=np.float64)
    errors = np.interp(given, np.concatenate(([0.0], ranked.given)), np.concatenate(([0.0], ranked.wrong)))
    aurc = float((errors / given).mean())
    right = n - ranked.wrong[-1]
    oracle = math.fsum((np.maximum(given - right, 0.0) / given).tolist()) / n
    curve = RiskCurve(ranked.threshold, ranked.given / n, ranked.wrong / ranked.given)
    return RiskCoverage(aurc, oracle, aurc - oracle, curve)


def threshold_for_precision(
    confidence: ArrayLike, correct: ArrayLike, target: float, *, delta: float | None = None
) -> Threshold | None:
    """The least threshold from which on enough answers are right.

    Parameters
    ----------
    confidence
        Any scores, higher for more certain, shape (n,).
    correct
        0 or 1, shape (n,).
    target
        The share of right answers that is wanted.
    delta
        How often the promise may fail on new data. None promises nothing: the share is that of the data at hand. With
        it, a threshold counts where the Clopper-Pearson lower bound of its precision, at delta over the number of
        thresholds, reaches the target; this needs SciPy.

    Returns
    -------
    Threshold or None
        None where no threshold reaches the target.

    Raises
    ------
    MissingDependencyError
        When ``delta`` is given and SciPy is not installed.
    ValueError
        When the lists are empty, differ in length, or hold anything else.

    References
    ----------
    A. Angelopoulos et al., "Learn then Test", 2021, with Bonferroni's correction, for ``delta``.
    """
    wanted = between(target, "target", 0, 1)
    ranked = _Ranking(confidence, correct)
    right = ranked.given - ranked.wrong
    reached = right / ranked.given
    if delta is not None:
        share = between(delta, "delta", 0, 1, ends=False) / len(reached)
        special = import_extra("scipy.special", "threshold_for_precision(delta=…)")
        with np.errstate(invalid="ignore"):
            surely = special.betaincinv(right, ranked.wrong + 1, share)
        enough = np.where(right > 0, surely, 0.0) >= wanted
    else:
        enough = reached >= wanted
    if not enough.any():
        return None
    last = int(np.flatnonzero(enough)[-1])
    return Threshold(
        float(ranked.threshold[last]),
        float(reached[last]),
        float(ranked.given[last] / ranked.n),
        int(ranked.given[last]),
    )


def decision_threshold(cost_false_positive: float, cost_false_negative: float) -> float:
    """The probability from which on acting costs less than not acting: c_fp / (c_fp + c_fn).

    Parameters
    ----------
    cost_false_positive
        What acting costs where it was not called for.
    cost_false_negative
        What not acting costs where it was.

    Raises
    ------
    ValueError
        When a cost is negative or infinite, or both are 0.

    References
    ----------
    C. Elkan, "The Foundations of Cost-Sensitive Learning", 2001, equation 2.
    """
    acting = number(cost_false_positive, "cost_false_positive")
    waiting = number(cost_false_negative, "cost_false_negative")
    for name, cost in (("cost_false_positive", acting), ("cost_false_negative", waiting)):
        if not 0 <= cost < math.inf:
            raise invalid_argument(name, cost, "0 or more, and finite")
    if acting == waiting == 0:
        raise invalid_argument(
            "cost_false_negative", waiting, "above 0 where the other cost is 0: nothing depends on the decision"
        )
    return acting / (acting + waiting)


class _Ranking:
    """Answers from the most confident on, counted up to each distinct confidence."""

    def __init__(self, confidence: ArrayLike, correct: ArrayLike) -> None:
        score, outcome = vector(confidence, "confidence"), outcomes(correct, "correct")
        check_paired(score, outcome, ("confidence", "correct"))
        order = np.argsort(-score)
        ordered = score[order]
        last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self.n = len(score)
        self.threshold = ordered[last]
        self.given = (last + 1).astype(np.float64)
        self.wrong = np.cumsum(1.0 - outcome[order])[last]
