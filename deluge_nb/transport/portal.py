"""One private event loop on a daemon thread, for the whole process.

A notebook cell already runs inside an event loop and a script does not. Both, and any thread, submit coroutines to this
loop and wait for them. All network objects live here, so that all calls of a client share its connections.

An interrupt may arrive between any two steps of the waiting thread. Locks that are written in Python (those of
`threading.Event`, `Condition` and futures) may stay held then, and the loop would wait for them forever. A thread that
waits for the loop therefore uses a :class:`Gate`.
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import contextlib
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# Seconds between two looks of a waiting thread: a wait without a limit cannot be interrupted on Windows.
_TICK = 0.1
# Seconds that an interrupted call has to close its connections before the interrupt is raised anyway.
GRACE = 5.0
# Seconds that the loop may take to start.
_START = 10.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread_id: int | None = None


class Gate:
    """Wake-up of a waiting thread: one lock of the interpreter, which no interrupt can leave held."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def open(self) -> None:
        """Wake a waiting thread, or the next thread that waits."""
        with contextlib.suppress(RuntimeError):  # it is open
            self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Wait until the gate is open, and close it; False if the time was up before."""
        return self._lock.acquire(timeout=max(timeout, 0.0))


def loop() -> asyncio.AbstractEventLoop:
    """Return the private loop, started on first use.

    Raises
    ------
    RuntimeError
        When the loop is needed for the first time while the interpreter is ending.
    """
    global _loop
    if _loop is not None:
        return _loop
    with _lock:
        if _loop is None:
            started = asyncio.new_event_loop()
            running = Gate()
            threading.Thread(target=_serve, args=(started, running), name="deluge-nb-portal", daemon=True).start()
            if not running.wait(_START):
                raise RuntimeError("the thread of the private event loop did not start")
            _loop = started
        return _loop


def _serve(started: asyncio.AbstractEventLoop, running: Gate) -> None:
    global _thread_id
    _thread_id = _thread.get_ident()
    started.call_soon(running.open)
    while not started.is_closed():
        # A SystemExit in a callback ends `run_forever`; the other calls still need the loop.
        with contextlib.suppress(BaseException):
            started.run_forever()


def _forget() -> None:
    """Reset the module in a forked child, which has no copy of the thread and may have inherited a held lock."""
    global _loop, _thread_id, _lock
    _lock, _loop, _thread_id = threading.Lock(), None, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Together:
    """Calls of many tasks, one after the other at the end of a turn of the loop.

    What they use is then still in the processor's cache: reading a long reply takes two thirds of the time that it
    takes between the steps of a request. Used on one loop at a time.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns, or raise what it raises; it is not called for a task that is cancelled."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # in a forked process
            self._loop = loop
            self._waiting = []
        if not self._waiting:
            loop.call_soon(self._run)
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((future, function))
        return await future

    def _run(self) -> None:
        waiting = self._waiting
        self._waiting = []
        for future, function in waiting:
            if future.done():
                continue
            try:
                result = function()
            except BaseException as error:  # it is the task's
                future.set_exception(error)
            else:
                future.set_result(result)


class Work(Generic[T]):
    """Coroutine that runs on the private loop.

    It exists before it is started: an interrupt while it starts leaves the caller a handle with which to cancel it.

    Parameters
    ----------
    coroutine
        The work.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False
        self._gate = Gate()
        self._ended = False
        self._awaiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def ended(self) -> bool:
        """True once the coroutine has returned, raised, or was cancelled."""
        return self._ended

    def start(self) -> None:
        """Start the coroutine.

        Raises
        ------
        RuntimeError
            When called on the loop's own thread, which would wait for itself.
        """
        _loop_for(self._coroutine).call_soon_threadsafe(self._start)

    def cancel(self) -> None:
        """Cancel the coroutine, also one that has not started; it ends a moment later."""
        if not self._ended and _loop is not None:
            _loop.call_soon_threadsafe(self._cancel)

    def wait(self, timeout: float) -> bool:
        """Wait for the end of the coroutine; False if the time was up before."""
        if not self._ended and self._gate.wait(timeout):
            self._gate.open()  # for the next thread that waits
        return self._ended

    async def wait_async(self, seconds: float) -> bool:
        """Await the end of the coroutine on any event loop; False if the time was up before."""
        ended = asyncio.Event()
        self._awaiting.append((asyncio.get_running_loop(), ended))
        if self._ended:
            return True
        # Not `wait_for`, which in Python 3.11 loses a cancellation that comes together with the end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()
        return self._ended

    def result(self) -> T:
        """Return the coroutine's result, or raise its exception; call it after the end.

        Raises
        ------
        concurrent.futures.CancelledError
            When the coroutine was cancelled.
        """
        if self._task is None or self._task.cancelled():
            raise concurrent.futures.CancelledError
        return self._task.result()

    # On the loop ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._cancelled:
            return
        self._task = asyncio.get_running_loop().create_task(self._coroutine)
        self._task.add_done_callback(lambda _: self._end())

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()
        elif not self._ended:
            self._coroutine.close()
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._gate.open()
        for waiting, event in self._awaiting:
            with contextlib.suppress(RuntimeError):  # a loop that was closed
                waiting.call_soon_threadsafe(event.set)


def _loop_for(coroutine: Coroutine[Any, Any, Any]) -> asyncio.AbstractEventLoop:
    """Return the loop for a coroutine, which is closed where it cannot be waited for."""
    try:
        running = loop()
        if _thread.get_ident() == _thread_id:
            raise RuntimeError("the portal's own thread cannot wait for itself; await the coroutine")
    except RuntimeError:
        coroutine.close()
        raise
    return running


def submit(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Start a coroutine on the private loop and return its future; cancelling the future cancels the coroutine.

    Raises
    ------
    RuntimeError
        When called on the loop's own thread, which would wait for itself.
    """
    return asyncio.run_coroutine_threadsafe(coroutine, _loop_for(coroutine))


def run(coroutine: Coroutine[Any, Any, T], *, tick: Callable[[], object] | None = None) -> T:
    """Run a coroutine on the private loop and wait for its result, in a cell or in a script.

    Parameters
    ----------
    coroutine
        The work.
    tick
        Called in the waiting thread about ten times a second, and once at the end. Progress bars use it, because they
        must not be touched from another thread.

    Returns
    -------
    T
        The coroutine's result.

    Raises
    ------
    KeyboardInterrupt
        When the user interrupts. The coroutine is then cancelled and gets time to clean up, as it also does when `tick`
        raises.
    """
    work = Work(coroutine)
    try:
        work.start()
        while not work.wait(_TICK):
            if tick is not None:
                tick()
        if tick is not None:
            tick()
        return work.result()
    except BaseException:  # an interrupt, or a tick that failed: the result is no longer needed
        end(work)
        raise


def end(work: Work[Any]) -> None:
    """Cancel a coroutine, and wait until it has cleaned up; return at once if it has ended."""
    work.cancel()
    deadline = time.monotonic() + GRACE
    while not work.wait(_TICK) and time.monotonic() < deadline:
        pass


__all__ = ["GRACE", "Gate", "Work", "end", "loop", "run", "submit"]
