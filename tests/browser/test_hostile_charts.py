"""Hostile tokens in every renderer of Altair and every other form: in JupyterLab, saved, converted and from files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from deluge_nb import to_html

from .conftest import Jupyter
from .hostile_charts import HARMLESS, HOSTILE, charts, views
from .waits import LIMIT, settled

# The first test runs some forty outputs in JupyterLab, twice.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

TEXTS = {"harmless": HARMLESS, "hostile": HOSTILE}
REPOSITORY = Path(__file__).parents[2]
EMPTY: dict[str, Any] = {
    "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "outputs": [], "source": ""}],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
RUN = """async (source) => {
    await window.jupyterapp.restored;
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.sessionContext.ready;
    panel.content.activeCell.model.sharedModel.setSource(source);
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
    await window.jupyterapp.commands.execute('docmanager:save');
}"""
OUTPUTS = ".jp-OutputArea-child"
# Every element of each output, with the names of the attributes that run, load or send something.
ELEMENTS = """all => all.map((part) => [...part.querySelectorAll('*')].map((e) => [e.localName,
    ...e.getAttributeNames().filter((name) => /^on|href|src|action|data$|http-equiv|ping/.test(name)).sort(),
].join(' ')).sort())"""
REFUSED = """window.refused = [];
addEventListener('securitypolicyviolation', (e) => refused.push(`${e.violatedDirective} ${e.blockedURI}`));"""
# A page of its own has scripts inside, but nothing on it may load or send anything; or not even these scripts run.
POLICIES = {
    "no policy": "",
    "no network": "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'",
    "strict": "default-src 'none'; script-src 'nonce-a'; style-src 'nonce-a'; base-uri 'none'; form-action 'none'",
}


@dataclass
class Watch:
    """A browser context that serves Vega from this machine, and notes everything else that pages ask for or open."""

    context: BrowserContext
    asked: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        bundle = f"(() => {{{vl_convert.javascript_bundle('')}}})()"

        def answer(route: Route) -> None:
            url = route.request.url
            self.asked.append(url)
            if "/vega-embed@" in url:
                route.fulfill(body=bundle, content_type="text/javascript")
            elif "/vega@" in url or "/vega-lite@" in url:
                route.fulfill(body="", content_type="text/javascript")
            else:
                route.abort()

        local = ("http://127.0.0.1", "data:", "blob:", "file:", "about:")
        self.context.route(lambda url: not url.startswith(local), answer)
        self.context.add_init_script(REFUSED)

    def page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(1000 * LIMIT)

        def on_dialog(dialog: Any) -> None:
            self.opened.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        def on_popup(popup: Page) -> None:
            self.opened.append(popup.url)

        page.on("dialog", on_dialog)
        page.on("popup", on_popup)
        return page

    def take(self) -> tuple[set[str], list[str]]:
        """Return what was asked for and opened since the last call."""
        taken = {*self.asked}, [*self.opened]
        self.asked.clear()
        self.opened.clear()
        return taken


@dataclass(frozen=True)
class Shown:
    """The outputs of a notebook: their elements, and what the page asked for and opened meanwhile."""

    elements: list[list[str]]
    traffic: tuple[set[str], list[str]]
    hacked: object


@dataclass(frozen=True)
class Lab:
    """JupyterLab with the hostile outputs in sight, and what it showed with either kind of text."""

    watch: Watch
    page: Page
    shown: dict[str, Shown]
    root: Path
    jupyter: Jupyter


def observed(watch: Watch, page: Page, parts: str) -> Shown:
    found = page.locator(parts)
    settled(lambda: page.locator(f"{parts} *").count(), page)
    return Shown(found.evaluate_all(ELEMENTS), watch.take(), page.evaluate("window.hacked"))


@pytest.fixture(scope="module")
def lab(browser: Browser, jupyter: Jupyter) -> Iterator[Lab]:
    """Run everything with harmless texts and then with hostile ones, in one notebook of one JupyterLab."""
    watch = Watch(browser.new_context(viewport={"width": 1280, "height": 900}))
    page = watch.page()
    shown: dict[str, Shown] = {}
    file = jupyter.root / "texts.ipynb"
    file.write_text(json.dumps(EMPTY))
    page.goto(jupyter.page_url("lab/workspaces/texts/tree/texts.ipynb"))
    page.wait_for_selector(".jp-NotebookPanel")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext")
    for kind, texts in TEXTS.items():
        source = f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
        source += f"from tests.browser.hostile_charts import show\nshow({f'{kind}.html'!r}, {texts!r})"
        page.evaluate(RUN, source)
        expect(page.locator("section.deluge")).to_have_count(2)
        shown[kind] = observed(watch, page, OUTPUTS)
        (jupyter.root / f"{kind}.ipynb").write_bytes(file.read_bytes())
    yield Lab(watch, page, shown, jupyter.root, jupyter)
    watch.context.close()


def is_harmless(hostile: Shown, harmless: Shown) -> None:
    """Check that hostile texts ran nothing, asked for nothing and made no kind of element of their own."""
    assert hostile.hacked is None
    asked, opened = hostile.traffic
    assert asked <= harmless.traffic[0]
    assert opened == harmless.traffic[1] == []
    assert [{*part} for part in hostile.elements] == [{*part} for part in harmless.elements]


def test_no_renderer_in_jupyterlab_runs_a_text_or_makes_elements_of_it(lab: Lab) -> None:
    hostile, harmless = lab.shown["hostile"], lab.shown["harmless"]
    is_harmless(hostile, harmless)
    # The last four outputs are the views, whose lines break elsewhere. In the charts, even the numbers are equal.
    assert hostile.elements[:-4] == harmless.elements[:-4]
    drawn = [part for part in hostile.elements if any(name.startswith(("canvas", "svg", "img")) for name in part)]
    assert len(drawn) > 10


def test_dollar_signs_in_jupyterlab_are_no_formulas(lab: Lab) -> None:
    assert lab.page.locator("mjx-container, .MathJax").count() == 0


def test_tooltips_show_text_only(lab: Lab) -> None:
    tooltip = lab.page.locator("#vg-tooltip-element")
    seen = ""
    for bar in lab.page.locator("svg.marks").first.locator("path[aria-roledescription=bar]").all()[:24:4]:
        bar.hover(force=True)
        lab.page.wait_for_timeout(100)
        seen += tooltip.first.text_content() or ""
        assert lab.page.locator("#vg-tooltip-element :is(img, a, script, svg)").count() == 0
    assert "</script>" in seen
    assert lab.page.evaluate("window.hacked") is None
    assert lab.watch.take() == (set(), [])


def opened_as_file(watch: Watch, path: Path, parts: str) -> Shown:
    page = watch.page()
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    shown = observed(watch, page, parts)
    page.close()
    return shown


def test_the_page_of_the_browser_renderer_runs_no_text(lab: Lab) -> None:
    is_harmless(*(opened_as_file(lab.watch, lab.root / f"{kind}.html", "body") for kind in ("hostile", "harmless")))


def test_a_converted_notebook_runs_no_text(lab: Lab) -> None:
    shown = {}
    for kind in TEXTS:
        converted, _ = HTMLExporter().from_filename(str(lab.root / f"{kind}.ipynb"))
        path = lab.root / f"{kind}-converted.html"
        path.write_text(converted, encoding="utf-8")
        shown[kind] = opened_as_file(lab.watch, path, OUTPUTS)
    is_harmless(shown["hostile"], shown["harmless"])


def test_a_notebook_of_another_machine_runs_no_text(lab: Lab) -> None:
    shown = {}
    for kind in TEXTS:
        saved = json.loads((lab.root / f"{kind}.ipynb").read_text())
        saved["cells"][0]["source"] = "pass"  # so that Jupyter does not trust it
        (lab.root / f"{kind}-foreign.ipynb").write_text(json.dumps(saved))
        page = lab.watch.page()
        page.goto(lab.jupyter.page_url(f"lab/workspaces/{kind}/tree/{kind}-foreign.ipynb"))
        expect(page.locator(f"{OUTPUTS} .marks").first).to_be_visible()
        shown[kind] = observed(lab.watch, page, OUTPUTS)
        page.close()
    is_harmless(shown["hostile"], shown["harmless"])


def write_forms(folder: Path, texts: list[str]) -> dict[str, Path]:
    """Write every form that is a file of its own, and return the paths."""
    view, compare = views(texts)
    ours, theirs = charts(texts, view, compare)
    written = {"view": folder / "view.html", "compare": folder / "compare.html"}
    view.save_html(written["view"])
    compare.save_html(written["compare"])
    for name, chart in (("ours", ours), ("theirs", theirs)):
        chart.save(folder / f"{name}.svg")
        written[f"{name} svg"] = folder / f"{name}.svg"
    ours.save(folder / "ours.html")
    theirs.save(folder / "theirs.html", inline=True)
    fragment = f"<!doctype html><html><head><meta charset='utf-8'></head><body>{compare.to_html()}</body></html>"
    pages = {"static": to_html(view.table, title=texts[0], standalone=True), "fragment": fragment}
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return written | {name: folder / f"{name}.html" for name in ("ours", "theirs", *pages)}


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    return {kind: write_forms(tmp_path_factory.mktemp(kind), texts) for kind, texts in TEXTS.items()}


@pytest.fixture(scope="module")
def watch(browser: Browser) -> Iterator[Watch]:
    watch = Watch(browser.new_context(viewport={"width": 1280, "height": 900}))
    yield watch
    watch.context.close()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_file_runs_no_text_under_any_policy(
    watch: Watch, forms: dict[str, dict[str, Path]], tmp_path: Path, policy: str
) -> None:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{POLICIES[policy]}">' if POLICIES[policy] else ""
    page = watch.page()
    for name in forms["hostile"]:
        shown: dict[str, tuple[Shown, object]] = {}
        for kind, paths in forms.items():
            path = paths[name]
            if path.suffix == ".html":
                path = tmp_path / f"{kind}-{path.name}"
                text = paths[name].read_text(encoding="utf-8")
                path.write_text(text.replace("<head>", f"<head>{meta}", 1), encoding="utf-8")
            page.goto(path.as_uri())
            seen = observed(watch, page, ":root")
            shown[kind] = seen, page.evaluate("[...new Set(window.refused)].sort()")
        is_harmless(shown["hostile"][0], shown["harmless"][0])
        assert shown["hostile"][1] == shown["harmless"][1], name
    page.close()
