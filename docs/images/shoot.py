"""Take the pictures of docs/hosts.md again: ``python -m pytest docs/images/shoot.py``.

It asks the embedded model, so its weights must be on the machine. It is no test, and runs only where it is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Locator, Page, expect

from deluge_nb import LLMClient, LogprobView, SamplingParams
from tests.browser.conftest import Jupyter, browser, jupyter, notebook
from tests.browser.marimo_app import serving
from tests.browser.test_lab import open_and_run

__all__ = ["browser", "jupyter", "notebook"]

HERE = Path(__file__).parent
QUESTION = "Why is the sky blue?"
SETTINGS = "SamplingParams(logprobs=True, top_logprobs=8, seed=9, max_new_tokens=90)"
CELL = f'''from deluge_nb import LLMClient, LogprobView, SamplingParams

client = LLMClient("local", sampling_params={SETTINGS})
(answer,) = client.process_prompts_sync(["{QUESTION}"], show_progress=False)
LogprobView(answer, title="{QUESTION}")'''
APP = """import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    from deluge_nb import LogprobView
    return LogprobView, mo


@app.cell
def _(mo):
    mo.md("# What the model weighed\\n\\nSelect tokens: the line below is another cell.")
    return


@app.cell
def _(LogprobView, mo):
    view = mo.ui.anywidget(LogprobView(ENTRIES, title="TITLE"))
    view
    return (view,)


@app.cell
def _(mo, view):
    token = view.value["selected"]
    mo.md("Nothing is selected." if token is None else
          f"Python has token {token + 1}: `{view.widget.table[token]['token']}`.")
    return


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture
def wide(browser: Browser) -> Any:
    """A page of the pictures' size."""
    context = browser.new_context(viewport={"width": 1200, "height": 760}, color_scheme="light")
    context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def answer() -> Any:
    """The embedded model's answer, the same as in the notebooks."""
    params = SamplingParams(logprobs=True, top_logprobs=8, seed=9, max_new_tokens=90)
    (found,) = LLMClient("local", sampling_params=params).process_prompts_sync([QUESTION], show_progress=False)
    return found


def shoot(page: Page, name: str, view: Locator | None = None) -> None:
    """Take a picture; of a view, with the card of a surprise that does not lie over all of it."""
    if view is not None:
        tokens = view.locator(".deluge-line .deluge-token")
        expect(tokens.nth(20)).to_be_visible(timeout=120_000)
        found = tokens.evaluate_all(
            "all => all.map(e => [Number(getComputedStyle(e).getPropertyValue('--u')), e.getBoundingClientRect().x])"
        )
        right = [at for at in range(len(found) // 2, len(found)) if 500 < found[at][1] < 760]
        tokens.nth(max(right, key=lambda at: found[at][0])).click()
        expect(view.locator(".deluge-card-list")).to_be_visible()
    page.wait_for_timeout(1500)
    page.screenshot(path=HERE / f"{name}.png")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_jupyterlab(wide: Page, jupyter: Jupyter, notebook: Callable[..., str], theme: str) -> None:
    """Both themes, and what nbconvert makes of the saved notebook."""
    open_and_run(wide, jupyter, notebook(f"{theme}.ipynb", CELL), "lab/tree")
    wide.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    wide.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
    light = json.dumps(theme == "Light")
    wide.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
    expect(wide.locator("section.deluge")).to_be_visible(timeout=120_000)
    wide.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    shoot(wide, "jupyterlab" if theme == "Light" else "jupyterlab_dark", wide.locator("section.deluge"))
    if theme == "Light":
        page, _ = HTMLExporter().from_filename(str(jupyter.root / f"{theme}.ipynb"))
        (jupyter.root / "page.html").write_text(page, encoding="utf-8")
        wide.goto((jupyter.root / "page.html").as_uri(), wait_until="domcontentloaded")
        shoot(wide, "nbconvert")
    else:
        wide.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")


def test_notebook_7(wide: Page, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    """Notebook 7."""
    open_and_run(wide, jupyter, notebook("Sky.ipynb", CELL), "notebooks")
    shoot(wide, "notebook7", wide.locator("section.deluge"))


def test_marimo(wide: Page, answer: Any, tmp_path: Path) -> None:
    """An app of marimo's."""
    app = APP.replace("ENTRIES", repr(list(answer.logprobs))).replace("TITLE", QUESTION)
    with serving(tmp_path, {"sky": app}) as url:
        wide.goto(url)
        shoot(wide, "marimo", wide.locator("section.deluge"))


def test_saved_page(wide: Page, answer: Any, tmp_path: Path) -> None:
    """What ``save_html`` writes."""
    LogprobView(answer, title=QUESTION).save_html(tmp_path / "sky.html")
    wide.goto((tmp_path / "sky.html").as_uri())
    shoot(wide, "saved_page", wide.locator("section.deluge"))
