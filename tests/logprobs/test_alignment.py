"""Alignment by text: what two responses share, whatever tokens they are made of."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deluge_nb import Logprobs
from deluge_nb.logprobs.alignment import Spans, align, common_prefix_length, distribution_at, span_of, units
from deluge_nb.text.diff import common_runs

# Few pieces, so that texts share some of them; halves of characters, tokens of no text, and of several words.
PIECES = [
    b"the",
    b" cat",
    b" c",
    b"at",
    b" ",
    b"",
    b"\n",
    b"\xf0\x9f",
    b"\xa6\x86",
    "é".encode(),
    b"a",
    b"aa",
    b" sat on",
]
TOKENS = st.lists(st.tuples(st.sampled_from(PIECES), st.floats(-9, 0)), max_size=40)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)


def table(tokens: list[tuple[bytes, float]]) -> Logprobs:
    return Logprobs.from_entries(
        {"token": raw.decode("utf-8", "replace"), "logprob": value, "bytes": list(raw), "top_logprobs": []}
        for raw, value in tokens
    )


def written(*words: str | tuple[str, float]) -> Logprobs:
    return table([(word.encode(), -1.0) if isinstance(word, str) else (word[0].encode(), word[1]) for word in words])


def rows(spans: Spans) -> list[tuple[str, str, bool]]:
    return list(zip(spans.a_text, spans.b_text, spans.common.tolist(), strict=True))


def octets(given: Logprobs, start: int, stop: int) -> bytes:
    return b"".join(given.token_bytes[start:stop])


# The diff -------------------------------------------------------------------------------------------------------------


@given(TEXTS, TEXTS)
def test_runs_are_the_same_in_both_texts_and_follow_each_other(a: bytes, b: bytes) -> None:
    runs = common_runs(a, b)
    assert all(a[run.a : run.a + run.length] == b[run.b : run.b + run.length] != b"" for run in runs)
    for one, other in pairwise(runs):
        assert other.a >= one.a + one.length
        assert other.b >= one.b + one.length
        assert (other.a, other.b) != (one.a + one.length, one.b + one.length)


@given(TEXTS, TEXTS)
def test_no_more_of_a_gap_is_the_same_at_its_ends(a: bytes, b: bytes) -> None:
    runs = common_runs(a, b)
    start, after = (0, 0), [*((run.a, run.b, run.length) for run in runs), (len(a), len(b), 0)]
    for i, j, length in after:
        left, right = a[start[0] : i], b[start[1] : j]
        if left and right:
            assert left[0] != right[0]
            assert left[-1] != right[-1]
        start = (i + length, j + length)


@given(TEXTS, TEXTS)
def test_it_does_not_matter_which_text_comes_first(a: bytes, b: bytes) -> None:
    assert [(run.a, run.b, run.length) for run in common_runs(a, b)] == [
        (run.b, run.a, run.length) for run in common_runs(b, a)
    ]


@given(st.binary(max_size=80))
def test_a_text_is_one_run_with_itself(text: bytes) -> None:
    assert common_runs(text, text) == ([(0, 0, len(text))] if text else [])


def test_a_word_changed_a_word_added_and_a_word_left_out_are_all_that_differs() -> None:
    a = b"The quick brown fox jumps over the very lazy dog."
    b = b"The quick red fox jumps right over the lazy dog."
    kept = [a[run.a : run.a + run.length] for run in common_runs(a, b)]
    assert kept == [b"The quick ", b" fox jumps", b" over the", b" lazy dog."]


def test_words_that_unrelated_texts_have_by_chance_are_not_common() -> None:
    a = b"Quantum tunnelling lets particles cross barriers of energy that they could never climb over classically."
    b = b"Bread needs flour, water, salt and yeast; some bakers add a little of sugar when mornings are cold outside."
    assert [run for run in common_runs(a, b) if run.length > 1] == []


def test_a_word_is_found_where_there_are_no_spaces() -> None:
    a, b = "巴黎是法国的首都。", "里昂是法国的城市。"
    kept = [a.encode()[run.a : run.a + run.length].decode() for run in common_runs(a.encode(), b.encode())]
    assert kept == ["是法国的", "。"]


def test_texts_of_few_words_are_compared_near_by() -> None:
    # More pairs of equal words than are compared: near ones are compared nevertheless.
    a = [b" a"] * 2000 + [b" b"] * 2000
    b = [*a[:500], b" b", *a[500:3000], b" a", *a[3000:]]
    runs = common_runs(b"".join(a), b"".join(b))
    assert sum(run.length for run in runs) >= 0.99 * 2 * len(a)


def test_anchors_are_refined_where_words_are_frequent() -> None:
    words = [b" the" if at % 2 else b" w%d" % (at // 2 % 700) for at in range(20_000)]
    other = [b" else" if at % 500 == 250 else word for at, word in enumerate(words)]
    runs = common_runs(b"".join(words), b"".join(other))
    same = sum(len(word) for word, changed in zip(words, other, strict=True) if word == changed)
    assert sum(run.length for run in runs) >= 0.999 * same


# Spans ----------------------------------------------------------------------------------------------------------------


@given(TOKENS, TOKENS)
def test_spans_cover_each_side_exactly_once_and_in_order(a: Any, b: Any) -> None:
    left, right = table(a), table(b)
    spans = align(left, right)
    for starts, stops, count in ((spans.a_start, spans.a_stop, len(left)), (spans.b_start, spans.b_stop, len(right))):
        assert [*starts.tolist(), count] == [0, *stops.tolist()] if len(spans) else count == 0
        assert (stops >= starts).all()
    assert ((spans.a_stop > spans.a_start) | (spans.b_stop > spans.b_start)).all()
    assert b"".join(octets(left, *at) for at in zip(spans.a_start, spans.a_stop, strict=True)) == b"".join(
        left.token_bytes
    )


@given(TOKENS, TOKENS)
def test_common_spans_have_the_same_text_on_both_sides(a: Any, b: Any) -> None:
    left, right = table(a), table(b)
    spans = align(left, right)
    for at in np.flatnonzero(spans.common):
        assert octets(left, spans.a_start[at], spans.a_stop[at]) == octets(right, spans.b_start[at], spans.b_stop[at])
        assert spans.a_stop[at] > spans.a_start[at]
        assert spans.b_stop[at] > spans.b_start[at]


@given(TOKENS, TOKENS)
def test_no_common_span_can_be_cut_further(a: Any, b: Any) -> None:
    left, right = table(a), table(b)
    spans = align(left, right)
    for at in np.flatnonzero(spans.common):
        inner = [
            {sum(map(len, given.token_bytes[start:stop])) for stop in range(start + 1, end)}
            for given, start, end in (
                (left, spans.a_start[at], spans.a_stop[at]),
                (right, spans.b_start[at], spans.b_stop[at]),
            )
        ]
        size = len(octets(left, spans.a_start[at], spans.a_stop[at]))
        assert not (inner[0] & inner[1]) - {0, size}


@given(TOKENS, TOKENS)
def test_the_difference_is_that_of_the_sums_and_changes_its_sign_with_the_sides(a: Any, b: Any) -> None:
    left, right = table(a), table(b)
    spans, turned = align(left, right), align(right, left)
    np.testing.assert_array_equal(spans.difference, -turned.difference)
    for at in np.flatnonzero(spans.common):
        sums = [
            math.fsum(given.logprob[start:stop])
            for given, start, stop in (
                (left, spans.a_start[at], spans.a_stop[at]),
                (right, spans.b_start[at], spans.b_stop[at]),
            )
        ]
        assert spans.difference[at] == pytest.approx(sums[0] - sums[1], abs=1e-12)
    assert np.isnan(spans.difference[~spans.common]).all()


@given(TOKENS)
def test_a_response_shares_everything_with_itself_and_differs_nowhere(a: Any) -> None:
    spans = align(table(a), table(a))
    assert spans.common.all()
    assert not spans.difference.any()


@example([(b"", 0.0), (b"the", 0.0), (b"", 0.0)], [(b"the", 0.0)], [(b"", 0.0)])
@given(TOKENS, TOKENS, TOKENS)
def test_units_cut_all_responses_in_order_and_are_common_only_where_all_texts_are(a: Any, b: Any, c: Any) -> None:
    tables = [table(a), table(b), table(c)]
    pairs = [align(tables[0], other) for other in tables[1:]]
    found = units(pairs, [len(one) for one in tables])
    assert (found.starts[:, 0] == 0).all()
    assert found.starts[:, -1].tolist() == [len(one) for one in tables]
    assert (np.diff(found.starts, axis=1) >= 0).all()
    for at, common in enumerate(found.common):
        texts = [octets(one, *found.starts[side, at : at + 2]) for side, one in enumerate(tables)]
        if common:
            assert texts[0] == texts[1] == texts[2]
    for side, pair in enumerate(pairs):
        # Every span lies in one unit, on either side.
        for starts, stops, edges in (
            (pair.a_start, pair.a_stop, found.starts[0]),
            (pair.b_start, pair.b_stop, found.starts[side + 1]),
        ):
            wide = stops > starts
            first = np.searchsorted(edges, starts[wide], "right")
            last = np.searchsorted(edges, stops[wide], "left")
            np.testing.assert_array_equal(first, last)


@given(TOKENS, TOKENS)
def test_the_units_of_two_are_their_spans(a: Any, b: Any) -> None:
    left, right = table(a), table(b)
    spans = align(left, right)
    found = units([spans], [len(left), len(right)])
    assert found.starts[0].tolist() == [*spans.a_start.tolist(), len(left)]
    assert found.starts[1].tolist() == [*spans.b_start.tolist(), len(right)]
    assert found.common.tolist() == spans.common.tolist()


@given(TOKENS, TOKENS)
def test_every_token_has_its_span(a: Any, b: Any) -> None:
    left, right = table(a), table(b)
    spans = align(left, right)
    for first, starts, stops, count in (
        (True, spans.a_start, spans.a_stop, len(left)),
        (False, spans.b_start, spans.b_stop, len(right)),
    ):
        of = span_of(spans, count, first=first)
        assert all(starts[span] <= token < stops[span] for token, span in enumerate(of))


def test_two_ways_to_cut_a_word_are_compared_as_a_whole() -> None:
    spans = align(
        written(("un", -1.0), ("believ", -2.0), ("able", -0.5), ("!", -0.1)),
        written(("unbel", -3.0), ("ievable", -0.25), ("!", -0.2)),
    )
    assert rows(spans) == [("unbelievable", "unbelievable", True), ("!", "!", True)]
    assert spans.difference == pytest.approx([-0.25, 0.1])


def test_a_token_that_reaches_into_what_differs_is_not_common() -> None:
    spans = align(written("The", " capital", " of"), written("The", " cap", "ital city", " of"))
    assert rows(spans) == [("The", "The", True), (" capital", " capital city", False), (" of", " of", True)]


def test_the_common_beginning_of_a_word_is_common_where_both_cut_it_alike() -> None:
    assert rows(align(written("It", " is", " un", "able"), written("It", " is", " un", "likely"))) == [
        ("It", "It", True),
        (" is", " is", True),
        (" un", " un", True),
        ("able", "likely", False),
    ]


def test_tokens_of_no_text_at_the_ends_of_both_are_common() -> None:
    spans = align(written(("", -0.5), "a", ("", -1.0)), written(("", -0.25), "a", ("", -3.0)))
    assert rows(spans) == [("", "", True), ("a", "a", True), ("", "", True)]
    assert spans.difference.tolist() == [-0.25, 0.0, 2.0]


def test_a_token_of_no_text_that_only_one_has_is_only_there() -> None:
    assert align(written("a", ""), written("a")).common.tolist() == [True, False]


def test_a_withheld_log_probability_leaves_the_difference_unknown() -> None:
    spans = align(written(("a", -9999.0), "b"), written("a", "b"))
    assert np.isnan(spans.difference[0])
    assert spans.difference[1] == 0


def test_an_impossible_token_on_both_sides_differs_by_an_unknown_amount() -> None:
    spans = align(written(("a", -math.inf)), written(("a", -math.inf)))
    assert np.isnan(spans.difference[0])


@pytest.mark.parametrize(("left", "right"), [(0, 0), (0, 3), (3, 0)])
def test_an_empty_side_has_nothing_in_common(left: int, right: int) -> None:
    a, b = written(*"abc"[:left]), written(*"abc"[:right])
    spans = align(a, b)
    assert not spans.common.any()
    assert len(spans) == (left + right > 0)
    assert units([spans], [left, right]).starts[:, -1].tolist() == [left, right]


def test_a_span_is_a_row_of_a_data_frame() -> None:
    frame = align(written("a", " b"), written("a", (" c", -0.5))).to_pandas()
    assert frame["a_text"].tolist() == ["a", " b"]
    assert frame["b_text"].tolist() == ["a", " c"]
    assert frame["b_logprob"].tolist() == [-1.0, -0.5]
    assert frame["common"].tolist() == [True, False]


def test_one_span_is_written_in_the_singular() -> None:
    assert repr(align(written("a"), written("a"))) == "Spans(1 span, 1 of them common)"
    assert repr(align(written("a", " b"), written("a", " c"))) == "Spans(2 spans, 1 of them common)"


def test_tables_that_begin_alike_are_alike_so_far() -> None:
    assert common_prefix_length(written("a", "b", "c"), written("a", "b", "d")) == 2
    assert common_prefix_length(written("a"), written("a", "b")) == 1
    assert common_prefix_length(written("ab"), written("a", "b")) == 0


def test_a_distribution_has_the_chosen_token_and_nothing_withheld() -> None:
    entry = {
        "token": "a",
        "logprob": -3.0,
        "bytes": [97],
        "top_logprobs": [
            {"token": "b", "logprob": -0.5, "bytes": [98]},
            {"token": "c", "logprob": -9999.0, "bytes": [99]},
        ],
    }
    assert distribution_at(Logprobs.from_entries([entry]), 0) == {"62": -0.5, "61": -3.0}
