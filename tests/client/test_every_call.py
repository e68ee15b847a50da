"""The same faults and endings for every way to ask: what holds for process_prompts_sync holds for its siblings."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from deluge_nb import APIResponse, DelugeError, LLMClient, RawPrompt, classify, extract_probs, score_llm
from tests import fault_server
from tests.fault_server import FaultServer, cut, good, reply
from tests.memory_transport import MemoryTransport
from tests.memory_transport import client_of as memory_client
from tests.openai_server import Seen, chat, chunks, says

pytestmark = pytest.mark.slow

KEY = "sk-test-0123456789"
ENVELOPE = {"error": {"message": "it is what it is", "type": "server_error", "code": None}}
Facts = list[Any]


def answer(seen: Seen) -> list[Any]:
    """Return the answer "yes" in the form that was asked for."""
    if seen.body.get("stream"):
        return reply(b"".join(chunks(seen, says("yes"))), kind="text/event-stream")
    return reply(chat(seen, says("yes")))


def with_odd_table(seen: Seen) -> list[Any]:
    body = chat(seen, says("yes"))
    body["choices"][0]["logprobs"] = {"content": [{"token": 5}, None]}
    return reply(body)


# By the name that a question ends in: faults that another try does not cure, and that do not take long.
FAULTS: dict[str, Callable[[Seen], list[Any]]] = {
    "good": answer,
    "busy": lambda seen: reply(ENVELOPE, 503, retry_after="0"),
    "limit": lambda seen: reply(ENVELOPE, 429, retry_after_ms="1"),
    "bad": lambda seen: reply(ENVELOPE, 400),
    "inside": lambda seen: reply({"error": {"message": "inside", "code": 502}}),
    "half": lambda seen: reply(b'{"choices": [{'),
    "nothing": lambda seen: reply(b""),
    "no choices": lambda seen: reply({"choices": []}),
    "deep": lambda seen: reply(b"[" * 100_000),
    "cut": lambda seen: cut(good(seen), 0.5),
    "failed": lambda seen: reply(chat(seen, says("ye"), finish="error")),
    "odd table": with_odd_table,
    "no table": lambda seen: reply({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}),
}


def client_for(server: FaultServer, models: str | list[str] = "gpt-4o-mini") -> LLMClient:
    return LLMClient(
        models,
        base_url=server.url,
        api_key=KEY,
        max_attempts=2,
        timeout=5,
        logprobs=True,
        top_logprobs=2,
        continues=True,
    )


def facts(response: APIResponse) -> tuple[Any, ...]:
    return response.completion, response.is_error, response.logprobs, response.note, response.status_code


def details(results: Sequence[Any]) -> Facts:
    return [(result.label, result.probabilities, result.error_message) for result in results]


async def collected(client: LLMClient, prompts: list[str]) -> Facts:
    return [pair async for pair in client.as_completed(prompts)]


def in_order(pairs: Sequence[tuple[int, APIResponse]]) -> Facts:
    return [facts(response) for _, response in sorted(pairs, key=lambda pair: pair[0])]


def ask_async(client: LLMClient, prompts: list[str]) -> Facts:
    return list(map(facts, asyncio.run(client.process_prompts_async(prompts, show_progress=False))))


def ask_all(client: LLMClient, prompts: list[str]) -> Facts:
    return [list(map(facts, of)) for of in zip(*client.ask_all(prompts, show_progress=False).values(), strict=True)]


def ask_all_async(client: LLMClient, prompts: list[str]) -> Facts:
    answers = asyncio.run(client.ask_all_async(prompts, show_progress=False))
    return [list(map(facts, of)) for of in zip(*answers.values(), strict=True)]


def stream(client: LLMClient, prompts: list[str]) -> Facts:
    streams = [client.stream(prompt) for prompt in prompts]
    for running in streams:
        try:
            list(running)
        except DelugeError:
            assert running.response is not None
            assert running.response.is_error
    return [facts(running.response) for running in streams if running.response is not None]


def sort_out(client: LLMClient, prompts: list[str]) -> Facts:
    return details(classify(prompts, ["yes", "no"], client, show_progress=False))


def follow_a_trie(client: LLMClient, prompts: list[str]) -> Facts:
    return details(classify(prompts, ["yes", "no"], client, method="trie", show_progress=False))


def score(client: LLMClient, prompts: list[str]) -> Facts:
    return score_llm("{0}", prompts, client, return_probabilities=True, show_progress=False)


def decide(client: LLMClient, prompts: list[str]) -> Facts:
    return score_llm("{0}", prompts, client, return_probabilities=False, show_progress=False)


def extract(client: LLMClient, prompts: list[str]) -> Facts:
    responses = client.process_prompts_sync(prompts, show_progress=False)
    return [None if p != p else p for p in extract_probs("yes", responses).tolist()]


CALLS: dict[str, Callable[[LLMClient, list[str]], Facts]] = {
    "process_prompts_async": ask_async,
    "as_completed": lambda client, prompts: in_order(list(client.as_completed(prompts))),
    "as_completed, async for": lambda client, prompts: in_order(asyncio.run(collected(client, prompts))),
    "ask_all": ask_all,
    "ask_all_async": ask_all_async,
    "stream": stream,
    "classify by first token": sort_out,
    "classify by trie": follow_a_trie,
    "score_llm": score,
    "score_llm, as booleans": decide,
    "extract_probs": extract,
}


@pytest.fixture(scope="module")
def judge() -> Iterator[FaultServer]:
    with fault_server.running() as found:
        found.answer = lambda seen, number: FAULTS[seen.body["messages"][0]["content"].partition(" ")[2]](seen)
        yield found


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=5)
@given(faults=st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=6))
def test_one_answer_never_costs_another(judge: FaultServer, name: str, faults: list[str]) -> None:
    prompts = [f"{number} {fault}" for number, fault in enumerate(faults)]
    call, models = CALLS[name], ["gpt-4o-mini", "gpt-4o"] if name.startswith("ask_all") else "gpt-4o-mini"
    client = client_for(judge, models)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = call(client, prompts)
        alone = [call(client, [prompt])[0] for prompt in prompts]
    client.close()
    assert len(together) == len(prompts)
    assert together == alone


# Given texts, which llama.cpp's server scores in a series of requests -------------------------------------------------


def native(seen: Seen) -> list[Any]:
    """Answer as llama.cpp's server, for tokens of one character, or with the fault that the prompt names."""
    if seen.path == "/tokenize":
        return reply({"tokens": [{"id": ord(letter), "piece": letter} for letter in seen.body["content"]]})
    name = "".join(map(chr, seen.body["prompt"])).partition(" ")[2]
    if name in ("busy", "limit", "bad", "inside", "half", "nothing", "deep"):
        return FAULTS[name](seen)
    ids = [int(number) for number in re.findall(r"<\[(\d+)\]>", seen.body["grammar"])]
    ids += [0] * (seen.body["n_predict"] - len(ids))
    common: dict[str, Any] = {"logprob": -0.5, "top_logprobs": []}
    rows = [{"id": token, "token": chr(token), "bytes": [token], **common} for token in ids]
    good = reply({"content": "", "tokens": ids, "completion_probabilities": rows, "stop_type": "limit"})
    return cut(good, 0.5) if name == "cut" else good


