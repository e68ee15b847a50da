"""CalibrationReport: coverage of the intervals, improvement by the fits, data of the charts."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
import vl_convert
from hypothesis import example, given
from hypothesis import strategies as st

from deluge_nb import CalibrationReport, SettingError
from deluge_nb.stats import (
    adaptive_ece,
    auroc,
    average_precision,
    brier,
    calibration_test,
    ece,
    log_loss,
    prr,
    risk_coverage,
)
from tests.specs import rows_of

pytestmark = pytest.mark.slow


def data(n: int, seed: int, truth: float = 1.0) -> tuple[Any, Any]:
    """Confidences, and outcomes that are right with probability confidence ** truth."""
    rng = np.random.default_rng(seed)
    p = rng.beta(3, 1.5, n)
    return p, rng.random(n) < p**truth


def test_the_scores_are_those_of_the_functions() -> None:
    p, y = data(300, 1)
    report = CalibrationReport(p, y)
    assert report.ece.value == ece(p, y).ece
    assert report.adaptive_ece.value == adaptive_ece(p, y)
    assert report.brier.value == brier(p, y)
    assert report.log_loss.value == pytest.approx(log_loss(p, y))
    assert report.auroc is not None
    assert report.auroc.value == auroc(p, y)
    assert report.aurc.value == risk_coverage(p, y).aurc
    assert report.auprc is not None
    assert report.auprc.value == average_precision(p, y)
    assert report.prr is not None
    assert report.prr.value == prr(p, y)
    assert report.calibration_test == calibration_test(p, y, resamples=500)
    assert report.accuracy.value == pytest.approx(np.mean(y))
    assert len(report) == 300


@given(st.integers(0, 10**6), st.integers(2, 80))
@example(48386, 5)  # a perfect order
def test_every_interval_contains_its_score(seed: int, n: int) -> None:
    p, y = data(n, seed)
    for name, one in CalibrationReport(p, y, resamples=30).scores.items():
        assert one.low <= one.value <= one.high, name


def test_the_same_data_give_the_same_report() -> None:
    p, y = data(100, 3)
    assert CalibrationReport(p, y).to_dict() == CalibrationReport(p, y).to_dict()


def test_the_parts_of_the_brier_score_are_those_of_the_bins() -> None:
    p, y = data(500, 4)
    report = CalibrationReport(p, y)
    parts = report.brier_decomposition
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(parts.brier)
    assert parts.brier == pytest.approx(report.brier.value, abs=0.01)
    for name, one in report.brier_parts.items():
        assert one.value == getattr(parts, name)
        assert one.low <= one.value <= one.high


@pytest.mark.parametrize("kind", ["temperature", "platt", "isotonic"])
def test_a_fit_on_one_half_improves_the_other(kind: Any) -> None:
    p, y = data(4000, 5, 2.5)
    half = CalibrationReport(p[:2000], y[:2000])
    fit = half.fit(kind)
    before = CalibrationReport(p[2000:], y[2000:])
    after = CalibrationReport(fit.transform(p[2000:]), y[2000:])
    assert after.brier.value < before.brier.value
    assert after.ece.value < before.ece.value
    assert (np.diff(fit.transform(np.linspace(0, 1, 50))) >= 0).all()
    assert fit.to_dict()["kind"] == kind


def test_certainty_survives_a_fit_as_near_certainty() -> None:
    fit = CalibrationReport([0.0, 0.2, 0.9, 1.0], [0, 1, 0, 1]).fit("platt")
    assert np.isfinite(fit.transform([0.0, 1.0])).all()
    with pytest.raises(SettingError, match="from 0 to 1"):
        fit.transform([1.5])
    with pytest.raises(SettingError, match="kind must be"):
        CalibrationReport([0.5], [1]).fit("beta")  # type: ignore[arg-type]


def test_a_threshold_for_a_precision_has_an_interval() -> None:
    p, y = data(1000, 6)
    report = CalibrationReport(p, y)
    found = report.threshold(0.8)
    assert found
    assert found.precision.low <= 0.8 <= found.precision.value <= found.precision.high
    promised = report.threshold(0.8, delta=0.05)
    assert promised
    assert promised.threshold > found.threshold
    assert (found.reachable, found.best) == (True, None)
    assert repr(found).startswith(f"PrecisionThreshold(80 % right: from {found.threshold:.3g} on, 8")
    with pytest.raises(SettingError, match="precision must be"):
        report.threshold(1.5)


def test_a_precision_out_of_reach_is_answered_with_the_nearest() -> None:
    report = CalibrationReport([0.9, 0.8, 0.8, 0.7, 0.6], [0, 1, 1, 1, 0])
    missed = report.threshold(0.95)
    assert not missed
    assert (missed.reachable, missed.threshold, missed.n, missed.coverage) == (False, math.inf, 0, 0.0)
    assert missed.best is not None
    assert (missed.best.threshold, missed.best.n, missed.best.precision.value) == (0.7, 4, 0.75)
    assert missed.best.reachable
    assert repr(missed) == "PrecisionThreshold(95 % right: not reachable; at best 75 % from 0.7 on, 80 % of cases)"
    assert (missed.precision.low, missed.precision.high) == (0, 1)
    assert json.loads(json.dumps(missed.to_dict()))["best"]["n"] == 4
    promised = report.threshold(0.7, delta=0.1)
    assert not promised
    assert "% promised from" in repr(promised)
    assert not CalibrationReport([0.5, 0.6], [0, 0]).threshold(0.5)


@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0, 1), st.sampled_from([None, 0.1]))
def test_a_threshold_is_always_an_answer(seed: int, n: int, precision: float, delta: float | None) -> None:
    p, y = data(n, seed)
    found = CalibrationReport(p, y).threshold(precision, delta=delta)
    stated = found if found else found.best
    assert stated is not None
    chosen = y[p >= stated.threshold]
    assert (len(chosen), float(chosen.mean())) == (stated.n, pytest.approx(stated.precision.value))
    assert stated.coverage == pytest.approx(stated.n / n)
    assert bool(found) == (found.promised >= precision)


def test_one_answer_is_counted_in_the_singular() -> None:
    report = CalibrationReport([0.5], [1])
    assert repr(report).startswith("CalibrationReport(1 answer, ")
    assert "Calibration of 1 answer<" in report._repr_html_()


def test_one_kind_of_outcome_has_no_area_under_the_curve() -> None:
    report = CalibrationReport([0.5, 0.9], [1, 1])
    assert report.auroc is None
    assert "AUROC" not in report.scores
    assert CalibrationReport([1.0, 0.9], [0, 1]).log_loss.value == math.inf


@pytest.mark.parametrize(
    ("confidence", "correct", "what"),
    [
        ([], [], "empty"),
        (None, [1], "confidence must be a list of numbers, not None"),
        ([1.5], [1], "from 0 to 1"),
        ([0.5], [0.5], "0 or 1"),
        ([0.5, 0.6], [1], "same length"),
    ],
)
def test_invalid_data_are_refused(confidence: Any, correct: Any, what: str) -> None:
    with pytest.raises(SettingError, match=what):
        CalibrationReport(confidence, correct)


def test_a_notebook_shows_a_table_with_intervals() -> None:
    shown = CalibrationReport(*data(100, 7))._repr_html_()
    assert shown.count("<tr>") == 1 + 10 + 3
    assert "Is it calibrated? An ECE of 0." in shown
    assert "95% interval" in shown
    frame = CalibrationReport(*data(100, 7)).to_pandas()
    assert frame.columns.tolist() == ["score", "value", "low", "high"]


@pytest.mark.parametrize("n", [1, 12, 5000])
def test_the_charts_can_be_drawn(n: int) -> None:
    p, y = data(n, 8)
    report = CalibrationReport(p, y, resamples=20)
    for chart in (report.reliability_chart(), report.risk_coverage_chart(), report.histogram_chart()):
        picture = vl_convert.vegalite_to_png(chart.to_dict())
        width, height = struct.unpack(">II", picture[16:24])
        assert 200 < width < 800
        assert 150 < height < 800


def test_the_reliability_chart_shows_each_bin_with_its_interval_and_its_count() -> None:
    p, y = data(200, 9)
    report = CalibrationReport(p, y)
    spec = report.reliability_chart().to_dict()
    rows = rows_of(spec, spec["vconcat"][1])
    assert [row["count"] for row in rows] == [one.count for one in report.bins]
    assert [row["low"] for row in rows] == [one.wilson_low for one in report.bins]
    assert {row["points"] for row in rows if row["count"] < 10} <= {"fewer than 10"}
