"""Limits that belong to a client or are shared by several: requests at a time, requests and tokens per minute."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import LLMClient, Pace, RequestError, SettingError
from deluge_nb.client.sending import pacing
from deluge_nb.transport import throttle
from deluge_nb.transport.throttle import OwnPace, Slots
from tests.openai_server import ChatServer, Reply, chat, error, says


class VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop whose time jumps to the next timer in place of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        wait = selector.select

        def select(timeout: float | None = None) -> Any:
            self.now += timeout or 0.0
            return wait(0)

        selector.select = select

    def time(self) -> float:
        return self.now


def in_virtual_time(make: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    loop = VirtualLoop()
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=lambda: loop) as runner:
        patch.setattr(throttle, "monotonic", loop.time)
        runner.run(make(loop))


# Requests at a time ---------------------------------------------------------------------------------------------------


def test_the_limit_of_concurrent_requests_holds_over_threads_streams_and_loops(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("Hi")), delay=0.02)
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=3)

    def sync() -> None:
        client.process_prompts_sync(["a"] * 9, show_progress=False)

    def on_a_loop() -> None:
        asyncio.run(client.process_prompts_async(["b"] * 9, show_progress=False))

    def streams() -> None:
        for stream in [client.stream("c") for _ in range(9)]:
            list(stream)

    threads = [threading.Thread(target=call) for call in (sync, sync, on_a_loop, streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.seen) == 36
    assert server.most_in_flight == 3


def test_models_of_one_client_share_its_places(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("Hi")), delay=0.02)
    client = LLMClient(["gpt-4o-mini", "gpt-4o"], max_concurrent_requests=2)
    threads = [threading.Thread(target=client.process_prompts_sync, args=(["a"] * 6,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.most_in_flight == 2


async def test_a_call_that_is_cancelled_gives_its_places_back(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("Hi")), delay=0.2 if seen.question == "slow" else 0.0)
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=2)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.process_prompts_async(["slow"] * 6, show_progress=False), 0.1)
    responses = await client.process_prompts_async(["fast"] * 6, show_progress=False)
    assert [response.completion for response in responses] == ["Hi"] * 6


def test_failed_requests_give_their_places_back(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("no", status=400)
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=1)
    with pytest.warns(UserWarning, match="5 of 5 prompts failed"):
        responses = client.process_prompts_sync(["a"] * 5, show_progress=False)
    assert all(response.is_error for response in responses)


def test_places_are_those_of_the_loop_that_runs() -> None:
    slots = Slots(1)

    async def leave_taken() -> None:
        await slots.__aenter__()

    async def take() -> None:
        async with asyncio.timeout(5), slots:
            pass

    asyncio.run(leave_taken())  # as a process that is forked while a request is under way
    asyncio.run(take())


# Pace -----------------------------------------------------------------------------------------------------------------


@given(
    rate=st.one_of(st.integers(1, 200), st.floats(1e4, 1e6)),
    count=st.integers(1, 60),
    workers=st.integers(1, 20),
    holds=st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), max_size=3),
)
def test_no_minute_has_more_requests_than_allowed_and_none_leaves_while_held(
    rate: float, count: int, workers: int, holds: list[tuple[float, float]]
) -> None:
    left: list[float] = []
    held: list[tuple[float, float]] = []

    async def run(loop: VirtualLoop) -> None:
        pace, prompts = Pace(requests_per_minute=rate), iter(range(count))

        async def work() -> None:
            for _ in prompts:
                await pace.turn()
                left.append(loop.time())

        async def hold(start: float, seconds: float) -> None:
            await asyncio.sleep(start)
            held.append((loop.time(), loop.time() + seconds))
            pace.hold(seconds)

        await asyncio.gather(*(work() for _ in range(workers)), *itertools.starmap(hold, holds))

    in_virtual_time(run)
    assert len(left) == count
    interval = 60 / rate
    for first, time in enumerate(left):
        # Those that wait for the same tick leave together, and at most that much later than their turns.
        inside = sum(time <= other < time + 60 for other in left[first:])
        assert inside <= rate + 1 + 0.02 / interval
    assert not [time for time in left for start, end in held if start < time < end - 1e-6]
    assert left[-1] - 1000.0 <= count * interval + sum(seconds for _, seconds in holds) + 31


@given(tokens=st.lists(st.integers(0, 500), min_size=1, max_size=20), rate=st.integers(60, 6000))
def test_tokens_that_are_owed_delay_the_next_request(tokens: list[int], rate: int) -> None:
    async def run(loop: VirtualLoop) -> None:
        pace = Pace(tokens_per_minute=rate)
        begun = loop.time()
        for used in tokens:
            await pace.turn()
            pace.charge(used)
        await pace.turn()
        # One second's worth may be used at once.
        assert loop.time() - begun >= sum(tokens) / rate * 60 - 1 - 1e-6

    in_virtual_time(run)


def test_several_clients_share_one_allowance(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[Pace] = []

    async def turn(self: Pace) -> None:
        turns.append(self)

    monkeypatch.setattr(Pace, "turn", turn)
    pace = Pace(requests_per_minute=600)
    for name in ("gpt-4o-mini", "gpt-4o"):
        LLMClient(name, pace=pace).process_prompts_sync(["a", "b"], show_progress=False)
    assert turns == [pace] * 4


class Scheduler:
    """Pacing of one's own, which writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def turn(self) -> None:
        await asyncio.sleep(0)
        self.calls.append("turn")

    def charge(self, tokens: float) -> None:
        self.calls.append(tokens)

    def hold(self, seconds: float) -> None:
        self.calls.append(f"hold {seconds}")


