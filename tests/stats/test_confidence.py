"""Calibration, ranking and conformal sets: against independent definitions, and coverage on simulated data."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deluge_nb import SettingError
from deluge_nb.stats import (
    average_precision,
    calibration_test,
    conformal_aps_quantile,
    conformal_aps_sets,
    conformal_lac_quantile,
    conformal_lac_sets,
    ece,
    ece_multiclass,
    prr,
    risk_coverage,
)

SHARES = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]) | st.floats(0, 1)
CASES = st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=30)


def split(cases: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [p for p, _ in cases], [y for _, y in cases]


# Calibration ----------------------------------------------------------------------------------------------------------


@given(CASES, st.integers(1, 12), st.integers(0, 99))
def test_the_p_value_counts_draws_with_at_least_the_observed_error(
    cases: list[tuple[float, bool]], bins: int, seed: int
) -> None:
    p, y = split(cases)
    result = calibration_test(p, y, n_bins=bins, resamples=40, seed=seed)
    assert result.ece == ece(p, y, bins).ece
    assert 1 / 41 <= result.p_value <= 1
    assert result.p_value * 41 == pytest.approx(round(result.p_value * 41))
    assert 0 <= result.expected_ece <= 1
    assert result == calibration_test(p, y, n_bins=bins, resamples=40, seed=seed)


@pytest.mark.parametrize("y", [[1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
def test_equal_errors_count_as_reached_despite_rounding(y: list[int]) -> None:
    """Four answers at 3/4: two hits and four hits have the same error."""
    exact = sum(math.comb(4, k) * 0.75**k * 0.25 ** (4 - k) for k in range(5) if abs(k - 3) >= abs(sum(y) - 3))
    result = calibration_test([0.75] * 4, y, resamples=20_000)
    assert result.p_value == pytest.approx(exact, abs=0.015)


def test_the_expected_error_is_that_of_all_outcomes_weighed_by_their_probability() -> None:
    p = [0.15, 0.35, 0.55, 0.55, 0.95]
    exact = 0.0
    for y in itertools.product([0, 1], repeat=len(p)):
        exact += math.prod(x if hit else 1 - x for x, hit in zip(p, y, strict=True)) * ece(p, y, 4).ece
    assert calibration_test(p, [1] * 5, n_bins=4, resamples=20_000).expected_ece == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize("n", [20, 200])
def test_p_values_of_true_confidences_are_uniform_and_of_false_ones_small(n: int) -> None:
    rng = np.random.default_rng(5)
    calibrated: list[float] = []
    overconfident: list[float] = []
    for _ in range(200):
        p = rng.beta(2, 1, n)
        calibrated.append(calibration_test(p, rng.random(n) < p, resamples=99).p_value)
        overconfident.append(calibration_test(p, rng.random(n) < p**3, resamples=99).p_value)
    # Four standard errors of 200 draws are .06 at a level of .05 and .14 at .5.
    assert np.mean(np.array(calibrated) <= 0.05) <= 0.05 + 0.06
    assert abs(np.mean(np.array(calibrated) <= 0.5) - 0.5) <= 0.14
    assert np.mean(np.array(overconfident) <= 0.05) > (0.4 if n == 20 else 0.99)


def test_many_points_have_the_same_null_distribution_as_points_drawn_one_by_one() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(2, 1, 4001)
    y = rng.random(4001) < p
    many, few = calibration_test(p, y, resamples=1000), calibration_test(p[:-1], y[:-1], resamples=1000)
    assert many.expected_ece == pytest.approx(few.expected_ece, rel=0.05)


@given(st.integers(1, 25), st.integers(1, 4), st.integers(1, 12), st.integers(0, 10**6))
def test_the_multiclass_error_is_that_of_each_column(n: int, k: int, bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.round(rng.dirichlet(np.ones(k), n), 2) * 0.95
    y = rng.integers(0, k, n)
    result = ece_multiclass(p, y, bins)
    assert list(result.per_class) == [ece(p[:, column], y == column, bins).ece for column in range(k)]
    assert result.classwise == pytest.approx(np.mean(result.per_class))
    top = [max(range(k), key=lambda column: (row[column], -column)) for row in p.tolist()]
    assert result.top_label == ece(p.max(axis=1), np.array(top) == y, bins).ece


def test_multiclass_forecasts_that_exclude_each_other_add_up_to_one() -> None:
    with pytest.raises(ValueError, match=r"adds up to 1\.2"):
        ece_multiclass([[0.6, 0.6]], [0])
    with pytest.raises(SettingError, match="from 0 to 1, not 2"):
        ece_multiclass([[0.6, 0.4]], [2])


# Ranking --------------------------------------------------------------------------------------------------------------


@given(CASES)
def test_average_precision_is_the_mean_precision_over_hits(cases: list[tuple[float, bool]]) -> None:
    """Precision at the threshold of each hit, counted from the definition, one hit after the other."""
    p, y = split(cases)
    assume(any(y))
    precisions = []
    for score, hit in cases:
        if hit:
            kept = [other for x, other in cases if x >= score]
            precisions.append(sum(kept) / len(kept))
    assert average_precision(p, y) == pytest.approx(sum(precisions) / len(precisions))
    assert average_precision([0.3] * len(y), y) == pytest.approx(sum(y) / len(y))


def test_average_precision_without_a_hit_is_an_error() -> None:
    with pytest.raises(SettingError, match="only 0"):
        average_precision([0.1, 0.2], [0, 0])
    assert average_precision([-math.inf], [1]) == 1


@given(CASES)
def test_the_rejection_ratio_is_one_for_a_perfect_order_and_zero_for_none(cases: list[tuple[float, bool]]) -> None:
    p, y = split(cases)
    if all(y) or not any(y):
        assert prr(p, y) is None
        return
    error, areas = 1 - sum(y) / len(y), risk_coverage(p, y)
    value = prr(p, y)
    assert value is not None
    assert value == pytest.approx((error - areas.aurc) / (error - areas.oracle))
    assert value <= 1 + 1e-12
    assert prr([float(hit) for hit in y], y) == pytest.approx(1)
    assert prr([0.5] * len(y), y) == pytest.approx(0, abs=1e-12)


# Conformal sets -------------------------------------------------------------------------------------------------------


def test_probabilities_and_scores_give_one_quantile_and_need_their_names() -> None:
    p = np.array([0.95, 0.91, 0.88, 0.84, 0.79])
    assert conformal_lac_quantile(p, 0.3).qhat == conformal_lac_quantile(scores=1 - p, alpha=0.3).qhat
    assert conformal_lac_quantile(p) == conformal_lac_quantile(p, 0.1)
    for probs, scores in ((None, None), (p, 1 - p)):
        with pytest.raises(SettingError, match=r"either true_label_probs .* or scores="):
            conformal_lac_quantile(probs, scores=scores)
    with pytest.raises(SettingError, match=r"scores\[0\] must be a probability"):
        conformal_lac_quantile(scores=[1.5])


def adaptive_score(row: list[float], answer: int, share: float) -> float:
    """Return the score of an answer, from its definition in words."""
    before = [x for at, x in enumerate(row) if x > row[answer] or (x == row[answer] and at < answer)]
    return math.fsum(before) + (1 - share) * row[answer]


@given(
    st.lists(st.lists(SHARES, min_size=3, max_size=3), min_size=1, max_size=8),
    st.floats(0, 2) | st.just(math.inf),
    st.none() | st.floats(0, 1),
)
def test_adaptive_sets_hold_the_answers_whose_score_is_small(
    rows: list[list[float]], qhat: float, share: float | None
) -> None:
    sets = conformal_aps_sets(qhat, rows, u=None if share is None else [share] * len(rows))
    for row, chosen in zip(rows, sets, strict=True):
        assert chosen == sorted(chosen)
        for answer in range(3):
            score = adaptive_score(row, answer, share or 0.0)
            if abs(score - qhat) > 1e-9:
                assert (answer in chosen) == (score <= qhat)
    if qhat == math.inf:
        assert sets == [[0, 1, 2]] * len(rows)


def exchangeable(n: int, seed: int) -> tuple[Any, Any]:
    """Three-way forecasts that are wrong about the truth: overconfident, and with ties."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet([1, 1, 1], n)
    sharp = np.round(truth**2 / (truth**2).sum(axis=1, keepdims=True), 2)
    return np.minimum(sharp, 1), np.array([rng.choice(3, p=row) for row in truth])


