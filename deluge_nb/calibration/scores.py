"""Scores of confidences against outcomes, with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..logprobs.columns import Floats
from ..stats.core.validation import between, check_paired, count, outcomes, probabilities
from ..stats.scoring import (
    BrierDecomposition,
    CalibrationBin,
    CalibrationTest,
    adaptive_ece,
    auroc,
    average_precision,
    brier,
    brier_decomposition,
    calibration_test,
    ece,
    log_loss,
    wilson_interval,
)
from ..stats.scoring.calibration_error import bin_indices, quantile_bin_indices
from ..stats.selective import RiskCoverage, prr, risk_coverage
from .error_intervals import BinnedScores
from .intervals import Estimate, RankedOutcomes, auroc_interval, ratio_interval, score_interval

# Numbers that differ by less are equal but for rounding.
_EQUAL = 1e-12


class CalibrationScores:
    """Scores of confidences against outcomes; :class:`deluge_nb.CalibrationReport` documents the parameters."""

    def __init__(
        self,
        confidence: ArrayLike,
        correct: ArrayLike,
        *,
        n_bins: int = 10,
        level: float = 0.95,
        resamples: int = 500,
        seed: int = 0,
    ) -> None:
        self.confidence = probabilities(confidence, "confidence")
        self.correct = outcomes(correct, "correct")
        check_paired(self.confidence, self.correct, ("confidence", "correct"))
        self.n_bins = count(n_bins, "n_bins", 1)
        self.level = between(level, "level", 0, 1, ends=False)
        self.dropped = 0
        """Number of results that :meth:`from_results` left out: failed ones, and those without a truth."""
        self._resamples = count(resamples, "resamples", 1)
        self._seed = count(seed, "seed")

    def __len__(self) -> int:
        return len(self.confidence)

    @cached_property
    def accuracy(self) -> Estimate:
        """Share of right answers, with Wilson's interval."""
        hits = int(self.correct.sum())
        bounds = wilson_interval(hits, len(self), self.level)
        return Estimate(hits / len(self), bounds.low, bounds.high)

    @cached_property
    def mean_confidence(self) -> Estimate:
        """Mean of the confidences."""
        return self._interval(_mean(self.confidence), self.confidence)

    @cached_property
    def bins(self) -> tuple[CalibrationBin, ...]:
        """Bins of the reliability diagram that have points."""
        return ece(self.confidence, self.correct, self.n_bins).bins

    @cached_property
    def ece(self) -> Estimate:
        """Expected calibration error over bins of equal width: see :func:`deluge_nb.stats.ece`."""
        value = ece(self.confidence, self.correct, self.n_bins).ece
        return self._binned.error(value)

    @cached_property
    def adaptive_ece(self) -> Estimate:
        """Expected calibration error over bins with equally many points: see :func:`deluge_nb.stats.adaptive_ece`."""
        bins = quantile_bin_indices(self.confidence, self.n_bins)
        scores = BinnedScores(self.confidence, self.correct, bins, self.level, self._resamples, self._seed)
        return scores.error(adaptive_ece(self.confidence, self.correct, self.n_bins))

    @cached_property
    def calibration_test(self) -> CalibrationTest:
        """Test whether these confidences are calibrated: see :func:`deluge_nb.stats.calibration_test`."""
        return calibration_test(
            self.confidence, self.correct, n_bins=self.n_bins, resamples=self._resamples, seed=self._seed
        )

    @cached_property
    def brier(self) -> Estimate:
        """Brier score of the confidences as forecasts of being right."""
        return self._forecast_interval(brier(self.confidence, self.correct), lambda p, y: (p - y) ** 2, 1.0)

    @cached_property
    def brier_decomposition(self) -> BrierDecomposition:
        """Decomposition of the Brier score over the bins, with one mean confidence per bin.

        Its ``brier`` is the score of these mean confidences; the variation within bins makes the difference to
        :attr:`brier`.
        """
        bins = bin_indices(self.confidence, self.n_bins)
        counts = np.bincount(bins, minlength=self.n_bins)
        means = np.bincount(bins, self.confidence, self.n_bins) / np.maximum(counts, 1)
        return brier_decomposition(np.clip(means[bins], 0, 1), self.correct)

    @cached_property
    def brier_parts(self) -> dict[str, Estimate]:
        """Reliability, resolution and uncertainty of :attr:`brier_decomposition`, with their intervals."""
        parts, share = self.brier_decomposition, self.accuracy
        ends = (share.low * (1 - share.low), share.high * (1 - share.high))
        most = 0.25 if share.low <= 0.5 <= share.high else max(ends)
        return {
            "reliability": self._binned.reliability(parts.reliability),
            "resolution": self._binned.resolution(parts.resolution),
            "uncertainty": Estimate(parts.uncertainty, min(ends), most),
        }

    @cached_property
    def log_loss(self) -> Estimate:
        """Mean surprisal of the outcomes (nats); infinite where a confidence of 1 was wrong, or of 0 right."""
        value = log_loss(self.confidence, self.correct)
        if math.isinf(value):
            return Estimate(value, value, value)
        return self._forecast_interval(value, _surprisals, math.inf)

    @cached_property
    def auroc(self) -> Estimate | None:
        """Probability that a right answer has a higher confidence than a wrong one; None without either."""
        right = int(self.correct.sum())
        if right in (0, len(self)):
            return None
        return auroc_interval(auroc(self.confidence, self.correct), right, len(self) - right, self.level)

    @cached_property
    def auprc(self) -> Estimate | None:
        """Area under the precision-recall curve of right answers, their average precision; None if all are wrong."""
        if not self.correct.any():
            return None
        value, areas = (
            average_precision(self.confidence, self.correct),
            [ranked.average_precision() for ranked in self._ranked],
        )
        return _span([self._interval(value, influence, centre) for centre, influence in areas])

    @cached_property
    def prr(self) -> Estimate | None:
        """Prediction rejection ratio, 1 for a perfect ranking and 0 for a random one; None if all answers are equal."""
        value = prr(self.confidence, self.correct)
        if value is None:
            return None
        ratios = [ranked.excess_ratio() for ranked in self._ranked]
        n = len(self)
        return _span([ratio_interval(value, centre, float(own.var(ddof=1)), n, self.level) for centre, own in ratios])

    @cached_property
    def risk_coverage(self) -> RiskCoverage:
        """Risk-coverage curve and the areas under it: see :func:`deluge_nb.stats.risk_coverage`."""
        return risk_coverage(self.confidence, self.correct)

    @cached_property
    def aurc(self) -> Estimate:
        """Area under the risk-coverage curve."""
        value, areas = self.risk_coverage.aurc, [ranked.aurc() for ranked in self._ranked]
        return _span([self._interval(value, influence, centre) for centre, influence in areas])

    @cached_property
    def scores(self) -> dict[str, Estimate]:
        """Scores with their intervals, by name."""
        scores = {
            "accuracy": self.accuracy,
            "mean confidence": self.mean_confidence,
            "ECE": self.ece,
            "adaptive ECE": self.adaptive_ece,
            "Brier score": self.brier,
            "log loss (nats)": self.log_loss,
            "AUROC": self.auroc,
            "AURC": self.aurc,
            "AUPRC": self.auprc,
            "PRR": self.prr,
        }
        return {name: score for name, score in scores.items() if score is not None}

    # Intervals --------------------------------------------------------------------------------------------------------

    def _interval(self, value: float, spread: Floats, centre: float | None = None, top: float = 1.0) -> Estimate:
        """Return the interval of a score from numbers whose variance is that of one answer, around a centre."""
        if np.ptp(spread) < _EQUAL:
            # Numbers that are equal by lack of data have the spread of one more, at the far end.
            spread = np.append(spread, 0.0 if math.isinf(top) or spread[0] > top / 2 else top)
        middle = _mean(spread) if centre is None else centre
        variance = float(spread.var(ddof=1)) if len(spread) > 1 and np.isfinite(spread).all() else math.inf
        return score_interval(value, middle, variance, len(self), self.level, top)

    def _forecast_interval(self, value: float, loss: Callable[[Floats, Floats], Floats], top: float) -> Estimate:
        """Return the interval of a mean loss. One more answer of the rarer outcome is taken into the spread."""
        rarer = 0.0 if self.accuracy.value > 0.5 else 1.0
        p = np.append(self.confidence, _mean(self.confidence))
        return self._interval(value, loss(p, np.append(self.correct, rarer)), top=top)

    @cached_property
    def _ranked(self) -> list[RankedOutcomes]:
        """Influences on scores of the ranking, with two more answers: a wrong one ranked high, and a right one low.

        Where most answers are wrong, the data may miss right ones ranked high, too: so once more with the two swapped.
        """
        low, high = np.quantile(self.confidence, [0.25, 0.75])
        if low == high:
            low, high = -math.inf, math.inf
        confidence = np.append(self.confidence, [high, low])
        added = [[0.0, 1.0]] if self.accuracy.value > 0.5 else [[0.0, 1.0], [1.0, 0.0]]
        return [RankedOutcomes(confidence, np.append(self.correct, two)) for two in added]

    @cached_property
    def _binned(self) -> BinnedScores:
        bins = bin_indices(self.confidence, self.n_bins)
        return BinnedScores(self.confidence, self.correct, bins, self.level, self._resamples, self._seed)


def _span(estimates: Sequence[Estimate]) -> Estimate:
    """Return the interval that holds all intervals of one score."""
    lows, highs = zip(*estimates, strict=True)
    return Estimate(estimates[0].value, min(lows), max(highs))


def _mean(values: Floats) -> float:
    return math.fsum(values.tolist()) / len(values)


def _surprisals(p: Floats, y: Floats) -> Floats:
    """Return the surprisal (nats) of each outcome."""
    with np.errstate(divide="ignore"):
        return -np.where(y == 1, np.log(p), np.log1p(-p))
