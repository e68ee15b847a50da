"""Scores, fits, selective and conformal prediction: against their definitions, and for any order of the data."""

from __future__ import annotations

import itertools
import math
import random
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deluge_nb import SettingError
from deluge_nb.stats import (
    adaptive_ece,
    auroc,
    bayes_posterior,
    brier,
    brier_decomposition,
    brier_multiclass,
    chi_square_gof,
    clopper_pearson,
    conformal_aps_quantile,
    conformal_lac_quantile,
    conformal_lac_sets,
    decision_threshold,
    decode_tokens,
    deepconf,
    ece,
    entropy_from_counts,
    fit_isotonic,
    fit_platt,
    fit_temperature_binary,
    fit_temperature_multiclass,
    log_loss,
    mc_required_samples,
    risk_coverage,
    semantic_entropy,
    sequence_stats,
    threshold_for_precision,
    wilson_interval,
)

SHARES = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0]) | st.floats(0, 1)
CASES = st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=40)


def split(cases: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [p for p, _ in cases], [y for _, y in cases]


@given(CASES, st.integers(1, 15))
def test_the_calibration_error_follows_its_definition(cases: list[tuple[float, bool]], bins: int) -> None:
    p, y = split(cases)
    expected = 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        inside = [case for case in cases if low < case[0] <= high or (b == 0 and case[0] == 0)]
        if inside:
            gap = sum(hit for _, hit in inside) / len(inside) - sum(x for x, _ in inside) / len(inside)
            expected += len(inside) / len(cases) * abs(gap)
    got = ece(p, y, bins)
    assert got.ece == pytest.approx(expected, abs=1e-12)
    assert sum(bin.count for bin in got.bins) == len(cases)
    assert got.ece <= got.rmsce + 1e-12 <= got.mce + 2e-12


@pytest.mark.slow
@given(CASES, st.integers(1, 8), st.integers(0, 99))
def test_the_order_of_the_data_does_not_change_a_score(cases: list[tuple[float, bool]], bins: int, seed: int) -> None:
    p, y = split(cases)
    shuffled = list(cases)
    random.Random(seed).shuffle(shuffled)
    q, z = split(shuffled)
    assert adaptive_ece(p, y, bins) == pytest.approx(adaptive_ece(q, z, bins), abs=1e-12)
    assert risk_coverage(p, y).aurc == pytest.approx(risk_coverage(q, z).aurc, abs=1e-12)
    assert fit_isotonic(p, y)[np.argsort(p, kind="stable")] == pytest.approx(
        fit_isotonic(q, z)[np.argsort(q, kind="stable")], abs=1e-12
    )


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=6))
def test_ties_count_with_the_mean_over_all_orders(cases: list[tuple[float, bool]]) -> None:
    areas = []
    for order in itertools.permutations(cases):
        ranked = sorted(order, key=lambda case: -case[0])
        wrong = itertools.accumulate(not hit for _, hit in ranked)
        areas.append(sum(errors / given for given, errors in enumerate(wrong, 1)) / len(cases))
    got = risk_coverage(*split(cases))
    assert got.aurc == pytest.approx(sum(areas) / len(areas))
    assert got.e_aurc == pytest.approx(got.aurc - got.oracle)
    assert got.aurc >= got.oracle - 1e-12
    assert got.curve[-1].coverage == 1


def test_a_risk_curve_is_a_sequence_with_columns() -> None:
    curve = risk_coverage([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]).curve
    assert len(curve) == 3
    assert curve[1].to_dict() == {"threshold": 0.5, "coverage": 0.75, "risk": pytest.approx(1 / 3)}
    assert curve[1:].threshold.tolist() == [0.5, 0.1]


@given(CASES)
def test_the_parts_of_the_brier_score_add_up(cases: list[tuple[float, bool]]) -> None:
    p, y = split(cases)
    parts = brier_decomposition(p, y)
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(brier(p, y), abs=1e-12)
    assert parts.brier == brier(p, y)
    both = [[1 - x, x] for x in p]
    assert brier_multiclass(both, y) == pytest.approx(2 * brier(p, y), abs=1e-12)


@given(CASES)
def test_the_area_under_the_curve_counts_pairs(cases: list[tuple[float, bool]]) -> None:
    p, y = split(cases)
    assume(any(y) and not all(y))
    pairs = [(a, b) for a, hit in cases if hit for b, other in cases if not other]
    expected = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)
    assert auroc(p, y) == pytest.approx(expected)
    assert auroc([-x for x in p], y) == pytest.approx(1 - expected)


def test_an_area_under_the_curve_needs_both_outcomes() -> None:
    with pytest.raises(SettingError, match="only 1"):
        auroc([0.1, 0.2], [1, 1])


