"""Branches: answers that continue from another token, over a real socket and on the embedded model."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from deluge_nb import (
    APIResponse,
    Conversation,
    LLMClient,
    Logprobs,
    LogprobView,
    MissingKeyError,
    RawPrompt,
    SamplingParams,
    SettingError,
    UnknownModelError,
)
from deluge_nb.client.continuation import Branch, Continuer
from deluge_nb.logprobs.splice import concatenate, with_alternative
from deluge_nb.widget.codec import unpack
from deluge_nb.widget.live import LiveView
from deluge_nb.widget.packer import CHUNK, EAGER
from tests.openai_server import ChatServer, Reply, Seen, chat, entry, error, says

pytestmark = pytest.mark.slow

QUESTION = "What colour is it?"
CAPITAL = "What is the capital of France?"
# The tokens that the server adds to each beginning, each with the second likeliest token.
SAYS: Mapping[str, Sequence[tuple[str, str]]] = {
    "": [("It", "The"), (" is", " was"), (" red", " blue"), (".", "!")],
    "It is blue": [(" and", " or"), (" white", " grey"), (".", "!")],
    "It is blue or": [(" so", " not"), (".", "!")],
    "The": [(" colour", " thing"), (".", "!")],
}
KEY = "sk-test-0123456789"


def answer_tokens(beginning: str) -> list[tuple[str, Mapping[str, float]]]:
    return [(token, {token: 0.6, other: 0.3}) for token, other in SAYS[beginning]]


def in_chat(seen: Seen, number: int) -> Reply:
    last = seen.body["messages"][-1]
    return Reply(chat(seen, answer_tokens(last["content"] if last["role"] == "assistant" else "")))


def in_text(seen: Seen, number: int) -> Reply:
    tokens = answer_tokens(seen.body["prompt"].removeprefix(QUESTION))
    table = {
        "tokens": [token for token, _ in tokens],
        "token_logprobs": [math.log(distribution[token]) for token, distribution in tokens],
        "top_logprobs": [{text: math.log(p) for text, p in distribution.items()} for _, distribution in tokens],
        "text_offset": [0] * len(tokens),
    }
    choice = {"text": "".join(table["tokens"]), "index": 0, "logprobs": table, "finish_reason": "stop"}
    return Reply({"model": "m", "choices": [choice]})


@pytest.fixture
def vllm(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> ChatServer:
    """A server that continues a begun answer, in a chat and in plain text."""
    monkeypatch.setenv("VLLM_BASE_URL", server.url)
    server.answer = lambda seen, number: (
        in_text if seen.path.endswith("/completions") and "prompt" in seen.body else in_chat
    )(seen, number)
    return server


def client_of(model: str = "vllm/m", **settings: Any) -> LLMClient:
    top = settings.pop("top_logprobs", 2)
    return LLMClient(model, logprobs=True, top_logprobs=top, max_attempts=1, **settings)


def ask(client: LLMClient, prompt: Any = QUESTION) -> APIResponse:
    response = client.process_prompts_sync([prompt], show_progress=False)[0]
    assert not response.is_error, response.error_message
    return response


def view_of(client: LLMClient, prompt: Any = QUESTION, **options: Any) -> LogprobView:
    return LogprobView(ask(client, prompt), client=client, prompt=prompt, **options)


def answer_of(branch: Branch) -> APIResponse:
    assert branch.response is not None
    assert branch.response.logprobs is not None, branch.message
    return branch.response


def rows_of(branch: Branch) -> Logprobs:
    table = answer_of(branch).logprobs
    assert table is not None
    return table


def tree_of(view: LogprobView) -> list[dict[str, Any]]:
    """Return the tree that the browser receives, as JSON."""
    return json.loads(json.dumps(view.tree))


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# Requests and answers -------------------------------------------------------------------------------------------------


def test_a_chat_request_begins_the_answer_with_the_rows_before_and_the_alternative(vllm: ChatServer) -> None:
    view = view_of(client_of())
    view.branch(2, " blue")
    sent = vllm.seen[-1].body
    assert sent["messages"] == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "It is blue"},
    ]
    assert sent["continue_final_message"] is True


def test_a_branch_is_the_whole_answer_with_a_row_for_each_token(vllm: ChatServer) -> None:
    view = view_of(client_of())
    branch = view.branch(2, " blue")
    table = rows_of(branch)
    assert answer_of(branch).completion == "It is blue and white."
    assert table.tokens == ["It", " is", " blue", " and", " white", "."]
    assert table[:2] == view.table[:2]
    assert table[2]["top_logprobs"] == view.table[2]["top_logprobs"]
    assert table[2] == {**view.table[2], **entry(" blue", 0.3)}
    assert table.rank().tolist() == [1, 1, 2, 1, 1, 1]
    assert answer_of(branch).finish_reason == "stop"
    assert answer_of(branch).raw_response["choices"][0]["logprobs"]["content"] == list(table)


def test_a_branch_has_its_position_and_the_probability_of_its_alternative(vllm: ChatServer) -> None:
    view = view_of(client_of())
    branch = view.branch(2, " blue")
    assert (branch.position, branch.token, branch.instead, branch.parent) == (2, " blue", " red", None)
    assert branch.logprob == pytest.approx(math.log(0.3))
    assert branch.total_logprob == pytest.approx(5 * math.log(0.6) + math.log(0.3))
    assert (branch.status, branch.message) == ("ready", "")
    assert view.branches == [branch]
    assert repr(branch) == "Branch(1: ' blue' in place of ' red' at 2, ready)"


def test_an_alternative_is_chosen_by_index_and_a_position_may_count_from_the_end(vllm: ChatServer) -> None:
    view = view_of(client_of())
    assert view.branch(-2, 1).token == " blue"


def test_a_branch_of_a_branch_begins_with_the_rows_of_its_parent(vllm: ChatServer) -> None:
    view = view_of(client_of())
    first = view.branch(2, " blue")
    second = view.branch(3, " or", node=first.id)
    assert vllm.seen[-1].body["messages"][-1]["content"] == "It is blue or"
    assert answer_of(second).completion == "It is blue or so."
    assert second.parent is first


def test_a_branch_from_a_row_that_a_branch_shares_with_its_parent_has_the_same_parent(vllm: ChatServer) -> None:
    view = view_of(client_of())
    view.node = view.branch(2, " blue").id
    other = view.branch(0, "The")
    assert (other.parent, other.instead) == (None, "It")
    assert answer_of(other).completion == "The colour."


def test_a_prefill_of_the_prompt_stays_in_front_of_the_branch(vllm: ChatServer) -> None:
    prompt = Conversation().user(QUESTION).assistant_prefix("It is blue")
    view = view_of(client_of(), prompt)
    view.branch(0, " or")
    assert vllm.seen[-1].body["messages"][-1]["content"] == "It is blue or"


def test_a_raw_prompt_continues_after_the_alternative(vllm: ChatServer) -> None:
    view = view_of(client_of(), RawPrompt(QUESTION))
    branch = view.branch(2, " blue")
    assert vllm.seen[-1].path == "/v1/completions"
    assert vllm.seen[-1].body["prompt"] == f"{QUESTION}It is blue"
    assert answer_of(branch).completion == "It is blue and white."


def test_a_completions_model_receives_the_text(server: ChatServer) -> None:
    server.answer = in_text
    view = view_of(client_of("gpt-3.5-turbo-instruct"))
    branch = view.branch(2, " blue")
    assert server.seen[-1].body["prompt"] == f"{QUESTION}It is blue"
    assert answer_of(branch).completion == "It is blue and white."


def test_a_branch_uses_the_settings_of_the_client_or_of_the_view(vllm: ChatServer) -> None:
    client = client_of(temperature=0.5, seed=3)
    view_of(client).branch(2, " blue")
    assert (vllm.seen[-1].body["temperature"], vllm.seen[-1].body["seed"]) == (0.5, 3)
    own = SamplingParams(logprobs=True, top_logprobs=2, temperature=0)
    view_of(client, sampling_params=own).branch(2, " blue")
    assert vllm.seen[-1].body["temperature"] == 0


def test_a_model_s_name_makes_a_client_that_requests_log_probabilities(vllm: ChatServer) -> None:
    response = ask(client_of())
    view = LogprobView(response, client="vllm/m", prompt=QUESTION)
    view.branch(2, " blue")
    assert (vllm.seen[-1].body["logprobs"], vllm.seen[-1].body["top_logprobs"]) == (True, 2)


def test_a_closed_client_can_branch(vllm: ChatServer) -> None:
    client = client_of()
    view = view_of(client)
    client.close()
    assert answer_of(view.branch(2, " blue")).completion == "It is blue and white."


def test_the_model_that_wrote_the_answer_continues_it(vllm: ChatServer) -> None:
    client = LLMClient(["vllm/a", "vllm/b"], logprobs=True, top_logprobs=2)
    _, second = client.process_prompts_sync([QUESTION] * 2, show_progress=False)
    LogprobView(second, client=client, prompt=QUESTION).branch(2, " blue")
    assert vllm.seen[-1].body["model"] == "b"


def test_the_limit_of_tokens_counts_the_rows_before_the_branch(vllm: ChatServer) -> None:
    view = view_of(client_of(max_new_tokens=10))
    view.branch(2, " blue")
    assert vllm.seen[-1].body["max_tokens"] == 7


def test_no_request_is_sent_when_the_alternative_reaches_the_token_limit(vllm: ChatServer) -> None:
    view = view_of(client_of(max_new_tokens=4))
    branch = view.branch(3, "!")
    assert len(vllm.seen) == 1
    assert answer_of(branch).completion == "It is red!"
    assert answer_of(branch).finish_reason == "length"
    assert answer_of(branch).raw_response == {}


def test_no_request_is_sent_when_the_alternative_completes_a_stop_string(vllm: ChatServer) -> None:
    view = view_of(client_of(stop="blue"))
    branch = view.branch(2, " blue")
    assert len(vllm.seen) == 1
    assert (answer_of(branch).completion, answer_of(branch).finish_reason) == ("It is blue", "stop")


def test_an_end_token_ends_the_branch_and_adds_no_text(vllm: ChatServer) -> None:
    vllm.always(("Yes", {"Yes": 0.9}), (" sir", {" sir": 0.5, "<|im_end|>": 0.4}))
    view = view_of(client_of())
    branch = view.branch(1, "<|im_end|>")
    assert len(vllm.seen) == 1
    assert (answer_of(branch).completion, answer_of(branch).finish_reason) == ("Yes", "stop")
    assert rows_of(branch).text == "Yes"
    assert branch.total_logprob == pytest.approx(math.log(0.9 * 0.4))
    assert rows_of(branch).is_listed.tolist() == [True, True]


def test_an_unknown_server_is_asked_once_whether_it_continues_an_answer(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if seen.question.endswith("5, 6,"):
            return Reply(chat(seen, says(" 7", ", 8")))
        return in_chat(seen, number)

    server.answer = answer
    view = view_of(LLMClient("m", base_url=server.url, logprobs=True, top_logprobs=2))
    assert view.branching == ""
    for _ in range(2):
        assert answer_of(view.branch(2, " blue")).note is None
    assert sum(seen.question.endswith("5, 6,") for seen in server.seen) == 1


def test_the_view_says_why_a_server_that_starts_again_cannot_branch(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if seen.question.endswith("5, 6,"):
            return Reply(chat(seen, says("1", ", 2")))
        return in_chat(seen, number)

    server.answer = answer
    view = view_of(LLMClient("m", base_url=server.url, logprobs=True, top_logprobs=2))
    with pytest.raises(SettingError, match="not proven to continue"):
        view.branch(2, " blue")
    assert not view.branches
    assert "starts a new answer" in (view.branching or "")
    with pytest.raises(SettingError, match="cannot branch"):
        view.branch(2, " blue")


def test_the_text_of_a_stripped_answer_comes_from_its_rows(vllm: ChatServer) -> None:
    def stripped(seen: Seen, number: int) -> Reply:
        reply = in_chat(seen, number)
        message = reply.body["choices"][0]["message"]
        message["content"] = message["content"].strip()
        return reply

    vllm.answer = stripped
    assert answer_of(view_of(client_of()).branch(2, " blue")).completion == "It is blue and white."


# Reasons --------------------------------------------------------------------------------------------------------------


def test_a_view_without_client_and_prompt_gives_no_reason() -> None:
    view = LogprobView([{**entry("a", 0.5), "top_logprobs": [entry("a", 0.5)]}])
    assert view.branching is None
    with pytest.raises(SettingError, match="client=…, prompt=…"):
        view.branch(0, "a")


def test_a_view_with_only_a_client_or_only_a_prompt_says_what_is_missing(vllm: ChatServer) -> None:
    response = ask(client_of())
    assert "The prompt is not known" in (LogprobView(response, client="vllm/m").branching or "")
    assert "No client is known" in (LogprobView(response, prompt=QUESTION).branching or "")


def test_a_server_that_starts_a_new_answer_cannot_branch_and_the_card_says_so(server: ChatServer) -> None:
    view = view_of(client_of("gpt-4o-mini"))
    assert view.branching == (
        "'gpt-4o-mini' cannot branch: OpenAI starts a new answer instead of continuing one; the embedded "
        "model 'local' continues it."
    )
    with pytest.raises(SettingError, match="starts a new answer"):
        view.branch(0, 0)
    view._handle_custom_msg({"branch": {"node": 0, "token": 0, "place": 1}}, [])
    assert view.branches == []
    assert len(server.seen) == 1


def test_a_client_of_another_model_is_refused(vllm: ChatServer) -> None:
    view = LogprobView(ask(client_of()), client="vllm/other", prompt=QUESTION)
    assert "'m' wrote this, and the client asks 'other'" in (view.branching or "")


def test_a_table_is_refused_when_the_client_has_several_models(vllm: ChatServer) -> None:
    client = LLMClient(["vllm/a", "vllm/b"], logprobs=True)
    view = LogprobView(ask(client_of()).logprobs, client=client, prompt=QUESTION)
    assert "does not say which of them" in (view.branching or "")


def test_an_invalid_client_or_prompt_is_refused_by_the_view(vllm: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    response = ask(client_of())
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(UnknownModelError):
        LogprobView(response, client="no-such-model", prompt=QUESTION)
    with pytest.raises(SettingError, match="empty"):
        LogprobView(response, client="vllm/m", prompt="")
    with pytest.raises(SettingError, match="sampling_params must be"):
        LogprobView(response, client="vllm/m", prompt=QUESTION, sampling_params=3)  # type: ignore[arg-type]


def test_trailing_white_space_is_kept_in_raw_text_and_refused_in_a_chat(vllm: ChatServer) -> None:
    vllm.always(("Yes", {"Yes": 0.5, "Yes ": 0.4}))
    view = view_of(client_of())
    with pytest.raises(SettingError, match="white space, which chat servers strip"):
        view.branch(0, "Yes ")
    assert view.branches == []
    vllm.answer = lambda seen, number: Reply(
        {"choices": [{"text": "!", "logprobs": {"tokens": ["!"], "token_logprobs": [-1.0]}, "finish_reason": "stop"}]}
    )
    raw = LogprobView(view.table, client=client_of(), prompt=RawPrompt("Q:"))
    assert answer_of(raw.branch(0, "Yes ")).completion == "Yes !"
    assert vllm.seen[-1].body["prompt"] == "Q:Yes "


def test_half_a_character_is_refused_by_a_server_that_takes_only_text(vllm: ChatServer) -> None:
    torn = {"token": "\\xe2\\x82", "logprob": -1.0, "bytes": [0xE2, 0x82]}
    view = LogprobView([{**entry("x", 0.5), "top_logprobs": [torn]}], client="vllm/m", prompt=QUESTION)
    with pytest.raises(SettingError, match="inside a character"):
        view.branch(0, 0)
    assert vllm.seen == []


def test_a_token_whose_bytes_are_unknown_is_refused(vllm: ChatServer) -> None:
    lost = {"token": "\ufffd", "logprob": -1.0}
    view = LogprobView([{**entry("x", 0.5), "top_logprobs": [lost]}], client="vllm/m", prompt=QUESTION)
    with pytest.raises(SettingError, match="did not report its bytes"):
        view.branch(0, 0)


@pytest.mark.parametrize(
    ("position", "alternative", "sentence"),
    [
        (4, 0, "one of the 4 tokens"),
        (-5, 0, "one of the 4 tokens"),
        ("0", 0, "one of the 4 tokens"),
        (2, " green", "has ' red', ' blue'; not ' green'"),
        (2, 2, "has ' red', ' blue'; not 2"),
        (2, True, "not True"),
    ],
)
def test_only_a_listed_alternative_can_be_chosen(
    vllm: ChatServer, position: Any, alternative: Any, sentence: str
) -> None:
    view = view_of(client_of())
    with pytest.raises(SettingError, match=sentence):
        view.branch(position, alternative)


def test_a_failed_request_is_a_failed_branch_whose_message_hides_the_key(
    vllm: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = view_of(client_of(api_key=KEY))
    vllm.answer = lambda seen, number: error(f"wrong key {KEY}", status=401)
    branch = view.branch(2, " blue")
    assert branch.status == "failed"
    assert "401" in branch.message or "wrong key" in branch.message
    assert KEY not in branch.message + json.dumps(view.tree)
    assert branch.total_logprob is None
    with pytest.raises(SettingError, match="no branch is ready"):
        view.node = branch.id


def test_a_continuation_without_log_probabilities_is_a_failure(vllm: ChatServer) -> None:
    view = view_of(client_of())

    def without_logprobs(seen: Seen, number: int) -> Reply:
        return Reply(chat(Seen({**seen.body, "logprobs": None}, {}, ""), says("and", " so")))

    vllm.answer = without_logprobs
    with pytest.warns(UserWarning, match="without the log-probabilities"):
        branch = view.branch(2, " blue")
    assert (branch.status, "came without log-probabilities" in branch.message) == ("failed", True)


def test_a_missing_key_raises_and_leaves_no_branch(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = in_chat
    monkeypatch.setenv("GROQ_BASE_URL", server.url)
    response = ask(LLMClient("groq/m", logprobs=True, top_logprobs=2, api_key="sk-x"))
    monkeypatch.delenv("GROQ_BASE_URL")
    view = LogprobView(response, client="groq/m", prompt=QUESTION)
    with pytest.raises(MissingKeyError):
        view.branch(2, " blue")
    assert view.branches == []


# From the browser -----------------------------------------------------------------------------------------------------


def choose(view: LogprobView, token: Any, index: Any, node: Any = 0) -> None:
    view._handle_custom_msg({"branch": {"node": node, "token": token, "place": index}}, [])


def test_a_choice_in_the_card_is_requested_in_the_background(vllm: ChatServer) -> None:
    view = view_of(client_of())
    go = threading.Event()

    def wait_and_answer(seen: Seen, number: int) -> Reply:
        assert go.wait(20)
        return in_chat(seen, number)

    vllm.answer = wait_and_answer
    choose(view, 2, 1)
    assert [node["status"] for node in tree_of(view)] == ["asking"]
    assert (view.node, view.branches[0].response) == (0, None)
    choose(view, 2, 1)  # a second click
    go.set()
    wait_until(lambda: view.node == 1)
    assert [node["status"] for node in tree_of(view)] == ["ready"]
    assert answer_of(view.branches[0]).completion == "It is blue and white."
    assert view.shown == rows_of(view.branches[0])
    assert view.table.text == "It is red."


def test_a_branch_is_not_shown_after_the_reader_has_moved_to_another_node(vllm: ChatServer) -> None:
    view = view_of(client_of())
    view.node = view.branch(0, "The").id
    choose(view, 2, 1)
    wait_until(lambda: tree_of(view)[-1]["status"] == "ready")
    assert view.node == 1


async def test_traits_change_in_the_thread_of_the_kernel_s_loop(vllm: ChatServer) -> None:
    view = view_of(client_of())
    threads: list[threading.Thread] = []

    def record_thread(change: dict[str, Any]) -> None:
        threads.append(threading.current_thread())

    view.observe(record_thread, ["tree", "node", "branched"])
    choose(view, 2, 1)
    while view.node == 0:  # noqa: ASYNC110 - a trait has no event
        await asyncio.sleep(0.01)
    assert set(threads) == {threading.current_thread()}


def test_a_failure_in_the_background_appears_in_the_tree_and_can_be_retried(vllm: ChatServer) -> None:
    view = view_of(client_of(api_key=KEY))
    vllm.answer = lambda seen, number: error(f"no {KEY}", status=400)
    choose(view, 2, 1)
    wait_until(lambda: tree_of(view)[0]["status"] == "failed")
    assert tree_of(view)[0]["message"]
    assert KEY not in json.dumps(view.tree)
    vllm.answer = in_chat
    choose(view, 2, 1)
    wait_until(lambda: view.node == 2)
    assert [node["status"] for node in tree_of(view)] == ["ready"]


def test_a_refusal_in_the_background_appears_in_the_tree(vllm: ChatServer) -> None:
    vllm.always(("Yes", {"Yes": 0.5, "Yes ": 0.4}))
    view = view_of(client_of())
    choose(view, 0, 1)
    wait_until(lambda: tree_of(view)[0]["status"] == "failed")
    assert "white space" in tree_of(view)[0]["message"]


@pytest.mark.parametrize(
    "content",
    [
        *(None, [], {}, {"node": 0}),
        {"node": 7, "token": 0, "place": 0},
        {"node": 0, "token": 9, "place": 0},
        {"node": 0, "token": -1, "place": 0},
        {"node": 0, "token": 0, "place": 99},
        {"node": 0, "token": "0", "place": True},
    ],
)
def test_an_invalid_message_from_the_browser_is_ignored(vllm: ChatServer, content: Any) -> None:
    view = view_of(client_of())
    view._handle_custom_msg({"branch": content}, [])
    assert view.branches == []


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A shell, which updates of displayed outputs need."""
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_a_view_of_the_magic_can_branch_after_its_client_closed(vllm: ChatServer, shell: InteractiveShell) -> None:
    client, live = client_of(), LiveView(shown=True)
    params = SamplingParams(logprobs=True, top_logprobs=2, temperature=0)
    response = live.answer(client, Conversation().user(QUESTION), params)
    live.finish(response)
    client.close()
    assert live.view is not None
    assert live.view.branching == ""
    assert answer_of(live.view.branch(2, " blue")).completion == "It is blue and white."
    assert vllm.seen[-1].body["temperature"] == 0


