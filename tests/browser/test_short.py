"""A short answer shows its numbers, and only the controls that it needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import Logprobs, LogprobView

from .conftest import encoded
from .tables import long_table, table
from .test_reading import COPIED

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
CAPITALS = {" London": 0.2, " Rome": 0.08, " Oslo": 0.04, " Bonn": 0.02, " Riga": 0.01, " Bern": 0.005}
PARIS = (" Paris", 0.6, CAPITALS)
ANSWERS = [table(PARIS), table(PARIS, (",", 0.25)), table(("\n", 0.3), PARIS, (".\n", 0.0125))]
WRITTEN = [["60 %"], ["60 %", "25 %"], ["30 %", "60 %", "1.3 %"]]


def parts(page: Page) -> dict[str, bool]:
    """Return which parts of a view are seen."""
    found = {"strip": page.locator(".deluge-strip"), "search": page.get_by_label("Search the text")}
    found["surprises"] = page.get_by_role("button", name="Next surprise (n)")
    found["percents"] = page.locator(".deluge-beside").first
    found["bars"] = page.locator(".deluge-bars")
    return {name: part.is_visible() for name, part in found.items()}


def seen(*names: str) -> dict[str, bool]:
    return {name: name in names for name in ("strip", "search", "surprises", "percents", "bars")}


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (0, []),
        (1, ["percents", "bars"]),
        (2, ["percents"]),
        (3, ["percents"]),
        (4, []),
        (29, []),
        (30, ["strip", "search", "surprises"]),
    ],
)
def test_what_is_seen_depends_on_the_number_of_tokens(host: Host, count: int, names: list[str]) -> None:
    assert parts(host(LogprobView(long_table(count)))) == seen(*names)


@pytest.mark.parametrize(("answer", "written"), [*zip(ANSWERS, WRITTEN, strict=True)])
@pytest.mark.parametrize("width", [400, 1080])
def test_the_percent_stands_beside_each_token_and_is_not_copied(
    page: Page, host: Host, answer: Logprobs, written: list[str], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 600})
    host(LogprobView(answer, before="The capital is"))
    beside = page.locator(".deluge-beside")
    assert beside.all_text_contents() == written
    for token in range(len(answer)):
        box, own = page.locator(f"[data-token='{token}']").last.bounding_box(), beside.nth(token).bounding_box()
        assert box
        assert own
        assert abs(box["x"] + box["width"] - own["x"]) < 2
        assert box["y"] < own["y"] + own["height"] / 2 < box["y"] + box["height"]
    assert page.locator(".deluge-box").evaluate("e => e.scrollWidth <= e.clientWidth")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.deluge-box'))")
    assert page.evaluate(COPIED) == answer.text


def test_a_single_token_has_the_five_likeliest_as_bars(host: Host) -> None:
    page = host(LogprobView(ANSWERS[0]))
    rows = page.locator(".deluge-bars .deluge-row")
    assert rows.locator(".deluge-label").all_text_contents() == ["·Paris", "·London", "·Rome", "·Oslo", "·Bonn"]
    assert rows.locator(".deluge-percent").all_text_contents() == ["60 %", "20 %", "8 %", "4 %", "2 %"]
    widths = rows.locator(".deluge-fill").evaluate_all(
        "all => all.map(e => e.offsetWidth / e.parentElement.offsetWidth)"
    )
    assert widths == pytest.approx([0.6, 0.2, 0.08, 0.04, 0.02], abs=0.01)
    expect(page.locator(".deluge-bars .deluge-own .deluge-label")).to_have_text("·Paris")


def test_the_keys_for_surprises_and_search_work_in_a_short_answer(host: Host) -> None:
    page = host(LogprobView(ANSWERS[2]))
    page.get_by_role("listbox").focus()
    page.keyboard.press("n")
    assert page.evaluate("model.get('selected')") == 2
    page.keyboard.press("s")
    expect(page.locator(".deluge-list button")).to_have_count(1)
    page.keyboard.press("Escape")
    search = page.get_by_label("Search the text")
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("paris")
    expect(page.locator(".deluge-hit")).to_have_text(" Paris")
    page.keyboard.press("Escape")
    expect(search).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.press("Backspace")
    page.keyboard.press("Escape")
    expect(search).to_be_hidden()
    expect(page.get_by_role("listbox")).to_be_focused()


def test_a_growing_answer_gets_the_parts_that_it_needs(host: Host) -> None:
    page = host(LogprobView(long_table(1)))
    for count in (2, 3, 4, 30):
        state, binary = encoded(LogprobView(long_table(count)))
        page.evaluate("binary => model.take(binary)", {name: state[name] for name in binary})
        expect(page.locator(".deluge-line [data-token]")).to_have_count(count)
        expect(page.locator(".deluge-beside")).to_have_count(count if count <= 3 else 0)
        expect(page.get_by_label("Search the text")).to_be_visible(visible=count >= 30)


@pytest.mark.parametrize(("answer", "written"), [*zip(ANSWERS, WRITTEN, strict=True)])
def test_the_static_form_is_alike(page: Page, answer: Logprobs, written: list[str]) -> None:
    page.set_content(LogprobView(answer, before="The capital is").to_html(standalone=True))
    painted = "all => all.map(e => getComputedStyle(e, '::before').content)"
    numbers = page.locator(".deluge-beside").evaluate_all(painted)
    assert numbers == [f'"{number}"' for number in written]
    names = ["·Paris", "·London", "·Rome", "·Oslo", "·Bonn"] if len(answer) == 1 else []
    labels = page.locator(".deluge-bars .deluge-label")
    assert labels.evaluate_all("all => all.map(e => e.dataset.text)") == names
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.deluge'))")
    # Browsers add line breaks at the ends.
    assert page.evaluate("getSelection().toString()").strip("\n") == answer.text.strip("\n")
