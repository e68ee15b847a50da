"""The card: its content, pinned cards, and the temperature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from deluge_nb import Logprobs, LogprobView
from deluge_nb.render.scale import percent
from deluge_nb.stats import sampling_bounds, temperature_topk

from .tables import FRANCE, long_table, table

pytestmark = pytest.mark.browser

Host = Callable[..., Page]


def opened(page: Page, at: int) -> Locator:
    page.locator(f'.deluge-line [data-token="{at}"]').first.click()
    card = page.locator(".deluge-card.deluge-open")
    expect(card).to_be_visible()
    return card


def percents(card: Locator) -> list[str]:
    return card.locator(".deluge-percent").all_text_contents()


def test_each_row_has_rank_probability_and_log_probability(host: Host) -> None:
    card = opened(host(LogprobView(FRANCE)), 5)
    rows = card.locator(".deluge-row").evaluate_all("all => all.map(e => [...e.children].map(c => c.textContent))")
    assert rows == [
        ["1", "·Lyon", "", "70 %", "−0.36"],
        ["2", "··Nice", "", "10 %", "−2.30"],
        ["3", "·Paris", "", "4 %", "−3.22"],
        ["", "everything else", "", "16 %", ""],
    ]


def test_everything_else_has_a_bar_even_if_it_is_close_to_zero(host: Host) -> None:
    card = opened(host(LogprobView(table(("a", 1 - 1e-7)))), 0)
    assert card.locator(".deluge-row code").all_text_contents() == ["a", "everything else"]
    assert percents(card)[1] == "<0.01 %"


def test_an_unlisted_token_has_a_row_of_its_own(host: Host) -> None:
    rows = [
        {
            "token": "z",
            "logprob": math.log(0.01),
            "bytes": [122],
            "top_logprobs": [{"token": "a", "logprob": math.log(0.9), "bytes": [97]}],
        }
    ]
    card = opened(host(LogprobView(Logprobs.from_entries(rows))), 0)
    assert card.locator(".deluge-row code").all_text_contents() == ["a", "z", "everything else"]
    assert percents(card) == ["90 %", "1 %", "9 %"]
    assert card.locator(".deluge-own .deluge-rank").text_content() == "> 1"
    expect(card.locator(".deluge-card-facts").first).to_contain_text("not in the top 1")


def test_a_card_shows_the_id_and_bytes_of_the_token(host: Host) -> None:
    rows: list[dict[str, Any]] = [{"token": "é", "logprob": -0.5, "bytes": [195, 169], "id": 42, "top_logprobs": []}]
    found = Logprobs.from_entries(rows)
    card = opened(host(LogprobView(found)), 0)
    facts = card.locator(".deluge-card-facts").last.text_content()
    assert facts in ("id 42 · bytes c3 a9", "bytes c3 a9")
    half = opened(host(LogprobView(table((b"\xf0\x9f", 0.5), (b"\xa6\x86", 0.5)))), 0)
    assert half.locator(".deluge-card-facts").last.text_content() == "bytes f0 9f"


@pytest.mark.parametrize("temperature", [0.5, 0.9, 1.3])
def test_another_temperature_gives_the_probabilities_of_the_statistics(host: Host, temperature: float) -> None:
    page = host(LogprobView(FRANCE, temperature=temperature))
    card = opened(page, 5)
    expect(card.locator(".deluge-card-facts").first).to_contain_text(f"at temperature {temperature}")
    logprobs = [math.log(p) for p in (0.7, 0.1, 0.04)]
    bounds = temperature_topk(logprobs, temperature)
    widths = card.locator(".deluge-row").evaluate_all(
        "all => all.slice(0, 3).map(e => [...e.querySelectorAll('.deluge-fill')].map(f => parseFloat(f.style.width)))"
    )
    for found, low, high in zip(widths, bounds.lower, bounds.upper, strict=True):
        assert found[-1] == pytest.approx(100 * low, abs=0.01)
        if len(found) > 1:
            assert found[0] == pytest.approx(100 * high, abs=0.01)
        else:
            assert high - low <= 5e-5


def test_the_slider_changes_the_temperature_of_all_cards(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    card = opened(page, 5)
    slider = card.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("window.model.get('temperature')") == pytest.approx(0.95)
    expect(card.get_by_role("slider")).to_be_focused()
    expect(card.locator(".deluge-value")).to_have_text("0.95")
    assert "–" in percents(card)[0] or float(percents(card)[0].split()[0]) > 70


def test_cards_are_pinned_side_by_side_and_unpinned(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    page.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    page.keyboard.press("k")
    opened(page, 5).get_by_role("button", name="Keep the card").click()
    assert page.evaluate("window.model.get('pinned')") == [0, 5]
    kept = page.locator(".deluge-pin")
    expect(kept).to_have_count(2)
    expect(kept.nth(1).locator(".deluge-card-head")).to_have_text("·Paris4 %")
    expect(page.locator(".deluge-line .deluge-pinned")).to_have_count(2)
    kept.nth(0).get_by_role("button", name="Remove the card of token 1").click()
    assert page.evaluate("window.model.get('pinned')") == [5]
    kept.get_by_role("button", name="Go to token 6").click()
    assert page.evaluate("window.model.get('selected')") == 5


@pytest.mark.context(permissions=["clipboard-read", "clipboard-write"])
def test_a_card_is_copied_as_a_table(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    opened(page, 5)
    page.get_by_role("button", name="Copy as a table").click()
    expect(page.get_by_role("status")).to_have_text("copied")
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    copied = page.locator("textarea").input_value()
    lines = [line.split("\t") for line in copied.splitlines()]
    assert lines[0] == ["token", "rank", "logprob", "probability_lower", "probability_upper"]
    assert [line[0] for line in lines[1:]] == ['" Lyon"', '"  Nice"', '" Paris"', '"everything else"']
    assert float(lines[1][2]) == pytest.approx(math.log(0.7), abs=1e-6)
    assert float(lines[4][3]) == pytest.approx(0.16, abs=1e-6)


def test_enter_focuses_the_card_and_escape_leaves_it(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    box = page.get_by_role("listbox")
    box.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_accessible_name("Alternatives at token 1")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('.deluge-card') !== null")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('.deluge-card') !== null")
    page.keyboard.press("Escape")
    expect(box).to_be_focused()
    expect(page.locator(".deluge-card")).to_be_hidden()
    page.keyboard.press("Escape")
    assert page.evaluate("window.model.get('selected')") is None


def test_an_open_card_does_not_follow_the_pointer(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    card = opened(page, 0)
    page.locator('.deluge-line [data-token="2"]').hover(force=True)
    expect(card.locator(".deluge-card-head code")).to_have_text("The")


def test_a_card_for_a_far_token_waits_for_its_alternatives(host: Host) -> None:
    page = host(LogprobView(long_table(30_000)))
    page.evaluate("window.model.set('selected', 29000)")
    card = opened(page, 29000)
    expect(card).to_contain_text("loading alternatives")
    assert {"chunk": 7} in page.evaluate("window.sent")


def asked(page: Page) -> list[Any]:
    return page.evaluate("window.sent.filter((one) => one.branch)")


def test_a_row_requests_a_branch_if_the_view_can_branch(host: Host) -> None:
    view = LogprobView(FRANCE)
    page = host(view)
    page.evaluate("window.model.set('branching', '')")
    card = opened(page, 5)
    card.get_by_title("Continue from ·Lyon").click()
    assert asked(page) == [{"branch": {"node": 0, "token": 5, "place": 0}}]


def test_a_card_gives_the_reason_why_the_view_cannot_branch(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    card = opened(page, 5)
    expect(card.locator("button.deluge-row")).to_have_count(0)
    page.evaluate("window.model.set('branching', 'This model starts a new answer each time.')")
    expect(card).to_contain_text("This model starts a new answer each time.")
    expect(card.locator("button.deluge-row")).to_have_count(0)


def test_the_slider_can_be_dragged_through_temperatures(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    slider = opened(page, 5).get_by_role("slider").bounding_box()
    assert slider is not None
    middle = slider["y"] + slider["height"] / 2
    page.mouse.move(slider["x"] + slider["width"] / 2, middle)
    page.mouse.down()
    temperatures = []
    for share in (0.6, 0.75, 0.9):
        page.mouse.move(slider["x"] + slider["width"] * share, middle)
        temperatures.append(page.evaluate("window.model.get('temperature')"))
    page.mouse.up()
    assert 1 < temperatures[0] < temperatures[1] < temperatures[2] < 2
    expect(page.locator(".deluge-card .deluge-value")).to_have_text(f"{temperatures[2]:.2f}")


def test_the_bytes_of_a_long_token_are_truncated(host: Host) -> None:
    page = host(LogprobView(table(("a" * 31 + "🦆b", 0.5))))
    card = opened(page, 0)
    expect(card).to_contain_text(f"bytes {' '.join(['61'] * 31)} f0 …")


UNSURE = table(
    ("The", 0.5, {"A": 0.2}),
    (" answer", 0.31, {" reply": 0.22, "ball": 0.12, "x": 0.08, "y": 0.05}),
)


def columns(card: Locator, name: str) -> list[str]:
    return card.locator(f".deluge-row .deluge-{name}").all_text_contents()


def test_what_can_be_drawn_stands_beside_what_the_model_thinks(host: Host) -> None:
    card = opened(host(LogprobView(UNSURE, top_p=0.6, temperature=0.8)), 1)
    logprobs = [math.log(p) for p in (0.31, 0.22, 0.12, 0.08, 0.05)]
    bounds = sampling_bounds(logprobs, temperature=0.8, top_p=0.6)
    assert columns(card, "model") == ["31 %", "22 %", "12 %", "8 %", "5 %", "22 %"]
    drawn = [percent_range(low, high) for low, high in zip(bounds.lower, bounds.upper, strict=True)]
    assert columns(card, "percent") == [*drawn[:2], "cut", "cut", "cut", "cut"]
    expect(card.locator(".deluge-cut")).to_have_count(4)
    expect(card.locator(".deluge-card-head strong")).to_have_text(f"31 % → {drawn[0]}")
    expect(card.locator(".deluge-card-facts").first).to_contain_text("temperature 0.8, top-p 0.6 (as vLLM)")


def percent_range(low: float, high: float) -> str:
    least, most = percent(low), percent(high)
    return most if least == most else f"{least.removesuffix(' %')} – {most}"


def test_the_reader_sets_the_cuts_in_the_card(host: Host) -> None:
    page = host(LogprobView(UNSURE))
    card = opened(page, 1)
    assert columns(card, "model") == []
    for label, value, trait in [("top-k", "2", "top_k"), ("min-p", "0.5", "min_p"), ("top-p", "0.9", "top_p")]:
        field = card.get_by_label(label)
        field.focus()
        field.press_sequentially(value)
        expect(field).to_be_focused()
        assert page.evaluate(f"window.model.get('{trait}')") == float(value)
    assert columns(card, "percent") == ["58.5 %", "41.5 %", "cut", "cut", "cut", "cut"]
    card.get_by_label("Order of the sampler's steps").select_option("llama.cpp")
    assert page.evaluate("window.model.get('sampler_order')") == "llama.cpp"
    # What is no value of the setting changes nothing, and gives way to the setting.
    top_p = card.get_by_label("top-p")
    top_p.fill("7")
    expect(top_p).to_have_attribute("aria-invalid", "true")
    assert page.evaluate("window.model.get('top_p')") == 0.9
    top_p.press("Tab")
    expect(top_p).to_have_value("0.9")
    for label in ("top-k", "min-p", "top-p"):
        card.get_by_label(label).fill("")
    assert page.evaluate("['top_k', 'min_p', 'top_p'].map((name) => window.model.get(name))") == [None] * 3
    assert columns(card, "model") == []


def test_at_temperature_zero_nothing_is_cut_but_the_likeliest_is_certain(host: Host) -> None:
    card = opened(host(LogprobView(UNSURE, temperature=0)), 1)
    assert columns(card, "percent") == ["100 %", "0 %", "0 %", "0 %", "0 %", "0 %"]


def test_a_screen_reader_hears_what_is_cut(host: Host) -> None:
    page = host(LogprobView(UNSURE, top_k=1))
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("status")).to_contain_text("·answer, 100 %, rank 1; alternatives: ·reply cut, ball cut")


def test_cards_of_a_state_without_cuts_are_shown(host: Host) -> None:
    page = host(LogprobView(UNSURE))
    page.evaluate("for (const name of ['top_k', 'top_p', 'min_p', 'sampler_order']) window.model.set(name, undefined)")
    assert percents(opened(page, 1))[0] == "31 %"