def test_a_branch_is_cached_unless_the_cache_is_off(vllm: ChatServer, tmp_path: Path) -> None:
    client = client_of(cache=tmp_path / "answers.db")
    response = ask(client)
    for use_cache, requests in [(True, 2), (True, 2), (False, 3)]:
        Continuer(client, QUESTION, use_cache=use_cache).continue_from(response, 2, 1)
        assert len(vllm.seen) == requests


@pytest.mark.model
def test_branches_from_different_tokens_have_separate_cache_entries(tmp_path: Path) -> None:
    client = client_of("local", temperature=0, max_new_tokens=8, cache=tmp_path / "answers.db")
    view = view_of(client, CAPITAL)
    first, again, other = (view.branch(2, index) for index in (1, 1, 0))
    assert [answer_of(branch).from_cache for branch in (first, again, other)] == [False, True, False]
    assert answer_of(first).completion == answer_of(again).completion != answer_of(other).completion


# The tree -------------------------------------------------------------------------------------------------------------


def test_the_browser_receives_the_tree_and_the_columns_of_each_branch(vllm: ChatServer) -> None:
    view = view_of(client_of())
    branch = view.branch(2, " blue")
    (entry_of_tree,) = tree_of(view)
    assert entry_of_tree == {
        "id": 1, "parent": 0, "position": 2, "place": 1, "label": "·blue", "instead": "·red",
        "logprob": pytest.approx(math.log(0.3)), "total": pytest.approx(branch.total_logprob), "tokens": 6,
        "status": "ready", "message": "",
    }  # fmt: skip
    _, columns = unpack(view.branched)
    fields, own = unpack(columns["data1"].tobytes())
    assert fields["count"] == 6
    assert [fields["sources"][label] for label in own["labelAt"]] == rows_of(branch).tokens
    assert unpack(columns["alternatives1"].tobytes())[0]["last"] == 6
    assert len(unpack(columns["measures1"].tobytes())[1]["entropy"]) == 6


