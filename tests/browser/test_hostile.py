"""Hostile text from a model stays text: it runs no code, does not reverse the page and stays in its box."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import altair as alt
import pytest
from playwright.sync_api import Page, expect

from deluge_nb import LogprobView, confidence_chart, entropy_chart
from deluge_nb.render.assets import STATIC, read_asset

from .conftest import HOST, encoded
from .tables import table

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
MARKUP = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked=1'>",
    "</script><svg onload=window.hacked=1>",
    "&lt;b&gt;",
    "javascript:window.hacked=1",
    '"><style>*{display:none}</style>',
]


def drawn(page: Page) -> list[str]:
    return page.locator(".deluge-line .deluge-token").all_text_contents()


def everything(page: Page, count: int) -> None:
    """Use every part that draws text: cards, pinned cards, the list, the search, the tree."""
    page.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    for _ in range(count):
        page.keyboard.press("k")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("s")
    node = {"id": 1, "parent": 0, "position": 0, "label": MARKUP[1], "instead": MARKUP[0]}
    node |= {"place": 0, "total": -2.0, "tokens": 2, "logprob": -1.0, "status": "failed", "message": MARKUP[2]}
    page.evaluate("node => { window.model.set('tree', [node]); window.model.set('branching', node.message); }", node)
    page.get_by_role("listbox").focus()
    page.keyboard.press("/")
    page.get_by_label("Search the text").fill(MARKUP[0])


def test_markup_stays_text_everywhere(host: Host) -> None:
    rows = [(token, 0.05, {MARKUP[1]: 0.9, MARKUP[2]: 0.01}) for token in MARKUP]
    page = host(LogprobView(table(*rows), title=MARKUP[1]))
    assert drawn(page) == MARKUP
    everything(page, len(MARKUP))
    assert page.evaluate("window.hacked") is None
    assert page.locator("main :is(img, script, svg, style, iframe)").count() == 0
    expect(page.locator(".deluge-title")).to_have_text(MARKUP[1])
    expect(page.locator(".deluge-tree")).to_contain_text(MARKUP[2])


def test_control_characters_are_shown_as_marks(host: Host) -> None:
    controls = ["\x00", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029"]
    page = host(LogprobView(table(*((f"a{one}b", 0.5) for one in controls))))
    for text in drawn(page):
        assert not [one for one in text if ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 or one in "\u2028\u2029"]
    assert drawn(page)[0] == "a␀b"


@pytest.mark.parametrize("turn", ["\u202e", "\u2067", "\u200f", "\u061c"])
def test_no_token_reverses_the_text_after_it(host: Host, turn: str) -> None:
    page = host(LogprobView(table(("safe", 0.5), (f"{turn}evil", 0.5), (" end", 0.5)), title=f"{turn}title"))
    left = page.locator(".deluge-line .deluge-token").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().left)"
    )
    assert left == sorted(left)
    assert turn not in "".join(drawn(page))


def test_a_token_cannot_imitate_the_legend_or_the_card(host: Host) -> None:
    page = host(LogprobView(table(("everything else", 0.4, {"100 %": 0.5}), (" \u202e% 001", 0.5))))
    page.locator('[data-token="0"]').click()
    rows = page.locator(".deluge-card .deluge-row")
    names = rows.evaluate_all("all => all.map(e => [e.querySelector('code').textContent, e.className])")
    assert [(name, "deluge-rest" in kind) for name, kind in names] == [
        ("100 %", False),
        ("everything else", False),
        ("everything else", True),
    ]
    ticks = page.locator(".deluge-ticks").text_content()
    assert "100 %" in (ticks or "")
    assert page.locator(".deluge-legend .deluge-line, .deluge-legend [data-token]").count() == 0


def test_stacked_joiners_and_marks_stay_in_their_line(host: Host) -> None:
    zalgo = "Z" + "\u0301\u0334\u0489" * 60
    family = "👩\u200d👩\u200d👧\u200d👦" * 40
    page = host(LogprobView(table(("a", 0.5), (zalgo, 0.5), (family, 0.5), ("\u200d" * 50, 0.5), ("b", 0.5))))
    box = page.locator(".deluge-box")
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    heights = page.locator(".deluge-line").evaluate_all("all => all.map(e => e.getBoundingClientRect().top)")
    assert all(b > a for a, b in pairwise(heights))
    # Stacked marks are clipped at the edge of the box.
    assert box.evaluate("e => getComputedStyle(e).overflowY") == "auto"


@pytest.mark.parametrize("unit", ["x", "ab ", "\U0001f1e6", "日", "\u202e", "\u0301"])
def test_a_token_of_a_hundred_thousand_bytes_does_not_break_the_view(host: Host, unit: str) -> None:
    huge = unit * (100_000 // len(unit.encode()))
    page = host(LogprobView(table(("start", 0.9), (huge, 0.5, {huge[:-1]: 0.2}), (" end", 0.9))))
    box = page.locator(".deluge-box")
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert page.locator(".deluge *").count() < 2500
    page.locator('[data-token="1"]').first.hover()
    card = page.locator(".deluge-card")
    expect(card).to_be_visible()
    assert card.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(page.locator('[data-token="2"]').first).to_be_in_viewport()
    page.keyboard.press("k")


STRICT = "default-src 'none'; script-src 'nonce-a' blob:; style-src 'nonce-a'; base-uri 'none'; form-action 'none'"


def test_the_widget_works_under_a_strict_content_security_policy(page: Page) -> None:
    state, binary = encoded(LogprobView(table(*((token, 0.05) for token in MARKUP)), title="Strict"))
    known: dict[str, Any] = {"STATE": state, "BINARY": binary}
    known["SOURCE"] = (STATIC / "view.js").read_text(encoding="utf-8")
    script = "\n".join(f"const {name} = {json.dumps(value)};".replace("</", "<\\/") for name, value in known.items())
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tokens</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{STRICT}">'
        '<script nonce="a">window.refused = []; document.addEventListener("securitypolicyviolation", '
        "(event) => refused.push(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample));</script>"
        f'<style nonce="a">{read_asset("view.css")}</style></head>'
        f'<body><main></main><script nonce="a" type="module">{script}{HOST}</script></body></html>'
    )
    page.route("http://127.0.0.1/strict", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto("http://127.0.0.1/strict")
    page.wait_for_function("window.ready")
    everything(page, len(MARKUP))
    assert drawn(page) == MARKUP
    heats = page.locator(".deluge-line .deluge-token").evaluate_all(
        "all => all.map(e => getComputedStyle(e).backgroundColor)"
    )
    assert len(set(heats)) == 1
    assert heats[0] != "rgba(0, 0, 0, 0)"
    assert page.evaluate("window.refused") == []
    assert page.evaluate("window.hacked") is None


def test_tokens_named_like_object_properties_are_drawn_as_text(host: Host) -> None:
    page = host(
        LogprobView(table(("__proto__", 0.5, {"constructor": 0.2}), ("toString", 0.5), (" hasOwnProperty", 0.5)))
    )
    assert drawn(page) == ["__proto__", "toString", " hasOwnProperty"]
    page.locator('[data-token="0"]').hover()
    assert page.locator(".deluge-card .deluge-row code").all_text_contents()[:2] == ["__proto__", "constructor"]


@pytest.mark.parametrize("compound", ["the package's", "Altair's"])
def test_a_saved_chart_runs_no_text_of_a_model(page: Page, tmp_path: Path, compound: str) -> None:
    tokens = ["</script><img src=x a='", "' onerror='window.hacked=1//", "'>", *MARKUP]
    rows = table(*((token, 0.05, {MARKUP[1]: 0.9}) for token in tokens))
    parts = entropy_chart(rows), confidence_chart(rows)
    chart = parts[0] & parts[1] if compound == "the package's" else alt.vconcat(*parts)
    chart.properties(title=MARKUP[2]).save(tmp_path / "chart.html", inline=True)
    page.goto((tmp_path / "chart.html").as_uri())
    expect(page.locator("#vis svg.marks, #vis canvas").first).to_be_visible()
    page.locator("#vis svg.marks path[aria-roledescription=bar], #vis canvas").first.hover()
    assert page.evaluate("window.hacked") is None
    assert page.locator("body :is(img, iframe)").count() == 0
    # The menu of Vega's charts writes the specification into a page of its own.
    for entry in ("View Source", "View Compiled Vega"):
        page.locator("#vis summary").click()
        with page.expect_popup() as opened:
            page.get_by_text(entry).click()
        expect(opened.value.locator("body")).to_contain_text('"$schema"')
        names = opened.value.locator("*").evaluate_all("all => all.map(e => e.localName).sort()")
        assert names == ["body", "head", "html", "meta", "plaintext", "title"]
        assert opened.value.evaluate("window.hacked") is None
        opened.value.close()
        page.locator("#vis summary").click()