def test_an_object_of_ones_own_gives_each_attempt_its_turn_and_gets_the_tokens(server: ChatServer) -> None:
    server.answer = lambda seen, number: (
        error("busy", status=503, retry_after_ms="1") if number == 0 else Reply(chat(seen, says("Hi", "!")))
    )
    pace = Scheduler()
    LLMClient("gpt-4o-mini", pace=pace).process_prompts_sync(["a"], show_progress=False)
    assert pace.calls == ["turn", "turn", 11]


def test_a_stream_is_paced_and_counted_too(server: ChatServer) -> None:
    pace = Scheduler()
    list(LLMClient("gpt-4o-mini", pace=pace).stream("a"))
    assert pace.calls == ["turn", 11]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"retry_after_ms": "20"}),
        (200, {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "20ms"}),
    ],
)
def test_an_object_of_ones_own_hears_that_a_server_asks_to_wait(
    server: ChatServer, status: int, headers: dict[str, str]
) -> None:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    server.answer = lambda seen, number: (
        Reply(chat(seen, says("Hi")), status, names) if number == 0 else Reply(chat(seen, says("Hi")))
    )
    pace = Scheduler()
    LLMClient("gpt-4o-mini", pace=pace).process_prompts_sync(["a"], show_progress=False)
    assert pace.calls[:2] == ["turn", "hold 0.02"]


async def test_the_limits_of_one_client_do_not_pass_a_pause_on_to_its_other_servers() -> None:
    pace = OwnPace(600)
    pace.hold(3600)
    await asyncio.wait_for(pace.turn(), 5)


def test_a_pace_whose_turn_fails_fails_the_prompt_and_not_the_call(server: ChatServer) -> None:
    class Broken(Scheduler):
        async def turn(self) -> None:
            await super().turn()
            if self.calls.count("turn") == 2:
                raise ValueError("no ticket")

    client = LLMClient("gpt-4o-mini", pace=Broken(), max_concurrent_requests=1)
    responses = client.process_prompts_sync(["a", "b", "c"], show_progress=False)
    assert [response.is_error for response in responses] == [False, True, False]
    assert "no ticket" in (responses[1].error_message or "")


ERRORS = [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, StopAsyncIteration]
RESET = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1ms"}


class Failing(Scheduler):
    """Pacing of one's own with a method that fails."""

    def __init__(self, method: str, error: type[BaseException]) -> None:
        super().__init__()
        self._fails = {method: error}

    async def turn(self) -> None:
        self._fail("turn")

    def charge(self, tokens: float) -> None:
        self._fail("charge")

    def hold(self, seconds: float) -> None:
        self._fail("hold")

    def _fail(self, name: str) -> None:
        if name in self._fails:
            raise self._fails[name]("mine")


