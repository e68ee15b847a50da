"""The grid of both widgets: heights, gaps, the first line of the text, its left edge, strip and legend."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import APIResponse, LogprobCompare, Logprobs, LogprobView

from .tables import entry, long_table, table
from .waits import becomes, settled

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
TITLE = "A title that is longer than the line that it has in a widget of four hundred pixels"


def sized(page: Page, width: int) -> Page:
    """Give the widget a width, and wait until it has taken it."""
    page.locator("main").evaluate("(e, width) => { e.style.width = `${width}px`; }", width)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page


def both(count: int, **options: Any) -> list[LogprobView | LogprobCompare]:
    return [
        LogprobView(long_table(count), **options),
        LogprobCompare(long_table(count), long_table(count + 1), **options),
    ]


# The controls of the bar from left to right, and whether each stands in the same group as the one before.
CONTROLS = """() => {
    const parts = '.deluge-bar :is(select, input, button, summary, .deluge-legend)';
    const seen = [...document.querySelectorAll(parts)].filter((e) => e.offsetWidth && !e.closest('.deluge-panel'));
    return seen.map((e) => {
        const {left, right, top, height} = e.getBoundingClientRect();
        const style = getComputedStyle(e);
        return {left, right, top, height, size: style.fontSize, numbers: style.fontVariantNumeric};
    });
}"""
GROUPS = """() => [...document.querySelector('.deluge-bar').children].filter((e) => e.offsetWidth).map((e) => {
    const {left, right, top} = e.getBoundingClientRect();
    const parts = [...e.children].filter((part) => part.offsetWidth && e.matches('.deluge-steps'))
        .map((part) => part.getBoundingClientRect());
    return {left, right, top, gaps: parts.slice(1).map((part, at) => part.left - parts[at].right)};
})"""
FREE_AT_THE_END = """() => {
    const parts = [...document.querySelectorAll('.deluge-top, .deluge-top *')];
    const ends = parts.map((e) => e.getBoundingClientRect().right);
    return ends[0] - Math.max(...ends.slice(1));
}"""
# Hosts leave nothing between the outputs of a cell.
FREE_BELOW = """main => {
    main.style.overflow = 'auto';
    const ends = [main, main.querySelector('.deluge')].map((e) => e.getBoundingClientRect().bottom);
    return ends[0] - ends[1] - parseFloat(getComputedStyle(main).paddingBottom);
}"""
FIRST_LINE = """() => document.querySelector('.deluge-line [data-token]').getBoundingClientRect().top
    - document.querySelector('.deluge').getBoundingClientRect().top"""


@pytest.mark.parametrize("width", [400, 700, 1080])
@pytest.mark.parametrize("which", [0, 1])
def test_controls_have_one_height_one_baseline_and_one_font_size(host: Host, which: int, width: int) -> None:
    page = sized(host(both(100, title="Sky")[which]), width)
    # Controls fold into the menu in a later frame.
    becomes(lambda: len({control["top"] for control in page.evaluate(CONTROLS)}), 1, page)
    controls, groups = page.evaluate(CONTROLS), page.evaluate(GROUPS)
    assert len(controls) > 3
    assert {control["height"] for control in controls} == {24}
    assert len({control["top"] for control in controls}) == 1
    assert {control["size"] for control in controls} == {"12px"}
    assert {control["numbers"] for control in controls} == {"tabular-nums"}
    assert {gap for group in groups for gap in group["gaps"]} == {8}
    between = {round(b["left"] - a["right"], 3) for a, b in itertools.pairwise(groups)}
    assert between == {16}
    assert page.evaluate(FREE_AT_THE_END) == 0
    assert page.locator("main").evaluate(FREE_BELOW) == 12


@pytest.mark.parametrize("title", ["", "Sky", TITLE])
@pytest.mark.parametrize("which", [0, 1])
def test_the_text_begins_near_the_top_of_a_narrow_widget(host: Host, which: int, title: str) -> None:
    page = sized(host(both(100, title=title)[which]), 400)
    # Controls fold into the menu in a later frame.
    becomes(lambda: page.evaluate(FIRST_LINE) <= 96, True, page)
    assert page.evaluate("document.querySelector('.deluge').scrollWidth <= 400")
    shown = page.locator(".deluge-top > :visible").evaluate_all("all => all.map((e) => e.getBoundingClientRect().top)")
    assert len(shown) == 1 + bool(title)
    assert max(shown) - min(shown) < 4
    # What has folded into the menu is there, with its name.
    expect(page.get_by_label("Colour by")).to_be_hidden()
    page.get_by_text("Display").click()
    for name in ("colour by", "palette", "white space marks", "font", "token boundaries"):
        expect(page.get_by_text(name, exact=True)).to_be_visible()
    page.locator(".deluge-panel").get_by_label("Colour by").select_option("entropy")
    assert page.evaluate("window.model.get('color_by')") == "entropy"
    sized(page, 1200)
    expect(page.get_by_label("Colour by")).to_be_visible()
    assert page.locator(".deluge-panel .deluge-legend").count() == 0


@pytest.mark.parametrize("which", [0, 1])
def test_nothing_of_a_widget_or_of_its_card_is_cut_at_220_pixels(host: Host, which: int) -> None:
    page = host(both(100, title="Three words here")[which])
    page.set_viewport_size({"width": 244, "height": 600})
    sized(page, 220)
    # The bar folds in a later frame.
    becomes(lambda: page.evaluate("document.querySelector('.deluge').scrollWidth <= 220"), True, page)
    # Neither the title nor the summary loses its end, and no control lies on another.
    cut = "all => all.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.className)"
    parts = page.locator(".deluge-title, .deluge-summary, .deluge-plot > span, .deluge-bar > .deluge-steps")
    assert set(parts.evaluate_all(cut)) <= ({"deluge-summary"} if which else set())
    boxes = [(one["left"], one["right"], one["top"]) for one in page.evaluate(CONTROLS)]
    assert not [pair for pair in itertools.pairwise(boxes) if pair[0][2] == pair[1][2] and pair[0][1] > pair[1][0]]
    page.locator("[data-token='3']").first.click()
    card = page.locator(".deluge-card")
    expect(card.locator(".deluge-card-list").first).to_be_visible()
    assert card.evaluate("e => e.scrollWidth <= e.clientWidth")


OUTSIDE = """([part, around]) => {
    const inner = document.querySelector(part).getBoundingClientRect();
    const outer = around ? document.querySelector(around).getBoundingClientRect() : {top: 0, bottom: innerHeight};
    return Math.max(outer.top - inner.top, inner.bottom - outer.bottom);
}"""


@pytest.mark.context(viewport={"width": 1080, "height": 480})
@pytest.mark.parametrize("which", [0, 1])
def test_what_a_key_shows_below_the_text_is_in_the_window(host: Host, which: int) -> None:
    page = host(both(900)[which])
    page.evaluate("window.model.set('threshold', 0.9)")
    for key, part in (("s", ".deluge-list"), ("?", ".deluge-help")):
        page.evaluate("scrollTo(0, 0)")
        page.get_by_role("listbox").first.press("ArrowRight")
        expect(page.locator(".deluge-card")).to_be_visible()
        page.keyboard.press(key)
        expect(page.locator(part)).to_be_visible()
        becomes(lambda part=part: page.evaluate(OUTSIDE, [part, ""]) < 1, True, page)
        if key == "s":  # The list has the focus, which no card may cover.
            expect(page.locator(".deluge-card")).to_be_hidden()
        page.keyboard.press("Escape")


def test_a_tree_of_thirty_levels_is_not_scrolled_sideways(host: Host) -> None:
    lists = [[*(f" step{at}" for at in range(depth)), f" the end of answer {depth}"] for depth in range(1, 31)]
    tables = [Logprobs.from_entries(entry(token, 0.5) for token in tokens) for tokens in lists]
    page = host(LogprobView([APIResponse("m", completion=one.text, logprobs=one) for one in tables]))
    for width in (220, 400):
        sized(page, width)
        rows = page.locator(".deluge-tree > ul")
        assert rows.locator("li").count() >= 58
        assert rows.evaluate("e => [e.scrollWidth - e.clientWidth, e.scrollHeight > e.clientHeight]") == [0, True]
        rows.locator("[tabindex='0']").focus()
        for key in ("End", "ArrowUp", "Home", "ArrowDown"):
            page.keyboard.press(key)
            page.keyboard.press("Enter")
            assert page.evaluate(OUTSIDE, [".deluge-tree li:focus > .deluge-node", ".deluge-tree > ul"]) < 1, key
    # Where there is room, the numbers of a row stand beside its words.
    sized(page, 1080)
    assert rows.locator(".deluge-node").nth(1).evaluate("e => e.offsetHeight") < 32


PLACES = """() => {
    const root = document.querySelector('.deluge').getBoundingClientRect();
    const seen = ':is([data-token], button, summary, .deluge-summary, strong, code)';
    const parts = document.querySelectorAll(`.deluge ${seen}`);
    // The card stands where the window has room.
    return [...parts].filter((e) => !e.closest('.deluge-card')).map((e) => {
        const {left, top, width} = e.getBoundingClientRect();
        return [e.textContent, Math.round(left - root.left), Math.round(top - root.top), Math.round(width)].join(' ');
    });
}"""


@pytest.mark.parametrize("which", [0, 1])
def test_a_page_that_runs_from_right_to_left_does_not_turn_words_and_numbers(host: Host, which: int) -> None:
    shown = []
    for direction in ("ltr", "rtl"):
        page = host(both(40, title="Sky")[which])
        page.evaluate("(dir) => Object.assign(document.documentElement, {dir, style: 'text-align: center'})", direction)
        sized(page, 700).locator("[data-token='3']").first.click()
        expect(page.locator(".deluge-card .deluge-card-list").first).to_be_visible()
        page.keyboard.press("k")
        expect(page.locator(".deluge-pin")).to_be_visible()
        shown.append(settled(lambda page=page: page.locator(".deluge-pin").count() and page.evaluate(PLACES), page))
    assert shown[0] == shown[1]


def test_facts_begin_at_one_height_however_long_the_names_are(host: Host) -> None:
    for names in (["a name that is longer than its column, by far, at any width of a page", "b"], ["one", "two"], None):
        page = sized(host(LogprobCompare(long_table(9), long_table(11), names=names)), 700)
        tops = "all => [...new Set(all.map((e) => e.getBoundingClientRect().top))].length"
        assert page.locator(".deluge-head-facts").evaluate_all(tops) == 1


# The x of the first letter of each line, and whether the line follows a line break of the text.
EDGES = """(lines) => {
    let afterBreak = true;
    return lines.filter((line) => line.textContent.trim()).map((line) => {
        const nodes = [...line.querySelectorAll('[data-token]')].map((cell) => cell.firstChild);
        const node = nodes.find((text) => /[^\\s·]/.test(text.data));
        const range = document.createRange();
        const at = node.data.search(/[^\\s·]/);
        range.setStart(node, at);
        range.setEnd(node, at + 1);
        const found = [range.getBoundingClientRect().left, afterBreak];
        afterBreak = line.textContent.endsWith('↵');
        return found;
    });
}"""
WRAPPED = {
    "words with a space in front": [" lorem", " ipsum", " dolor", "sit", ".", " x"],
    "spaces of their own": ["one", " ", "other", "  ", "word", "    ", "end"],
    "spaces behind words": ["one ", "other ", "word  ", "12 "],
    "one long token": [" many words in one token that is much longer than a line of four hundred pixels can be"],
    "exotic spaces": ["\u00a0one", "\u2003two", "\u3000three", " four"],
}


@pytest.mark.parametrize("font", ["monospace", "proportional"])
@pytest.mark.parametrize("kind", list(WRAPPED))
@pytest.mark.parametrize("which", [0, 1])
def test_wrapped_lines_begin_at_one_left_edge(host: Host, which: int, kind: str, font: str) -> None:
    words = WRAPPED[kind]
    rows = table(("begin", 0.5), *((words[at % len(words)], 0.5) for at in range(60)))
    page = sized(host(LogprobCompare(rows, rows, font=font) if which else LogprobView(rows, font=font)), 400)
    side = '.deluge-side[data-side="1"]' if which else ".deluge-line"
    expect(page.locator(side).nth(3)).to_be_attached()  # the text is laid out for the width
    edges = page.locator(side).evaluate_all(EDGES)
    assert max(x for x, _ in edges) - min(x for x, _ in edges) <= 1


@pytest.mark.parametrize("which", [0, 1])
def test_indentation_after_a_line_break_stays(host: Host, which: int) -> None:
    # Up to three tokens have their percents beside them.
    rows = table(("def f():\n", 0.5), ("    return", 0.5), (" 1", 0.5), (" + 1", 0.5))
    page = host(LogprobCompare(rows, rows) if which else LogprobView(rows))
    edges = page.locator('.deluge-side[data-side="0"]' if which else ".deluge-line").evaluate_all(EDGES)
    assert [after for _, after in edges] == [True, True]
    assert edges[1][0] - edges[0][0] > 20


FIRST_LETTER = """(e) => {
    const token = e.firstElementChild.firstChild;
    const range = document.createRange();
    const start = token.data.length - token.data.trimStart().length;
    range.setStart(token, start);
    range.setEnd(token, start + 1);
    return range.getBoundingClientRect().right;
}"""
LEFTS = "all => all.flatMap((e) => [...e.children].map((token) => token.getBoundingClientRect().left))"


@pytest.mark.parametrize("which", [0, 1])
def test_a_right_to_left_line_stays_within_the_box(host: Host, which: int) -> None:
    # A wrapped line runs as its paragraph does, though it has no letter of that direction.
    mixed = table(*((" שלום", 0.5) for _ in range(9)), *((" ABC", 0.5) for _ in range(20)))
    lines = '.deluge-side[data-side="1"]' if which else ".deluge-line"
    page = sized(host(LogprobCompare(mixed, mixed) if which else LogprobView(mixed)), 400)
    last = page.locator(lines).last
    assert last.locator("[data-token]").count() > 0
    assert last.evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert last.evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"

    rows = table(*((" שלום", 0.5) for _ in range(40)))
    page = sized(host(LogprobCompare(rows, rows) if which else LogprobView(rows)), 400)
    inner = page.locator(lines).first.bounding_box()
    assert inner is not None
    lefts = page.locator(lines).evaluate_all(LEFTS)
    assert len(lefts) > 3
    assert min(lefts) >= inner["x"] - 1
    if which:  # wrapped lines of a column begin at its right edge with a letter
        edges = page.locator(lines).evaluate_all(f"all => all.slice(1).map({FIRST_LETTER})")
        assert max(edges) - min(edges) <= 1
        assert max(edges) == pytest.approx(inner["x"] + inner["width"], abs=1)


@pytest.mark.parametrize(
    ("tokens", "is_shown"),
    [
        ([], False),
        (["one"] * 29, False),
        (["one"] * 30, True),
        (["line\n" * 60] * 4, True),
        (["word " * 900], False),
        (["word " * 300] * 4, True),
    ],
)
def test_the_strip_is_there_for_30_tokens_or_a_text_that_does_not_fit(
    host: Host, tokens: list[str], is_shown: bool
) -> None:
    page = host(LogprobView(table(*((token, 0.5) for token in tokens))))
    expect(page.locator(".deluge-strip")).to_be_visible(visible=is_shown)


# The share of a canvas from its first to its last painted column.
PAINTED = """(canvas) => {
    if (!canvas.width) return [];
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let [first, last] = [canvas.width, -1];
    for (let at = 3; at < data.length; at += 4) if (data[at]) {
        const x = ((at - 3) / 4) % canvas.width;
        [first, last] = [Math.min(first, x), Math.max(last, x)];
    }
    return [first, canvas.width - 1 - last];
}"""


@pytest.mark.parametrize("width", [220, 400, 1080])
@pytest.mark.parametrize("which", [0, 1])
def test_strips_fill_the_width_of_the_widget(host: Host, which: int, width: int) -> None:
    page = sized(host(both(40)[which]), width)
    canvas = page.locator(".deluge-canvas")
    assert canvas.evaluate("e => e.getBoundingClientRect().width") == width
    becomes(lambda: bool(canvas.evaluate(PAINTED)) and max(canvas.evaluate(PAINTED)) <= 1, True, page)


@pytest.mark.parametrize("color_by", ["probability", "surprisal", "entropy", "margin", "rank"])
def test_a_legend_without_room_names_its_ends(host: Host, color_by: Any) -> None:
    page = host(LogprobView(long_table(40), color_by=color_by))
    ticks = page.locator(".deluge-ticks span")
    for width in (149, 120):
        page.locator(".deluge-legend").evaluate("(e, width) => { e.style.width = `${width}px`; }", width)
        boxes = [tick.bounding_box() for tick in ticks.all() if tick.is_visible()]
        left, right = (box for box in boxes if box)
        assert left["x"] + left["width"] <= right["x"]


@pytest.mark.context(permissions=["clipboard-read", "clipboard-write"])
@pytest.mark.parametrize("which", [0, 1])
def test_both_widgets_have_the_same_display_settings_and_answers(host: Host, which: int) -> None:
    page = host(both(40)[which])
    page.locator("[data-token='3']").first.click()
    card = page.locator(".deluge-card")
    expect(card).to_be_visible()
    page.keyboard.press("c")
    expect(page.locator(".deluge-toast")).to_have_text("copied")
    page.get_by_text("Display").click()
    expect(card).to_be_hidden()
    for name, value in [("palette", "blue"), ("font", "proportional"), ("spaces", "all")]:
        label = "White space marks" if name == "spaces" else name.capitalize()
        page.get_by_label(label, exact=True).select_option(value)
        assert page.evaluate("name => window.model.get(name)", name) == value
    page.get_by_label("token boundaries").check()
    token = page.locator("[data-token='1']").first
    expect(token).to_have_text("·beta")
    assert "gradient" in token.evaluate("e => getComputedStyle(e).backgroundImage")
    assert "mono" not in token.evaluate("e => getComputedStyle(e).fontFamily").lower()
    token.hover(force=True)
    expect(card).to_be_hidden()
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+v")
    assert "other" in page.locator("textarea").input_value()