def test_changing_the_node_keeps_selections_that_lie_within_the_text(vllm: ChatServer) -> None:
    view = view_of(client_of())
    short, long = view.branch(0, "The"), view.branch(2, " blue")
    view.node = long.id
    view.set_state({"selected": 5, "selection": [4, 6], "pinned": [0, 5]})
    view.node = short.id
    assert (view.selected, view.selection, view.pinned) == (None, [], [0])
    with pytest.raises(SettingError, match="from 0 to 2"):
        view.selected = 3
    view.node = long.id
    assert view.pinned == [0, 5]
    view.selected = 5


def test_only_a_ready_branch_can_be_shown(vllm: ChatServer) -> None:
    view = view_of(client_of())
    with pytest.raises(SettingError, match="node must be 0"):
        view.node = 1
    view.branch(2, " blue")
    with pytest.raises(SettingError, match=r"ready \(1\)"):
        view.node = 2
    view.node = 1
    assert view.node == 1


def test_a_growing_text_keeps_its_branches_and_another_text_removes_them(vllm: ChatServer) -> None:
    client = client_of()
    response = ask(client)
    assert response.logprobs is not None
    view = LogprobView(response.logprobs[:3], client=client, prompt=QUESTION)
    branch = view.branch(2, " blue")
    view.node = branch.id
    view.update(response)
    assert (view.branches, view.node, view.branching) == ([branch], 1, "")
    view.update([{**entry("New", 0.5), "top_logprobs": [entry("New", 0.5), entry("Old", 0.4)]}])
    assert (view.branches, view.node, view.tree, view.branched) == ([], 0, [], b"")
    assert "prompt is not known" in (view.branching or "")
    assert branch.response is not None
    view.update(response, prompt=QUESTION)
    assert answer_of(view.branch(2, " blue")).completion == "It is blue and white."


