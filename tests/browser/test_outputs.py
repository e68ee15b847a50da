"""Views within other outputs: what hides the static form hides nothing else, and costs the same for every view."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Page, expect

from deluge_nb import LogprobCompare, LogprobView, events_chart, to_html
from deluge_nb.render.assets import STATIC, read_asset
from tests.test_kernel import Kernel, running_kernel

from .conftest import HOST, VIEWPORT, Jupyter, encoded
from .tables import FRANCE
from .test_lab import open_and_run
from .waits import becomes

pytestmark = pytest.mark.browser

MAKE = f"""
from deluge_nb import LogprobCompare, LogprobView
from ipywidgets import *
rows = {list(FRANCE)!r}
def show(kind=0):
    return LogprobCompare(rows, rows[:4]) if kind else LogprobView(rows)
def captured(widget):
    out = Output()
    with out:
        display(widget)
    return VBox([IntSlider(description="beside"), out])
"""
CONTAINERS = {
    "Output": "captured(show())",
    "comparison in an Output": "captured(show(1))",
    "three Outputs": "captured(captured(captured(show())))",
    "interact": "interact(lambda beside=1: show(), beside=(0, 3));",
    "interactive_output": (
        "s = IntSlider(description='beside')\nVBox([s, interactive_output(lambda n: display(show()), {'n': s})])"
    ),
    "HBox": "HBox([IntSlider(description='beside'), show()])",
    "GridBox": "GridBox([IntSlider(description='beside'), captured(show())])",
    "Tab": "Tab([captured(show())], titles=['beside'])",
    "Accordion": "Accordion([captured(show())], titles=['beside'], selected_index=0)",
}


def test_in_jupyterlab_every_container_shows_its_view_once_with_its_controls(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str]
) -> None:
    open_and_run(page, jupyter, notebook("containers.ipynb", MAKE, *CONTAINERS.values()), "lab/tree")
    cells = page.locator(".jp-CodeCell")
    for index, name in enumerate(CONTAINERS, start=1):
        output = cells.nth(index).locator(".jp-Cell-outputArea")
        output.scroll_into_view_if_needed()
        view = output.locator("section.deluge")
        expect(view, name).to_have_count(1)
        expect(view.locator(".deluge-line .deluge-token").first, name).to_be_visible()
        expect(output.get_by_text("beside").first, name).to_be_visible()
        expect(output.locator(".deluge-static"), name).to_be_hidden()
        box = view.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 90, (name, box)


def test_charts_of_a_notebook_that_is_opened_again_fill_and_follow_their_cells(page: Page, jupyter: Jupyter) -> None:
    chart: Any = events_chart(["a", "b"], [0.5, 0.3])
    data, metadata = chart._repr_mimebundle_()
    shown = new_output("display_data", data=data, metadata=metadata)
    # JupyterLab draws those that are out of sight before they have a width.
    kept = new_notebook(cells=[new_code_cell("chart", outputs=[shown]) for _ in range(6)])
    kept.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    (jupyter.root / "again.ipynb").write_text(nbformat.writes(kept))
    page.goto(jupyter.page_url("lab/workspaces/again/tree/again.ipynb"))
    charts = page.locator(".vega-embed svg.marks")
    expect(charts).to_have_count(6)
    page.set_viewport_size({"width": 700, "height": 900})
    page.reload()
    expect(charts).to_have_count(6)

    def rooms() -> list[int]:
        cell = "e.closest('.jp-OutputArea-output')"
        return charts.evaluate_all(f"all => all.map(e => {cell}.clientWidth - e.getBoundingClientRect().width)")

    becomes(lambda: all(0 <= room <= 60 for room in rooms()), True, page)
    # No widget is on the page, so the charts themselves must notice.
    for width in (VIEWPORT["width"], 900):
        page.set_viewport_size({"width": width, "height": 900})
        becomes(lambda: all(0 <= room <= 60 for room in rooms()), True, page)
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    expect(page.locator("#jp-left-stack")).to_be_hidden()
    becomes(lambda: all(0 <= room <= 60 for room in rooms()), True, page)
    # A server does not end while it starts a kernel.
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.ready")


# A page with the elements of Jupyter, without a server ----------------------------------------------------------------


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.run(MAKE)
        yield kernel


def static_output(kernel: Kernel, kind: int) -> str:
    """Return the static form that a kernel displays for a view (0) or a comparison (1)."""
    ran = kernel.run(f"show({kind})")
    assert ran.status == "ok", ran.printed
    return str(ran.displays[0]["text/html"])


def output_area(*outputs: str) -> str:
    children = (
        '<div class="jp-OutputArea-child"><div class="jp-OutputArea-prompt"></div>'
        f'<div class="jp-RenderedHTML jp-OutputArea-output" style="overflow: auto">{output}</div></div>'
        for output in outputs
    )
    return f'<div class="jp-OutputArea">{"".join(children)}</div>'


def put(page: Page, body: str, script: str, link: str) -> None:
    """Open a page, and render a widget whose static form has the link name into each ``<main>``."""
    widget = LogprobCompare(FRANCE, FRANCE) if script == "compare.js" else LogprobView(FRANCE)
    state, binary = encoded(widget)  # type: ignore[bad-argument-type]
    widget.close()
    source = (STATIC / script).read_text(encoding="utf-8")
    known = {"STATE": {**state, "link": link}, "BINARY": binary, "SOURCE": source}
    page.set_content(f'<!doctype html><html lang="en"><title>Outputs</title><body>{body}</body></html>')
    code = "\n".join(f"const {name} = {json.dumps(value)};" for name, value in known.items()) + HOST
    page.add_script_tag(content=code, type="module")
    page.wait_for_function("window.ready")


def link_of(static: str) -> str:
    match = re.search(r'data-link="(\w+)"', static)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("kind", [0, 1], ids=["view", "comparison"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_only_the_output_of_the_static_form_is_hidden(page: Page, kernel: Kernel, kind: int, depth: int) -> None:
    static = static_output(kernel, kind)
    inner = output_area("<p>before</p>", static, "<main></main>", "<p>after</p>")
    for level in range(depth - 1):
        inner = output_area(f"<p>slider {level}</p>", inner, '<p class="jupyter-widgets">beside</p>')
    put(page, inner, ["view.js", "compare.js"][kind], link_of(static))
    for text in page.locator("p").all():
        expect(text).to_be_visible()
    expect(page.locator("section.deluge")).to_be_visible()
    expect(page.locator(".deluge-static")).to_be_hidden()
    output = page.locator(".jp-OutputArea-child:has(> * > .deluge-still)")
    expect(output).to_be_hidden()
    assert rules_with_has(page) == 0
    page.evaluate("window.end()")
    expect(output).to_be_visible()
    expect(page.locator(".deluge-static")).to_be_visible()
    assert page.locator(".deluge-still > .deluge").evaluate(GAP) == 12


def test_a_static_form_is_hidden_whenever_the_host_writes_moves_or_replaces_it(page: Page, kernel: Kernel) -> None:
    static = static_output(kernel, 0)
    put(page, output_area(static, "<main></main>") + "<aside></aside>", "view.js", link_of(static))
    still = page.locator(".deluge-static")
    expect(still).to_be_hidden()
    # Another view of the output, the output updated, and the cell taken off the page and back.
    changes = [
        "html => document.querySelector('aside').innerHTML = html",
        "html => document.querySelector('.jp-OutputArea-output').innerHTML = html",
        "() => { const area = document.querySelector('.jp-OutputArea'); area.remove(); document.body.append(area); }",
    ]
    for change in changes:
        page.evaluate(change, static)
        expect(still).to_be_hidden()
        assert rules_with_has(page) == 0
    # The host keeps the place of an output for the next one.
    page.evaluate("() => document.querySelector('.jp-OutputArea-output').innerHTML = '<p>something else</p>'")
    expect(page.get_by_text("something else")).to_be_visible()


# Hosts leave nothing between the outputs of a cell.
GAP = """e => e.closest('.jp-OutputArea-output').getBoundingClientRect().bottom - e.getBoundingClientRect().bottom"""
HAS = """() => [...document.styleSheets, ...document.adoptedStyleSheets]
    .reduce((count, sheet) => count + [...sheet.cssRules].filter(rule => rule.cssText.includes(':has(')).length, 0)"""


def rules_with_has(page: Page) -> int:
    return int(page.evaluate(HAS))


# Stylesheets ----------------------------------------------------------------------------------------------------------

STYLES = """() => [...document.querySelectorAll('.deluge, .deluge *:not(style)')].flatMap(e =>
    ['', '::before', '::after'].map(part => [...getComputedStyle(e, part)].map(
        name => `${name}:${getComputedStyle(e, part).getPropertyValue(name)}`).join(';')))"""


@pytest.mark.parametrize("scheme", ["none", "active"])
@pytest.mark.parametrize("arrange", ["side by side", "interleaved"])
@pytest.mark.parametrize("color_by", ["difference", "probability"])
def test_the_order_of_the_stylesheets_changes_nothing(
    page: Page, kernel: Kernel, color_by: str, arrange: str, scheme: Any
) -> None:
    page.emulate_media(forced_colors=scheme, reduced_motion="reduce")
    static = re.sub(r"<style>.*?</style>", "", static_output(kernel, 1) + to_html(FRANCE), flags=re.S)
    put(page, f"{static}<main></main>", "compare.js", "")
    page.evaluate(
        "([color, arrange]) => { model.set('color_by', color); model.set('arrange', arrange); }", [color_by, arrange]
    )
    sheets = {"view": read_asset("view.css"), "compare": read_asset("compare.css")}
    seen = []
    for order in (["view", "compare"], ["compare", "view"], ["view", "compare", "view"]):
        page.evaluate(
            """sheets => { document.querySelectorAll('head style').forEach(e => e.remove());
                for (const text of sheets) { const style = document.createElement('style'); style.textContent = text;
                    document.head.append(style); } }""",
            [sheets[name] for name in order],
        )
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        seen.append(page.evaluate(STYLES))
    for others in seen[1:]:
        differing = [
            set(first.split(";")) ^ set(other.split(";"))
            for first, other in zip(seen[0], others, strict=True)
            if first != other
        ]
        assert differing == []
