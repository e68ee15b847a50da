"""Calls of a client while they run: their usage, and what is kept of a call that ends early."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from ...elsewhere import NamesElsewhere
from ...response import APIResponse
from ...response.usage import Usage
from ..interruption import KeptResponses, PartialResponses, keep
from ..route import Route
from ..sending.batch import Batch
from ..sending.resume import as_partial
from .spending import Spending

Arrange = Callable[[list[APIResponse]], Any]
"""Function that makes the result of a call of its responses."""


class RunningCalls(NamesElsewhere):
    """The part of a client that runs calls, counts what they use, and keeps what arrived of one that ends early."""

    _routes: list[Route]

    def __init__(self) -> None:
        self._kept = KeptResponses()
        self._spending = Spending()

    @property
    def usage(self) -> Usage:
        """Usage so far: prompts, requests, tokens in and out, and the cost where servers report it.

        While a call runs, it counts the responses that have arrived.
        """
        return self._spending.usage

    @usage.setter
    def usage(self, usage: Usage) -> None:
        self._spending.usage = usage

    @property
    def interrupted(self) -> PartialResponses:
        """Responses that arrived before an exception ended the last call, by prompt; None for the rest.

        Set before any exception leaves a call that has sent something: an interrupt, a cancelled task, a warning as an
        error. Pass it as ``resume`` to the same call, which then asks for the rest only. It has the model and the
        prompt of each place, see :class:`PartialResponses`.

        While a call runs it has what has arrived so far, also if nobody waits for the call any more. (In other threads
        than the main one this holds for streams and for loops over :meth:`as_completed` only.)
        """
        return self._kept.newest

    @interrupted.setter
    def interrupted(self, responses: PartialResponses) -> None:
        self._kept.keep(responses)

    def _run(self, batch: Batch, show_progress: bool, arrange: Arrange = list) -> Any:
        # Interrupts arrive in the main thread. Calls of other threads would hide each other's responses.
        self._attend(batch, show=threading.current_thread() is threading.main_thread())
        try:
            batch.run_sync(show_progress=show_progress)
            # Inside, because an interrupt or a warning as an error may end the call until the very last step.
            result = arrange(batch.collect())
            self._hide(batch)
            return result
        except BaseException as error:
            self._keep(batch, error)
            raise

    async def _run_async(self, batch: Batch, show_progress: bool, arrange: Arrange = list) -> Any:
        self._attend(batch)
        try:
            before = _cancellations()
            await batch.run_async(show_progress=show_progress)
            result = arrange(batch.collect())
            if _cancellations() > before:  # since the last step: the task would end without the result
                await asyncio.sleep(0)
            self._hide(batch)
            return result
        except BaseException as error:
            self._keep(batch, error)
            raise

    def _attend(self, batch: Batch, *, show: bool = True) -> None:
        """Count the responses of a call, and let :attr:`interrupted` have them as they arrive."""

        def begin(batch: Batch) -> None:
            responses = batch.responses = as_partial(batch, self._routes)
            responses.follow(batch.stop)
            self._spending.begin(batch)
            if show:
                self._kept.show(responses)

        batch.on_asked, batch.on_settled = begin, self._settle

    def _hide(self, batch: Batch) -> None:
        """Let go of the responses of a call, which has returned them."""
        if isinstance(batch.responses, PartialResponses):
            self._kept.hide(batch.responses)

    def _keep(self, batch: Batch, error: BaseException) -> None:
        """Keep the responses of a call that ends early, unless another call goes on with them."""
        if isinstance(batch.responses, PartialResponses) and not batch.is_stopped:
            keep(self, batch.responses, error)

    def _settle(self, batch: Batch) -> None:
        if isinstance(batch.responses, PartialResponses):
            batch.responses.follow(None)
        self._spending.end(batch)


def _cancellations() -> int:
    """Return how often the running task has been asked to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


__all__ = ["Arrange", "RunningCalls"]
