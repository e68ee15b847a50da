"""Every notebook of the course in a kernel: unfilled, with right answers and with wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from deluge_nb.lab.lesson import Lesson
from deluge_nb.lab.lessons import LESSONS
from tests.lab.notebooks import calls_of, cells_of, filled
from tests.lab.test_lessons import lesson_id, plain
from tests.test_kernel import Kernel, running_kernel

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel for all lessons, so that one server and its answers are shared."""
    with running_kernel(tmp_path_factory.mktemp("course")) as kernel:
        yield kernel


def run(kernel: Kernel, lesson: Lesson, values: dict[str, Any]) -> str:
    """Run a notebook from top to bottom, and return the texts that it shows."""
    kernel.run("%reset -f")
    texts: list[str] = []
    for cell in cells_of(lesson):
        if cell.kind != "code":
            continue
        ran = kernel.finish(kernel.start(filled(cell, values)), timeout=300)
        assert ran.status == "ok", ran.printed
        texts += [str(shown.get("text/plain", "")) for shown in (*ran.displays, ran.value)] + [ran.printed]
    return "\n".join(texts)


def guesses_of(lesson: Lesson) -> dict[str, float]:
    """Return guesses for all reveals, by the variables that the notebook gives them."""
    return {
        variable: 0.5 if lesson.reveals[number].guesses[name].kind == "probability" else 7.0
        for number, variables in calls_of(lesson, "reveal").items()
        for name, variable in variables.items()
    }


def answers_of(lesson: Lesson, *, right: bool) -> dict[str, Any]:
    """Return answers to all exercises, by the variables that the notebook gives them."""
    answers = {}
    for number, variables in calls_of(lesson, "check").items():
        key = lesson.exercises[number]()
        answers[variables["answer"]] = key.truth if right else key.wrong[0].value
    return answers


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_an_unfilled_notebook_asks_for_guesses_and_breaks_nothing(kernel: Kernel, lesson: Lesson) -> None:
    shown = run(kernel, lesson, {})
    assert shown.count("Guess first") == len(lesson.reveals)
    assert shown.count("To do. Put your answer") == len(lesson.exercises)
    assert not any(plain(part.after) in shown for part in lesson.reveals.values())


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_right_answers_are_accepted(kernel: Kernel, lesson: Lesson) -> None:
    shown = run(kernel, lesson, guesses_of(lesson) | answers_of(lesson, right=True))
    for part in lesson.reveals.values():
        assert plain(part.after) in shown
    for key in lesson.exercises.values():
        assert f"Right. {plain(key().right)}" in shown


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_wrong_answers_are_explained(kernel: Kernel, lesson: Lesson) -> None:
    shown = run(kernel, lesson, guesses_of(lesson) | answers_of(lesson, right=False))
    for key in lesson.exercises.values():
        assert f"Not yet. {plain(key().wrong[0].why)}" in shown