def test_the_alternatives_of_a_long_branch_come_in_chunks(vllm: ChatServer) -> None:
    sent: list[Any] = []

    class Recorded(LogprobView):
        def send(self, content: Any, buffers: Any = None) -> None:
            sent.append((content, buffers))

    vllm.answer = lambda seen, number: Reply(chat(seen, says(*["x"] * (EAGER + 1))))
    view = Recorded(
        [{**entry("a", 0.5), "top_logprobs": [entry("b", 0.4)]}], client=client_of(top_logprobs=1), prompt=QUESTION
    )
    view.node = view.branch(0, "b").id
    view._handle_custom_msg({"chunk": 1}, [])
    ((content, (block,)),) = sent
    assert content == {"parts": ["alternatives"], "node": 1}
    assert unpack(block)[0]["first"] == CHUNK


# Rows -----------------------------------------------------------------------------------------------------------------


@st.composite
def alternative_rows(draw: st.DrawFn) -> dict[str, Any]:
    octets = draw(st.binary(max_size=4))
    logprob = draw(st.one_of(st.none(), st.floats(-30, 0)))
    return {"token": octets.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(octets)}


def identity(alternative: dict[str, Any]) -> tuple[Any, ...]:
    return alternative["token"], tuple(alternative["bytes"]), alternative["logprob"]


