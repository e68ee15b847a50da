"""The engine of this process: two parts at a time, so that requests never run dry at the end of a part."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from ...client.interruption import stopping
from .base import Done, Worker, report_under_way, run_watched

T = TypeVar("T")
R = TypeVar("R")

AT_A_TIME = 2
"""Parts under way in one process; a crash loses at most these."""
# Seconds between two looks at the parts, after which an interrupt is noticed and progress is reported.
_TICK = 0.1


@contextlib.contextmanager
def in_threads(work: Callable[[T], R]) -> Iterator[Callable[[T], Future[R]]]:
    """Run a function in threads, and stop what is under way at the end.

    Parameters
    ----------
    work
        The function; its requests end when the block is left.

    Yields
    ------
    callable
        Starts the function with a value, and returns its future.
    """
    stop = threading.Event()

    def run(value: T) -> R:
        with stopping(stop):
            return work(value)

    pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="deluge_nb-job")
    try:
        yield lambda value: pool.submit(run, value)
    finally:
        # Requests under way are cancelled: an interrupt must not wait for a thousand answers.
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def wait_for_any(running: set[Future[R]]) -> tuple[set[Future[R]], set[Future[R]]]:
    """Return the futures that are done, perhaps none yet, and the others."""
    return wait(running, _TICK, FIRST_COMPLETED)


class Here:
    """Engine that runs parts in threads of this process."""

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        """Run each part once, at most two at a time.

        Parameters
        ----------
        parts, worker
            As :meth:`~deluge_nb.jobs.engines.base.Engine.run` describes them.
        """
        shares: dict[int, float] = {}

        def run_part(part: int) -> Done:
            return run_watched(worker, part, lambda share: shares.update({part: share}))

        waiting, running = iter(parts), set[Future[Done]]()
        with in_threads(run_part) as start:
            while True:
                # No part waits in the pool, for it would begin after an error of another.
                running.update(map(start, islice(waiting, AT_A_TIME - len(running))))
                if not running:
                    return
                finished, running = wait_for_any(running)
                for future in finished:
                    report = future.result()
                    shares.pop(report.part, None)
                    yield report
                report_under_way(shares.copy())
