"""Lessons of the course, played from top to bottom in JupyterLab by somebody who has a keyboard only."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from deluge_nb.lab.catalog import notebook_of
from deluge_nb.lab.lesson import Lesson
from deluge_nb.lab.lessons import LESSONS, lesson3, lesson5
from tests.browser.accessible import is_accessible
from tests.browser.conftest import Jupyter
from tests.browser.test_lab import in_kernel
from tests.browser.waits import becomes
from tests.lab.notebooks import Cell, cells_of

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(300)]

STARTED = """async () => {
    await window.jupyterapp.restored;
    await window.jupyterapp.shell.currentWidget.sessionContext.ready;
}"""
ACTIVE = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
HAS_RUN = "index => window.jupyterapp.shell.currentWidget.content.widgets[index].model.executionCount !== null"
FOCUSED_IN = "e => e.contains(document.activeElement)"
# The texts of a picture that are cut at its edges.
OUTSIDE = """(picture) => {
    const {left, right} = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll('text')];
    const isCut = (box) => box.left < left || box.right > right;
    return texts.filter((e) => isCut(e.getBoundingClientRect())).map((e) => e.textContent);
}"""
# The menu of a chart is part of JupyterLab, as is the page around the outputs.
OUTPUTS = {"include": [[".jp-OutputArea-output"]], "exclude": [[".vega-embed details"]]}


class Learner:
    """Somebody who plays a lesson by keys; only the results are read otherwise."""

    def __init__(self, page: Page, jupyter: Jupyter, notebook: str, cells: Sequence[Cell]) -> None:
        self.page, self.cells = page, cells
        self.hosts: set[str | None] = set()
        page.on("request", lambda sent: self._note(sent.url))
        page.on("websocket", lambda opened: self._note(opened.url))
        # Its own workspace, or JupyterLab opens the notebooks of other tests again.
        page.goto(jupyter.page_url(f"lab/workspaces/{notebook.removesuffix('.ipynb')}/tree/{notebook}"))
        page.wait_for_selector(".jp-NotebookPanel")
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext")
        page.evaluate(STARTED)

    def _note(self, url: str) -> None:
        if url.startswith(("http", "ws")):
            self.hosts.add(urlsplit(url).hostname)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def play(self, values: Mapping[str, str], until: str = "") -> Locator | None:
        """Run cells from the active one on, with values for their dots; return the cell that has the text `until`."""
        for index in range(self.page.evaluate(ACTIVE), len(self.cells)):
            cell, shown = self.cells[index], self.at(index)
            if until and cell.kind == "code" and until in cell.source:
                self.press("Control+Enter")
                self.page.wait_for_function(HAS_RUN, arg=index)
                return shown
            self._write(cell, values)
            self.press("Shift+Enter")
            if cell.kind == "code":
                self.page.wait_for_function(HAS_RUN, arg=index)
        return None

    def at(self, index: int) -> Locator:
        """Wait until the focus has followed to a cell, and return the cell."""
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(index)
        becomes(lambda: self.page.evaluate(ACTIVE), index, self.page)
        becomes(lambda: cell.evaluate(FOCUSED_IN), True, self.page)
        return cell

    def _write(self, cell: Cell, values: Mapping[str, str]) -> None:
        """Replace the dots of a cell, line by line."""
        lines = cell.source.splitlines() if cell.kind == "code" else []
        if not any(line.partition(" = ...")[0] in values for line in lines):
            return
        self.press("Enter", "Control+Home")
        for number, line in enumerate(lines):
            # From the end of the last line, the arrow would leave the cell.
            self.press(*["ArrowDown"] * bool(number))
            name, dots, comment = line.partition("...")
            if dots and name.removesuffix(" = ") in values:
                self.press("End", *["ArrowLeft"] * len(comment), *["Backspace"] * len(dots))
                self.page.keyboard.type(values[name.removesuffix(" = ")])

    def walk_to(self, target: Locator, key: str = "Tab") -> None:
        """Press Tab until an element has the focus."""
        for _ in range(30):
            if target.evaluate("e => e === document.activeElement"):
                return
            self.press(key)
        raise AssertionError(f"{key} does not reach {target}")

    def leave(self, cell: Locator, key: str = "ArrowDown") -> None:
        """Go back from a widget to its cell, and to the next one."""
        self.walk_to(cell, "Shift+Tab")
        self.press(key)

    def is_accessible_in_both_themes(self) -> None:
        is_accessible(self.page, OUTPUTS)
        # The server remembers the theme for the tests that follow.
        try:
            self._change_theme("Dark")
            is_accessible(self.page, OUTPUTS)
        finally:
            self._change_theme("Light")

    def _change_theme(self, theme: str) -> None:
        name = f"JupyterLab {theme}"
        self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        light = str(theme == "Light").lower()
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")


def says(page: Page, *sentences: str) -> None:
    """Check that a screen reader is given each sentence, in a region of role status."""
    for sentence in sentences:
        expect(page.get_by_role("status").filter(has_text=sentence).first).to_be_attached()


def begun(page: Page, jupyter: Jupyter, lesson: Lesson) -> Learner:
    shutil.copy(notebook_of(lesson), jupyter.root)
    return Learner(page, jupyter, f"{lesson.name}.ipynb", cells_of(lesson))


def test_lesson_3_is_played_by_keyboard_alone(page: Page, jupyter: Jupyter) -> None:
    learner = begun(page, jupyter, lesson3.LESSON)
    values = {"my_coffee": "0.4", "my_tail": "0.3", "answer_1": "2.855", "answer_2": "2", "answer_3": '"b"'}
    cell = learner.play(values, until="Dial(")
    assert cell is not None
    says(page, "P(coffee) at temperature 2: you said 0.4", "Half as probable? Temperature does not divide")

    slider = cell.get_by_role("slider", name="temperature", exact=True)
    learner.walk_to(slider)
    learner.press(*["ArrowRight"] * 5)
    dial = "[one.value for one in __import__('gc').get_objects() if type(one).__name__ == 'Dial']"
    becomes(lambda: in_kernel(page, dial), [2.0], page)
    expect(slider).to_have_attribute("aria-valuetext", "2.0")
    says(page, "At temperature 2: ·coffee 9.4 %")
    # The page's letters fit where Python has laid them out.
    assert cell.locator(".deluge-dial-picture svg").evaluate(OUTSIDE) == []

    learner.leave(cell)
    assert learner.play(values) is None
    says(page, "Right. Odds are raised to the power 1/T", "Not yet. The power is 1/T, not T.")
    answers = "[check(f'3.{n}', answer).ok for n, answer in enumerate((answer_1, answer_2, answer_3), 1)]"
    assert in_kernel(page, answers) == [True, False, True]
    learner.is_accessible_in_both_themes()
    assert learner.hosts == {"127.0.0.1"}


def placed(learner: Learner, sliders: Sequence[Locator], chips: Sequence[int]) -> None:
    """Place chips on the options by arrow keys, from the first slider on, which has the focus."""
    for slider, count in zip(sliders, chips, strict=True):
        expect(slider).to_be_focused()
        learner.press(*["ArrowRight"] * count, "Tab")


def test_lesson_5_is_played_by_keyboard_alone(page: Page, jupyter: Jupyter) -> None:
    learner = begun(page, jupyter, lesson5.LESSON)
    values = {"my_away": "0.9", "my_boils": "0.5", "my_saving": "9.1", "my_gap": "13", "my_cup": "1.5", "my_door": "3"}
    values |= {"answer_1": "2", "answer_2": "31.8", "answer_3": "1.75"}
    cell = learner.play(values, until="Bets(")
    assert cell is not None
    says(page, "the saving: you said 9.1 bits", "That would be a sentence nobody expects.")

    chips = (1, 17, 1, 1)
    bet = cell.get_by_role("button", name="Bet", exact=True)
    first = cell.get_by_role("slider", name="horse", exact=True)
    expect(bet).to_be_disabled()
    learner.walk_to(first)
    for number in range(1, 6):
        expect(cell.get_by_text(f"{number} of 5: ")).to_be_visible()
        placed(learner, cell.get_by_role("slider").all(), chips)
        expect(bet).to_be_focused()
        says(page, "all chips placed")
        learner.press("Enter")
    # The button is gone, and the focus is not lost.
    expect(cell.get_by_text("All played.")).to_be_focused()
    assert in_kernel(page, "len(game.history)") == 5
    assert in_kernel(page, "[sorted(bet.share) for bet in game.history]") == [[0.05, 0.05, 0.05, 0.85]] * 5
    says(page, in_kernel(page, "game.summary"))

    learner.leave(cell)
    assert learner.play(values) is None
    says(page, "cup of …: you said 1.5 bits", "Right. Two heads in a row.")
    answers = "[check(f'5.{n}', answer).ok for n, answer in enumerate((answer_1, answer_2, answer_3), 1)]"
    assert in_kernel(page, answers) == [True, True, True]
    learner.is_accessible_in_both_themes()
    assert learner.hosts == {"127.0.0.1"}


# Calls that show something to play, in the lessons that are not played above.
WIDGETS = ("EventPicker(", "Dial(", "lesson8.game()")
DIALS = """{one.label: [one.texts, [frame["text"] for frame in one.frames]]
    for one in __import__('gc').get_objects() if type(one).__name__ == 'Dial'}"""
POSITIONS = "{d.label: d.position for d in __import__('gc').get_objects() if type(d).__name__ == 'Dial'}"
EVENTS = "[one.probability for one in __import__('gc').get_objects() if type(one).__name__ == 'EventPicker']"
RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
RING = "e => getComputedStyle(e).outlineStyle"


def widget_cells() -> list[str]:
    """Return the cells of the other lessons that show a widget, each with the imports of its lesson."""
    sources: list[str] = []
    for lesson in LESSONS:
        if lesson not in (lesson3.LESSON, lesson5.LESSON):
            imports, *code = (cell.source for cell in cells_of(lesson) if cell.kind == "code")
            sources += [f"{imports}\n{source}" for source in code if any(call in source for call in WIDGETS)]
    return sources


def turn(learner: Learner, cell: Locator, dials: Mapping[str, Any], *keys: str) -> str:
    """Move a dial by keys and its button to its third value, and return its name."""
    slider = cell.get_by_role("slider")
    name = slider.evaluate("e => e.labels[0].textContent")
    texts, charts = dials[name]
    learner.walk_to(slider)
    assert slider.evaluate(RING) == "solid"
    last = len(texts) - 1
    for key in keys:
        position = {"Home": 0, "PageUp": 1, "ArrowRight": 2, "ArrowDown": 1, "End": last, "ArrowLeft": last - 1}[key]
        learner.press(key)
        expect(slider).to_have_attribute("aria-valuetext", texts[position])
        expect(cell.get_by_role("status").last).to_have_text(charts[position])
    learner.press("Tab")
    expect(cell.get_by_role("button", name="one step more")).to_be_focused()
    learner.press("Enter")
    expect(slider).to_have_attribute("aria-valuetext", texts[2])
    return name


def tick(learner: Learner, cell: Locator, event: float) -> None:
    """Put the first two outcomes into an event, or take them out of it, on the way to the last one."""
    boxes = cell.get_by_role("checkbox").all()
    learner.walk_to(boxes[0])
    assert boxes[0].evaluate(RING) == "solid"
    learner.press("Space")
    for box in boxes[1:]:
        learner.press("Tab")
        expect(box).to_be_focused()
        if box is boxes[1]:
            learner.press("Space")
    expect(cell.get_by_role("status")).to_have_text(f"P(event) = {event:.3f}, P(not the event) = {1 - event:.3f}")


def bet(learner: Learner, cell: Locator) -> None:
    sliders = cell.get_by_role("slider").all()
    learner.walk_to(sliders[0])
    assert sliders[0].evaluate(RING) == "solid"
    placed(learner, sliders, (17, 1, 1, 1))
    learner.press("Enter")


def test_the_widgets_of_all_other_lessons_are_played_by_keyboard_and_outlive_the_kernel(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str]
) -> None:
    sources = widget_cells()
    cells = [Cell("code", source, ()) for source in sources]
    learner = Learner(page, jupyter, notebook("widgets.ipynb", *sources), cells)
    heads, dials, names = 0.0, dict[str, Any](), list[str]()
    for index, source in enumerate(sources):
        cell = learner.at(index)
        learner.press("Control+Enter")
        page.wait_for_function(HAS_RUN, arg=index)
        if "Dial(" in source:
            dials = in_kernel(page, DIALS)
            names.append(turn(learner, cell, dials, "End", "ArrowLeft", "Home", "PageUp", "ArrowRight", "ArrowDown"))
        elif "EventPicker(" in source:
            heads = in_kernel(page, "sum(likeliest(coin, 2).values())")
            tick(learner, cell, heads)
        else:
            bet(learner, cell)
            expect(cell.get_by_text("2 of 6: ")).to_be_visible()
            expect(cell.get_by_role("slider").first).to_be_focused()
        learner.walk_to(cell, "Shift+Tab")
        if index < len(sources) - 1:
            learner.press("ArrowDown")
    assert len(names) == 6
    becomes(lambda: in_kernel(page, POSITIONS), dict.fromkeys(names, 2), page)
    assert in_kernel(page, EVENTS) == [pytest.approx(heads)]
    assert in_kernel(page, "sorted(game.history[0].share)") == [0.05, 0.05, 0.05, 0.85]

    page.set_viewport_size({"width": 400, "height": 900})
    page.evaluate(RESTART)
    for index in reversed(range(len(sources))):
        source, cell = sources[index], learner.page.locator(".jp-Notebook .jp-Cell").nth(index)
        if "Dial(" in source:
            turn(learner, cell, dials, "Home", "PageUp")
        elif "EventPicker(" in source:
            tick(learner, cell, 0.0)
        else:
            bet(learner, cell)
            expect(cell.get_by_text("no kernel answers; run the cell again")).to_be_visible()
        if index:
            learner.leave(cell, "ArrowUp")
            learner.at(index - 1)
    learner.is_accessible_in_both_themes()
    assert learner.hosts == {"127.0.0.1"}
