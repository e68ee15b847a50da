"""A growing text: new rows are sent and drawn, old lines stay, lost messages are detected."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import Logprobs, LogprobView

from .conftest import Jupyter
from .tables import entry, long_table
from .test_lab import open_and_run
from .waits import becomes, settled

pytestmark = pytest.mark.browser

Host = Callable[..., Page]


class Recorded(LogprobView):
    """A view that records its messages."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.sent: list[tuple[Any, list[bytes]]] = []
        super().__init__(*args, **options)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append((content, buffers))


def deliver(page: Page, view: Recorded) -> None:
    """Pass on the messages that the view has sent since, and those that wait."""
    view._sync.send_appended()
    for content, buffers in view.sent:
        texts = [base64.b64encode(block).decode() for block in buffers]
        page.evaluate("([content, texts]) => window.model.hear(content, texts)", [content, texts])
    view.sent.clear()


def text(page: Page) -> str:
    return "".join(page.locator(".deluge-line .deluge-token").all_text_contents())


def test_new_tokens_are_added_without_redrawing_old_lines(host: Host) -> None:
    whole = long_table(600)
    view = Recorded(whole[:400])
    page = host(view)
    page.evaluate("() => { window.stood = [...document.querySelectorAll('.deluge-line')].slice(0, 4); }")
    for stop in range(410, 601, 10):
        view.update(whole[:stop])
        deliver(page, view)
    expect(page.locator(".deluge-summary")).to_contain_text("600 tokens")
    assert page.evaluate("window.stood.every((line) => line.isConnected)")
    page.locator(".deluge-box").evaluate("e => { e.scrollTop = e.scrollHeight; }")
    last = page.locator('[data-token="599"]').first
    expect(last).to_be_visible()
    last.click()
    expect(page.locator(".deluge-card-list")).to_contain_text("·other")


def test_a_streamed_text_has_the_layout_of_a_complete_one(host: Host) -> None:
    whole = long_table(500)
    view = Recorded(whole[:3])
    page = host(view)
    for stop in range(4, 501, 7):
        view.update(whole[:stop])
        deliver(page, view)
    view.update(whole)
    deliver(page, view)
    # A table twice as long is sent as traits.
    state = {"data": view.data, "alternatives": view.alternatives, "measures": view.measures}
    page.evaluate(
        "state => window.model.take(state)", {name: base64.b64encode(block).decode() for name, block in state.items()}
    )
    # Lines out of sight are laid out in idle time.
    lines = page.locator(".deluge-line")
    pieces = settled(lines.all_text_contents, page)
    assert host(LogprobView(whole)) is page
    becomes(lines.all_text_contents, pieces, page)


STREAM = """import math
from deluge_nb import Logprobs, LogprobView
row = {"logprob": -1.0, "bytes": None, "top_logprobs": [{"token": "a", "logprob": -1.0, "bytes": None}]}
whole = Logprobs.from_entries({"token": f" w{i % 500}", **row} for i in range(10_000))
view = LogprobView(whole[:1])
view"""
GROW = """for stop in range(2, 10_001):
    view.update(whole[:stop])"""


def test_ten_thousand_updates_in_a_row_all_arrive_in_a_notebook(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str]
) -> None:
    open_and_run(page, jupyter, notebook("stream.ipynb", STREAM, GROW), "lab/tree")
    expect(page.locator(".deluge-summary")).to_contain_text("10000 tokens")
    page.locator(".deluge-box").evaluate("e => { e.scrollTop = e.scrollHeight; }")
    expect(page.locator('[data-token="9999"]').first).to_have_text(" w499")


def test_a_character_completed_later_replaces_its_halves(host: Host) -> None:
    halves = [entry("a", 0.9), entry(b"\xf0\x9f", 0.5), entry(b"\xa6\x86", 0.5), entry("b", 0.9)]
    view = Recorded(Logprobs.from_entries(halves[:2]))
    page = host(view)
    assert text(page).startswith("a")
    view.update(Logprobs.from_entries(halves[:3]))
    deliver(page, view)
    view.update(Logprobs.from_entries(halves))
    deliver(page, view)
    if view.data:
        page.evaluate("state => window.model.take(state)", {"data": base64.b64encode(view.data).decode()})
    assert text(page) == "a▏🦆b"