@pytest.fixture(scope="module")
def scorer() -> Iterator[FaultServer]:
    with fault_server.running() as found:
        found.answer = lambda seen, number: native(seen)
        yield found


def score_texts(client: LLMClient, prompts: list[str]) -> Facts:
    pairs = [(RawPrompt(prompt), "yes") for prompt in prompts]
    return list(map(facts, client.score_continuations_sync(pairs, show_progress=False)))


def score_texts_async(client: LLMClient, prompts: list[str]) -> Facts:
    pairs = [(RawPrompt(prompt), "yes") for prompt in prompts]
    return list(map(facts, asyncio.run(client.score_continuations_async(pairs, ends=True, show_progress=False))))


def sort_out_exactly(client: LLMClient, prompts: list[str]) -> Facts:
    questions = [RawPrompt(prompt) for prompt in prompts]
    return details(classify(questions, ["yes", "no"], client, method="exact", show_progress=False))


@pytest.mark.parametrize("call", [score_texts, score_texts_async, sort_out_exactly])
@settings(max_examples=5)
@given(
    faults=st.lists(
        st.sampled_from(["good", "busy", "limit", "bad", "inside", "half", "nothing", "deep", "cut"]),
        min_size=1,
        max_size=6,
    )
)
def test_one_scored_text_never_costs_another(
    scorer: FaultServer, call: Callable[[LLMClient, list[str]], Facts], faults: list[str]
) -> None:
    prompts = [f"{number} {fault}" for number, fault in enumerate(faults)]
    client = LLMClient("llamacpp/x", base_url=scorer.url.removesuffix("/v1"), max_attempts=2, timeout=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = call(client, prompts)
        alone = [call(client, [prompt])[0] for prompt in prompts]
    client.close()
    assert together == alone
    failed = [fact[2] is not None if call is sort_out_exactly else fact[1] for fact in together]
    assert failed == [fault != "good" for fault in faults]


# Calls that end early, and wrong keys ---------------------------------------------------------------------------------

MANY = {name: call for name, call in CALLS.items() if name not in ("stream", "extract_probs")}


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_key_stops_every_way_to_ask(name: str, status: int) -> None:
    with fault_server.running() as server:
        server.answer = lambda seen, number: reply({"error": {"message": "no such key"}}, status)
        client = LLMClient(
            "gpt-4o-mini",
            base_url=server.url,
            api_key=KEY,
            logprobs=True,
            top_logprobs=2,
            continues=True,
            max_concurrent_requests=3,
        )
        with pytest.warns(UserWarning, match=r"20 of 20 prompts failed, and 17 of them were not sent") as caught:
            results = MANY[name](client, [str(number) for number in range(20)])
        assert len([warning for warning in caught if "failed" in str(warning.message)]) == 1
    assert len(results) == 20
    assert (len(server.seen), client.usage.requests, client.usage.failed) == (3, 3, 20)


@pytest.mark.parametrize("name", [name for name in MANY if name != "score_llm, as booleans"])
def test_a_warning_as_an_error_leaves_every_answer(judge: FaultServer, name: str) -> None:
    client = client_for(judge)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="answers came without") as caught:
            MANY[name](client, ["1 no table", "2 no table"])
    assert [response and response.completion for response in client.interrupted] == ["yes"] * 2
    assert client.usage.answered == 2
    assert "client.interrupted has the 2 of 2 responses" in caught.value.__notes__[0]


