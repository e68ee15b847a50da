"""Rate limits: headers of servers, limits of the user, and shares of several models."""

from __future__ import annotations

import math
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import LLMClient, SettingError
from deluge_nb.client.options import weighted_round_robin
from deluge_nb.transport.rate_limits import seconds, seconds_until_reset
from tests.openai_server import ChatServer, Reply, chat, error, says

NOW = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)


def headers(**given: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode("latin-1", "replace")) for name, value in given.items()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6m0s", 360),
        ("120ms", 0.12),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723),
        ("1d", 86400),
        ("37", 37),
        ("0.25", 0.25),
        ("2026-11-20T10:00:30Z", 30),
        ("2026-11-20T11:00:30+01:00", 30),
        ("2026-11-20T10:00:30.5", 30.5),
        ("2015-10-21T07:28:00Z", 0),
        (str(NOW.timestamp() + 12), 12),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_time_is_read_in_every_form(text: str, expected: float | None) -> None:
    assert seconds(text, NOW) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("reply_headers", "expected"),
    [
        (headers(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="6m0s"), 360),
        (headers(x_ratelimit_remaining_requests="7", x_ratelimit_reset_requests="6m0s"), None),
        (headers(x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="17"), 17),
        (headers(x_ratelimit_remaining_tokens="-1", x_ratelimit_reset_tokens="17"), None),
        (headers(anthropic_ratelimit_input_tokens_remaining="0"), None),
        (
            headers(
                anthropic_ratelimit_input_tokens_remaining="0",
                anthropic_ratelimit_input_tokens_reset="2026-11-20T10:00:09Z",
                anthropic_ratelimit_requests_remaining="3",
                anthropic_ratelimit_requests_reset="2026-11-20T10:00:50Z",
            ),
            9,
        ),
        (headers(x_ratelimit_limit_req_minute="60", x_ratelimit_remaining_req_minute="0"), 60),
        (headers(x_ratelimit_remaining_tokens_minute="0", x_ratelimit_tokens_query_cost="5"), 60),
        (headers(x_ratelimit_remaining="0", x_ratelimit_reset="0.5", x_ratelimit_limit="10"), 0.5),
        (headers(x_tokenlimit_remaining="0", x_ratelimit_remaining="3", x_ratelimit_reset="0.5"), None),
        (
            headers(
                x_ratelimit_remaining_requests_day="5",
                x_ratelimit_remaining_tokens_minute="0",
                x_ratelimit_reset_tokens_minute="12.25",
            ),
            12.25,
        ),
        (headers(X_RateLimit_Remaining_Requests="0", X_RateLimit_Reset_Requests="2s"), 2),
        (headers(ratelimit_remaining="0", ratelimit_reset="4"), 4),
        (headers(x_ratelimit_remaining_requests="many", x_ratelimit_reset_requests="2s"), None),
        (headers(content_type="application/json"), None),
    ],
)
def test_the_reset_time_of_an_exhausted_limit_is_read_in_every_spelling(
    reply_headers: Any, expected: float | None
) -> None:
    assert seconds_until_reset(reply_headers, NOW) == (expected if expected is None else pytest.approx(expected))


NAME = st.sampled_from(["x-ratelimit-remaining", "x-ratelimit-reset-tokens", "x-tokenlimit-remaining", "limit-", "a"])


@given(st.lists(st.tuples(NAME.map(str.encode), st.binary(max_size=30)), max_size=6))
def test_no_header_is_a_reason_to_fail(reply_headers: list[tuple[bytes, bytes]]) -> None:
    wait = seconds_until_reset(reply_headers)
    assert wait is None or (wait >= 0 and math.isfinite(wait))


@given(st.text("0123456789.hmsµd-+:TZ eE", max_size=30))
def test_any_text_is_a_time_ahead_or_none(text: str) -> None:
    found = seconds(text)
    assert found is None or (found >= 0 and math.isfinite(found))