@pytest.mark.parametrize("alpha", [0.1, 0.3])
@pytest.mark.parametrize("kind", ["lac", "lac by score", "aps", "aps at random"])
def test_conformal_sets_cover_new_data_as_often_as_promised(kind: str, alpha: float) -> None:
    """Mean over 60 calibrations with 99 points, for which the promise is exact: 1 - alpha, or 1 - alpha + 1/100."""
    held = []
    for seed in range(60):
        p, y = exchangeable(399, seed)
        old, new = slice(0, 99), slice(99, 399)
        own = p[np.arange(399), y]
        u = np.random.default_rng(1000 + seed).random(399)
        if kind.startswith("lac"):
            by_score = kind == "lac by score"
            quantile = (
                conformal_lac_quantile(scores=1 - own[old], alpha=alpha)
                if by_score
                else conformal_lac_quantile(own[old], alpha)
            )
            sets = conformal_lac_sets(quantile.qhat, p[new])
        elif kind == "aps":
            sets = conformal_aps_sets(conformal_aps_quantile(p[old], y[old], alpha).qhat, p[new])
        else:
            cut = conformal_aps_quantile(p[old], y[old], alpha, randomized=True, u=u[old]).qhat
            sets = conformal_aps_sets(cut, p[new], u=u[new])
        held.append(np.mean([answer in chosen for answer, chosen in zip(y[new].tolist(), sets, strict=True)]))
    # Each calibration's coverage has a standard deviation of at most .05 (a beta distribution), their mean a 60th root.
    slack = 4 * 0.05 / math.sqrt(60)
    assert np.mean(held) >= 1 - alpha - slack
    if kind == "aps at random":
        assert np.mean(held) <= 1 - alpha + 0.01 + slack


@pytest.mark.parametrize("sets", [conformal_lac_sets, conformal_aps_sets])
def test_sets_hold_names_where_names_are_given(sets: Any) -> None:
    rows = [[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]]
    names = ["yes", "no", "maybe"]
    for labels in (names, tuple(names), dict.fromkeys(names), iter(names), np.array(names)):
        assert sets(math.inf, rows, labels=labels) == [names, names]
    assert sets(-1, rows, labels=names) == [[], []]
    for labels, message in ((["yes", "no"], "one name for each of the 3 columns"), ("yes", "a list of names")):
        with pytest.raises(SettingError, match=message):
            sets(0.5, rows, labels=labels)


def test_adaptive_sets_need_one_share_per_row() -> None:
    with pytest.raises(SettingError, match="one share for each of the 2 rows"):
        conformal_aps_sets(0.9, [[0.5, 0.5], [0.9, 0.1]], u=[0.5])
    with pytest.raises(SettingError, match=r"u\[0\] must be a probability"):
        conformal_aps_sets(0.9, [[0.5, 0.5]], u=[2])
