"""Calls that are left unnoticed: a stream that is dropped, a task of an event loop that was interrupted, a fork."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from deluge_nb import APIResponse, LLMClient
from deluge_nb.transport import portal
from tests.memory_transport import MemoryTransport, client_of
from tests.openai_server import ChatServer, Reply, Seen, chunks, says

PROMPTS = [f"q{number}" for number in range(12)]


def arrived(client: LLMClient) -> list[APIResponse]:
    return [response for response in client.interrupted if response is not None]


class Left(Exception):
    """Ends a loop from its body."""


def leave(client: LLMClient) -> None:
    """Leave a loop over a stream that only the loop holds."""
    for count, _ in enumerate(client.stream("?"), start=1):
        if count == 2:
            raise Left


async def leave_awaited(client: LLMClient) -> None:
    count = 0
    async for _ in client.stream("?"):
        count += 1
        if count == 2:
            raise Left


@pytest.fixture
def endless(server: ChatServer) -> ChatServer:
    """A server whose answer does not go on behind its second token."""

    def answer(seen: Seen, number: int) -> Reply:
        return Reply(pieces=chunks(seen, says("Hel", "lo", "!")), held=lambda index: index >= 3)

    server.answer = answer
    return server


def test_a_stream_that_only_its_loop_held_ends_with_the_loop(endless: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini")
    with pytest.raises(Left):
        leave(client)
    (response,) = client.interrupted
    assert response is not None
    assert (response.completion, response.finish_reason, client.usage.answered) == ("Hello", "interrupted", 1)
    with pytest.raises(Left):
        asyncio.run(leave_awaited(client))
    (response,) = client.interrupted  # as soon as it has ended, which an event loop does not wait for
    while response is None:
        (response,) = client.interrupted
    assert response.completion == "Hello"


class Stubborn(httpx.AsyncBaseTransport):
    """Answers a number of requests; a request beyond them calls a function when it is cancelled."""

    def __init__(self, limit: int, on_cancel: Callable[[], object]) -> None:
        self.inner = MemoryTransport(lambda number: number == limit and os.kill(os.getpid(), signal.SIGINT))
        self._limit, self._on_cancel = limit, on_cancel

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.inner.answered >= self._limit:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self._on_cancel()
                raise
        return await self.inner.handle_async_request(request)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
@pytest.mark.parametrize("call", ["process_prompts_sync", "as_completed", "ask_all"])
def test_a_second_interrupt_while_the_first_one_ends_the_call_loses_nothing(call: str) -> None:
    transport = Stubborn(5, lambda: os.kill(os.getpid(), signal.SIGINT))
    client = client_of(transport, max_concurrent_requests=2)
    with pytest.raises(KeyboardInterrupt):
        list(getattr(client, call)(PROMPTS))
    client.interrupted.settle()
    assert len(arrived(client)) == client.usage.answered == 5


def test_a_task_of_an_event_loop_that_was_interrupted_is_resumed_without_asking_twice() -> None:
    transport = MemoryTransport(limit=4)
    client = client_of(transport)
    loop = asyncio.new_event_loop()
    call = loop.create_task(client.process_prompts_async(PROMPTS, show_progress=False))

    def interrupt() -> None:
        if len(arrived(client)) == 4:
            raise KeyboardInterrupt
        loop.call_soon(interrupt)

    loop.call_soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    transport.limit = None
    responses = client.process_prompts_sync(PROMPTS, show_progress=False, resume=client.interrupted)
    assert [response.completion for response in responses] == PROMPTS
    assert transport.answered == client.usage.answered == len(PROMPTS)
    with pytest.raises(RuntimeError, match="ended by a call with resume="):
        loop.run_until_complete(call)
    loop.close()


def test_the_garbage_collector_may_drop_a_loop_on_the_thread_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    # The network would stand still for so long.
    monkeypatch.setattr(portal, "GRACE", 600.0)
    client = client_of(MemoryTransport(limit=3))
    holder: dict[str, Any] = {"pairs": iter(client.as_completed(PROMPTS)), "stream": client.stream("?")}
    holder["itself"] = holder
    next(holder["pairs"])

    async def collect() -> int:
        return gc.collect()

    gc.disable()
    try:
        del holder
        assert portal.submit(collect()).result(60) > 0
    finally:
        gc.enable()
    assert client_of(MemoryTransport()).process_prompts_sync(["a"], show_progress=False)[0].completion == "a"


async def test_loops_that_end_in_another_order_than_they_began_leave_nothing_to_resume() -> None:
    client = client_of(MemoryTransport())
    before = client.interrupted
    first, second = client.as_completed(PROMPTS).__aiter__(), client.as_completed(PROMPTS).__aiter__()
    await anext(first)
    await anext(second)
    assert len([pair async for pair in first]) == len([pair async for pair in second]) == len(PROMPTS) - 1
    assert client.interrupted is before


async def test_every_call_that_ends_together_with_others_is_counted() -> None:
    transport = MemoryTransport(limit=6)
    client = client_of(transport, max_concurrent_requests=2)
    enough = asyncio.Event()

    async def ask(prompts: list[str]) -> None:
        async for _ in client.as_completed(prompts):
            if transport.answered == 6:
                enough.set()

    calls = [asyncio.create_task(ask(PROMPTS[:6])), asyncio.create_task(ask(PROMPTS[6:]))]
    await enough.wait()
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert client.usage.answered == 6


@pytest.mark.parametrize("in_thread", [True, False])
def test_a_call_shows_its_responses_as_they_arrive_in_the_main_thread_alone(in_thread: bool) -> None:
    shown = list[int]()
    client = client_of(MemoryTransport(lambda number: shown.append(len(client.interrupted))))

    def ask() -> None:
        client.process_prompts_sync(PROMPTS[:2], show_progress=False)

    if in_thread:  # where no interrupt arrives: the calls of several threads would hide each other's
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    else:
        ask()
    assert shown == ([0, 0] if in_thread else [2, 2])
    assert client.interrupted == []


ENDS = """
    import atexit, gc, os, sys, warnings
    from deluge_nb.transport import portal
    from tests.memory_transport import MemoryTransport, client_of

    warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads run
    portal.GRACE = 600.0  # who waited for the loop in vain would wait for so long
    prompts = ["a", "b", "c", "d"]
    client = client_of(MemoryTransport(limit=2))
    pairs = iter(client.as_completed(prompts))
    next(pairs)
    stream = client.stream("never")
    stream.wait(0.01)
    child = os.fork()
    if child == 0:
        try:
            list(pairs)
        except RuntimeError as error:
            assert "A forked process cannot go on" in str(error), error
            del pairs, stream
            gc.collect()
            os._exit(7 if len(list(client_of(MemoryTransport()).as_completed(prompts))) == 4 else 1)
        os._exit(2)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    def ask():
        client = client_of(MemoryTransport())
        print(len(list(client.as_completed(prompts))), [token.text for token in client.stream("e")])

    atexit.register(ask)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_and_the_end_of_the_interpreter_wait_for_no_loop_in_vain() -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ENDS)], capture_output=True, text=True, check=False, timeout=150
    )
    assert (run.stdout.split("\n"), run.stderr) == (["7", "4 ['e']", ""], "")