def test_a_wrong_certainty_has_infinite_log_loss_unless_clipped() -> None:
    assert log_loss([1.0, 0.5], [0, 1]) == math.inf
    assert log_loss([1.0], [0], eps=1e-3) == pytest.approx(-math.log(1e-3))
    assert log_loss([1.0, 0.0], [1, 0]) == 0


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([], [], "empty"),
        ([0.5], [1, 0], "same length"),
        ([1.2], [1], "from 0 to 1"),
        ([-0.1], [1], "from 0 to 1"),
        ([math.nan], [1], "a number"),
        ([0.5], [2], "0 or 1"),
        (["high"], [1], "list of numbers"),
        ([[0.5]], [1], "flat"),
    ],
)
def test_data_that_cannot_be_scored_is_an_error(confidence: Any, correct: Any, message: str) -> None:
    for score in (ece, adaptive_ece, brier, log_loss, brier_decomposition):
        with pytest.raises(ValueError, match=message):
            score(confidence, correct)


@given(st.integers(0, 60), st.integers(1, 60), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_intervals_contain_the_share_and_the_exact_one_keeps_its_level(k: int, n: int, level: float) -> None:
    assume(k <= n)
    exact, wilson = clopper_pearson(k, n, level), wilson_interval(k, n, level)
    assert 0 <= exact.low <= k / n <= exact.high <= 1
    assert 0 <= wilson.low <= k / n <= wilson.high <= 1
    tail = (1 - level) / 2
    if k:
        assert upper_tail(k, n, exact.low) == pytest.approx(tail, rel=1e-6)
    if k < n:
        assert 1 - upper_tail(k + 1, n, exact.high) == pytest.approx(tail, rel=1e-6)


def upper_tail(k: int, n: int, p: float) -> float:
    return math.fsum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))


def test_an_interval_without_cases_is_an_error() -> None:
    for interval in (wilson_interval, clopper_pearson):
        with pytest.raises(SettingError, match="n must be"):
            interval(0, 0)
        with pytest.raises(SettingError, match="at most n"):
            interval(3, 2)
        with pytest.raises(SettingError, match="level"):
            interval(1, 2, 1.0)


@given(st.floats(0.2, 5), st.integers(0, 10**6))
def test_no_temperature_near_the_fitted_one_makes_outcomes_likelier(heat: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, 200)
    y = rng.random(200) < 1 / (1 + np.exp(-z / heat))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fit_temperature_binary(z, y)
        both = fit_temperature_multiclass(np.column_stack((np.zeros(200), z)), y)
    assert both.temperature == pytest.approx(fit.temperature, rel=1e-6)
    assert fit.nll_after <= fit.nll_before + 1e-12
    for near in (fit.temperature * 0.99, fit.temperature * 1.01):
        if 0.01 <= near <= 100:
            assert log_loss(1 / (1 + np.exp(-z / near)), y) >= fit.nll_after - 1e-12


