"""Usage of a client, and its limits on the rate of requests."""

from __future__ import annotations

import asyncio
import warnings
from time import monotonic
from typing import Any

import pytest

from deluge_nb import APIResponse, LLMClient, SettingError
from deluge_nb.response.usage import Usage, total_usage
from deluge_nb.transport import throttle
from deluge_nb.transport.throttle import Pace
from tests.openai_server import ChatServer, Reply, chat, error, says


def test_a_client_sums_what_all_of_its_calls_used(server: ChatServer) -> None:
    server.answer = lambda seen, number: (
        error("no", status=400) if seen.question == "bad" else Reply(chat(seen, says("Hi", "!")))
    )
    client = LLMClient("gpt-4o-mini")
    assert client.usage == Usage()
    client.process_prompts_sync(["a", "bad"], show_progress=False)
    client.process_prompts_sync(["b"], show_progress=False)
    assert client.usage == Usage(answered=2, failed=1, prompt_tokens=18, completion_tokens=4, requests=3)
    assert client.usage.total_tokens == 22


async def test_calls_that_are_awaited_count_as_well(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini")
    await client.process_prompts_async(["a"], show_progress=False)
    assert client.usage.answered == 1


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}, "cost": 0.5},
            Usage(answered=1, prompt_tokens=9, completion_tokens=5, cached_tokens=4, cost=0.5),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 3, "reasoning_tokens": 2},
            Usage(answered=1, prompt_tokens=9, completion_tokens=5, cached_tokens=3, reasoning_tokens=2),
        ),
        ({"input_tokens": 1, "output_tokens": 2}, Usage(answered=1, prompt_tokens=1, completion_tokens=2)),
        ({"prompt_tokens": None, "prompt_tokens_details": None, "cost": "much"}, Usage(answered=1)),
        (None, Usage(answered=1)),
    ],
)
def test_counts_are_read_in_every_provider_s_spelling(counts: Any, expected: Usage) -> None:
    assert total_usage([APIResponse("m", usage=counts), None]) == expected


async def test_requests_leave_evenly_spread_over_the_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = list[float]()
    start = monotonic()
    monkeypatch.setattr(throttle, "monotonic", lambda: start)

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    pace = Pace(120)
    for _ in range(4):
        await pace.turn()
    assert waited == pytest.approx([0.5, 1.0, 1.5])


def test_every_try_of_every_model_waits_for_its_turn(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[Pace] = []

    async def turn(self: Pace) -> None:
        turns.append(self)

    monkeypatch.setattr(Pace, "turn", turn)
    server.answer = lambda seen, number: (
        error("busy", status=503, retry_after_ms="1") if number == 0 else Reply(chat(seen, says("Hi")))
    )
    client = LLMClient(["gpt-4o-mini", "gpt-4o"], max_requests_per_minute=600)
    client.process_prompts_sync(["a", "b"], show_progress=False)
    assert len(turns) == len(server.seen) == 3
    assert len(set(turns)) == 1


@pytest.mark.parametrize("rate", [0, -1, True, "10", float("inf"), float("nan")])
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    with pytest.raises(SettingError, match="max_requests_per_minute must be a number above 0"):
        LLMClient("gpt-4o-mini", max_requests_per_minute=rate)


def test_requests_count_every_try_and_nothing_from_a_cache(server: ChatServer, tmp_path: Any) -> None:
    server.answer = lambda seen, number: (
        error("busy", status=503, retry_after_ms="1") if number % 2 else Reply(chat(seen, says("Hi")))
    )
    client = LLMClient("gpt-4o-mini", max_attempts=2, cache=tmp_path / "c", max_concurrent_requests=1)
    for _ in range(2):
        client.process_prompts_sync(["a", "b"], show_progress=False)
    assert client.usage.requests == len(server.seen)
    with client.stream("c") as stream:
        list(stream)
    assert client.usage.requests == len(server.seen)


@pytest.mark.parametrize("cost", [None, "much", True, float("nan"), float("inf"), -1, 10**400, [], {}])
def test_a_cost_that_is_none_is_unknown(cost: Any) -> None:
    assert total_usage([APIResponse("m", usage={"cost": cost})]).cost is None
    named = APIResponse("m", usage={"cost": "0.25"})
    assert total_usage([APIResponse("m", usage={"cost": cost}), named, named]).cost == 0.5
    assert (Usage(cost=None) + Usage(cost=1.0)).cost == 1.0


def test_most_prompts_failing_is_said_once_with_the_most_frequent_reason(server: ChatServer) -> None:
    def answer(seen: Any, number: int) -> Reply:
        if seen.question == "good":
            return Reply(chat(seen, says("Hi")))
        reason = "the tool is broken" if seen.question == "odd" else f"request {number} has too many tokens"
        return error(reason, status=400)

    server.answer = answer
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=1)
    with pytest.warns(UserWarning, match="prompts failed") as caught:
        client.process_prompts_sync(["good", "odd", "a", "b", "c"], show_progress=False)
    (warning,) = caught
    assert "4 of 5 prompts failed, 3 of them for this reason" in str(warning.message)
    assert "has too many tokens" in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.process_prompts_sync(["good", "good", "a"], show_progress=False)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *((status, "a wrong key") for status in (401, 403, 404)),
        (400, "API key not valid. Please pass a valid API key."),
        (400, "API key expired. Please renew the API key."),
    ],
)
def test_a_server_that_refuses_every_request_is_asked_no_more(server: ChatServer, status: int, reason: str) -> None:
    server.answer = lambda seen, number: error(reason, status=status)
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=5)
    with pytest.warns(UserWarning, match="the server refused every request") as caught:
        responses = client.process_prompts_sync(["x"] * 400, show_progress=False)
    assert len(caught) == 1
    assert len(server.seen) <= 5
    assert all(reason.rstrip(".") in (response.error_message or "") for response in responses)


def test_a_warning_of_refusals_counts_no_prompts_that_were_all_sent(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("a wrong key", status=401)
    with pytest.warns(UserWarning, match="^2 of 2 prompts failed, because the server refused every request: "):
        LLMClient("gpt-4o-mini", max_concurrent_requests=2).process_prompts_sync(["x", "y"], show_progress=False)


def test_a_refusal_that_comes_first_among_successes_stops_nothing(server: ChatServer) -> None:
    def answer(seen: Any, number: int) -> Reply:
        if seen.question == "bad":
            return error("not this one", status=403)
        return Reply(chat(seen, says("Hi")), delay=0.05)

    server.answer = answer
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=5)
    responses = client.process_prompts_sync(["bad", *["x"] * 40], show_progress=False)
    assert [response.is_error for response in responses] == [True, *[False] * 40]
