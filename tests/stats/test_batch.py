"""The forms for many tokens give, token for token, what the forms for one give."""

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
    """A token that a server tells of: its list in any order, itself in it or not."""
    words = draw(weighed_words())
    words = [(f"{word}", p) for word, p in words if p > 1e-12]
    k = draw(st.integers(1, len(words)))
    drawn = draw(st.integers(0, len(words) - 1))
    top = [{"token": word, "logprob": math.log(p), "id": place} for place, (word, p) in enumerate(words[:k])]
    draw(st.randoms(use_true_random=False)).shuffle(top)
    word, p = words[drawn]
    return {"token": word, "logprob": math.log(p), "id": drawn, "bytes": None, "top_logprobs": top}


answers = st.lists(st.lists(entries(), max_size=5), min_size=1, max_size=4)


def outside(entry: dict[str, Any]) -> dict[str, Any]:
    """The arguments that say of the drawn token what the table knows by its id."""
    listed = any(one["id"] == entry["id"] for one in entry["top_logprobs"])
    return {} if listed else {"sampled_logprob": entry["logprob"]}


def close(left: Any, right: Any) -> None:
    np.testing.assert_allclose(np.array(left, float), np.array(right, float), rtol=1e-11, atol=1e-12)


@given(answers)
def test_entropies_of_many_answers_are_those_of_each_token(data: list[list[dict[str, Any]]]) -> None:
    got = entropy_bounds_batch([Logprobs.from_entries(one) for one in data], 10**6)
    flat = [entry for one in data for entry in one]
    expected = [
        entropy_bounds([one["logprob"] for one in entry["top_logprobs"]], 10**6, **outside(entry)) for entry in flat
    ]
    for name in ("mass", "tail", "plugin", "renormalized", "bucket", "lower", "upper"):
        close(getattr(got, name), [getattr(one, name) for one in expected])
    assert np.diff(got.starts).tolist() == [len(one) for one in data]


@given(answers)
def test_surprisal_and_sums_are_those_of_each_answer(data: list[list[dict[str, Any]]]) -> None:
    tables = [Logprobs.from_entries(one) for one in data]
    close(surprisal_batch(tables, 2), [surprisal(entry["logprob"], 2) for one in data for entry in one])
    got = sequence_stats_batch(tables)
    for place, (one, table) in enumerate(zip(data, tables, strict=True)):
        n_bytes = sum(len(raw) for raw in table.token_bytes)
        expected = sequence_stats([entry["logprob"] for entry in one], n_bytes)
        for name in ("loglik", "prob", "mean_logprob", "perplexity", "min_prob", "log10_prob", "bits_per_byte"):
            value = getattr(expected, name)
            close(getattr(got, name)[place], math.nan if value is None else value)


@given(answers)
def test_margins_are_those_of_each_token(data: list[list[dict[str, Any]]]) -> None:
    got = margin_batch([Logprobs.from_entries(one) for one in data])
    expected = [margin([one["logprob"] for one in entry["top_logprobs"]]) for one in data for entry in one]
    for name in ("min_entropy", "prob_margin_upper"):
        close(getattr(got, name), [getattr(one, name) for one in expected])


@given(st.lists(distributions(2, 12), min_size=1, max_size=6), st.sampled_from([0.0, 0.5, 1.0, 1.7]), st.booleans())
def test_lists_at_another_temperature_are_those_of_each_token(laws: list[np.ndarray], heat: float, known: bool) -> None:
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
def test_answers_are_those_of_each_token(data: list[list[dict[str, Any]]]) -> None:
    for one in data:
        got = label_distribution_batch(Logprobs.from_entries(one), LABELS)
        assert len(got) == len(one)
        for place, entry in enumerate(one):
            # By its id a drawn token is another than one of the list that reads like it.
            listed = [*entry["top_logprobs"], *([entry] if outside(entry) else [])]
            expected = label_distribution(listed, LABELS)
            record = got[place]
            close(list(record.lower.values()), list(expected.lower.values()))
            close(list(record.upper.values()), list(expected.upper.values()))
            close(list(record.normalized.values()), list(expected.normalized.values()))
            close(list(record.normalized_lower.values()), list(expected.normalized_lower.values()))
            close(list(record.normalized_upper.values()), list(expected.normalized_upper.values()))
            for name in ("matched_mass", "partial_mass", "transparent_mass", "other_mass", "tail_mass"):
                close(getattr(record, name), getattr(expected, name))
            assert (record.entropy is None) == (expected.entropy is None)