def test_separable_logits_get_the_lowest_temperature_with_a_warning() -> None:
    with pytest.warns(RuntimeWarning, match="perfectly"):
        fit = fit_temperature_binary([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    assert fit.temperature == pytest.approx(0.01)
    assert math.isfinite(fit.nll_after)
    with pytest.warns(RuntimeWarning, match="opposite"):
        assert fit_temperature_binary([-2.0, 2.0], [1, 0]).temperature == pytest.approx(100)


@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(-5, 5))
def test_platts_line_does_not_depend_on_the_unit_of_the_scores(seed: int, unit: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    s = rng.normal(0, 1, 100)
    y = rng.random(100) < 1 / (1 + np.exp(-2 * s + 0.5))
    one, other = fit_platt(s, y), fit_platt(s * unit + shift, y)
    assert other.a * unit == pytest.approx(one.a, rel=1e-6, abs=1e-8)
    assert other.b + other.a * shift == pytest.approx(one.b, rel=1e-6, abs=1e-6)


def test_platts_targets_keep_separable_scores_finite() -> None:
    fit = fit_platt([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    assert 0 < fit.a < 10
    with pytest.raises(SettingError, match="only 1"):
        fit_platt([0.1, 0.2], [1, 1], smooth=False)
    with pytest.warns(RuntimeWarning, match="All outcomes are the same"):
        assert math.isfinite(fit_platt([0.1, 0.2], [1, 1]).b)


@given(CASES)
def test_isotonic_steps_rise_and_keep_the_mean(cases: list[tuple[float, bool]]) -> None:
    p, y = split(cases)
    fitted = fit_isotonic(p, y)
    assert (np.diff(fitted[np.argsort(p, kind="stable")]) >= -1e-12).all()
    assert fitted.mean() == pytest.approx(np.mean(y))
    assert len({(x, round(float(value), 12)) for x, value in zip(p, fitted, strict=True)}) == len(set(p))


@given(CASES, st.floats(0, 1))
def test_the_threshold_is_the_lowest_one_that_is_precise_enough(cases: list[tuple[float, bool]], target: float) -> None:
    p, y = split(cases)
    got = threshold_for_precision(p, y, target)
    enough = {}
    for threshold in sorted(set(p)):
        given_answers = [hit for x, hit in cases if x >= threshold]
        if sum(given_answers) / len(given_answers) >= target:
            enough[threshold] = len(given_answers)
    if not enough:
        assert got is None
    else:
        assert got is not None
        assert got.threshold == min(enough)
        assert got.n == enough[got.threshold]
        assert got.coverage == pytest.approx(got.n / len(cases))


def test_a_guaranteed_precision_holds_on_new_data() -> None:
    """Answers are right with probability p, so the true precision is known; delta allows a tenth of draws to fail."""
    failed = thresholds = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p = np.round(rng.random(300), 1)
        got = threshold_for_precision(p, rng.random(300) < p, 0.8, delta=0.1)
        if got is not None:
            thresholds += 1
            levels = np.round(np.arange(round(got.threshold, 1), 1.05, 0.1), 1)
            weights = np.where(np.isin(levels, [0.0, 1.0]), 0.5, 1.0)
            failed += float((levels * weights).sum() / weights.sum()) < 0.8
    assert thresholds > 50
    assert failed <= 20


@given(st.integers(1, 60), st.integers(1, 99))
def test_the_conformal_rank_equals_that_of_exact_arithmetic(n: int, percent: int) -> None:
    rank = math.ceil((n + 1) * (1 - Fraction(percent, 100)))
    p = np.linspace(0, 1, n)
    got = conformal_lac_quantile(p, percent / 100)
    assert got.rank == rank
    assert got.qhat == (np.sort(1 - p)[rank - 1] if rank <= n else math.inf)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30, unique=True), st.sampled_from([0.1, 0.2, 0.5]))
def test_conformal_sets_contain_the_right_answer_as_often_as_guaranteed(p: list[float], alpha: float) -> None:
    """Each of n + 1 exchangeable points is the new one once, so the guarantee holds exactly."""
    held = 0
    for new in range(len(p)):
        quantile = conformal_lac_quantile(p[:new] + p[new + 1 :], alpha)
        held += conformal_lac_sets(quantile.qhat, [[p[new], 1 - p[new]]])[0][:1] == [0]
    assert held / len(p) >= 1 - alpha - 1e-12


def test_with_too_few_points_a_conformal_set_has_every_answer() -> None:
    got = conformal_lac_quantile([0.9] * 5, 0.1)
    assert (got.rank, got.qhat) == (6, math.inf)
    assert conformal_lac_sets(got.qhat, [[0.9, 0.1]]) == [[0, 1]]
    assert conformal_lac_sets(0.05, [[0.9, 0.1]]) == [[]]


def test_randomised_adaptive_scores_subtract_a_share() -> None:
    probs, y = [[0.6, 0.3, 0.1]] * 9, [1] * 9
    assert conformal_aps_quantile(probs, y, 0.2).qhat == pytest.approx(0.9)
    assert conformal_aps_quantile(probs, y, 0.2, randomized=True, u=[0.5] * 9).qhat == pytest.approx(0.75)
    assert conformal_aps_quantile(probs, y, 0.2, randomized=True) == conformal_aps_quantile(probs, y, 0.2, True, seed=0)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_at_the_decision_threshold_both_costs_are_equal(fp: float, fn: float) -> None:
    p = decision_threshold(fp, fn)
    assert (1 - p) * fp == pytest.approx(p * fn)


def test_a_decision_without_costs_is_an_error() -> None:
    with pytest.raises(SettingError, match="nothing depends"):
        decision_threshold(0, 0)
    with pytest.raises(SettingError, match="0 or more"):
        decision_threshold(-1, 1)


@given(st.lists(st.integers(0, 200), min_size=2, max_size=6))
def test_counts_that_match_exactly_have_a_statistic_of_zero(counts: list[int]) -> None:
    assume(sum(counts) and sum(count > 0 for count in counts) > 1)
    got = chi_square_gof(counts, [count / sum(counts) for count in counts])
    assert got.statistic == pytest.approx(0, abs=1e-9)
    assert got.p_value == pytest.approx(1)


def test_an_impossible_outcome_that_occurred_has_a_p_value_of_zero() -> None:
    got = chi_square_gof([5, 5, 1], [0.5, 0.5, 0.0])
    assert (got.statistic, got.p_value) == (math.inf, 0.0)
    with pytest.raises(ValueError, match=r"add up to 0\.9"):
        chi_square_gof([5, 5], [0.5, 0.4])


def test_a_coin_needs_about_ten_thousand_throws_for_one_percent() -> None:
    assert mc_required_samples(0.5, 0.01) == 9604
    assert mc_required_samples(0.0, 0.01) == 0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_the_entropy_correction_is_half_a_degree_of_freedom_per_sample(counts: list[int]) -> None:
    assume(sum(counts))
    got = entropy_from_counts(counts)
    assert 0 <= got.plugin <= math.log(max(len(counts), 1)) + 1e-12
    kinds = sum(count > 0 for count in counts)
    assert got.miller_madow - got.plugin == pytest.approx((kinds - 1) / (2 * sum(counts)))


def test_semantic_entropy_of_long_answers_does_not_underflow() -> None:
    got = semantic_entropy([-1500.0, -1500.0], ["a", "b"])
    assert got.rao == pytest.approx(math.log(2))
    assert got.clusters == 2


@given(st.lists(st.lists(st.floats(-20, 0), min_size=3, max_size=3), min_size=2, max_size=4))
def test_a_posterior_adds_up_to_one_after_every_token(logliks: list[list[float]]) -> None:
    got = bayes_posterior([0.0] * len(logliks), logliks)
    assert got.cumulative.sum(axis=1) == pytest.approx(np.ones(4))
    odds = np.array([math.fsum(row) for row in logliks])
    assert got.posterior == pytest.approx(np.exp(odds - odds.max()) / np.exp(odds - odds.max()).sum())


@given(st.lists(st.floats(-30, 0), max_size=50))
def test_the_likelihood_of_a_sequence_follows_the_chain_rule(values: list[float]) -> None:
    got = sequence_stats(values, n_bytes=max(1, len(values)))
    assert got.loglik == pytest.approx(sum(values), abs=1e-9)
    assert len(got.prefix_logprobs) == got.n == len(values)
    if values:
        assert got.perplexity == pytest.approx(math.exp(-sum(values) / len(values)))
        assert got.prefix_logprobs[-1] == pytest.approx(got.loglik)
        assert got.bits_per_byte == pytest.approx(got.total_bits / len(values))
    else:
        assert (got.prob, got.perplexity, got.mean_logprob, got.min_prob) == (1.0, None, None, None)


def test_an_impossible_token_makes_perplexity_infinite() -> None:
    assert sequence_stats([-1.0, -math.inf]).perplexity == math.inf
    assert sequence_stats([-2000.0]).perplexity == math.inf
    with pytest.raises(ValueError, match="sequence_bounds"):
        sequence_stats([-1.0, -9999.0])


@given(st.lists(st.lists(st.floats(-20, 0), min_size=1, max_size=5), min_size=1, max_size=12), st.integers(1, 15))
def test_group_confidences_are_sliding_means(top: list[list[float]], window: int) -> None:
    got = deepconf(top, window, 2)
    own = [-sum(row) / len(row) for row in top]
    wide = min(window, len(own))
    assert got.token_confidence == pytest.approx(own)
    assert got.group == pytest.approx([np.mean(own[at : at + wide]) for at in range(len(own) - wide + 1)])
    assert got.tail_mean == pytest.approx(np.mean(own[-2:]))


@given(st.text(max_size=20), st.lists(st.integers(0, 80), max_size=12))
def test_a_text_split_at_any_byte_is_decoded_again(text: str, cuts: list[int]) -> None:
    assume(not any("\ud800" <= character <= "\udfff" for character in text))
    raw = text.encode()
    at = sorted({0, len(raw), *(cut for cut in cuts if cut <= len(raw))})
    pieces = [raw[low:high] for low, high in itertools.pairwise(at)]
    got = decode_tokens([{"token": "?", "bytes": list(piece)} for piece in pieces])
    assert got.text == text
    for piece, (low, high), (first, last) in zip(pieces, got.char_spans, got.utf16_spans, strict=True):
        assert piece in text[low:high].encode()
        assert text.encode("utf-16-le")[2 * first : 2 * last].decode("utf-16-le") == text[low:high]


@given(st.lists(st.binary(max_size=4), max_size=6))
def test_any_bytes_decode_as_python_decodes_them(pieces: list[bytes]) -> None:
    got = decode_tokens([{"token": "?", "bytes": list(piece)} for piece in pieces])
    assert got.text == b"".join(pieces).decode("utf-8", "replace")
    assert all(0 <= low <= high <= len(got.text) for low, high in got.char_spans)


def test_tokens_without_bytes_are_read_from_their_text() -> None:
    got = decode_tokens([{"token": "a"}, {"token": "", "bytes": None}, {"token": "é", "bytes": None}])
    assert (got.text, got.char_spans) == ("aé", ((0, 1), (1, 1), (1, 2)))
