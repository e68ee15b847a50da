"""Results of classify: frames, tables in a notebook, the rows to review, and the warning about little mass."""

from __future__ import annotations

import math
import pickle
import re
import warnings
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import (
    Classification,
    Classifications,
    Conversation,
    LLMClient,
    Message,
    RawPrompt,
    SamplingParams,
    SettingError,
    classify,
    score_llm,
)
from deluge_nb.answers.first_token import to_classification
from deluge_nb.answers.results import failed_result, format_value
from deluge_nb.printable import printable
from deluge_nb.render.results import rows_to_html
from deluge_nb.stats import label_distribution
from tests.openai_server import ChatServer, Reply, Seen, chat, error

ANSWERS = ["yes", "no", "unclear"]
HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</td></tr></table><style>*{display:none}</style>",
    "&lt;b&gt; & 'quoted' \"text\"",
    "$x$ and $$y$$ \\(z\\)",
    "\u202eright to left",
    "](javascript:alert(1))",
]


def client() -> LLMClient:
    return LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5))


def result(**weighed: float) -> Classification:
    """Return the result for a list with these probabilities."""
    return to_classification(label_distribution({text: math.log(p) for text, p in weighed.items()}, ANSWERS), [])


FAILED = failed_result(ANSWERS, "The server refused <this>.")


def many(results: list[Classification], **options: Any) -> Classifications:
    return Classifications(results, [f"input {i}" for i in range(len(results))], ANSWERS, "first-token", **options)


def rows_of(found: Classifications) -> list[Any]:
    return [] if found.index is None else found.index.tolist()


# Frames ---------------------------------------------------------------------------------------------------------------

SHORT = ["input", "label", "probability", "matched_mass", "decided", "error"]


def test_a_frame_is_short_unless_details_are_wanted() -> None:
    found = many([result(Yes=0.7, No=0.2), result(Well=0.9), FAILED])
    assert list(found.to_pandas().columns) == SHORT
    details = [f"{part}_{name}" for name in ANSWERS for part in ("p", "p_lower", "p_upper")]
    frame = found.to_pandas(details=True)
    assert list(frame.columns) == [*SHORT, *details]
    assert frame["p_yes"].isna().tolist() == [False, True, True]
    assert frame["error"].isna().tolist() == [True, True, False]
    assert list(many([]).to_pandas(details=True).columns) == [*SHORT, *details]


def test_an_answer_named_like_a_bound_hides_no_column() -> None:
    found = Classifications([result(Yes=0.7)], ["x"], ["yes", "lower_yes"], "first-token")
    frame = found.to_pandas(details=True)
    assert frame.shape == (1, 12)
    assert frame["p_lower_yes"].shape == (1, 2)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["Yes", "yes", " no", "No", "un", "unclear", "Well", "\n", "y"]), st.floats(1e-9, 0.11)
        ).filter(bool),
        min_size=1,
        max_size=5,
    )
)
def test_every_share_lies_within_its_bounds(lists: list[dict[str, float]]) -> None:
    frame = many([result(**weighed) for weighed in lists]).to_pandas(details=True)
    for name in ANSWERS:
        known = frame[frame[f"p_{name}"].notna()]
        assert (known[f"p_lower_{name}"] <= known[f"p_{name}"]).all()
        assert (known[f"p_{name}"] <= known[f"p_upper_{name}"]).all()


@pytest.mark.parametrize("calibration", [None, "contextual", "pmi"])
def test_calibrated_shares_lie_within_their_bounds_too(server: ChatServer, calibration: Any) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        p = {"Yes": 0.1 + 0.05 * (number % 7), "No": 0.3, "un": 0.1, "Well": 0.05}
        return Reply(chat(seen, [("No", p)]))

    server.answer = answer
    texts = [f"text {i}" for i in range(12)]
    found = classify(texts, ANSWERS, client(), template="{0}?", calibration=calibration, show_progress=False)
    frame = found.to_pandas(details=True)
    assert frame["error"].isna().all()
    for name in ANSWERS:
        assert frame[f"p_{name}"].between(frame[f"p_lower_{name}"], frame[f"p_upper_{name}"]).all()


