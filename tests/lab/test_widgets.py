"""The widgets of the course, in Python: a dial, bets and an event."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import altair as alt
import pytest

from deluge_nb import SettingError
from deluge_nb.lab import Bets, Dial, EventPicker, Question

QUESTIONS = [Question("Two and two are", ("four", "five", "six")), Question("<b>One", ("$x$", "&amp;"))]
SHARES = [[0.5, 0.25, 0.25], [0.75, 0.25]]


def bar(value: float) -> Any:
    rows = alt.InlineData(values=[{"p": value}])
    return alt.Chart(rows).mark_bar().encode(x="p:Q").properties(description=f"p is {value:g}")


@pytest.mark.parametrize(
    ("low", "high", "step", "count", "last"), [(0.2, 3, 0.1, 29, 3.0), (0, 1, 0.3, 4, 0.9), (-5, 5, 1, 11, 5.0)]
)
def test_the_steps_of_a_dial_are_the_numbers_one_writes(
    low: float, high: float, step: float, count: int, last: float
) -> None:
    dial = Dial("x", low, high, step)
    assert len(dial.steps) == count
    assert dial.steps[-1] == last
    assert all(len(str(value)) <= 4 for value in dial.steps)


def test_a_dial_keeps_value_and_position_together() -> None:
    dial = Dial("temperature", 0.5, 2, 0.5, 1)
    assert (dial.position, dial.value) == (1, 1.0)
    dial.position = 3
    assert dial.value == 2.0
    dial.value = 1.4
    assert (dial.position, dial.value) == (2, 1.5)
    dial.position = 99
    assert dial.value == 2.0


def test_a_dial_draws_the_chart_of_its_value() -> None:
    dial = Dial("n", values=[1, 10, 100], show=bar)
    assert dial.picture["text"] == "p is 1"
    dial.value = 100
    assert dial.picture["text"] == "p is 100"
    assert dial.drawn == 2
    assert dial.picture["svg"].startswith("<svg")


def test_frames_are_drawn_beforehand_and_need_no_python(tmp_path: Path) -> None:
    dial = Dial("n", values=[1, 10], frames=bar)
    assert [frame["text"] for frame in dial.frames] == ["p is 1", "p is 10"]
    dial.save_html(tmp_path / "dial.html")
    page = (tmp_path / "dial.html").read_text()
    assert "p is 10" in page
    assert "<title>n</title>" in page


@pytest.mark.parametrize(
    "settings",
    [
        {"low": 0, "high": 1},
        {"low": 1, "high": 0, "step": 0.1},
        {"low": 0, "high": 1, "step": 0},
        {"low": 0, "high": 1, "step": 1e-9},
        {"low": 0, "high": math.inf, "step": 1},
        {"values": [3, 2]},
        {"values": [1]},
        {"values": [1, 2], "low": 0},
        {"values": [1, 2], "value": 3},
        {"values": [1, 2], "frames": [bar(1)]},
        {"values": [1, 2], "frames": bar, "show": bar},
        {"values": [1, 2], "format": "nonsense"},
        {"values": [1, 2], "label": " "},
    ],
    ids=", ".join,
)
def test_a_dial_without_steps_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        Dial(settings.pop("label", "x"), **settings)


def test_the_static_form_of_a_dial_says_name_value_and_chart() -> None:
    forms = Dial("<b>n</b>", values=[1, 10], frames=bar)._static_forms()
    assert "&lt;b&gt;n&lt;/b&gt;: 1" in forms["text/html"]
    assert 'alt="p is 1"' in forms["text/html"]
    assert forms["text/plain"] == "<b>n</b> 1: p is 1"


def test_both_sides_pay_the_surprisal_of_the_right_word() -> None:
    game = Bets(QUESTIONS, SHARES, chips=4)
    shown = game.options
    game.bet([2 if option == "four" else 1 for option in shown])
    assert game.history[0].paid == 1.0
    assert game.history[0].model_paid == 1.0
    assert "four" in game.summary


def test_no_chip_on_the_right_word_costs_without_end() -> None:
    game = Bets(QUESTIONS, SHARES, chips=4)
    game.bet([4 if option == "five" else 0 for option in game.options])
    assert game.history[0].paid == math.inf
    assert "∞" in game.summary


def test_the_page_is_never_sent_an_answer_before_the_bet() -> None:
    game = Bets(QUESTIONS, SHARES, chips=4)
    state = game.get_state()
    assert not state["rounds"]
    assert "0.5" not in str({name: state[name] for name in ("text", "options", "summary")})
    assert game.options != list(QUESTIONS[0].options) or game._order(0) == [0, 1, 2]


@pytest.mark.parametrize("chips", [[1, 1, 1], [5, 0, -1], [4, 0], "400", None, [1.5, 1.5, 1], [True, 2, 1]], ids=str)
def test_chips_that_do_not_add_up_are_refused_and_nothing_is_played(chips: Any) -> None:
    game = Bets(QUESTIONS, SHARES, chips=4)
    with pytest.raises(SettingError, match="chips must be"):
        game.bet(chips)
    assert not game.history


def test_a_game_ends_after_its_last_question() -> None:
    game = Bets(QUESTIONS, SHARES, chips=2)
    game.bet([1, 1, 0])
    game.bet([1, 1])
    assert game.options == []
    with pytest.raises(SettingError, match="All questions were played"):
        game.bet([1, 1])
    assert game.report("model").accuracy.value == 1.0


def test_of_equally_many_chips_the_first_word_shown_is_the_answer() -> None:
    game = Bets(QUESTIONS, SHARES, chips=6)
    first = [game.options[0]]
    game.bet([2, 2, 2])
    first.append(game.options[0])
    game.bet([3, 3])
    right = [word == question.options[0] for word, question in zip(first, QUESTIONS, strict=True)]
    assert game.report().correct.tolist() == right
    assert not all(right)


def test_the_static_form_of_bets_escapes_what_was_played() -> None:
    game = Bets(QUESTIONS, SHARES, chips=2)
    game.bet([1, 1, 0])
    game.bet([1, 1])
    shown = game._static_forms()["text/html"]
    assert "&lt;b&gt;One" in shown
    assert "&amp;amp;" not in shown.replace("$x$", "")
    assert "mathjax_ignore" in shown


@pytest.mark.parametrize("shares", [[[0.5, 0.5], [1, 0]], [[0.5, 0.5, 0.5], [1, 0]], [[-1, 1, 1], [1, 0]], [[1, 0, 0]]])
def test_shares_that_do_not_fit_the_questions_are_refused(shares: Any) -> None:
    with pytest.raises(SettingError, match="shares must be"):
        Bets(QUESTIONS, shares)


TOP = [{"token": text, "logprob": p} for text, p in ((" heads", -0.5), (" tails", -1.5), (" <i>", -3.0))]
TABLE = [{"token": " heads", "logprob": -0.5, "top_logprobs": TOP}]


def test_ticked_tokens_and_everything_else_form_an_event() -> None:
    picker = EventPicker(TABLE)
    assert picker.probability == 0
    picker.pick("heads", " tails")
    assert picker.probability == pytest.approx(math.exp(-0.5) + math.exp(-1.5))
    picker.ticked = [*picker.ticked, 3, 99]
    assert picker.probability == pytest.approx(1 - math.exp(-3.0))
    with pytest.raises(SettingError, match="tokens of the list"):
        picker.pick("sides")


def test_the_static_form_of_an_event_says_what_is_in_it() -> None:
    picker = EventPicker(TABLE, count=3)
    picker.pick("<i>")
    forms = picker._static_forms()
    assert forms["text/plain"].splitlines() == [
        "P(event) = 0.050, P(not the event) = 0.950",
        "In the event: ·<i> 5 %",
        "Not in it: ·heads 60.7 %, ·tails 22.3 %, everything else 12.1 %",
    ]
    assert "·&lt;i&gt; 5 %" in forms["text/html"]
    assert repr(picker) == "EventPicker(P(event) = 0.050, P(not the event) = 0.950)"
