"""Stream an answer token by token, in a synchronous or asynchronous loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from ..transport import portal
from .calls.streamed import StreamedAnswer, join_tables

if TYPE_CHECKING:
    from ..logprobs.table import Logprobs
    from ..response import APIResponse
    from ..response.streamed_token import StreamedToken
    from .sending.batch import Batch

# Seconds between two checks of a waiting thread: a wait without a limit cannot be interrupted on Windows.
_TICK = 0.1


class Stream:
    """A streamed answer; made by :meth:`LLMClient.stream`. Loop over it with ``for`` or ``async for``.

    The request is sent at once. A ``with`` block (or ``async with``) ends it when the block is left; without one, it
    ends when nothing refers to the stream any more.

    Parameters
    ----------
    batch
        The prompt; made by the client.
    hide
        Called with the batch once the loop has got the whole answer.
    keep
        Called with the batch and the exception that ends the stream.

    Raises
    ------
    RequestError, MalformedResponseError, LogprobsNotSupportedError
        From the loop, after the tokens that arrived before the failure.
    KeyboardInterrupt
        From the loop, if interrupted; :attr:`response` has the tokens that arrived.

    Examples
    --------
    >>> from deluge_nb import LLMClient
    >>> client = LLMClient("local", logprobs=True, temperature=0, max_new_tokens=3)
    >>> with client.stream("Count to three.") as stream:
    ...     text = "".join(token.text for token in stream)
    >>> text == stream.response.completion
    True
    """

    def __init__(
        self,
        batch: Batch,
        hide: Callable[[Batch], None],
        keep: Callable[[Batch, BaseException], None],
    ) -> None:
        self._batch = batch
        self._hide, self._keep = hide, keep
        self._is_awaited = self._is_entered = self._is_delivered = False
        self._answer = answer = StreamedAnswer(batch)
        try:
            answer.work.start()
        except BaseException as error:
            portal.end(answer.work)
            self._keep(self._batch, error)
            raise

    @property
    def response(self) -> APIResponse | None:
        """The whole response once the stream has ended; None until then."""
        return self._answer.response

    @property
    def logprobs(self) -> Logprobs | None:
        """Table of the tokens so far, NaN where the server reports no log-probability; None before the first token.

        Once the stream has ended, use the table of :attr:`response`: only that one is complete.
        """
        return join_tables(list(self._answer.tables))

    def wait(self, timeout: float) -> bool:
        """Wait for the next token, or for the end of the answer.

        Parameters
        ----------
        timeout
            In seconds.

        Returns
        -------
        bool
            True if there is a token or the answer has ended; False if the time was up before.
        """
        deadline = time.monotonic() + timeout
        answer = self._answer
        while not answer.tokens and not answer.ended:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            # Several threads may wait, and the gate lets one of them pass.
            answer.changed.wait(min(_TICK, remaining))
        return True

    def close(self) -> None:
        """Stop the answer; :attr:`response` then has the tokens that arrived, with their log-probabilities."""
        try:
            self._answer.end()
        except BaseException as error:
            self._keep(self._batch, error)
            raise

    async def aclose(self) -> None:
        """Stop the answer as :meth:`close` does, and await its end."""
        self._answer.stop()
        await portal.wait_for_end_async(self._answer.work)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamedToken:
        try:
            while not self.wait(_TICK):
                pass
            if (token := self._next_token()) is not None:
                return token
            self._raise_failure()
        except BaseException as error:
            self.close()
            self._keep(self._batch, error)
            raise
        self._deliver()
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamedToken:
        self._is_awaited = True
        answer, event = self._answer, self._answer.changed.event()
        while not answer.tokens and not answer.ended:
            event.clear()
            if answer.tokens or answer.ended:
                break
            try:
                await event.wait()
            except asyncio.CancelledError as error:
                try:
                    await self.aclose()
                except BaseException as later:
                    self._keep(self._batch, later)
                    raise
                self._keep(self._batch, error)
                raise
        if (token := self._next_token()) is not None:
            return token
        try:
            self._raise_failure()
        except Exception as error:
            self._keep(self._batch, error)
            raise
        self._deliver()
        raise StopAsyncIteration

    def __enter__(self) -> Self:
        self._is_entered = True
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self.close()
            self._leave(error)
        except BaseException as late:
            self._keep(self._batch, late)
            raise

    async def __aenter__(self) -> Self:
        self._is_entered = True
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            await self.aclose()
            self._leave(error)
        except BaseException as late:
            self._keep(self._batch, late)
            raise

    def __del__(self) -> None:
        answer = getattr(self, "_answer", None)  # None if the constructor was interrupted
        if answer is not None and not answer.ended:
            if self._is_awaited:  # the event loop would stand still
                answer.stop()
            else:
                answer.end()

    def __repr__(self) -> str:
        return f"Stream({self.response!r})" if self.response is not None else "Stream(running)"

    def _deliver(self) -> None:
        """Note that the loop has got the whole answer, which therefore need not be kept; one that was stopped is."""
        self._is_delivered = not self._answer.listener.stopped
        # Inside a block the answer is let go by its last step: an interrupt may come before the first.
        if self._is_delivered and not self._is_entered:
            self._hide(self._batch)

    def _leave(self, error: BaseException | None) -> None:
        if error is not None:
            self._keep(self._batch, error)
        elif self._is_delivered:
            self._hide(self._batch)

    def _next_token(self) -> StreamedToken | None:
        try:
            return self._answer.tokens.popleft()
        except IndexError:
            return None

    def _raise_failure(self) -> None:
        if self.response is not None and self.response.error is not None:
            raise self.response.error


__all__ = ["Stream"]
