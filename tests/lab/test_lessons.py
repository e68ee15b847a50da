"""Every lesson: its frame, its answers with the mistakes they name, and no answer in a notebook before its guess."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from deluge_nb.lab import check, reveal
from deluge_nb.lab.lesson import Key, Lesson, format_number
from deluge_nb.lab.lessons import LESSONS
from tests.lab.notebooks import calls_of, cells_of, is_bare

EXERCISES = [(lesson, number) for lesson in LESSONS for number in lesson.exercises]
REVEALS = [(lesson, number) for lesson in LESSONS for number in lesson.reveals]
TAGS = {"setup", "prediction", "reveal", "exercise", "claim", "play"}


def lesson_id(value: Any) -> str:
    return value.name if isinstance(value, Lesson) else str(value)


def plain(text: str) -> str:
    return text.replace("*", "")


def word_count(prose: str) -> int:
    """Return the number of words, without formulas."""
    return len(re.findall(r"[^\W\d_][\w’'-]*", re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", prose, flags=re.DOTALL)))


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_a_notebook_has_the_frame_of_a_lesson(lesson: Lesson) -> None:
    cells = cells_of(lesson)
    prose = "\n".join(cell.source for cell in cells if cell.kind == "markdown")
    assert prose.startswith(f"# {lesson.number} · {lesson.title}\n")
    assert f"{lesson.minutes} minutes" in prose
    assert word_count(prose) <= 700
    assert all(len(line) <= 72 for cell in cells if cell.kind == "code" for line in cell.source.splitlines())
    assert {tag for cell in cells for tag in cell.tags} <= TAGS
    assert is_bare(lesson)


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_every_reveal_stands_below_the_guesses_it_answers(lesson: Lesson) -> None:
    code = [cell for cell in cells_of(lesson) if cell.kind == "code"]
    for before, cell in itertools.pairwise(code):
        if "reveal" in cell.tags:
            assert "prediction" in before.tags
    reveals = calls_of(lesson, "reveal")
    assert reveals.keys() == lesson.reveals.keys()
    assert all(reveals[number].keys() == lesson.reveals[number].guesses.keys() for number in reveals)
    assert calls_of(lesson, "check").keys() == lesson.exercises.keys()


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), EXERCISES, ids=lesson_id)
def test_the_right_answer_is_accepted_and_every_mistake_is_named(lesson: Lesson, number: str) -> None:
    key = lesson.exercises[number]()
    right = check(number, key.truth)
    assert right.ok
    assert plain(key.right) in right.text
    assert 2 <= len(key.wrong) <= 5
    for mistake in key.wrong:
        answered = check(number, mistake.value)
        assert not answered.ok
        assert answered.text == f"Not yet. {plain(mistake.why)}", mistake


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), EXERCISES, ids=lesson_id)
def test_an_exercise_says_what_form_an_answer_has(lesson: Lesson, number: str) -> None:
    key = lesson.exercises[number]()
    for value in (None, "word", True, float("nan"), (), object()):
        answered = check(number, value)
        assert not answered.ok
        assert re.search(r"number|[Cc]hoose one", answered.text), (value, answered)
    assert check(number, ...).state == "todo"
    assert _other(key) is None or not check(number, _other(key)).ok


def _other(key: Key) -> Any:
    """Return an answer that is no known mistake."""
    if isinstance(key.truth, str):
        return None
    if isinstance(key.truth, tuple):
        return tuple(2 * end + 1000 for end in key.truth)
    return 2 * key.truth + 1000


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), REVEALS, ids=lesson_id)
def test_a_reveal_answers_the_guess_and_hands_out_the_truth(lesson: Lesson, number: str) -> None:
    guesses = lesson.reveals[number].guesses
    truths = {name: guess.truth() for name, guess in guesses.items()}
    close = reveal(number, **truths)
    assert close.ok
    assert close.text.count("(close)") == len(guesses)
    assert close.truths == pytest.approx(truths)
    assert plain(lesson.reveals[number].after) in close.text
    for name in guesses:
        unmade = reveal(number, **{**truths, name: ...})
        assert not unmade.ok
        assert not unmade.truths
        assert plain(lesson.reveals[number].after) not in unmade.text
        assert "Guess first" in unmade.text


def _answers(key: Key) -> list[str]:
    """Return the texts and numbers of a key that would give it away; numbers of one or two digits are everywhere."""
    values = key.truth if isinstance(key.truth, tuple) else (key.truth,)
    numbers = [format_number(value) for value in values if not isinstance(value, str)]
    telling = [number for number in numbers if len(re.sub(r"\D", "", number).lstrip("0")) >= 3]
    return [key.right, *(mistake.why for mistake in key.wrong), *telling]


def _sources() -> str:
    return "\n".join(cell.source for lesson in LESSONS for cell in cells_of(lesson))


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), EXERCISES, ids=lesson_id)
def test_no_notebook_has_the_answer_of_an_exercise(lesson: Lesson, number: str) -> None:
    sources = _sources()
    assert not [text for text in _answers(lesson.exercises[number]()) if text in sources or plain(text) in sources]


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), REVEALS, ids=lesson_id)
def test_no_notebook_has_what_a_reveal_says(lesson: Lesson, number: str) -> None:
    part = lesson.reveals[number]
    numbers = [format_number(guess.truth()) for guess in part.guesses.values()]
    telling = [text for text in numbers if len(re.sub(r"\D", "", text).lstrip("0")) >= 3]
    sources = _sources()
    assert not [text for text in [part.after, plain(part.after), *telling] if text in sources]


def test_the_record_of_an_answer_can_be_kept_in_a_notebook() -> None:
    for feedback in (check("5.1", 2), check("5.1", object()), reveal("5.1", away=..., never=0.5)):
        _, metadata = feedback._repr_mimebundle_()
        record = json.loads(json.dumps(metadata))["deluge_nb"]
        assert record["id"] == "5.1"
        assert record["state"] == feedback.state