@given(st.lists(st.lists(entries(), min_size=1, max_size=4), min_size=1, max_size=4))
def test_confidence_along_answers_is_that_of_each(data: list[list[dict[str, Any]]]) -> None:
    got = deepconf_batch([Logprobs.from_entries(one) for one in data], 2, 2, 0.5)
    for place, one in enumerate(data):
        expected = deepconf([[item["logprob"] for item in entry["top_logprobs"]] for entry in one], 2, 2, 0.5)
        for name in ("mean", "lowest_group", "bottom_mean", "tail_mean"):
            close(getattr(got, name)[place], getattr(expected, name))


def token(text: str, top: dict[str, float | None], logprob: float | None = -0.5) -> dict[str, Any]:
    return {
        "token": text,
        "logprob": logprob,
        "bytes": None,
        "top_logprobs": [{"token": name, "logprob": value} for name, value in top.items()],
    }


def test_a_response_is_asked_at_the_first_token_that_says_something() -> None:
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


def test_a_wrong_list_is_named_or_left_out() -> None:
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


def test_what_a_provider_withheld_is_no_error_and_no_number() -> None:
    table = Logprobs.from_entries([token("a", {"b": -0.5}, -9999.0)])
    assert np.isnan(surprisal_batch(table)).all()
    assert sequence_stats_batch(table).censored.tolist() == [1]
    with pytest.raises(LogprobError, match="missing"):
        surprisal_batch(Logprobs.from_entries([token("a", {}, None)]))
    assert np.isnan(surprisal_batch(Logprobs.from_entries([token("a", {}, None)]), policy="skip")).all()


def test_arrays_will_do_where_no_token_matters() -> None:
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


def test_lists_of_alternatives_are_answers_of_one_token() -> None:
    tops = [[{"token": "Yes", "logprob": -0.5}, {"token": "no", "logprob": -1.5}], [{"token": "No", "logprob": -0.1}]]
    got = label_distribution_batch(tops, ["yes", "no"])
    for record, top in zip(got, tops, strict=True):
        expected = label_distribution(top, ["yes", "no"])
        assert record.upper == pytest.approx(expected.upper)
        assert record.normalized_lower == pytest.approx(expected.normalized_lower)
        assert (record.argmax, record.certified) == (expected.argmax, expected.certified)
    close(binary_probability_batch(tops, "yes", "no").p_lower, [math.exp(-0.5), 0.0])
    close(entropy_bounds_batch(tops, 100).lower[0], entropy_bounds([-0.5, -1.5], 100).lower)


def test_nothing_at_all_gives_empty_columns() -> None:
    for found in (entropy_bounds_batch([]).lower, surprisal_batch([]), deepconf_batch([]).mean):
        assert len(found) == 0
    assert len(label_distribution_batch([], ["yes"])) == 0
    assert sequence_stats_batch([None]).n.tolist() == [0]


def test_many_answers_with_vocabularies_of_their_own_are_read_over_one() -> None:
    entries = [token(f"w{i}", {f"w{i}": math.log(0.5), "yes": math.log(0.01 * (i + 1))}) for i in range(30)]
    tables = [None, *(Logprobs.from_entries([entry], vocab_size=100 + (i % 2)) for i, entry in enumerate(entries))]
    got = entropy_bounds_batch(tables)
    for i, entry in enumerate(entries):
        top = [one["logprob"] for one in entry["top_logprobs"]]
        # The chosen token has a log-probability of its own in these, and is listed.
        close(got.upper[i], entropy_bounds(top, 100 + (i % 2)).upper)
    answers = label_distribution_batch(tables, ["yes"])
    close(answers.lower[1:, 0], [0.01 * (i + 1) for i in range(30)])
    assert answers.position.tolist() == [-1, *[0] * 30]
    close(margin_batch(tables).prob_margin, [0.5 - 0.01 * (i + 1) for i in range(30)])
