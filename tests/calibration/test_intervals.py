"""Intervals of a report: they cover, stay possible, and are as wide as little data demand.

``benchmarks/stats/coverage.py`` measures the coverage with more draws, sizes and laws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from benchmarks.stats.coverage import LAWS, NAMES, count_hits
from deluge_nb import CalibrationReport
from deluge_nb.calibration.intervals import RankedOutcomes, score_interval, t_quantile
from deluge_nb.stats import average_precision, prr, risk_coverage, wilson_interval

TOPS = {"log loss (nats)": math.inf, "resolution": 0.25, "uncertainty": 0.25}
BOTTOMS = {"PRR": -math.inf}


def every_score(report: CalibrationReport) -> dict[str, Any]:
    return {**report.scores, **report.brier_parts}


SHARES = st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.99, 1.0]) | st.floats(0, 1)


@given(
    st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=25),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
    st.integers(1, 12),
)
def test_every_interval_is_possible_and_holds_its_score(
    cases: list[tuple[float, bool]], level: float, n_bins: int
) -> None:
    report = CalibrationReport([p for p, _ in cases], [y for _, y in cases], level=level, n_bins=n_bins, resamples=40)
    for name, score in every_score(report).items():
        assert BOTTOMS.get(name, 0) <= score.low <= score.value <= score.high <= TOPS.get(name, 1) + 1e-12, name
        assert score.low < score.high or math.isinf(score.value), name
    assert "AUROC" not in report.scores or report.auroc is not None


@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("correct", [0, 1])
def test_one_answer_excludes_nothing(confidence: float, correct: int) -> None:
    report = CalibrationReport([confidence], [correct])
    for name, score in every_score(report).items():
        if name == "accuracy":
            assert [score.low, score.high] == [wilson_interval(correct, 1).low, wilson_interval(correct, 1).high]
        elif not math.isinf(score.value):
            assert (score.low, score.high) == (0, TOPS.get(name, 1)), name


def test_data_that_agree_by_chance_leave_room() -> None:
    """A perfect order of six answers, and twenty right answers at .99: the next one may be wrong."""
    ordered = CalibrationReport([0.9, 0.8, 0.7, 0.3, 0.2, 0.1], [1, 1, 1, 0, 0, 0])
    assert ordered.auroc is not None
    assert ordered.prr is not None
    assert ordered.auroc.low == pytest.approx(0.025 ** (1 / 3))
    assert ordered.prr.low < 0.8
    sure = CalibrationReport([0.99] * 20, [1] * 20)
    # About the rule of three: up to 3 in 20 answers like these may be wrong.
    assert 0.05 < sure.brier.high < 0.25
    assert 0.05 < sure.ece.high < 0.25
    assert 0.1 < sure.log_loss.high < 1.5
    assert 0.05 < sure.aurc.high < 0.4
    assert sure.mean_confidence.low < 0.95


@pytest.mark.parametrize("wrong", [0.02, 0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("n", [20, 100])
def test_the_interval_of_aurc_covers_where_answers_are_mostly_right_or_wrong(wrong: float, n: int) -> None:
    """Equal confidences: the area is the rate of wrong answers."""
    rng = np.random.default_rng(5)
    draws = 200
    hits = 0
    for _ in range(draws):
        area = CalibrationReport(np.full(n, 0.7), rng.random(n) >= wrong).aurc
        hits += area.low <= wrong <= area.high
    assert hits / draws >= 0.93 - 2.5 * math.sqrt(0.95 * 0.05 / draws)


def test_twenty_wrong_answers_leave_as_much_room_as_twenty_right_ones() -> None:
    right, wrong = (CalibrationReport([0.6] * 20, [outcome] * 20).aurc for outcome in (1, 0))
    assert (1 - wrong.high, 1 - wrong.low) == (pytest.approx(right.low), pytest.approx(right.high))


def test_the_lower_end_of_an_error_is_zero_where_its_null_distribution_reaches_it() -> None:
    """Twenty answers at .8: the error of k hits is |k - 16| / 20, and outcomes drawn from .8 are binomial."""
    for hits in range(21):
        error = abs(hits - 16) / 20
        p_value = sum(scipy_stats.binom.pmf(k, 20, 0.8) for k in range(21) if abs(k - 16) >= abs(hits - 16))
        report = CalibrationReport([0.8] * 20, [1] * hits + [0] * (20 - hits), resamples=4000)
        assert report.ece.value == pytest.approx(error)
        for score in (report.ece, report.brier_parts["reliability"]):
            # Between both, a tiny error cannot be excluded, although none can.
            assert score.low == 0 or p_value < 0.05
            assert score.low > 0 or p_value > 0.025


@given(st.integers(1, 60), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_quantiles_of_students_distribution_agree_with_scipy(freedom: int, level: float) -> None:
    assert t_quantile(level, freedom) == pytest.approx(scipy_stats.t.ppf((1 + level) / 2, freedom), rel=0.005)


@given(st.integers(0, 50), st.integers(2, 50))
def test_the_interval_of_a_share_is_wilsons_with_students_quantile(hits: int, n: int) -> None:
    share = min(hits, n) / n
    variance = share * (1 - share)
    if not variance:
        return
    got = score_interval(share, share, variance, n, 0.95)
    # Wilson's at the level whose normal quantile is Student's.
    level = float(2 * scipy_stats.norm.cdf(t_quantile(0.95, n - 1)) - 1)
    if level < 1 - 1e-9:
        wilson = wilson_interval(round(share * n), n, level)
        assert (got.low, got.high) == (pytest.approx(wilson.low, abs=1e-6), pytest.approx(wilson.high, abs=1e-6))


def area(p: Any, y: Any) -> float:
    return risk_coverage(p, y).aurc


def excess(p: Any, y: Any) -> float:
    value = prr(p, y)
    assert value is not None
    return 1 - value


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("name", "measure"), [("aurc", area), ("average_precision", average_precision), ("excess_ratio", excess)]
)
def test_the_influence_of_an_answer_is_the_change_when_it_is_repeated(
    name: str, measure: Callable[[Any, Any], float], ties: bool
) -> None:
    rng = np.random.default_rng(3)
    p = rng.beta(2, 1, 3000)
    p = np.round(p, 1) if ties else p
    y = (rng.random(3000) < p).astype(float)
    value, influence = getattr(RankedOutcomes(p, y), name)()
    assert value == pytest.approx(measure(p, y))
    for index in (0, 17, 500, 501, 2999):
        more = measure(np.append(p, [p[index]] * 3), np.append(y, [y[index]] * 3))
        assert (more - value) * 1000 == pytest.approx(influence[index] - influence.mean(), abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("law", list(LAWS))
def test_intervals_hold_the_truth_as_often_as_they_say(law: str) -> None:
    """95 % of 120 draws of 30 and of 100 answers, less two points and two and a half standard errors."""
    for n in (30, 100):
        hits = count_hits(law, n, 120, resamples=100)
        assert set(hits) == set(NAMES)
        for name, share in hits.items():
            assert share >= 0.93 - 2.5 * math.sqrt(0.95 * 0.05 / 120), (name, n)
