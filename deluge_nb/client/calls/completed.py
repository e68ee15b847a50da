"""Responses in the order in which they arrive, in a synchronous or asynchronous loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator

from ...response import APIResponse
from ...transport import portal
from ..interruption import PartialResponses
from ..sending.batch import Batch

# Seconds between two looks of a waiting thread: a wait without a limit cannot be interrupted on Windows.
_TICK = 0.1


class Completed:
    """Responses to many prompts as they arrive, each with the index of its prompt.

    Made by :meth:`LLMClient.as_completed`, for one loop with ``for`` or ``async for``. Leaving the loop cancels the
    requests that are still under way.

    Parameters
    ----------
    batch
        The prompts.
    show
        Called when the loop begins, with the batch and the function that ends it: what arrives is to be seen from then
        on, because a loop may be left unnoticed. Returns what was kept before.
    hide
        Called with the batch and what was kept before, when the loop has got all responses, or nothing was sent.
    keep
        Called with the batch and the exception that ends the loop.

    Raises
    ------
    KeyboardInterrupt
        From the loop, if interrupted; the responses that arrived are in ``client.interrupted``.

    Examples
    --------
    >>> from deluge_nb import LLMClient
    >>> client = LLMClient("local", temperature=0, max_new_tokens=2)
    >>> sorted(index for index, response in client.as_completed(["Name a colour.", "Name a fruit."]))
    [0, 1]
    """

    def __init__(
        self,
        batch: Batch,
        show: Callable[[Batch, Callable[[], None]], PartialResponses],
        hide: Callable[[Batch, PartialResponses], None],
        keep: Callable[[Batch, BaseException | None], object],
    ) -> None:
        self._batch = batch
        self._show, self._hide, self._keep = show, hide, keep
        self._kept_before = PartialResponses()
        self._stopped = False
        # Responses of an earlier call come first.
        kept = ((index, response) for index, response in enumerate(batch.responses) if response is not None)
        self._arrived: deque[tuple[int, APIResponse]] = deque(kept)
        self._changed = portal.Gate()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        batch.on_response = self._add
        self._work: portal.Work[None] | None = None

    def __iter__(self) -> Generator[tuple[int, APIResponse], None, None]:
        work = self._start()
        try:
            while (pair := self._next(work)) is not None:
                yield pair
            self._finish(work)
        except BaseException as error:
            portal.end(work)
            self._left(error)
            raise

    async def __aiter__(self) -> AsyncGenerator[tuple[int, APIResponse], None]:
        self._waiting = asyncio.get_running_loop(), asyncio.Event()
        work = self._start()
        try:
            while True:
                self._waiting[1].clear()
                ended = work.ended
                if self._arrived:
                    yield self._arrived.popleft()
                elif ended:
                    break
                else:
                    await self._wait_async(self._waiting[1])
            self._finish(work)
        except BaseException as error:
            work.cancel()
            try:
                await work.wait_async(portal.GRACE)
            finally:  # the loop may be ending, and cancels this wait
                self._left(error)
            raise

    def __repr__(self) -> str:
        return f"Completed({sum(item is not None for item in self._batch.responses)} of {len(self._batch.items)})"

    def _start(self) -> portal.Work[None]:
        if self._work is not None:
            raise RuntimeError("as_completed() is for one loop; call it again for another.")
        # Not before the loop begins: a coroutine that is never started is reported as a mistake.
        self._work = portal.Work(self._run())
        self._kept_before = self._show(self._batch, self._stop)
        self._work.start()
        return self._work

    def _next(self, work: portal.Work[None]) -> tuple[int, APIResponse] | None:
        while True:
            ended = work.ended  # before the look at the responses: what comes after it is seen next time
            if self._arrived:
                return self._arrived.popleft()
            if ended:
                return None
            self._changed.wait(_TICK)

    def _finish(self, work: portal.Work[None]) -> None:
        if self._stopped:
            raise RuntimeError(
                "The loop over as_completed() was ended by a call with resume=client.interrupted, which goes on with "
                "its prompts."
            )
        work.result()
        self._batch.collect()
        self._hide(self._batch, self._kept_before)

    def _stop(self) -> None:
        if self._work is not None and not self._work.ended:
            self._stopped = True
            portal.end(self._work)

    def _left(self, error: BaseException) -> None:
        if not self._batch.asked:
            self._hide(self._batch, self._kept_before)
        elif not self._stopped and not isinstance(error, GeneratorExit):  # of a loop that was dropped, maybe long ago
            self._keep(self._batch, error)

    async def _wait_async(self, event: asyncio.Event) -> None:
        # With a limit, because the work ends a moment after its last response. Not `wait_for`: see `Work.wait_async`.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK):
                await event.wait()

    # On the portal's loop ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._batch.run()
        finally:
            self._wake()

    def _add(self, index: int, response: APIResponse) -> None:
        self._arrived.append((index, response))
        self._wake()

    def _wake(self) -> None:
        self._changed.open()
        waiting = self._waiting
        if waiting is not None:
            with contextlib.suppress(RuntimeError):  # a loop that was closed
                waiting[0].call_soon_threadsafe(waiting[1].set)
