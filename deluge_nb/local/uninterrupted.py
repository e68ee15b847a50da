"""Work that an interrupt must not cut in two."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

# What an interrupt waits at most for the work to end.
_LIMIT = 5.0


def run_uninterrupted(work: Callable[[], _T]) -> _T:
    """Do `work` in a thread, where no interrupt arrives, and return when it is done.

    An interrupt that comes meanwhile is raised here once the work is done. Starting a process needs this: it runs
    before `subprocess` has returned it, and an interrupt in between leaves it running with nobody who knows of it.

    Parameters
    ----------
    work
        Something short. It also keeps its result itself, for an interrupt is raised in place of returning it.

    Returns
    -------
    _T
        What the work returned.

    Raises
    ------
    BaseException
        What the work raised.
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
        # Neither `Thread` nor `Event`: an interrupt inside them may keep their locks for ever.
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
