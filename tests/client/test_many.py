"""Responses as they arrive, and every prompt to every model."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from deluge_nb import APIResponse, LLMClient, SettingError
from tests.openai_server import ChatServer, Reply, chat, error, says

DELAYS = {"slow": 0.3, "never": 30.0}


@pytest.fixture
def timed(server: ChatServer) -> ChatServer:
    server.answer = lambda seen, number: Reply(
        chat(seen, says(f"to {seen.question}")), delay=DELAYS.get(seen.question, 0.0)
    )
    return server


async def collected(client: LLMClient, prompts: list[str]) -> list[tuple[int, APIResponse]]:
    return [pair async for pair in client.as_completed(prompts)]


@pytest.mark.parametrize("way", ["for", "async for"])
def test_responses_come_as_they_arrive_with_the_index_of_their_prompt(timed: ChatServer, way: str) -> None:
    client, prompts = LLMClient("gpt-4o-mini"), ["slow", "a", "b"]
    pairs = list(client.as_completed(prompts)) if way == "for" else asyncio.run(collected(client, prompts))
    assert pairs[-1][0] == 0
    assert {index: response.completion for index, response in pairs} == {0: "to slow", 1: "to a", 2: "to b"}
    assert client.usage.answered == 3
    assert client.interrupted == []


@pytest.mark.parametrize("prompts", [[], ["a"]], ids=len)
def test_a_loop_over_few_prompts_ends(timed: ChatServer, prompts: list[str]) -> None:
    client = LLMClient("gpt-4o-mini")
    assert len(list(client.as_completed(prompts))) == len(prompts)
    assert len(asyncio.run(collected(client, prompts))) == len(prompts)


def test_leaving_the_loop_cancels_the_rest_and_keeps_what_came(timed: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=2)
    waiting = client.as_completed(["never", "a", "b", "never", "never"])
    for index, _ in waiting:
        if index == 2:
            break
    gc.collect()
    kept = [response.completion if response is not None else None for response in client.interrupted]
    assert kept == [None, "to a", "to b", None, None]
    assert client.usage.answered == 2
    assert client.process_prompts_sync(["c"], show_progress=False)[0].completion == "to c"


async def test_leaving_an_asynchronous_loop_keeps_what_came(timed: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini")
    pairs: Any = client.as_completed(["never", "a"]).__aiter__()
    async for _ in pairs:
        break
    await pairs.aclose()
    assert [response is not None for response in client.interrupted] == [False, True]
    assert client.usage.answered == 1


def test_an_asynchronous_loop_that_is_dropped_as_its_event_loop_ends_keeps_what_came(timed: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini")

    async def drop() -> None:
        await anext(aiter(client.as_completed(["never", "a"])))

    asyncio.run(drop())
    assert [response is not None for response in client.interrupted] == [False, True]
    client.interrupted.settle()  # a loop that is dropped does not wait for the end of its requests
    assert client.usage.answered == 1


def test_an_exception_in_the_loop_keeps_what_came(timed: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini")

    def fail() -> None:
        for _ in client.as_completed(["never", "a"]):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    gc.collect()
    assert [response is not None for response in client.interrupted] == [False, True]


def test_failed_prompts_come_as_responses_too(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("no", status=400)
    with pytest.warns(UserWarning, match="2 of 2 prompts failed"):
        pairs = list(LLMClient("gpt-4o-mini").as_completed(["a", "b"]))
    assert all(response.is_error for _, response in pairs)


def test_a_second_loop_over_the_same_call_is_refused(timed: ChatServer) -> None:
    pairs = LLMClient("gpt-4o-mini").as_completed(["a"])
    assert len(list(pairs)) == 1
    with pytest.raises(RuntimeError, match="for one loop"):
        list(pairs)


def test_invalid_prompts_are_refused_before_the_loop(server: ChatServer) -> None:
    with pytest.raises(SettingError, match="must be a list of prompts"):
        LLMClient("gpt-4o-mini").as_completed("one")
    assert not server.seen


# Every prompt to every model ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async"])
def test_every_model_answers_every_prompt(timed: ChatServer, way: str) -> None:
    client, prompts = LLMClient(["gpt-4o-mini", "gpt-4o"]), ["a", "slow", "b"]
    if way == "sync":
        answers = client.ask_all(prompts, show_progress=False)
    else:
        answers = asyncio.run(client.ask_all_async(prompts, show_progress=False))
    assert list(answers) == ["gpt-4o-mini", "gpt-4o"]
    for model, responses in answers.items():
        assert [response.prompt for response in responses] == prompts
        assert {response.model for response in responses} == {model}
    assert len(timed.seen) == 6


def test_weights_and_turns_of_other_calls_do_not_matter(timed: ChatServer) -> None:
    client = LLMClient(["gpt-4o-mini", "gpt-4o"], model_weights=[1, 0])
    client.process_prompts_sync(["x"], show_progress=False)
    assert [len(responses) for responses in client.ask_all(["a"], show_progress=False).values()] == [1, 1]


def test_a_second_model_of_the_same_name_has_a_list_of_its_own(timed: ChatServer) -> None:
    answers = LLMClient(["gpt-4o", "gpt-4o"]).ask_all(["a"], show_progress=False)
    assert list(answers) == ["gpt-4o", "gpt-4o (2)"]


def test_an_interrupted_call_goes_on_where_it_stopped(server: ChatServer) -> None:
    server.answer = lambda seen, number: (
        error("busy", status=400) if seen.body["model"] == "gpt-4o" else Reply(chat(seen, says("Hi")))
    )
    client = LLMClient(["gpt-4o-mini", "gpt-4o"])
    first = client.ask_all(["a", "b"], show_progress=False)
    interrupted = [first["gpt-4o-mini"][0], first["gpt-4o"][0], None, None]
    server.answer = lambda seen, number: Reply(chat(seen, says("Now")))
    used, sent = client.usage, len(server.seen)
    answers = client.ask_all(["a", "b"], show_progress=False, resume=interrupted)
    assert [response.completion for response in answers["gpt-4o-mini"]] == ["Hi", "Now"]
    assert [response.completion for response in answers["gpt-4o"]] == ["Now", "Now"]
    assert len(server.seen) - sent == 3
    assert client.usage.answered - used.answered == 3


@pytest.mark.parametrize(
    ("resume", "reason"),
    [
        ([None, "a"], r"resume\[1\] must be a response or None"),
        ([None], "one entry for each prompt and model, 2 in all, not 1"),
        ([None, APIResponse("gpt-4o", prompt="other")], r"resume\[1\] is the response of 'gpt-4o' to another prompt"),
        ([APIResponse("gpt-4o", prompt="a"), None], r"resume\[0\] is the response of 'gpt-4o' to another prompt"),
    ],
)
def test_responses_of_another_call_cannot_be_resumed(server: ChatServer, resume: Any, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        LLMClient(["gpt-4o-mini", "gpt-4o"]).ask_all(["a"], resume=resume)
    assert not server.seen
