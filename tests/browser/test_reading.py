"""Reading with the widget: colours, limits, overview, surprises, search, selection and copying."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from deluge_nb import Logprobs, LogprobView

from .tables import FRANCE, heats, long_table, table
from .waits import becomes

pytestmark = pytest.mark.browser

Host = Callable[..., Page]


def token(page: Page, at: int) -> Locator:
    return page.locator(f'.deluge-line [data-token="{at}"]').first


def trait(page: Page, name: str) -> Any:
    return page.evaluate(f"window.model.get('{name}')")


def put(page: Page, name: str, value: Any) -> None:
    page.evaluate("([name, value]) => window.model.set(name, value)", [name, value])


@pytest.mark.parametrize("color_by", ["probability", "surprisal", "entropy", "margin", "rank"])
def test_colours_follow_color_by(host: Host, color_by: str) -> None:
    page = host(LogprobView(FRANCE, color_by=color_by))  # type: ignore[arg-type]
    heat: dict[str, Any] = {
        "probability": [math.sqrt(1 - p) for p in FRANCE.prob],
        "surprisal": [min(1, value / 10) for value in FRANCE.surprisal(base=2)],
        "entropy": [min(1, value / 8) for value in FRANCE.entropy(base=2)],
        "margin": [math.sqrt(min(1, 1 - value)) for value in FRANCE.margin()],
        "rank": [math.log(rank) / math.log(32) for rank in FRANCE.rank()],
    }
    assert heats(page.locator(".deluge-line .deluge-token")) == pytest.approx(heat[color_by], abs=1 / 128 + 1e-6)


@pytest.mark.parametrize("color_by", ["probability", "surprisal", "entropy", "margin", "rank"])
def test_texts_of_the_legend_do_not_overlap_or_overflow(host: Host, color_by: str) -> None:
    page = host(LogprobView(FRANCE, color_by=color_by))  # type: ignore[arg-type]
    around = page.locator(".deluge-legend").bounding_box()
    assert around is not None
    boxes = [one.bounding_box() for one in page.locator(".deluge-ticks span").all()]
    placed = sorted((box["x"], box["x"] + box["width"]) for box in boxes if box)
    assert len(placed) == len(boxes) > 2
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(placed))
    assert around["x"] - 1 <= placed[0][0]
    assert placed[-1][1] <= around["x"] + around["width"] + 1


def test_a_drag_over_the_legend_dims_the_rest(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    ramp = page.locator(".deluge-ramp").bounding_box()
    assert ramp is not None
    page.mouse.move(ramp["x"] + ramp["width"] * 0.6, ramp["y"] + 5)
    page.mouse.down()
    page.mouse.move(ramp["x"] + ramp["width"] * 0.99, ramp["y"] + 5, steps=5)
    page.mouse.up()
    low, high = trait(page, "limits")
    assert (low, high) == pytest.approx((1 - 0.99**2, 1 - 0.6**2), abs=0.02)
    dimmed = page.locator(".deluge-dim").evaluate_all("all => all.map(e => Number(e.dataset.token))")
    assert dimmed == [at for at, p in enumerate(FRANCE.prob) if not low <= p <= high]
    page.locator(".deluge-ramp").dblclick()
    assert trait(page, "limits") == []
    expect(page.locator(".deluge-dim")).to_have_count(0)


def test_keys_move_the_handles_of_the_legend(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    handle = page.get_by_role("slider", name="Show from")
    handle.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert trait(page, "limits") == pytest.approx([0, 0.75], abs=0.01)
    expect(handle).to_have_attribute("aria-valuetext", "75 %")
    expect(page.locator(".deluge-dim")).to_have_count(4)
    page.keyboard.press("Escape")
    assert trait(page, "limits") == []


def test_limits_set_in_python_dim_tokens(host: Host) -> None:
    page = host(LogprobView(FRANCE, color_by="surprisal", limits=[1, 10]))
    dimmed = page.locator(".deluge-dim").evaluate_all("all => all.map(e => Number(e.dataset.token))")
    assert dimmed == [0, 1, 2, 3, 4, 6]
    put(page, "limits", [])
    expect(page.locator(".deluge-dim")).to_have_count(0)


def test_another_scale_resets_the_selected_part(host: Host) -> None:
    page = host(LogprobView(FRANCE, limits=[0.5, 1]))
    page.get_by_label("Colour by").select_option("rank")
    assert trait(page, "limits") == []


@pytest.mark.parametrize("palette", ["amber", "blue", "green", "grey"])
@pytest.mark.parametrize("theme", ["true", "false"])
def test_every_palette_has_even_steps_of_lightness(host: Host, palette: str, theme: str) -> None:
    steps = [1 - (at / 16) ** 2 for at in range(17)]
    page = host(
        LogprobView(table(*(("a", min(max(p, 1e-9), 1.0)) for p in steps)), palette=palette),
        theme=f'data-jp-theme-light="{theme}"',
    )
    from .test_page import LIGHTNESS

    lightness = page.locator(".deluge-line .deluge-token").evaluate_all(LIGHTNESS)
    gaps = [b - a for a, b in pairwise(lightness)]
    assert all(gap < 0 for gap in gaps) or all(gap > 0 for gap in gaps)
    assert max(map(abs, gaps)) - min(map(abs, gaps)) < 0.01
    assert abs(lightness[-1] - lightness[0]) > 0.12


def test_the_overview_shows_uncertain_parts_and_a_click_scrolls_there(host: Host) -> None:
    rows = [("word ", 0.99)] * 6000
    rows[4500] = ("odd ", 0.001)
    page = host(LogprobView(table(*rows)))
    strip = page.locator(".deluge-canvas")
    bars = """canvas => {
        const {data} = canvas.getContext('2d').getImageData(0, 8, canvas.width, 1);
        const found = [];
        for (let x = 0; x < canvas.width; x++) if (data[4 * x + 3]) found.push(x / canvas.width);
        return found;
    }"""
    # The overview is drawn in idle time.
    page.wait_for_function(f"({bars})(document.querySelector('.deluge-canvas')).length > 0")
    high = strip.evaluate(bars)
    assert min(high) == pytest.approx(0.75, abs=0.01)
    assert max(high) == pytest.approx(0.75, abs=0.01)
    at = strip.bounding_box()
    assert at is not None
    page.mouse.click(at["x"] + at["width"] * 0.75, at["y"] + 20)
    assert abs(trait(page, "selected") - 4500) <= 10
    expect(token(page, trait(page, "selected"))).to_be_in_viewport()


def test_a_drag_over_the_overview_selects_tokens(host: Host) -> None:
    page = host(LogprobView(long_table(1000)))
    at = page.locator(".deluge-canvas").bounding_box()
    assert at is not None
    page.mouse.move(at["x"] + at["width"] * 0.1, at["y"] + 10)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] * 0.2, at["y"] + 10, steps=4)
    page.mouse.up()
    start, stop = trait(page, "selection")
    assert (start, stop) == (pytest.approx(100, abs=3), pytest.approx(201, abs=3))
    marked = page.locator(".deluge-ranged").evaluate_all("all => all.map(e => Number(e.dataset.token))")
    assert min(marked) == start
    summary = page.locator(".deluge-ranged-sum").text_content() or ""
    assert f"tokens {start + 1} to {stop}: {stop - start} tokens" in summary


def test_a_range_shows_its_sum(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    put(page, "selection", [1, 4])
    total = sum(math.log(p) for p in FRANCE.prob[1:4])
    expect(page.locator(".deluge-ranged-sum")).to_have_text(
        f"tokens 2 to 4: 3 tokens · logprob −{-total:.3f} nats · probability {math.exp(total) * 100:.1f} % · "
        f"perplexity {math.exp(-total / 3):.2f}"
    )


def test_the_summary_is_in_the_measure_of_the_colours(host: Host) -> None:
    page = host(LogprobView(FRANCE, color_by="surprisal"))
    bits = FRANCE.surprisal(base=2)
    summary, of_range = page.locator(".deluge-summary"), page.locator(".deluge-ranged-sum")
    expect(summary).to_have_text(f"7 tokens · {bits.sum():.1f} bits")
    put(page, "selection", [1, 4])
    expect(of_range).to_contain_text(f" · {bits[1:4].sum():.1f} bits")
    put(page, "color_by", "entropy")
    entropy = FRANCE.entropy(base=2)
    expect(summary).to_have_text(f"7 tokens · mean entropy ≥ {entropy.mean():.2f} bits")
    expect(of_range).to_contain_text(f" · mean entropy ≥ {entropy[1:4].mean():.2f} bits")
    for name in ("probability", "margin", "rank"):
        put(page, "color_by", name)
        expect(summary).to_contain_text("7 tokens · perplexity")
        expect(of_range).to_contain_text(" · perplexity")


def test_keys_move_from_surprise_to_surprise(host: Host) -> None:
    rows = [("a", 0.05), (" b", 0.9), (" c", 0.01), *[(" d", 0.8)] * 27]
    page = host(LogprobView(table(*rows), threshold=0.1))
    expect(page.get_by_role("button", name="surprises")).to_have_text("2 surprises")
    page.get_by_role("listbox").focus()
    for key, expected in [("n", 0), ("n", 2), ("n", 0), ("p", 2)]:
        page.keyboard.press(key)
        assert trait(page, "selected") == expected
    put(page, "threshold", 0.02)
    expect(page.get_by_role("button", name="1 surprise (tokens below 2 %)")).to_have_text("1 surprise")


def test_all_surprises_of_a_long_text_are_counted(host: Host) -> None:
    page = host(LogprobView(table(*((" a", 0.01 if i % 100 == 0 else 0.9) for i in range(140_000)))))
    expect(page.get_by_role("button", name="surprises")).to_have_text("1400 surprises")
    page.evaluate("window.model.set('threshold', 0.95)")
    expect(page.get_by_role("button", name="surprises")).to_have_text("140000 surprises")


def test_surprises_are_listed_with_the_least_probable_first(host: Host) -> None:
    page = host(LogprobView(table(("a", 0.05), (" b", 0.9), (" c", 0.01), (" d", 0.8))))
    page.get_by_role("listbox").focus()
    page.keyboard.press("s")
    rows = page.locator(".deluge-list button")
    assert rows.all_text_contents() == ["3·c1 %", "1a5 %"]
    expect(rows.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert trait(page, "selected") == 0
    page.keyboard.press("Escape")
    expect(page.locator(".deluge-list")).to_be_hidden()
    expect(page.get_by_role("listbox")).to_be_focused()


def test_a_text_is_found_across_tokens(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    page.get_by_role("listbox").focus()
    page.keyboard.press("/")
    page.keyboard.type("CAPITAL OF fr")
    # Every letter starts a search; until the last one ends, the hit is that of an earlier text.
    hits = page.locator(".deluge-hit")
    becomes(lambda: hits.evaluate_all("all => all.map(e => Number(e.dataset.token))"), [1, 2, 3], page)
    expect(page.locator(".deluge-count")).to_have_text("1")
    page.keyboard.press("Enter")
    assert trait(page, "selected") == 1
    expect(page.locator(".deluge-count")).to_have_text("1 of 1")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_focused()


def test_a_distant_hit_is_scrolled_into_view(host: Host) -> None:
    rows = [(" word", 0.9)] * 9000
    rows[7000] = (" needle", 0.9)
    page = host(LogprobView(table(*rows)))
    page.get_by_label("Search the text").fill("needle")
    page.get_by_label("Search the text").press("Enter")
    expect(token(page, 7000)).to_be_in_viewport()


@pytest.mark.parametrize(
    ("spaces", "drawn"),
    [
        ("marks", ["a b", "·", "c", "↵"]),
        ("all", ["a·b", "·", "c", "↵"]),
        ("plain", ["a b", " ", "c", " "]),
    ],
)
def test_white_space_is_marked_as_set(host: Host, spaces: str, drawn: list[str]) -> None:
    page = host(LogprobView(table(("a b", 0.9), (" ", 0.9), ("c", 0.9), ("\n", 0.9)), spaces=spaces))
    assert page.locator(".deluge-line .deluge-token").all_text_contents() == drawn


def test_boundaries_are_drawn_between_tokens(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    image = "e => getComputedStyle(e).backgroundImage"
    assert token(page, 1).evaluate(image) == "none"
    page.get_by_text("Display").click()
    page.get_by_label("token boundaries").check()
    assert trait(page, "boundaries") is True
    assert "gradient" in token(page, 1).evaluate(image)


@pytest.mark.parametrize("font", ["monospace", "proportional"])
def test_lines_fill_their_width_in_either_font(host: Host, font: str) -> None:
    page = host(LogprobView(table(*((f" {'wmil'[i % 4] * (i % 7 + 1)}", 0.5) for i in range(800))), font=font))
    box = page.locator(".deluge-box")
    inner = box.evaluate("e => e.querySelector('.deluge-sheet').clientWidth")
    widths = page.locator(".deluge-line").evaluate_all("all => all.map(e => e.getBoundingClientRect().width)")
    assert max(widths) <= inner + 1
    longest = max(page.locator(".deluge-token").evaluate_all("all => all.map(e => e.getBoundingClientRect().width)"))
    assert min(widths[:-1]) > inner - longest
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_tokens_of_unknown_probability_have_a_pattern_instead_of_a_colour(host: Host) -> None:
    rows: list[dict[str, Any]] = [{"token": "x", "logprob": None, "bytes": None, "top_logprobs": []}]
    page = host(LogprobView(Logprobs.from_entries(rows)))
    assert "gradient" in token(page, 0).evaluate("e => getComputedStyle(e).backgroundImage")


@pytest.mark.context(permissions=["clipboard-read", "clipboard-write"])
def test_the_whole_of_a_long_text_is_copied(host: Host) -> None:
    found = long_table(4000)
    page = host(LogprobView(found))
    page.get_by_role("listbox").focus()
    page.keyboard.press("Control+a")
    assert trait(page, "selection") == [0, 4000]
    page.keyboard.press("Control+c")
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+v")
    assert page.locator("textarea").input_value() == found.text


def test_a_selection_is_copied_when_the_copy_event_goes_to_the_page(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    copied = """() => {
        const clipboardData = new DataTransfer();
        const event = new ClipboardEvent('copy', {clipboardData, bubbles: true, cancelable: true});
        document.body.dispatchEvent(event);
        return [clipboardData.getData('text/plain'), event.defaultPrevented];
    }"""
    page.get_by_role("listbox").focus()
    assert page.evaluate(copied) == ["", False]
    page.keyboard.press("Control+a")
    assert page.evaluate(copied) == [FRANCE.text, True]
    page.keyboard.press("/")
    expect(page.get_by_label("Search the text")).to_be_focused()
    assert page.evaluate(copied) == ["", False]


def test_a_key_moves_a_handle_by_at_least_one_rank(host: Host) -> None:
    page = host(LogprobView(table(("a", 0.5), (" b", 0.2, {" x": 0.5}), (" c", 0.1, {" x": 0.5, " y": 0.2}))))
    put(page, "color_by", "rank")
    page.get_by_label("Show from").focus()
    for rank in (2, 3):
        page.keyboard.press("ArrowRight")
        assert trait(page, "limits")[0] == rank
    expect(page.locator(".deluge-dim")).to_have_count(2)
    page.keyboard.press("ArrowLeft")
    assert trait(page, "limits")[0] == 2


@pytest.mark.parametrize("part", [".deluge-strip", ".deluge-ramp"])
def test_a_cancelled_drag_ends(host: Host, part: str) -> None:
    page = host(LogprobView(long_table(1000)))
    page.locator(part).evaluate(
        """e => {
            e.setPointerCapture = () => {};
            const box = e.getBoundingClientRect();
            const tell = (type, share) => e.dispatchEvent(new PointerEvent(type, {
                pointerId: 1, clientX: box.left + share * box.width, clientY: box.top + 5, bubbles: true}));
            tell("pointerdown", 0.2);
            tell("pointercancel", 0.2);
            tell("pointermove", 0.8);
        }"""
    )
    assert trait(page, "selection") == []
    assert trait(page, "limits") == []


def test_shift_click_selects_a_range(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    token(page, 1).click()
    page.keyboard.press("Escape")
    token(page, 4).click(modifiers=["Shift"])
    assert trait(page, "selection") == [1, 5]
    token(page, 0).click(modifiers=["Shift"])
    assert trait(page, "selection") == [0, 2]
    assert page.evaluate("getSelection().isCollapsed")
    expect(page.get_by_role("listbox")).to_be_focused()


def test_enter_finds_the_typed_text_while_the_search_is_running(host: Host) -> None:
    page = host(LogprobView(long_table(3000)))
    found = page.get_by_label("Search the text").evaluate(
        """e => {
            e.value = "gamma";
            e.dispatchEvent(new Event("input", {bubbles: true}));
            e.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
            return window.model.get("selected");
        }"""
    )
    assert found == 2


def test_a_selection_of_a_longer_text_ends_at_the_end_of_a_shorter_one(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    put(page, "selection", [5, 40])
    put(page, "selected", 30)
    expect(page.locator(".deluge-ranged-sum")).to_contain_text("tokens 6 to 7: 2 tokens")
    page.get_by_role("listbox").focus()
    copied = page.evaluate(
        """() => {
            const event = new ClipboardEvent('copy', {clipboardData: new DataTransfer(), bubbles: true});
            document.querySelector('.deluge-box').dispatchEvent(event);
            return event.clipboardData.getData('text/plain');
        }"""
    )
    assert copied == " Paris."
    page.keyboard.press("k")
    assert trait(page, "pinned") == []
    page.keyboard.press("ArrowLeft")
    assert trait(page, "selected") == 6


def test_navigation_in_an_empty_text_does_nothing(host: Host) -> None:
    page = host(LogprobView([]))
    expect(page.locator(".deluge-strip")).to_be_hidden()
    page.get_by_role("listbox").focus()
    for key in ("ArrowRight", "Enter", "n", "k", "Control+a"):
        page.keyboard.press(key)
    assert trait(page, "selected") is None
    assert trait(page, "selection") == trait(page, "pinned") == []


COPIED = """() => {
    const clipboardData = new DataTransfer();
    const event = new ClipboardEvent('copy', {clipboardData, bubbles: true, cancelable: true});
    document.querySelector('.deluge-line').dispatchEvent(event);
    return clipboardData.getData('text/plain');
}"""


def test_the_text_before_the_tokens_is_grey_and_is_neither_selected_nor_copied(host: Host) -> None:
    found = table((" greener", 0.3, {" better": 0.4}), ("\n", 0.9), ("nbsp\u00a0", 0.9), ("\r\n", 0.5))
    page = host(LogprobView(found, before='<img src=x onerror="window.hacked=1"> is always'))
    before = page.locator(".deluge-before")
    expect(before).to_have_text('<img src=x onerror="window.hacked=1"> is always')
    soft, ink = (
        before.evaluate("e => getComputedStyle(e).color"),
        token(page, 0).evaluate("e => getComputedStyle(e).color"),
    )
    assert soft != ink
    ends = [part.bounding_box() for part in (before, token(page, 0))]
    assert ends[0]
    assert ends[1]
    assert abs(ends[0]["x"] + ends[0]["width"] - ends[1]["x"]) < 1
    assert abs(ends[0]["y"] + ends[0]["height"] / 2 - ends[1]["y"] - ends[1]["height"] / 2) < 1
    before.click()
    assert trait(page, "selected") is None
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.deluge-box'))")
    assert page.evaluate(COPIED) == found.text
    page.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    assert trait(page, "selected") == 0
    put(page, "before", "It is")
    expect(before).to_have_text("It is")
    put(page, "before", "")
    expect(before).to_have_count(0)
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("lines", [1, 3])
def test_whole_lines_are_copied_in_the_order_of_the_text(host: Host, lines: int) -> None:
    found = table(*((f"line {number}\n", 0.5) for number in range(200)))
    page = host(LogprobView(found))
    box = page.locator(".deluge-box")
    box.evaluate("e => { e.scrollTop = 2000; }")
    expect(page.locator(".deluge-line", has_text="line 80")).to_have_count(1)
    box.evaluate("e => { e.scrollTop = 1800; }")
    expect(page.locator(".deluge-line", has_text="line 74")).to_have_count(1)
    page.evaluate(
        """lines => {
            const all = [...document.querySelectorAll('.deluge-line')];
            const from = all.findIndex(line => line.textContent.startsWith('line 76'));
            getSelection().setBaseAndExtent(all[from], 0, all[from + lines], 0);
        }""",
        lines,
    )
    assert page.evaluate(COPIED) == "".join(f"line {76 + number}\n" for number in range(lines))