def different() -> Classifications:
    one = to_classification(label_distribution({"Rome": math.log(0.6), "Oslo": math.log(0.3)}, ["Rome", "Oslo"]), [])
    two = to_classification(label_distribution({"Bern": math.log(0.9)}, ["Bern", "Paris", "Lima"]), [])
    none = failed_result(["Kiev"], "no")
    return Classifications([one, two, none], ["a", "b", "c"], (), "first-token")


def test_answers_that_differ_by_input_have_one_array_each() -> None:
    shares = different().probabilities
    assert shares.shape == (3,)
    assert [row.tolist() for row in shares[:2]] == [pytest.approx([2 / 3, 1 / 3]), [1.0, 0.0, 0.0]]
    assert np.isnan(shares[2]).tolist() == [True]
    pair = different()[:1].probabilities
    assert pair.shape == (1,)
    assert Classifications([], [], (), "exact").probabilities.shape == (0,)
    frame = different().to_pandas(details=True)
    assert list(frame.columns) == [*SHORT, "probabilities", "share_lower", "share_upper"]
    assert list(different().to_pandas().columns) == SHORT


def test_equally_many_answers_that_differ_do_not_become_a_matrix() -> None:
    pair = [result(Yes=0.7), result(No=0.7)]
    shares = Classifications(pair, ["a", "b"], (), "exact").probabilities
    assert shares.shape == (2,)
    assert shares[1].shape == (3,)


def test_results_without_inputs_say_so() -> None:
    assert repr(Classifications([], [], (), "exact")) == "Classifications(0 inputs, no answers, by exact)"
    assert repr(different()) == "Classifications(3 inputs, different answers, by first-token, 1 failed)"


def test_results_survive_pickling_with_their_index() -> None:
    found = many([result(Yes=0.7), FAILED], index=pd.Index(["a", "b"]))
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(again.to_pandas(), found.to_pandas())


def test_the_details_of_score_llm_keep_an_index(server: ChatServer) -> None:
    server.always(("Yes", {"Yes": 0.7, "No": 0.2}))
    texts = pd.Series(["a", "b"], index=["x", "y"])
    found = score_llm("True? {0}", texts, client(), True, show_progress=False, return_details=True)
    assert found.to_pandas().index.tolist() == ["x", "y"]
    assert score_llm("True? {0}", texts, client(), True, show_progress=False) == [pytest.approx(7 / 9)] * 2


# Review ---------------------------------------------------------------------------------------------------------------

SURE, TORN, THIN, NONE = result(Yes=0.95), result(Yes=0.5, No=0.45), result(Yes=0.05), result(Well=0.9)


def test_the_rows_to_review_are_the_failed_then_those_without_answer_then_the_least_sure() -> None:
    found = many([SURE, TORN, FAILED, THIN, NONE, SURE])
    assert found.review().to_pandas().index.tolist() == [2, 4, 3, 1, 0, 5]
    assert found.review(3).to_pandas()["input"].tolist() == ["input 2", "input 4", "input 3"]
    assert found.review(3).names == found.names


def test_the_rows_to_review_keep_the_labels_of_a_series() -> None:
    index = pd.Index([101, 205, 307])
    review = many([SURE, FAILED, THIN], index=index).review(2)
    assert rows_of(review) == [205, 307]
    assert review[1:].to_pandas().index.tolist() == [307]
    assert rows_of(many([SURE, FAILED, THIN]).review(2).review(1)) == [1]


def test_a_review_has_at_most_n_rows() -> None:
    found = many([SURE, THIN])
    assert [len(found.review(n)) for n in (0, 1, 2, 3)] == [0, 1, 2, 2]
    assert len(many([]).review()) == 0
    for wrong in (-1, 2.5, True, "3", None):
        with pytest.raises(SettingError, match="n must be a whole number of at least 0, not"):
            found.review(wrong)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(0.01, 0.6), st.floats(0.01, 0.3)), max_size=8))
