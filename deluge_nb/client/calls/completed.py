"""Responses in the order in which they arrive, in a synchronous or asynchronous loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Generator
from typing import Self

from ...response import APIResponse
from ...transport import portal
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
    hide
        Called with the batch when the loop has got all responses.
    keep
        Called with the batch and the exception that ends the loop. A loop may also be left unnoticed.

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
        hide: Callable[[Batch], None],
        keep: Callable[[Batch, BaseException], None],
    ) -> None:
        self._batch = batch
        self._hide, self._keep = hide, keep
        # Responses of an earlier call come first.
        kept = ((index, response) for index, response in enumerate(batch.responses) if response is not None)
        self._arrived: deque[tuple[int, APIResponse]] = deque(kept)
        self._changed = portal.Alarm()
        batch.on_response = self._add
        self._work: portal.Work[None] = batch.work(self._run)
        self._has_begun = False

    def __iter__(self) -> Generator[tuple[int, APIResponse], None, None]:
        self._begin()
        try:
            self._work.start()
            while (pair := self._next()) is not None:
                yield pair
            self._finish()
        except BaseException as error:
            try:
                portal.end(self._work)
            except BaseException as later:  # a second interrupt, which leaves the loop in place of the first
                self._leave(later)
                raise
            self._leave(error)
            raise

    def __aiter__(self) -> _AsyncLoop:
        self._begin()
        return _AsyncLoop(self)

    def __repr__(self) -> str:
        return f"Completed({sum(item is not None for item in self._batch.responses)} of {len(self._batch.items)})"

    def _begin(self) -> None:
        if self._has_begun:
            raise RuntimeError("as_completed() is for one loop; call it again for another.")
        self._has_begun = True

    def _next(self) -> tuple[int, APIResponse] | None:
        while True:
            ended = self._work.ended  # before the look at the responses: what comes after it is seen next time
            if self._arrived:
                return self._arrived.popleft()
            if ended:
                return None
            self._changed.wait(_TICK)

    def _finish(self) -> None:
        self._batch.check_stopped()
        self._work.result()
        self._batch.collect()
        self._hide(self._batch)

    def _leave(self, error: BaseException) -> None:
        if not isinstance(error, GeneratorExit):  # of a loop that was dropped, maybe long ago
            self._keep(self._batch, error)

    async def _next_async(self) -> tuple[int, APIResponse] | None:
        event = self._changed.event()
        while True:
            event.clear()
            ended = self._work.ended
            if self._arrived:
                return self._arrived.popleft()
            if ended:
                return None
            # With a limit, because the work ends a moment after its last response. Not `wait_for`: see
            # `Work.wait_async`.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await event.wait()

    # On the portal's loop ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._batch.run()
        finally:
            self._changed.ring()

    def _add(self, index: int, response: APIResponse) -> None:
        self._arrived.append((index, response))
        self._changed.ring()


class _AsyncLoop:
    """One ``async for`` loop, which ends its requests when it is dropped.

    No asynchronous generator: those of an event loop that is closed are not ended, and some loops end them in a way in
    which they cannot wait for their requests.

    Parameters
    ----------
    completed
        The responses.
    """

    def __init__(self, completed: Completed) -> None:
        self._completed = completed
        self._has_started = self._has_ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, APIResponse]:
        completed = self._completed
        pair = None
        try:
            if not self._has_started:
                self._has_started = True
                completed._work.start()
            if not self._has_ended and (pair := await completed._next_async()) is None:
                self._has_ended = True
                completed._finish()
        except BaseException as error:
            try:
                await self.aclose()
            except BaseException as later:  # the loop may be ending, and cancels this wait
                completed._keep(completed._batch, later)
                raise
            completed._keep(completed._batch, error)
            raise
        if pair is None:
            raise StopAsyncIteration
        return pair

    async def aclose(self) -> None:
        """End the requests that are under way."""
        self._has_ended = True
        self._completed._work.cancel()
        await portal.wait_for_end_async(self._completed._work)

    def __del__(self) -> None:
        self._completed._work.cancel()
