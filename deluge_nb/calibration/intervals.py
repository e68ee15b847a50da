"""Compute confidence intervals of scores, by resampling and by formula."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..logprobs.columns import Floats
from ..stats.core.records import Ends

# Random numbers drawn per bootstrap, to bound its time: hundreds of resamples of thousands of points, 20 of a million.
_DRAWS = 20_000_000


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


def bootstrap_samples(
    confidence: Floats, correct: Floats, n_bins: int, resamples: int, seed: int
) -> tuple[Floats, ...]:
    """Return scores of bootstrap resamples: ECE, adaptive ECE, AURC, reliability, resolution, uncertainty.

    Each is an array with one value per resample.
    """
    n = len(confidence)
    rng = np.random.default_rng(seed)
    edges = np.arange(n_bins + 1) / n_bins
    quantiles = np.unique(np.quantile(confidence, edges))
    equal_width = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    equal_count = np.clip(np.searchsorted(quantiles, confidence, side="left") - 1, 0, max(len(quantiles) - 2, 0))
    gap = correct - confidence
    values, rank = np.unique(-confidence, return_inverse=True)
    wrong = 1.0 - correct
    coverage = np.arange(1, n + 1, dtype=np.float64)
    samples: list[tuple[float, ...]] = []
    for _ in range(max(20, min(resamples, _DRAWS // n))):
        weight = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        answered = np.cumsum(np.bincount(rank, weight, len(values)))
        missed = np.cumsum(np.bincount(rank, weight * wrong, len(values)))
        errors = np.interp(coverage, np.concatenate(([0.0], answered)), np.concatenate(([0.0], missed)))
        samples.append(
            (
                np.abs(np.bincount(equal_width, weight * gap)).sum() / n,
                np.abs(np.bincount(equal_count, weight * gap)).sum() / n,
                (errors / coverage).mean(),
                *_brier_parts(
                    np.bincount(equal_width, weight, n_bins),
                    np.bincount(equal_width, weight * confidence, n_bins),
                    np.bincount(equal_width, weight * correct, n_bins),
                ),
            )
        )
    return tuple(np.array(samples, np.float64).T)


def _brier_parts(counts: NDArray[Any], confidence: NDArray[Any], correct: NDArray[Any]) -> tuple[float, float, float]:
    """Return reliability, resolution and uncertainty from the counts, total confidences and hits of the bins."""
    filled = counts > 0
    n, base = counts.sum(), correct.sum() / counts.sum()
    size, mean, rate = counts[filled], confidence[filled] / counts[filled], correct[filled] / counts[filled]
    return (
        float((size * (mean - rate) ** 2).sum() / n),
        float((size * (rate - base) ** 2).sum() / n),
        float(base * (1 - base)),
    )


def basic_interval(value: float, samples: Floats, level: float) -> Estimate:
    """Return the basic bootstrap interval of a score from 0 to 1, clipped to that range and to hold the value."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(np.clip(2 * value - high, 0, value)), float(np.clip(2 * value - low, value, 1)))


def delong_standard_error(score: Floats, outcome: Floats) -> float:
    """Return the standard error of an area under the ROC curve, by DeLong's method over midranks."""
    positive, negative = np.sort(score[outcome == 1]), np.sort(score[outcome == 0])

    def share_below(scores: Floats, others: Floats) -> Floats:
        """Return for each score the share of the others below it, ties counting one half."""
        return (np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")) / (2 * len(others))

    variance = 0.0
    for scores, others in ((positive, negative), (negative, positive)):
        if len(scores) > 1:
            variance += float(share_below(scores, others).var(ddof=1)) / len(scores)
    return math.sqrt(variance)
