"""The same faults and endings for every way to ask: what holds for process_prompts_sync holds for its siblings."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deluge_nb import APIResponse, DelugeError, LLMClient, classify, extract_probs, score_llm
from tests import fault_server
from tests.fault_server import FaultServer, cut, good, reply
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
