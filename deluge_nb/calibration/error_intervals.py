"""Confidence intervals of scores over bins, by inverting a simulated test.

A calibration error of few answers is too large: outcomes scatter, and distances do not cancel. Resampling adds scatter
to scatter. Here outcomes are drawn from probabilities whose score is known, and the interval holds the scores whose
draws differ from the observed one by no more than chance allows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..logprobs.columns import Floats
from ..stats.scoring.null_draws import BinnedOutcomes
from .intervals import Estimate

# Steps of each search: an end is then within 1/500 of the length of its path.
_STEPS = 9
# Scores that differ by rounding only are equal.
_GUARD = 1e-12
# Beyond this number of outcomes, the hits of each bin are drawn at once.
_DRAWS = 100_000
# Answers at the start of a path by which the observed rate of a bin is drawn towards that start: few answers may all
# be right by chance, and outcomes drawn from a rate of 1 would not scatter.
_PRIOR = 1.0
# Observed distances are followed up to so many times their size.
_FARTHEST = 4.0

Path = Callable[[float], Floats]
"""Function from 0 to 1 to the probability of each point."""


class BinnedScores:
    """Intervals of the scores over one set of bins.

    Parameters
    ----------
    confidence
        Probabilities, shape (n,).
    correct
        Outcomes, 0 or 1, shape (n,).
    bins
        The bin of each point, shape (n,).
    level
        Level of the intervals.
    resamples
        Number of draws.
    seed
        Seed of the draws.
    """

    def __init__(
        self, confidence: Floats, correct: Floats, bins: NDArray[np.intp], level: float, resamples: int, seed: int
    ) -> None:
        self._confidence = confidence
        self._outcomes = BinnedOutcomes(bins, resamples, seed, _DRAWS)
        self._level = level
        self._points = np.unique(bins, return_inverse=True)[1]
        self._weight = self._outcomes.counts / len(confidence)
        self._mean = self._outcomes.sum(confidence) / self._outcomes.counts
        self._rate = self._outcomes.sum(correct) / self._outcomes.counts
        # Outcomes are also drawn into bins: this noise stands for how many fall into each.
        self._noise = np.random.default_rng([seed, 1]).standard_normal(resamples) / np.sqrt(len(confidence))

    def error(self, value: float) -> Estimate:
        """Return the interval of an expected calibration error."""
        return self._invert(value, lambda rate: np.abs(rate - self._mean), self._error_paths())

    def reliability(self, value: float) -> Estimate:
        """Return the interval of the reliability, the mean square of the distances in the bins."""
        return self._invert(value, lambda rate: (rate - self._mean) ** 2, self._error_paths())

    def resolution(self, value: float) -> Estimate:
        """Return the interval of the resolution, the variance of the rates of the bins."""
        n, counts = len(self._confidence), self._outcomes.counts
        base = float((self._weight * self._rate).sum() * n + 0.5) / (n + 1)
        observed = self._follow(np.full(n, base), self._rate - base)
        # Where all rates are equal, there is no observed direction: rates may still rise with the confidences.
        rising = self._follow(np.full(n, base), self._mean - float((self._weight * self._mean).sum()))

        def squares(rate: Floats) -> Floats:
            return (rate - (rate * counts).sum(axis=-1, keepdims=True) / n) ** 2

        found = self._invert(value, squares, [observed, rising])
        # One more answer, of the other outcome and in a bin of its own.
        return Estimate(value, found.low, min(max(found.high, n / (n + 1) ** 2), 0.25))

    def _error_paths(self) -> list[Path]:
        """Return paths from calibrated outcomes: along the observed distances, to none right, and to all right."""
        p = self._confidence
        observed = self._follow(p, self._rate - self._mean)
        return [observed, lambda step: p * (1 - step), lambda step: p + step * (1 - p)]

    def _follow(self, start: Floats, distance: Floats) -> Path:
        """Return the path from probabilities of points along distances of bins."""
        counts = self._outcomes.counts
        direction = (_FARTHEST * distance * counts / (counts + _PRIOR))[self._points]
        return lambda step: np.clip(start + step * direction, 0, 1)

    def _invert(self, value: float, score: Callable[[Floats], Floats], paths: list[Path]) -> Estimate:
        """Return the interval of the mean over points of a score of their bin.

        The first path gives the lower end, which is 0 where the value is no larger than the quantile, at the level, of
        draws from the start. The upper end is the farthest that any path gives.
        """
        if len(self._confidence) == 1:
            return Estimate(value, 0.0, 1.0)
        share = 1 - self._level

        def read(path: Path, step: float) -> tuple[float, Floats]:
            """Return the true score at a step of a path, and the scores of draws from there."""
            p = path(step)
            truth = score(self._outcomes.sum(p) / self._outcomes.counts)
            mean = float((self._weight * truth).sum())
            spread = float((self._weight * (truth - mean) ** 2).sum()) ** 0.5
            drawn = (score(self._outcomes.draw(p) / self._outcomes.counts) * self._weight).sum(axis=1)
            return mean, drawn + spread * self._noise

        def is_above(step: float) -> bool:
            """Return True where the value is too large for a step of the first path."""
            truth, drawn = read(paths[0], step)
            # Near 0 the upper end cannot miss, and the lower end has the whole share of misses.
            beyond = min(share / 2, float((drawn < truth - _GUARD).mean()))
            return _share(drawn >= value - _GUARD) < share - beyond

        def is_below(path: Path, step: float) -> bool:
            """Return True where the value is too small for a step of a path."""
            return _share(read(path, step)[1] <= value + _GUARD) < share / 2

        low = 0.0
        if is_above(0.0):
            low = read(paths[0], _search(is_above))[0]
        high = max(read(path, _search(lambda step, path=path: not is_below(path, step)))[0] for path in paths)
        return Estimate(value, min(low, value), max(min(high, 1.0), value))


def _share(drawn: NDArray[np.bool_]) -> float:
    """Return the share of draws that are True, the observed outcomes being one more."""
    return (1 + int(drawn.sum())) / (1 + len(drawn))


def _search(holds: Callable[[float], bool]) -> float:
    """Return the last step from 0 to 1 at which a condition holds that ends somewhere."""
    if holds(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
