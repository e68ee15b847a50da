"""The batch functions: for every token they return the numbers of the functions for one token."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Logprobs, SettingError
from deluge_nb.errors import InconsistentTopKError, LogprobError, ProbabilityMassError
from deluge_nb.stats import (
    binary_probability,
    binary_probability_batch,
    deepconf,
    deepconf_batch,
    entropy_bounds,
    entropy_bounds_batch,
    label_distribution,
    label_distribution_batch,
    margin,
    margin_batch,
    sequence_stats,
    sequence_stats_batch,
    surprisal,
    surprisal_batch,
    temperature_topk,
    temperature_topk_batch,
)

from .strategies import distributions, weighed_words

LABELS = {"yes": ["yes"], "no": ["no"], "ten": ["10"], "one": ["1"]}


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """A token with its list of alternatives in any order, which may contain the token itself."""
    words = draw(weighed_words())
    words = [(f"{word}", p) for word, p in words if p > 1e-12]
    k = draw(st.integers(1, len(words)))
    drawn = draw(st.integers(0, len(words) - 1))
    top = [{"token": word, "logprob": math.log(p), "id": index} for index, (word, p) in enumerate(words[:k])]
    draw(st.randoms(use_true_random=False)).shuffle(top)
    word, p = words[drawn]
    return {"token": word, "logprob": math.log(p), "id": drawn, "bytes": None, "top_logprobs": top}


answers = st.lists(st.lists(entries(), max_size=5), min_size=1, max_size=4)


def outside(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments for a drawn token outside the list, which a table recognises by its id."""
    is_listed = any(alternative["id"] == entry["id"] for alternative in entry["top_logprobs"])
    return {} if is_listed else {"sampled_logprob": entry["logprob"]}


def close(left: Any, right: Any) -> None:
    np.testing.assert_allclose(np.array(left, float), np.array(right, float), rtol=1e-11, atol=1e-12)


@given(answers)
def test_entropy_bounds_of_many_answers_equal_those_of_each_token(data: list[list[dict[str, Any]]]) -> None:
    got = entropy_bounds_batch([Logprobs.from_entries(one) for one in data], 10**6)
    flat = [entry for one in data for entry in one]
    expected = [
        entropy_bounds([one["logprob"] for one in entry["top_logprobs"]], 10**6, **outside(entry)) for entry in flat
    ]
    for name in ("mass", "tail", "plugin", "renormalized", "bucket", "lower", "upper"):
        close(getattr(got, name), [getattr(one, name) for one in expected])
    assert np.diff(got.starts).tolist() == [len(one) for one in data]


@given(answers)
def test_surprisal_and_likelihood_equal_those_of_each_answer(data: list[list[dict[str, Any]]]) -> None:
    tables = [Logprobs.from_entries(one) for one in data]
    close(surprisal_batch(tables, 2), [surprisal(entry["logprob"], 2) for one in data for entry in one])
    got = sequence_stats_batch(tables)
    for index, (answer, table) in enumerate(zip(data, tables, strict=True)):
        n_bytes = sum(len(raw) for raw in table.token_bytes)
        expected = sequence_stats([entry["logprob"] for entry in answer], n_bytes)
        for name in ("loglik", "prob", "mean_logprob", "perplexity", "min_prob", "log10_prob", "bits_per_byte"):
            value = getattr(expected, name)
            close(getattr(got, name)[index], math.nan if value is None else value)


@given(answers)
def test_margins_equal_those_of_each_token(data: list[list[dict[str, Any]]]) -> None:
    got = margin_batch([Logprobs.from_entries(one) for one in data])
    expected = [margin([one["logprob"] for one in entry["top_logprobs"]]) for one in data for entry in one]
    for name in ("min_entropy", "prob_margin_upper"):
        close(getattr(got, name), [getattr(one, name) for one in expected])


