"""One private event loop on a daemon thread, for the whole process.

A notebook cell already runs inside an event loop, a script does not, and neither should matter: coroutines are handed
to this loop and waited for, from any thread. All network objects live here, so that connections are shared by every
call a client makes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# How long a waiting thread sleeps before it looks again: waits without a limit cannot be interrupted on Windows.
_TICK = 0.1
# How long an interrupted call may take to close its connections before the interrupt goes on without it.
_GRACE = 5.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The private loop, started on first use."""
    global _loop, _thread
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="deluge-nb-portal", daemon=True)
            _thread.start()
        return _loop


def _forget() -> None:
    """In a forked child the thread did not come along, and the lock may have been held."""
    global _loop, _thread, _lock
    _lock, _loop, _thread = threading.Lock(), None, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def submit(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Start a coroutine on the private loop; cancelling the future cancels the coroutine."""
    running = loop()
    if threading.current_thread() is _thread:
        coroutine.close()
        raise RuntimeError("the portal's own thread cannot wait for itself; await the coroutine")
    return asyncio.run_coroutine_threadsafe(coroutine, running)


def run(coroutine: Coroutine[Any, Any, T], *, tick: Callable[[], object] | None = None) -> T:
    """Run a coroutine on the private loop and wait for it, in a cell or in a script.

    Parameters
    ----------
    coroutine
        What to run.
    tick
        Called in the waiting thread about ten times a second, and once at the end: for progress bars, which must not
        be touched from another thread.

    Raises
    ------
    KeyboardInterrupt
        When the user interrupts. The coroutine has been cancelled by then, and has had time to clean up; and so it has
        when `tick` raises.
    """
    ended = threading.Event()

    async def watched() -> T:
        try:
            return await coroutine
        finally:
            ended.set()

    try:
        future = submit(watched())
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
    except BaseException:  # an interrupt, or a tick that failed: nobody waits any more
        if future.cancel():
            ended.wait(_GRACE)
        raise