@st.composite
def row(draw: st.DrawFn) -> dict[str, Any]:
    # A table counts a repeated alternative once.
    alternatives = st.lists(alternative_rows(), min_size=1, max_size=4, unique_by=identity)
    return {**draw(alternative_rows()), "top_logprobs": draw(alternatives)}


tables = st.lists(row(), max_size=6)


@given(tables, tables)
def test_concatenated_tables_have_the_rows_of_both(first: list[Any], second: list[Any]) -> None:
    whole = concatenate(Logprobs.from_entries(first), Logprobs.from_entries(second))
    assert list(whole) == first + second


@given(tables.filter(bool), st.data())
def test_an_alternative_replaces_the_token_and_nothing_else(rows: list[Any], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(rows) - 1))
    top = rows[position]["top_logprobs"]
    index = data.draw(st.integers(0, len(top) - 1))
    changed = with_alternative(Logprobs.from_entries(rows), position, index)
    assert list(changed) == [*rows[:position], {**top[index], "top_logprobs": top}]


# The embedded model ---------------------------------------------------------------------------------------------------


@pytest.fixture
def local() -> LLMClient:
    return LLMClient("local", logprobs=True, top_logprobs=20, temperature=0, max_new_tokens=24)


@pytest.mark.model
def test_the_rows_of_a_branch_equal_those_of_its_scored_text_on_the_embedded_model(local: LLMClient) -> None:
    view = view_of(local, CAPITAL)
    branch = view.branch(5, " L")
    table = rows_of(branch)
    scored = local.score_continuations_sync([(CAPITAL, answer_of(branch).completion or "")], show_progress=False)[0]
    assert scored.logprobs is not None
    assert scored.logprobs.tokens == table.tokens
    assert table.logprob == pytest.approx(scored.logprobs.logprob, abs=1e-3)
    assert table.token_ids == scored.logprobs.token_ids


