"""Every action has an answer on the screen, requests end, and menus close."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import LogprobCompare, LogprobView

from .tables import FRANCE, is_the_card_of_paris, long_table
from .waits import becomes

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
SILENCE = "no kernel answers; run the cell again"
SPOKEN = "[role=status]"


def branching() -> LogprobView:
    view = LogprobView(FRANCE)
    view.branching = ""
    return view


def says(page: Page, text: str) -> None:
    """Check that a text is seen, and is in the live region."""
    toast = page.locator(".deluge-toast")
    expect(toast).to_be_visible()
    expect(toast).to_have_text(text)
    expect(page.locator(SPOKEN)).to_have_text(text.removesuffix(" …"))
    box, size = toast.bounding_box(), page.viewport_size
    assert box is not None
    assert size is not None
    assert min(box["x"], box["y"]) >= 0
    assert box["x"] + box["width"] <= size["width"]
    assert box["y"] + box["height"] <= size["height"]


@pytest.mark.parametrize("width", [400, 1080])
def test_actions_are_seen_as_well_as_spoken_for_two_seconds(host: Host, width: int) -> None:
    page = host(branching())
    page.set_viewport_size({"width": width, "height": 700})
    page.clock.install()
    page.locator("[data-token='5']").click()
    for name, text in [("Copy as a table (c)", "copied"), ("Keep the card below the text (k)", "card kept")]:
        page.get_by_role("button", name=name).click()
        says(page, text)
        page.clock.run_for(2100)
        expect(page.locator(".deluge-toast")).to_be_hidden()
    page.evaluate("model.set('threshold', 1e-9)")
    page.get_by_role("listbox").focus()
    page.keyboard.press("n")
    says(page, "no surprises")
    page.keyboard.press("/")
    page.keyboard.type("zebra")
    page.keyboard.press("Enter")
    says(page, "nothing found")


# Jupyter's mark for a widget without a kernel.
DISCONNECT = "() => document.querySelector('main').classList.add('jupyter-widgets-disconnected')"


@pytest.mark.parametrize("kind", [LogprobView, LogprobCompare])
@pytest.mark.parametrize("host_sends", ["to nobody", "with an exception", "silently"])
def test_data_that_do_not_come_say_so(host: Host, kind: type[LogprobView | LogprobCompare], host_sends: str) -> None:
    tables = [long_table(20_000)] * (1 if kind is LogprobView else 2)
    page = host(kind(*tables))
    page.clock.install()
    if host_sends == "to nobody":
        page.evaluate(DISCONNECT)
    elif host_sends == "with an exception":
        page.evaluate("() => { model.send = () => { throw new Error('Cannot send'); }; }")
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    card = page.locator(".deluge-card")
    if host_sends == "silently":
        expect(card).to_contain_text("loading alternatives")
        page.clock.run_for(10_100)
    else:
        assert page.evaluate("window.sent") == []
    expect(page.locator(".deluge-toast")).to_have_text(SILENCE)
    for part in card.locator(":scope:not(:has(.deluge-face)), .deluge-face").all():
        expect(part).to_contain_text(SILENCE)
    page.keyboard.press("Home")
    expect(card).to_contain_text(f"rank and entropy: {SILENCE}")
    page.evaluate("model.set('color_by', 'entropy')")
    expect(page.locator(".deluge-summary")).to_contain_text(f"entropy: {SILENCE}")


@pytest.mark.parametrize("kind", [LogprobView, LogprobCompare])
def test_data_that_a_saved_widget_lacks_say_so_when_it_comes_onto_the_page(
    host: Host, kind: type[LogprobView | LogprobCompare]
) -> None:
    tables = [long_table(20_000)] * (1 if kind is LogprobView else 2)
    page = host(kind(*tables))
    # Jupyter marks the element after the widget was created in it.
    page.evaluate(
        """() => {
            window.end();
            model.set('color_by', 'rank');
            const el = document.createElement('div');
            window.widget.render({model, el});
            el.className = 'jupyter-widgets-disconnected';
            document.querySelector('main').replaceChildren(el);
        }"""
    )
    expect(page.locator(".deluge-summary")).to_contain_text(f"rank: {SILENCE}")


@pytest.mark.parametrize("host_sends", ["silently", "with an exception", "with an answer", "to nobody"])
def test_a_request_to_the_model_ends(host: Host, host_sends: str) -> None:
    page = host(branching())
    page.clock.install()
    if host_sends == "with an exception":
        page.evaluate("() => { model.send = () => { throw new Error('Cannot send'); }; }")
    if host_sends == "to nobody":
        page.evaluate(DISCONNECT)
    page.locator("[data-token='5']").click()
    page.locator(".deluge-card button.deluge-row").nth(1).click()
    toast = page.locator(".deluge-toast")
    if host_sends in ("with an exception", "to nobody"):
        says(page, SILENCE)
        return
    says(page, "asking the model …")
    page.clock.run_for(9000)
    says(page, "asking the model …")
    if host_sends == "with an answer":
        node = {"id": 1, "parent": 0, "position": 5, "place": 1, "label": "x", "instead": "y", "logprob": math.log(0.5)}
        rest = {"status": "asking", "message": "", "total": None, "tokens": None}
        page.evaluate("node => model.set('tree', [node])", {**node, **rest})
        expect(toast).to_be_hidden()
        expect(page.get_by_role("tree")).to_contain_text("asking the model")
        page.clock.run_for(20_000)
        expect(toast).to_be_hidden()
        return
    page.clock.run_for(1500)
    says(page, SILENCE)


@pytest.mark.parametrize("how", ["Escape", "a press elsewhere", "a press on a token", "focus"])
def test_the_menu_closes(host: Host, how: str) -> None:
    page = host(LogprobView(FRANCE))
    button, panel = page.get_by_text("Display"), page.locator(".deluge-panel")
    # A menu that nobody opens costs nothing.
    expect(panel.locator("input")).to_have_count(0)
    button.click()
    expect(panel).to_be_visible()
    panel.locator("input[type=checkbox]").check()
    expect(panel).to_be_visible()
    if how == "Escape":
        page.keyboard.press("Escape")
        expect(button).to_be_focused()
    elif how == "focus":
        page.get_by_label("Colour by").focus()
    elif how == "a press on a token":
        page.locator("[data-token='0']").click()
    else:
        page.mouse.click(1200, 850)
    expect(panel).to_be_hidden()


def test_one_popup_is_open_at_a_time(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    card, panel = page.locator(".deluge-card"), page.locator(".deluge-panel")
    page.locator("[data-token='5']").click()
    is_the_card_of_paris(card)
    page.get_by_text("Display").click()
    expect(panel).to_be_visible()
    expect(card).to_be_hidden()
    page.locator("[data-token='0']").hover(force=True)
    becomes(lambda: [card.is_visible(), panel.is_visible()], [False, True], page)
