"""Every notebook of the course in a kernel: unfilled, with right answers and with wrong ones, and as a page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Page, expect

from deluge_nb.lab.lesson import Lesson
from deluge_nb.lab.lessons import LESSONS
from tests.browser.conftest import Jupyter
from tests.browser.test_course import Learner
from tests.lab.notebooks import calls_of, cells_of, filled
from tests.lab.test_lessons import lesson_id, plain
from tests.test_kernel import Kernel, running_kernel

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.model, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel for all lessons, so that one server and its answers are shared."""
    with running_kernel(tmp_path_factory.mktemp("course")) as kernel:
        yield kernel


def run(kernel: Kernel, lesson: Lesson, values: dict[str, Any]) -> list[Any]:
    """Run a notebook from top to bottom, and return its cells of code with their outputs."""
    kernel.run("%reset -f")
    cells: list[Any] = []
    for cell in cells_of(lesson):
        if cell.kind != "code":
            continue
        source = filled(cell, values)
        ran = kernel.finish(kernel.start(source), timeout=300)
        assert ran.status == "ok", ran.printed
        outputs = [new_output("display_data", data=data) for data in (*ran.displays, ran.value) if data]
        printed = [new_output("stream", text=ran.printed)] if ran.printed else []
        cells.append(new_code_cell(source, outputs=outputs + printed))
    return cells


def texts_of(cells: list[Any]) -> str:
    """Return the texts that cells show."""
    outputs = [output for cell in cells for output in cell.outputs]
    return "\n".join(output.get("text") or output.data.get("text/plain", "") for output in outputs)


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


@pytest.fixture(scope="module")
def rightly(kernel: Kernel) -> Callable[[Lesson], list[Any]]:
    """Return a function that runs a notebook with right answers, once for all tests."""
    played: dict[int, list[Any]] = {}

    def play(lesson: Lesson) -> list[Any]:
        if lesson.number not in played:
            values = guesses_of(lesson) | answers_of(lesson, right=True)
            played[lesson.number] = run(kernel, lesson, values)
        return played[lesson.number]

    return play


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_an_unfilled_notebook_asks_for_guesses_and_breaks_nothing(kernel: Kernel, lesson: Lesson) -> None:
    shown = texts_of(run(kernel, lesson, {}))
    assert shown.count("Guess first") == len(lesson.reveals)
    assert shown.count("To do. Put your answer") == len(lesson.exercises)
    assert not any(plain(part.after) in shown for part in lesson.reveals.values())


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_right_answers_are_accepted(rightly: Callable[[Lesson], list[Any]], lesson: Lesson) -> None:
    shown = texts_of(rightly(lesson))
    for part in lesson.reveals.values():
        assert plain(part.after) in shown
    for key in lesson.exercises.values():
        assert f"Right. {plain(key().right)}" in shown


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_wrong_answers_are_explained(kernel: Kernel, lesson: Lesson) -> None:
    shown = texts_of(run(kernel, lesson, guesses_of(lesson) | answers_of(lesson, right=False)))
    for key in lesson.exercises.values():
        assert f"Not yet. {plain(key().wrong[0].why)}" in shown


def is_chart(output: Any) -> bool:
    return any("vega" in kind for kind in output.get("data", ()))


# JupyterLab shows cells that are out of sight only after a while: the outputs of each lesson are those of one cell.
def test_the_pages_of_all_lessons_are_accessible_in_both_themes(
    page: Page, jupyter: Jupyter, rightly: Callable[[Lesson], list[Any]]
) -> None:
    shown = [[output for cell in rightly(lesson) for output in cell.outputs] for lesson in LESSONS]
    cells = [
        new_code_cell(f"# {lesson.title}", outputs=outputs) for lesson, outputs in zip(LESSONS, shown, strict=True)
    ]
    played = new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    (jupyter.root / "played.ipynb").write_text(nbformat.writes(played), encoding="utf-8")
    learner = Learner(page, jupyter, "played.ipynb", [])
    expect(page.locator(".vega-embed svg.marks")).to_have_count(sum(map(is_chart, itertools.chain(*shown))))
    learner.is_accessible_in_both_themes()
