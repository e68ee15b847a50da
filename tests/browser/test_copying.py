"""Copying gives the same text: from the widget, a saved page, static HTML and a converted notebook, in Chromium.

The terminal's form is tested in ``tests/render/test_terminal.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from nbconvert import HTMLExporter
from playwright.sync_api import Page, expect

from deluge_nb import LogprobCompare, LogprobView, to_html
from deluge_nb.text.glyphs import LONGEST

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
SPACES = [
    " ",
    "  ",
    "\t",
    *map(chr, (0xA0, 0xAD, 0x1680, *range(0x2000, 0x200E), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)),
]
BREAKS = ["\n", "\r\n", "\r", " \n", "\t\n\n", "\v", "\f", "\u2028", "\u2029"]
CONTROLS = ["\x1b[31m", "\x07", "\x7f", "\u061c", "\u200e", "\u200f", "\u202e", "\u2066", "\u2069"]
MARKS = ["\u0301", "e\u0301", "\u0489", "a" + "\u0301" * 40, "👩\u200d👩\u200d👧", "❤\ufe0f", "🇩🇪", "\U000e0041", "क्षि"]
MARKUP = ["<b>", "</script>", "&amp;", "&", "]]>", "$x$", "\\(y\\)", "**b**", "`c`", "| a |", "# ", "_i_", "''", '"']
WORDS = ["a", " word", "def f(x):", "שלום", "عربي", "日本", "\ufffd", "\ue000"]
# What no HTML can hold, or only as the character itself, on which terminals act: it stays a sign in static HTML.
LOST = ["\x00", "\x85", "\x9b31m"]

PARTS = st.sampled_from([*SPACES, *BREAKS, *CONTROLS, *MARKS, *MARKUP, *WORDS])


def texts(*more: str) -> st.SearchStrategy[list[str]]:
    """Tokens of a text: hostile parts, joined or not."""
    token = st.one_of(PARTS, st.sampled_from(more or WORDS), st.lists(PARTS, min_size=2, max_size=4).map("".join))
    return st.lists(token, min_size=1, max_size=6)


# Each example has many texts on one page. They are not shrunk: the message names the text.
few = settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def rows(tokens: list[str]) -> list[dict[str, Any]]:
    return [{"token": token, "logprob": math.log(0.5)} for token in tokens]


SELECT = """([selector, at]) => {
    const e = document.querySelectorAll(selector)[at];
    getSelection().removeAllRanges();
    getSelection().selectAllChildren(e);
    return getSelection().toString();
}"""
# Put tokens of a live widget into the selection: from the beginning of one to the end of another.
SELECT_TOKENS = """([side, first, last]) => {
    const of = (token) => document.querySelectorAll(`${side}[data-token="${token}"]`);
    const [from, to] = [of(first)[0], [...of(last)].at(-1)];
    from.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}));
    getSelection().setBaseAndExtent(from, 0, to, to.childNodes.length);
}"""
LISTEN = "addEventListener('copy', (e) => { window.copied = e.clipboardData.getData('text/plain'); })"


def copied(page: Page) -> str:
    page.keyboard.press("Control+C")
    return page.evaluate("navigator.clipboard.readText()")


def converted(forms: list[dict[str, str]]) -> str:
    """Return a notebook with an output in each cell as nbconvert's page."""
    cells = [
        nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("execute_result", form, execution_count=1)])
        for form in forms
    ]
    return HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=cells))[0]


@pytest.mark.parametrize("kind", ["view", "comparison", "notebook"])
def test_what_is_copied_from_static_html_is_the_text(request: pytest.FixtureRequest, kind: str) -> None:
    # nbconvert's pages ask for scripts from public addresses.
    page: Page = request.getfixturevalue("offline" if kind == "notebook" else "page")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    @few
    @given(st.lists(texts(), min_size=25, max_size=25, unique_by="".join))
    def check(answers: list[list[str]]) -> None:
        if kind == "notebook":
            body = converted([{"text/html": LogprobView(rows(tokens)).to_html()} for tokens in answers])
        elif kind == "view":
            body = "".join(to_html(rows(tokens)) for tokens in answers)
        else:
            body = "".join(LogprobCompare(rows(tokens), rows(["zz"])).to_html() for tokens in answers)
        page.route(
            "http://127.0.0.1/**", lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8")
        )
        page.goto("http://127.0.0.1/static", wait_until="domcontentloaded")
        selector = "tbody tr:first-child td:first-child" if kind == "comparison" else ".deluge-static"
        for at, tokens in enumerate(answers):
            text = "".join(tokens)
            if kind == "notebook":  # nbconvert writes carriage returns as such, which HTML reads as line breaks
                text = text.replace("\r", "\n")
            selected = page.evaluate(SELECT, [selector, at])
            # Browsers add or drop line breaks at the ends.
            if kind != "comparison":
                assert selected.strip("\n") == text.strip("\n")
            if text.strip("\n"):
                # On the clipboard Chromium puts a plain space for U+00A0, on every page.
                assert copied(page).strip("\n") == text.replace("\u00a0", " ").strip("\n")

    check()


@pytest.mark.parametrize("lost", LOST)
def test_a_character_that_html_cannot_hold_is_copied_as_its_sign(page: Page, lost: str) -> None:
    page.set_content(to_html(rows(["a", lost, "b"])))
    sign = {"\x00": "␀", "\x85": "⟨U+0085⟩", "\x9b31m": "⟨U+009B⟩31m"}[lost]
    assert page.evaluate(SELECT, [".deluge-static", 0]) == f"a{sign}b"


@pytest.mark.parametrize("kind", ["view", "comparison", "saved view", "saved comparison"])
def test_what_is_copied_from_a_widget_is_the_text(host: Host, page: Page, kind: str, tmp_path: Path) -> None:
    @few
    @given(st.data())
    def check(data: st.DataObject) -> None:
        tokens = [token for text in data.draw(st.lists(texts(*LOST), min_size=15, max_size=15)) for token in text]
        tokens.insert(3, "long " * LONGEST)
        widget = LogprobCompare(rows(tokens), rows(["zz"])) if "comparison" in kind else LogprobView(rows(tokens))
        if kind.startswith("saved"):
            widget.save_html(tmp_path / "page.html")
            page.goto((tmp_path / "page.html").as_uri())
        else:
            host(widget)
        side = '[data-of="0"]' if "comparison" in kind else ""
        expect(page.locator("[data-token]").first).to_be_attached()
        # Before a page is printed, all lines become elements.
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.evaluate(LISTEN)
        for _ in range(20):
            first = data.draw(st.integers(0, len(tokens) - 1))
            last = data.draw(st.integers(first, len(tokens) - 1))
            page.evaluate(SELECT_TOKENS, [side, first, last])
            page.keyboard.press("Control+C")
            assert page.evaluate("window.copied") == "".join(tokens[first : last + 1])

    check()