def arrivals(server: ChatServer, *replies: Reply) -> list[float]:
    """Return the times of requests; the first get the given replies, the others succeed."""
    times: list[float] = []

    def answer(seen: Any, number: int) -> Reply:
        times.append(time.monotonic())
        return replies[number] if number < len(replies) else Reply(chat(seen, says("x")))

    server.answer = answer
    return times


def ask(client: LLMClient, count: int) -> list[Any]:
    return client.process_prompts_sync([str(i) for i in range(count)], show_progress=False)


def test_nothing_leaves_while_a_server_has_nothing_left(server: ChatServer) -> None:
    spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"}
    times = arrivals(server)
    inner = server.answer

    def answer(seen: Any, number: int) -> Reply:
        reply = inner(seen, number)
        reply.headers.update(spent if number == 0 else {})
        return reply

    server.answer = answer
    assert all(one.completion == "x" for one in ask(LLMClient("gpt-4o-mini", max_concurrent_requests=1), 3))
    assert times[1] - times[0] >= 0.4


def test_a_pause_requested_by_one_reply_applies_to_all_requests(server: ChatServer) -> None:
    times = arrivals(server, error("slow down", status=429, retry_after="0.5"))
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=1)
    client.process_prompts_sync(["a"], show_progress=False)
    assert times[1] - times[0] >= 0.5
    again = LLMClient("gpt-4o-mini", max_concurrent_requests=2)
    server.seen.clear()
    times = arrivals(server, error("slow down", status=429, retry_after="0.5"))
    ask(again, 20)
    early = [when for when in times[1:] if when - times[0] < 0.45]
    assert len(early) <= 2  # what was under way already


def test_tokens_are_charged_when_they_have_been_used(server: ChatServer) -> None:
    times = arrivals(server)
    # Each answer uses ten tokens; twenty a second may be used, from before the first has come.
    began = time.monotonic()
    client = LLMClient("gpt-4o-mini", max_tokens_per_minute=1200, max_concurrent_requests=1)
    ask(client, 6)
    assert client.usage.total_tokens == 60
    assert times[-1] - began >= (5 * 10 - 20) / 20 - 0.05


def test_short_answers_do_not_wait_for_the_longest_that_could_have_come(server: ChatServer) -> None:
    times = arrivals(server)
    client = LLMClient("gpt-4o-mini", max_tokens_per_minute=60_000, max_new_tokens=16_000)
    ask(client, 50)
    assert times[-1] - times[0] < 16_000 / 1000


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "10", True])
def test_a_rate_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="max_tokens_per_minute must be a number above 0"):
        LLMClient("gpt-4o-mini", max_tokens_per_minute=value)


def test_prompts_are_spread_by_weight(server: ChatServer) -> None:
    client = LLMClient(["gpt-4o", "gpt-4o-mini", "gpt-4.1"], model_weights=[5, 1, 0])
    found = [one.model for one in ask(client, 12)]
    assert Counter(found) == {"gpt-4o": 10, "gpt-4o-mini": 2}
    assert [place for place, model in enumerate(found) if model == "gpt-4o-mini"] == [3, 9]


def test_without_weights_models_take_turns(server: ChatServer) -> None:
    found = [one.model for one in ask(LLMClient(["gpt-4o", "gpt-4o-mini"]), 5)]
    assert found == ["gpt-4o", "gpt-4o-mini", "gpt-4o", "gpt-4o-mini", "gpt-4o"]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any))
def test_each_model_s_share_is_its_weight_at_every_point(weights: list[int]) -> None:
    following, total = weighted_round_robin(weights, len(weights)), sum(weights)
    given_out: Counter[int] = Counter()
    for count in range(1, 2 * total + 1):
        given_out[following()] += 1
        if count % total == 0:
            assert [given_out[i] * total for i in range(len(weights))] == [count * weight for weight in weights]


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [0, 0], [1, -1], [1, float("nan")], ["a", 1], "ab", 2])
def test_weights_that_are_none_are_refused(weights: Any) -> None:
    with pytest.raises(SettingError, match="one number for each of the 2 models"):
        LLMClient(["gpt-4o", "gpt-4o-mini"], model_weights=weights)
