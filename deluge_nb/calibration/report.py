"""Whether "90 % sure" is right nine times in ten: a report on confidences and what came true, and fits that mend
them.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..errors import invalid_argument
from ..extras import import_extra
from ..logprobs.columns import Floats
from ..stats.core.records import Result
from ..stats.core.validation import between, check_paired, count, outcomes, probabilities
from ..stats.fits import fit_platt, fit_temperature_binary, isotonic_steps
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
from .intervals import Estimate, basic_interval, bootstrap_samples, delong_interval

if TYPE_CHECKING:
    import altair
    import pandas

Kind = Literal["temperature", "platt", "isotonic"]

# A confidence of 0 or 1 has no finite log-odds; so far from them it is kept.
_EDGE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionThreshold(Result):
    """Answering from ``threshold`` on answers ``n`` cases, the share ``coverage``, of which ``precision`` is right.

    The interval of the precision is Clopper's and Pearson's where a promise was asked for, else Wilson's.
    """

    threshold: float
    precision: Estimate
    coverage: float
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class Calibrator(Result):
    """A fit that turns confidences into better ones; made by :meth:`CalibrationReport.fit`.

    ``parameters`` are ``temperature``; or Platt's ``a`` and ``b``, of the log-odds; or the steps ``x`` and ``y`` of an
    isotonic fit, between which a line is drawn.
    """

    kind: str
    parameters: dict[str, Any]

    def transform(self, confidence: ArrayLike) -> Floats:
        """New confidences, calibrated: float64 of the same length.

        Raises
        ------
        SettingError
            When one is no probability.
        """
        p = probabilities(confidence, "confidence")
        if self.kind == "isotonic":
            return np.interp(p, self.parameters["x"], self.parameters["y"])
        z = _log_odds(p)
        if self.kind == "temperature":
            z = z / self.parameters["temperature"]
        else:
            z = self.parameters["a"] * z + self.parameters["b"]
        small = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + small), small / (1 + small))


class CalibrationReport:
    """How good confidences are, given what turned out to be right.

    Parameters
    ----------
    confidence
        The probability that was given to each answer, from 0 to 1, shape (n,).
    correct
        Whether it was right, 0 or 1, shape (n,).
    n_bins
        How many bins the calibration errors and the reliability diagram have.
    level
        Of all confidence intervals.
    resamples
        How often the data are drawn anew for the intervals of the calibration errors and of the area under the
        risk-coverage curve; fewer times where there are very many points.
    seed
        Of those draws: the same data give the same report.

    Raises
    ------
    SettingError
        When the lists are empty, differ in length, or hold anything else.

    Notes
    -----
    Intervals: Wilson's for shares; the normal one for means (Brier score, log loss); DeLong's for the area under the
    ROC curve; the basic bootstrap for the calibration errors and the area under the risk-coverage curve, because
    resampling makes a calibration error larger than it is, and the basic interval takes that off again.

    Examples
    --------
    >>> report = CalibrationReport([0.9, 0.8, 0.6, 0.7], [1, 1, 0, 1])
    >>> round(report.brier.value, 3)
    0.125
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
        """The share of right answers, with Wilson's interval."""
        hits = int(self.correct.sum())
        around = wilson_interval(hits, len(self), self.level)
        return Estimate(hits / len(self), around.low, around.high)

    @cached_property
    def mean_confidence(self) -> Estimate:
        """The mean of the confidences."""
        return self._mean(self.confidence)

    @cached_property
    def bins(self) -> tuple[CalibrationBin, ...]:
        """The bins of the reliability diagram that have points."""
        return ece(self.confidence, self.correct, self.n_bins).bins

    @cached_property
    def ece(self) -> Estimate:
        """The expected calibration error over bins of equal width: see :func:`deluge_nb.stats.ece`."""
        value = ece(self.confidence, self.correct, self.n_bins).ece
        return basic_interval(value, self._drawn[0], self.level)

    @cached_property
    def adaptive_ece(self) -> Estimate:
        """The expected calibration error over bins of equal number: see :func:`deluge_nb.stats.adaptive_ece`."""
        value = adaptive_ece(self.confidence, self.correct, self.n_bins)
        return basic_interval(value, self._drawn[1], self.level)

    @cached_property
    def brier(self) -> Estimate:
        """The Brier score of the confidences as forecasts of being right."""
        around = self._mean((self.confidence - self.correct) ** 2)
        return Estimate(brier(self.confidence, self.correct), around.low, around.high)

    @cached_property
    def brier_decomposition(self) -> BrierDecomposition:
        """What the Brier score is made of, the confidences of a bin taken together.

        Its ``brier`` is that of the bins' mean confidences: what is missing to :attr:`brier` is variation within bins.
        """
        edges = np.arange(self.n_bins + 1) / self.n_bins
        at = np.clip(np.searchsorted(edges, self.confidence, side="left") - 1, 0, self.n_bins - 1)
        means = np.bincount(at, self.confidence, self.n_bins) / np.maximum(np.bincount(at, minlength=self.n_bins), 1)
        return brier_decomposition(np.clip(means[at], 0, 1), self.correct)

    @cached_property
    def brier_parts(self) -> dict[str, Estimate]:
        """Reliability, resolution and uncertainty of :attr:`brier_decomposition`, with their intervals."""
        parts = self.brier_decomposition
        values = (parts.reliability, parts.resolution, parts.uncertainty)
        names = ("reliability", "resolution", "uncertainty")
        return {
            name: basic_interval(value, drawn, self.level)
            for name, value, drawn in zip(names, values, self._drawn[3:], strict=True)
        }

    @cached_property
    def log_loss(self) -> Estimate:
        """The mean surprisal (nats) of what came true; infinite where something was called certain and was not."""
        value = log_loss(self.confidence, self.correct)
        if math.isinf(value):
            return Estimate(value, value, value)
        right = np.where(self.correct == 1, self.confidence, 1 - self.confidence)
        around = self._mean(-np.log(right))
        return Estimate(value, around.low, around.high)

    @cached_property
    def auroc(self) -> Estimate | None:
        """How often a right answer has a higher confidence than a wrong one; None where all are right, or all wrong."""
        if self.correct.min() == self.correct.max():
            return None
        value = auroc(self.confidence, self.correct)
        half = normal_quantile(self.level) * delong_interval(self.confidence, self.correct)
        return Estimate(value, max(value - half, 0.0), min(value + half, 1.0))

    @cached_property
    def risk_coverage(self) -> RiskCoverage:
        """The risk-coverage curve and the areas under it: see :func:`deluge_nb.stats.risk_coverage`."""
        return risk_coverage(self.confidence, self.correct)

    @cached_property
    def aurc(self) -> Estimate:
        """The area under the risk-coverage curve."""
        return basic_interval(self.risk_coverage.aurc, self._drawn[2], self.level)

    def threshold(self, precision: float, *, delta: float | None = None) -> PrecisionThreshold | None:
        """The least confidence from which on enough answers are right.

        Parameters
        ----------
        precision
            The share that is wanted.
        delta
            How often the promise may fail on new data; None promises nothing. Needs SciPy. See
            :func:`deluge_nb.stats.threshold_for_precision`.

        Returns
        -------
        PrecisionThreshold or None
            None where no threshold reaches the share.

        Raises
        ------
        SettingError
            When a number is out of its range.
        """
        found = threshold_for_precision(self.confidence, self.correct, precision, delta=delta)
        if found is None:
            return None
        hits = round(found.precision * found.n)
        interval = wilson_interval if delta is None else clopper_pearson
        around = interval(hits, found.n, self.level)
        return PrecisionThreshold(
            found.threshold, Estimate(found.precision, around.low, around.high), found.coverage, found.n
        )

    # Fits -------------------------------------------------------------------------------------------------------------

    def fit(self, kind: Kind = "temperature") -> Calibrator:
        """Fit what turns these confidences into calibrated ones. Needs SciPy.

        Try it on other data than it was fitted to: on its own, any fit looks good.

        Parameters
        ----------
        kind
            ``"temperature"`` divides the log-odds by a number, and suits few points; ``"platt"`` also shifts them;
            ``"isotonic"`` is any rising curve, and wants hundreds of points.

        Returns
        -------
        Calibrator
            With ``transform(confidence)`` for new ones.

        Raises
        ------
        MissingDependencyError
            When SciPy is not installed.
        SettingError
            When there is no such kind.
        """
        if kind == "isotonic":
            x, _, y = isotonic_steps(self.confidence, self.correct)
            return Calibrator(kind, {"x": x, "y": y})
        z = _log_odds(self.confidence)
        if kind == "temperature":
            return Calibrator(kind, {"temperature": fit_temperature_binary(z, self.correct).temperature})
        if kind == "platt":
            line = fit_platt(z, self.correct)
            return Calibrator(kind, {"a": line.a, "b": line.b})
        raise invalid_argument("kind", kind, "'temperature', 'platt' or 'isotonic'")

    # For people -------------------------------------------------------------------------------------------------------

    @cached_property
    def scores(self) -> dict[str, Estimate]:
        """All scores with their intervals, by name."""
        found = {
            "accuracy": self.accuracy,
            "mean confidence": self.mean_confidence,
            "ECE": self.ece,
            "adaptive ECE": self.adaptive_ece,
            "Brier score": self.brier,
            "log loss (nats)": self.log_loss,
            "AUROC": self.auroc,
            "AURC": self.aurc,
        }
        return {name: one for name, one in found.items() if one is not None}

    def to_dict(self) -> dict[str, Any]:
        """The scores, the parts of the Brier score and the bins, as plain Python objects."""
        return {
            "n": len(self),
            **{name: one.to_dict() for name, one in self.scores.items()},
            "Brier decomposition": {name: one.to_dict() for name, one in self.brier_parts.items()},
            "bins": [one.to_dict() for one in self.bins],
        }

    def to_pandas(self) -> pandas.DataFrame:
        """The scores as a table: one row each, with the ends of the interval.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        pd = import_extra("pandas", "to_pandas()")
        return pd.DataFrame([{"score": name, **one.to_dict()} for name, one in self.scores.items()])

    def reliability_chart(self) -> altair.VConcatChart:
        """Accuracy against confidence with Wilson's intervals, above the number of points in each bin."""
        from ..charts.calibration import reliability_chart

        return reliability_chart(self.bins, self.n_bins, self.ece)

    def risk_coverage_chart(self) -> altair.LayerChart:
        """The share of wrong answers against the share of questions that are answered."""
        from ..charts.calibration import risk_coverage_chart

        return risk_coverage_chart(self.risk_coverage, float(self.accuracy.value))

    def histogram_chart(self) -> altair.Chart:
        """How often each confidence was given, right and wrong answers apart."""
        from ..charts.calibration import histogram_chart

        return histogram_chart(self.confidence, self.correct, self.n_bins)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {self.scores[name]}" for name in ("accuracy", "ECE", "Brier score"))
        return f"CalibrationReport({len(self)} answers, {told})"

    def _repr_html_(self) -> str:
        every = {**self.scores, **{f"Brier: {name}": one for name, one in self.brier_parts.items()}}
        rows = [(name, f"{one.value:.3f}", f"{one.low:.3f} – {one.high:.3f}") for name, one in every.items()]
        body = "".join(
            f"<tr><th scope='row' style='text-align:left'>{html.escape(name)}</th><td>{value}</td><td>{span}</td></tr>"
            for name, value, span in rows
        )
        return (
            f"<table><caption style='text-align:left'>Calibration of {len(self):,} answers</caption><thead><tr>"
            f"<th style='text-align:left'>score</th><th>value</th><th>{self.level:.0%} interval</th></tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )

    # Intervals --------------------------------------------------------------------------------------------------------

    def _mean(self, values: Floats) -> Estimate:
        """A mean with its normal interval."""
        mean = math.fsum(values.tolist()) / len(values)
        spread = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        half = normal_quantile(self.level) * spread
        return Estimate(mean, mean - half, mean + half)

    @cached_property
    def _drawn(self) -> tuple[Floats, ...]:
        return bootstrap_samples(self.confidence, self.correct, self.n_bins, self._resamples, self._seed)


def _log_odds(p: Floats) -> Floats:
    kept = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(kept) - np.log1p(-kept)