def test_a_review_is_ordered_by_the_probability_of_the_label(pairs: list[tuple[float, float]]) -> None:
    found = many([result(Yes=yes, No=no) for yes, no in pairs])
    worth = [(one.probability or 0.0) * one.matched_mass for one in found.review(len(pairs))]
    assert worth == sorted(worth)
    assert sorted(rows_of(found.review(99))) == list(range(len(pairs)))


# Tables in a notebook -------------------------------------------------------------------------------------------------


class Parsed(HTMLParser):
    """Elements of a piece of HTML, its text, and a check that all elements are closed."""

    VOID = ("img", "br", "meta")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(source)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("href", "src")]
        self.names.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def shown(value: Any) -> Parsed:
    return Parsed(value._repr_html_())


def test_a_table_has_input_label_share_mass_and_decided_and_the_worst_row_first() -> None:
    head, failed, thin, sure = shown(many([SURE, FAILED, THIN], index=pd.Index([101, 205, 307]))).rows
    assert head == ["", "input", "label", "share", "mass", "decided"]
    assert failed == ["205", "input 1", "no result: The server refused <this>."]
    assert thin == ["307", "input 2", "yes", "100 %", "5 %", "no"]
    assert sure == ["101", "input 0", "yes", "100 %", "95 %", "yes"]


def test_a_table_has_at_most_twenty_rows_and_counts_the_rest() -> None:
    source = many([SURE] * 400)._repr_html_()
    assert len(Parsed(source).rows) == 21
    assert "and 380 more" in source
    assert "more" not in many([SURE] * 20)._repr_html_()
    assert len(shown(many([])).rows) == 1
    assert "and 1,234,567 more" in rows_to_html([], 1_234_567, "many")


def test_less_sure_rows_have_more_colour() -> None:
    heats = re.findall(r"--u:([\d.]+)", many([SURE, TORN])._repr_html_())
    shares, masses = [float(heat) for heat in heats[::2]], [float(heat) for heat in heats[1::2]]
    assert shares[0] > shares[1] == 0
    assert masses[0] == masses[1] > 0


def test_one_result_is_a_bar_with_its_interval_for_each_answer() -> None:
    one = result(Yes=0.6, No=0.3)
    source = one._repr_html_()
    rows = Parsed(source).rows
    assert [row[0] for row in rows[1:]] == ["yes", "no", "unclear"]
    assert rows[1][2:] == ["66.7 %", "60 % – 70 %"]
    assert "--p:0.6667;--low:0.6;--high:0.7" in source
    assert "90 % of the probability is on any of these answers; decided" in source
    assert "not decided" in THIN._repr_html_()
    assert "No result: The server refused &lt;this&gt;." in FAILED._repr_html_()
    assert "0 % of the probability" in NONE._repr_html_()


def test_one_result_in_a_terminal_is_one_line() -> None:
    assert repr(result(Yes=0.6, No=0.3)).startswith("Classification('yes' 66.7 %, 90 % of the probability is on ")
    assert repr(FAILED) == "Classification(no result: The server refused <this>.)"
    assert repr(NONE).startswith("Classification(no answer, 0 % of the probability")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_model_or_a_user_becomes_html(text: str) -> None:
    plain = shown(many([FAILED])).names
    one = to_classification(label_distribution({text: -0.1}, [text, "b"]), [])
    table = Classifications([one], [text], [text, "b"], "exact", index=pd.Index([text]))
    for source in (table._repr_html_(), one._repr_html_(), failed_result([text], text)._repr_html_()):
        assert set(Parsed(source).names) <= {*plain, "span"}
        assert text not in source or "<" not in text
        assert "mathjax_ignore" in source
    failed = Classifications([failed_result([text], text)], [text], [text], "exact")
    assert set(shown(failed).names) == set(plain)
    assert shown(failed).rows[1][1] == printable(text)


@given(st.text(max_size=300), st.text(min_size=1), st.text())
def test_any_text_is_shown_as_it_is_but_for_control_characters(text: str, label: str, reason: str) -> None:
    failed = Classifications([failed_result([label], reason)], [text], [label], "exact")
    assert shown(failed).rows[1] == ["0", printable(text), f"no result: {printable(reason)}"]


