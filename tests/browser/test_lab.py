"""The magic as users see it: in JupyterLab and in Notebook 7, on the embedded model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SHOTS, Jupyter
from tests.browser.tables import heats
from tests.browser.waits import becomes

pytestmark = [pytest.mark.browser, pytest.mark.model]

LOAD = "%load_ext deluge_nb"
ASK = "%%deluge --seed 7 --max-tokens 24 -o answer\nWhat is the capital of France?"
RUN_ALL = """async () => {
    await window.jupyterapp.restored;
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.sessionContext.ready;
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
}"""
EVALUATE = """async (code) => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({code});
    let text = '';
    future.onIOPub = (m) => { if (m.content.name === 'stdout') text += m.content.text; };
    await future.done;
    return text;
}"""


def open_and_run(page: Page, jupyter: Jupyter, name: str, interface: str) -> None:
    if interface == "lab/tree":  # Its own workspace, or JupyterLab opens the notebooks of other tests again.
        interface = f"lab/workspaces/{name.removesuffix('.ipynb')}/tree"
    page.goto(jupyter.page_url(f"{interface}/{name}"))
    page.wait_for_selector(".jp-NotebookPanel")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext")
    page.evaluate(RUN_ALL)


def in_kernel(page: Page, expression: str) -> Any:
    """Return the value of an expression in the notebook's kernel."""
    return json.loads(page.evaluate(EVALUATE, f"import json; print(json.dumps({expression}))"))


@pytest.mark.parametrize("interface", ["lab/tree", "notebooks"])
def test_the_magic_shows_coloured_tokens_whose_alternatives_can_be_read_and_selected(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str], interface: str
) -> None:
    name = notebook(f"ask-{interface.split('/')[0]}.ipynb", LOAD, ASK)
    open_and_run(page, jupyter, name, interface)
    tokens = page.locator(".deluge-line .deluge-token")
    expect(tokens.first).to_be_visible()
    known = in_kernel(page, "answer.logprobs.prob.tolist()")
    options = page.locator(".deluge-line [role=option]")
    becomes(lambda: heats(options), pytest.approx([math.sqrt(1 - p) for p in known], abs=1 / 128 + 1e-6), page)

    third = page.locator('[data-token="2"]').first
    third.hover()
    card = page.locator(".deluge-card")
    expect(card).to_be_visible()
    rows = card.locator(".deluge-card-list code")
    becomes(rows.count, 9, page)  # eight, and everything else
    expect(card.locator(".deluge-folded")).to_contain_text("more")
    weighed = rows.all_text_contents()
    likeliest = in_kernel(page, "answer.logprobs[2]['top_logprobs'][0]['token']")
    assert weighed[0].replace("·", " ") == likeliest

    third.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    selected = "[v.selected for v in __import__('gc').get_objects() if type(v).__name__ == 'LogprobView']"
    becomes(lambda: in_kernel(page, selected), [4], page)


def test_the_charts_are_drawn_without_a_network(page: Page, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    open_and_run(page, jupyter, notebook("charts.ipynb", LOAD, ASK), "lab/tree")
    expect(page.locator(".vega-embed svg.marks")).to_have_count(1)
    assert in_kernel(page, "_.completion == answer.completion")


def test_the_value_of_the_cell_is_not_displayed_twice(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str]
) -> None:
    open_and_run(page, jupyter, notebook("once.ipynb", LOAD, ASK, "answer"), "lab/tree")
    expect(page.locator(".deluge-box")).to_have_count(2)
    expect(page.locator(".jp-CodeCell").nth(1).locator(".deluge-box")).to_have_count(1)
    expect(page.locator(".jp-CodeCell").nth(2).locator(".deluge-box")).to_have_count(1)


def test_a_mistake_is_one_line_in_the_notebook(page: Page, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    open_and_run(page, jupyter, notebook("mistake.ipynb", LOAD, "%%deluge -m claude-3\nHi"), "lab/tree")
    output = page.locator(".jp-OutputArea-output").last
    expect(output).to_contain_text("UsageError: 'claude-3' gives no log-probabilities")
    assert "Traceback" not in (output.text_content() or "")


def test_the_view_follows_the_dark_theme(page: Page, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    open_and_run(page, jupyter, notebook("dark.ipynb", LOAD, ASK), "lab/tree")
    expect(page.locator(".deluge-box")).to_be_visible()
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_selector('body[data-jp-theme-light="false"]', state="attached")
    tokens = page.locator(".deluge-line .deluge-token")
    expect(tokens.first).to_have_css("color", "rgb(232, 230, 227)")
    page.locator('[data-token="3"]').first.hover()
    expect(page.locator(".deluge-card")).to_be_visible()
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")
    page.wait_for_selector('body[data-jp-theme-light="true"]', state="attached")


def test_tokens_are_shown_while_the_model_writes(page: Page, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    ask = "%%deluge --raw --temperature 0 --max-tokens 300 -o answer\n1, 2, 3, 4,"
    page.goto(jupyter.page_url(f"lab/workspaces/live/tree/{notebook('live.ipynb', LOAD, ask)}"))
    page.wait_for_selector(".jp-NotebookPanel")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext")
    # Record every count of tokens in the page itself: this process may look too late.
    page.evaluate(
        """() => {
            window.counts = new Set();
            const look = () => {
                const text = document.querySelector('.deluge-summary')?.textContent;
                if (text) window.counts.add(parseInt(text));
            };
            new MutationObserver(look).observe(document, {childList: true, subtree: true, characterData: true});
        }"""
    )
    # Do not wait for it: it ends with the answer of the model.
    page.evaluate(f"() => {{ ({RUN_ALL})(); }}")
    tokens = page.locator(".deluge-line [role=option]")
    expect(tokens.first).to_be_visible()
    page.screenshot(path=SHOTS / "while-it-writes.png")
    expect(page.locator(".deluge-summary")).to_contain_text("300 tokens")
    counts = page.evaluate("[...window.counts]")
    assert counts == sorted(counts)
    assert len(counts) > 3
    expect(page.locator(".deluge-box")).to_have_count(1)
    assert in_kernel(page, "len(answer.logprobs)") == 300
