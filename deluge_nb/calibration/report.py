"""Report on the calibration of confidences: is "90 % sure" right nine times in ten?"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..extras import import_extra
from ..logprobs.columns import Floats
from ..stats.core.records import Result
from ..stats.core.validation import between, check_paired, count, outcomes, probabilities
from ..stats.scoring import (
    BrierDecomposition,
    CalibrationBin,
    adaptive_ece,
    auroc,
    brier,
    brier_decomposition,
    clopper_pearson,
    ece,
    log_loss,
    normal_quantile,
    wilson_interval,
)
from ..stats.selective import RiskCoverage, risk_coverage, threshold_for_precision
from .calibrator import Calibrator, Kind, fit_calibrator
from .intervals import Estimate, basic_interval, bootstrap_samples, delong_standard_error

if TYPE_CHECKING:
    import altair
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionThreshold(Result):
    """Threshold on the confidence that reaches a precision.

    Answering from ``threshold`` on answers ``n`` cases, the share ``coverage`` of all; the share ``precision`` of them
    is right. Its interval is Clopper and Pearson's where ``delta`` was given, else Wilson's.
    """

    threshold: float
    precision: Estimate
    coverage: float
    n: int


class CalibrationReport:
    """Calibration report: scores of confidences against outcomes, with confidence intervals, charts and fits.

    Parameters
    ----------
    confidence
        The probability of each answer to be right, from 0 to 1, shape (n,).
    correct
        The outcomes: 1 where the answer was right, 0 where it was wrong, shape (n,).
    n_bins
        Number of bins of the calibration errors and the reliability diagram.
    level
        Level of all confidence intervals, between 0 and 1.
    resamples
        Number of bootstrap resamples for the intervals of the calibration errors and of the area under the
        risk-coverage curve; fewer are drawn where there are very many points.
    seed
        Seed of the resampling: the same data give the same report.

    Raises
    ------
    SettingError
        When the lists are empty, differ in length, or hold other values.

    Notes
    -----
    Intervals: Wilson's for shares; the normal one for means (Brier score, log loss); DeLong's for the area under the
    ROC curve; the basic bootstrap for the calibration errors and the area under the risk-coverage curve. Resampling
    overestimates a calibration error, and the basic interval corrects for this bias.

    Examples
    --------
    >>> from deluge_nb import CalibrationReport
    >>> report = CalibrationReport([0.9, 0.8, 0.6, 0.7], [1, 1, 0, 1])
    >>> round(report.brier.value, 3)
    0.125
    >>> print(report.accuracy)
    0.750 [0.301, 0.954]
    """

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
        self._resamples = count(resamples, "resamples", 1)
        self._seed = count(seed, "seed")

    def __len__(self) -> int:
        return len(self.confidence)

    # Scores -----------------------------------------------------------------------------------------------------------

    @cached_property
    def accuracy(self) -> Estimate:
        """Share of right answers, with Wilson's interval."""
        hits = int(self.correct.sum())
        bounds = wilson_interval(hits, len(self), self.level)
        return Estimate(hits / len(self), bounds.low, bounds.high)

    @cached_property
    def mean_confidence(self) -> Estimate:
        """Mean of the confidences."""
        return self._mean(self.confidence)

    @cached_property
    def bins(self) -> tuple[CalibrationBin, ...]:
        """Bins of the reliability diagram that have points."""
        return ece(self.confidence, self.correct, self.n_bins).bins

    @cached_property
    def ece(self) -> Estimate:
        """Expected calibration error over bins of equal width: see :func:`deluge_nb.stats.ece`."""
        value = ece(self.confidence, self.correct, self.n_bins).ece
        return basic_interval(value, self._bootstrap[0], self.level)

    @cached_property
    def adaptive_ece(self) -> Estimate:
        """Expected calibration error over bins with equally many points: see :func:`deluge_nb.stats.adaptive_ece`."""
        value = adaptive_ece(self.confidence, self.correct, self.n_bins)
        return basic_interval(value, self._bootstrap[1], self.level)

    @cached_property
    def brier(self) -> Estimate:
        """Brier score of the confidences as forecasts of being right."""
        bounds = self._mean((self.confidence - self.correct) ** 2)
        return Estimate(brier(self.confidence, self.correct), bounds.low, bounds.high)

    @cached_property
    def brier_decomposition(self) -> BrierDecomposition:
        """Decomposition of the Brier score over the bins, with one mean confidence per bin.

        Its ``brier`` is the score of these mean confidences; the variation within bins makes the difference to
        :attr:`brier`.
        """
        edges = np.arange(self.n_bins + 1) / self.n_bins
        bins = np.clip(np.searchsorted(edges, self.confidence, side="left") - 1, 0, self.n_bins - 1)
        counts = np.bincount(bins, minlength=self.n_bins)
        means = np.bincount(bins, self.confidence, self.n_bins) / np.maximum(counts, 1)
        return brier_decomposition(np.clip(means[bins], 0, 1), self.correct)

    @cached_property
    def brier_parts(self) -> dict[str, Estimate]:
        """Reliability, resolution and uncertainty of :attr:`brier_decomposition`, with their intervals."""
        parts = self.brier_decomposition
        values = (parts.reliability, parts.resolution, parts.uncertainty)
        names = ("reliability", "resolution", "uncertainty")
        return {
            name: basic_interval(value, sample, self.level)
            for name, value, sample in zip(names, values, self._bootstrap[3:], strict=True)
        }

    @cached_property
    def log_loss(self) -> Estimate:
        """Mean surprisal of the outcomes (nats); infinite where a confidence of 1 was wrong, or of 0 right."""
        value = log_loss(self.confidence, self.correct)
        if math.isinf(value):
            return Estimate(value, value, value)
        right = np.where(self.correct == 1, self.confidence, 1 - self.confidence)
        bounds = self._mean(-np.log(right))
        return Estimate(value, bounds.low, bounds.high)

    @cached_property
    def auroc(self) -> Estimate | None:
        """Probability that a right answer has a higher confidence than a wrong one; None without either."""
        if self.correct.min() == self.correct.max():
            return None
        value = auroc(self.confidence, self.correct)
        half = normal_quantile(self.level) * delong_standard_error(self.confidence, self.correct)
        return Estimate(value, max(value - half, 0.0), min(value + half, 1.0))

    @cached_property
    def risk_coverage(self) -> RiskCoverage:
        """Risk-coverage curve and the areas under it: see :func:`deluge_nb.stats.risk_coverage`."""
        return risk_coverage(self.confidence, self.correct)

    @cached_property
    def aurc(self) -> Estimate:
        """Area under the risk-coverage curve."""
        return basic_interval(self.risk_coverage.aurc, self._bootstrap[2], self.level)

    def threshold(self, precision: float, *, delta: float | None = None) -> PrecisionThreshold | None:
        """Return the lowest threshold on the confidence that reaches a precision.

        Parameters
        ----------
        precision
            The least share of right answers, from 0 to 1, among those at or above the threshold.
        delta
            The probability that the precision is missed on new data; None gives no guarantee. Needs SciPy. See
            :func:`deluge_nb.stats.threshold_for_precision`.

        Returns
        -------
        PrecisionThreshold or None
            None where no threshold reaches the precision.

        Raises
        ------
        SettingError
            When a number is out of its range.
        """
        cut = threshold_for_precision(self.confidence, self.correct, precision, delta=delta)
        if cut is None:
            return None
        hits = round(cut.precision * cut.n)
        bounds = (wilson_interval if delta is None else clopper_pearson)(hits, cut.n, self.level)
        return PrecisionThreshold(cut.threshold, Estimate(cut.precision, bounds.low, bounds.high), cut.coverage, cut.n)

    # Fits -------------------------------------------------------------------------------------------------------------

    def fit(self, kind: Kind = "temperature") -> Calibrator:
        """Fit a function that calibrates these confidences. Needs SciPy.

        Test the fit on other data: on the data it was fitted to, any fit looks good.

        Parameters
        ----------
        kind
            ``"temperature"`` divides the log-odds by a number and suits few points; ``"platt"`` also shifts them;
            ``"isotonic"`` is any rising curve and needs hundreds of points.

        Returns
        -------
        Calibrator
            Its ``transform(confidence)`` calibrates new confidences.

        Raises
        ------
        MissingDependencyError
            When SciPy is not installed.
        SettingError
            When ``kind`` is none of these.
        """
        return fit_calibrator(self.confidence, self.correct, kind)

    # Representations --------------------------------------------------------------------------------------------------

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
        }
        return {name: score for name, score in scores.items() if score is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the scores, the parts of the Brier score and the bins as plain Python objects.

        Returns
        -------
        dict
            Ready for ``json.dumps``: scores with ``value``, ``low`` and ``high`` by name, ``n`` and ``bins``.
        """
        return {
            "n": len(self),
            **{name: score.to_dict() for name, score in self.scores.items()},
            "Brier decomposition": {name: part.to_dict() for name, part in self.brier_parts.items()},
            "bins": [group.to_dict() for group in self.bins],
        }

    def to_pandas(self) -> pandas.DataFrame:
        """Return the scores as a data frame.

        Returns
        -------
        pandas.DataFrame
            One row per score, with columns ``score``, ``value`` and the ends of the interval, ``low`` and ``high``.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        pd = import_extra("pandas", "to_pandas()")
        return pd.DataFrame([{"score": name, **score.to_dict()} for name, score in self.scores.items()])

    def reliability_chart(self) -> altair.VConcatChart:
        """Draw accuracy against confidence, with Wilson's intervals, above the number of points in each bin.

        Returns
        -------
        altair.VConcatChart
        """
        from ..charts.calibration import reliability_chart

        return reliability_chart(self.bins, self.n_bins, self.ece)

    def risk_coverage_chart(self) -> altair.LayerChart:
        """Draw the share of wrong answers against the share of questions that are answered.

        Returns
        -------
        altair.LayerChart
        """
        from ..charts.calibration import risk_coverage_chart

        return risk_coverage_chart(self.risk_coverage, float(self.accuracy.value))

    def histogram_chart(self) -> altair.Chart:
        """Draw a histogram of the confidences, with separate bars for right and wrong answers.

        Returns
        -------
        altair.Chart
        """
        from ..charts.calibration import histogram_chart

        return histogram_chart(self.confidence, self.correct, self.n_bins)

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {self.scores[name]}" for name in ("accuracy", "ECE", "Brier score"))
        return f"CalibrationReport({_count_answers(len(self))}, {scores})"

    def _repr_html_(self) -> str:
        scores = {**self.scores, **{f"Brier: {name}": part for name, part in self.brier_parts.items()}}
        rows = [(name, f"{score.value:.3f}", f"{score.low:.3f} – {score.high:.3f}") for name, score in scores.items()]
        body = "".join(
            f"<tr><th scope='row' style='text-align:left'>{html.escape(name)}</th><td>{value}</td><td>{span}</td></tr>"
            for name, value, span in rows
        )
        return (
            f"<table><caption style='text-align:left'>Calibration of {_count_answers(len(self))}</caption><thead><tr>"
            f"<th style='text-align:left'>score</th><th>value</th><th>{self.level:.0%} interval</th></tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )

    # Intervals --------------------------------------------------------------------------------------------------------

    def _mean(self, values: Floats) -> Estimate:
        """Return a mean with its normal interval."""
        mean = math.fsum(values.tolist()) / len(values)
        spread = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        half = normal_quantile(self.level) * spread
        return Estimate(mean, mean - half, mean + half)

    @cached_property
    def _bootstrap(self) -> tuple[Floats, ...]:
        return bootstrap_samples(self.confidence, self.correct, self.n_bins, self._resamples, self._seed)


def _count_answers(count: int) -> str:
    return "1 answer" if count == 1 else f"{count:,} answers"