@pytest.mark.parametrize("error", ERRORS)
def test_a_turn_that_fails_is_reported_in_every_way_to_ask(server: ChatServer, error: type[BaseException]) -> None:
    client = LLMClient("gpt-4o-mini", pace=Failing("turn", error))
    with pytest.warns(UserWarning, match="2 of 2 prompts failed"):
        responses = client.process_prompts_sync(["a", "b"], show_progress=False)
    message = f"pace.turn() failed, so the request was not sent: {error.__name__}: mine"
    assert [response.error_message for response in responses] == [message] * 2
    with pytest.raises(RequestError, match=r"pace\.turn\(\) failed"):
        list(client.stream("a"))

    async def read() -> None:
        async for _ in client.stream("a"):
            pass

    with pytest.raises(RequestError, match=r"pace\.turn\(\) failed"):
        asyncio.run(read())
    assert not server.seen


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", ["charge", "hold"])
def test_a_pace_that_fails_to_count_or_to_hold_costs_no_answer(
    server: ChatServer, method: str, error: type[BaseException]
) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("Hi")), headers=RESET)
    client = LLMClient("gpt-4o-mini", pace=Failing(method, error))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        responses = client.process_prompts_sync(["a", "b"], show_progress=False)
        streamed = "".join(token.text for token in client.stream("a"))
    assert [(response.completion, response.is_error) for response in responses] == [("Hi", False)] * 2
    assert (streamed, len(server.seen)) == ("Hi", 3)
    notes = [response.note or "" for response in responses]
    told = notes if method == "charge" else [str(warning.message) for warning in caught]
    assert told
    assert all(f"pace.{method}(" in text and error.__name__ in text for text in told)


def ask_one(client: LLMClient) -> None:
    client.process_prompts_sync(["a"], show_progress=False)


def await_one(client: LLMClient) -> None:
    asyncio.run(client.process_prompts_async(["a"], show_progress=False))


@pytest.mark.parametrize("call", [ask_one, await_one])
def test_a_turn_that_never_comes_is_reported(
    server: ChatServer, call: Callable[[LLMClient], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Never(Scheduler):
        async def turn(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(pacing, "_PATIENCE", 0.05)
    client = LLMClient("gpt-4o-mini", pace=Never())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="interrupt the call if it never will"):
            call(client)
    assert not server.seen


@pytest.mark.parametrize("name", ["charge", "hold"])
def test_a_pace_whose_plain_methods_are_coroutines_is_refused(name: str) -> None:
    async def method(self: Any, value: float) -> None: ...

    pace = type("Awaited", (Scheduler,), {name: method})()
    with pytest.raises(SettingError, match=rf"pace\.{name}\(\) .* must be a plain function"):
        LLMClient("gpt-4o-mini", pace=pace)


def test_workers_on_several_threads_share_one_allowance() -> None:
    pace = Pace(requests_per_minute=6_000_000, tokens_per_minute=60)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=lambda: [pace.charge(1) for _ in range(5000)]) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(before)
    assert pace._schedule._allowance == 1 - 4 * 5000
    assert pickle.loads(pickle.dumps(pace))._schedule._allowance == pace._schedule._allowance


@pytest.mark.parametrize("pace", [600, "fast", Pace, object(), {"turn": print}])
def test_an_object_that_cannot_pace_is_refused(pace: Any) -> None:
    with pytest.raises(SettingError, match=r"pace must be a Pace, or an object with async turn\(\)"):
        LLMClient("gpt-4o-mini", pace=pace)


def test_two_limits_at_once_are_refused() -> None:
    with pytest.raises(SettingError, match="give the limit once"):
        LLMClient("gpt-4o-mini", pace=Pace(60), max_requests_per_minute=60)


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute"])
@pytest.mark.parametrize("rate", [0, -1, True, "10", float("inf"), float("nan")])
def test_a_pace_without_a_positive_limit_is_refused(name: str, rate: Any) -> None:
    limits: dict[str, Any] = {name: rate}
    with pytest.raises(SettingError, match=f"{name} must be a number above 0"):
        Pace(**limits)