AWAITED: dict[str, Callable[[LLMClient, list[str]], Any]] = {
    "process_prompts_async": lambda client, prompts: client.process_prompts_async(prompts, show_progress=False),
    "ask_all_async": lambda client, prompts: client.ask_all_async(prompts, show_progress=False),
    "as_completed": lambda client, prompts: collected(client, prompts),
}


@pytest.mark.parametrize("name", AWAITED)
def test_an_awaited_call_that_runs_out_of_time_counts_what_it_keeps(name: str) -> None:
    async def attempt(seconds: float) -> bool:
        transport = MemoryTransport()
        client = memory_client(transport, max_concurrent_requests=2)
        try:
            await asyncio.wait_for(AWAITED[name](client, [f"q{number}" for number in range(60)]), seconds)
        except TimeoutError as error:
            arrived = [response for response in client.interrupted if response is not None]
            assert len(arrived) == client.usage.answered == transport.answered
            notes = getattr(error.__cause__ or error.__context__, "__notes__", [])
            assert not arrived or f"the {len(arrived)} of 60 responses" in notes[0]
            return True
        return False

    ended_early = [asyncio.run(attempt(0.001 + 0.003 * moment)) for moment in range(10)]
    assert any(ended_early)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("in_notebook", [False, True], ids=["terminal", "notebook"])
def test_a_fault_is_one_line_in_a_cell(judge: FaultServer, fault: str, in_notebook: bool) -> None:
    shell = InteractiveShell()
    if in_notebook:
        cast(Any, shell).kernel = object()
    shell.run_line_magic("load_ext", "deluge_nb")
    shell.user_ns["client"] = client = client_for(judge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if fault in ("good", "odd table", "no table"):
            response = cast(Any, shell.run_cell_magic("deluge", "--model client --chart none", f"1 {fault}"))
            assert response.completion == "yes"
        else:
            with pytest.raises(UsageError) as caught:
                shell.run_cell_magic("deluge", "--model client --chart none", f"1 {fault}")
            assert "\n" not in str(caught.value)
            assert "internal error" not in str(caught.value)
    assert client.usage.answered + client.usage.failed == 1