@pytest.mark.model
def test_branching_to_the_likeliest_token_gives_the_same_answer(local: LLMClient) -> None:
    view = view_of(local, CAPITAL)
    branch = view.branch(2, view.table.tokens[2])
    assert answer_of(branch).completion == view.table.text
    assert rows_of(branch).token_ids == view.table.token_ids
    assert rows_of(branch).logprob == pytest.approx(view.table.logprob, abs=1e-3)


@pytest.mark.model
def test_the_embedded_model_continues_from_half_a_character() -> None:
    client = LLMClient("local", logprobs=True, top_logprobs=20, temperature=0, max_new_tokens=6)
    view = view_of(client, RawPrompt("Some emoji: 🦜 🐢 🦊"))
    torn = [
        (position, index)
        for position in range(len(view.table))
        for index, alternative in enumerate(view.table.top(position))
        if "\ufffd" in alternative["token"]
    ]
    branch = view.branch(*torn[0])
    table = rows_of(branch)
    head = b"".join(table.token_bytes[: torn[0][0] + 1])
    with pytest.raises(UnicodeDecodeError):
        head.decode()
    assert len(table) > torn[0][0] + 1
    assert answer_of(branch).completion == table.text


@pytest.mark.model
def test_the_embedded_model_keeps_trailing_white_space(local: LLMClient) -> None:
    view = LogprobView(ask(local, CAPITAL), client=local, prompt=CAPITAL)
    spaces = [
        (position, index)
        for position in range(len(view.table))
        for index, alternative in enumerate(view.table.top(position))
        if alternative["token"].strip() == "" and alternative["token"]
    ]
    if not spaces:
        view = LogprobView(ask(local, RawPrompt("a\n\n b\n\n")), client=local, prompt=RawPrompt("a\n\n b\n\n"))
        spaces = [(0, index) for index, row in enumerate(view.table.top(0)) if row["token"].isspace()]
    branch = view.branch(*spaces[0])
    assert rows_of(branch)[spaces[0][0]]["token"] == branch.token
    assert branch.status == "ready"


