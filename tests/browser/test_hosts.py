"""The view in its hosts: JupyterLab, Notebook 7, marimo, saved and converted notebooks, and other hosts."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Locator, Page, expect

from deluge_nb import APIResponse, Comparisons, LogprobCompare, LogprobView, as_logprobs
from deluge_nb.widget.fallback import FallbackWidget

from .conftest import Jupyter
from .marimo_app import APP, DARK, MORE, TABLES, evaluated, serving
from .tables import FRANCE, heats, is_the_card_of_paris, long_table
from .test_feedback import SILENCE as NO_KERNEL
from .test_lab import in_kernel, open_and_run
from .test_picture import PAINTED
from .waits import becomes

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
Notebook = Callable[..., str]

GROUNDS = "all => all.map(e => getComputedStyle(e).backgroundColor)"
SHOW = f"from deluge_nb import LogprobView\nview = LogprobView({list(FRANCE)!r}, title='Capitals')\nview"
LONG = """from deluge_nb import LogprobCompare, Logprobs
words = Logprobs.from_entries(
    {"token": word, "logprob": -1.0, "top_logprobs": [{"token": word, "logprob": -1.0}]} for word in ["word "] * 20_000
)
LogprobView(words, color_by="probability")"""
PROBABILITY = [pytest.approx(math.sqrt(1 - p), abs=1 / 128 + 1e-6) for p in FRANCE.prob]
SURPRISAL = [pytest.approx(min(1, -math.log2(p) / 10), abs=1 / 128 + 1e-6) for p in FRANCE.prob]


def tokens(view: Locator) -> Locator:
    return view.locator(".deluge-line .deluge-token")


def is_coloured(view: Locator) -> None:
    """Check that the computed colours are ordered as the probabilities."""
    expect(tokens(view)).to_have_text(FRANCE.tokens)
    becomes(lambda: heats(tokens(view)), PROBABILITY, view.page)
    grounds = tokens(view).evaluate_all(GROUNDS)
    assert len(set(grounds)) == len(FRANCE)
    # Lightness, the first number of OKLab: it is further from the background for less probable tokens.
    light = [float(re.findall(r"[\d.]+", ground)[0]) for ground in grounds]
    likeliest_last = sorted(range(len(FRANCE)), key=lambda at: FRANCE.prob[at])
    assert sorted(light) == [light[at] for at in likeliest_last]


def is_coloured_still(page: Page) -> None:
    """Check that the static form has the text and the colours of the view."""
    spans = page.locator(".deluge-static").first.locator(".deluge-token")
    expect(spans).to_have_text(FRANCE.tokens)
    expect(spans.first).to_be_visible()
    assert len({*spans.evaluate_all(GROUNDS)}) == len(FRANCE)


def shows_its_card(view: Locator) -> None:
    view.locator("[data-token='5']").hover()
    card = view.locator(".deluge-card")
    is_the_card_of_paris(card)
    # The card is in the top layer, so no element clips it.
    assert card.evaluate("e => e.matches(':popover-open')")

    def stands_below() -> bool:
        at, under = card.bounding_box(), view.locator("[data-token='5']").bounding_box()
        return bool(at and under and 0 < at["y"] - under["y"] - under["height"] < 12)

    becomes(stands_below, True, view.page)


# Jupyter --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interface", ["lab/tree", "notebooks"])
def test_in_jupyter_python_and_browser_share_selection_and_colour(
    page: Page, jupyter: Jupyter, notebook: Notebook, interface: str
) -> None:
    open_and_run(page, jupyter, notebook(f"host-{interface[:3]}.ipynb", SHOW), interface)
    view = page.locator("section.deluge")
    is_coloured(view)
    shows_its_card(view)

    view.locator("[data-token='1']").click()
    becomes(lambda: in_kernel(page, "view.selected"), 1, page)
    view.locator("[data-token='4']").click(modifiers=["Shift"])
    becomes(lambda: in_kernel(page, "view.selection"), [1, 5], page)
    expect(view.locator(".deluge-ranged-sum")).to_contain_text("tokens 2 to 5")

    in_kernel(page, "setattr(view, 'color_by', 'surprisal')")
    becomes(lambda: heats(tokens(view)), SURPRISAL, page)
    in_kernel(page, "view.set_trait('selection', [])")
    expect(view.locator(".deluge-ranged")).to_have_count(0)


def fills(shown: Locator) -> list[list[int]]:
    return [one["fill"] for one in shown.evaluate_all(PAINTED.replace("e.style", "style"))]


def test_a_notebook_saved_by_jupyterlab_keeps_its_colours_when_converted(
    page: Page, offline: Page, jupyter: Jupyter, notebook: Notebook, tmp_path: Path
) -> None:
    name = notebook("kept.ipynb", SHOW)
    open_and_run(page, jupyter, name, "lab/tree")
    live = page.locator("section.deluge")
    expect(tokens(live)).to_have_count(len(FRANCE))
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    saved = json.loads((jupyter.root / name).read_text())
    assert "widgets" not in saved["metadata"]
    converted, _ = HTMLExporter().from_filename(str(jupyter.root / name))
    (tmp_path / "kept.html").write_text(converted, encoding="utf-8")
    offline.goto((tmp_path / "kept.html").as_uri(), wait_until="domcontentloaded")
    static = offline.locator(".deluge-static .deluge-token")
    expect(static.nth(5)).to_be_visible()
    # The colours of the widget have 64 steps.
    for still, moving in zip(fills(static), fills(tokens(live)), strict=True):
        assert still == pytest.approx(moving, abs=3)

    # In an untrusted notebook Jupyter runs nothing and strips styles; only the picture is left.
    saved["cells"][0]["source"] = "pass"
    (jupyter.root / "foreign.ipynb").write_text(json.dumps(saved))
    page.goto(jupyter.page_url("lab/workspaces/foreign/tree/foreign.ipynb"))
    picture = page.locator(".jp-OutputArea-output img")
    expect(picture).to_be_visible()
    becomes(lambda: picture.evaluate("e => [e.complete, e.naturalWidth / e.width]"), [True, 2], page)


# Without the wait of ten seconds after which a kernel is taken not to answer.
PATIENT = "const later = setTimeout; window.setTimeout = (run, ms, ...more) => ms === 1e4 || later(run, ms, ...more);"


def lacks_what_only_a_kernel_has(page: Page) -> None:
    """Check that the long view and the comparison of long texts say at once why their last alternatives are missing."""
    for widget in page.locator("section.deluge").all()[1:]:
        box = widget.get_by_role("listbox")
        box.scroll_into_view_if_needed()
        box.focus()
        page.keyboard.press("End")
        expect(widget.locator(".deluge-card")).to_contain_text(NO_KERNEL)


def test_a_view_saved_with_its_state_by_jupyterlab_works_without_a_kernel(
    page: Page, offline: Page, jupyter: Jupyter, notebook: Notebook, tmp_path: Path
) -> None:
    settings = jupyter.root.parent / "settings" / "@jupyter-widgets" / "jupyterlab-manager"
    settings.mkdir(parents=True)
    asked = settings / "plugin.jupyterlab-settings"
    asked.write_text('{"saveState": true}')
    try:
        page.add_init_script(PATIENT)
        name = notebook("state.ipynb", SHOW, LONG, "LogprobCompare(words, words)")
        open_and_run(page, jupyter, name, "lab/tree")
        expect(page.locator("section.deluge")).to_have_count(3)
        expect(tokens(page.locator("section.deluge").first)).to_have_count(len(FRANCE))

        def models_saved() -> set[str]:
            page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
            metadata = json.loads((jupyter.root / name).read_text(encoding="utf-8"))["metadata"]
            states = metadata.get("widgets", {"application/vnd.jupyter.widget-state+json": {"state": {}}})
            return {one["model_name"] for one in states["application/vnd.jupyter.widget-state+json"]["state"].values()}

        # Jupyter reads this setting in idle time, and saves without the views until then.
        becomes(lambda: "AnyModel" in models_saved(), True, page)
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        lacks_what_only_a_kernel_has(page)
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.goto(jupyter.page_url(f"lab/workspaces/again/tree/{name}"))
        lacks_what_only_a_kernel_has(page)
        view = page.locator("section.deluge").first
        is_coloured(view)
        shows_its_card(view)
        view.get_by_label("Colour by").select_option("surprisal")
        becomes(lambda: heats(tokens(view)), SURPRISAL, page)
    finally:
        asked.unlink()

    # With a saved state, nbconvert loads a widget loader from the network; offline the text stays.
    converted, _ = HTMLExporter().from_filename(str(jupyter.root / name))
    (tmp_path / "state.html").write_text(converted, encoding="utf-8")
    offline.goto((tmp_path / "state.html").as_uri(), wait_until="domcontentloaded")
    expect(offline.locator("script[type='application/vnd.jupyter.widget-view+json']").first).to_be_attached()
    is_coloured_still(offline)


@pytest.mark.parametrize("interface", ["lab/tree", "notebooks"])
def test_a_notebook_opened_again_without_its_kernel_shows_the_coloured_text(
    page: Page, jupyter: Jupyter, notebook: Notebook, interface: str
) -> None:
    name = notebook(
        f"again-{interface[:3]}.ipynb",
        SHOW,
        "from deluge_nb import LogprobCompare\nLogprobCompare(view.table, view.table)",
    )
    open_and_run(page, jupyter, name, interface)
    expect(page.locator("section.deluge")).to_have_count(2)
    # The static forms are hidden while the views are shown.
    expect(page.locator(".deluge-still")).to_have_count(2)
    for still in page.locator(".jp-OutputArea-child:has(.deluge-still)").all():
        expect(still).to_be_hidden()
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    page.goto(jupyter.page_url(f"{interface}/{name}".replace("lab/tree", "lab/workspaces/once-more/tree")))
    is_coloured_still(page)
    expect(page.locator(".deluge-still")).to_have_count(2)
    for still in page.locator(".deluge-still").all():
        expect(still).to_be_visible()
    # By now Jupyter has written its message about the missing widget, and it is hidden.
    said = page.get_by_text("model not found")
    expect(said).to_have_count(2)
    for one in said.all():
        expect(one).to_be_hidden()


@pytest.mark.parametrize("options", [[], ["--ExecutePreprocessor.store_widget_state=False"]])
def test_a_notebook_executed_by_nbconvert_is_coloured_offline(
    offline: Page, tmp_path: Path, options: list[str]
) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHOW)]), tmp_path / "run.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "run.ipynb", *options]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    offline.goto((tmp_path / "run.html").as_uri(), wait_until="domcontentloaded")
    is_coloured_still(offline)


# marimo ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def marimo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(
        tmp_path_factory.mktemp("marimo"), {"light": APP, "dark": DARK + APP, "more": MORE, "tables": TABLES}
    ) as url:
        yield url


def shown(page: Page, marimo: str, app: str = "light") -> tuple[Locator, Locator]:
    """Return the two views of the app, the short and the long one."""
    page.goto(f"{marimo}?file={app}.py")
    views = page.locator("section.deluge")
    expect(views).to_have_count(2)
    return views.first, views.last


FOCUSED = "e => { const at = e.getRootNode().activeElement; return at && (at.closest('[class]') ?? at).className; }"


def test_in_marimo_python_and_browser_share_selection_and_colour(page: Page, marimo: str) -> None:
    view, _ = shown(page, marimo)
    assert view.evaluate("e => e.getRootNode() instanceof ShadowRoot")
    is_coloured(view)
    shows_its_card(view)

    view.locator("[data-token='1']").click()
    # marimo runs another cell again because of the click.
    expect(page.get_by_text("selected is 1")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("selected is 2")).to_be_visible()
    view.locator("[data-token='4']").click(modifiers=["Shift"])
    becomes(lambda: evaluated(page, "[widget.selected, widget.selection]"), [2, [2, 5]], page)

    evaluated(page, "setattr(widget, 'color_by', 'surprisal')")
    becomes(lambda: heats(tokens(view)), SURPRISAL, page)
    evaluated(page, "widget.set_trait('selected', 5)")
    expect(view.locator(".deluge-selected")).to_have_text(" Paris")


def test_in_marimo_focus_search_and_copying_work(page: Page, marimo: str) -> None:
    view, _ = shown(page, marimo)
    view.locator("[data-token='5']").click()
    # marimo runs another cell again because of the click.
    expect(page.get_by_text("selected is 5")).to_be_visible()
    becomes(lambda: view.evaluate(FOCUSED), "deluge-box", page)
    page.keyboard.press("Enter")
    inside = "e => e.contains(e.getRootNode().activeElement)"
    becomes(lambda: view.locator(".deluge-card").evaluate(inside), True, page)
    page.keyboard.press("Escape")
    expect(view.locator(".deluge-card")).to_be_hidden()
    becomes(lambda: view.evaluate(FOCUSED), "deluge-box", page)
    page.keyboard.press("/")
    search = view.get_by_label("Search the text")
    expect(search).to_be_focused()
    # At once: marimo may run a cell again between two letters.
    search.fill("fran")
    expect(view.locator(".deluge-hit")).to_have_text(" France")

    page.evaluate("addEventListener('copy', (e) => { window.copied = e.clipboardData.getData('text/plain'); })")
    first, last = (view.locator(f"[data-token='{at}']").bounding_box() for at in (2, 5))
    assert first is not None
    assert last is not None
    page.mouse.move(first["x"] + 1, first["y"] + 8)
    page.mouse.down()
    page.mouse.move(last["x"] + last["width"] - 1, last["y"] + 8, steps=4)
    page.mouse.up()
    page.keyboard.press("Control+c")
    assert page.evaluate("window.copied") == " of France is Paris"


def test_in_marimo_chunks_of_a_long_text_are_fetched_on_demand(page: Page, marimo: str) -> None:
    _, long = shown(page, marimo)
    expect(long.locator(".deluge-summary")).to_contain_text("20000 tokens")
    assert evaluated(page, "len(long.measures)") == 0
    long.get_by_role("listbox").focus()
    page.keyboard.press("End")
    card = long.locator(".deluge-card")
    expect(card.locator(".deluge-card-list")).to_contain_text("·v19999")
    expect(card).to_contain_text("entropy")
    evaluated(page, "setattr(long, 'color_by', 'entropy')")
    becomes(lambda: len(set(heats(tokens(long)))) > 10, True, page)
    assert evaluated(page, "len(long.measures)") > 100_000


@pytest.mark.model
def test_in_marimo_the_embedded_model_continues_from_another_token(page: Page, marimo: str) -> None:
    # Without mo.ui.anywidget: marimo displays a view that is the value of a cell.
    view, _ = shown(page, marimo, "more")
    expect(view.locator(".deluge-summary")).to_contain_text("6 tokens")
    view.locator("[data-token='0']").click()
    view.locator(".deluge-card button:has(code)").nth(1).click()
    tree = view.get_by_role("tree")
    expect(tree.get_by_role("treeitem")).to_have_count(2)
    becomes(lambda: evaluated(page, "[one.status for one in widget.branches]"), ["ready"], page)
    branch_tokens = evaluated(page, "widget.branches[0].response.logprobs.tokens")
    expect(tokens(view)).to_have_count(len(branch_tokens))
    becomes(lambda: [text.replace("·", " ") for text in tokens(view).all_text_contents()], branch_tokens, page)


@pytest.mark.model
def test_in_marimo_a_chart_is_live_and_linked_with_its_view(page: Page, marimo: str) -> None:
    view, _ = shown(page, marimo, "more")
    chart = page.locator("svg.marks")
    expect(chart).to_be_visible()
    expect(chart.locator("[aria-label=selection]").first).to_be_attached()
    before = chart.evaluate("e => e.outerHTML")
    view.locator("[data-token='0']").click()
    view.locator("[data-token='1']").click(modifiers=["Shift"])
    becomes(lambda: chart.evaluate("e => e.outerHTML") != before, True, page)
    page.keyboard.press("Escape")
    box = chart.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.65 * box["height"])
    becomes(lambda: (view.locator(".deluge-selected").get_attribute("data-token") or "0") > "0", True, page)


@pytest.mark.model
def test_in_marimo_a_comparison_works(page: Page, marimo: str) -> None:
    _, other = shown(page, marimo, "more")
    first = other.locator(".deluge-line .deluge-token").nth(1)
    first.click()
    expect(other.locator(".deluge-card")).to_be_visible()
    becomes(lambda: evaluated(page, "other.selected") is not None, True, page)


def test_in_marimo_a_row_of_many_comparisons_opens_and_an_answer_of_a_tree_is_shown(page: Page, marimo: str) -> None:
    page.goto(f"{marimo}?file=tables.py")
    table, opened = page.locator("section.deluge-comparisons"), page.locator(".deluge-opened")
    assert table.evaluate("e => e.getRootNode() instanceof ShadowRoot")
    table.get_by_text("second question").click()
    expect(opened.locator('.deluge-box [data-of="1"]')).to_have_text(["the", " same"])
    becomes(lambda: evaluated(page, "comparisons.opened"), 1, page)
    opened.locator('[data-of="0"][data-token="1"]').click()
    expect(opened.locator(".deluge-card .deluge-face")).to_have_count(2)
    # Escape closes the card, clears the token, and then closes the row, whose control has the focus again.
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    becomes(lambda: table.evaluate(FOCUSED), "deluge-button deluge-opener", page)
    # Selecting text of a row does not open it.
    box = table.get_by_text("first question").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 8, steps=4)
    page.mouse.up()
    becomes(lambda: evaluated(page, "comparisons.opened"), None, page)
    expect(opened).to_have_count(0)
    evaluated(page, "setattr(comparisons, 'sort_by', 'input') or setattr(comparisons, 'descending', True)")
    expect(table.locator(".deluge-opener")).to_have_text(["1", "0"])

    view = page.locator("section.deluge:not(.deluge-comparisons)")
    expect(tokens(view)).to_have_text(["It", " is", " red"])
    view.get_by_role("treeitem", name="blue").last.click()
    expect(tokens(view)).to_have_text(["It", " is", " blue"])
    becomes(lambda: evaluated(page, "samples.shown.text"), "It is blue", page)
    view.locator("[data-token='2']").click()
    expect(view.locator(".deluge-card-head")).to_contain_text("·blue")
    # Where the widgets are live, no static form is seen beside them.
    expect(page.locator(".deluge-static:visible, .deluge-still:visible")).to_have_count(0)


def test_in_marimo_a_table_grows_in_place(page: Page, marimo: str) -> None:
    view, _ = shown(page, marimo)
    evaluated(page, "widget.update(grown[:30])")
    expect(view.locator(".deluge-summary")).to_contain_text("30 tokens")
    view.locator("[data-token='3']").click()
    expect(page.get_by_text("selected is 3")).to_be_visible()
    tokens(view).first.evaluate("e => { e.there = true; }")
    # Fewer new rows than old ones are sent as messages.
    evaluated(page, "[widget.update(grown[:stop]) for stop in range(31, 50)]")
    expect(view.locator(".deluge-summary")).to_contain_text("49 tokens")
    assert tokens(view).first.evaluate("e => e.there") is True
    assert evaluated(page, "widget.selected") == 3
    view.locator("[data-token='48']").hover()
    page.keyboard.press("Escape")
    view.locator("[data-token='48']").click()
    expect(view.locator(".deluge-card-list")).to_contain_text("·v48")


def test_in_marimo_the_theme_is_that_of_the_page(page: Page, marimo: str) -> None:
    page.emulate_media(color_scheme="light")
    view, _ = shown(page, marimo, "dark")
    expect(tokens(view).first).to_have_css("color", "rgb(232, 230, 227)")


# Any other host -------------------------------------------------------------------------------------------------------

# Host objects that record the properties used; the interface that hosts guarantee: https://anywidget.dev/en/afm/
WATCHED = """() => {
    window.end();
    window.used = new Set();
    const watched = (name, target) => new Proxy(target, {
        get(of, key) {
            window.used.add(`${name}.${String(key)}`);
            return typeof of[key] === 'function' ? of[key].bind(of) : of[key];
        },
        has(of, key) { window.used.add(`${name}.${String(key)}`); return key in of; },
        ownKeys(of) { window.used.add(`${name}.*`); return Reflect.ownKeys(of); },
        set(of, key) { throw new Error(`${name}.${String(key)} was set`); },
    });
    const el = document.querySelector('main');
    el.replaceChildren();
    window.ending = new AbortController();
    window.widget.render(watched('host', {model: watched('model', window.model), el, signal: window.ending.signal}));
}"""


def answered(*words: str) -> APIResponse:
    rows = as_logprobs([{"token": word, "logprob": -0.5} for word in words])
    return APIResponse("m", completion=rows.text, logprobs=rows)


def use_view(page: Page) -> None:
    page.locator("[data-token='7']").first.click()
    for key in ("k", "End", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    page.get_by_label("Colour by").select_option("entropy")
    page.keyboard.press("/")
    page.keyboard.type("gamma")
    assert 4 in [message.get("chunk") for message in page.evaluate("window.sent")]


def use_comparison(page: Page) -> None:
    use_view(page)
    assert page.evaluate("model.get('selection')") == [0, 19_998, 20_000]


def use_table(page: Page) -> None:
    page.locator("[data-sort='input'] button").click()
    page.get_by_text("second question").click()
    expect(page.locator(".deluge-opened")).to_contain_text("asking Python")
    assert page.evaluate("window.sent") == [{"row": 1}]


def use_tree(page: Page) -> None:
    page.get_by_role("treeitem", name="blue").last.click()
    expect(tokens(page.locator("section.deluge"))).to_have_text(["It", " is", " blue"])


WIDGETS: dict[str, tuple[Callable[[], FallbackWidget], Callable[[Page], None]]] = {
    "view": (lambda: LogprobView(long_table(20_000)), use_view),
    "comparison": (lambda: LogprobCompare(long_table(20_000), long_table(20_000)), use_comparison),
    "many comparisons": (
        lambda: Comparisons(["first question", "second question"], {name: [answered("a")] * 2 for name in "ab"}),
        use_table,
    ),
    "tree of answers": (
        lambda: LogprobView([answered("It", " is", " red")] * 2 + [answered("It", " is", " blue")]),
        use_tree,
    ),
}


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_uses_only_the_interface_that_anywidget_guarantees(host: Host, name: str) -> None:
    create, use = WIDGETS[name]
    page = host(create())
    page.evaluate(WATCHED)
    use(page)
    allowed = {f"model.{name}" for name in ("get", "set", "save_changes", "on", "off", "send")}
    used = set(page.evaluate("[...window.used]"))
    assert used <= allowed | {"host.model", "host.el", "host.signal"}
    assert {"model.get", "model.set", "model.save_changes", "model.on"} <= used
    page.evaluate("window.ending.abort()")
    assert page.evaluate("window.listeners") == 0


@pytest.mark.parametrize(("kind", "offset"), [("DataView", 8), ("DataView", 3), ("Uint8Array", 3)])
def test_bytes_are_read_at_any_offset_of_a_buffer(host: Host, kind: str, offset: int) -> None:
    page = host(LogprobView(FRANCE))
    page.evaluate(
        """([offset, kind]) => {
            window.end();
            const {model} = window;
            const shifted = (bytes) => {
                const larger = new Uint8Array(offset + bytes.byteLength + 5).fill(255);
                larger.set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset);
                return new window[kind](larger.buffer, offset, bytes.byteLength);
            };
            const moved = (value) => ArrayBuffer.isView(value) ? shifted(value) : value;
            const methods = Object.fromEntries(
                ['set', 'save_changes', 'on', 'off', 'send'].map((name) => [name, model[name].bind(model)]),
            );
            const el = document.querySelector('main');
            el.replaceChildren();
            window.widget.render({model: {...methods, get: (name) => moved(model.get(name))}, el});
        }""",
        [offset, kind],
    )
    view = page.locator("section.deluge")
    is_coloured(view)
    shows_its_card(view)


# The attribute that a host sets, and the theme shown then under a light and under a dark system.
THEMES = [
    ("data-jp-theme-light", "false", "dark", "dark"),
    ("data-jp-theme-light", "true", "light", "light"),
    ("class", "vscode-dark", "dark", "dark"),
    ("class", "vscode-light", "light", "light"),
    ("class", "dark dark-theme", "dark", "dark"),
    ("class", "light light-theme", "light", "light"),
    ("theme", "dark", "dark", "dark"),
    ("theme", "light", "light", "light"),
    ("class", "", "light", "dark"),
]


SYSTEMS: list[Literal["light", "dark"]] = ["light", "dark"]


@pytest.mark.parametrize(
    ("name", "tree", "text"),
    [
        ("tree of answers", "page", ".deluge-line .deluge-token"),
        ("tree of answers", "shadow tree", ".deluge-line .deluge-token"),
        ("many comparisons", "shadow tree", ".deluge-clip"),
    ],
)
def test_the_theme_of_the_host_applies_or_else_that_of_the_system(host: Host, name: str, tree: str, text: str) -> None:
    page = host(WIDGETS[name][0]())
    if tree == "shadow tree":
        page.evaluate(
            """() => {
                window.end();
                const main = document.querySelector('main');
                main.replaceChildren();
                const tree = main.attachShadow({mode: 'open'});
                const el = document.createElement('div');
                tree.append(document.querySelector('style').cloneNode(true), el);
                window.widget.render({model: window.model, el});
            }"""
        )
    ink = {"light": "rgb(31, 35, 40)", "dark": "rgb(232, 230, 227)"}
    first = page.locator(text).first
    for attribute, value, *wanted in THEMES:
        page.evaluate(
            """([name, value]) => {
                const {body, documentElement} = document;
                for (const one of body.getAttributeNames()) body.removeAttribute(one);
                documentElement.removeAttribute('theme');
                (name === 'theme' ? documentElement : body).setAttribute(name, value);
            }""",
            [attribute, value],
        )
        for system, theme in zip(SYSTEMS, wanted, strict=True):
            page.emulate_media(color_scheme=system)
            expect(first).to_have_css("color", ink[theme])


def test_the_state_of_a_view_is_json_and_bytes_under_names_that_no_host_reserves() -> None:
    state = LogprobView(FRANCE).get_state()
    own = {name: state[name] for name in LogprobView.class_own_traits() if name in state}
    assert not {"comm", "keys", "layout", "log", "tabbable", "tooltip"} & own.keys()
    binary = {name for name, value in own.items() if isinstance(value, bytes)}
    assert binary == {"data", "measures", "alternatives", "branched"}
    plain = {name: value for name, value in own.items() if name not in binary and not name.startswith("_")}
    assert json.loads(json.dumps(plain)) == plain
