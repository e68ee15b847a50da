"""Coverage of the intervals of a calibration report, on simulated answers with fixed seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deluge_nb import CalibrationReport
from deluge_nb.calibration.intervals import RankedOutcomes
from deluge_nb.stats.scoring.calibration_error import bin_indices, quantile_bin_indices

Floats = NDArray[np.float64]

LEVEL, BINS, RESAMPLES, SIZES, DRAWS = 0.95, 10, 150, (30, 100, 1000), 300
# Two points below the level, over all laws of one size; and for each of them less three standard errors of its draws,
# because the least of 156 shares is compared.
BAR = LEVEL - 0.02
BAR_OF_ONE = BAR - 3 * math.sqrt(LEVEL * (1 - LEVEL) / DRAWS)
# Confidences of which the population is made.
MANY = 100_000
ROUNDING = 1e-9
LOWEST = {"PRR": -math.inf}
HIGHEST = {"log loss (nats)": math.inf, "resolution": 0.25, "uncertainty": 0.25 + ROUNDING}


def _temper(p: Floats, factor: float) -> Floats:
    """Return probabilities whose log-odds are multiplied by a factor."""
    odds = (p / (1 - p)) ** factor
    return odds / (1 + odds)


LAWS: dict[str, Callable[[Floats], Floats]] = {
    "calibrated": lambda p: p,
    "overconfident": lambda p: p**1.6,
    "far too confident": lambda p: _temper(p, 0.4),
    "underconfident": lambda p: _temper(p, 2.0),
}
"""The true probability of being right, by the confidence."""
NAMES = (
    "accuracy",
    "mean confidence",
    "ECE",
    "adaptive ECE",
    "Brier score",
    "log loss (nats)",
    "AUROC",
    "AURC",
    "AUPRC",
    "PRR",
    "reliability",
    "resolution",
    "uncertainty",
)


def draw(law: str, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return confidences of a Beta(2, 1) distribution, and outcomes of a law."""
    p = rng.beta(2, 1, n)
    return p, (rng.random(n) < LAWS[law](p)).astype(np.float64)


def true_scores(law: str) -> dict[str, float]:
    """Return the scores of a whole population: confidences at evenly spaced quantiles, each right with its own rate."""
    p = np.sqrt((np.arange(MANY) + 0.5) / MANY)
    q = LAWS[law](p)
    ranking = RankedOutcomes(p, q)
    equal_width, equal_count = bin_indices(p, BINS), quantile_bin_indices(p, BINS)
    counts = np.bincount(equal_width)
    rate, mean = np.bincount(equal_width, q) / counts, np.bincount(equal_width, p) / counts
    # Confidences ascend, so the wrong answers below each are a cumulative sum.
    pairs = float((q * (np.cumsum(1 - q) - (1 - q))).sum())
    return {
        "accuracy": q.mean(),
        "mean confidence": p.mean(),
        "ECE": (counts * np.abs(rate - mean)).sum() / MANY,
        "adaptive ECE": np.abs(np.bincount(equal_count, q - p)).sum() / MANY,
        "Brier score": (q * (1 - p) ** 2 + (1 - q) * p**2).mean(),
        "log loss (nats)": -(q * np.log(p) + (1 - q) * np.log1p(-p)).mean(),
        "AUROC": pairs / (q.sum() * (1 - q).sum()),
        "AURC": ranking.aurc()[0],
        "AUPRC": ranking.average_precision()[0],
        "PRR": 1 - ranking.excess_ratio()[0],
        "reliability": (counts * (rate - mean) ** 2).sum() / MANY,
        "resolution": (counts * (rate - q.mean()) ** 2).sum() / MANY,
        "uncertainty": q.mean() * (1 - q.mean()),
    }


def count_hits(law: str, n: int, draws: int, resamples: int = RESAMPLES) -> dict[str, float]:
    """Return the share of draws in which each interval holds the true score; a score that is None has none to hold."""
    truth, rng = true_scores(law), np.random.default_rng([n, list(LAWS).index(law)])
    held: dict[str, list[bool]] = {name: [] for name in NAMES}
    for seed in range(draws):
        report = CalibrationReport(*draw(law, n, rng), level=LEVEL, n_bins=BINS, resamples=resamples, seed=seed)
        for name, score in {**report.scores, **report.brier_parts}.items():
            held[name].append(score.low - ROUNDING <= truth[name] <= score.high + ROUNDING)
            possible = LOWEST.get(name, 0.0) <= score.low <= score.high <= HIGHEST.get(name, 1.0)
            if not possible or score.low == score.high:
                raise AssertionError(f"{name} of {n} answers, {law}, seed {seed}: {score} cannot be.")
    return {name: float(np.mean(values)) for name, values in held.items()}


def measure(_build: Path) -> dict[str, Any]:
    """Measure the coverage for every law and size; every score must reach the bars."""
    figures = {(law, n): count_hits(law, n, DRAWS) for n in SIZES for law in LAWS}
    least = {name: min(held[name] for held in figures.values()) for name in NAMES}
    mean = {f"n={n}": {name: float(np.mean([figures[law, n][name] for law in LAWS])) for name in NAMES} for n in SIZES}
    passed = min(least.values()) >= BAR_OF_ONE and min(min(held.values()) for held in mean.values()) >= BAR
    return {
        "figures": {
            f"{law}, n={n}": {name: round(share, 3) for name, share in held.items()}
            for (law, n), held in figures.items()
        },
        "mean": mean,
        "least": least,
        "bar": f"over all laws at least {BAR:.3f}, for each at least {BAR_OF_ONE:.3f}; no end that is impossible",
        "passed": passed,
    }
