"""Turns of limited clients, handed out by Dask's scheduler, which outlives workers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from distributed import Scheduler, SchedulerPlugin, Worker

from .limits import Allowances, Ask, Wish

_HANDLER = "deluge_nb_turns"


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