def test_a_lost_message_is_detected_and_the_whole_table_requested(host: Host) -> None:
    whole = long_table(300)
    view = Recorded(whole[:200])
    page = host(view)
    view.update(whole[:210])
    view._sync.send_appended()
    view.sent.clear()  # These messages are lost.
    view.update(whole[:220])
    deliver(page, view)
    assert {"whole": True} in page.evaluate("window.sent")
    expect(page.locator(".deluge-summary")).to_contain_text("200 tokens")
    view._receive(view, {"whole": True}, None)
    page.evaluate("state => window.model.take(state)", {"data": base64.b64encode(view.data).decode()})
    expect(page.locator(".deluge-summary")).to_contain_text("220 tokens")


def test_search_and_summary_include_new_tokens(host: Host) -> None:
    whole = long_table(300)
    view = Recorded(whole[:100])
    page = host(view)
    page.get_by_label("Search the text").fill("alpha")
    expect(page.locator(".deluge-count")).to_have_text("17")
    view.update(whole[:160])
    deliver(page, view)
    expect(page.locator(".deluge-count")).to_have_text("27")
    below = int((whole[:160].prob < 0.1).sum())
    expect(page.get_by_role("button", name="surprises")).to_have_text(f"{below} surprise{'s' * (below != 1)}")


def test_a_hidden_view_is_drawn_when_it_becomes_visible(host: Host) -> None:
    page = host(LogprobView(long_table(200)))
    page.evaluate("document.querySelector('main').style.display = 'none'")
    page.evaluate("window.model.set('selected', 150)")
    page.evaluate("document.querySelector('main').style.display = ''")
    expect(page.locator('[data-token="150"]').first).to_be_in_viewport()


def test_two_views_of_one_model_show_the_same_selection(host: Host) -> None:
    page = host(LogprobView(long_table(50)))
    page.evaluate(
        """async () => {
            const main = document.querySelector('main').cloneNode(false);
            document.body.append(main);
            window.widget.render({model: window.model, el: main});
        }"""
    )
    page.locator("section.deluge").nth(0).locator('[data-token="7"]').click()
    chosen = page.locator(".deluge-selected")
    becomes(lambda: chosen.evaluate_all("all => all.map(e => e.dataset.token)"), ["7", "7"], page)
    ids = page.locator("[role=option]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len({*ids})


def grown(host: Host) -> tuple[Page, Recorded]:
    """A view of 150 tokens that has received 50 more by messages."""
    whole = long_table(200)
    view = Recorded(whole[:150])
    page = host(view)
    view.update(whole)
    deliver(page, view)
    return page, view


def test_list_items_have_the_current_number_of_tokens(host: Host) -> None:
    page, _ = grown(host)
    sizes = page.locator(".deluge-line [role=option]").evaluate_all("all => all.map(e => e.ariaSetSize)")
    assert set(sizes) == {"200"}


def test_a_view_opened_after_messages_shows_their_tokens(host: Host) -> None:
    page, view = grown(host)
    page.evaluate(
        """() => {
            const main = document.createElement('main');
            document.body.append(main);
            window.widget.render({model: window.model, el: main});
        }"""
    )
    expect(page.locator(".deluge-summary")).to_contain_text(["200 tokens", "200 tokens"])
    # The new view requests nothing, and it accepts the whole table if that is sent anyway.
    assert page.evaluate("window.sent") == []
    view._receive(view, {"whole": True}, None)
    page.evaluate("state => window.model.take(state)", {"data": base64.b64encode(view.data).decode()})
    expect(page.locator(".deluge-summary")).to_contain_text(["200 tokens", "200 tokens"])
