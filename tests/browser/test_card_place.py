"""Place of the card: at every window height, for every way to open it, never over its token or its line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import LogprobCompare, Logprobs, LogprobView

from .test_compare import shown

__all__ = ["shown"]

from .waits import becomes, settled

pytestmark = pytest.mark.browser

Host = Callable[..., Page]

# The card, and the tokens of the card's token and of its lines that it covers.
COVERED = """(at) => {
    const card = document.querySelector('.deluge-card').getBoundingClientRect();
    const own = document.querySelectorAll(at);
    const lines = new Set([...own].map((cell) => cell.closest('.deluge-pair') ?? cell.closest('.deluge-line')));
    const cells = [...lines].flatMap((line) => [...line.querySelectorAll('[data-token]')]);
    const covered = cells.filter((cell) => [...cell.getClientRects()].some((box) =>
        box.left < card.right && box.right > card.left && box.top < card.bottom && box.bottom > card.top));
    return {
        covered: covered.map((cell) => cell.textContent),
        inside: card.left >= 0 && card.top >= 0 && card.right <= innerWidth && card.bottom <= innerHeight,
        height: card.height,
    };
}"""
# Lines follow a new width in a later frame.
PLACES = """() => [...document.querySelectorAll('.deluge-line [data-token]')].map((cell) => {
    const {left, top} = cell.getBoundingClientRect();
    return [left, top];
})"""


def answer(alternatives: int, count: int = 400) -> Logprobs:
    """Return an answer of many lines whose tokens have this many alternatives."""
    words = [" alpha", " beta", " gamma", ",", "ray", " delta\n"]
    rows = []
    for at in range(count):
        top = [{"token": words[at % 6], "logprob": math.log(0.4), "bytes": None}]
        share = 0.5 / alternatives
        top += [{"token": f" other{k}", "logprob": math.log(share), "bytes": None} for k in range(alternatives - 1)]
        rows.append({**top[0], "top_logprobs": top})
    return Logprobs.from_entries(rows)


def by_pointer(page: Page, token: Any) -> None:
    token.hover(force=True)


def by_click(page: Page, token: Any) -> None:
    token.click(force=True)


def by_key(page: Page, token: Any) -> None:
    token.click(force=True)
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")


@pytest.mark.parametrize(("height", "alternatives"), [(480, 20), (720, 5), (900, 20)])
@pytest.mark.parametrize("widget", ["view", "compare"])
def test_the_card_covers_neither_its_token_nor_its_line(
    host: Host, shown: Host, widget: str, height: int, alternatives: int
) -> None:
    logprobs, other = answer(alternatives), answer(alternatives, 300)
    page = host(LogprobView(logprobs)) if widget == "view" else shown(LogprobCompare(logprobs, other))
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": height})
        settled(lambda: page.evaluate(PLACES), page)
        box = page.get_by_role("listbox")
        for step in range(10):
            # Tokens at ten heights, of those that are in sight.
            at = page.evaluate(
                """(share) => {
                    const box = document.querySelector('.deluge-box').getBoundingClientRect();
                    const seen = [...document.querySelectorAll('.deluge-line [data-token]')].filter((cell) => {
                        const {top, bottom} = cell.getBoundingClientRect();
                        return top >= box.top && bottom <= Math.min(box.bottom, innerHeight);
                    });
                    const {token, of} = seen[Math.floor(share * (seen.length - 1))].dataset;
                    return `.deluge-line [data-token="${token}"]` + (of ? `[data-of="${of}"]` : '');
                }""",
                step / 9,
            )
            open_card = (by_pointer, by_click, by_key)[step % 3]
            open_card(page, page.locator(at).first)
            expect(page.locator(".deluge-card")).to_be_visible()
            # Lines that follow the new width move after the card opens, and it moves with them.
            becomes(lambda at=at: page.evaluate(COVERED, at)["covered"], [], page)
            found = page.evaluate(COVERED, at)
            assert found["inside"], (width, step)
            assert found["height"] >= 100, (width, step)
            box.press("Escape")
            page.mouse.move(1, 1)


@pytest.mark.parametrize("zoom", ["2", "0.5"])
def test_the_card_of_a_page_that_its_style_zooms_is_beside_its_line(host: Host, zoom: str) -> None:
    page = host(LogprobView(answer(20)))
    page.evaluate("(zoom) => { document.documentElement.style.zoom = zoom; }", zoom)
    page.set_viewport_size({"width": 900, "height": 720})
    settled(lambda: page.evaluate(PLACES), page)
    tops = page.locator(".deluge-line").evaluate_all("all => all.map((e) => e.getBoundingClientRect().top)")
    assert 0.9 < (tops[1] - tops[0]) / (float(zoom) * 24) < 1.1
    page.get_by_role("listbox").press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".deluge-card")).to_be_visible()
    at = f'.deluge-line [data-token="{page.locator(".deluge-selected").first.get_attribute("data-token")}"]'
    becomes(lambda: (page.evaluate(COVERED, at)["covered"], page.evaluate(COVERED, at)["inside"]), ([], True), page)


SEEN = """() => {
    const card = document.querySelector('.deluge-card').getBoundingClientRect();
    const {offsetLeft, offsetTop, width, height, scale} = window.visualViewport;
    return [scale, card.left >= offsetLeft, card.top >= offsetTop,
        card.right <= offsetLeft + width, card.bottom <= offsetTop + height];
}"""


@pytest.mark.context(viewport={"width": 1080, "height": 800})
@pytest.mark.parametrize("place", [0, 40])
def test_the_card_of_a_page_that_is_enlarged_with_two_fingers_is_in_the_part_that_is_seen(
    host: Host, place: int
) -> None:
    page = host(LogprobView(answer(20)))
    page.context.new_cdp_session(page).send("Emulation.setPageScaleFactor", {"pageScaleFactor": 1.5})
    page.locator(f"[data-token='{place}']").first.click()
    expect(page.locator(".deluge-card")).to_be_visible()
    becomes(lambda: page.evaluate(SEEN), [1.5, True, True, True, True], page)
    assert page.evaluate(COVERED, f'.deluge-line [data-token="{place}"]')["covered"] == []


def rows(page: Page) -> list[str]:
    return page.locator(".deluge-card .deluge-card-list").first.locator(".deluge-row code").all_text_contents()


def test_a_card_shows_eight_alternatives_and_more_on_demand(host: Host) -> None:
    page = host(LogprobView(answer(20)))
    page.get_by_role("listbox").focus()
    page.keyboard.press("ArrowRight")
    others = [f"·other{k}" for k in range(19)]
    assert rows(page) == ["·alpha", *others[:7], "everything else"]
    assert page.locator(".deluge-card .deluge-folded").text_content() == "12 more30 %"
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    more = page.get_by_role("button", name="Show 12 more alternatives")
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    assert rows(page) == ["·alpha", *others, "everything else"]
    expect(page.get_by_role("status")).to_have_text("20 alternatives shown")
    fewer = page.get_by_role("button", name="Show fewer alternatives")
    expect(fewer).to_be_focused()
    # The rows stay while the card changes, and are folded again for another token.
    page.evaluate("window.model.set('temperature', 0.9)")
    assert len(rows(page)) == 21
    expect(fewer).to_be_focused()
    page.keyboard.press("Space")
    assert len(rows(page)) == 9
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert len(rows(page)) == 9


def test_the_chosen_token_is_shown_among_the_first_whatever_its_rank(host: Host) -> None:
    top = [{"token": f"other{k}", "logprob": math.log(0.4 / 2**k), "bytes": None} for k in range(15)]
    page = host(LogprobView(Logprobs.from_entries([{**top[12], "top_logprobs": top}])))
    page.locator(".deluge-line [data-token]").hover()
    assert rows(page) == [*(f"other{k}" for k in range(8)), "other12", "everything else"]
    assert page.locator(".deluge-card .deluge-own .deluge-rank").text_content() == "13"


def test_both_sides_of_a_comparison_show_more(shown: Host) -> None:
    page = shown(LogprobCompare(answer(20), answer(20, 300)))
    page.locator('.deluge-pair [data-token="3"]').first.click()
    page.get_by_role("button", name="more alternatives").first.click()
    assert page.locator(".deluge-face .deluge-row").count() == 42
    expect(page.get_by_role("button", name="fewer").first).to_be_focused()


def test_kept_cards_show_more_each_by_itself(host: Host) -> None:
    page = host(LogprobView(answer(20)))
    page.evaluate("window.model.set('pinned', [0, 1])")
    kept = page.locator(".deluge-pin")
    kept.nth(1).get_by_role("button", name="more").click()
    expect(kept.nth(1).locator(".deluge-row")).to_have_count(21)
    expect(kept.nth(0).locator(".deluge-row")).to_have_count(9)
