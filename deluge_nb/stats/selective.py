"""Selective answering: risk and coverage, thresholds for a precision, and decisions by cost."""

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
from ..text.counts import pluralize
from .core.records import Result
from .core.validation import between, check_paired, number, outcomes, vector


@dataclass(frozen=True, slots=True, eq=False)
class RiskPoint(Result):
    """One point of a risk-coverage curve.

    Answering at confidences from ``threshold`` up answers the share ``coverage``, of which the share ``risk`` is wrong.
    """

    threshold: float
    coverage: float
    risk: float


class RiskCurve(Sequence[RiskPoint]):
    """The points of a risk-coverage curve, strictest threshold first.

    Its columns ``threshold``, ``coverage`` and ``risk`` are float64 arrays of shape (m,).
    """

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
        return f"RiskCurve({pluralize(len(self), 'threshold')})"


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage(Result):
    """The risk-coverage curve and the areas under it.

    ``aurc`` is the area under the curve, ``oracle`` the area for a perfect order of the same answers, and ``e_aurc``
    their difference.
    """

    aurc: float
    oracle: float
    e_aurc: float
    curve: RiskCurve


@dataclass(frozen=True, slots=True, eq=False)
class Threshold(Result):
    """A threshold for a precision.

    Answering at confidences from ``threshold`` up answers ``n`` cases, the share ``coverage`` of all, of which the
    share ``precision`` is right.
    """

    threshold: float
    precision: float
    coverage: float
    n: int


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """Return the risk-coverage curve: the share of wrong answers as less confident ones are given too.

    Parameters
    ----------
    confidence
        Scores of any scale, higher for more confident, shape (n,).
    correct
        0 or 1, shape (n,).

    Returns
    -------
    RiskCoverage
        ``aurc`` is the mean risk over the first 1, 2, … n answers. Answers of equal confidence count with the mean over
        all their orders.

    Raises
    ------
    ValueError
        If the lists are empty, differ in length, or hold other values.

    References
    ----------
    Y. Geifman, R. El-Yaniv, "Selective Classification for Deep Neural Networks", 2017; Y. Geifman et al.,
    "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", 2019, for the excess.

    Examples
    --------
    >>> from deluge_nb.stats import risk_coverage
    >>> result = risk_coverage([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1])
    >>> round(result.aurc, 3), result.curve[2]
    (0.146, RiskPoint(threshold=0.7, coverage=0.75, risk=0.3333333333333333))
    """
    ranking = _Ranking(confidence, correct)
    n = ranking.n
    # Between thresholds the mean number of errors over all orders grows linearly.
    answered = np.arange(1, n + 1, dtype=np.float64)
    errors = np.interp(answered, np.concatenate(([0.0], ranking.answered)), np.concatenate(([0.0], ranking.wrong)))
    aurc = float((errors / answered).mean())
    right = n - ranking.wrong[-1]
    oracle = math.fsum((np.maximum(answered - right, 0.0) / answered).tolist()) / n
    curve = RiskCurve(ranking.threshold, ranking.answered / n, ranking.wrong / ranking.answered)
    return RiskCoverage(aurc, oracle, aurc - oracle, curve)


