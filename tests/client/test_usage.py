"""Usage of a client, and its limits on the rate of requests."""

from __future__ import annotations

import asyncio
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
