"""A token that a server lists twice is one token, and a table keeps what is known of its numbers."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest

from deluge_nb import Logprobs, SamplingParams, SettingError, as_logprobs, extract_prob
from deluge_nb.dialects import openai
from deluge_nb.dialects.base import Ask
from deluge_nb.logprobs.splice import concatenate
from deluge_nb.models.endpoints import LOCAL
from deluge_nb.prompts import as_prompt
from deluge_nb.stats import entropy_bounds_batch, label_distribution

YES = {"token": "Yes", "logprob": math.log(0.4), "bytes": [89, 101, 115]}
NO = {"token": "No", "logprob": math.log(0.2), "bytes": [78, 111]}
TWICE = [{**YES, "top_logprobs": [YES, NO, YES]}]
ORDERS = [[YES, YES, NO], [YES, NO, YES], [NO, YES, YES]]


@pytest.mark.parametrize("top", ORDERS)
def test_a_repeated_token_counts_once_in_every_form(top: list[dict[str, Any]]) -> None:
    entries = [{**YES, "top_logprobs": top}]
    for logprobs in (entries, Logprobs.from_entries(entries), as_logprobs(entries)):
        assert extract_prob("yes", logprobs, use_top_logprobs=True) == pytest.approx(2 / 3)
    table = Logprobs.from_entries(entries)
    assert table.margin()[0] == pytest.approx(0.2)
    assert len(table.top(0)) == 2
    assert label_distribution(top, ["yes", "no"], sampled=YES).lower["yes"] == pytest.approx(0.4)


def test_a_reply_that_repeats_a_token_has_it_once() -> None:
    rows = [{**NO, "top_logprobs": [YES, NO]}, *TWICE]
    reply = {"choices": [{"message": {"content": "NoYes"}, "logprobs": {"content": rows, "refusal": None}}]}
    ask = Ask("m", LOCAL, as_prompt("x"), SamplingParams(logprobs=True, top_logprobs=3))
    table = openai.parse_response(json.dumps(reply).encode(), ask).logprobs
    assert table is not None
    assert table.top_counts.tolist() == [2, 2]
    assert [entry["token"] for entry in table.top(1)] == ["Yes", "No"]


@pytest.mark.parametrize("other", [{"logprob": math.log(0.3)}, {"id": 7}, {"bytes": [0xE2]}])
def test_tokens_that_only_read_alike_stay_two(other: dict[str, Any]) -> None:
    top: list[dict[str, Any]] = [{**YES, "id": 5}, {**YES, "id": 5, **other}]
    table = Logprobs.from_entries([{**YES, "id": 5, "top_logprobs": top}])
    assert len(table.top(0)) == 2
    listed = math.fsum(math.exp(entry["logprob"]) for entry in top)
    assert 1 - label_distribution(top, ["yes", "no"]).tail_mass == pytest.approx(listed)


def test_a_table_keeps_its_rounding() -> None:
    table = Logprobs.from_entries([TWICE[0], {**NO, "top_logprobs": [NO]}], vocab_size=9, rounding=5e-4)
    kept = [table[:1], table[::-1], table.compact(), pickle.loads(pickle.dumps(table))]
    kept += [concatenate(table, Logprobs.from_entries(list(table))), concatenate(table, table)]
    assert [one.rounding for one in kept] == [5e-4] * len(kept)
    assert Logprobs.from_entries(TWICE).rounding is None


def test_arrow_keeps_rounding_and_vocabulary() -> None:
    pytest.importorskip("pyarrow")
    table = Logprobs.from_entries(TWICE, vocab_size=9, rounding=5e-4)
    back = as_logprobs(table.to_arrow())
    assert (back, back.rounding, back.vocab_size) == (table, 5e-4, 9)
    assert as_logprobs(Logprobs.from_entries(TWICE).to_arrow()).rounding is None


def test_the_measures_of_a_table_allow_for_its_rounding() -> None:
    exact, rounded = (Logprobs.from_entries(TWICE, vocab_size=9, rounding=rounding) for rounding in (0, 5e-3))
    wide, narrow = rounded.entropy_bounds(base=math.e), exact.entropy_bounds(base=math.e)
    assert wide.lower[0] < narrow.lower[0] < narrow.upper[0] < wide.upper[0]
    assert entropy_bounds_batch(rounded).upper[0] == pytest.approx(wide.upper[0])
    assert entropy_bounds_batch(rounded, rounding=0).upper[0] == pytest.approx(narrow.upper[0])


def test_a_number_above_zero_is_kept_as_it_came_and_never_added_up() -> None:
    table = Logprobs.from_entries(
        [{"token": "a", "logprob": 0.5, "top_logprobs": [{"token": "a", "logprob": 0.5}, NO]}]
    )
    assert table[0]["logprob"] == 0.5
    assert table.censored.tolist() == [True]
    assert table.top_mass()[0] == pytest.approx(0.2)
    assert extract_prob("a", table) == 0.0


def test_what_is_no_list_of_dicts_is_refused_with_the_form_to_write() -> None:
    assert as_logprobs({"content": TWICE}).tokens == ["Yes"]
    for value in ([("a", -0.1)], [("a", -0.1), ("b", -2.0)], ["a", "b"]):
        with pytest.raises(SettingError, match="a list of dicts with 'token' and 'logprob', not from a list of"):
            as_logprobs(value)
