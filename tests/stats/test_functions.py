"""Votes, words, options and averages: each against a definition of its own."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deluge_nb import APIResponse, LogprobError, Logprobs, ProbabilityMassError, SettingError
from deluge_nb.calibration.intervals import Estimate
from deluge_nb.stats import (
    choice_scores,
    entropy_from_counts,
    majority_vote,
    min_k,
    option_accuracy,
    rank_bounds,
    rank_options,
    self_consistency,
    semantic_entropy,
    sequence_stats,
    total_probability,
    trie_label_probability,
    uncertainty_split,
    wilson_interval,
    word_surprisal,
)

MISSING = [None, math.nan, np.float64("nan"), np.datetime64("NaT")]

logprobs = st.floats(-30, 0)


# Votes


@given(st.lists(st.sampled_from(["a", "b", "c", 1, 2.5, (1, 2), *MISSING]), min_size=1, max_size=30))
def test_the_majority_is_the_answer_that_occurs_most_often(answers: list[Any]) -> None:
    present = [answer for answer in answers if not any(answer is missing for missing in MISSING)]
    vote = majority_vote(answers)
    assert (vote.n, vote.missing) == (len(present), len(answers) - len(present))
    assert vote.counts == Counter(present)
    assert list(vote.counts.values()) == sorted(vote.counts.values(), reverse=True)
    most = max(vote.counts.values(), default=0)
    winners = [answer for answer, count in vote.counts.items() if count == most]
    assert vote.answer == (winners[0] if len(winners) == 1 else None)
    assert (vote.share is None) == (not present)
    if vote.share is not None:
        assert vote.share == most / len(present)
        assert (vote.low, vote.high) == tuple(wilson_interval(most, len(present)))
        assert vote.low <= vote.share <= vote.high


def test_a_tie_of_the_most_frequent_answers_has_no_winner() -> None:
    vote = majority_vote(["a", "b", "a", "b", "c"])
    assert (vote.answer, vote.share) == (None, 0.4)
    assert majority_vote(["a", "b", "a", "b", "a"]).answer == "a"


def test_one_answer_proves_little() -> None:
    vote = majority_vote(["a"])
    assert (vote.answer, vote.share, vote.high) == ("a", 1.0, 1.0)
    assert vote.low < 0.25


def test_an_unanimous_vote_has_a_share_of_one() -> None:
    vote = majority_vote([7] * 50, level=0.9)
    assert (vote.answer, vote.share, vote.high) == (7, 1.0, 1.0)
    assert vote.low == wilson_interval(50, 50, 0.9).low


def test_only_missing_answers_give_the_widest_interval() -> None:
    vote = majority_vote([None, math.nan])
    assert (vote.answer, vote.share, vote.low, vote.high, vote.counts, vote.n, vote.missing) == (
        None, None, 0.0, 1.0, {}, 0, 2
    )  # fmt: skip


def test_a_column_of_a_data_frame_can_vote() -> None:
    pandas = pytest.importorskip("pandas")
    column = pandas.Series(["a", None, "a", pandas.NA, pandas.NaT, "b"], index=range(5, 11))
    vote = majority_vote(column)
    assert (vote.answer, vote.counts, vote.missing) == ("a", {"a": 2, "b": 1}, 3)
    assert majority_vote(np.array(["x", "x", "y"])).counts == {"x": 2, "y": 1}


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([], "answers must not be empty"),
        ("yes", "answers must be a list of answers, not 'yes'"),
        ({"yes": 3}, "answers must be a list of answers"),
        (3, "answers must be a list of answers, not 3"),
        (["a", ["b"]], r"answers\[1\] must be a value that can be counted, .* not \['b'\]"),
    ],
)
def test_answers_that_cannot_be_counted_are_refused(answers: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        majority_vote(answers)


@pytest.mark.parametrize("level", [0, 1, -0.5, math.nan, "95"])
def test_the_level_of_a_vote_is_checked_also_where_nothing_is_counted(level: Any) -> None:
    with pytest.raises(SettingError, match="level must be a number between 0 and 1"):
        majority_vote([None], level=level)


# Self-consistency


def answered(text: str | None, finish_reason: str = "stop") -> APIResponse:
    return APIResponse("local", completion=text, finish_reason=finish_reason)


def test_responses_vote_with_the_answers_in_their_texts() -> None:
    texts = ["Yes.", "I say no", "yes, of course", None, "?"]
    responses = [*map(answered, texts), None]
    vote = self_consistency(responses, ["yes", "no"])
    assert (vote.answer, vote.counts, vote.n, vote.missing) == ("yes", {"yes": 2, "no": 1}, 3, 3)


def test_a_response_that_was_cut_off_may_have_gone_on() -> None:
    labels = ["New", "New York"]
    assert self_consistency([answered("New")], labels).counts == {"New": 1}
    assert self_consistency([answered("New", "length")], labels).missing == 1


def test_texts_vote_by_spellings_or_by_a_function() -> None:
    texts = ["ja", "oui", "nein", math.nan]
    assert self_consistency(texts, {"yes": ["ja", "oui"], "no": ["nein"]}).counts == {"yes": 2, "no": 1}
    last = self_consistency(["not 3 but 4", "3? No, 4", "unsure"], lambda text: (re.findall(r"\d", text) or [None])[-1])
    assert (last.answer, last.n, last.missing) == ("4", 2, 1)


@pytest.mark.parametrize(
    ("responses", "message"),
    [
        ([], "responses must not be empty"),
        ("yes", "responses must be a list of responses or texts, not 'yes'"),
        (["yes", 3], r"responses\[1\] must be a text, a response with a completion, or None, not 3"),
    ],
)
def test_what_has_no_text_cannot_be_consistent(responses: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        self_consistency(responses, ["yes", "no"])


# Words

pieces = st.lists(st.text(alphabet=" \n\tab.é東🙂", max_size=4), min_size=1, max_size=12)


@example(["a b", " ", "", "c"])
@given(pieces)
def test_each_token_counts_for_the_word_of_its_first_character_that_is_not_white_space(tokens: list[str]) -> None:
    values = [-1.0 - index / 7 for index in range(len(tokens))]
    text = "".join(tokens)
    result = word_surprisal(tokens, values)
    assert [word.word for word in result] == text.split()
    if not result:
        return
    # By hand: number the words, character by character, and give each token the next number in sight.
    owner: list[int | None] = []
    current = -1
    for index, character in enumerate(text):
        if character.isspace():
            owner.append(None)
            continue
        if index == 0 or text[index - 1].isspace():
            current += 1
        owner.append(current)
    at, expected = 0, [0.0] * len(result)
    for token, value in zip(tokens, values, strict=True):
        word = next((number for number in owner[at:] if number is not None), len(result) - 1)
        expected[word] -= value / math.log(2)
        at += len(token)
    assert [word.surprisal for word in result] == pytest.approx(expected)
    assert math.fsum(word.surprisal for word in result) == pytest.approx(-sum(values) / math.log(2))
    assert [word.begin for word in result] == [0, *(word.end for word in result[:-1])]
    assert result[-1].end == len(tokens)


def test_words_are_in_bits_and_the_sum_is_that_of_the_text() -> None:
    values = [-0.5, -2.0, -0.25]
    bits = sum(word.surprisal for word in word_surprisal(["a", " b", "c"], values))
    assert bits == pytest.approx(sequence_stats(values).total_bits)
    for base in (None, math.e):
        assert sum(word.surprisal for word in word_surprisal(["a", " b", "c"], values, base=base)) == 2.75


def test_a_character_split_into_tokens_is_one_word() -> None:
    octets = "🙂".encode()
    table = Logprobs.from_entries(
        [
            {"token": "\ufffd", "logprob": -1.0, "bytes": list(octets[:2])},
            {"token": "\ufffd", "logprob": -2.0, "bytes": list(octets[2:])},
            {"token": " b", "logprob": -1.0, "bytes": list(b" b")},
        ]
    )
    words = word_surprisal(table, table.logprob, base=None)
    assert [(word.word, word.surprisal) for word in words] == [("🙂", 3.0), ("b", 1.0)]
    assert [(word.begin, word.end) for word in words] == [(0, 2), (2, 3)]


@pytest.mark.parametrize("tokens", [[], [" "], ["\n", " \t"]])
def test_a_text_without_words_has_no_surprisal_of_words(tokens: list[str]) -> None:
    assert word_surprisal(tokens, [-1.0] * len(tokens)) == []


def test_words_need_a_number_for_each_token() -> None:
    with pytest.raises(SettingError, match="tokens and logprobs must be of the same length, not 2 and 1"):
        word_surprisal(["a", " b"], [-1.0])
    with pytest.raises(LogprobError, match=r"logprobs\[1\] is -9999.0, a placeholder"):
        word_surprisal(["a", " b"], [-1.0, -9999.0])
    with pytest.raises(LogprobError, match=r"logprobs\[0\] is missing"):
        word_surprisal(["a"], [math.nan])
    with pytest.raises(SettingError, match="tokens must be a list of texts"):
        word_surprisal("ab", [-1.0, -1.0])
    with pytest.raises(SettingError, match="base must be a positive number other than 1"):
        word_surprisal(["a"], [-1.0], base="a")  # type: ignore[arg-type]


# The least likely tokens


@given(st.lists(logprobs, min_size=1, max_size=40), st.integers(0, 100))
def test_the_least_likely_tokens_are_averaged(values: list[float], percent: int) -> None:
    size = max(1, percent * len(values) // 100)
    assert min_k(values, percent / 100) == pytest.approx(sum(sorted(values)[:size]) / size)


@given(st.lists(logprobs, min_size=1, max_size=40))
def test_all_tokens_have_the_mean_and_none_the_least(values: list[float]) -> None:
    assert min_k(values, 1) == pytest.approx(sequence_stats(values).mean_logprob)
    assert min_k(values, 0) == min(values)
    assert min_k(values[:1]) == values[0]
    assert min_k(values[:1] * 9) == pytest.approx(values[0])


def test_the_share_of_tokens_and_the_numbers_are_checked() -> None:
    with pytest.raises(SettingError, match="k must be a number from 0 to 1, not 20"):
        min_k([-1.0], 20)
    with pytest.raises(SettingError, match="the log-probabilities of at least one token"):
        min_k([])
    with pytest.raises(LogprobError, match="placeholder"):
        min_k([-1.0, -9999.0])


# Options

options = st.dictionaries(st.text(min_size=1, max_size=6), logprobs, min_size=1, max_size=6)


@given(options, st.sampled_from(["byte", "char"]))
def test_options_are_ranked_by_likelihood_and_by_likelihood_per_length(loglik: dict[str, float], per: Any) -> None:
    def size(name: str) -> int:
        return len(name.encode()) if per == "byte" else len(name)

    ranking = rank_options(loglik, per=per)
    assert list(ranking.ranking) == sorted(loglik, key=lambda name: -loglik[name])
    assert list(ranking.ranking_norm) == sorted(loglik, key=lambda name: -(loglik[name] / size(name)))
    assert (ranking.best, ranking.best_norm) == (ranking.ranking[0], ranking.ranking_norm[0])
    assert ranking == rank_options(list(loglik.values()), list(loglik), per=per)
    scores = choice_scores(list(loglik), list(loglik.values()))
    assert ranking.best == ranking.options[scores.argmax]
    assert ranking.best_norm == ranking.options[scores.argmax_per_byte if per == "byte" else scores.argmax_per_char]


def test_of_equal_options_the_first_is_better() -> None:
    assert rank_options({"b": -1.0, "a": -1.0, "c": -0.5}).ranking == ("c", "b", "a")
    assert rank_options([-1.0], ["only"]).best_norm == "only"


def test_bytes_and_characters_are_two_lengths() -> None:
    loglik = {"東京タワー": -6.0, "Tower": -3.0}
    assert rank_options(loglik).best_norm == "東京タワー"
    assert rank_options(loglik, per="char").best_norm == "Tower"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "choices must not be empty"),
        (({"": -1.0},), r"choices\[0\] must be a text that is not empty"),
        (([-1.0, -2.0], ["a"]), "must be of the same length, not 1 and 2"),
        (([-1.0, -2.0], ["a", "a"]), "options must be different texts; this one is repeated, not 'a'"),
        (([-1.0],), "options must be the text of each option"),
        (([-1.0], "a"), "options must be the text of each option"),
        (({"a": -1.0}, ["a"]), "options must be left out where loglik is a dict"),
        (({"a": -math.inf},), "at least one likelihood above 0"),
    ],
)
def test_options_that_cannot_be_ranked_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        rank_options(*arguments)
    with pytest.raises(SettingError, match="per must be 'byte' or 'char', not 'token'"):
        rank_options({"a": -1.0}, per="token")  # type: ignore[arg-type]


@given(st.lists(options.flatmap(lambda row: st.tuples(st.just(row), st.sampled_from(sorted(row)))), min_size=1))
def test_accuracy_counts_the_questions_whose_right_option_is_first(questions: list[tuple[Any, str]]) -> None:
    result = option_accuracy([row for row, _ in questions], [answer for _, answer in questions])
    acc = sum(max(row, key=lambda name: row[name]) == answer for row, answer in questions)
    norm = sum(max(row, key=lambda name: row[name] / len(name.encode())) == answer for row, answer in questions)
    n = len(questions)
    assert (result.acc, result.acc_norm, result.n, result.missing) == (acc / n, norm / n, n, 0)
    assert result.acc_interval == wilson_interval(acc, n)
    assert result.acc_norm_interval == wilson_interval(norm, n)


def test_questions_without_numbers_or_truth_are_missing() -> None:
    row = {"a": -1.0, "b": -2.0}
    result = option_accuracy([row, None, row, row], ["a", "a", None, "b"])
    assert (result.acc, result.n, result.missing) == (0.5, 2, 2)
    with pytest.raises(SettingError, match=r"truth\[0\] must be one of the options: 'a', 'b', not 'c'"):
        option_accuracy([row], ["c"])
    with pytest.raises(SettingError, match="same length, not 1 and 2"):
        option_accuracy([row], ["a", "b"])
    with pytest.raises(SettingError, match="at least one question with log-likelihoods and a right option"):
        option_accuracy([None], ["a"])
    with pytest.raises(SettingError, match=r"questions\[0\] must be a dict from option to log-likelihood"):
        option_accuracy(["a"], ["a"])


# Averages of distributions


def entropy(p: Any) -> float:
    return -sum(float(value) * math.log(value) for value in p if value > 0)


@st.composite
def distributions(draw: st.DrawFn) -> np.ndarray:
    m, k = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    weights = st.lists(st.floats(0, 1), min_size=k, max_size=k).filter(lambda row: sum(row) > 1e-3)
    rows = np.array([draw(weights) for _ in range(m)])
    return rows / rows.sum(axis=1, keepdims=True)


@given(distributions())
def test_the_entropy_of_an_average_is_split_into_disagreement_and_the_rest(rows: np.ndarray) -> None:
    before = rows.copy()
    split = uncertainty_split(rows)
    mean = rows.mean(axis=0)
    assert split.total == pytest.approx(entropy(mean), abs=1e-12)
    assert split.aleatoric == pytest.approx(sum(map(entropy, rows)) / len(rows), abs=1e-12)
    divergence = sum(float(p) * math.log(p / q) for row in rows for p, q in zip(row, mean, strict=True) if p > 0)
    assert split.epistemic == pytest.approx(divergence / len(rows), abs=1e-9)
    assert 0 <= split.epistemic <= math.log(len(rows)) + 1e-12
    assert np.array_equal(rows, before)


@given(distributions())
def test_equal_distributions_do_not_disagree(rows: np.ndarray) -> None:
    split = uncertainty_split([rows[0].tolist()] * 3)
    assert split.epistemic == pytest.approx(0, abs=1e-12)
    assert split.total == pytest.approx(uncertainty_split(rows[:1]).total, abs=1e-12)
    assert uncertainty_split(rows[:1]).epistemic == 0


def test_the_split_agrees_with_scipy() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    rows = np.random.default_rng(0).dirichlet([1, 1, 1, 1], 20)
    split = uncertainty_split(rows)
    assert split.total == pytest.approx(scipy_stats.entropy(rows.mean(axis=0)))
    assert split.aleatoric == pytest.approx(scipy_stats.entropy(rows, axis=1).mean())


def test_rows_that_are_no_distributions_are_refused() -> None:
    with pytest.raises(ProbabilityMassError, match=r"probs\[1\] adds up to 0.9 and not to 1"):
        uncertainty_split([[0.5, 0.5], [0.5, 0.4]])
    with pytest.raises(SettingError, match=r"probs\[0\]\[1\] must be a probability from 0 to 1, not -0.5"):
        uncertainty_split([[0.5, -0.5]])
    nothing: list[Any] = [[], [[]]]
    for empty in nothing:
        with pytest.raises(SettingError, match="probs must be at least one row of probabilities"):
            uncertainty_split(empty)
    with pytest.raises(SettingError, match="probs must be a list of rows of numbers of the same length"):
        uncertainty_split([0.5, 0.5])


# Semantic entropy


def test_repeated_texts_count_once_where_texts_are_given() -> None:
    texts, clusters = ["Paris", "Paris", "It is Paris", "Rome"], ["paris", "paris", "paris", "rome"]
    logliks = np.log([0.4, 0.4, 0.1, 0.3])
    result = semantic_entropy(logliks, clusters, texts=texts)
    assert result.rao == pytest.approx(entropy([0.5 / 0.8, 0.3 / 0.8]))
    counted = semantic_entropy(logliks, clusters)
    assert counted.rao == pytest.approx(entropy([0.9 / 1.2, 0.3 / 1.2]))
    assert (result.discrete, result.naive_mc, result.clusters) == (counted.discrete, counted.naive_mc, 2)
    assert result.discrete == entropy_from_counts([3, 1]).plugin


@given(st.lists(st.tuples(st.sampled_from("abc"), logprobs), min_size=1, max_size=9))
def test_texts_remove_all_but_the_likeliest_of_equal_answers(samples: list[tuple[str, float]]) -> None:
    texts = [text for text, _ in samples]
    likeliest: dict[str, float] = {}
    for text, value in samples:
        likeliest[text] = max(value, likeliest.get(text, -math.inf))
    got = semantic_entropy([value for _, value in samples], texts, texts=texts)
    assert got.rao == pytest.approx(semantic_entropy(list(likeliest.values()), list(likeliest)).rao, abs=1e-12)


def test_distinct_texts_change_nothing() -> None:
    logliks, clusters = [-1.0, -2.0, -3.0], ["x", "y", "x"]
    assert semantic_entropy(logliks, clusters, texts=["a", "b", "c"]) == semantic_entropy(logliks, clusters)


def test_equal_texts_have_one_meaning() -> None:
    message = r"texts\[0\] and texts\[2\] are the same text, 'a', in the clusters 1 and 2"
    with pytest.raises(SettingError, match=message):
        semantic_entropy([-1.0] * 3, [1, 1, 2], texts=["a", "b", "a"])
    with pytest.raises(SettingError, match="logliks and texts must be of the same length, not 2 and 1"):
        semantic_entropy([-1.0] * 2, [1, 1], texts=["a"])
    with pytest.raises(SettingError, match="texts must be a list of texts"):
        semantic_entropy([-1.0] * 2, [1, 1], texts="ab")
    with pytest.raises(SettingError, match=r"texts\[1\] must be a text, not None"):
        semantic_entropy([-1.0] * 2, [1, 1], texts=["a", None])  # type: ignore[list-item]


# Records of two ends


TOP = [math.log(0.5), math.log(0.25)]
TRIE = trie_label_probability({"": {"yes": TOP[0], "no": TOP[1]}}, ["yes", "no"])


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (wilson_interval(7, 10), ("low", "high")),
        (Estimate(0.5, 0.25, 0.75), ("low", "high")),
        (rank_bounds(TOP, math.log(0.1), 100), ("lower", "upper")),
        (total_probability([{"logprob": TOP[0], "p_given": 0.5}]), ("lower", "upper")),
        (TRIE, ("lower", "upper")),
        (Logprobs.from_entries([{"token": "a", "logprob": -1.0}]).entropy_bounds(5), ("lower", "upper")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_record_of_two_ends_unpacks(record: Any, names: tuple[str, str]) -> None:
    low, high = record
    assert (low, high) == (getattr(record, names[0]), getattr(record, names[1]))
