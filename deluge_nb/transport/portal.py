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
import contextvars
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# Seconds between two looks of a waiting thread: a wait without a limit cannot be interrupted on Windows.
_TICK = 0.1
# Seconds that an interrupted call has to close its connections before the interrupt is raised anyway.
GRACE = 5.0
# Seconds in which answers that a server has sent are still read after a call has been interrupted.
LAST_READ = 0.05
# Seconds that the loop may take to start.
_START = 10.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread_id: int | None = None
# Number of forks between the first process and this one.
_generation = 0


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
        passed = self._lock.acquire(timeout=max(timeout, 0.0))
        if not passed and _loop is not None:
            # An exception of a signal's handler may have come before the byte that wakes the loop. If it is an OSError,
            # as TimeoutError is, asyncio takes it for one of its socket.
            _loop.call_soon_threadsafe(_do_nothing)
        return passed


def _do_nothing() -> None:
    pass


class Alarm:
    """Wake-up of a thread, or of a coroutine on any loop, that waits for what the portal's loop brings."""

    def __init__(self) -> None:
        self._gate = Gate()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def wait(self, timeout: float) -> bool:
        """Wait in a thread, as :meth:`Gate.wait` does."""
        return self._gate.wait(timeout)

    def event(self) -> asyncio.Event:
        """Return the event of the running loop; it is set at each alarm from now on."""
        loop = asyncio.get_running_loop()
        if self._waiting is None or self._waiting[0] is not loop:
            self._waiting = loop, asyncio.Event()
        return self._waiting[1]

    def ring(self) -> None:
        """Wake what waits."""
        self._gate.open()
        waiting = self._waiting
        if waiting is not None:
            with contextlib.suppress(RuntimeError):  # a loop that was closed
                waiting[0].call_soon_threadsafe(waiting[1].set)


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
    global _loop, _thread_id, _lock, _generation
    _lock, _loop, _thread_id = threading.Lock(), None, None
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


async def in_thread(function: Callable[[], object]) -> None:
    """Call a function that blocks in another thread, or here while the interpreter is ending: no thread starts then.

    Parameters
    ----------
    function
        The function.
    """
    try:
        call = asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, function)
    except RuntimeError:
        function()
    else:
        await call


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
    function
        Coroutine function without parameters. It is called on the loop, where no interrupt can leave its coroutine
        behind, which Python would report as a mistake.
    """

    def __init__(self, function: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._function = function
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False
        self._generation = _generation
        self._gate = Gate()
        self._ended = False
        self._awaiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def ended(self) -> bool:
        """True once the coroutine has returned, raised, or was cancelled; also in a process forked since."""
        return self._ended or self._generation != _generation

    def start(self) -> None:
        """Start the coroutine.

        Raises
        ------
        RuntimeError
            When called on the loop's own thread, which would wait for itself.
        """
        _loop_to_wait_for().call_soon_threadsafe(self._start)

    def cancel(self) -> None:
        """Cancel the coroutine, also one that has not started; it ends a moment later."""
        if not self.ended and _loop is not None:
            _loop.call_soon_threadsafe(self._cancel)

    def wait(self, timeout: float) -> bool:
        """Wait for the end of the coroutine; False if the time was up before."""
        if not self.ended and self._gate.wait(timeout):
            self._gate.open()  # for the next thread that waits
        return self.ended

    async def wait_async(self, seconds: float) -> bool:
        """Await the end of the coroutine on any event loop; False if the time was up before."""
        ended = asyncio.Event()
        self._awaiting.append((asyncio.get_running_loop(), ended))
        if self.ended:
            return True
        # Not `wait_for`, which in Python 3.11 loses a cancellation that comes together with the end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()
        return self.ended

    def result(self) -> T:
        """Return the coroutine's result, or raise its exception; call it after the end.

        Raises
        ------
        concurrent.futures.CancelledError
            When the coroutine was cancelled.
        RuntimeError
            In a forked process.
        """
        if self._generation != _generation:
            raise RuntimeError("A forked process cannot go on with a call of its parent; make the call again here.")
        if self._task is None or self._task.cancelled():
            raise concurrent.futures.CancelledError
        return self._task.result()

    # On the loop ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._cancelled:
            return
        self._task = asyncio.get_running_loop().create_task(self._function())
        self._task.add_done_callback(lambda _: self._end())

    def _cancel(self) -> None:
        if self._cancelled:  # a second cancellation would end the cleanup
            return
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()
        elif not self._ended:
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._gate.open()
        for waiting, event in self._awaiting:
            with contextlib.suppress(RuntimeError):  # a loop that was closed
                waiting.call_soon_threadsafe(event.set)


def _loop_to_wait_for() -> asyncio.AbstractEventLoop:
    """Return the loop for a thread that waits for it."""
    running = loop()
    if _thread.get_ident() == _thread_id:
        raise RuntimeError("the portal's own thread cannot wait for itself; await the coroutine")
    return running


def submit(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Start a coroutine on the private loop and return its future; cancelling the future cancels the coroutine.

    Raises
    ------
    RuntimeError
        When called on the loop's own thread, which would wait for itself.
    """
    try:
        running = _loop_to_wait_for()
    except RuntimeError:
        coroutine.close()
        raise
    return asyncio.run_coroutine_threadsafe(coroutine, running)


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
    try:
        return complete(Work(lambda: coroutine), tick=tick)
    finally:
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:  # else Python reports it as a mistake
            coroutine.close()


def complete(work: Work[T], *, tick: Callable[[], object] | None = None) -> T:
    """Start a work and wait for its result, as :func:`run` does.

    Parameters
    ----------
    work
        The work.
    tick
        Called while the thread waits.

    Returns
    -------
    T
        The result of the work.
    """
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
    wait_for_end(work)


async def wait_for_end_async(work: Work[Any]) -> None:
    """Await the end of a coroutine that was stopped, as :func:`wait_for_end` does, in a task that may be cancelled.

    Some libraries cancel a task again and again until it ends. It still ends after its requests.
    """
    deadline, cancelled = time.monotonic() + GRACE, None
    while not work.ended and (left := deadline - time.monotonic()) > 0:
        try:
            await work.wait_async(left)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def wait_for_end(work: Work[Any]) -> None:
    """Wait until a coroutine that was stopped has cleaned up, where that can be waited for.

    The garbage collector may run on the loop's own thread, and when the interpreter ends the loop stands still.
    """
    deadline = time.monotonic() + GRACE
    while _thread.get_ident() != _thread_id and not sys.is_finalizing():
        if work.wait(_TICK) or time.monotonic() >= deadline:
            return


__all__ = [
    "GRACE",
    "LAST_READ",
    "Alarm",
    "Gate",
    "Work",
    "complete",
    "end",
    "in_thread",
    "loop",
    "run",
    "submit",
    "wait_for_end",
    "wait_for_end_async",
]
