"""Answers of one token are read all at once, with the results that each of them has alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deluge_nb import Logprobs
from deluge_nb.answers.columns import AnswerColumns
from deluge_nb.answers.first_token import Row, classify_rows
from deluge_nb.answers.responses import read_binary, read_responses
from deluge_nb.answers.results import Classification
from deluge_nb.response import APIResponse
from deluge_nb.text.matching import Labels

LABELS = [["yes", "no"], ["1", "10", "2"], ["a", "ab", "是"], ["positive", "negative", "neutral"]]
TOKENS = [
    "yes",
    " Yes",
    "**No",
    "no",
    "not",
    "1",
    "10",
    "2",
    "a",
    "ab",
    "是的",
    "Pos",
    "neg",
    " ",
    "**",
    "<|im_end|>",
    "The",
]
HIDDEN = [-9999.0, None, -math.inf, 1.0]


@st.composite
def tables(draw: st.DrawFn) -> Logprobs | None:
    """A table of one token or two, whose numbers may be withheld, rounded, a whole distribution, or too large."""
    if draw(st.integers(0, 9)) == 0:
        return None
    entries = [draw(entry()) for _ in range(draw(st.sampled_from([1, 1, 1, 1, 2])))]
    table = Logprobs.from_entries(
        entries,
        rounding=draw(st.sampled_from([None, None, 0.0, 1e-3])),
        vocab_size=draw(st.sampled_from([None, 7, 49152])),
    )
    return table if draw(st.integers(0, 9)) else table.as_other_text()


@st.composite
def entry(draw: st.DrawFn) -> dict[str, Any]:
    texts = draw(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=6, unique=True))
    weights = draw(st.lists(st.floats(0.01, 1), min_size=len(texts), max_size=len(texts)))
    rest = draw(st.sampled_from([0.0, 0.3, -0.2]))
    logprobs: list[float | None] = [math.log(weight / (sum(weights) * (1 + rest))) for weight in weights]
    if draw(st.booleans()):
        logprobs = [float(np.float32(value)) for value in logprobs if value is not None]
    if draw(st.integers(0, 4)) == 0:
        logprobs[draw(st.integers(0, len(texts) - 1))] = draw(st.sampled_from(HIDDEN))
    top = [{"token": text, "logprob": value} for text, value in zip(texts, logprobs, strict=True)]
    chosen = draw(st.sampled_from([*top, {"token": "drawn", "logprob": -20.0}]))
    return {**chosen, "bytes": None, "top_logprobs": top if draw(st.integers(0, 9)) else []}


def as_response(table: Logprobs | None, finish: str) -> APIResponse:
    if table is None:
        return APIResponse("m", error_message="It failed.")
    return APIResponse("m", completion=table.text, logprobs=table, finish_reason=finish)


def assert_same(found: Classification, expected: Classification) -> None:
    for field in dataclasses.fields(Classification):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(right, float | dict):
            assert left == pytest.approx(right, rel=1e-12, abs=1e-12), field.name
        else:
            assert left == right, field.name


def is_clear(result: Classification) -> bool:
    """Return whether no comparison of two answers hangs on the last digit."""
    return all(
        abs(left - right) > 1e-9
        for one, other in permutations(result.lower, 2)
        for left, right in (
            (result.lower[one], result.lower[other]),
            (result.lower[one], result.upper[other]),
            (result.probabilities.get(one, 0.0), result.probabilities.get(other, 0.0)),
        )
        if left or right
    )


@given(st.lists(st.tuples(tables(), st.sampled_from(["stop", "length"])), max_size=8), st.sampled_from(LABELS))
def test_answers_read_together_are_those_that_are_read_one_by_one(drawn: Sequence[Any], names: list[str]) -> None:
    responses = [as_response(*pair) for pair in drawn]
    labels = Labels(names)
    alone = [classify_rows([Row.of(response, labels)])[0] for response in responses]
    assume(all(map(is_clear, alone)))
    read = read_responses(responses, labels)
    for found, expected in zip(read.results(), alone, strict=True):
        assert_same(found, expected)
    columns = read.columns()
    for row, result in enumerate(read.results()):
        assert columns.label[row] == result.label
        assert columns.error_message[row] == result.error_message
        assert columns.probability[row] == result.probability
        assert columns.matched_mass[row] == (None if result.is_error else result.matched_mass)
        assert columns.decided[row] == (None if result.is_error else result.decided)
        assert {name: shares[row] for name, shares in columns.shares.items() if shares[row] is not None} == (
            result.probabilities
        )


@given(st.lists(tables(), max_size=8))
def test_columns_of_given_results_are_those_of_the_responses(drawn: Sequence[Logprobs | None]) -> None:
    responses, labels = [as_response(table, "length") for table in drawn], Labels(LABELS[0])
    read = read_binary(responses, labels)
    assert AnswerColumns.of(read.results(), labels.names) == read.columns()