@given(st.lists(distributions(2, 12), min_size=1, max_size=6), st.sampled_from([0.0, 0.5, 1.0, 1.7]), st.booleans())
def test_lists_at_another_temperature_equal_those_of_each_token(
    laws: list[np.ndarray], heat: float, known: bool
) -> None:
    lists = [np.log(p[: max(1, np.count_nonzero(p) // 2)]).tolist() for p in laws]
    rows = [
        {"token": "x", "logprob": -1.0, "top_logprobs": [{"token": f"t{i}", "logprob": v} for i, v in enumerate(one)]}
        for one in lists
    ]
    size = 50 if known else None
    got = temperature_topk_batch(Logprobs.from_entries(rows), heat, size)
    expected = [temperature_topk(one, heat, size) for one in lists]
    for name in ("conditional", "lower", "upper"):
        close(getattr(got, name), np.concatenate([getattr(one, name) for one in expected]))
    assert np.diff(got.offsets).tolist() == [len(one) for one in lists]


@given(answers)
def test_label_distributions_equal_those_of_each_token(data: list[list[dict[str, Any]]]) -> None:
    for answer in data:
        got = label_distribution_batch(Logprobs.from_entries(answer), LABELS)
        assert len(got) == len(answer)
        for index, entry in enumerate(answer):
            # A drawn token with another id differs from a listed one of the same text.
            top = [*entry["top_logprobs"], *([entry] if outside(entry) else [])]
            expected = label_distribution(top, LABELS)
            record = got[index]
            close(list(record.lower.values()), list(expected.lower.values()))
            close(list(record.upper.values()), list(expected.upper.values()))
            close(list(record.normalized.values()), list(expected.normalized.values()))
            close(list(record.normalized_lower.values()), list(expected.normalized_lower.values()))
            close(list(record.normalized_upper.values()), list(expected.normalized_upper.values()))
            for name in ("matched_mass", "partial_mass", "transparent_mass", "other_mass", "tail_mass"):
                close(getattr(record, name), getattr(expected, name))
            assert (record.entropy is None) == (expected.entropy is None)


@given(st.lists(st.lists(entries(), min_size=1, max_size=4), min_size=1, max_size=4))
def test_confidence_along_many_answers_equals_that_of_each(data: list[list[dict[str, Any]]]) -> None:
    got = deepconf_batch([Logprobs.from_entries(one) for one in data], 2, 2, 0.5)
    for index, answer in enumerate(data):
        expected = deepconf([[item["logprob"] for item in entry["top_logprobs"]] for entry in answer], 2, 2, 0.5)
        for name in ("mean", "lowest_group", "bottom_mean", "tail_mean"):
            close(getattr(got, name)[index], getattr(expected, name))


def token(text: str, top: dict[str, float | None], logprob: float | None = -0.5) -> dict[str, Any]:
    return {
        "token": text,
        "logprob": logprob,
        "bytes": None,
        "top_logprobs": [{"token": name, "logprob": value} for name, value in top.items()],
    }


def test_the_first_token_that_is_not_white_space_is_read_by_default() -> None:
    answer = [token("\n", {"\n": math.log(0.9)}), token("Yes", {"Yes": math.log(0.8), "No": math.log(0.1)})]
    tables = [Logprobs.from_entries(answer), None, Logprobs.from_entries(answer[1:])]
    got = label_distribution_batch(tables, ["yes", "no"])
    assert got.position.tolist() == [1, -1, 0]
    close(got.lower, [[0.8, 0.1], [math.nan, math.nan], [0.8, 0.1]])
    assert got.certified.tolist() == [True, False, True]
    assert [one.argmax for one in got] == ["yes", None, "yes"]
    two = binary_probability_batch(tables, "yes", "no")
    close(two.p_normalized, [8 / 9, math.nan, 8 / 9])
    assert binary_probability(answer[1]["top_logprobs"], "yes", "no").log_odds == pytest.approx(two.log_odds[0])
    assert label_distribution_batch(tables[:1], ["yes", "no"], position=0).transparent_mass[0] == pytest.approx(0.9)


def test_answers_of_several_clients_keep_their_order() -> None:
    shared = [token("a", {"a": -0.5}), token("b", {"b": -0.1, "c": -3.0})]
    one = Logprobs.from_entries(shared)
    tables = [one[1:], Logprobs.from_entries([token("d", {"d": -0.7})]), one[:1]]
    close(surprisal_batch(tables), [0.5, 0.5, 0.5])
    close(margin_batch(tables).min_entropy, [0.1, 0.7, 0.5])


def test_an_invalid_list_raises_or_becomes_nan() -> None:
    rows = [token("a", {"a": -0.5}), token("b", {"b": None}), token("c", {"c": math.log(0.7), "d": math.log(0.7)})]
    table = Logprobs.from_entries(rows)
    with pytest.raises(LogprobError, match=r"logprobs\[1\] is missing") as caught:
        entropy_bounds_batch(table)
    assert caught.value.position == 1
    with pytest.raises(ProbabilityMassError, match="token 1"):
        entropy_bounds_batch(table[1:2:1] and Logprobs.from_entries([rows[0], rows[2]]))
    got = entropy_bounds_batch(table, policy="skip")
    assert np.isnan(got.lower).tolist() == [False, True, True]
    with pytest.raises(InconsistentTopKError, match="vocabulary of 2"):
        entropy_bounds_batch(Logprobs.from_entries([token("a", {"a": math.log(0.3)})]), 2)


def test_a_withheld_value_is_nan_and_a_missing_one_is_an_error() -> None:
    table = Logprobs.from_entries([token("a", {"b": -0.5}, -9999.0)])
    assert np.isnan(surprisal_batch(table)).all()
    assert sequence_stats_batch(table).censored.tolist() == [1]
    with pytest.raises(LogprobError, match="missing"):
        surprisal_batch(Logprobs.from_entries([token("a", {}, None)]))
    assert np.isnan(surprisal_batch(Logprobs.from_entries([token("a", {}, None)]), policy="skip")).all()


def test_arrays_of_log_probabilities_are_accepted() -> None:
    values = np.log([[0.5, 0.25], [0.9, 0.05]])
    got = entropy_bounds_batch(values, 100)
    close(got.lower, [entropy_bounds(row, 100).lower for row in values])
    close(margin_batch(values).prob_margin, [0.25, 0.85])
    close(temperature_topk_batch(values, 0.5).conditional[:2], temperature_topk(values[0], 0.5).conditional)
    close(surprisal_batch(np.array([-0.5, -np.inf])), [0.5, np.inf])
    close(surprisal_batch([-0.5, -1.0]), [0.5, 1.0])
    ragged: list[list[float]] = [[-0.5, -1.5], [-0.1], []]
    close(entropy_bounds_batch(ragged, 100).lower[:2], [entropy_bounds(row, 100).lower for row in ragged[:2]])
    assert np.isnan(entropy_bounds_batch(ragged).lower[2])
    assert deepconf_batch(ragged[:2], 1).mean[0] == pytest.approx(deepconf(ragged[:2], 1).mean)
    padded = np.array([[-0.5, -1.5], [-0.1, np.nan]])
    assert np.isnan(entropy_bounds_batch(padded, policy="skip").lower).tolist() == [False, True]
    with pytest.raises(LogprobError, match=r"logprobs\[1\] is missing"):
        entropy_bounds_batch(padded)
    with pytest.raises(SettingError, match="shape"):
        margin_batch(np.zeros(3))


def test_a_list_of_alternatives_is_read_as_an_answer_of_one_token() -> None:
    tops = [[{"token": "Yes", "logprob": -0.5}, {"token": "no", "logprob": -1.5}], [{"token": "No", "logprob": -0.1}]]
    got = label_distribution_batch(tops, ["yes", "no"])
    for record, top in zip(got, tops, strict=True):
        expected = label_distribution(top, ["yes", "no"])
        assert record.upper == pytest.approx(expected.upper)
        assert record.normalized_lower == pytest.approx(expected.normalized_lower)
        assert (record.argmax, record.certified) == (expected.argmax, expected.certified)
    close(binary_probability_batch(tops, "yes", "no").p_lower, [math.exp(-0.5), 0.0])
    close(entropy_bounds_batch(tops, 100).lower[0], entropy_bounds([-0.5, -1.5], 100).lower)


def test_empty_input_gives_empty_columns() -> None:
    for column in (entropy_bounds_batch([]).lower, surprisal_batch([]), deepconf_batch([]).mean):
        assert len(column) == 0
    assert len(label_distribution_batch([], ["yes"])) == 0
    assert sequence_stats_batch([None]).n.tolist() == [0]


def test_answers_with_many_vocabularies_are_merged_into_one() -> None:
    entries = [token(f"w{i}", {f"w{i}": math.log(0.5), "yes": math.log(0.01 * (i + 1))}) for i in range(30)]
    tables = [None, *(Logprobs.from_entries([entry], vocab_size=100 + (i % 2)) for i, entry in enumerate(entries))]
    got = entropy_bounds_batch(tables)
    for i, entry in enumerate(entries):
        top = [one["logprob"] for one in entry["top_logprobs"]]
        # The chosen token is listed, with another log-probability of its own.
        close(got.upper[i], entropy_bounds(top, 100 + (i % 2)).upper)
    answers = label_distribution_batch(tables, ["yes"])
    close(answers.lower[1:, 0], [0.01 * (i + 1) for i in range(30)])
    assert answers.position.tolist() == [-1, *[0] * 30]
    close(margin_batch(tables).prob_margin, [0.5 - 0.01 * (i + 1) for i in range(30)])
