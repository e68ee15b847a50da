"""Plugins of Dask: the scheduler, which outlives workers, hands out turns of limited clients; workers collect less."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

from distributed import Scheduler, SchedulerPlugin, Worker, WorkerPlugin

from .limits import Allowances, Ask, Wish

_HANDLER = "deluge_nb_turns"
# New objects after which the garbage collector looks at them, and looks at them before it looks at older ones: a part
# makes many objects and no cycles. Python's 700, 10 and 10 took a tenth of a worker's CPU.
_THRESHOLDS = 10_000, 5, 5


class TurnsPlugin(SchedulerPlugin):
    """Plugin of the scheduler that hands out turns; registered again, the first one stays."""

    name = "deluge_nb-turns"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        """Answer wishes of workers from now on.

        Parameters
        ----------
        scheduler
            The scheduler.
        """
        allowances = Allowances()

        def reply(wish: Sequence[Any]) -> tuple[int, float, float]:
            return allowances.reply(Wish(*wish), len(scheduler.workers))

        scheduler.handlers[_HANDLER] = reply


class CollectorPlugin(WorkerPlugin):
    """Plugin of workers that only serve jobs: their garbage collector skips what stays, and runs rarely."""

    name = "deluge_nb-collector"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Import what parts use, and set the collector.

        Parameters
        ----------
        worker
            The worker.
        """
        import pyarrow.parquet  # noqa: F401 - imported here, so that its objects are skipped, too

        gc.collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)


def ask_scheduler(worker: Worker) -> Ask:
    """Return a function that carries wishes from a worker's threads to its scheduler.

    Parameters
    ----------
    worker
        The worker.
    """

    loop: Any = worker.loop

    async def ask(wish: Wish) -> Any:
        # The event loop of clients is not that of the worker.
        request = getattr(worker.scheduler, _HANDLER)(wish=tuple(wish))
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(request, loop.asyncio_loop))

    return ask
