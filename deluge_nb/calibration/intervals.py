"""Confidence intervals of means, areas and ratios, by formula.

Each interval inverts a test: it holds the values from which the observed score is no further than chance allows, with
a variance that shrinks towards the ends that the score can have. No interval therefore passes an end, and none is
without width because few data happen to agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..logprobs.columns import Floats
from ..stats.core.records import Ends
from ..stats.scoring import normal_quantile


@dataclass(frozen=True, slots=True, eq=False)
class Estimate(Ends):
    """Number with the ends of its confidence interval; ``low, high = estimate`` unpacks these."""

    value: float
    low: float
    high: float

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def t_quantile(level: float, freedom: int) -> float:
    """Return the two-sided quantile of Student's distribution, exact for 1 and 2 degrees of freedom.

    From 3 on it is the expansion of Cornish and Fisher, within 1 % up to a level of 0.99.
    """
    tail = (1 + level) / 2
    if freedom == 1:
        return math.tan(math.pi * (tail - 0.5))
    if freedom == 2:
        return (2 * tail - 1) / math.sqrt(2 * tail * (1 - tail))
    z = normal_quantile(level)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))


def score_interval(value: float, centre: float, variance: float, n: int, level: float, top: float = 1.0) -> Estimate:
    """Return the interval of a score from 0 to ``top``, whose variance is known near ``centre``.

    The variance of one observation is taken to be proportional to x (top - x), or to x where ``top`` is infinite: so
    Wilson's interval generalises from shares to other scores.
    """
    if n < 2:
        return Estimate(value, 0.0, top)
    shape = centre * (top - centre) / top if math.isfinite(top) else centre
    if not math.isfinite(variance) or shape <= 0:
        return Estimate(value, 0.0, top)
    spread = t_quantile(level, n - 1) ** 2 * variance / shape / n
    # The ends solve (value - x)^2 = spread * x * (1 - x / top).
    scale = 1 + (spread / top if math.isfinite(top) else 0.0)
    middle = (value + spread / 2) / scale
    half = math.sqrt(max(middle**2 - value**2 / scale, 0.0))
    return Estimate(value, min(max(middle - half, 0.0), value), max(min(middle + half, top), value))


def ratio_interval(value: float, centre: float, variance: float, n: int, level: float) -> Estimate:
    """Return the interval of a score of at most 1 without a lower end; ``centre`` is that of its distance from 1.

    It holds both the interval whose variance shrinks towards 1 and the one whose variance is constant: neither covers
    alone, as the distance is a ratio of two uncertain numbers.
    """
    distance = score_interval(1 - value, centre, variance, n, level, math.inf)
    half = t_quantile(level, n - 1) * math.sqrt(variance / n)
    return Estimate(value, min(1 - distance.high, value - half), min(max(1 - distance.low, value + half), 1.0))


def auroc_interval(value: float, positive: int, negative: int, level: float) -> Estimate:
    """Return Newcombe's interval of an area under the ROC curve, from the numbers of both outcomes.

    It inverts Hanley and McNeil's variance, with equal mean group sizes in its terms (method 5 in R. Newcombe,
    "Confidence intervals for an effect size measure based on the Mann-Whitney statistic", part 2, 2006). An area of 0
    or 1 has a bound that needs no model: m pairs without a member in common are all in order with a probability of at
    most area^m.
    """
    if value in (0.0, 1.0):
        bound = ((1 - level) / 2) ** (1 / min(positive, negative))
        return Estimate(value, bound, 1.0) if value else Estimate(value, 0.0, 1 - bound)
    z, others = normal_quantile(level), (positive + negative) / 2 - 1

    def is_near(x: float) -> bool:
        variance = x * (1 - x) * (1 + others * ((1 - x) / (2 - x) + x / (1 + x))) / (positive * negative)
        return (value - x) ** 2 <= z * z * variance

    ends = []
    for outer in (0.0, 1.0):
        inner = value
        for _ in range(50):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if is_near(middle) else (inner, middle)
        ends.append(inner)
    return Estimate(value, ends[0], ends[1])


class RankedOutcomes:
    """Influence of each answer on scores of the ranking: the derivative of the score when its weight grows.

    The variance of a score is that of the influences, divided by their number. Answers of equal confidence are one
    group, so their order makes no difference.

    Parameters
    ----------
    confidence
        Scores, shape (n,).
    correct
        0 or 1, shape (n,).
    """

    def __init__(self, confidence: Floats, correct: Floats) -> None:
        self._correct = correct
        _, self._group, self._counts = np.unique(-confidence, return_inverse=True, return_counts=True)
        self._answered = np.cumsum(self._counts).astype(np.float64)
        self._hits = np.bincount(self._group, correct)

    def aurc(self) -> tuple[float, Floats]:
        """Return the area under the risk-coverage curve, and the influences on it, up to a constant."""
        n, wrong = len(self._correct), 1.0 - self._correct
        ranks = np.arange(1, n + 1)
        missed = np.repeat((self._counts - self._hits) / self._counts, self._counts)
        weight = np.cumsum((1 / ranks)[::-1])[::-1]
        tail = np.cumsum((missed / ranks)[::-1])[::-1]
        starts = np.append(0, self._answered[:-1]).astype(np.intp)
        weight, tail = (np.add.reduceat(values, starts) / self._counts for values in (weight, tail))
        influence = wrong * weight[self._group] - tail[self._group]
        return float((np.cumsum(missed) / ranks).mean()), influence

    def excess_ratio(self) -> tuple[float, Floats]:
        """Return 1 minus the prediction rejection ratio, and the influences on it; needs right and wrong answers."""
        area, influence = self.aurc()
        n, wrong = len(self._correct), 1.0 - self._correct
        error = float(wrong.mean())
        ranks = np.arange(1, n + 1)
        best = float((np.maximum(ranks - n * (1 - error), 0) / ranks).mean())
        span, slope = error - best, -math.log(1 - error)
        ratio = (area - best) / span
        return ratio, (influence - slope * wrong - ratio * (1 - slope) * wrong) / span

    def average_precision(self) -> tuple[float, Floats]:
        """Return the area under the precision-recall curve, and the influences on it; needs a right answer."""
        base = float(self._correct.mean())
        precision = np.cumsum(self._hits) / self._answered
        value = float((self._hits * precision).sum() / self._hits.sum())
        of_hits, of_precision = (
            np.cumsum((weight / self._answered)[::-1])[::-1] for weight in (self._hits, self._hits * precision)
        )
        own = self._correct * precision[self._group]
        others = self._correct * of_hits[self._group] - of_precision[self._group]
        return value, (own + others - value * self._correct) / base
