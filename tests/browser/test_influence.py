"""The influence of the parts of a prompt in Chromium: what is copied, and the numbers of a part with the focus."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from deluge_nb.render.influence import ColoredPart, LabeledText, to_html

pytestmark = pytest.mark.browser

FIRST = "def f():\n\treturn 1  # one\n"
SECOND = "Is it so? " + "A long sentence that takes several lines of a narrow page. " * 3
TEXT = FIRST + "\n" + SECOND
PARTS = [
    ColoredPart(0, len(FIRST), FIRST, 3.0, 3.0, 3.0, None),
    ColoredPart(len(FIRST) + 1, len(TEXT), SECOND, -3.0, -3.0, -3.0, None),
]
SELECT = """e => {
    getSelection().removeAllRanges();
    const range = document.createRange();
    range.selectNodeContents(e);
    getSelection().addRange(range);
}"""
# The sentence below the text, and its box.
DETAIL = """e => {
    const style = getComputedStyle(e, '::after');
    return [style.content, style.position, parseFloat(style.width)];
}"""


def show(page: Page, theme: Any = "light") -> None:
    page.set_viewport_size({"width": 400, "height": 700})
    page.emulate_media(color_scheme=theme)
    page.set_content(to_html([LabeledText("", 0, TEXT)], PARTS, "2 parts", standalone=True))


def test_what_is_copied_is_the_prompt(page: Page) -> None:
    show(page)
    page.locator("main").evaluate("e => e.append(document.createElement('textarea'))")
    page.locator(".deluge-influence").evaluate(SELECT)
    page.keyboard.press("Control+C")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    assert page.locator("textarea").input_value().strip("\n") == TEXT.strip("\n")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_part_with_the_focus_shows_its_numbers_on_a_narrow_page(page: Page, theme: Any) -> None:
    show(page, theme)
    for part, number in zip(PARTS, ("+3.00", "−3.00"), strict=True):
        page.keyboard.press("Tab")
        focused = page.locator("[data-detail]:focus")
        content, position, width = focused.evaluate(DETAIL)
        assert number in content
        assert position == "absolute"
        assert 0 < width <= 400
        assert part.text.split()[0] in content
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_parts_that_help_and_hinder_differ_in_colour_and_in_the_place_of_a_line(page: Page) -> None:
    show(page)
    fills = page.locator(".deluge-influence .deluge-token").evaluate_all(
        "all => all.map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert len(set(fills)) == 2
    lines = page.locator(".deluge-influence .deluge-token").evaluate_all(
        "all => all.map((e) => Math.sign(Number(getComputedStyle(e).boxShadow.match(/\\) 0px (-?[\\d.]+)px/)[1])))"
    )
    assert (lines[0], lines[-1]) == (1, -1)