def prr(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """Return the prediction rejection ratio: how near the order of the confidences is to a perfect one.

    It is (error rate - AURC) / (error rate - AURC of a perfect order), with the areas of :func:`risk_coverage`.

    Parameters
    ----------
    confidence
        Scores of any scale, higher for more confident, shape (n,).
    correct
        0 or 1, shape (n,).

    Returns
    -------
    float or None
        1 for a perfect order, 0 for an order that says nothing (equal scores), negative for a worse one. None where all
        answers are right or all are wrong, because no order is better than another.

    Raises
    ------
    ValueError
        If the lists are empty, differ in length, or hold other values.

    References
    ----------
    A. Malinin et al., "Incorporating Uncertainty in Deep Learning for Spoken Language Assessment", 2017.

    Examples
    --------
    >>> from deluge_nb.stats import prr
    >>> prr([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0]), round(prr([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1]), 3)
    (1.0, 0.556)
    """
    areas = risk_coverage(confidence, correct)
    error = float(areas.curve.risk[-1])
    if error in (0.0, 1.0):
        return None
    # Both areas are sums in another order, so that a perfect one can be the smaller by rounding.
    return min(1.0, (error - areas.aurc) / (error - areas.oracle))


def threshold_for_precision(
    confidence: ArrayLike, correct: ArrayLike, target: float, *, delta: float | None = None
) -> Threshold | None:
    """Return the lowest threshold at which a target share of answers is right.

    Parameters
    ----------
    confidence
        Scores of any scale, higher for more confident, shape (n,).
    correct
        0 or 1, shape (n,).
    target
        The target share of right answers, from 0 to 1.
    delta
        The probability with which the guarantee may fail on new data. None gives no guarantee: the precision is that of
        the data at hand. Otherwise a threshold counts if the Clopper-Pearson lower bound of its precision, at ``delta``
        divided by the number of thresholds, reaches the target; this needs SciPy.

    Returns
    -------
    Threshold or None
        None if no threshold reaches the target.

    Raises
    ------
    MissingDependencyError
        If ``delta`` is given and SciPy is not installed.
    ValueError
        If the lists are empty, differ in length, or hold other values.

    References
    ----------
    A. Angelopoulos et al., "Learn then Test", 2021, with Bonferroni's correction, for ``delta``.

    Examples
    --------
    >>> from deluge_nb.stats import threshold_for_precision
    >>> threshold_for_precision([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], target=0.95)
    Threshold(threshold=0.7, precision=1.0, coverage=0.75, n=3)
    """
    precision = between(target, "target", 0, 1)
    ranking = _Ranking(confidence, correct)
    enough = np.flatnonzero(ranking.promised_precision(delta) >= precision)
    return ranking.threshold_at(int(enough[-1])) if len(enough) else None


def most_precise_threshold(confidence: ArrayLike, correct: ArrayLike, delta: float | None) -> tuple[Threshold, float]:
    """Return the lowest threshold of the highest precision, and the precision that it promises.

    With ``delta``, as in :func:`threshold_for_precision`, it is the threshold that promises the highest precision.
    """
    ranking = _Ranking(confidence, correct)
    promised = ranking.promised_precision(delta)
    best = int(np.flatnonzero(promised >= promised.max())[-1])
    return ranking.threshold_at(best), float(promised[best])


def decision_threshold(cost_false_positive: float, cost_false_negative: float) -> float:
    """Return the probability above which acting costs less than not acting: c_fp / (c_fp + c_fn).

    Parameters
    ----------
    cost_false_positive
        The cost of acting on a negative case.
    cost_false_negative
        The cost of not acting on a positive case.

    Returns
    -------
    float
        A probability from 0 to 1.

    Raises
    ------
    ValueError
        If a cost is negative or infinite, or both are 0.

    References
    ----------
    C. Elkan, "The Foundations of Cost-Sensitive Learning", 2001, equation 2.

    Examples
    --------
    >>> from deluge_nb.stats import decision_threshold
    >>> decision_threshold(cost_false_positive=1, cost_false_negative=4)
    0.2
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
    """Answers in descending order of confidence, counted up to each distinct confidence."""

    def __init__(self, confidence: ArrayLike, correct: ArrayLike) -> None:
        score, outcome = vector(confidence, "confidence"), outcomes(correct, "correct")
        check_paired(score, outcome, ("confidence", "correct"))
        order = np.argsort(-score)
        ordered = score[order]
        last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self.n = len(score)
        self.threshold = ordered[last]
        self.answered = (last + 1).astype(np.float64)
        self.wrong = np.cumsum(1.0 - outcome[order])[last]

    def promised_precision(self, delta: float | None) -> Floats:
        """Return the precision at each threshold, or its lower bound at ``delta`` divided by their number."""
        right = self.answered - self.wrong
        if delta is None:
            return right / self.answered
        share = between(delta, "delta", 0, 1, ends=False) / len(right)
        special = import_extra("scipy.special", "threshold_for_precision(delta=…)")
        with np.errstate(invalid="ignore"):
            lower = special.betaincinv(right, self.wrong + 1, share)
        return np.where(right > 0, lower, 0.0)

    def threshold_at(self, index: int) -> Threshold:
        """Return the threshold of this number, strictest first."""
        answered, wrong = float(self.answered[index]), float(self.wrong[index])
        return Threshold(float(self.threshold[index]), (answered - wrong) / answered, answered / self.n, int(answered))
