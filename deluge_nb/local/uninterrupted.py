"""Running work that a KeyboardInterrupt must not split."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

# Seconds that an interrupt waits at most for the work to end.
_LIMIT = 5.0


def run_uninterrupted(work: Callable[[], _T]) -> _T:
    """Run `work` in a thread, where no interrupt arrives, and return its result.

    An interrupt during the work is raised here after the work. Starting a process needs this: the process runs before
    `subprocess` returns it, and an interrupt in between would leave it running without a reference to it.

    Parameters
    ----------
    work
        A short function. It must also store its result itself, because an interrupt is raised in place of returning it.

    Returns
    -------
    _T
        The result of the work.

    Raises
    ------
    BaseException
        The exception that the work raised.
    """
    done: list[_T] = []
    failed: list[BaseException] = []
    gate = threading.Lock()
    gate.acquire()

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)
        gate.release()

    try:
        # Not `Thread` or `Event`: an interrupt inside them can leave their locks held forever.
        _thread.start_new_thread(run, ())
        gate.acquire()
    except BaseException:
        deadline = time.monotonic() + _LIMIT
        while not (done or failed) and time.monotonic() < deadline:
            time.sleep(0.002)
        raise
    if failed:
        raise failed[0]
    return done[0]
