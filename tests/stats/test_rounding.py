"""Numbers as servers round them: the truth stays inside every bound, and one list counts like one of many."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deluge_nb import Logprobs, SettingError
from deluge_nb.errors import InconsistentTopKError, LogprobError
from deluge_nb.stats import (
    divergence_bounds,
    divergence_lower_bounds,
    entropy_bounds,
    entropy_bounds_batch,
    label_distribution,
    label_distribution_batch,
    margin,
    margin_batch,
    min_p,
    rank_bounds,
    sequence_bounds,
    temperature_full,
    temperature_topk,
    temperature_topk_batch,
    top_k,
    top_p,
)
from deluge_nb.stats.core.truncated import read_masses, read_truncated

from .strategies import Floats, entropy

# What single precision changes in a number of order 1, and the last bits of a sum.
SINGLE = 2e-5
DUST = 1e-9
HEATS = [0.0, 0.3, 0.9, 1.0, 1.1, 2.0, 50.0, math.inf]


@st.composite
def whole(draw: st.DrawFn, least: int = 2, most: int = 30) -> Floats:
    """Probabilities of a whole vocabulary, likeliest first: flat, steep, nearly certain, in ties, and with zeros."""
    size = draw(st.integers(least, most))
    kind = draw(st.sampled_from(["flat", "steep", "certain", "tied", "zeros"]))
    if kind == "flat":
        return np.full(size, 1 / size)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = rng.normal(size=size) * {"steep": 6.0, "certain": 1.0, "tied": 0.0, "zeros": 3.0}[kind]
    if kind == "certain":
        p = np.exp(logits)
        p *= 10.0 ** -draw(st.integers(3, 15)) / p[1:].sum()
        p[0] = 1 - p[1:].sum()
    else:
        if kind == "tied":
            logits[: draw(st.integers(1, size))] = draw(st.floats(0, 12))
        p = np.exp(logits - logits.max())
        if kind == "zeros":
            p[draw(st.integers(1, size)) :] = 0
    return -np.sort(-p / p.sum())


def log(p: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(p)


@st.composite
def rounded(draw: st.DrawFn) -> tuple[Floats, list[float], float | None, float]:
    """A whole distribution, the list that a server sends of it, its rounding, and the error that is left open."""
    p = draw(whole())
    k = draw(st.integers(1, len(p)) | st.sampled_from([len(p), max(len(p) - 1, 1)]))
    values = log(p[:k])
    decimals = draw(st.sampled_from([None, 2, 3, 4, 5, 6, 7, 8]))
    if decimals is None:
        return p, values.astype(np.float32).astype(float).tolist(), None, SINGLE
    half = 0.5 * 10.0**-decimals * (1 + 1e-9)
    return p, [round(value, decimals) if math.isfinite(value) else value for value in values.tolist()], half, DUST


@given(rounded(), st.booleans())
def test_the_entropy_of_a_rounded_list_lies_within_its_bounds(case: Any, known: bool) -> None:
    p, values, rounding, left = case
    got = entropy_bounds(values, len(p) if known else None, rounding=rounding)
    assert got.lower - left <= entropy(p) <= got.upper + left


@given(rounded(), st.integers(0, 29))
def test_the_rank_in_a_rounded_list_lies_within_its_bounds(case: Any, index: int) -> None:
    p, values, rounding, _ = case
    index %= len(p)
    assume(p[index] > 0)
    logprob = float(log(p)[index])
    sent = values[index] if index < len(values) else logprob
    if rounding is None and index >= len(values):
        sent = float(np.float32(logprob))
        assume(sent < min(values))
    got = rank_bounds(values, sent, len(p), rounding=rounding)
    if rounding is None:
        # A tie with an unlisted token counts as the last of the list.
        assert got.lower <= int((p > p[index] * (1 + 1e-6)).sum()) + 1
        assert int((p > p[index] * (1 + 1e-6)).sum()) + 1 <= got.upper
    else:
        assert got.lower <= int((p >= p[index]).sum())
        assert int((p > p[index]).sum()) + 1 <= got.upper


@given(st.integers(2, 50_000))
def test_all_tokens_of_an_even_distribution_tie_although_the_numbers_are_rounded(size: int) -> None:
    sent = float(np.float32(-math.log(size)))
    assume(sent < 0)
    got = temperature_topk([sent], 0)
    # The single number may be too large or too small by what single precision rounds.
    assert got.lower[0] <= 1 / size


@given(rounded(), st.sampled_from(HEATS), st.booleans())
def test_a_rounded_list_at_another_temperature_lies_within_its_bounds(case: Any, heat: float, known: bool) -> None:
    p, values, rounding, left = case
    # Single precision cannot tell ties from differences that temperature 0 decides by.
    assume(heat > 0 or rounding is not None or len(set(values)) == len(set(p[: len(values)].tolist())))
    truth = temperature_full(log(p), heat)[: len(values)]
    got = temperature_topk(values, heat, len(p) if known else None, rounding=rounding)
    assert (got.lower <= truth + left).all()
    assert (truth <= got.upper + left).all()
    assert not np.isnan(got.conditional).any()


@given(rounded())
def test_the_margin_of_a_rounded_list_lies_within_its_bounds(case: Any) -> None:
    p, values, rounding, left = case
    got = margin(values, vocab_size=len(p), rounding=rounding)
    assert got.prob_margin_lower - left <= p[0] - p[1] <= got.prob_margin_upper + left


@given(rounded(), st.sampled_from(HEATS), st.booleans())
def test_one_list_gives_what_it_gives_among_many(case: Any, heat: float, known: bool) -> None:
    p, values, rounding, _ = case
    # Other lists stand beside it where their tails fit into the same vocabulary, which is then open for all.
    alone = known and len(values) == len(p)
    lists = [values] if alone else [[-0.5], values, [-0.1, -3.0]]
    size, place = (len(p), 0) if alone else (max(len(p), 60) if known else None, 1)
    one, many = entropy_bounds(values, size, rounding=rounding), entropy_bounds_batch(lists, size, rounding=rounding)
    for name in ("mass", "tail", "plugin", "renormalized", "bucket", "lower", "upper"):
        assert getattr(many, name)[place] == pytest.approx(getattr(one, name), rel=1e-11, abs=1e-12), name
    hot = temperature_topk(values, heat, size, rounding=rounding)
    all_hot = temperature_topk_batch(lists, heat, size, rounding=rounding)
    own = slice(all_hot.offsets[place], all_hot.offsets[place + 1])
    for name in ("conditional", "lower", "upper"):
        assert getattr(all_hot, name)[own] == pytest.approx(getattr(hot, name), rel=1e-9, abs=1e-12), name
    lead, leads = margin(values, rounding=rounding), margin_batch(lists, rounding=rounding)
    for name in ("min_entropy", "prob_margin_lower", "prob_margin_upper"):
        assert getattr(leads, name)[place] == pytest.approx(getattr(lead, name), rel=1e-11, abs=1e-12), name


def divergences(p: Floats, q: Floats) -> tuple[float, float, float]:
    """Return the three divergences of whole distributions, term by term."""

    def kl(a: Floats, b: Floats) -> float:
        terms = [
            x * math.log(x / y) if y > 0 else math.inf for x, y in zip(a.tolist(), b.tolist(), strict=True) if x > 0
        ]
        return math.fsum(terms)

    middle = (p + q) / 2
    return kl(p, q), (kl(p, middle) + kl(q, middle)) / 2, float(np.abs(p - q).sum()) / 2


@given(whole(4), st.randoms(use_true_random=False), st.integers(0, 2**32 - 1), st.sampled_from([None, 2, 4, 6, 8]))
def test_divergences_of_rounded_lists_lie_within_their_bounds(
    p: Floats, random: Any, seed: int, decimals: int | None
) -> None:
    rng = np.random.default_rng(seed)
    q = rng.permutation(np.exp(rng.normal(size=len(p)) * rng.choice([0.1, 2.0, 8.0])))
    q /= q.sum()
    half = None if decimals is None else 0.5 * 10.0**-decimals * (1 + 1e-9)

    def listed(law: Floats, k: int) -> dict[str, float]:
        best = np.argsort(-law, kind="stable")[:k]
        values = log(law[best])
        if decimals is None:
            values = values.astype(np.float32).astype(float)
        return {
            f"t{index}": round(value, decimals) if decimals is not None and math.isfinite(value) else value
            for index, value in zip(best.tolist(), values.tolist(), strict=True)
        }

    truth = divergences(p, q)
    left = SINGLE if decimals is None else DUST
    for k in (len(p), len(p) - 1, random.randint(1, len(p))):
        got = divergence_bounds(listed(p, k), listed(q, len(q) if k >= len(p) - 1 else k), rounding=half)
        lower = divergence_lower_bounds(listed(p, k), listed(q, k), rounding=half)
        for name, value in zip(("kl", "js", "tv"), truth, strict=True):
            assert getattr(lower, f"{name}_lower") <= value + left
            assert getattr(got, f"{name}_lower") <= value + left
            assert value <= getattr(got, f"{name}_upper") + left
        assert lower.kl_lower < math.inf


def test_a_tail_in_the_last_bits_of_a_sum_is_no_lower_bound() -> None:
    """Four numbers that add up to 1 in double precision may leave a fifth token 5e-16."""
    rest = [math.exp(-3.3923948393640853), math.exp(-8.780279336036088), math.exp(-20.850859063024537)]
    hidden = 5.4e-16
    top = {"a": math.log1p(-math.fsum([*rest, hidden])), **dict(zip("bcd", map(math.log, rest), strict=True))}
    even = {token: math.log(0.2) for token in "abcde"}
    truth = divergences(np.full(5, 0.2), np.array([*map(math.exp, top.values()), hidden]))[0]
    assert divergence_lower_bounds(even, top, vocab_size=5).kl_lower <= truth
    assert divergence_bounds(even, top).kl_lower <= truth


def test_a_list_that_may_have_lost_tokens_of_the_vocabulary_to_rounding_is_not_whole() -> None:
    """In single precision 1 - 9e-10 is 1, and the rest may be on a token that is impossible for q."""
    p, q = {"a": -8.9e-10}, {"a": math.log(0.5), "b": math.log(0.5)}
    assert divergence_bounds(p, q, vocab_size=10).kl_upper == math.inf
    assert divergence_bounds(p, q).kl_upper == pytest.approx(math.log(2))
    assert divergence_bounds({"a": 0.0}, {"a": 0.0}, vocab_size=1).kl_upper == 0


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_divergences_of_whole_distributions_are_exact(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = (np.exp(rng.normal(size=size) * 3) for _ in range(2))
    p, q = p / p.sum(), q / q.sum()
    truth = divergences(p, q)
    left, right = ({f"t{i}": value for i, value in enumerate(log(law).tolist())} for law in (p, q))
    for got in (
        divergence_bounds(left, right),
        divergence_bounds(left, right, vocab_size=size),
        divergence_bounds(left, right, rounding=0),
    ):
        for name, value in zip(("kl", "js", "tv"), truth, strict=True):
            assert getattr(got, f"{name}_lower") == pytest.approx(value, abs=1e-9)
            assert getattr(got, f"{name}_upper") == pytest.approx(value, abs=1e-9)


@given(whole(2, 30), st.sampled_from([0.2, 0.7, 1.0]), st.floats(0.05, 1.0))
def test_a_whole_list_in_single_precision_is_complete_up_to_temperature_one(
    p: Floats, heat: float, share: float
) -> None:
    values = log(p).astype(np.float32).astype(float)
    assert top_p(values, share, temperature=heat).complete
    assert min_p(values, 0.0, temperature=heat).complete
    assert top_k(values, len(p) + 5, temperature=heat).complete
    hot = top_p(values, share, temperature=3.0, vocab_size=len(p))
    assert hot.complete
    assert hot.probs is not None
    assert math.fsum(hot.probs.tolist()) == pytest.approx(1)


def test_above_temperature_one_only_the_vocabulary_or_an_exact_sum_makes_a_list_whole() -> None:
    values = np.log([0.7, 0.2, 0.1]).astype(np.float32).astype(float)
    assert not top_p(values, 0.9, temperature=1.5).complete
    assert not min_p(values, 0.0, temperature=1.5).complete
    assert top_p(values, 0.9, temperature=1.5, vocab_size=3).complete
    assert top_p(np.log([0.7, 0.2, 0.1]), 0.9, temperature=1.5).complete
    assert not top_p([math.log(0.5), math.log(0.4)], 0.95).complete


def test_a_lower_bound_is_infinite_only_by_a_listed_impossibility() -> None:
    got = divergence_lower_bounds({"A": -0.5, "B": -1.2}, {"A": 0.0, "B": -18.75})
    assert 5 < got.kl_lower <= 6.46
    halves = {"A": math.log(0.5), "B": math.log(0.5)}
    assert divergence_lower_bounds(halves, {"A": math.log(0.5), "C": math.log(0.5)}).kl_lower < math.inf
    assert divergence_lower_bounds(halves, {"A": 0.0}, rounding=0).kl_lower < math.inf
    assert divergence_lower_bounds(halves, {"A": 0.0, "B": -math.inf}).kl_lower == math.inf


def test_the_vocabulary_of_two_lists_holds_the_tokens_of_both() -> None:
    with pytest.raises(SettingError, match="the number of tokens that p and q name, 3, not 2"):
        divergence_bounds(dict.fromkeys("ab", math.log(0.5)), dict.fromkeys("ac", math.log(0.5)), vocab_size=2)


def test_a_rank_is_no_surer_than_the_numbers() -> None:
    got = rank_bounds([0.0, -17.0, -18.0, -19.0, -19.5], -25.0, 200_019)
    assert got.lower == 6
    assert 2001 <= got.upper <= 200_019
    assert rank_bounds([0.0, -17.0, -18.0, -19.0, -19.5], -25.0, 200_019, rounding=0).upper == 6
    assert rank_bounds([math.log(0.5), math.log(0.3)], math.log(0.05)).upper == 6


def test_a_listed_zero_leaves_nothing_hidden() -> None:
    values = [math.log(0.5), math.log(0.5), -math.inf]
    got = temperature_topk(values, math.inf, 10)
    assert got.lower.tolist() == got.upper.tolist() == got.conditional.tolist() == [0.5, 0.5, 0.0]
    many = temperature_topk_batch([values], math.inf, 10)
    assert many.lower.tolist() == many.upper.tolist() == [0.5, 0.5, 0.0]
    assert entropy_bounds(values).upper == pytest.approx(math.log(2), abs=1e-12)


def test_a_list_that_misses_some_and_has_a_zero_is_an_error_alone_and_nan_among_others() -> None:
    values = [math.log(0.6), math.log(0.2), -math.inf]
    with pytest.raises(InconsistentTopKError):
        entropy_bounds(values, 10)
    got = entropy_bounds_batch([values, values[:2]], 10)
    assert np.isnan(got.lower).tolist() == [True, False]
    assert np.isnan(temperature_topk_batch([values, values[:2]], 2.0, 10).lower).tolist() == [True] * 3 + [False] * 2


def test_a_tail_is_capped_by_what_the_hidden_tokens_can_have() -> None:
    p = np.array([1 - 27e-6, *[1e-6] * 27])
    values = [round(value, 6) for value in np.log(p).tolist()]
    one, many = entropy_bounds(values, 29), entropy_bounds_batch([values], 29)
    assert many.tail[0] == pytest.approx(one.tail, abs=1e-15)
    assert one.tail <= 1.1e-6
    assert many.upper[0] == pytest.approx(one.upper, rel=1e-11)


def test_a_remainder_of_rounding_is_no_token() -> None:
    values = [round(-math.log(21), 8)] * 12
    for size in (None, 21):
        assert temperature_topk(values, 50, size).upper[0] >= 1 / 21 - 1e-9
        assert temperature_topk_batch([values], 50, size).upper[0] >= 1 / 21 - 1e-9
    assert temperature_topk(values, 0).lower[0] <= 1 / 21


def test_nothing_is_hidden_where_the_whole_vocabulary_is_listed() -> None:
    values = [-0.6931, -1.3863, -1.3863]
    got = entropy_bounds(values, 3)
    assert got.lower == got.upper
    assert temperature_topk(values, 2.0, 3).lower.tolist() == temperature_topk(values, 2.0, 3).upper.tolist()


def test_a_number_for_rounding_is_allowed_for_always() -> None:
    values = [-0.51, -1.61, -2.3]
    exact, open_ = entropy_bounds(values, 10, rounding=0), entropy_bounds(values, 10, rounding=0.005)
    assert open_.lower < exact.lower < exact.upper < open_.upper
    lead = margin(values, rounding=0.005)
    assert lead.prob_margin is not None
    assert lead.prob_margin_lower < lead.prob_margin < lead.prob_margin_upper
    assert rank_bounds(values, -1.615, 10, rounding=0.005).upper == 2
    sums = sequence_bounds([{"logprob": -0.51}, {"logprob": -1.61}], rounding=0.005)
    assert (sums.loglik_lower, sums.loglik_upper) == (pytest.approx(-2.13), pytest.approx(-2.11))


@pytest.mark.parametrize("rounding", [-1e-3, math.inf, math.nan, "1e-4", True])
def test_an_allowance_that_is_none_is_refused(rounding: Any) -> None:
    for call in (
        lambda: entropy_bounds([-0.5], rounding=rounding),
        lambda: entropy_bounds_batch([[-0.5]], rounding=rounding),
        lambda: top_p([-0.5], 0.5, rounding=rounding),
        lambda: Logprobs.from_entries([], rounding=rounding),
    ):
        with pytest.raises(SettingError, match="rounding must be None, or the most that a log-probability may be off"):
            call()


def test_a_number_above_zero_is_no_log_probability() -> None:
    with pytest.raises(LogprobError, match="at most 0"):
        entropy_bounds([0.5])
    with pytest.raises(LogprobError, match="at most 0"):
        entropy_bounds_batch([[0.5]])


@given(rounded(), st.integers(0, 2))
def test_the_probability_of_an_answer_in_a_rounded_list_lies_within_its_bounds(case: Any, forms: int) -> None:
    p, values, rounding, left = case
    words = ["yes", "no", *(f"w{i}" for i in range(len(p)))][: len(p)]
    top = [{"token": word, "logprob": value} for word, value in zip(words, values, strict=False)]
    unseen = {name: max(forms, int(words.index(name) >= len(values))) for name in ("yes", "no") if name in words}
    choices: list[dict[str, Any]] = [{}, {"forms_unseen": unseen}]
    for options in choices:
        among = label_distribution(top, ["yes", "no"], rounding=rounding, vocab_size=len(p), **options)
        table = Logprobs.from_entries([{**top[0], "top_logprobs": top}], vocab_size=len(p), rounding=rounding)
        for name, truth in zip(("yes", "no"), p.tolist(), strict=False):
            assert among.lower[name] - left <= truth <= among.upper[name] + left
        if values[-1] > -math.inf:
            stacked = label_distribution_batch(table, ["yes", "no"], **options)
            assert stacked[0].upper == pytest.approx(among.upper, abs=1e-12)
            assert stacked[0].tail_mass == pytest.approx(among.tail_mass, abs=1e-12)
        got = label_distribution(top, ["yes", "no"], rounding=rounding, **options)
        parts = (got.matched_mass, got.partial_mass, got.transparent_mass, got.other_mass, got.tail_mass)
        assert math.fsum(parts) == pytest.approx(1, abs=1e-12)
        for name, truth in zip(("yes", "no"), p.tolist(), strict=False):
            assert got.lower[name] - left <= truth <= got.upper[name] + left
        many = label_distribution_batch([top], ["yes", "no"], rounding=rounding, **options)
        assert many[0].upper == pytest.approx(got.upper, abs=1e-12)
        assert many[0].lower == pytest.approx(got.lower, abs=1e-12)
        assert many[0].normalized_lower == pytest.approx(got.normalized_lower, abs=1e-12)


@given(
    st.lists(
        st.tuples(
            st.lists(st.one_of(st.floats(-40, 0.5), st.just(-math.inf)), max_size=9).flatmap(
                lambda values: (
                    st.sampled_from([values, (np.array(values) - np.logaddexp.reduce(values)).tolist()])
                    if any(value > -math.inf for value in values)
                    else st.just(values)
                )
            ),
            st.sampled_from([None, 0.0, 5e-5, 0.1]),
        ),
        max_size=6,
    )
)
def test_lists_that_are_read_together_give_what_each_gives_alone(lists: list[tuple[list[float], float | None]]) -> None:
    columns = [values for values, _ in lists], [rounding for _, rounding in lists], [f"list {n}" for n in range(9)]
    for (values, rounding), found in zip(lists, read_masses(*columns), strict=False):
        if isinstance(found, Exception):
            with pytest.raises(type(found)):
                read_truncated(np.array(values), rounding=rounding)
        else:
            alone = read_truncated(np.array(values), rounding=rounding)
            assert found == (alone.least.tolist(), alone.open_mass, alone.most_open)