def test_a_long_input_is_cut_and_does_not_hide_the_other_rows() -> None:
    found = Classifications([SURE], ["word " * 1000], ANSWERS, "exact")
    (_, row) = shown(found).rows
    assert len(row[1]) == 300
    assert row[1].endswith("…")


def test_the_colours_follow_the_theme() -> None:
    source = many([SURE])._repr_html_()
    assert "light-dark(" in source
    assert "body[data-jp-theme-light" in source
    assert len(source) < 6000


# Inputs as text -------------------------------------------------------------------------------------------------------


class Row(tuple):
    """A tuple with a field called text, as pandas makes them."""

    text = "only this field"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a text", "a text"),
        (RawPrompt("Once upon"), "Once upon"),
        (("Paris", "France"), "Paris | France"),
        (("Paris", 3, 2.5), "Paris | 3 | 2.5"),
        (Row(("a", "b")), "a | b"),
        ({"city": "Paris", "n": 3}, "city: Paris | n: 3"),
        (Conversation().system("Be brief.").user("Is it?"), "system: Be brief. | user: Is it?"),
        (Conversation().user("Is it?").assistant_prefix("I think"), "user: Is it? | assistant: I think…"),
        ([Message("user", "Is it?")], "user: Is it?"),
        ([{"role": "user", "content": "Is it?"}], "user: Is it?"),
        (3, "3"),
    ],
)
def test_an_input_is_shown_as_text(value: Any, text: str) -> None:
    assert format_value(value) == text


# Little mass ----------------------------------------------------------------------------------------------------------


def by_classify(texts: list[str]) -> Any:
    return classify(texts, ["yes", "no"], client(), template="{0}", show_progress=False)


def by_score(texts: list[str]) -> Any:
    return score_llm("{0}", texts, client(), True, show_progress=False, return_details=True)


def by_score_alone(texts: list[str]) -> Any:
    return score_llm("{0}", texts, client(), True, show_progress=False)


ASKERS = [by_classify, by_score, by_score_alone]


@pytest.fixture
def weighing(server: ChatServer) -> ChatServer:
    """A server that puts little probability on any answer where the text is "thin", and refuses the text "bad"."""

    def answer(seen: Seen, number: int) -> Reply:
        if "bad" in seen.question:
            return error("refused", status=400)
        p = {"Well": 0.9, "Yes": 0.04} if "thin" in seen.question else {"Yes": 0.7, "No": 0.2}
        return Reply(chat(seen, [(next(iter(p)), p)]))

    server.answer = answer
    return server


def caught(ask: Callable[[list[str]], Any], texts: list[str]) -> list[str]:
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        ask(texts)
    assert all(each.category is UserWarning and each.filename == __file__ for each in record)
    return [str(each.message) for each in record]


@pytest.mark.parametrize("ask", ASKERS)
@pytest.mark.parametrize(("thin", "fine", "bad"), [(12, 0, 0), (6, 5, 0), (6, 5, 2), (10, 0, 0)])
def test_one_warning_says_that_most_rows_have_little_mass(
    ask: Callable[[list[str]], Any], weighing: ChatServer, thin: int, fine: int, bad: int
) -> None:
    (message,) = caught(ask, ["thin"] * thin + ["fine"] * fine + ["bad"] * bad)
    assert message == (
        f"{thin} of {thin + fine} inputs have less than 5 % of the probability on any label: does the prompt name them?"
    )


@pytest.mark.parametrize("ask", ASKERS)
@pytest.mark.parametrize(("thin", "fine", "bad"), [(9, 0, 0), (5, 5, 0), (0, 12, 0), (0, 0, 12), (9, 0, 5), (1, 2, 9)])
def test_few_rows_or_few_thin_ones_give_no_warning(
    ask: Callable[[list[str]], Any], weighing: ChatServer, thin: int, fine: int, bad: int
) -> None:
    messages = caught(ask, ["thin"] * thin + ["fine"] * fine + ["bad"] * bad)
    assert [message for message in messages if "prompts failed" not in message] == []
    assert len(messages) == (bad > thin + fine)
