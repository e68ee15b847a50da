"""Several answers to one prompt: their groups, the tree of their beginnings, and the view of both."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import APIResponse, LogprobsMissingError, LogprobView, RawPrompt, SettingError, as_logprobs
from deluge_nb.response.sample_tree import MOST_ROWS, sample_rows, tree_to_text
from deluge_nb.response.samples import Samples, group_samples
from deluge_nb.stats import wilson_interval
from deluge_nb.widget.codec import unpack
from deluge_nb.widget.packer import EAGER

Token = str | bytes


def answer(*tokens: Token, logprob: float | None = -0.5, **fields: Any) -> APIResponse:
    """Return a response with these tokens; bytes are a piece of a character."""
    rows = [
        {"token": token, "logprob": logprob}
        if isinstance(token, str)
        else {"token": token.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(token)}
        for token in tokens
    ]
    table = as_logprobs(rows)
    return APIResponse("m", completion=table.text, logprobs=table, **fields)


def failure(message: str = "The server answered 500.") -> APIResponse:
    return APIResponse("m", is_error=True, error_message=message)


RED, BLUE, NOW = answer("It", " is", " red"), answer("It", " is", " blue"), answer("Now")
tokens = st.lists(st.sampled_from(["a", "b", " a", "", "\n"]), max_size=5)
answers = st.lists(tokens, min_size=1, max_size=12)


def tokens_of(response: APIResponse) -> tuple[bytes, ...]:
    assert response.logprobs is not None
    return tuple(response.logprobs.token_bytes)


def rows_of(view: LogprobView) -> list[dict[str, Any]]:
    """Return the tree that the browser receives, as JSON."""
    return json.loads(json.dumps(view.tree))


def labels(view: LogprobView) -> list[str]:
    return [row["label"] for row in rows_of(view)]


# Groups ---------------------------------------------------------------------------------------------------------------


@given(answers)
def test_each_response_is_in_the_answer_with_its_tokens(lists: list[list[str]]) -> None:
    responses = [answer(*tokens) for tokens in lists]
    samples = group_samples(responses)
    counts = Counter(tokens_of(response) for response in responses)
    assert {tuple(sample.table.token_bytes): sample.count for sample in samples} == counts
    assert samples.total == len(responses)
    assert [sample.count for sample in samples] == sorted(counts.values(), reverse=True)
    for sample in samples:
        expected = [response for response in responses if tokens_of(response) == tuple(sample.table.token_bytes)]
        assert [*map(id, sample.responses)] == [*map(id, expected)]
        assert sample.response is expected[0]
        interval = wilson_interval(sample.count, len(responses))
        assert (sample.share, sample.low, sample.high) == (sample.count / len(responses), *interval)


@given(answers)
def test_a_beginning_counts_the_answers_that_begin_with_it_and_go_on_differently(lists: list[list[str]]) -> None:
    samples = group_samples([answer(*tokens) for tokens in lists])
    every = [tuple(tokens) for tokens in lists]
    for beginning in samples.beginnings:
        own = tuple(beginning.table.tokens)
        inside = [tokens for tokens in every if tokens[: len(own)] == own]
        assert beginning.count == len(inside) == len(beginning.responses)
        assert len({tokens[len(own) : len(own) + 1] for tokens in inside}) > 1
        assert all(tuple(response.logprobs.tokens[: len(own)]) == own for response in beginning.responses)  # type: ignore[union-attr]
    assert len({tuple(beginning.table.tokens) for beginning in samples.beginnings}) == len(samples.beginnings)


@given(answers)
def test_an_answer_goes_on_from_the_longest_beginning_that_it_shares(lists: list[list[str]]) -> None:
    samples = group_samples([answer(*tokens) for tokens in lists])
    common = samples.beginnings[0].stop if samples.beginnings else 0
    for sample in [*samples, *samples.beginnings]:
        parent = sample.parent
        assert (parent is None) == (sample is [*samples.beginnings, *samples][0])
        assert sample.position == (0 if parent is None else parent.stop)
        if parent is not None:
            assert sample.table.tokens[: parent.stop] == parent.table.tokens
        since = 0 if parent is None else common
        assert sample.logprob == pytest.approx(-0.5 * (sample.stop - since))


def test_equal_answers_are_one_branch() -> None:
    view = LogprobView([answer("It", " is")] * 7)
    (sample,) = view.samples
    assert (sample.count, sample.share, sample.text, sample.logprob, sample.high) == (7, 1.0, "It is", -1.0, 1.0)
    assert labels(view) == ["It is"]
    assert rows_of(view)[0]["note"].startswith("7 answers")


def test_of_equally_common_answers_the_more_probable_comes_first() -> None:
    samples = group_samples([answer("a", logprob=-3.0), answer("b", logprob=-1.0), answer("c", logprob=-2.0)])
    assert [sample.text for sample in samples] == ["b", "c", "a"]
    assert [row.shows for row in sample_rows(samples)] == [0, 0, 1, 2]
    assert samples.first_name == "Most probable answer"


def test_an_answer_that_ends_where_others_go_on_comes_after_those() -> None:
    samples = group_samples([answer(), answer("a"), answer("a", "b"), answer("c", "d", "e")])
    assert [sample.text for sample in samples] == ["ab", "cde", "", "a"]
    assert [row.shows for row in sample_rows(samples)] == [0, 0, 0, 3, 1, 2]


def test_the_joint_probability_is_unknown_where_a_token_has_none() -> None:
    samples = group_samples([answer("a", logprob=None), answer("b", logprob=-9999.0), answer("c")])
    assert [(sample.text, sample.logprob) for sample in samples] == [("c", -0.5), ("a", None), ("b", None)]
    assert ["joint" in row.note for row in sample_rows(samples)] == [False, True, False, False]


def test_equal_texts_in_different_tokens_are_two_answers_that_say_so() -> None:
    samples = group_samples([answer("unlike", "ly"), answer("un", "likely"), answer("no")])
    assert [sample.text for sample in samples] == ["no", "unlikely", "unlikely"]
    assert samples.repeated == {1, 2}
    notes = [row.note for row in sample_rows(samples) if "other tokens" in row.note]
    assert len(notes) == 2
    frame = samples.to_pandas()
    assert frame.groupby("text")["count"].sum().to_dict() == {"no": 1, "unlikely": 2}


def test_tokens_are_the_same_if_their_bytes_are() -> None:
    one = as_logprobs([{"token": "é", "logprob": -0.5, "bytes": list("é".encode())}])
    other = as_logprobs([{"token": "é", "logprob": -0.25}])
    assert len(group_samples([APIResponse("m", completion="é", logprobs=table) for table in (one, other)])) == 1


def test_the_frame_has_one_row_for_each_answer() -> None:
    frame = group_samples([RED, BLUE, RED]).to_pandas()
    assert frame["text"].tolist() == ["It is red", "It is blue"]
    assert frame["count"].tolist() == [2, 1]
    assert frame["logprob_nats"].dtype == np.float64
    assert frame["position"].tolist() == [2, 2]


# What is accepted and refused ----------------------------------------------------------------------------------------


def test_failed_responses_are_named_and_left_out() -> None:
    view = LogprobView([RED, failure(), BLUE, failure("Too late.")])
    assert view.samples.total == 2
    assert [*view.samples.failed] == [1, 3]
    assert rows_of(view)[0]["note"].endswith("responses 2 and 4 failed and left out: The server answered 500.")
    assert "responses 2 and 4 failed" in view.to_text()


@pytest.mark.parametrize(
    ("responses", "message"),
    [
        ([failure(), failure()], "no answer to show, as all 2 responses failed: The server answered 500"),
        ([failure()], "no answer to show, as the response failed"),
        ([RED, {"token": "a", "logprob": -1}], r"logprobs\[1\] must be a response like the others, not dict"),
        ([RED, APIResponse("m", completion="It")], "Response 2 has no log-probabilities; ask for them"),
        ([RED, APIResponse("m", completion="It", note="None here.")], "Response 2 has no log-probabilities: None here"),
        (
            [answer("a", prompt="One?"), failure(), answer("b", prompt="Two?")],
            "must answer one prompt, and number 3 answers another than number 1",
        ),
        ([answer("a", prompt="One"), answer("b", prompt=RawPrompt("One"))], "number 2 answers another than number 1"),
    ],
)
def test_what_is_no_set_of_answers_is_refused_in_one_sentence(responses: list[Any], message: str) -> None:
    with pytest.raises((SettingError, LogprobsMissingError), match=message) as raised:
        LogprobView(responses)
    assert str(raised.value).count(". ") == 0
    view = LogprobView([RED, BLUE])
    with pytest.raises((SettingError, LogprobsMissingError), match=message):
        view.update(responses)
    assert len(view.samples) == 2


def test_one_prompt_may_have_several_forms() -> None:
    forms: list[Any] = ["One", [{"role": "user", "content": "One"}], None]
    assert group_samples([answer("a", prompt=form) for form in forms]).total == 3


def test_further_answers_of_a_request_are_included_once() -> None:
    first = answer("a", _others=(answer("b"), answer("c")))
    assert LogprobView([first]).samples.total == 3
    assert LogprobView(list(first.choices)).samples.total == 3
    assert LogprobView([RED] * 3).samples.total == 3


def test_an_empty_answer_needs_no_table() -> None:
    samples = group_samples([APIResponse("m", completion=""), answer(), RED])
    assert [(sample.text, sample.count) for sample in samples] == [("", 2), ("It is red", 1)]


def test_one_answer_is_shown_without_a_tree() -> None:
    view = LogprobView([RED])
    assert (len(view.samples), view.tree, view.table.text) == (1, [], "It is red")
    assert view.to_text() == LogprobView(RED).to_text()
    assert LogprobView(RED).samples == []


# Rows of the tree -----------------------------------------------------------------------------------------------------


@given(answers, st.integers(1, 8))
def test_each_answer_has_a_row_or_is_counted_in_one(lists: list[list[str]], most: int) -> None:
    rows = sample_rows(group_samples([answer(*tokens) for tokens in lists]), most)
    ids = [row.id for row in rows]
    assert len(set(ids)) == len(ids)
    assert rows[0].parent is None
    assert sum(row.shows is not None for row in rows) <= most
    for number, row in enumerate(rows[1:], 1):
        assert row.parent in ids[:number]
    for row in rows:
        inside = [other for other in rows if other.parent == row.id]
        if inside and row.parent is not None:
            count = int(row.note.split()[0])
            assert count == sum(
                int((other.label if other.shows is None else other.note).split()[0]) for other in inside
            )


def test_a_row_says_what_its_answers_have_in_place_of_text() -> None:
    rows = sample_rows(group_samples([answer(), answer("a"), answer("a", "ends here")]))
    assert [(row.label, row.is_text) for row in rows] == [
        ("no common beginning", False),
        ("a", True),
        ("ends here", True),
        ("ends here", False),
        ("empty answer", False),
    ]
    assert tree_to_text(rows).splitlines()[3].startswith("    (ends here)  1 of 3")


def test_a_row_says_how_its_answers_were_ended() -> None:
    ended = [answer("a", finish_reason=reason) for reason in ("length", "length", "stop")]
    rows = sample_rows(group_samples([*ended, answer("b", finish_reason="interrupted")]))
    assert rows[1].note.endswith("· 2 cut off")
    assert rows[2].note.endswith("· interrupted")


def test_a_row_may_begin_inside_a_character() -> None:
    wave = "👋".encode()
    view = LogprobView([answer("a", wave[:2], wave[2:]), answer("a", wave[:2], b"\x98\x80")])
    assert labels(view) == ["a\ufffd", "\ufffd\ufffd", "\ufffd\ufffd"]
    assert view.samples[0].text == "a👋"


def test_long_and_hostile_texts_are_cut_and_escaped() -> None:
    view = LogprobView([answer("<b>" * 50_000), answer("\x1b[2J\u202e" * 10), answer("\u0301" * 40_000), answer("$x$")])
    assert all(len(label) <= 100 for label in labels(view))
    page, text = view.to_html(limit=1), view.to_text(limit=1)
    tree = page[: page.index("Most probable answer")]
    assert "<b>" not in tree
    assert "&lt;b&gt;" in tree
    for character in ("\x1b", "\u202e"):
        assert character not in tree
        assert character not in text
    assert "mathjax_ignore" in tree


def test_ten_thousand_answers_have_a_short_tree() -> None:
    responses = [answer(str(number % 100), str(number)) for number in range(10_000)]
    view = LogprobView(responses)
    assert len(view.samples) == 10_000
    assert len(view.tree) <= 2 * MOST_ROWS
    view.node = 9_999
    assert view.shown.tokens == view.samples[9_999].table.tokens


# The view -------------------------------------------------------------------------------------------------------------


def node_tokens(view: LogprobView, node: int) -> int:
    fields, _ = unpack(bytes(unpack(view.branched)[1][f"data{node}"]))
    return fields["count"]


def test_the_view_shows_the_most_common_answer_and_each_other_by_its_index() -> None:
    view = LogprobView([BLUE, RED, NOW, RED], title="Colours")
    assert repr(view) == "LogprobView(4 answers, 3 different)"
    assert view.table.text == view.shown.text == "It is red"
    for index, sample in enumerate(view.samples):
        view.node = index
        assert view.shown == sample.table
    with pytest.raises(SettingError, match="node must be from 0 to 2 for an answer"):
        view.node = 3


def test_pressing_an_answer_shows_it_and_sends_its_tokens() -> None:
    long = [answer(*[str(number)] * (EAGER // 2)) for number in range(4)]
    view = LogprobView(long)
    assert {name[4:] for name in unpack(view.branched)[1] if name.startswith("data")} == {"1", "2"}
    view._receive(None, {"sample": 3}, [])
    assert view.node == 3
    assert node_tokens(view, 3) == EAGER // 2
    for wrong in (4, -1, True, "3", None, [3]):
        view._receive(None, {"sample": wrong}, [])
        assert view.node == 3


def test_a_selection_is_that_of_the_answer_on_the_screen() -> None:
    view = LogprobView([RED, RED, NOW])
    view.selected = 2
    view.node = 1
    assert view.selected is None
    with pytest.raises(SettingError, match="selected must be"):
        view.selected = 1


def test_an_update_replaces_the_answers() -> None:
    view = LogprobView([RED, BLUE, NOW])
    view.node = 2
    view.update([NOW, RED, NOW])
    assert (view.node, view.shown.text, len(view.tree)) == (0, "Now", 3)
    assert [sample.count for sample in view.samples] == [2, 1]
    view.node = 1
    assert view.shown.text == "It is red"
    view.update(RED)
    assert (view.node, view.tree, view.branched, view.samples) == (0, [], b"", [])
    view.update([RED, RED, BLUE])
    assert labels(view) == ["It is", "·red", "·blue"]


def test_a_growing_list_of_answers_does_not_append_to_a_text() -> None:
    view = LogprobView([answer("It")] * 2)
    view.update([answer("It", " is")] * 2)
    assert view.table.text == "It is"
    assert view.samples[0].text == "It is"


def test_static_forms_have_the_tree_with_counts(tmp_path: Path) -> None:
    view = LogprobView([RED, RED, BLUE], title="Colours")
    assert view.to_text().splitlines()[:3] == [
        "It is  3 answers · 2 different · shares with 95 % intervals · joint probability 36.8 %",
        "  ·red  2 of 3 · 66.7 % (20.8 – 93.9 %) · joint probability 60.7 %",
        "  ·blue  1 of 3 · 33.3 % (6.1 – 79.2 %) · joint probability 60.7 %",
    ]
    page = view.to_html(standalone=True)
    assert page.count("2 of 3") == 1
    assert "<title>Colours</title>" in page
    forms = view._static_forms()
    assert "2 of 3" in forms["text/html"]
    assert "\n\nMost common answer:\nIt is red\n" in forms["text/plain"]
    view.save_html(tmp_path / "page.html")
    assert "2 of 3" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_saved_page_has_the_tokens_of_every_row() -> None:
    view = LogprobView([answer(*[str(number)] * (EAGER // 2)) for number in range(4)])
    state, _ = view._page_state()
    assert {f"data{number}" for number in (1, 2, 3)} <= set(unpack(state["branched"])[1])


def test_a_tree_of_lists_is_well_formed() -> None:
    from html.parser import HTMLParser

    class Nesting(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    lists = ["", "a", "ab", "abc", "abd", "b", "ba", "c"]
    parser = Nesting()
    page = LogprobView([answer(*tokens) for tokens in lists]).to_html()
    parser.feed(page[: page.index("<style>")].rpartition("<div")[0])
    assert parser.open == []


def test_samples_can_be_made_by_hand() -> None:
    assert Samples([]).total == 0
    assert math.isclose(sum(sample.share for sample in group_samples([RED, BLUE, NOW])), 1)
