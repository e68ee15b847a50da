"""Charts in the browser: linked with a view, with a kernel and without, in narrow cells and in changing themes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import altair as alt
import pytest
from playwright.sync_api import Page, expect

import deluge_nb
from deluge_nb import LogprobView, alternatives_chart, events_chart, temperature_chart, token_chart

from .accessible import is_accessible
from .conftest import VIEWPORT, Jupyter
from .tables import FRANCE
from .test_lab import in_kernel, open_and_run
from .waits import becomes, settled

pytestmark = pytest.mark.browser

MARKS = ".vega-embed svg.marks"
PICTURES = "all => all.map((e) => e.outerHTML)"
SHOW = """import math
from deluge_nb import Logprobs, LogprobView, confidence_chart, entropy_chart
from IPython.display import display
rows = [
    {{"token": f" w{{i}}", "logprob": math.log(0.1 + 0.8 * (i * 37 % 100) / 100), "bytes": None,
      "top_logprobs": [{{"token": f" w{{i}}", "logprob": math.log(0.1 + 0.8 * (i * 37 % 100) / 100), "bytes": None}}]}}
    for i in range({count})
]
view = LogprobView(Logprobs.from_entries(rows))
other = LogprobView(Logprobs.from_entries(rows))
display(view, entropy_chart(view), confidence_chart(view), other, entropy_chart(other))"""


def shown(page: Page, jupyter: Jupyter, notebook: Callable[..., str], count: int, interface: str = "lab/tree") -> None:
    open_and_run(page, jupyter, notebook(f"links-{count}-{interface[:3]}.ipynb", SHOW.format(count=count)), interface)
    expect(page.locator(MARKS)).to_have_count(3)
    expect(page.locator(".deluge-line .deluge-token").first).to_be_visible()


def faded(page: Page, chart: int) -> int:
    """Return the number of dimmed bars of a chart."""
    return page.locator(MARKS).nth(chart).locator('path[opacity="0.25"]').count()


def drag(page: Page, chart: int, start: float, stop: float) -> None:
    """Drag over the plot of a chart, in shares of its canvas."""
    canvas = page.locator(MARKS).nth(chart)
    canvas.scroll_into_view_if_needed()
    at = canvas.bounding_box()
    assert at is not None
    page.mouse.move(at["x"] + at["width"] * start, at["y"] + at["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] * (start + stop) / 2, at["y"] + at["height"] * 0.4, steps=4)
    page.mouse.move(at["x"] + at["width"] * stop, at["y"] + at["height"] * 0.4, steps=4)
    page.mouse.up()


def fills(page: Page) -> None:
    """Wait until all charts are as wide as their cells, less the room for the menu of Vega."""
    rooms = "all => all.map((e) => e.closest('.jp-OutputArea-output').clientWidth - e.clientWidth)"
    becomes(lambda: all(0 <= room <= 60 for room in page.locator(MARKS).evaluate_all(rooms)), True, page)


# The first chart has a bar for each token by its name, the second by its number.
@pytest.mark.parametrize(("interface", "count"), [("lab/tree", 300), ("notebooks", 30)])
def test_a_selection_in_one_is_marked_in_the_other(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str], count: int, interface: str
) -> None:
    shown(page, jupyter, notebook, count, interface)
    fills(page)
    before = settled(lambda: [faded(page, chart) for chart in range(3)], page)
    in_kernel(page, f"view.set_trait('selection', [{count // 3}, {2 * count // 3}])")
    view = page.locator("section.deluge").first
    expect(view.locator(".deluge-ranged").first).to_be_attached()
    becomes(lambda: faded(page, 0) > before[0] and faded(page, 1) > before[1], True, page)
    assert faded(page, 2) == before[2]

    in_kernel(page, "view.set_trait('selection', [])")
    expect(view.locator(".deluge-ranged")).to_have_count(0)
    becomes(lambda: [faded(page, chart) for chart in range(3)], before, page)
    charts = page.locator(MARKS)
    painted = settled(lambda: charts.evaluate_all(PICTURES), page)
    in_kernel(page, "view.set_trait('selected', 2)")
    expect(view.locator(".deluge-selected")).to_be_attached()

    def repainted() -> list[bool]:
        again = charts.evaluate_all(PICTURES)
        return [now != then for now, then in zip(again, painted, strict=True)]

    becomes(repainted, [True, True, False], page)

    def marked() -> set[int]:
        return {*view.locator(".deluge-ranged").evaluate_all("all => all.map(e => Number(e.dataset.token))")}

    drag(page, 0, 0.3, 0.5)
    becomes(lambda: set() < marked() <= {*range(*in_kernel(page, "view.selection") or [0])}, True, page)
    start, stop = settled(lambda: in_kernel(page, "view.selection"), page)
    assert 0 < start < stop < count
    assert (start, stop) != (count // 3, 2 * count // 3)
    assert in_kernel(page, "other.selection") == []


def test_charts_fit_beside_a_side_bar_and_stay_linked_with_their_view_without_a_kernel(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str]
) -> None:
    shown(page, jupyter, notebook, 30)
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.set_viewport_size({"width": VIEWPORT["width"], "height": 1600})
    for is_open in (False, True):
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        expect(page.locator("#jp-left-stack")).to_be_visible(visible=is_open)
        fills(page)
    page.set_viewport_size(VIEWPORT)
    plain = settled(lambda: faded(page, 1), page)
    drag(page, 0, 0.3, 0.6)
    view = page.locator("section.deluge").first
    expect(view.locator(".deluge-ranged").first).to_be_attached()
    expect(view.locator(".deluge-ranged-sum")).to_contain_text("tokens ")
    becomes(lambda: faded(page, 1) > plain, True, page)
    before = settled(lambda: faded(page, 1), page)
    view.locator("[data-token='2']").click()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(view.locator(".deluge-ranged")).to_have_count(0)
    becomes(lambda: faded(page, 1) < before, True, page)


def test_a_click_on_a_bar_goes_to_its_token(page: Page, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    shown(page, jupyter, notebook, 30)
    canvas = page.locator(MARKS).nth(1)
    canvas.scroll_into_view_if_needed()
    at = canvas.bounding_box()
    assert at is not None
    settled(lambda: faded(page, 1), page)
    for share in (0.75, 0.72, 0.7, 0.68):  # the foot of the bars
        page.mouse.click(at["x"] + at["width"] * 0.5, at["y"] + at["height"] * share)
        token = settled(lambda: in_kernel(page, "view.selected"), page)
        if token is not None:
            break
    assert token is not None
    selected = page.locator("section.deluge").first.locator(".deluge-selected").first
    expect(selected).to_have_attribute("data-token", str(token))


# Vega makes labels for which there is no room transparent.
CUT = """all => all.filter((e) => e.getAttribute('opacity') !== '0').filter((e) => {
    const {left, right, top, bottom} = e.getBoundingClientRect();
    const room = e.ownerSVGElement.getBoundingClientRect();
    return left < room.left || right > room.right || top < room.top || bottom > room.bottom;
}).map((e) => e.textContent)"""
INKS = "all => [...new Set(all.map((e) => getComputedStyle(e).fill))]"


def test_the_selections_of_charts_have_names_for_screen_readers(offline: Page, tmp_path: Path) -> None:
    points = alt.Chart(alt.InlineData(values=[{"x": 1}, {"x": 2}])).encode(x="x:Q")
    brushed = (
        points.mark_tick().add_params(alt.selection_interval(encodings=["x"])),
        points.mark_rect().add_params(alt.selection_interval()),
    )
    own = alt.vconcat(*(alt.layer(points.mark_rule(), mark) for mark in brushed))
    for number, chart in enumerate((deluge_nb.offline(own), token_chart(LogprobView(FRANCE)))):
        chart.save(page := tmp_path / f"{number}.html")
        offline.goto(page.as_uri())
        expect(offline.locator("svg.marks [aria-label=selection]").first).to_be_attached()
        # Title and menu of the page are Altair's.
        is_accessible(offline, {"include": [["svg.marks"]]})


def test_no_text_of_a_narrow_chart_is_cut_and_all_follow_the_ink_of_the_page(offline: Page, tmp_path: Path) -> None:
    charts = [
        token_chart(FRANCE),
        alternatives_chart(FRANCE, 5),
        events_chart(["yes", "no", "a long label"], [0.5, 0.3, 0.1], event=["yes"]),
        temperature_chart(list("abc"), [math.log(p) for p in (0.6, 0.3, 0.1)], 1.5, listed=3),
    ]
    for chart in charts:
        chart.save(str(tmp_path / "chart.html"), embed_options={"actions": False})
        for width in (220, 500):
            offline.set_viewport_size({"width": width, "height": 700})
            offline.goto((tmp_path / "chart.html").as_uri())
            texts = offline.locator("svg.marks text")
            expect(texts.first).to_be_visible()
            assert texts.evaluate_all(CUT) == []
        offline.evaluate("document.body.style.color = 'rgb(1, 2, 3)'")
        assert texts.evaluate_all(INKS) == ["rgb(1, 2, 3)"]