@pytest.mark.model
def test_the_end_token_of_the_embedded_model_can_be_chosen() -> None:
    client = LLMClient("local", logprobs=True, full_vocab=True, temperature=0, max_new_tokens=3)
    view = view_of(client, CAPITAL)
    ends = [index for index, row in enumerate(view.table.top(1)) if row.get("bytes") == []]
    branch = view.branch(1, ends[0])
    assert (answer_of(branch).completion, answer_of(branch).finish_reason) == (view.table.tokens[0], "stop")
    assert branch.logprob is not None


# From several answers -------------------------------------------------------------------------------------------------


def test_a_branch_continues_the_answer_on_the_screen_of_several(vllm: ChatServer) -> None:
    client = client_of()
    answer = ask(client)
    assert answer.logprobs is not None
    other = replace(answer, completion="It is blue", logprobs=with_alternative(answer.logprobs, 2, 1))
    view = LogprobView([answer, answer, other], client=client, prompt=QUESTION)
    assert view.branching == ""
    view.node = 1
    assert view.shown.text == "It is blue"
    branch = view.branch(0, "The")
    assert (branch.id, branch.parent and branch.parent.id) == (2, 1)
    view.node = branch.id
    assert view.shown.text == "The colour."
    described = tree_of(view)[-1]
    assert (described["id"], described["parent"]) == (2, 1)
    first = view.branch(2, " blue", node=0)
    assert answer_of(first).completion == "It is blue and white."
    assert (first.parent, tree_of(view)[-1]["parent"]) == (None, 0)
    view._receive(None, {"branch": {"node": 1, "token": 0, "place": 1}}, [])
    wait_until(lambda: len(view.branches) == 3 and view.branches[-1].status != "asking")
    assert view.branches[-1].parent is branch.parent
    view.update([other, other, answer])
    assert (view.branches, view.node) == ([], 0)
