"""The table of many comparisons: rows, numbers, order, forms and the comparison of a row."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import traitlets

from deluge_nb import APIResponse, Comparisons, LogprobCompare, Logprobs, LogprobsMissingError, SettingError
from deluge_nb.comparisons.cells import order_of
from deluge_nb.comparisons.saved import pack_rows
from deluge_nb.widget.codec import unpack

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures" / "order_vectors.json").read_text(encoding="utf-8"))
HOSTILE = "<script>alert(1)</script> \x1b[31m \u202e $x^2$ </div>"


def tokens(*pairs: tuple[str, float]) -> Logprobs:
    return Logprobs.from_entries([{"token": text, "logprob": logprob} for text, logprob in pairs])


def failed(reason: str) -> APIResponse:
    return APIResponse("m", is_error=True, error_message=reason)


PARIS, LYON, ROME = tokens(("Par", -0.5), ("is", -0.1)), tokens(("Lyon", -1.5)), tokens(("Rome", -0.2))


def small(**options: Any) -> Comparisons:
    return Comparisons(["France?", "Italy?"], {"a": [PARIS, ROME], "b": [LYON, failed("HTTP 500")]}, **options)


def test_a_row_has_the_answers_their_mean_logprobs_and_the_difference_from_the_first() -> None:
    frame = small().to_pandas()
    assert list(frame.columns) == [
        "input",
        *("answer_a", "mean_logprob_a", "error_a"),
        *("answer_b", "mean_logprob_b", "difference_nats_b", "error_b"),
    ]
    first = frame.iloc[0]
    assert (first["input"], first["answer_a"], first["answer_b"]) == ("France?", "Paris", "Lyon")
    assert (first["mean_logprob_a"], first["difference_nats_b"]) == (pytest.approx(-0.3), pytest.approx(-1.2))


def test_a_failed_answer_is_a_line_in_its_row() -> None:
    table = small()
    assert table.to_pandas()["error_b"].fillna("").tolist() == ["", "HTTP 500"]
    assert "no answer: HTTP 500" in table.to_html()
    assert "no answer: HTTP 500" in table.to_text()
    assert "1 answer missing" in table.to_text()


def test_answers_that_leave_nothing_to_read_are_seen() -> None:
    table = Comparisons(["", "\n\n", "x"], {"a": [tokens(), tokens((" ", -1.0)), None], "b": [PARIS, PARIS, PARIS]})
    assert [row["cells"][0]["text"] for row in table.rows] == ["", "·", ""]
    assert [row["input"] for row in table.rows] == ["", "↵↵", "x"]
    assert "–           (empty)" in table.to_text()
    assert "no answer: the call was interrupted" in table.to_text()
    assert "no answer: no answer" not in table.to_html()


def test_answers_begin_at_one_left_edge_and_keep_their_indentation() -> None:
    texts = (" Paris", "Paris", "    return 1")
    table = Comparisons(["x"], {name: [tokens((text, -1.0))] for name, text in zip("abc", texts, strict=True)})
    assert [cell["text"] for cell in table.rows[0]["cells"]] == ["Paris", "Paris", "    return 1"]
    assert table.to_pandas()["answer_a"].tolist() == [" Paris"]


def test_the_last_row_has_means_over_the_inputs_that_both_have() -> None:
    means = [cell["mean"] for cell in small().totals]
    assert means == ["−0.25", "−1.50"]
    assert small().totals[1]["change"] == "−1.20"


def test_the_note_counts_equal_answers() -> None:
    table = Comparisons(["x", "y"], {"a": [PARIS, ROME], "b": [tokens((" Paris", -1.0)), LYON]})
    assert table.note == "2 inputs · same answer in 1"


def test_a_position_opens_the_comparison_of_the_row() -> None:
    table = small()
    assert isinstance(table[0], LogprobCompare)
    assert (table[0].names, table[0].title) == (["a", "b"], "France?")
    assert table[0] is table[-2]


def test_more_answers_than_a_comparison_takes_are_compared_with_the_first_one_by_one() -> None:
    table = Comparisons(["x"], {f"v{number}": [tokens((f"t{number}", -0.1 * number))] for number in range(10)})
    assert table[0].names == ["v0", "v1"]
    assert table[0, "v9"].names == ["v0", "v9"]
    table.against = 4
    assert table[0].names == ["v0", "v4"]


def test_up_to_eight_answers_are_compared_at_once() -> None:
    table = Comparisons(["x"], {f"v{number}": [LYON] for number in range(8)})
    assert len(table[0].names) == 8
    assert table[0, "v3"].names == ["v0", "v3"]


def test_a_row_with_fewer_than_two_answers_says_why_it_cannot_be_compared() -> None:
    with pytest.raises(LogprobsMissingError, match=r"Row 1 has fewer than two .*'b': HTTP 500"):
        small()[1]


def test_answers_of_a_row_that_failed_are_left_out_of_its_comparison() -> None:
    table = Comparisons(["x"], {"a": [PARIS], "b": [failed("no")], "c": [LYON]})
    assert table[0].names == ["a", "c"]


@pytest.mark.parametrize("index", [True, "0", 1.5, (0, "a"), (0, "nobody")])
def test_an_index_that_is_no_row_is_refused_in_one_sentence(index: Any) -> None:
    with pytest.raises(SettingError, match=r"^index must be [^\n]*\.$"):
        small()[index]


def test_a_position_outside_ends_loops() -> None:
    table = Comparisons(["x", "y"], {"a": [PARIS, ROME], "b": [LYON, PARIS]})
    with pytest.raises(IndexError):
        table[2]
    assert [row.title for row in table] == ["x", "y"]


def test_a_slice_keeps_its_labels() -> None:
    assert [row["label"] for row in small()[1:].rows] == ["1"]
    table = small(index=pd.Index(["fr", "it"]))[:1]
    assert (table.rows[0]["label"], list(table.to_pandas().index)) == ("fr", ["fr"])


@pytest.mark.parametrize(("sort_by", "descending", "order"), VECTORS["vectors"])
def test_rows_are_ordered_as_in_the_browser(sort_by: str, descending: bool, order: list[int]) -> None:
    rows = [
        {
            "input": text,
            "cells": [
                {"text": word or "", "error": "failed" if word is None else None, "logprob": p, "difference": d}
                for word, p, d in cells
            ],
        }
        for text, cells in VECTORS["rows"]
    ]
    measure, _, name = sort_by.partition(":")
    side = VECTORS["names"].index(name) if name else -1
    assert order_of(rows, measure, side, descending) == order


def test_static_forms_are_in_the_order_of_the_table() -> None:
    table = Comparisons(["x", "y"], {"a": [LYON, ROME], "b": [PARIS, PARIS]})
    table.sort_by, table.descending = "logprob:a", True
    assert table.order == [1, 0]
    for form in (table.to_html(), table.to_text()):
        assert form.index("Rome") < form.index("Lyon")
    assert table.to_pandas()["answer_a"].tolist() == ["Lyon", "Rome"]


@pytest.mark.parametrize(
    ("trait", "value"), [("sort_by", "difference:a"), ("sort_by", "size:b"), ("opened", 2), ("against", 0)]
)
def test_a_trait_with_an_invalid_value_is_refused(trait: str, value: Any) -> None:
    with pytest.raises((SettingError, traitlets.TraitError), match=trait):
        setattr(small(), trait, value)


def test_hostile_texts_are_escaped_in_every_form() -> None:
    answer = tokens((HOSTILE, -0.5))
    table = Comparisons([HOSTILE], {HOSTILE: [answer], "b": [failed(HOSTILE)]}, title=HOSTILE)
    page = table.to_html()
    assert "<script" not in page
    assert "mathjax_ignore" in page
    for form in (page, table.to_text(), json.dumps(table.rows, ensure_ascii=False), repr(table)):
        assert "\x1b" not in form
        assert "\u202e" not in form


def test_long_texts_are_cut_in_the_table_and_whole_in_the_comparison() -> None:
    long = tokens(*[("word ", -0.1)] * 5000)
    table = Comparisons(["x" * 9000, "y"], {"a": [long, LYON], "b": [long, LYON]})
    assert len(table.to_html()) < 50_000
    assert table[0].tables[0].text == "word " * 5000
    assert len(table[0].title) <= 120


def test_a_pile_of_marks_is_bounded() -> None:
    table = Comparisons(["e" + "\u0301" * 900], {"a": [PARIS], "b": [LYON]})
    assert table.to_html().count("\u0301") == 30


def test_a_limit_counts_the_rows_that_are_left_out() -> None:
    table = Comparisons(["x"] * 5, {"a": [LYON] * 5, "b": [PARIS] * 5})
    assert table.to_html(limit=2).count('<th scope="row">') == 2
    assert "… 3 more rows" in table.to_html(limit=2)
    assert table.to_text(limit=4).count("Lyon") == 4
    with pytest.raises(SettingError, match="limit"):
        table.to_html(limit=-1)


def test_answers_without_logprobs_are_shown_and_say_so() -> None:
    table = Comparisons(["x"], {"a": [APIResponse("m", completion="Yes", note="not asked for")], "b": [LYON]})
    assert math.isnan(table.to_pandas()["mean_logprob_a"][0])
    assert 'title="not asked for"' in table.to_html()
    with pytest.raises(LogprobsMissingError, match="'a': not asked for"):
        table[0]


def test_each_variant_needs_a_response_for_each_input() -> None:
    with pytest.raises(SettingError, match=r"responses\['b'\] must have one response for each of the 2 inputs, not 1"):
        Comparisons(["x", "y"], {"a": [PARIS, ROME], "b": [LYON]})


def test_an_opened_row_has_the_state_of_its_comparison() -> None:
    table = small()
    table.opened = 0
    assert table.comparison["row"] == 0
    assert table.comparison["state"]["names"] == ["a", "b"]
    assert table.alignment == table[0].alignment
    assert {*unpack(table.data)[1]} == {*unpack(table[0].data)[1]}
    table.opened = 1
    assert "'b': HTTP 500" in table.comparison["error"]
    table.opened = None
    assert table.comparison == {}


class Recorded(Comparisons):
    """A table that records its messages to the browser."""

    def __init__(self, *args: Any) -> None:
        self.sent: list[Any] = []
        super().__init__(*args)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append(content)


def test_requests_of_the_opened_row_are_answered_and_others_are_not() -> None:
    table = Recorded(["x", "y"], {"a": [PARIS, ROME], "b": [LYON, PARIS]})
    table.opened = 1
    for content in [{"row": 1}, {"row": 1, "side": 0, "measures": True}, {"row": 0, "side": 0, "measures": True}, "x"]:
        table._receive(None, content, None)
    assert table.sent == [{"row": 1}, {"parts": ["measures"], "side": 0, "row": 1}]


def test_a_comparison_takes_part_in_the_page_only_once_it_is_displayed() -> None:
    table = small()
    compare = table[0]
    assert compare.comm is None
    assert compare.model_id
    assert compare.comm is not None


def many(count: int) -> Comparisons:
    return Comparisons([str(row) for row in range(count)], {"a": [PARIS] * count, "b": [LYON] * count})


def packed(table: Comparisons, largest: int | None = None) -> tuple[list[Any], set[str], int, list[str]]:
    """Return what a page has of each row, the names of the parts that it has, their bytes, and its notes."""
    saved = pack_rows([(row, None) for row in range(len(table))], table._compared, largest)
    _, columns = unpack(saved.blocks)
    size = sum(column.nbytes for column in columns.values())
    return saved.details["rows"], {*columns}, size, saved.notes


def test_a_saved_page_has_the_comparison_of_every_row_or_says_why_not() -> None:
    table = small()
    state, _ = table._page_state()
    opened, failed_row = state["details"]["rows"]
    assert opened["state"]["names"] == ["a", "b"]
    assert "'b': HTTP 500" in failed_row["error"]
    _, columns = unpack(state["blocks"])
    assert {*columns} == {"data0", "alignment0", "alternatives0.0", "alternatives0.1"}
    assert columns["alignment0"].tobytes() == table[0].alignment
    assert state["details"]["shared"].keys() >= {"threshold", "arrange", "selection", "top_p"}
    assert state["comparison"] == {}
    assert json.loads(json.dumps(state["details"])) == state["details"]


def test_a_saved_page_of_more_than_eight_variants_has_each_against_the_first() -> None:
    table = Comparisons(["x"], {f"v{number}": [LYON] for number in range(10)})
    table.against = 4
    rows = table._page_state()[0]["details"]["rows"]
    assert [row["against"] for row in rows] == [4, 1, 2, 3, 5, 6, 7, 8, 9]
    assert rows[0]["state"]["names"] == ["v0", "v4"]


def test_a_saved_page_is_bounded_and_its_first_rows_keep_the_most() -> None:
    table = many(6)
    _, _, whole, notes = packed(table)
    assert notes == []
    _, columns, size, notes = packed(table, whole - 1)
    assert size < whole
    assert "alternatives5.0" not in columns
    assert {"alternatives0.0", "data5"} <= columns
    assert notes == ["1 comparison without alternatives"]
    rows, columns, size, notes = packed(table, whole // 3)
    assert size <= whole // 3
    kept = sum(name.startswith("data") for name in columns)
    assert [("state" in row) for row in rows] == [True] * kept + [False] * (6 - kept)
    assert 0 < kept < 6
    assert 'comparisons[5].save_html("row.html")' in rows[5]["error"]
    assert notes[-1].endswith("left out of this page")
