"""Bounds from the top of a distribution: they contain the true value of the whole distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from deluge_nb.errors import InconsistentTopKError, LogprobError, ProbabilityMassError
from deluge_nb.stats import (
    binary_probability,
    divergence_lower_bounds,
    entropy_bounds,
    expected_score,
    label_distribution,
    margin,
    rank_bounds,
    sequence_bounds,
    temperature_full,
    temperature_topk,
    top_p,
    total_probability,
    trie_label_probability,
)

from .strategies import Floats, distributions, entropy, listed, top, weighed_words

DUST = 1e-9
NEARLY_TIED = np.array([*[0.2] * 5, 5e-4, 1.2e-6, 1.2e-6 - 1e-21])
LABELS = {"yes": ["yes"], "no": ["no"], "ten": ["10"], "one": ["1"]}


def cut(p: Floats, share: float) -> int:
    """Return the length of a list: at least one token, none of probability 0."""
    return max(1, min(int(np.count_nonzero(p)), round(share * len(p))))


@given(distributions(), st.floats(0, 1))
def test_the_entropy_lies_within_its_bounds(p: Floats, share: float) -> None:
    k = cut(p, share)
    got = entropy_bounds(top(p, k), len(p), rounding=0)
    assert got.lower - DUST <= entropy(p) <= got.upper + DUST
    assert max(got.plugin, got.renormalized, got.bucket) <= got.lower + DUST
    assert got.mass + got.tail == pytest.approx(1)
    assert entropy_bounds(top(p, k), rounding=0).upper >= got.upper


@given(distributions(), st.floats(0, 1))
def test_some_distribution_reaches_each_bound_of_the_entropy(p: Floats, share: float) -> None:
    k = cut(p, share)
    seen, rest, room = p[:k], 1 - p[:k].sum(), len(p) - k
    assume(room > 0 and rest > 1e-6)
    got = entropy_bounds(top(p, k), len(p), rounding=0)
    flat = np.concatenate((seen, np.full(room, rest / room)))
    full = int(rest / seen[-1])
    steep = np.concatenate((seen, np.full(full, seen[-1]), [rest - full * seen[-1]]))
    assert got.upper == pytest.approx(entropy(flat), abs=1e-9)
    assert got.lower == pytest.approx(entropy(steep), abs=1e-9)


@given(distributions(), st.floats(0, 1), st.floats(0, 1))
def test_more_alternatives_never_widen_the_bounds_of_the_entropy(p: Floats, one: float, other: float) -> None:
    few, many = sorted((cut(p, one), cut(p, other)))
    wide, narrow = (entropy_bounds(top(p, count), len(p), rounding=0) for count in (few, many))
    assert wide.lower <= narrow.lower + DUST
    assert narrow.upper <= wide.upper + DUST


@given(distributions(), st.randoms(use_true_random=False))
def test_the_order_of_the_list_makes_no_difference(p: Floats, random: object) -> None:
    values = top(p, cut(p, 0.5))
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = entropy_bounds(values, len(p)), entropy_bounds(shuffled, len(p))
    assert one.to_dict() == pytest.approx(other.to_dict(), abs=1e-12)
    assert margin(values).to_dict() == pytest.approx(margin(shuffled).to_dict(), abs=1e-12)


@given(distributions(3))
def test_a_token_outside_the_list_adds_to_the_mass_and_is_not_a_cap(p: Floats) -> None:
    k = cut(p, 0.4)
    assume(k + 1 < len(p) and p[-1] > 0)
    got = entropy_bounds(top(p, k), len(p), sampled_logprob=math.log(p[-1]))
    assert got.lower - DUST <= entropy(p) <= got.upper + DUST
    assert got.mass == pytest.approx(p[:k].sum() + p[-1])


@given(distributions())
def test_with_a_single_sampled_token_the_tail_counts_as_one_token(p: Floats) -> None:
    got = entropy_bounds([math.log(p[0])], len(p), top_is_true_topk=False)
    assert got.lower == pytest.approx(got.bucket)


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(LogprobError, match="empty"):
        entropy_bounds([])
    with pytest.raises(LogprobError, match="empty"):
        entropy_bounds([-9999.0])


def test_an_invalid_log_probability_is_reported_with_its_position() -> None:
    with pytest.raises(LogprobError, match=r"top_logprobs\[1\] is missing") as caught:
        entropy_bounds([-0.5, math.nan])
    assert caught.value.position == 1
    with pytest.raises(LogprobError, match="at most 0"):
        entropy_bounds([0.69])
    with pytest.raises(LogprobError, match="missing"):
        entropy_bounds([None, -1.0])  # type: ignore[list-item]


def test_a_small_excess_over_one_is_scaled_away_and_a_large_one_is_an_error() -> None:
    got = entropy_bounds([math.log(0.6), math.log(0.40005)])
    assert (got.mass, got.tail) == (1.0, 0.0)
    assert got.plugin == pytest.approx(entropy(np.array([0.6, 0.40005]) / 1.00005), abs=1e-12)
    assert got.lower == got.upper
    with pytest.raises(ProbabilityMassError, match=r"1\.2"):
        entropy_bounds([math.log(0.6), math.log(0.6)])


def test_the_lowest_float_means_a_probability_of_zero() -> None:
    assert entropy_bounds([0.0, -3.4028234663852886e38], 5).upper == 0
    with pytest.raises(InconsistentTopKError):
        entropy_bounds([math.log(0.5), -3.4028234663852886e38], 5)


def test_sentinels_are_left_out_and_can_be_chosen() -> None:
    assert entropy_bounds([-0.1, -9999.0]) == entropy_bounds([-0.1])
    assert entropy_bounds([-0.1, -100.0], sentinels=(-100.0,)) == entropy_bounds([-0.1])
    assert entropy_bounds([-0.1, -100.0]) != entropy_bounds([-0.1])


def test_bits_are_nats_over_the_logarithm_of_two() -> None:
    nats, bits = entropy_bounds([-0.5, -1.5], 100), entropy_bounds([-0.5, -1.5], 100, base=2)
    assert bits.lower == pytest.approx(nats.lower / math.log(2))
    assert bits.mass == nats.mass


@given(distributions(), st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.5, 0.9, 1.0, 1.1, 1.5, 3.0, math.inf]))
def test_a_token_at_another_temperature_lies_within_its_bounds(p: Floats, share: float, heat: float) -> None:
    k = cut(p, share)
    assume(p[-1] > 0 or heat < 1)  # at infinity, impossible tokens have no share
    truth = temperature_full(top(p, len(p)), heat)[:k]
    got = temperature_topk(top(p, k), heat, len(p))
    assert (got.lower <= truth + 1e-6).all()
    assert (truth <= got.upper + 1e-6).all()
    assert got.conditional == pytest.approx(truth / truth.sum(), abs=1e-9)
    assert math.fsum(got.conditional.tolist()) == pytest.approx(1)


@given(distributions(), st.floats(0, 1), st.sampled_from([0.25, 0.8, 1.0]))
def test_more_alternatives_never_widen_the_bounds_at_a_temperature(p: Floats, share: float, heat: float) -> None:
    k = cut(p, share)
    assume(k < np.count_nonzero(p))
    wide, narrow = (temperature_topk(top(p, count), heat, len(p), rounding=0) for count in (k, k + 1))
    assert (wide.lower <= narrow.lower[:k] + DUST).all()
    assert (narrow.upper[:k] <= wide.upper + DUST).all()


@given(distributions())
def test_temperatures_near_one_change_little(p: Floats) -> None:
    k = cut(p, 0.5)
    values = top(p, k)
    at = temperature_topk(values, 1.0, len(p))
    for near in (1 - 1e-9, 1 + 1e-9):
        beside = temperature_topk(values, near, len(p))
        assert beside.lower == pytest.approx(at.lower, abs=1e-5)
        assert beside.upper == pytest.approx(at.upper, abs=1e-5)


def test_without_a_vocabulary_a_higher_temperature_has_no_lower_bound() -> None:
    got = temperature_topk([-0.5, -2.0], 2.0)
    assert got.lower.tolist() == [0, 0]
    assert (got.upper < got.conditional).all()


def test_a_low_temperature_does_not_underflow() -> None:
    got = temperature_topk([-0.5, -1.0, -5.0], 0.01, 1000)
    assert got.conditional[0] == pytest.approx(1)
    assert np.isfinite(got.lower).all()
    assert got.lower[0] == pytest.approx(1)


@given(weighed_words(), st.integers(1, 24), st.data())
def test_the_probability_of_an_answer_lies_within_its_bounds(
    words: list[tuple[str, float]], k: int, data: st.DataObject
) -> None:
    seen = listed(words, k)
    assume(seen)
    got = label_distribution(seen, LABELS)
    # A beginning may become any of its answers, so the truth is drawn among them.
    truth = dict.fromkeys(LABELS, 0.0)
    for word, p in words:
        for name, share in become(word, data).items():
            truth[name] += share * p
    total = sum(truth.values())
    for name, value in truth.items():
        assert got.lower[name] - DUST <= value <= got.upper[name] + DUST
        if total and got.normalized:
            assert got.normalized_lower[name] - DUST <= value / total <= got.normalized_upper[name] + DUST
    if got.certified:
        assert max(truth, key=truth.__getitem__) == got.argmax


def become(word: str, data: st.DataObject) -> dict[str, float]:
    """Return the answers that a word ends up as, with their shares; written by hand, independent of the code."""
    sure = {"yes": "yes", "Yes": "yes", " yes": "yes", "YES.": "yes", "no": "no", "No,": "no", "10": "ten"}
    if word in sure:
        return {sure[word]: 1.0}
    open_to = {"ye": ["yes"], "n": ["no"], "N": ["no"], "1": ["one", "ten"]}.get(word)
    if word.strip().strip('"') == "":
        open_to = list(LABELS)
    if not open_to:
        return {}
    chosen = data.draw(st.sampled_from([*open_to, None]))
    return {chosen: 1.0} if chosen else {}


@given(weighed_words(), st.integers(1, 24))
def test_the_five_parts_of_a_label_distribution_add_up_to_one(words: list[tuple[str, float]], k: int) -> None:
    seen = listed(words, k)
    assume(seen)
    got = label_distribution(seen, LABELS)
    parts = (*got.lower.values(), got.partial_mass, got.transparent_mass, got.other_mass, got.tail_mass)
    assert math.fsum(parts) == pytest.approx(1, abs=1e-12)
    assert got.matched_mass == pytest.approx(math.fsum(got.lower.values()))


@given(weighed_words(), st.integers(1, 24), st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_change_the_answers(words: list[tuple[str, float]], k: int, random: Any) -> None:
    seen = listed(words, k)
    assume(seen)
    one = label_distribution(seen, LABELS)
    random.shuffle(seen)
    other = label_distribution(seen, LABELS)
    assert one.lower == pytest.approx(other.lower, abs=1e-12)
    assert one.upper == pytest.approx(other.upper, abs=1e-12)
    assert one.normalized_upper == pytest.approx(other.normalized_upper, abs=1e-12)


@given(weighed_words(), st.integers(1, 23))
def test_more_alternatives_never_widen_the_bounds_of_an_answer(words: list[tuple[str, float]], k: int) -> None:
    assume(k < len(words) and words[k][1] > 0)
    wide, narrow = (label_distribution(listed(words, count), LABELS, rounding=0) for count in (k, k + 1))
    for name in LABELS:
        assert wide.lower[name] <= narrow.lower[name] + DUST
        assert narrow.upper[name] <= wide.upper[name] + DUST


@given(weighed_words(), st.integers(1, 24))
def test_two_answers_bound_each_other(words: list[tuple[str, float]], k: int) -> None:
    seen = listed(words, k)
    assume(seen)
    yes, no = binary_probability(seen, "yes", "no"), binary_probability(seen, "no", "yes")
    assert yes.p_lower <= yes.p_upper + DUST
    assert yes.p_upper == pytest.approx(1 - no.p_lower)
    if yes.p_normalized is not None and no.p_normalized is not None:
        assert yes.p_normalized + no.p_normalized == pytest.approx(1)
        assert yes.log_odds == -(no.log_odds or 0) or yes.log_odds == pytest.approx(-(no.log_odds or 0))


def test_without_a_listed_answer_there_is_no_normalised_probability() -> None:
    got = binary_probability([{"token": "Well", "logprob": -0.1}], "yes", "no")
    assert (got.p_lower, got.p_upper, got.p_normalized, got.log_odds) == (0.0, 1.0, None, None)


def test_without_a_match_there_is_no_normalised_distribution() -> None:
    got = label_distribution([{"token": "Well", "logprob": -0.1}], ["yes", "no"])
    assert got.normalized == {}
    assert (got.argmax, got.entropy, got.certified) == (None, None, False)
    assert got.upper["yes"] == pytest.approx(1 - math.exp(-0.1))


def test_each_unseen_form_takes_at_most_the_least_listed_probability_of_the_tail() -> None:
    seen = [{"token": "Yes", "logprob": math.log(0.9)}, {"token": "No", "logprob": math.log(0.001)}]
    assert label_distribution(seen, ["yes", "no", "maybe"]).upper["maybe"] == pytest.approx(0.099)
    got = label_distribution(seen, ["yes", "no", "maybe"], forms_unseen={"maybe": 1})
    assert got.upper["maybe"] == pytest.approx(0.001)
    assert got.upper["no"] == pytest.approx(0.1)


def test_the_longest_answer_wins_and_a_lone_dash_leaves_every_number_open() -> None:
    seen = [{"token": "New York", "logprob": math.log(0.5)}, {"token": "New", "logprob": math.log(0.4)}]
    got = label_distribution(seen, ["new", "new york"])
    assert got.lower == {"new": 0.0, "new york": pytest.approx(0.5)}
    assert got.partial_mass == pytest.approx(0.4)
    minus = label_distribution([{"token": "-", "logprob": math.log(0.7)}], ["-1", "1"])
    assert minus.upper["-1"] == pytest.approx(1)
    assert minus.upper["1"] == pytest.approx(1)  # "- 1" is a bullet and a 1


def test_a_sampled_token_outside_the_list_is_counted_once() -> None:
    seen = [{"token": "No", "logprob": math.log(0.6)}]
    drawn = {"token": "Yes", "logprob": math.log(0.1)}
    assert label_distribution(seen, ["yes", "no"], sampled=drawn).lower["yes"] == pytest.approx(0.1)
    assert label_distribution([*seen, drawn], ["yes", "no"], sampled=drawn).lower["yes"] == pytest.approx(0.1)


@given(distributions(2, 10), st.integers(1, 10))
def test_an_expected_score_lies_within_its_bounds(p: Floats, k: int) -> None:
    scores = list(range(1, len(p) + 1))
    assume(len(p) < 10)  # "1" would leave 1 and 10 open
    words = [(str(score), value) for score, value in zip(scores, p.tolist(), strict=True)]
    got = expected_score(listed(words, k), scores)
    truth = math.fsum(score * value for score, value in zip(scores, p.tolist(), strict=True))
    assert got.lower - DUST <= truth <= got.upper + DUST
    assert got.lower - DUST <= got.mean <= got.upper + DUST


def test_a_one_that_may_become_ten_is_slack() -> None:
    seen = [
        {"token": token, "logprob": math.log(p)} for token, p in (("1", 0.5), ("9", 0.25), ("10", 0.2), ("x", 0.04))
    ]
    got = expected_score(seen, range(1, 11))  # type: ignore[arg-type]
    assert got.mean == pytest.approx((9 * 0.25 + 10 * 0.2) / 0.45)
    assert got.slack == pytest.approx(0.51)


@example(NEARLY_TIED / NEARLY_TIED.sum(), 0.75)
@given(distributions(3), st.floats(0, 1))
def test_a_rank_lies_within_its_bounds(p: Floats, share: float) -> None:
    k = cut(p, share)
    outside = int(np.count_nonzero(p)) - 1
    # In logarithms, because a token with an equal one counts as the last of the list.
    assume(k <= outside and math.log(p[outside]) < math.log(p[k - 1]))
    got = rank_bounds(top(p, k), math.log(p[outside]), len(p))
    likelier = int((p > p[outside]).sum()) + 1
    assert got.lower <= likelier <= got.upper


def test_a_listed_token_has_its_own_rank() -> None:
    got = rank_bounds([-0.5, -1.5, -1.5, -3.0], -1.5)
    assert (got.lower, got.upper) == (2, 3)


@given(st.lists(distributions(3), min_size=1, max_size=5))
def test_the_likelihood_of_a_sequence_lies_below_its_upper_bound(positions: list[Floats]) -> None:
    tokens: list[dict[str, Any]] = []
    truth = 0.0
    for p in positions:
        k = cut(p, 0.4)
        drawn = min(k, int(np.count_nonzero(p)) - 1)
        logprob = math.log(p[drawn])
        truth += logprob
        tokens.append({"logprob": logprob if drawn < k else -9999.0, "top_logprobs": top(p, k)})
    got = sequence_bounds(tokens)
    assert got.loglik_lower <= truth + DUST
    assert truth <= got.loglik_upper + DUST


@given(distributions(4), distributions(4))
def test_divergences_of_lists_never_exceed_those_of_the_distributions(p: Floats, q: Floats) -> None:
    size = min(len(p), len(q))
    p, q = p[:size] / p[:size].sum(), q[:size] / q[:size].sum()
    q = q[np.random.default_rng(size).permutation(size)]
    assume((q > 0).all())
    names = [f"t{index}" for index in range(size)]

    def top_half(law: Floats) -> dict[str, float]:
        best = np.argsort(-law)[: max(1, size // 2)]
        return {names[index]: math.log(law[index]) for index in best if law[index] > 0}

    got = divergence_lower_bounds(top_half(p), top_half(q))
    possible = p > 0
    kl = float((p[possible] * np.log(p[possible] / q[possible])).sum())
    assert got.kl_lower <= kl + DUST
    assert got.tv_lower <= np.abs(p - q).sum() / 2 + DUST
    assert 0 <= got.js_lower <= math.log(2) + DUST


@given(distributions(2, 6), st.data())
def test_the_law_of_total_probability_contains_the_truth(p: Floats, data: st.DataObject) -> None:
    given_x = data.draw(st.lists(st.floats(0, 1), min_size=len(p), max_size=len(p)))
    explored = cut(p, 0.5)
    branches = [
        {"logprob": math.log(x), "p_given": y} for x, y in list(zip(p.tolist(), given_x, strict=True))[:explored]
    ]
    got = total_probability(branches)
    truth = math.fsum(x * y for x, y in zip(p.tolist(), given_x, strict=True))
    assert got.lower - DUST <= truth <= got.upper + DUST


@st.composite
def tries(draw: st.DrawFn) -> dict[str, dict[str, float]]:
    """A small language of a's and b's, complete to the third letter."""
    nodes: dict[str, dict[str, float]] = {}
    for prefix in ("", "a", "b", "aa", "ab", "ba", "bb"):
        p = draw(distributions(4, 4))
        tokens = draw(st.permutations(["a", "b", ".", "c"]))
        nodes[prefix] = {token: math.log(x) for token, x in zip(tokens, p.tolist(), strict=True) if x > 0}
    return nodes


@given(tries(), st.integers(1, 4), st.sets(st.sampled_from(["a", "b", "aa", "ab", "ba", "bb"])))
def test_answers_of_several_tokens_lie_within_their_bounds(
    nodes: dict[str, dict[str, float]], k: int, dropped: set[str]
) -> None:
    labels = ["ab", "abb", "b"]
    exact = trie_label_probability(nodes, labels)
    pruned = {
        prefix: dict(sorted(tokens.items(), key=lambda item: -item[1])[:k])
        for prefix, tokens in nodes.items()
        if prefix not in dropped
    }
    got = trie_label_probability(pruned, labels)
    for name in labels:
        assert got.lower[name] <= exact.lower[name] + DUST
        assert exact.upper[name] <= got.upper[name] + DUST


def test_a_filter_beyond_the_list_is_not_complete() -> None:
    got = top_p([math.log(0.5), math.log(0.2)], 0.9)
    assert (got.complete, got.probs, got.kept) == (False, None, (0, 1))
    assert got.kept_mass == pytest.approx(0.7)
