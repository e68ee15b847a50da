"""The comparison on a page of its own: drawing, pointing, keys and selection."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import LogprobCompare, Logprobs
from deluge_nb.render.assets import STATIC
from deluge_nb.widget.packer import CHUNK

from .accessible import is_accessible
from .conftest import HOST, Jupyter, encoded
from .tables import entry, escapes_until_heard, table
from .test_lab import in_kernel, open_and_run
from .test_page import CONTRAST, HOSTILE
from .waits import becomes, settled

pytestmark = pytest.mark.browser

Shown = Callable[..., Page]
LIGHT, DARK = 'data-jp-theme-light="true"', 'data-jp-theme-light="false"'

A = table(
    ("The", 0.5),
    (" capital", 0.9, {" city": 0.05}),
    (" is", 0.8),
    (" Paris", 0.6, {" Lyon": 0.3}),
    (".", 0.9),
)
B = table(
    ("The", 0.25), (" cap", 0.9), ("ital", 0.05), (" is", 0.8), (" Ly", 0.4, {" Paris": 0.35}), ("on", 0.9), (".", 0.9)
)


@pytest.fixture
def shown(page: Page) -> Shown:
    """Put a comparison on a page of its own; ``window.model`` is its model."""

    def put(compare: LogprobCompare, *, theme: str = "", dark: bool = False) -> Page:
        state, binary = encoded(compare)  # type: ignore[bad-argument-type]
        static = STATIC
        known = {"STATE": state, "BINARY": binary, "SOURCE": (static / "compare.js").read_text(encoding="utf-8")}
        script = "\n".join(f"const {name} = {json.dumps(value)};" for name, value in known.items()) + HOST
        page.set_content(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Compared</title>'
            f"<style>{(static / 'compare.css').read_text(encoding='utf-8')}</style></head>"
            f'<body {theme} style="background: {"#111" if dark else "#fff"}"><main style="padding: 12px"></main></body>'
            "</html>"
        )
        page.add_script_tag(content=script, type="module")
        page.wait_for_function("window.ready")
        compare.close()
        return page

    return put


def token(page: Page, side: int, place: int) -> Any:
    return page.locator(f'[data-of="{side}"][data-token="{place}"]').first


def texts(page: Page, side: int) -> list[str]:
    return page.locator(f'.deluge-pair [data-of="{side}"]').all_text_contents()


def chosen(page: Page) -> Any:
    return page.evaluate("window.model.get('selected')")


def active(page: Page) -> Any:
    """Return the side and the position of the token with the keyboard focus."""
    return page.evaluate(
        """() => {
            const id = document.querySelector('.deluge-box').getAttribute('aria-activedescendant');
            const at = document.getElementById(id);
            return at && [Number(at.dataset.of), Number(at.dataset.token)];
        }"""
    )


def tops(page: Page, *places: tuple[int, int]) -> list[float]:
    return [token(page, *place).bounding_box()["y"] for place in places]


def long_table(count: int, changed: int = 0) -> Logprobs:
    """Return a table of words; with `changed`, one in so many is another word."""
    return Logprobs.from_entries(
        entry(f" other{at}" if changed and at % changed == 7 else f" word{at % 997}", 0.5, **{" x": 0.1})
        for at in range(count)
    )


@pytest.mark.parametrize("count", [5, 3000])
def test_headings_stand_above_their_columns_with_and_without_a_scrollbar(shown: Shown, count: int) -> None:
    page = shown(LogprobCompare(long_table(count), long_table(count, 50)))
    bar = page.locator(".deluge-box").evaluate("e => e.offsetWidth - e.clientWidth - 2 * e.clientLeft")
    assert (bar > 4) == (count > 5)
    for which in (0, 1):
        head, side = page.locator(".deluge-head").nth(which), page.locator(f'.deluge-side[data-side="{which}"]').first
        left, right = (part.evaluate("e => e.getBoundingClientRect().x") for part in (head, side))
        assert abs(left - right) <= 1
    page.evaluate(
        """() => {
            const el = document.querySelector('main');
            window.end?.();
            el.replaceChildren();
            window.end = window.widget.render({model: window.model, el});
            window.over = Math.max(...[...el.querySelectorAll('.deluge-side')].map(e => e.scrollWidth - e.clientWidth));
        }"""
    )
    assert page.evaluate("window.over") <= 0


def test_all_tokens_of_both_are_drawn_side_by_side(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B, names=["small", "large"]))
    assert texts(page, 0) == A.tokens
    assert texts(page, 1) == B.tokens
    assert token(page, 1, 0).bounding_box()["x"] > 500
    heads = [text.replace("\N{NO-BREAK SPACE}", " ") for text in page.locator(".deluge-head").all_text_contents()]
    assert heads[0].startswith("Asmall5 tokens · mean logprob −")
    assert heads[1].startswith("Blarge7 tokens · mean logprob −")


def test_the_facts_of_a_head_break_between_each_other_only(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B, names=["small", "large"]))
    broken = page.evaluate(
        """() => [...Array(30).keys()].flatMap((step) => {
            document.querySelector('main').style.width = `${380 + 20 * step}px`;
            return [...document.querySelectorAll('.deluge-head-facts')].flatMap((facts) => {
                const text = facts.firstChild;
                return [...text.data.matchAll(/[^·]*[^·\\s]/g)].filter(({index, 0: fact}) => {
                    const range = document.createRange();
                    range.setStart(text, index + fact.search(/\\S/));
                    range.setEnd(text, index + fact.length);
                    return new Set([...range.getClientRects()].map((rect) => rect.top)).size > 1;
                });
            });
        })"""
    )
    assert not broken


def test_common_text_is_on_the_same_row(shown: Shown) -> None:
    more = [(f" word{at}", 0.5) for at in range(80)]
    page = shown(LogprobCompare(table(("One", 0.5), *more, (" end", 0.5)), table(("One", 0.5), (" end", 0.5))))
    first, other, end, other_end = tops(page, (0, 0), (1, 0), (0, 81), (1, 1))
    assert first == other
    assert end == other_end > first + 40
    assert page.locator(".deluge-blank").count() > 1


def test_a_surer_token_is_blue_with_a_line_above_and_a_less_sure_one_orange_with_a_line_below(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    looks = [
        token(page, side, place).evaluate(
            """e => {
                const style = getComputedStyle(e);
                const context = document.createElement('canvas').getContext('2d');
                context.fillStyle = style.backgroundColor;
                context.fillRect(0, 0, 1, 1);
                const [red, , blue] = context.getImageData(0, 0, 1, 1).data;
                const [, line] = style.boxShadow.match(/0px (-?[0-9.]+)px/);
                return [blue - red, Number(line)];
            }"""
        )
        for side, place in ((0, 1), (1, 1), (1, 2), (0, 2))
    ]
    assert looks[0][0] > 40
    assert looks[0][1] > 1
    # The other side has the word in two tokens, and both have the difference of the whole word.
    assert looks[1] == looks[2]
    assert looks[1][0] < -40
    assert looks[1][1] < -1
    assert looks[3] == [0, 0]


def test_text_of_only_one_response_is_dashed(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    lines = [
        token(page, side, place).evaluate("e => getComputedStyle(e).textDecorationStyle")
        for side, place in ((0, 3), (1, 4), (1, 5), (0, 1), (1, 0))
    ]
    assert lines == ["dashed", "dashed", "dashed", "solid", "solid"]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_can_be_read_on_every_shade_of_both_hues(shown: Shown, theme: str) -> None:
    steps = [at / 10 for at in range(-25, 26)]
    words = [(f"w{at}", 0.05, math.exp(step)) for at, step in enumerate(steps)]
    left = table(*((" " if at % 3 == 0 else f" {word}", p * times) for at, (word, p, times) in enumerate(words)))
    right = table(*((" " if at % 3 == 0 else f" {word}", p) for at, (word, p, _) in enumerate(words)), (" more", 0.5))
    page = shown(LogprobCompare(left, right), theme=theme, dark=theme == DARK)
    measured = page.locator(".deluge-pair .deluge-token").evaluate_all(CONTRAST)
    assert len(measured) == 2 * len(steps) + 1
    assert min(measured) >= 4.5
    assert page.locator(".deluge-pair .deluge-surer").count() > 40


def test_pointing_at_a_token_shows_both_sides(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B, names=["small", "large"]))
    token(page, 0, 3).hover()
    card = page.locator(".deluge-card")
    expect(card).to_be_visible()
    faces = card.locator(".deluge-face")
    expect(faces.nth(0)).to_contain_text("small")
    assert faces.nth(0).locator(".deluge-card-list code").all_text_contents() == ["·Paris", "·Lyon", "everything else"]
    assert faces.nth(1).locator(".deluge-card-list code").all_text_contents() == ["·Ly", "·Paris", "everything else"]
    expect(card.locator(".deluge-card-head").first).to_have_text("B has different text hereonly in A")
    page.mouse.move(900, 880)
    expect(card).to_be_hidden()


def test_the_card_follows_its_token_and_closes_when_it_leaves_the_view(shown: Shown) -> None:
    page = shown(LogprobCompare(long_table(3000), long_table(3000, 50)))
    # Scroll by keys: a token that scrolls under the pointer would open its own card.
    page.locator(".deluge-box").focus()
    for key in ("n", "Enter"):
        page.keyboard.press(key)
    card = page.locator(".deluge-card")
    expect(card).to_be_visible()
    before = settled(card.bounding_box, page)
    page.locator("main").evaluate("e => { e.style.paddingTop = '62px'; }")
    becomes(lambda: (card.bounding_box() or before)["y"] - before["y"], pytest.approx(50, abs=1), page)
    page.locator(".deluge-box").evaluate("e => e.scrollTo(0, 20000)")
    expect(card).to_be_hidden()


def test_an_open_card_stays_when_the_width_changes(shown: Shown) -> None:
    page = shown(LogprobCompare(long_table(1000), long_table(1000, 50)))
    page.locator(".deluge-box").focus()
    page.keyboard.press("End")
    expect(page.locator(".deluge-card")).to_be_visible()
    page.locator("main").evaluate("e => { e.style.width = '400px'; }")
    expect(page.locator(".deluge-interleaved")).to_be_attached()
    expect(token(page, 0, 999)).to_be_in_viewport()
    settled(page.locator(".deluge-card").bounding_box, page)
    expect(page.locator(".deluge-card")).to_be_visible()


def test_a_card_shows_the_difference_and_the_tokens_that_share_it(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    token(page, 1, 2).hover()
    card = page.locator(".deluge-card")
    expect(card.locator(".deluge-card-head").first).to_have_text("20 times less probable in B than in A−3.00 nats")
    expect(card.locator(".deluge-face").nth(1)).to_contain_text("2 tokens together: ·cap|ital 4.5 %")
    expect(card.locator(".deluge-face").nth(0).locator(".deluge-card-head")).to_have_text("·capital90 %")


def test_the_card_at_the_first_divergence_bounds_the_distance_of_the_distributions(shown: Shown) -> None:
    other = table(("The", 0.5), (" capital", 0.3), (" is", 0.8), (" Nice", 0.2, {" Paris": 0.7}), (".", 0.9))
    page = shown(LogprobCompare(A, other))
    token(page, 0, 3).hover()
    expect(page.locator(".deluge-card")).to_contain_text(
        "the texts diverge here; the distributions differ by at least 0.0"
    )


def test_a_click_selects_the_span_and_marks_it_on_both_sides(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    token(page, 1, 2).click()
    assert chosen(page) == 1
    expect(token(page, 1, 2)).to_have_attribute("aria-selected", "true")
    marked = page.locator(".deluge-pair .deluge-ranged").all_text_contents()
    assert marked == [" capital", " cap", "ital"]


def test_python_selects_a_span_that_is_out_of_sight(shown: Shown) -> None:
    page = shown(LogprobCompare(long_table(4000), long_table(4000, 50)))
    page.evaluate("window.model.set('selected', 3000)")
    expect(token(page, 0, 3000)).to_be_in_viewport()
    assert active(page) == [0, 3000]
    page.evaluate("window.model.set('selected', null)")
    assert active(page) is None


def test_keys_move_between_tokens_lines_and_sides(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    page.locator(".deluge-box").focus()
    walked = []
    for key in ("ArrowRight", "ArrowRight", "o", "ArrowRight", "o", "End", "o", "Home", "ArrowLeft"):
        page.keyboard.press(key)
        walked.append(active(page))
    assert walked == [[0, 0], [0, 1], [1, 1], [1, 2], [0, 1], [0, 4], [1, 6], [1, 0], [1, 0]]
    page.keyboard.press("Escape")
    assert chosen(page) is None
    expect(page.locator(".deluge-card")).to_be_hidden()


def pressed(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_keys_search_list_keep_and_select_as_in_a_view(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B, names=["small", "large"]))
    page.locator(".deluge-box").focus()
    pressed(page, "?")
    keys = page.locator(".deluge-help dt").all_text_contents()
    assert {"/", "s", "k", "Shift ← → ↑ ↓", "Ctrl A, Ctrl C"} <= {*keys}
    pressed(page, "?")

    pressed(page, "/")
    expect(page.get_by_label("Search the text")).to_be_focused()
    page.keyboard.type("CAPITAL")
    expect(page.locator(".deluge-pair .deluge-hit")).to_have_text([" capital", " cap", "ital"])
    pressed(page, "Enter", "Escape")
    expect(page.locator(".deluge-tools .deluge-count")).to_have_text("1 of 2")
    walked = [active(page)]
    for key in "gG":
        pressed(page, key)
        walked.append(active(page))
    assert walked == [[0, 1], [1, 1], [0, 1]]

    pressed(page, "s")
    rows = page.get_by_role("group", name="Tokens, least probable first").get_by_role("button")
    assert rows.all_text_contents()[:3] == ["B3ital5 %", "B1The25 %", "B5·Ly40 %"]
    pressed(page, "ArrowDown", "Enter", "Escape")
    assert active(page) == [1, 0]
    expect(page.locator(".deluge-list")).to_be_hidden()

    pressed(page, "k", "ArrowRight", "k")
    assert page.evaluate("window.model.get('pinned')") == [[1, 0], [1, 1]]
    pins = page.get_by_role("group", name="Kept cards")
    expect(pins.locator(".deluge-face")).to_have_count(4)
    expect(page.locator(".deluge-pair .deluge-pinned")).to_have_text(["The", " cap"])
    pins.get_by_role("button", name="Remove the card of B, token 1").press("Enter")
    assert page.evaluate("window.model.get('pinned')") == [[1, 1]]

    page.locator(".deluge-box").focus()
    pressed(page, "Shift+ArrowRight")
    assert page.evaluate("window.model.get('selection')") == [1, 1, 3]
    expect(page.locator(".deluge-pair .deluge-ranged")).to_have_text([" cap", "ital"])
    sum_of_bits = (
        "B, tokens 2 to 3: 2 tokens · logprob −3.101 nats · probability 4.5 % · 4.5 bits; "
        "A, tokens 2 to 2: 1 token · logprob −0.105 nats · probability 90 % · 0.2 bits"
    )
    expect(page.locator(".deluge-ranged-sum")).to_have_text(sum_of_bits)
    pressed(page, "Escape")
    assert (page.evaluate("window.model.get('selection')"), active(page)) == ([], [1, 2])
    pressed(page, "Control+a")
    assert page.evaluate("window.model.get('selection')") == [1, 0, len(B)]
    page.evaluate("addEventListener('copy', (e) => { window.copied = e.clipboardData.getData('text/plain'); })")
    pressed(page, "Control+c")
    assert page.evaluate("window.copied") == B.text


def test_lines_of_one_side_are_selected_also_where_both_are_interleaved(shown: Shown) -> None:
    lines = [(f"word{at}\n", 0.5) for at in range(4)]
    page = shown(LogprobCompare(table(*lines), table(*lines), arrange="interleaved"))
    token(page, 1, 0).click()
    pressed(page, "Escape", "Shift+ArrowDown", "Shift+ArrowDown")
    assert page.evaluate("window.model.get('selection')") == [1, 0, 3]
    token(page, 0, 2).click(modifiers=["Shift"])
    assert page.evaluate("window.model.get('selection')") == [0, 2, 3]


def test_cards_show_what_a_sampler_can_draw_on_both_sides(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B, top_k=1))
    token(page, 0, 3).click()
    card = page.locator(".deluge-card")
    # Of A the token is the likeliest; of B its counterpart is.
    expect(card.locator(".deluge-face .deluge-own .deluge-percent")).to_have_text(["100 %", "100 %"])
    expect(card.locator(".deluge-face .deluge-cut code")).to_have_text(
        ["·Lyon", "everything else"] * 1 + ["·Paris", "everything else"]
    )
    pressed(page, "k")
    card.get_by_label("top-k").fill("")
    assert page.evaluate("window.model.get('top_k')") is None
    for place in (card, page.locator(".deluge-pin")):
        expect(place.locator(".deluge-face").first.locator(".deluge-own .deluge-percent")).to_have_text("60 %")


def test_up_and_down_stay_on_their_side_or_go_through_the_interleaved_lines(shown: Shown) -> None:
    lines = [(f"word{at}" + " \n"[at % 2], 0.5) for at in range(8)]
    page = shown(LogprobCompare(table(*lines), table(*lines)))
    token(page, 0, 0).click()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    assert active(page) == [0, 2]
    page.evaluate("window.model.set('arrange', 'interleaved')")
    page.keyboard.press("ArrowDown")
    assert active(page) == [1, 2]
    page.keyboard.press("ArrowDown")
    assert active(page) == [0, 4]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert active(page) == [0, 2]


def test_escape_is_passed_to_the_host_when_there_is_nothing_to_close(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    page.locator(".deluge-box").focus()
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    assert escapes_until_heard(page) == 3  # the card, the token
    assert chosen(page) is None
    expect(page.locator(".deluge-card")).to_be_hidden()


def test_n_and_p_go_from_difference_to_difference(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    expect(page.locator(".deluge-bar .deluge-count")).to_have_text("2 differences")
    page.locator(".deluge-box").focus()
    walked = []
    for key in "nnnpp":
        page.keyboard.press(key)
        walked.append(chosen(page))
    assert walked == [1, 3, 3, 1, 1]
    expect(page.get_by_role("status")).to_have_text("no more differences")
    page.get_by_label("Difference threshold (nats)").fill("0.5")
    page.keyboard.press("Enter")
    assert page.evaluate("window.model.get('threshold')") == 0.5
    expect(page.locator(".deluge-bar .deluge-count")).to_have_text("3 differences")
    page.get_by_label("Previous difference (p)").click()
    assert chosen(page) == 0


def test_enter_opens_and_focuses_the_card_and_escape_returns_to_the_text(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    page.locator(".deluge-box").focus()
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_accessible_name("A, token 2, compared with the other responses")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "‹ difference"
    page.keyboard.press("Escape")
    expect(page.locator(".deluge-card")).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "deluge-box"


def test_actions_are_announced_to_screen_readers(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B, names=["small", "large"]))
    page.locator(".deluge-box").focus()
    status = page.get_by_role("status")
    page.keyboard.press("Home")
    expect(status).to_have_text("small, token 1 of 5: The, 50 %, rank 1; difference +0.69 nats; large has The, 25 %")
    page.keyboard.press("n")
    page.keyboard.press("n")
    expect(status).to_contain_text(
        "token 4 of 5: ·Paris, 60 %, rank 1; alternatives: ·Lyon 30 %; only here; large has ·Ly, 40 %"
    )


def test_every_control_is_reached_by_tab_and_tab_leaves(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        focused = "document.activeElement"
        names.append(page.evaluate(f"{focused}.getAttribute('aria-label') || {focused}.textContent"))
    assert names == [
        "Colour by",
        "Arrange",
        "Chart of",
        "Previous difference (p)",
        "Next difference (n)",
        "Difference threshold (nats)",
        "Display",
        "Tokens of the responses",
    ]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body")


def test_a_narrow_comparison_is_interleaved(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    assert tops(page, (0, 0))[0] == tops(page, (1, 0))[0]
    page.set_viewport_size({"width": 420, "height": 700})
    page.wait_for_function("document.querySelector('.deluge-interleaved') !== null")
    becomes(lambda: tops(page, (1, 0))[0] > tops(page, (0, 0))[0] + 20, True, page)
    assert page.locator(".deluge-letter").all_text_contents()[:2] == ["A", "B"]
    assert page.locator(".deluge-box").evaluate("e => e.scrollWidth <= e.clientWidth")


def test_the_arrangement_can_be_chosen_on_either_side(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B, arrange="interleaved"))
    expect(page.get_by_label("Arrange")).to_have_value("interleaved")
    assert tops(page, (1, 0))[0] > tops(page, (0, 0))[0]
    page.get_by_label("Arrange").select_option("side by side")
    assert page.evaluate("window.model.get('arrange')") == "side by side"
    assert tops(page, (1, 0))[0] == tops(page, (0, 0))[0]


def test_other_colours_have_their_own_legend(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    expect(page.locator(".deluge-differences")).to_be_visible()
    page.get_by_label("Colour by").select_option("probability")
    expect(page.locator(".deluge-differences")).to_be_hidden()
    heat = token(page, 1, 2).evaluate("e => Number(getComputedStyle(e).getPropertyValue('--u'))")
    assert heat == pytest.approx(math.sqrt(0.95), abs=1 / 128)
    expect(page.locator(".deluge-legend:visible")).to_contain_text("50 %")


def test_a_click_on_the_chart_scrolls_there_and_the_selection_is_marked(shown: Shown) -> None:
    page = shown(LogprobCompare(long_table(600), long_table(600, 50)))
    canvas = page.locator(".deluge-plot canvas")
    blank = canvas.evaluate("e => e.toDataURL()")
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] * 0.75, "y": 20})
    assert chosen(page) == pytest.approx(450, abs=3)
    expect(token(page, 0, chosen(page))).to_be_in_viewport()
    becomes(lambda: canvas.evaluate("e => e.toDataURL()") != blank, True, page)


def test_a_frame_marks_the_part_in_sight_only_if_there_is_another(shown: Shown) -> None:
    # The second answer goes on where the first has ended.
    page = shown(LogprobCompare(table(("one", 0.5)), table(("one", 0.5), (" two", 0.5))))
    expect(page.locator(".deluge-plot .deluge-frame")).to_be_hidden()


def test_the_chart_draws_a_line_for_each_response(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    lines = """e => {
            const {data} = e.getContext('2d').getImageData(0, 0, e.width, e.height);
            let dark = 0, violet = 0;
            for (let at = 0; at < data.length; at += 4) {
                const [r, g, b, a] = data.slice(at, at + 4);
                if (a > 200 && r < 60 && g < 60 && b < 60) dark++;
                if (a > 200 && r > 130 && g < 60 && b > 150) violet++;
            }
            return [dark, violet];
        }"""
    becomes(lambda: min(page.locator(".deluge-plot canvas").evaluate(lines)) > 20, True, page)
    page.get_by_label("Chart of").select_option("entropy")
    assert page.evaluate("window.model.get('measure')") == "entropy"
    expect(page.locator(".deluge-plot")).to_contain_text("bits")


def test_only_the_rows_in_sight_are_elements(shown: Shown) -> None:
    page = shown(LogprobCompare(long_table(100_000), long_table(100_000, 50)))
    assert page.locator(".deluge *").count() < 2500
    page.locator(".deluge-box").focus()
    page.keyboard.press("End")
    expect(token(page, 0, 99_999)).to_be_in_viewport()
    assert page.locator(".deluge *").count() < 2500


def test_alternatives_of_a_long_text_are_fetched_on_demand(shown: Shown) -> None:
    compare = LogprobCompare(long_table(20_000), long_table(20_000, 50))
    page = shown(compare)
    page.evaluate("window.model.set('selected', 5000)")
    token(page, 1, 5000).hover()
    expect(page.locator(".deluge-card")).to_contain_text("loading alternatives")
    assert {"chunk": 1, "side": 1} in page.evaluate("window.sent")
    for side in (0, 1):
        block = compare._packers[side].alternatives(compare.tables[side], CHUNK, 2 * CHUNK)
        message = [side, base64.b64encode(block).decode()]
        page.evaluate("([side, text]) => window.model.hear({parts: ['alternatives'], side}, [text])", message)
    expect(page.locator(".deluge-card-list")).to_have_count(2)
    expect(page.locator(".deluge-card-list").nth(1)).to_contain_text("·x")


def test_hostile_text_is_only_text(shown: Shown) -> None:
    left = table(*((text, 0.5, {HOSTILE[1]: 0.1}) for text in HOSTILE))
    right = table(*((text, 0.2) for text in reversed(HOSTILE)))
    page = shown(LogprobCompare(left, right, names=HOSTILE[:2], title=HOSTILE[1]))
    assert texts(page, 0) == HOSTILE
    token(page, 0, 0).hover()
    expect(page.locator(".deluge-card")).to_contain_text(HOSTILE[1])
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main script, main b").count() == 0


def test_copying_takes_the_text_of_one_side(shown: Shown) -> None:
    words = [("one", 0.5), ("\n", 0.5), ("two", 0.5)]
    page = shown(LogprobCompare(table(*words), table(*words)))
    copied = page.evaluate(
        """() => {
            const all = document.querySelectorAll('[data-of="1"]');
            all[0].dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}));
            getSelection().setBaseAndExtent(all[0].firstChild, 1, all[2].firstChild, 3);
            const event = new ClipboardEvent('copy', {clipboardData: new DataTransfer(), bubbles: true});
            all[0].dispatchEvent(event);
            return event.clipboardData.getData('text/plain');
        }"""
    )
    assert copied == "ne\ntwo"
    # A selection across both columns would mix them.
    assert token(page, 0, 0).evaluate("e => getComputedStyle(e.parentElement).userSelect") == "none"


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("arrange", ["side by side", "interleaved"])
def test_the_comparison_is_accessible_in_light_and_dark(shown: Shown, theme: str, arrange: Any) -> None:
    page = shown(LogprobCompare(A, B, arrange=arrange, title="Cities"), theme=theme, dark=theme == DARK)
    token(page, 0, 3).click()
    is_accessible(page)


def test_the_static_form_is_accessible_and_has_the_same_tokens(page: Page) -> None:
    page.set_content(
        '<!doctype html><html lang="en"><head><title>Compared</title></head><body style="background: #fff"><main>'
        f"{LogprobCompare(A, B).to_html()}</main></body></html>"
    )
    for side, one in enumerate((A, B)):
        drawn = page.locator(f"td:nth-child({side + 1}) .deluge-token").all_text_contents()
        assert drawn == one.tokens
    assert page.locator("td ins").first.evaluate("e => getComputedStyle(e).textDecorationStyle") == "dashed"
    is_accessible(page)


def test_three_are_laid_out_in_three_columns(shown: Shown) -> None:
    third = table(("The", 0.5), (" town", 0.2), (" is", 0.8), (" Paris", 0.9), (".", 0.9))
    page = shown(LogprobCompare(A, B, third))
    assert texts(page, 2) == third.tokens
    assert len(set(tops(page, (0, 2), (1, 3), (2, 2)))) == 1
    token(page, 2, 1).click()
    assert chosen(page) == 6
    assert page.locator(".deluge-pair .deluge-ranged").all_text_contents() == [" capital", " town"]


def test_an_empty_response_can_be_compared_with_another(shown: Shown) -> None:
    page = shown(LogprobCompare([], A))
    assert texts(page, 1) == A.tokens
    page.locator(".deluge-box").focus()
    page.keyboard.press("ArrowRight")
    assert active(page) == [1, 0]
    expect(page.locator(".deluge-verdict")).to_have_text("A has nothing here")
    expect(page.locator(".deluge-face").first).to_have_text("Anothing here")


@pytest.mark.context(forced_colors="active")
def test_forced_colours_keep_the_lines_as_a_second_cue(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    above, below = (
        [
            token(page, side, 1).evaluate(f"e => parseFloat(getComputedStyle(e).border{edge}Width)")
            for edge in ("Top", "Bottom")
        ]
        for side in (0, 1)
    )
    assert above[0] > 0 == above[1]
    assert below[1] > 0 == below[0]


def test_another_palette_keeps_the_selected_part_of_the_scale(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B, color_by="probability"))
    page.get_by_label("Show from").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    dimmed = page.locator(".deluge-dim").count()
    assert dimmed > 0
    page.evaluate("window.model.set('palette', 'blue')")
    assert page.locator(".deluge-comparison").get_attribute("data-palette") == "blue"
    assert page.locator(".deluge-dim").count() == dimmed


def test_a_span_selected_while_hidden_is_scrolled_into_view_when_shown(shown: Shown) -> None:
    page = shown(LogprobCompare(long_table(4000), long_table(4000, 50)))
    page.evaluate("document.querySelector('main').style.display = 'none'")
    page.evaluate("window.model.set('selected', 3000)")
    page.evaluate("document.querySelector('main').style.display = ''")
    expect(token(page, 0, 3000)).to_be_in_viewport()


def test_the_chart_follows_the_colours_of_the_page(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B), theme=LIGHT)
    canvas = page.locator(".deluge-plot canvas")
    before = canvas.evaluate("e => e.toDataURL()")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    page.wait_for_function("was => document.querySelector('.deluge-plot canvas').toDataURL() !== was", arg=before)


def test_an_ended_comparison_leaves_nothing_on_the_page(shown: Shown) -> None:
    page = shown(LogprobCompare(A, B))
    token(page, 0, 1).hover()
    page.evaluate("window.end()")
    assert page.evaluate("window.listeners") == 0
    expect(page.locator(".deluge-card")).to_be_hidden()


CELL = """
from deluge_nb import LogprobCompare, Logprobs
def made(*rows):
    return Logprobs.from_entries([{"token": t, "logprob": p, "top_logprobs": []} for t, p in rows])
compare = LogprobCompare(made(("It", -0.1), (" is", -0.5), (" Paris", -1.0)), made(("It is", -1.5), (" Lyon", -0.5)))
compare
"""


def test_in_a_notebook_python_and_browser_share_the_selection(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str]
) -> None:
    open_and_run(page, jupyter, notebook("compared.ipynb", CELL), "lab/tree")
    expect(token(page, 0, 2)).to_be_visible()
    expect(token(page, 1, 0)).to_have_text("It is")
    token(page, 1, 1).click()
    page.wait_for_function("document.querySelectorAll('.deluge-pair .deluge-ranged').length === 2")
    becomes(lambda: in_kernel(page, "compare.selected"), 1, page)
    assert in_kernel(page, "compare.difference(0)[:2].tolist()") == pytest.approx([0.9, 0.9])
    in_kernel(page, "setattr(compare, 'selected', 0)")
    expect(page.locator(".deluge-pair .deluge-ranged")).to_have_text(["It", " is", "It is"])
    becomes(lambda: active(page), [0, 0], page)
