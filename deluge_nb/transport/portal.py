"""One private event loop on a daemon thread, for the whole process.

A notebook cell already runs inside an event loop and a script does not. Both, and any thread, submit coroutines to this
loop and wait for them. All network objects live here, so that all calls of a client share its connections.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# Seconds between two looks of a waiting thread: a wait without a limit cannot be interrupted on Windows.
_TICK = 0.1
# Seconds that an interrupted call has to close its connections before the interrupt is raised anyway.
_GRACE = 5.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def loop() -> asyncio.AbstractEventLoop:
    """Return the private loop, started on first use."""
    global _loop, _thread
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="deluge-nb-portal", daemon=True)
            _thread.start()
        return _loop


def _forget() -> None:
    """Reset the module in a forked child, which has no copy of the thread and may have inherited a held lock."""
    global _loop, _thread, _lock
    _lock, _loop, _thread = threading.Lock(), None, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def submit(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Start a coroutine on the private loop and return its future; cancelling the future cancels the coroutine.

    Raises
    ------
    RuntimeError
        When called on the loop's own thread, which would wait for itself.
    """
    running = loop()
    if threading.current_thread() is _thread:
        coroutine.close()
        raise RuntimeError("the portal's own thread cannot wait for itself; await the coroutine")
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
    ended = threading.Event()

    async def signal_end() -> T:
        try:
            return await coroutine
        finally:
            ended.set()

    try:
        future = submit(signal_end())
    except BaseException:
        coroutine.close()
        raise
    try:
        while not concurrent.futures.wait((future,), timeout=_TICK).done:
            if tick is not None:
                tick()
        if tick is not None:
            tick()
        return future.result()
    except BaseException:  # an interrupt, or a tick that failed: the result is no longer needed
        if future.cancel():
            ended.wait(_GRACE)
        raise
