"""How far a score of forecasts can be trusted: confidence intervals by resampling and by formula."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..logprobs.columns import Floats
from ..stats.core.records import Result

# So many numbers are drawn for a bootstrap: a few hundred samples of thousands of points, tens of a million.
_DRAWS = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Estimate(Result):
    """A number and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_samples(
    confidence: Floats, correct: Floats, n_bins: int, resamples: int, seed: int
) -> tuple[Floats, ...]:
    """Scores of data drawn anew from the data: ECE, adaptive ECE, AURC, reliability, resolution, uncertainty."""
    n = len(confidence)
    rng = np.random.default_rng(seed)
    edges = np.arange(n_bins + 1) / n_bins
    even = np.unique(np.quantile(confidence, edges))
    wide = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    narrow = np.clip(np.searchsorted(even, confidence, side="left") - 1, 0, max(len(even) - 2, 0))
    gap = correct - confidence
    values, rank = np.unique(-confidence, return_inverse=True)
    wrong = 1.0 - correct
    given = np.arange(1, n + 1, dtype=np.float64)
    found: list[tuple[float, ...]] = []
    for _ in range(max(20, min(resamples, _DRAWS // n))):
        weight = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        answered = np.cumsum(np.bincount(rank, weight, len(values)))
        missed = np.cumsum(np.bincount(rank, weight * wrong, len(values)))
        errors = np.interp(given, np.concatenate(([0.0], answered)), np.concatenate(([0.0], missed)))
        found.append(
            (
                np.abs(np.bincount(wide, weight * gap)).sum() / n,
                np.abs(np.bincount(narrow, weight * gap)).sum() / n,
                (errors / given).mean(),
                *_parts(
                    np.bincount(wide, weight, n_bins),
                    np.bincount(wide, weight * confidence, n_bins),
                    np.bincount(wide, weight * correct, n_bins),
                ),
            )
        )
    return tuple(np.array(found, np.float64).T)


def _parts(counts: NDArray[Any], confidence: NDArray[Any], correct: NDArray[Any]) -> tuple[float, float, float]:
    """Reliability, resolution and uncertainty out of what was counted in each bin."""
    filled = counts > 0
    n, base = counts.sum(), correct.sum() / counts.sum()
    size, mean, rate = counts[filled], confidence[filled] / counts[filled], correct[filled] / counts[filled]
    return (
        float((size * (mean - rate) ** 2).sum() / n),
        float((size * (rate - base) ** 2).sum() / n),
        float(base * (1 - base)),
    )


def basic_interval(value: float, drawn: Floats, level: float) -> Estimate:
    """The basic bootstrap interval, within what the number can be."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(np.clip(2 * value - high, 0, value)), float(np.clip(2 * value - low, value, 1)))


def delong_interval(score: Floats, outcome: Floats) -> float:
    """The standard error of an area under the ROC curve, by DeLong's method over midranks."""
    positive, negative = np.sort(score[outcome == 1]), np.sort(score[outcome == 0])

    def above(one: Floats, other: Floats) -> Floats:
        """For each of one the share of the other that is below it, ties counting one half."""
        return (np.searchsorted(other, one, "left") + np.searchsorted(other, one, "right")) / (2 * len(other))

    variance = 0.0
    for one, other in ((positive, negative), (negative, positive)):
        if len(one) > 1:
            variance += float(above(one, other).var(ddof=1)) / len(one)
    return math.sqrt(variance)
