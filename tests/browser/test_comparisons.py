"""The table of many comparisons: sorting, opening rows, keys, narrow pages, and what is said without a kernel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import APIResponse, Comparisons, Logprobs
from deluge_nb.comparisons import saved
from deluge_nb.render.assets import STATIC, read_asset

from .accessible import is_accessible
from .conftest import HOST, Jupyter, encoded
from .tables import entry
from .test_compare import DARK, LIGHT
from .test_forced_colours import picture, pictures_differ
from .test_lab import in_kernel, open_and_run

pytestmark = pytest.mark.browser

Shown = Callable[..., Page]
HOSTILE = "<img src=x onerror=alert(1)> $x^2$ \u202e" + "w" * 80
# Gives the page what Python computed for the opened row.
LOADED = """([comparison, data, alignment]) => {
    const view = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    window.model.set('data', view(data));
    window.model.set('alignment', view(alignment));
    window.model.set('comparison', comparison);
}"""


def answer(*words: str, p: float = 0.5) -> Logprobs:
    return Logprobs.from_entries(entry(word, p, **{" other": 0.1}) for word in words)


def small(count: int = 3) -> Comparisons:
    long = [answer(*f"the answer number {row}".split(), p=0.9 - 0.3 * (row % 3)) for row in range(count)]
    short: list[Any] = [answer("the", str(row), p=0.5) for row in range(count)]
    short[1] = APIResponse("m", is_error=True, error_message="HTTP 500: try again later")
    return Comparisons([f"question {row}" for row in range(count)], {"long": long, "a short one": short})


@pytest.fixture
def shown(page: Page) -> Shown:
    """Put a table on a page of its own; ``window.model`` is its model."""

    def put(table: Comparisons, *, theme: str = "", width: int = 1080) -> Page:
        state, binary = encoded(table)  # type: ignore[bad-argument-type]
        known = {"STATE": state, "BINARY": binary, "SOURCE": read_asset("comparisons.js")}
        script = "\n".join(f"const {name} = {json.dumps(value)};" for name, value in known.items()) + HOST
        page.set_viewport_size({"width": width, "height": 800})
        page.set_content(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Compared</title>'
            f"<style>{(STATIC / 'comparisons.css').read_text(encoding='utf-8')}</style></head>"
            f'<body {theme} style="background: {"#111" if theme == DARK else "#fff"}"><main></main></body></html>'
        )
        page.add_script_tag(content=script, type="module")
        page.wait_for_function("window.ready")
        return page

    return put


def load(page: Page, table: Comparisons) -> None:
    """Do as Python does when the page has opened a row."""
    table.opened = page.evaluate("window.model.get('opened')")
    state, _ = encoded(table)  # type: ignore[bad-argument-type]
    page.evaluate(LOADED, [state["comparison"], state["data"], state["alignment"]])


def labels(page: Page) -> list[str]:
    return page.locator(".deluge-opener").all_text_contents()


def sorted_columns(page: Page) -> dict[str, str]:
    """Return the headings that are sorted, with their direction."""
    headings = page.locator("th[aria-sort]:not([aria-sort=none])")
    return dict(headings.evaluate_all("all => all.map(e => [e.dataset.sort, e.getAttribute('aria-sort')])"))


def test_a_heading_sorts_as_python_does_by_click_and_by_key(shown: Shown) -> None:
    table = small(30)
    page = shown(table)
    heading = page.locator('[data-sort="difference:a short one"] button')
    heading.click()
    table.sort_by = "difference:a short one"
    assert labels(page) == [str(row) for row in table.order[:25]]
    assert sorted_columns(page) == {"difference:a short one": "ascending"}
    page.keyboard.press("Enter")
    table.descending = True
    assert labels(page) == [str(row) for row in table.order[:25]]
    assert sorted_columns(page) == {"difference:a short one": "descending"}
    page.get_by_label("Next rows").click()
    assert labels(page) == [str(row) for row in table.order[25:]]
    expect(page.locator("[role=status]")).to_have_text("rows 26–30 of 30")
    heading.press("Enter")
    assert labels(page) == [str(row) for row in range(25)]


def test_a_row_opens_its_comparison_and_escape_closes_it(shown: Shown) -> None:
    table = small()
    page = shown(table)
    page.keyboard.press("Tab")
    for _ in range(20):
        if page.evaluate("document.activeElement.classList.contains('deluge-opener')"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    opened = page.locator(".deluge-opened")
    expect(opened).to_contain_text("asking Python")
    assert page.evaluate("window.sent") == [{"row": 2}]
    load(page, table)
    expect(opened.locator(".deluge-comparison")).to_be_visible()
    assert page.locator(".deluge-opener").last.get_attribute("aria-expanded") == "true"
    box = opened.locator(".deluge-box")
    assert box.locator('[data-of="0"]').all_text_contents() == table[2].tables[0].tokens
    box.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(4):  # the card, the selection, then the row
        page.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    assert page.evaluate("document.activeElement.textContent") == "2"
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.textContent") == "1"


def test_a_row_that_cannot_be_compared_says_why(shown: Shown) -> None:
    table = small()
    page = shown(table)
    page.get_by_text("question 1").click()
    load(page, table)
    expect(page.locator(".deluge-opened")).to_contain_text("fewer than two answers with log-probabilities")


def test_without_a_kernel_an_opened_row_says_so_at_once(shown: Shown) -> None:
    page = shown(small())
    page.evaluate("() => { window.model.send = () => { throw new Error('Cannot send'); }; }")
    page.get_by_text("question 0").click()
    expect(page.locator(".deluge-opened")).to_have_text("no kernel answers; run the cell again")


def test_sorting_keeps_the_opened_comparison_below_its_row(shown: Shown) -> None:
    table = small()
    page = shown(table)
    page.get_by_text("question 0").click()
    load(page, table)
    page.locator('[data-sort=""] button').click()
    assert labels(page) == ["2", "1", "0"]
    row = page.locator(".deluge-opened").evaluate("e => e.previousElementSibling.dataset.row")
    assert row == "0"
    expect(page.locator(".deluge-opened .deluge-comparison")).to_be_visible()


@pytest.mark.parametrize("width", [220, 400, 700, 1080])
@pytest.mark.parametrize("static", [False, True], ids=["widget", "static"])
def test_the_table_fits_its_page_with_the_longest_words(shown: Shown, width: int, static: bool) -> None:
    table = Comparisons([HOSTILE, "x"], {HOSTILE: [answer(HOSTILE), answer("a")], "b": [answer("b"), answer(HOSTILE)]})
    page = shown(table, width=width)
    if static:
        page.set_content(table.to_html(standalone=True))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("img").count() == 0
    frame = page.locator(".deluge-frame-table").bounding_box()
    cells = page.locator(".deluge-frame-table td").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).map(({left, right}) => [left, right])"
    )
    assert frame
    if width < 700:
        assert all(frame["x"] <= left and right <= frame["x"] + frame["width"] for left, right in cells)


def test_a_host_as_wide_as_its_content_has_a_width(shown: Shown) -> None:
    page = shown(small())
    root = page.locator(".deluge-comparisons")
    for display in ("inline-block", "flex"):
        page.locator("main").evaluate("(e, display) => e.style.display = display", display)
        assert root.evaluate("e => e.offsetWidth") >= 400
    page.locator("main").evaluate("e => { e.style.display = 'block'; e.style.width = '220px'; }")
    assert root.evaluate("e => e.offsetWidth") <= 220


def test_without_styles_the_static_table_fits_its_page_and_is_copied_as_it_is(page: Page) -> None:
    words = ["w" * 300, "<b>&amp;" * 40]
    table = Comparisons(words, {words[0]: [answer(*words), answer("a")], "b": [answer("b"), answer(*words)]})
    page.set_viewport_size({"width": 800, "height": 600})
    page.set_content(re.sub('<style>.*?</style>| (?:style|class)="[^"]*"', "", table.to_html(), flags=re.S))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    texts = page.locator("tbody td").all_text_contents()
    assert [text for text in texts if len(text) > 20] == [words[0], "".join(words), words[1], "".join(words)]


@pytest.mark.parametrize("width", [400, 1080])
def test_in_forced_colours_a_surer_number_has_a_line_above_it(shown: Shown, width: int) -> None:
    page = shown(Comparisons(["x"], {"a": [answer("a", p=0.1)], "b": [answer("b", p=0.9)]}), width=width)
    page.emulate_media(forced_colors="active")
    number = page.locator("tbody .deluge-surer .deluge-chip")
    pictures = {"line": picture(page, number)}
    number.evaluate("e => e.style.borderTopColor = 'Canvas'")
    pictures_differ(page, pictures | {"none": picture(page, number)})


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("width", [400, 1080])
def test_the_table_has_no_fault_that_axe_finds(shown: Shown, theme: str, width: int) -> None:
    table = small(30)
    page = shown(table, theme=theme, width=width)
    page.get_by_text("question 0").click()
    load(page, table)
    expect(page.locator(".deluge-opened .deluge-comparison")).to_be_visible()
    is_accessible(page)


def test_a_saved_page_opens_every_row(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = small()
    table.opened = 0
    whole = sum(map(len, (table.data, table.alignment)))
    # Room for both comparisons, and for the alternatives of the first.
    monkeypatch.setattr(saved, "LARGEST", int(1.9 * whole))
    table.save_html(tmp_path / "saved.html")
    page.goto((tmp_path / "saved.html").as_uri())
    expect(page.locator(".deluge-summary").first).to_contain_text("1 comparison without alternatives")
    opened, card = page.locator(".deluge-opened"), page.locator(".deluge-card")
    for row in (0, 2):
        if row:
            page.get_by_text(f"question {row}").click()
        expect(opened.locator('.deluge-box [data-of="0"]')).to_have_text(table[row].tables[0].tokens)
        opened.locator('[data-of="1"][data-token="0"]').hover()
        expect(card.locator(".deluge-face").last).to_contain_text("other" if row == 0 else "not in this page")
        page.mouse.move(5, 5)
    page.get_by_text("question 1").click()
    expect(opened).to_contain_text("HTTP 500: try again later")


MAKE = """
from deluge_nb import Comparisons
answers = {name: [[{"token": name, "logprob": -0.5}], [{"token": "same", "logprob": -0.1}]] for name in ("a", "b")}
comparisons = Comparisons(["first question", "second question"], answers)
comparisons
"""


@pytest.mark.parametrize("interface", ["lab/tree", "notebooks"])
def test_a_row_opens_in_jupyter(page: Page, jupyter: Jupyter, notebook: Callable[..., str], interface: str) -> None:
    name = notebook(f"comparisons-{interface.split('/')[0]}.ipynb", MAKE, "comparisons[1]")
    open_and_run(page, jupyter, name, interface)
    page.locator("td", has_text="first question").locator("visible=true").click()
    expect(page.locator(".deluge-opened .deluge-line .deluge-token").first).to_have_text("a")
    assert in_kernel(page, "comparisons.opened") == 0
    expect(page.locator(".deluge-still table:visible")).to_have_count(0)
    expect(page.locator(".deluge-comparison .deluge-title", has_text="second question")).to_be_visible()
