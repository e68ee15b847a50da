"""Branches in the browser: requested in a card, shown in the tree; on a page of its own and in JupyterLab."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import APIResponse, LLMClient, Logprobs, LogprobView
from tests.openai_server import ChatServer, Reply, Seen, chat
from tests.widget.test_branches import QUESTION, answer_tokens, ask, in_chat

from .accessible import is_accessible
from .conftest import SHOTS, Jupyter
from .tables import entry, heats
from .test_growth import Recorded, deliver
from .test_lab import LOAD, in_kernel, open_and_run
from .waits import becomes

pytestmark = pytest.mark.browser

Host = Callable[..., Page]


@pytest.fixture
def client(server: ChatServer) -> LLMClient:
    server.answer = in_chat
    return LLMClient("m", base_url=server.url, logprobs=True, top_logprobs=2, continues=True)


@pytest.fixture
def view(client: LLMClient) -> Recorded:
    """Return a view with two branches, one of which has a branch of its own."""
    made = Recorded(ask(client), client=client, prompt=QUESTION)
    first = made.branch(2, " blue")
    made.branch(0, "The")
    made.branch(3, " or", node=first.id)
    return made


def texts(page: Page) -> str:
    return "".join(page.locator(".deluge-line .deluge-token").all_text_contents())


def items(page: Page) -> Any:
    return page.locator(".deluge-tree [role=treeitem]")


def names(page: Page) -> list[str]:
    return page.locator(".deluge-node .deluge-button").all_text_contents()


def shown(page: Page) -> Any:
    return page.evaluate("window.model.get('node')")


def focused(page: Page) -> Any:
    return page.evaluate("document.activeElement.dataset.node ?? document.activeElement.className")


def test_an_alternative_in_an_open_card_is_a_button_that_asks_for_a_branch(client: LLMClient, host: Host) -> None:
    page = host(LogprobView(ask(client), client=client, prompt=QUESTION))
    page.locator("[data-token='2']").hover()
    expect(page.locator(".deluge-card button")).to_have_count(0)
    page.locator(".deluge-box").focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "Enter", "Enter", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator(".deluge-card button:focus")).to_contain_text("·blue")
    page.keyboard.press("Enter")
    assert page.evaluate("window.sent") == [{"branch": {"node": 0, "token": 2, "place": 1}}]
    expect(page.locator(".deluge-spoken")).to_have_text("asking the model")


def test_a_card_without_branching_gives_the_reason_and_has_no_buttons(server: ChatServer, host: Host) -> None:
    server.answer = in_chat
    client = LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=2)
    page = host(LogprobView(ask(client), client=client, prompt=QUESTION))
    page.locator("[data-token='2']").click()
    expect(page.locator(".deluge-card")).to_contain_text("OpenAI starts a new answer")
    expect(page.locator(".deluge-card button.deluge-row")).to_have_count(0)


def test_the_tree_shows_each_branch_its_joint_probability_and_which_is_current(view: LogprobView, host: Host) -> None:
    page = host(view)
    assert names(page) == [
        "original answer",
        "·blue (30 %) instead of ·red at token 3",
        "·or (30 %) instead of ·and at token 4",
        "The (30 %) instead of It at token 1",
    ]
    notes = page.locator(".deluge-note").all_text_contents()
    assert notes[0] == f"4 tokens · joint probability {100 * 0.6**4:.0f} % (−{-4 * math.log(0.6):.2f} nats)"
    total = view.branches[0].total_logprob or 0.0
    assert notes[1] == f"6 tokens · joint probability {100 * math.exp(total):.1f} % (−{-total:.2f} nats)"
    expect(page.locator(".deluge-tree [role=treeitem][aria-current]")).to_have_attribute("data-node", "0")
    page.locator("[data-node='3'] .deluge-button").click()
    assert shown(page) == 3
    expect(page.locator(".deluge-tree [role=treeitem][aria-current]")).to_have_attribute("data-node", "3")
    assert page.locator(".deluge-path button").all_text_contents() == ["original", "3: ·blue", "4: ·or"]
    weights = page.locator(".deluge-node .deluge-button").evaluate_all(
        "all => all.map(e => getComputedStyle(e).fontWeight)"
    )
    assert weights == ["400", "400", "700", "400"]
    assert texts(page) == "It is blue or so."


def test_a_branch_is_drawn_with_its_own_rows_and_cards(view: LogprobView, host: Host) -> None:
    page = host(view)
    page.locator("[data-node='1'] > .deluge-node").click()
    assert texts(page) == "It is blue and white."
    drawn = heats(page.locator(".deluge-line .deluge-token"))
    table = view.branches[0].table
    assert table is not None
    assert drawn == pytest.approx([math.sqrt(1 - p) for p in table.prob], abs=1 / 128 + 1e-6)
    page.locator("[data-token='2']").hover()
    expect(page.locator(".deluge-card-head")).to_have_text("·blue30 %")
    page.locator(".deluge-path button").first.click()
    assert texts(page) == "It is red."


def test_keys_move_through_the_tree_and_keep_the_focus(view: LogprobView, host: Host) -> None:
    page = host(view)
    items(page).first.focus()
    walked = []
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft", "End", "Home", "ArrowRight"):
        page.keyboard.press(key)
        walked.append(focused(page))
    assert walked == ["1", "3", "2", "3", "1", "2", "0", "1"]
    page.keyboard.press("Enter")
    assert shown(page) == 1
    assert focused(page) == "1"
    expect(page.locator(".deluge-spoken")).to_have_text("branch: ·blue (30 %) instead of ·red at token 3")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert shown(page) == 0
    assert page.locator(".deluge-tree [role=treeitem][tabindex='0']").count() == 1


def test_the_tree_shows_requested_and_failed_branches_and_a_failed_one_can_be_retried(
    view: LogprobView, host: Host
) -> None:
    page = host(view)
    page.evaluate(
        """() => {
            const tree = window.model.get('tree').map((one) => ({...one}));
            window.model.set('tree', tree.map((one) => one.id === 2 ? {...one, status: 'asking', total: null} : one));
        }"""
    )
    second = page.locator("[data-node='2']")
    expect(second).to_contain_text("asking the model …")
    expect(second).to_have_attribute("aria-disabled", "true")
    second.click(force=True)
    assert (shown(page), page.evaluate("window.sent")) == (0, [])
    page.evaluate(
        """() => window.model.set('tree', window.model.get('tree').map(
            (one) => one.id === 2 ? {...one, status: 'failed', message: '<b>no</b> answer'} : one))"""
    )
    expect(second).to_contain_text("failed: <b>no</b> answer")
    expect(page.locator(".deluge-spoken")).to_contain_text("The (30 %) instead of It at token 1: failed, <b>no</b>")
    second.click()
    assert page.evaluate("window.sent") == [{"branch": {"node": 0, "token": 0, "place": 1}}]


def test_focus_returns_to_the_text_when_a_branch_requested_in_a_card_arrives(view: LogprobView, host: Host) -> None:
    page = host(view)
    page.locator(".deluge-box").focus()
    for key in ("Home", "Enter", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".deluge-card button:focus")).to_have_count(1)
    page.evaluate("window.model.set('node', 1)")
    expect(page.locator(".deluge-box")).to_be_focused()


def test_a_message_for_another_branch_is_ignored(view: LogprobView, host: Host) -> None:
    page = host(view)
    page.evaluate("window.model.set('node', 2)")
    page.evaluate("window.model.hear({parts: ['alternatives']}, [''])")
    assert texts(page) == "The colour."


@pytest.mark.parametrize("theme", ["", 'data-jp-theme-light="false" style="background: #111"'])
def test_the_tree_is_accessible(view: LogprobView, host: Host, theme: str) -> None:
    page = host(view, theme=theme)
    page.locator("[data-node='3'] .deluge-button").click()
    is_accessible(page)


def test_rows_that_arrive_while_a_branch_is_shown_appear_on_return_to_the_original(view: Recorded, host: Host) -> None:
    whole = Logprobs.from_entries([*view.table, entry(" Always", 0.5), entry("!", 0.5)])
    original = view.table.text
    view.update(whole[:-2])
    page = host(view)
    view.sent.clear()
    view.update(whole[:-1])
    deliver(page, view)
    assert texts(page) == original + " Always"
    page.evaluate("window.model.set('node', 1)")
    branch = texts(page)
    view.update(whole)
    deliver(page, view)
    assert texts(page) == branch
    page.evaluate("window.model.set('node', 0)")
    assert texts(page) == original + " Always!"
    page.locator(".deluge-line .deluge-token").last.hover()
    expect(page.locator(".deluge-card-head")).to_have_text("!50 %")
    assert page.evaluate("window.sent") == []


def test_names_in_the_tree_are_text_and_not_markup(client: LLMClient, server: ChatServer, host: Host) -> None:
    hostile = "<img src=x onerror='window.hacked = 1'>"

    def evil(seen: Seen, number: int) -> Reply:
        return Reply(chat(seen, [("a", {"a": 0.5, hostile: 0.4})] if number == 0 else answer_tokens("")))

    server.answer = evil
    view = LogprobView(ask(client), client=client, prompt=QUESTION)
    view.branch(0, hostile)
    page = host(view)
    assert names(page)[1].startswith(hostile)
    assert page.evaluate("window.hacked") is None
    assert page.locator(".deluge-tree img").count() == 0


def test_a_saved_page_shows_branches_and_cannot_request_new_ones(view: LogprobView, page: Page, tmp_path: Path) -> None:
    view.save_html(tmp_path / "answer.html")
    page.goto((tmp_path / "answer.html").as_uri())
    page.locator("[data-node='1'] > .deluge-node").click()
    assert texts(page) == "It is blue and white."
    page.locator("[data-token='2']").click()
    expect(page.locator(".deluge-card")).to_be_visible()
    expect(page.locator(".deluge-card button.deluge-row")).to_have_count(0)


VIEW = "[v for v in __import__('gc').get_objects() if type(v).__name__ == 'LogprobView'][-1]"


@pytest.mark.model
def test_in_jupyterlab_the_embedded_model_continues_from_an_alternative_chosen_by_keyboard(
    page: Page, jupyter: Jupyter, notebook: Callable[..., str]
) -> None:
    ask = "%%deluge --temperature 0 --max-tokens 24 --chart none -o answer\nWhat is the capital of France?"
    open_and_run(page, jupyter, notebook("branch.ipynb", LOAD, ask), "lab/tree")
    before = in_kernel(page, "answer.completion")  # The cell has ended.
    expect(page.locator(".deluge-line .deluge-token").first).to_be_visible()
    page.locator(".deluge-box").focus()
    page.keyboard.press("Home")
    expect(page.locator(".deluge-selected")).to_have_attribute("data-token", "0")
    for key in (*["ArrowRight"] * 5, "Enter", "Enter", "ArrowDown"):
        page.keyboard.press(key)
    chosen = page.locator(".deluge-card button:focus code").text_content() or ""
    assert chosen == "·L"
    page.keyboard.press("Enter")
    expect(page.locator(".deluge-tree [role=treeitem][aria-current]")).to_have_attribute("data-node", "1")
    expect(page.locator(".deluge-box")).to_be_focused()
    page.screenshot(path=SHOTS / "branch.png")
    branch = f"{VIEW}.branches[0]"
    becomes(lambda: in_kernel(page, f"{branch}.status"), "ready", page)
    completion, tokens = in_kernel(page, f"[{branch}.response.completion, {branch}.response.logprobs.tokens]")
    prefix = "".join(in_kernel(page, "answer.logprobs.tokens")[:5])
    assert completion.startswith(prefix + " L")
    assert completion != before
    expect(page.locator(".deluge-line .deluge-token")).to_have_text(tokens)
    drawn = page.locator(".deluge-line [role=option]")
    wanted = [math.sqrt(1 - p) for p in in_kernel(page, f"{branch}.response.logprobs.prob.tolist()")]
    becomes(lambda: heats(drawn), pytest.approx(wanted, abs=1 / 128 + 1e-6), page)
    assert in_kernel(page, f"{VIEW}.node") == 1

    # Back to the original, in the tree and by keyboard, and Python knows.
    page.locator(".deluge-tree [role=treeitem][tabindex='0']").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator(".deluge-tree [role=treeitem][aria-current]")).to_have_attribute("data-node", "0")
    becomes(lambda: texts(page), before, page)
    becomes(lambda: in_kernel(page, f"{VIEW}.node"), 0, page)


# Several answers ------------------------------------------------------------------------------------------------------


def drawn_answer(*tokens: str) -> APIResponse:
    table = Logprobs.from_entries([entry(token, 0.5) for token in tokens])
    return APIResponse("m", completion=table.text, logprobs=table)


@pytest.fixture
def sampled() -> LogprobView:
    """Return a view of eight answers, five of them different, one much longer than a view sends at once."""
    red, blue = drawn_answer("It", " is", " red"), drawn_answer("It", " is", " <b>blue</b>")
    return LogprobView(
        [red] * 3 + [blue] * 2 + [drawn_answer("It"), drawn_answer(" אדום"), drawn_answer(*["a"] * 20_000)]
    )


def test_several_answers_are_a_tree_with_counts_in_which_each_can_be_shown(sampled: LogprobView, host: Host) -> None:
    page = host(sampled)
    own = ["It", "·is", "·red", "·<b>blue</b>", "ends here", "·אדום", f"{'a' * 59}…"]
    assert names(page) == ["no common beginning", *own]
    notes = page.locator(".deluge-note").all_text_contents()
    # No line begins with a sign.
    assert notes[3] == "3 of 8 · 37.5\u00a0% (13.7\u00a0– 69.4\u00a0%) · joint probability 12.5\u00a0%"
    current = page.locator(".deluge-tree [role=treeitem][aria-current]")
    expect(current).to_have_attribute("data-node", "0")
    bars = page.locator(".deluge-share").evaluate_all(
        "all => all.map(bar => [...bar.children].map(part => part.style.left + part.style.width))"
    )
    assert bars[2][1:] == ["0%37.5%", "12.5%"]
    page.locator("[data-node='1'] .deluge-button").click()
    assert texts(page) == "It is <b>blue</b>"
    expect(page.locator(".deluge-spoken")).to_have_text(f"answer: ·<b>blue</b>, {notes[4]}")
    # A beginning shows its most common answer.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert (texts(page), focused(page)) == ("It is red", "0")
    for key in ("Home", "End", "ArrowUp"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    assert texts(page) == " אדום"
    is_accessible(page)


def test_an_answer_whose_tokens_are_not_there_is_requested(sampled: LogprobView, host: Host) -> None:
    page = host(sampled)
    page.locator("[data-node='3'] .deluge-button").click()
    assert page.evaluate("window.sent") == [{"sample": 3}]
    expect(page.locator(".deluge-toast")).to_have_text("fetching the answer …")
    assert (shown(page), texts(page)) == (0, "It is red")


def test_a_saved_page_shows_every_answer(sampled: LogprobView, page: Page, tmp_path: Path) -> None:
    sampled.save_html(tmp_path / "answers.html")
    page.goto((tmp_path / "answers.html").as_uri())
    page.locator("[data-node='3'] .deluge-button").click()
    expect(page.locator(".deluge-summary")).to_contain_text("20000 tokens")
