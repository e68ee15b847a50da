"""A limit per minute over several processes, in virtual time: it holds, and it is used."""

from __future__ import annotations

import asyncio
import pickle
import random
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deluge_nb import LLMClient, Pace, RequestError
from deluge_nb.jobs.engines.clusters import limits
from deluge_nb.jobs.engines.clusters.limits import Allowances, SharedPace, Wish, connect, share_limit
from deluge_nb.transport import throttle
from tests.client.test_limits import VirtualLoop


def in_virtual_time(make: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    loop = VirtualLoop()

    async def run() -> None:
        await make(loop)

    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=lambda: loop) as runner:
        for module in (throttle, limits):
            patch.setattr(module, "monotonic", loop.time)
        runner.run(run())


class Cluster:
    """Processes with paces of one limit; their wishes take some time on the way to the scheduler and back."""

    def __init__(self, client: LLMClient, processes: int, latency: float = 0.0, seed: int = 0) -> None:
        self.allowances, self.wishes = Allowances(), 0
        self.processes, self.latency, self.draws = processes, latency, random.Random(seed)
        shared = share_limit(client)
        connect(shared, self.ask)
        pace = shared._routes[0].pace
        assert isinstance(pace, SharedPace)
        self.paces: list[SharedPace] = [pickle.loads(pickle.dumps(pace)) for _ in range(processes)]

    async def ask(self, wish: Wish) -> Any:
        self.wishes += 1
        await asyncio.sleep(self.draws.uniform(0, self.latency))
        reply = self.allowances.reply(wish, self.processes)
        await asyncio.sleep(self.draws.uniform(0, self.latency))
        return reply


def most_in(times: list[float], seconds: float) -> int:
    """Return the most requests in any window of time."""
    return max(bisect_left(times, begin + seconds) - at for at, begin in enumerate(times))


@settings(max_examples=40, deadline=None)
@given(
    rate=st.integers(1, 300),
    processes=st.integers(1, 8),
    latency=st.floats(0, 0.05),
    waiting=st.integers(8, 40),
    seed=st.integers(0, 1000),
)
def test_all_processes_together_keep_the_limit_and_use_it(
    rate: int, processes: int, latency: float, waiting: int, seed: int
) -> None:
    left: list[float] = []
    count = 3 * rate + 4 * processes

    async def run(loop: VirtualLoop) -> None:
        cluster = Cluster(LLMClient("local", max_requests_per_minute=60 * rate), processes, latency, seed)
        rows = iter(range(count))

        async def work(pace: SharedPace) -> None:
            for _ in rows:
                await pace.turn()
                left.append(loop.time())

        await asyncio.gather(*(work(pace) for pace in cluster.paces for _ in range(waiting)))
        # Many turns for each wish, and a few wishes a second where turns are rare.
        assert cluster.wishes <= 8 * processes * (count / rate + 1)

    in_virtual_time(run)
    left.sort()
    assert len(left) == count
    # Blocks of turns begin up to the latency late, and those that leave in one tick of the clock leave together.
    assert most_in(left, 1.0) <= rate + 1 + rate * (2 * latency + 0.02)
    assert (count - 1) / rate <= (left[-1] - left[0]) + 0.02 + 2 * latency
    assert (left[-1] - left[0]) * 0.9 <= (count + processes * max(1, rate * 0.2 / processes)) / rate + 4 * latency


@settings(max_examples=40, deadline=None)
@given(
    tokens=st.integers(1, 400), rate=st.integers(600, 60_000), processes=st.integers(1, 5), seed=st.integers(0, 1000)
)
def test_the_tokens_of_all_processes_are_owed_together(tokens: int, rate: int, processes: int, seed: int) -> None:
    spent: list[tuple[float, int]] = []

    async def run(loop: VirtualLoop) -> None:
        cluster = Cluster(LLMClient("local", max_tokens_per_minute=rate), processes, 0.01, seed)
        rows = iter(range(120))

        async def work(pace: SharedPace) -> None:
            for _ in rows:
                await pace.turn()
                await asyncio.sleep(0.1)
                pace.charge(tokens)
                spent.append((loop.time(), tokens))

        begun = loop.time()
        await asyncio.gather(*(work(pace) for pace in cluster.paces for _ in range(4)))
        await asyncio.sleep(1)
        # Whatever comes now waits until everything is paid; one second's worth may be used at once.
        await cluster.paces[0].turn()
        assert loop.time() - begun >= 120 * tokens / rate * 60 - 1 - 1e-6

    in_virtual_time(run)


@settings(max_examples=40, deadline=None)
@given(rate=st.integers(1, 100), processes=st.integers(2, 5), seconds=st.floats(2, 100))
def test_when_a_server_asks_one_process_to_wait_all_wait(rate: int, processes: int, seconds: float) -> None:
    left: list[float] = []

    async def run(loop: VirtualLoop) -> None:
        cluster = Cluster(LLMClient("gpt-4o-mini", max_requests_per_minute=60 * rate), processes, 0.01)

        async def work(pace: SharedPace) -> None:
            while loop.time() < 1001 + seconds + 2:
                await pace.turn()
                left.append(loop.time())

        async def hold() -> None:
            await asyncio.sleep(1)
            cluster.paces[0].hold(seconds)

        await asyncio.gather(hold(), *(work(pace) for pace in cluster.paces for _ in range(3)))

    in_virtual_time(run)
    # Turns that were handed out before are at most a second old.
    assert not [time for time in left if 1001 + 1.1 < time < 1001 + seconds]
    assert [time for time in left if time > 1001 + seconds]


def test_a_pause_concerns_only_the_server_that_asks_where_models_have_several() -> None:
    several = share_limit(LLMClient(["gpt-4o-mini", "claude-sonnet-4-5"], max_requests_per_minute=60))
    shared = share_limit(LLMClient(["gpt-4o-mini", "claude-sonnet-4-5"], pace=Pace(60)))
    assert [repr(client._routes[0].pace).endswith("False)") for client in (several, shared)] == [True, False]


def test_a_process_that_ends_takes_few_turns_with_it() -> None:
    async def run(loop: VirtualLoop) -> None:
        cluster = Cluster(LLMClient("local", max_requests_per_minute=10), 2)
        dying, living = cluster.paces
        tasks = [asyncio.create_task(dying.turn()) for _ in range(50)]
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        begun = loop.time()
        await living.turn()
        # One turn was the other's, and the next is six seconds later.
        assert loop.time() - begun <= 12

    in_virtual_time(run)


def test_clients_of_one_pace_share_its_limit_and_others_have_their_own() -> None:
    pace = Pace(60, 1000)
    writer, judge, other = LLMClient("gpt-4o", pace=pace), LLMClient("gpt-4o-mini", pace=pace), LLMClient("local")
    names = [repr(share_limit(client)._routes[0].pace) for client in (writer, judge, writer)]
    assert len(set(names)) == 1
    assert "60, 1000" in names[0]
    assert share_limit(other) is other
    own = [repr(share_limit(LLMClient("gpt-4o", max_requests_per_minute=60))._routes[0].pace) for _ in range(2)]
    assert len(set(own)) == 2


async def test_a_scheduler_that_is_gone_is_reported_as_the_reason_of_the_row() -> None:
    shared = share_limit(LLMClient("local", max_requests_per_minute=60))

    async def ask(wish: Wish) -> Any:
        raise ConnectionResetError("closed")

    connect(shared, ask)
    with pytest.raises(RequestError, match="gave it no turn within the limit: ConnectionResetError: closed"):
        await shared._routes[0].pace.turn()  # type: ignore[union-attr]
