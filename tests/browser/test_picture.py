"""Pictures and static pages in Chromium: the same colours and order, and the picture only if styles are stripped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nbformat
import numpy as np
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Page, expect

from deluge_nb import APIResponse, LogprobCompare, Logprobs, LogprobView, as_logprobs, to_html, to_svg
from deluge_nb.render.assets import read_asset
from deluge_nb.render.colors import PALETTES, THEMES, cue_thresholds, inks_for
from deluge_nb.render.html import static_bundle
from deluge_nb.render.picture.grid import lay_out

from .tables import FRANCE, entry
from .waits import becomes

pytestmark = pytest.mark.browser

Host = Callable[..., Page]

# Painted colours as sRGB: Chromium reports colours mixed in OKLab as OKLab.
PAINTED = """all => {
    const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const painted = (color) => {
        context.fillStyle = color;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    return all.map((e) => {
        const style = getComputedStyle(e);
        const [shadow] = style.boxShadow.match(/^\\w+\\(.*?\\)/) ?? [];
        return {
            heat: Number(e.style.getPropertyValue('--u')),
            fill: painted(style.backgroundColor),
            ink: painted(style.color),
            edge: painted(shadow),
            line: -Number(style.boxShadow.match(/\\) 0px (-?[\\d.]+)px/)[1]),
        };
    });
}"""

RIGHT_TO_LEFT = [
    ["In", " Hebrew", ": ", "של", "ום", ".\n", "שלום", " (", "abc", ") ", "12", "."],
    ["a", " ד 1", "-", "2", " b", "\n", "دج", " 3", ".", "5", " test", "!\n"],
    ["ab", " (", "דה", ")", " [", "ד", "]", "x", "\n", "ד", " {", "ab", " ה", "} ", "cd"],
    ["عدد", ": ", "12", "/", "3", " + ", "abc", "\n", "$", "5", " ד", " 7", "%"],
]


def painted(page: Page) -> list[dict[str, Any]]:
    return page.locator(".deluge-static .deluge-token").evaluate_all(PAINTED)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("palette", PALETTES)
def test_the_browser_and_the_picture_have_the_same_colours(page: Page, palette: Any, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    heats = np.linspace(0, 1, 33)
    # Each token is a word and a mark.
    table = Logprobs.from_entries(entry(token, 1 - heat**2 or 1e-12) for heat in heats for token in ("word", " "))
    page.set_content(to_html(table, palette=palette, standalone=True))
    own = inks_for(palette, theme)
    found = painted(page)
    assert len(found) == 2 * len(heats)
    start, slope = cue_thresholds()
    for place, one in enumerate(found):
        assert one["heat"] == pytest.approx(heats[place // 2], abs=1e-4)
        assert one["fill"] == pytest.approx(own.fill(one["heat"]), abs=1)
        assert one["ink"] == pytest.approx(own.mark(one["heat"]) if place % 2 else own.text, abs=1)
        assert one["edge"] == pytest.approx(own.edge, abs=1)
        assert one["line"] == pytest.approx(max(0, (one["heat"] - start) * slope), abs=1e-3)


@pytest.mark.parametrize("tokens", RIGHT_TO_LEFT)
def test_tokens_are_in_the_order_of_the_browser(host: Host, tokens: list[str]) -> None:
    # Compare with the widget, in which every line is a paragraph: for several paragraphs in one block, Chromium gives
    # brackets the direction of the first.
    page = host(LogprobView([entry(token, 0.5) for token in tokens]))
    boxes = page.locator(".deluge-line .deluge-token").evaluate_all(
        "all => all.flatMap((e) => [...e.getClientRects()].map((box) =>"
        " [Math.round(box.top), box.left, Number(e.dataset.token)]))"
    )
    drawn = lay_out([token.encode() for token in tokens], 80)
    tops = sorted({top for top, _, _ in boxes})
    assert len(tops) == drawn.lines
    for line, top in enumerate(tops):
        browsers = [at for row, _, at in sorted(boxes) if row == top]
        ours = [one.token for one in sorted(drawn.patches, key=lambda one: one.column) if one.line == line]
        assert merge_repeated(browsers) == merge_repeated(ours)


def merge_repeated(places: list[int]) -> list[int]:
    """Return the positions without adjacent repetitions: the box of a token may have several parts."""
    return [one for at, one in enumerate(places) if not at or places[at - 1] != one]


STRIPPED = """() => {
    for (const style of document.querySelectorAll('style')) style.remove();
    for (const styled of document.querySelectorAll('[style]')) styled.removeAttribute('style');
    for (const named of document.querySelectorAll('[class]')) named.removeAttribute('class');
}"""
# As JupyterLab does in a notebook that it does not trust, while a widget of another one has its stylesheet on the page.
SANITISED = """(css) => {
    document.querySelector('style').remove();
    for (const styled of document.querySelectorAll('[style]')) styled.style = '';
    for (const hidden of document.querySelectorAll('[hidden]')) hidden.hidden = false;
    document.head.append(Object.assign(document.createElement('style'), {textContent: css}));
}"""


@pytest.mark.parametrize("strip", [STRIPPED, SANITISED])
def test_the_picture_is_shown_if_styles_are_stripped_and_else_the_text(page: Page, strip: str) -> None:
    page.set_content(f"<!doctype html><main>{static_bundle(FRANCE, title='Where?')['text/html']}</main>")
    picture, spans = page.locator("main img"), page.locator("main span[title]")
    expect(picture).to_be_hidden()
    expect(spans.nth(5)).to_be_visible()
    expect(spans).to_have_count(7)
    page.evaluate(strip, read_asset("view.css"))
    expect(picture).to_be_visible()
    expect(spans.nth(5)).to_be_hidden()
    assert page.locator("main").inner_text().strip() == ""
    becomes(lambda: picture.evaluate("e => [e.complete, e.naturalWidth / e.width]"), [True, 2], page)
    expect(page.get_by_role("img")).to_have_accessible_name(
        "Tokens coloured by probability: The capital of France is Paris."
    )


def test_a_comparison_is_a_picture_if_styles_are_stripped_and_else_has_equal_columns(page: Page) -> None:
    word = Logprobs.from_entries([entry("W" * 300, 0.5), entry(" end", 0.5)])
    compare = LogprobCompare(FRANCE, word, names=["a", "b"])
    page.set_content(f"<!doctype html><main>{compare._static_forms()['text/html']}</main>")
    picture, columns = page.locator("main img"), page.locator("main td")
    expect(picture).to_be_hidden()
    left, right = (columns.nth(side).evaluate("e => e.getBoundingClientRect().width") for side in (0, 1))
    assert abs(left - right) <= 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate(STRIPPED)
    expect(picture).to_be_visible()
    expect(columns.first).to_be_hidden()


def test_a_converted_notebook_shows_the_coloured_text(offline: Page, tmp_path: Any) -> None:
    view = LogprobView(FRANCE, title="Where?")
    data, metadata = view._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data, metadata=metadata, execution_count=1)
    cell = nbformat.v4.new_code_cell("view", execution_count=1, outputs=[output])
    converted, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    (tmp_path / "notebook.html").write_text(converted, encoding="utf-8")
    offline.goto((tmp_path / "notebook.html").as_uri(), wait_until="domcontentloaded")
    spans = offline.locator(".deluge-static .deluge-token")
    expect(spans.nth(5)).to_be_visible()
    expect(offline.locator(".deluge-picture")).to_be_hidden()
    found = painted(offline)
    assert [one["fill"] for one in found] == [
        pytest.approx(inks_for("amber", "light").fill(one["heat"]), abs=1) for one in found
    ]
    assert len({tuple(one["fill"]) for one in found}) == 7


def test_in_an_svg_every_text_stays_in_its_cells(page: Page) -> None:
    tokens = ["Wide", " words", " iiii", " שלום", " עולם", " العربية", " مرحبا", " 🦆", "é", " ⟨x⟩"]
    page.set_content(to_svg([entry(token, 0.5) for token in tokens]))
    texts = page.locator("svg text[textLength]")
    boxes = texts.evaluate_all(
        "all => all.map((e) => [e.getBBox().x - Number(e.getAttribute('x')), e.getBBox().width, "
        "Number(e.getAttribute('textLength'))])"
    )
    assert len(boxes) > len(tokens)
    for offset, width, cells in boxes:
        assert offset == pytest.approx(0, abs=1)
        assert width == pytest.approx(cells, abs=1)


@pytest.mark.parametrize("is_later", [False, True])
def test_the_columns_of_a_comparison_are_left_aligned_below_the_styles_of_jupyter(page: Page, is_later: bool) -> None:
    rule = "<style>:not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon :is(td, th) {text-align: right}</style>"
    static = LogprobCompare(FRANCE, FRANCE).to_html()
    content = static + rule if is_later else rule + static
    page.set_content(f'<!doctype html><main class="jp-RenderedHTMLCommon">{content}</main>')
    aligned = page.locator("th, td").evaluate_all("all => all.map(e => getComputedStyle(e).textAlign)")
    assert set(aligned) == {"left"}


@pytest.mark.parametrize("is_later", [False, True])
def test_the_tree_of_answers_has_no_bullets_below_the_styles_of_jupyter(page: Page, is_later: bool) -> None:
    rule = (
        "<style>.jp-RenderedHTMLCommon ul:not(.list-inline) {padding-left: 2em; margin: 1em 0}"
        ".jp-RenderedHTMLCommon ul ul {list-style: square}</style>"
    )
    answers = [APIResponse("m", logprobs=as_logprobs([{"token": text, "logprob": -1.0}])) for text in ("a", "b")]
    static = LogprobView(answers).to_html()
    content = static + rule if is_later else rule + static
    page.set_content(f'<!doctype html><main class="jp-RenderedHTMLCommon">{content}</main>')
    styles = "all => all.map((e) => getComputedStyle(e)).map((s) => [s.listStyleType, s.paddingLeft, s.marginTop])"
    assert page.locator("ul").evaluate_all(styles) == [["none", "0px", "0px"], ["none", "16px", "0px"]]
