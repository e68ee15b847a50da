"""The view on a page of its own: drawing, pointing, keys and copying."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from deluge_nb import Logprobs, LogprobView
from deluge_nb.widget.packer import CHUNK

from .accessible import is_accessible
from .conftest import encoded
from .tables import FRANCE, heats, is_the_card_of_paris, long_table, table
from .waits import becomes, settled

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
HOSTILE = ["<script>window.hacked = 1</script>", "<img src=x onerror='window.hacked=1'>", "</script>", "&lt;b&gt;"]


def tokens(page: Page) -> Any:
    return page.locator(".deluge-line .deluge-token")


def texts(page: Page) -> Sequence[str]:
    return tokens(page).all_text_contents()


def selected(page: Page) -> Any:
    return page.evaluate("window.model.get('selected')")


# OKLab lightness of the backgrounds, as computed by the browser.
LIGHTNESS = """all => {
    const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    return all.map((e) => {
        context.fillStyle = getComputedStyle(e).backgroundColor;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map(
            (value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2104542553 * Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
            + 0.7936177850 * Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
            - 0.0040720468 * Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    });
}"""


def color(page: Page, index: int) -> str:
    return str(tokens(page).nth(index).evaluate("e => getComputedStyle(e).backgroundColor"))


def test_every_token_is_drawn_with_its_probability(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    assert texts(page) == FRANCE.tokens
    assert heats(tokens(page)) == pytest.approx([math.sqrt(1 - p) for p in FRANCE.prob], abs=1 / 128 + 1e-6)


def test_less_probable_tokens_are_more_coloured_and_underlined_more(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    lightness = tokens(page).evaluate_all(LIGHTNESS)
    lines = tokens(page).evaluate_all("all => all.map(e => getComputedStyle(e).boxShadow)")
    order = sorted(range(len(FRANCE)), key=lambda token: FRANCE.prob[token])
    assert [lightness[token] for token in order] == sorted(lightness)
    assert lines[5] != lines[2]


def test_pointing_at_a_token_shows_its_alternatives(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    tokens(page).nth(5).hover()
    card = page.locator(".deluge-card")
    is_the_card_of_paris(card)
    assert card.locator(".deluge-percent").all_text_contents() == ["70 %", "10 %", "4 %", "16 %"]
    expect(card.locator(".deluge-card-facts").first).to_contain_text("rank 3")
    page.mouse.move(1200, 880)
    expect(card).to_be_hidden()


def test_the_bars_are_as_long_as_the_probabilities(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    tokens(page).nth(5).hover()
    widths = page.locator(".deluge-fill").evaluate_all("all => all.map(e => parseFloat(e.style.width))")
    assert widths == pytest.approx([70, 10, 4, 16], abs=1e-3)


def test_a_click_selects_a_token(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    tokens(page).nth(3).click()
    assert selected(page) == 3
    expect(tokens(page).nth(3)).to_have_attribute("aria-selected", "true")


def test_the_arrow_keys_move_and_select(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    box = page.get_by_role("listbox")
    box.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert selected(page) == 1
    active = box.get_attribute("aria-activedescendant")
    assert active == tokens(page).nth(1).get_attribute("id")
    expect(page.locator(".deluge-card")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("token 2 of 7: ·capital, 93 %, rank 1; alternatives: ·city 5 %")
    page.keyboard.press("End")
    assert selected(page) == 6
    page.keyboard.press("ArrowRight")
    assert selected(page) == 6
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert selected(page) == 0
    page.keyboard.press("Escape")
    assert selected(page) is None
    expect(page.locator(".deluge-card")).to_be_hidden()


def test_up_and_down_move_by_lines(host: Host) -> None:
    page = host(LogprobView(table(("one", 0.9), (" other", 0.9), ("\n", 0.9), ("three", 0.9), (" four", 0.9))))
    tokens(page).nth(1).click()
    page.keyboard.press("ArrowDown")
    assert selected(page) == 4
    page.keyboard.press("ArrowUp")
    assert selected(page) == 1


def test_python_selects_a_token_that_is_out_of_sight(host: Host) -> None:
    page = host(LogprobView(long_table(3000)))
    page.evaluate("window.model.set('selected', 2500)")
    expect(page.locator('[data-token="2500"]').first).to_be_in_viewport()
    expect(page.locator('[data-token="2500"]').first).to_have_class(re.compile("deluge-selected"))


def test_color_by_changes_the_colours_and_the_legend(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    before = color(page, 5)
    page.get_by_label("Colour by").select_option("entropy")
    assert page.evaluate("window.model.get('color_by')") == "entropy"
    assert color(page, 5) != before
    expect(page.locator(".deluge-legend")).to_have_text("0124≥ 8bits")
    page.evaluate("window.model.set('color_by', 'surprisal')")
    expect(page.get_by_label("Colour by")).to_have_value("surprisal")


def test_the_legend_runs_through_the_colours_of_the_tokens(host: Host) -> None:
    page = host(LogprobView(table(("a", 1.0), ("b", 1e-9))))
    ramp = page.locator(".deluge-ramp").evaluate("e => getComputedStyle(e).backgroundImage")
    ends = page.evaluate(
        """(ramp) => {
            const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const pixel = (paint) => { context.fillStyle = paint; context.fillRect(0, 0, 1, 1);
                return [...context.getImageData(0, 0, 1, 1).data]; };
            const stops = ramp.match(/rgba?\\([^)]*\\)|oklab\\([^)]*\\)/g);
            const drawn = [...document.querySelectorAll('.deluge-line .deluge-token')];
            return [stops.map(pixel), drawn.map((e) => pixel(getComputedStyle(e).backgroundColor))];
        }""",
        ramp,
    )
    assert np.abs(np.array(ends[0]) - np.array(ends[1])).max() <= 1
    assert page.locator(".deluge-ticks span").all_text_contents()[:3] == ["100 %", "90 %", "50 %"]


def test_hostile_tokens_are_only_text(host: Host) -> None:
    page = host(LogprobView(table(*((token, 0.5, {HOSTILE[1]: 0.1}) for token in HOSTILE)), title=HOSTILE[1]))
    assert texts(page) == HOSTILE
    tokens(page).nth(0).hover()
    expect(page.locator(".deluge-card-list code").nth(1)).to_have_text(HOSTILE[1])
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main script").count() == 0


def test_a_character_cut_across_tokens_is_drawn_where_it_is_complete(host: Host) -> None:
    page = host(LogprobView(table((b"a", 0.9), (b"\xf0\x9f", 0.5), (b"\xa6\x86", 0.5))))
    assert texts(page) == ["a", "▏", "🦆"]
    tokens(page).nth(1).hover()
    expect(page.locator(".deluge-card-head code")).to_have_text("⟨F0 9F⟩")


def test_white_space_is_visible_and_lines_break_at_newlines(host: Host) -> None:
    page = host(LogprobView(table(("a", 0.9), (" ", 0.5), ("\n\n", 0.5), ("\u200b", 0.5), ("b\tc", 0.5))))
    assert texts(page) == ["a", "·", "↵", "↵", "⟨U+200B⟩", "b⇥   c"]
    assert page.locator(".deluge-line").count() == 3


def test_words_are_not_split_at_the_end_of_a_line(host: Host) -> None:
    pieces = [(" inter", 0.9), ("nation", 0.9), ("alis", 0.9), ("ation", 0.9)] * 12
    page = host(LogprobView(table(*pieces)))
    lines = page.locator(".deluge-line").all_text_contents()
    assert len(lines) > 1
    assert all(line.startswith(" inter") and line.endswith("ation") for line in lines)


def test_copying_gives_the_text_and_not_the_marks(host: Host) -> None:
    page = host(LogprobView(table(("one", 0.9), ("\n", 0.5), (b"\xf0\x9f", 0.5), (b"\xa6\x86", 0.5), (" two", 0.9))))
    copied = page.evaluate(
        """() => {
            const all = document.querySelectorAll('.deluge-line .deluge-token');
            getSelection().setBaseAndExtent(all[0].firstChild, 1, all[4].firstChild, 3);
            const event = new ClipboardEvent('copy', {clipboardData: new DataTransfer(), bubbles: true});
            all[0].dispatchEvent(event);
            return event.clipboardData.getData('text/plain');
        }"""
    )
    assert copied == "ne\n🦆 tw"


@pytest.mark.parametrize("count", [0, 1, 2000])
def test_any_number_of_tokens_is_shown(host: Host, count: int) -> None:
    page = host(LogprobView(long_table(count)))
    word = "token" if count == 1 else "tokens"
    expect(page.locator(".deluge-summary")).to_contain_text(f"{count} {word}")
    assert tokens(page).count() == count if count < 2 else tokens(page).count() > 100


def test_only_the_lines_in_sight_are_elements(host: Host) -> None:
    page = host(LogprobView(long_table(100_000)))
    assert page.locator(".deluge *").count() < 2500
    page.locator(".deluge-box").evaluate("e => e.scrollTo(0, e.scrollHeight)")
    expect(page.locator('[data-token="99999"]')).to_be_visible()
    assert page.locator(".deluge *").count() < 2500


def test_alternatives_of_a_long_text_are_fetched_on_demand(host: Host) -> None:
    view = LogprobView(long_table(20_000))
    page = host(view)
    page.evaluate("window.model.set('selected', 5000)")
    page.locator('[data-token="5000"]').first.hover()
    expect(page.locator(".deluge-card")).to_contain_text("loading alternatives")
    assert {"chunk": 1} in page.evaluate("window.sent")
    block = view._sync.packer.alternatives(view.table, CHUNK, 2 * CHUNK)
    page.evaluate("text => window.model.hear({parts: ['alternatives']}, [text])", base64.b64encode(block).decode())
    expect(page.locator(".deluge-card-list")).to_contain_text("·other")


def test_lines_are_laid_out_again_when_the_width_changes(host: Host) -> None:
    page = host(LogprobView(table(*((" word", 0.9) for _ in range(60)))))
    before = page.locator(".deluge-line").count()
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_function(f"document.querySelectorAll('.deluge-line').length > {before}")
    box = page.locator(".deluge-box")
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_the_card_stays_within_the_window(host: Host) -> None:
    page = host(LogprobView(long_table(400)))
    page.set_viewport_size({"width": 360, "height": 500})
    last = tokens(page).nth(tokens(page).count() // 3)
    last.hover()
    at = page.locator(".deluge-card").bounding_box()
    assert at is not None
    assert at["x"] >= 0
    assert at["y"] >= 0
    assert at["x"] + at["width"] <= 360
    assert at["y"] + at["height"] <= 500


def test_an_ended_view_leaves_nothing_on_the_page(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    tokens(page).nth(1).hover()
    page.evaluate("window.end()")
    assert page.evaluate("window.listeners") == 0
    expect(page.locator(".deluge-card")).to_be_hidden()


def test_the_static_form_is_hidden_while_the_view_is_on_the_page(host: Host) -> None:
    view, another = LogprobView(FRANCE), LogprobView(FRANCE)
    page = host(view)
    for one in (view, another):
        page.evaluate(
            """(name) => document.body.append(Object.assign(document.createElement('div'), {
                className: 'deluge-still', textContent: name,
            }))""",
            one.link,
        )
        page.evaluate("(name) => { document.body.lastChild.dataset.link = name; }", one.link)
    expect(page.get_by_text(view.link)).to_be_hidden()
    expect(page.get_by_text(another.link)).to_be_visible()
    page.evaluate("window.end()")
    expect(page.get_by_text(view.link)).to_be_visible()
    assert page.evaluate("document.adoptedStyleSheets.length") == 0


def test_a_withheld_probability_is_hatched_and_called_unknown(host: Host) -> None:
    found = Logprobs.from_entries([{"token": "x", "logprob": -9999.0, "bytes": None, "top_logprobs": []}])
    page = host(LogprobView(found))
    expect(tokens(page)).to_have_class("deluge-token deluge-unknown")
    tokens(page).hover()
    expect(page.locator(".deluge-card")).to_contain_text("unknown")


@pytest.mark.parametrize(
    ("theme", "ground"),
    [
        ('data-jp-theme-light="true"', "#fff"),
        ('data-jp-theme-light="false"', "#111"),
        # Pages that mark no theme and do not follow the system, as Panel's.
        ("", "#121212"),
        pytest.param("", "#fff", marks=pytest.mark.context(color_scheme="dark")),
    ],
)
def test_the_widget_is_accessible_in_light_and_dark(host: Host, theme: str, ground: str) -> None:
    page = host(LogprobView(FRANCE, title="Capitals"), theme=f'{theme} style="background: {ground}"')
    dark = ground != "#fff"
    expect(page.locator("section.deluge")).to_have_css("color-scheme", "dark" if dark else "light")
    tokens(page).nth(5).click()
    is_accessible(page)


def test_an_empty_completion_is_accessible(host: Host) -> None:
    page = host(LogprobView([]))
    is_accessible(page)


# Contrast by WCAG of each text on its background over the page, in painted colours.
CONTRAST = """all => {
    const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const ground = getComputedStyle(document.querySelector('.deluge-box')).backgroundColor;
    const luminance = (...colors) => {
        for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
        const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map(
            (value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    return all.map((e) => {
        const style = getComputedStyle(e);
        const two = [luminance(ground, style.backgroundColor), luminance(style.color)].sort((a, b) => a - b);
        return (two[1] + 0.05) / (two[0] + 0.05);
    });
}"""


@pytest.mark.parametrize("theme", ['data-jp-theme-light="true"', 'data-jp-theme-light="false"'])
def test_words_and_marks_can_be_read_on_every_shade(host: Host, theme: str) -> None:
    shades = [p / 20 for p in range(1, 20)] + [0.001, 1.0]
    page = host(LogprobView(table(*((token, p) for p in shades for token in ("a", " ", "\u200b")))), theme=theme)
    measured = tokens(page).evaluate_all(CONTRAST)
    assert len(measured) == 3 * len(shades)
    assert min(measured) >= 4.5


def test_a_right_to_left_line_has_its_tokens_in_that_order(host: Host) -> None:
    page = host(LogprobView(table(("שלום", 0.5), (" עולם", 0.5), ("\n", 0.5), ("one", 0.5), (" two", 0.5))))
    left = tokens(page).evaluate_all("all => all.map(e => e.getBoundingClientRect().left)")
    assert left[0] > left[1] > left[2]
    assert left[3] < left[4]


def test_a_token_that_would_join_the_one_before_can_be_pointed_at(host: Host) -> None:
    pairs = ["cafe\u0301", "👍\U0001f3fd", "🇫🇷", "क\u093f", "1\u20e3", "❤\ufe0f", "a\U000e0100"]
    rows = [(part, 0.1) for pair in pairs for part in (pair[:-1], pair[-1])]
    page = host(LogprobView(table(*rows)))
    widths = tokens(page).evaluate_all("all => all.map((e) => e.getBoundingClientRect().width)")
    assert len(widths) == len(rows)
    assert min(widths) > 4
    tokens(page).nth(1).hover()
    expect(page.locator(".deluge-card-head")).to_have_text("◌\u030110 %")


def test_only_the_chosen_one_of_tokens_that_look_alike_is_marked(host: Host) -> None:
    page = host(LogprobView(table((" ", 0.6, {"·": 0.3}))))
    tokens(page).hover()
    rows = page.locator(".deluge-card-list code")
    assert rows.all_text_contents() == ["·", "·", "everything else"]
    assert page.locator(".deluge-card-list .deluge-own").count() == 1


def test_a_lower_bound_of_the_entropy_is_shown_as_at_least(host: Host) -> None:
    page = host(LogprobView(table(("a", 0.5, {"b": 0.5}), ("c", 0.5, {"d": 0.1}))))
    tokens(page).nth(0).hover()
    expect(page.locator(".deluge-card-facts").first).to_contain_text("entropy 1.00 bits")
    tokens(page).nth(1).hover()
    expect(page.locator(".deluge-card-facts").first).to_contain_text("entropy ≥ ")


def test_a_view_opens_at_its_selection(host: Host) -> None:
    page = host(LogprobView(long_table(3000), selected=2500))
    expect(page.locator('[data-token="2500"]').first).to_be_in_viewport()


def test_the_top_line_stays_at_the_top_when_the_width_changes(host: Host) -> None:
    page = host(LogprobView(table(*((f" word{i}", 0.9) for i in range(4000)))))
    # Align the scroll position, so that the line at the top is whole.
    page.locator(".deluge-box").evaluate(
        "e => e.scrollTo(0, 100 * e.querySelector('.deluge-line').getBoundingClientRect().height)"
    )
    top = """() => {
        const box = document.querySelector('.deluge-box').getBoundingClientRect();
        const seen = [...document.querySelectorAll('.deluge-line .deluge-token')].map(
            (e) => [e.getBoundingClientRect(), Number(e.dataset.token)]).filter(([at]) => at.bottom > box.top + 12);
        return Math.min(...seen.map(([, token]) => token));
    }"""
    # The value is infinite until a line has been drawn.
    page.wait_for_function(f"({top})() > 1000 && ({top})() < 4000")
    before = settled(lambda: page.evaluate(top), page)
    for width in range(1200, 480, -60):  # as if the user drags the edge
        lines = page.locator(".deluge-sheet").evaluate("e => e.style.height")
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(f"document.querySelector('.deluge-sheet').style.height !== '{lines}'")
    # Wait for a frame: changes of size are reported before the frame is drawn.
    page.wait_for_function(f"{before - 20} < ({top})() && ({top})() <= {before}")


# Returns the room to the right of each line, the number of lines that were drawn, and where the last one begins.
RENDER_AGAIN = """() => {
    const el = document.querySelector('main');
    window.end?.();
    el.replaceChildren();
    const observer = new MutationObserver(() => {});
    observer.observe(el, {childList: true, subtree: true});
    window.end = window.widget.render({model: window.model, el});
    const added = observer.takeRecords().flatMap(record => [...record.addedNodes]);
    const room = el.querySelector('.deluge-sheet').getBoundingClientRect().right;
    const lines = [...el.querySelectorAll('.deluge-line')];
    return [
        lines.map(e => room - e.lastChild.getBoundingClientRect().right),
        added.filter(e => e.className === 'deluge-line').length,
        lines.at(-1).offsetTop,
    ];
}"""


def test_the_first_layout_leaves_room_for_the_scrollbar(host: Host) -> None:
    page = host(LogprobView(table(*((f" word{i}", 0.9) for i in range(2000)))))
    assert page.locator(".deluge-box").evaluate("e => e.offsetWidth - e.clientWidth") > 4
    fits, drawn, top = page.evaluate(RENDER_AGAIN)
    assert len(fits) > 10
    assert min(fits) >= 0
    # No line is drawn twice, and none below the box before the first paint.
    assert drawn == len(fits)
    assert top < page.locator(".deluge-box").evaluate("e => e.clientHeight")
    page.wait_for_function(f"document.querySelectorAll('.deluge-line').length > {len(fits)}")


@pytest.mark.parametrize("count", [257, 270, 300])
def test_a_text_slightly_longer_than_the_first_layout_has_its_whole_height(host: Host, count: int) -> None:
    page = host(LogprobView(table(*((" a" if i < 256 else " much longer words", 0.9) for i in range(count)))))
    assert page.locator(".deluge-sheet").evaluate(
        "e => e.getBoundingClientRect().bottom - e.lastElementChild.getBoundingClientRect().bottom"
    ) == pytest.approx(0, abs=1)


def test_a_token_longer_than_a_line_continues_on_the_next(host: Host) -> None:
    page = host(LogprobView(table(("x" * 400, 0.5), (" end", 0.5))))
    box = page.locator(".deluge-box")
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert page.locator(".deluge-line").count() > 1
    assert "".join(texts(page)) == "x" * 400 + " end"
    assert tokens(page).nth(0).get_attribute("data-token") == tokens(page).nth(1).get_attribute("data-token") == "0"


def test_no_hidden_element_makes_the_output_scroll(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    main = page.locator("main")
    main.evaluate("e => { e.style.overflow = 'auto'; e.style.padding = '0'; }")
    assert main.evaluate("e => e.scrollHeight - e.clientHeight") == 0


def test_the_card_follows_its_token_while_scrolling_and_closes_when_it_is_out_of_sight(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    page.locator("main").evaluate("e => { e.style.margin = '300px 0 3000px'; }")
    tokens(page).nth(3).click()
    card = page.locator(".deluge-card")
    before = card.bounding_box()
    page.evaluate("scrollTo(0, 100)")
    page.wait_for_function("scrollY === 100")
    expect(card).to_be_visible()
    assert before is not None

    def moved() -> float:
        after = card.bounding_box()
        return before["y"] - after["y"] if after else 0

    becomes(moved, pytest.approx(100, abs=1), page)
    page.evaluate("scrollTo(0, 2000)")
    expect(card).to_be_hidden()


def test_the_card_follows_its_token_when_something_above_the_view_grows(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    tokens(page).nth(3).click()
    card = page.locator(".deluge-card")
    before = settled(card.bounding_box, page)
    page.evaluate("document.querySelector('main').before(Object.assign(document.createElement('p'), {id: 'above'}))")
    page.locator("#above").evaluate("e => { e.style.cssText = 'height: 150px; margin: 0'; }")
    becomes(lambda: (card.bounding_box() or before)["y"] - before["y"], pytest.approx(150, abs=1), page)
    page.locator("#above").evaluate("e => { e.style.height = '3000px'; }")
    expect(card).to_be_hidden()


@pytest.mark.parametrize("width", ["500px", "1000px"])
def test_an_open_card_stays_when_the_width_changes(host: Host, width: str) -> None:
    page = host(LogprobView(table(*((f" word{i}", 0.9) for i in range(3000)))))
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    card = page.locator(".deluge-card")
    expect(card).to_be_visible()
    lines = page.locator(".deluge-sheet").evaluate("e => e.style.height")
    page.locator("main").evaluate("(e, width) => { e.style.width = width; }", width)
    expect(page.locator(".deluge-sheet")).not_to_have_css("height", lines)
    last = page.locator('.deluge-line [data-token="2999"]').first
    expect(last).to_be_in_viewport()

    def stands_by_it() -> bool:
        at, box, line = (
            card.bounding_box(),
            page.locator(".deluge-box").bounding_box(),
            last.locator("..").bounding_box(),
        )
        if not (at and box and line):
            return False
        beside = line["x"] + line["width"] + 6 <= at["x"] <= box["x"] + box["width"] + 6
        return (beside and at["y"] <= line["y"]) or abs(at["y"] - line["y"] - line["height"] - 6) < 2

    becomes(stands_by_it, True, page)


def test_a_new_title_is_shown(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    expect(page.locator(".deluge-title")).to_be_hidden()
    page.evaluate("window.model.set('title', '<b>Capitals</b>')")
    expect(page.locator(".deluge-title")).to_have_text("<b>Capitals</b>")
    expect(page.locator("section.deluge")).to_have_role("group")
    expect(page.locator("section.deluge")).to_have_accessible_name("<b>Capitals</b>")


@pytest.mark.context(color_scheme="dark")
def test_the_theme_of_the_system_applies_if_the_host_has_none(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    text = tokens(page).nth(0).evaluate("e => getComputedStyle(e).color")
    assert text == "rgb(232, 230, 227)"


@pytest.mark.context(forced_colors="active")
def test_forced_colours_keep_the_underline_as_a_second_cue(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    widths = tokens(page).evaluate_all("all => all.map(e => parseFloat(getComputedStyle(e).borderBottomWidth))")
    assert widths[5] > widths[0] > widths[2] == 0
    tokens(page).nth(5).hover()
    bars = page.locator(".deluge-fill").evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")
    behind = page.locator(".deluge-card").evaluate("e => getComputedStyle(e).backgroundColor")
    assert len(bars) == 4
    assert behind not in bars


def test_the_static_page_shows_the_same_tokens(page: Page) -> None:
    page.set_content(FRANCE_PAGE)
    drawn = page.locator(".deluge-static .deluge-token")
    assert drawn.all_text_contents() == FRANCE.tokens
    expect(drawn.nth(5)).to_have_attribute("title", "·Paris: 4 % — ·Lyon 70 %, ··Nice 10 %")
    is_accessible(page)


def france_page() -> str:
    from deluge_nb import to_html

    return to_html(FRANCE, title="The capital of France", standalone=True)


FRANCE_PAGE = france_page()


def grown(page: Page, table: Logprobs) -> None:
    """Give the view another table, as the kernel does while an answer is streamed."""
    state, binary = encoded(LogprobView(table))
    page.evaluate("state => window.model.take(state)", {name: state[name] for name in binary if state[name]})


def test_a_grown_table_replaces_the_old_one(host: Host) -> None:
    page = host(LogprobView(FRANCE[:3]))
    assert texts(page) == FRANCE.tokens[:3]
    listeners = page.evaluate("window.listeners")
    grown(page, FRANCE)
    assert texts(page) == FRANCE.tokens
    tokens(page).nth(5).hover()
    expect(page.locator(".deluge-card-head")).to_have_text("·Paris4 %")
    assert page.locator("section.deluge").count() == 1
    assert page.evaluate("window.listeners") == listeners


def test_the_selection_and_the_focus_stay_while_a_table_grows(host: Host) -> None:
    page = host(LogprobView(FRANCE[:3]))
    tokens(page).nth(1).click()
    grown(page, FRANCE)
    expect(tokens(page).nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowRight")
    assert selected(page) == 2


def test_a_box_scrolled_to_its_end_follows_a_growing_text(host: Host) -> None:
    page = host(LogprobView(long_table(2000)))
    box = page.locator(".deluge-box")
    box.evaluate("e => { e.scrollTop = e.scrollHeight }")
    grown(page, long_table(4000))
    assert box.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 4
    box.evaluate("e => { e.scrollTop = 300 }")
    grown(page, long_table(5000))
    assert box.evaluate("e => e.scrollTop") == 300
