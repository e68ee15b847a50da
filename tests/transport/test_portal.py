"""The private loop: used from any thread, cell or script, and left in order when a call is cancelled."""

from __future__ import annotations

import asyncio
import concurrent.futures
import linecache
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from deluge_nb.transport import portal

T = TypeVar("T")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


class Hanging:
    """A coroutine that never ends by itself, and records its start and its cleanup."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.cleaned = threading.Event()

    async def run(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # closing a connection is a wait, too
            self.cleaned.set()


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def made(kind: Callable[[], T]) -> T:
    return kind()


async def whereabouts() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    return asyncio.get_running_loop(), threading.current_thread()


async def fail() -> None:
    raise LookupError("not here")


def raising(error: BaseException, when: threading.Event) -> Callable[[], None]:
    """A tick that raises, once something has happened."""

    def tick() -> None:
        if when.is_set():
            raise error

    return tick


def script(source: str) -> str:
    """Return the output of a fresh interpreter, which must succeed."""
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_a_coroutine_gives_its_result() -> None:
    assert portal.run(double(21)) == 42


def test_a_coroutine_s_error_reaches_the_waiting_thread() -> None:
    with pytest.raises(LookupError, match="not here"):
        portal.run(fail())


def test_all_calls_share_one_loop_on_one_daemon_thread() -> None:
    first, second = portal.run(whereabouts()), portal.run(whereabouts())
    assert first == second == (portal.loop(), first[1])
    assert first[1].daemon
    assert first[1] is not threading.current_thread()


def test_threads_that_come_at_once_share_the_loop() -> None:
    count = 8
    ready = threading.Barrier(count)

    def call(number: int) -> tuple[int, asyncio.AbstractEventLoop]:
        ready.wait()
        return portal.run(double(number)), portal.run(whereabouts())[0]

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        found = list(pool.map(call, range(count)))
    assert found == [(2 * number, portal.loop()) for number in range(count)]


def test_threads_that_come_first_at_once_start_one_loop() -> None:
    out = script(
        """
        import threading
        from deluge_nb.transport import portal
        ready, loops = threading.Barrier(16), []
        def call():
            ready.wait()
            loops.append(portal.loop())
        threads = [threading.Thread(target=call) for _ in range(16)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(len(loops), len(set(loops)), sum(t.name == "deluge-nb-portal" for t in threading.enumerate()))
        """
    )
    assert out == "16 1 1"


def test_importing_the_module_starts_no_thread() -> None:
    assert script("import threading, deluge_nb.transport.portal; print(threading.active_count())") == "1"


async def test_a_cell_may_wait_although_its_own_loop_runs() -> None:
    assert asyncio.get_running_loop() is not portal.loop()
    assert portal.run(double(4)) == 8


async def test_a_cell_may_await_a_submitted_coroutine() -> None:
    assert await asyncio.wrap_future(portal.submit(double(5))) == 10


async def test_submitted_work_runs_in_parallel_to_the_cell_s_own_loop() -> None:
    hanging = Hanging()
    future = portal.submit(hanging.run())
    assert hanging.started.wait(10)
    assert await asyncio.sleep(0, "still alive") == "still alive"
    future.cancel()
    assert hanging.cleaned.wait(10)


def test_the_portal_s_own_thread_must_await() -> None:
    async def inside() -> None:
        portal.run(double(1))

    with pytest.raises(RuntimeError, match="cannot wait for itself; await the coroutine"):
        portal.run(inside())


@pytest.mark.filterwarnings("error")
def test_a_coroutine_refused_on_the_portal_s_thread_is_closed() -> None:
    refused = double(1)

    async def inside() -> None:
        with pytest.raises(RuntimeError):
            portal.submit(refused)

    portal.run(inside())
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        refused.send(None)


def test_cancelling_the_future_cancels_the_coroutine_and_lets_it_clean_up() -> None:
    hanging = Hanging()
    future = portal.submit(hanging.run())
    assert hanging.started.wait(10)
    assert future.cancel()
    assert hanging.cleaned.wait(10)


def test_a_cancelled_call_leaves_the_loop_to_the_others() -> None:
    hanging = Hanging()
    other = portal.submit(hanging.run())
    assert hanging.started.wait(10)
    ended = portal.submit(Hanging().run())
    ended.cancel()
    assert portal.run(double(3)) == 6
    assert not hanging.cleaned.is_set()
    other.cancel()
    assert hanging.cleaned.wait(10)


def test_a_coroutine_that_is_cancelled_from_within_raises_so() -> None:
    async def inside() -> None:
        raise asyncio.CancelledError

    with pytest.raises(concurrent.futures.CancelledError):
        portal.run(inside())


def test_the_waiting_thread_is_the_one_that_ticks() -> None:
    ticking: list[threading.Thread] = []
    enough = asyncio.Event()

    def tick() -> None:
        ticking.append(threading.current_thread())
        if len(ticking) == 2:
            portal.loop().call_soon_threadsafe(enough.set)

    portal.run(enough.wait(), tick=tick)
    assert len(ticking) >= 3  # once more at the end
    assert set(ticking) == {threading.current_thread()}


def test_a_call_that_ends_at_once_ticks_once() -> None:
    ticks: list[None] = []
    portal.run(double(1), tick=lambda: ticks.append(None))
    assert ticks


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a broken bar"), SystemExit(1)], ids=repr)
def test_the_coroutine_has_cleaned_up_when_any_error_ends_the_wait(error: BaseException) -> None:
    hanging = Hanging()
    with pytest.raises(type(error)):
        portal.run(hanging.run(), tick=raising(error, hanging.started))
    assert hanging.cleaned.is_set()


def test_an_interrupt_of_the_process_ends_the_wait() -> None:
    hanging = Hanging()
    sent: list[None] = []

    def tick() -> None:
        if hanging.started.is_set() and not sent:
            sent.append(None)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        portal.run(hanging.run(), tick=tick)
    assert hanging.cleaned.is_set()
    assert portal.run(double(7)) == 14


def test_an_interrupt_does_not_wait_forever_for_a_coroutine_that_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal, "GRACE", 0.01)
    started, release = threading.Event(), asyncio.Event()

    async def stubborn() -> str:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "ended by itself"

    with pytest.raises(KeyboardInterrupt):
        portal.run(stubborn(), tick=raising(KeyboardInterrupt(), started))
    assert not release.is_set()
    portal.loop().call_soon_threadsafe(release.set)


def test_a_script_ends_although_work_is_left_on_the_loop() -> None:
    out = script(
        """
        import asyncio
        from deluge_nb.transport import portal
        async def forever():
            await asyncio.Event().wait()
        portal.submit(forever())
        print(portal.run(asyncio.sleep(0, "done")))
        """
    )
    assert out == "done"


@needs_fork
def test_a_forked_child_gets_a_loop_of_its_own() -> None:
    out = script(
        """
        import asyncio, os, warnings
        from deluge_nb.transport import portal
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads run
        here = portal.loop()
        portal.run(asyncio.sleep(0))
        child = os.fork()
        if child == 0:
            ran = portal.run(asyncio.sleep(0, True))
            os._exit(7 if ran and portal.loop() is not here else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, portal.run(asyncio.sleep(0, "and the parent keeps its own")), portal.loop() is here)
        """
    )
    assert out == "7 and the parent keeps its own True"


@needs_fork
def test_a_fork_while_another_thread_holds_the_lock_leaves_the_child_free() -> None:
    out = script(
        """
        import asyncio, os, warnings
        from deluge_nb.transport import portal
        warnings.simplefilter("ignore", DeprecationWarning)
        with portal._lock:
            child = os.fork()
            if child == 0:
                os._exit(7 if portal.run(asyncio.sleep(0, True)) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert out == "7"


def test_calls_of_one_turn_run_in_order_and_each_has_its_own_end() -> None:
    together, called = portal.Together(), list[int]()

    def half(number: int) -> int:
        called.append(number)
        if number % 2:
            raise ValueError(number)
        return number // 2

    async def ask(number: int) -> int:
        return await together.call(lambda: half(number))

    async def all_of_them() -> list[int | BaseException]:
        return await asyncio.gather(*map(ask, range(6)), return_exceptions=True)

    results = portal.run(all_of_them())
    assert called == list(range(6))
    assert [result if isinstance(result, int) else repr(result) for result in results] == [
        0, "ValueError(1)", 1, "ValueError(3)", 2, "ValueError(5)",
    ]  # fmt: skip


def test_a_cancelled_task_is_not_called_and_costs_no_other() -> None:
    together, called = portal.Together(), list[str]()

    async def ask(name: str) -> None:
        await together.call(lambda: called.append(name))

    async def cancel_one() -> None:
        tasks = [asyncio.create_task(ask(name)) for name in "abc"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait(tasks)

    portal.run(cancel_one())
    assert called == ["a", "c"]


def test_a_wake_up_that_the_handler_of_a_signal_cuts_short_is_repeated() -> None:
    portal.run(double(1))  # the loop sleeps from here on
    cut = []

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if event == "line" and "csock.send(" in linecache.getline(frame.f_code.co_filename, frame.f_lineno):
            cut.append(frame.f_lineno)
            raise TimeoutError("an alarm")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        assert portal.run(double(2)) == 4
    finally:
        sys.settrace(before)
    assert cut


def test_a_second_cancellation_does_not_end_the_cleanup_of_the_first() -> None:
    cleaning, cleaned, go = threading.Event(), threading.Event(), portal.run(made(asyncio.Event))

    async def clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await go.wait()
            cleaned.set()

    work = portal.Work(clean_up)
    work.start()
    portal.run(double(1))
    work.cancel()
    assert cleaning.wait(60)
    work.cancel()
    portal.loop().call_soon_threadsafe(go.set)
    assert work.wait(60)
    assert cleaned.is_set()


@pytest.mark.parametrize("steps", range(6))
def test_a_cancellation_that_comes_with_the_end_is_not_lost(steps: int) -> None:
    async def cancel_late() -> None:
        hanging = Hanging()
        work = portal.Work(hanging.run)
        work.start()
        waiting = asyncio.create_task(work.wait_async(60))
        await asyncio.sleep(0)
        assert hanging.started.wait(60)
        work.cancel()
        # Blocks this loop until the end is queued on it: the other work is done after it, by the same thread.
        assert hanging.cleaned.wait(60)
        for _ in range(3):
            portal.run(double(1))
        for _ in range(steps):
            await asyncio.sleep(0)
        if waiting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(cancel_late())
