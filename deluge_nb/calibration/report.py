"""Report on the calibration of confidences: is "90 % sure" right nine times in ten?"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from ..extras import import_extra
from ..stats.core.validation import between
from .calibrator import Calibrator, Kind, fit_calibrator
from .scores import CalibrationScores
from .threshold import PrecisionThreshold, find_threshold
from .truth import LabelledResults, pair_with_truth

if TYPE_CHECKING:
    import altair
    import pandas


class CalibrationReport(CalibrationScores):
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
        Number of draws for the intervals of scores over bins and for the test of calibration.
    seed
        Seed of the draws: the same data give the same report.

    Raises
    ------
    SettingError
        When the lists are empty, differ in length, or hold other values.

    Notes
    -----
    All intervals stay inside what a score can be, and none is without width because few data agree.

    - Shares (accuracy): Wilson's.
    - Means and areas (mean confidence, Brier score, log loss, AURC, AUPRC, PRR): Wilson's interval with the variance of
      the data, to which a further answer of the rarer outcome, or for areas a right and a wrong one, is added. Areas
      use the influence of each answer. Where most answers are wrong, the added ones are ranked in both orders.
    - AUROC: Newcombe's (method 5), which inverts Hanley and McNeil's variance. For an area of 0 or 1 the bound
      (α/2)^(1/m), where m is the number of the rarer outcome.
    - Scores over bins (ECE, adaptive ECE, reliability, resolution): the scores from which simulated outcomes do not
      differ by more than chance. The lower end of an error is 0 where outcomes drawn from the confidences have errors
      as large in more than 1 - ``level`` of the draws.
    - One answer: everything is possible. Only its accuracy has an interval (Wilson's).
    - An infinite log loss has no interval: it is infinite on all data like these.

    Examples
    --------
    >>> from deluge_nb import CalibrationReport
    >>> report = CalibrationReport([0.9, 0.8, 0.6, 0.7], [1, 1, 0, 1])
    >>> round(report.brier.value, 3)
    0.125
    >>> print(report.accuracy)
    0.750 [0.301, 0.954]
    """

    @classmethod
    def from_results(cls, found: LabelledResults, truth: Iterable[Any], **settings: Any) -> Self:
        """Return the report on classified inputs whose right labels are known.

        Parameters
        ----------
        found
            The results of :func:`deluge_nb.classify`. The share of each label is the confidence.
        truth
            The right label of each input, in the same order: a list or a Series. Where both keep an index, the indexes
            must be equal. None and NaN are missing.
        **settings
            ``n_bins``, ``level``, ``resamples`` and ``seed``, as for the class.

        Returns
        -------
        CalibrationReport
            Results that failed or have no label, and rows without a truth, are left out; ``report.dropped`` is their
            number.

        Raises
        ------
        SettingError
            When the lengths or indexes differ, a truth is not a text, no truth is one of the labels, or nothing is
            left.

        Warns
        -----
        UserWarning
            When some truths are none of the labels: their rows count as wrong.

        Examples
        --------
        >>> from deluge_nb import CalibrationReport, LLMClient, RawPrompt, classify
        >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
        >>> question, reviews = RawPrompt("Review: {0} Sentiment:"), ["I loved it.", "A waste of time."]
        >>> found = classify(reviews, ["positive", "negative"], client, template=question, show_progress=False)
        >>> report = CalibrationReport.from_results(found, ["positive", None])
        >>> len(report), report.dropped
        (1, 1)
        """
        confidence, correct, dropped = pair_with_truth(found, truth)
        report = cls(confidence, correct, **settings)
        report.dropped = dropped
        return report

    def threshold(self, precision: float, *, delta: float | None = None) -> PrecisionThreshold:
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
        PrecisionThreshold
            True in a condition if there is such a threshold. Else its ``best`` is the threshold that comes nearest, and
            its text says so.

        Raises
        ------
        SettingError
            When a number is out of its range.
        """
        target = between(precision, "precision", 0, 1)
        return find_threshold(self.confidence, self.correct, target, delta, self.level)

    # Fits -------------------------------------------------------------------------------------------------------------

    def fit(self, kind: Kind = "temperature") -> Calibrator:
        """Fit a function that calibrates these confidences. Needs SciPy.

        Test the fit on other data: on the data it was fitted to, any fit looks good. A RuntimeWarning says where the
        data do not determine a fit: equal confidences, answers that are all right, or an order that is the wrong way.

        For the largest of k shares, such as :func:`deluge_nb.classify` gives, use ``"platt"`` or ``"isotonic"``, or
        :func:`deluge_nb.stats.fit_temperature_multiclass` on the logarithms of all shares. A temperature here works on
        the odds against being wrong, so it keeps 0.5 and pulls a largest share below it, such as 0.4 of five answers,
        towards 0.5 or away from it, whatever its accuracy.

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

    def to_dict(self) -> dict[str, Any]:
        """Return the scores, the test, the parts of the Brier score and the bins as plain Python objects.

        Returns
        -------
        dict
            Ready for ``json.dumps``: scores with ``value``, ``low`` and ``high`` by name; ``n``, ``dropped``, ``bins``.
        """
        return {
            "n": len(self),
            "dropped": self.dropped,
            **{name: score.to_dict() for name, score in self.scores.items()},
            "calibration test": self.calibration_test.to_dict(),
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
        return f"CalibrationReport({self._describe()}, {scores})"

    def _repr_html_(self) -> str:
        scores = {**self.scores, **{f"Brier: {name}": part for name, part in self.brier_parts.items()}}
        test = self.calibration_test
        verdict = (
            f"Is it calibrated? An ECE of {test.expected_ece:.3f} is expected if it is; one of {test.ece:.3f} or more "
            f"has a probability of {test.p_value:.3f}."
        )
        rows = [(name, f"{score.value:.3f}", f"{score.low:.3f} – {score.high:.3f}") for name, score in scores.items()]
        body = "".join(
            f"<tr><th scope='row' style='text-align:left'>{html.escape(name)}</th><td>{value}</td><td>{span}</td></tr>"
            for name, value, span in rows
        )
        return (
            f"<table><caption style='text-align:left'>Calibration of {self._describe()}<br>{verdict}</caption>"
            "<thead><tr>"
            f"<th style='text-align:left'>score</th><th>value</th><th>{self.level:.0%} interval</th></tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )

    def _describe(self) -> str:
        """Return the number of answers, and of results left out."""
        answers = "1 answer" if len(self) == 1 else f"{len(self):,} answers"
        return f"{answers} ({self.dropped:,} dropped)" if self.dropped else answers
