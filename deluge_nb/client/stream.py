"""Stream an answer token by token, in a synchronous or asynchronous loop."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import time
from collections import deque
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Self

from ..printable import printable
from ..response import APIResponse
from ..response.streamed_token import StreamedToken, TableToken
from ..text.end_tokens import INTERRUPTED
from ..transport import portal
from ..transport.secrecy import forget_frames

if TYPE_CHECKING:
    from ..dialects.base import Delta
    from ..logprobs.table import Logprobs
    from ..transport.streaming import StreamListener
    from .interruption import PartialResponses
    from .sending.batch import Batch

# Seconds between two checks of a waiting thread: a wait without a limit cannot be interrupted on Windows.
_TICK = 0.1


class Stream:
    """A streamed answer; made by :meth:`LLMClient.stream`. Loop over it with ``for`` or ``async for``.

    The request is sent at once. A ``with`` block (or ``async with``) ends it when the block is left.

    Parameters
    ----------
    batch
        The prompt; made by the client.
    keep
        Called with the batch when the answer has ended, and when the stream is left early, with the exception that ends
        it, if there is one. Returns what was kept before.
    restore
        Called with what was kept before, once the loop has got the whole answer.

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
        keep: Callable[[Batch, BaseException | None], PartialResponses],
        restore: Callable[[PartialResponses], None],
    ) -> None:
        from ..logprobs.columns import Vocabulary
        from ..transport.streaming import StreamListener

        self._vocabulary = Vocabulary()
        self._tokens: deque[StreamedToken] = deque()
        self._tables: list[Logprobs] = []
        self._texts = _Texts()
        self._keep, self._restore = keep, restore
        self._kept_before: PartialResponses | None = None
        self._batch = batch
        self._changed = portal.Gate()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._listener: StreamListener = StreamListener(self._append)
        self._response: APIResponse | None = None
        self._started = self._ended = False
        self._work: portal.Work[None] = portal.Work(self._run())
        try:
            self._work.start()
        except BaseException as error:
            portal.end(self._work)
            self._keep(self._batch, error)
            raise

    @property
    def response(self) -> APIResponse | None:
        """The whole response once the stream has ended; None until then."""
        return self._response

    @property
    def logprobs(self) -> Logprobs | None:
        """Table of the tokens so far, NaN where the server reports no log-probability; None before the first token.

        Once the stream has ended, use the table of :attr:`response`: only that one is complete.
        """
        return _join_tables(list(self._tables))

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
        while not self._tokens and not self._ended:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            # Several threads may wait, and the gate lets one of them pass.
            self._changed.wait(min(_TICK, remaining))
        return True

    def close(self) -> None:
        """Stop the answer; :attr:`response` then has the tokens that arrived, with their log-probabilities."""
        try:
            self._stop()
            deadline = time.monotonic() + portal.GRACE
            while not self._work.wait(_TICK) and time.monotonic() < deadline:
                pass
        except BaseException as error:
            self._keep(self._batch, error)
            raise

    async def aclose(self) -> None:
        """Stop the answer as :meth:`close` does, and await its end."""
        self._stop()
        await self._work.wait_async(portal.GRACE)

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
            self._abandon(error)
            raise
        self._deliver()
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamedToken:
        event = self._event()
        while not self._tokens and not self._ended:
            event.clear()
            if self._tokens or self._ended:
                break
            try:
                await event.wait()
            except asyncio.CancelledError as error:
                try:
                    await self.aclose()
                finally:
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
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self.close()
        except BaseException as late:
            self._keep(self._batch, late)
            raise
        if error is not None:
            self._keep(self._batch, error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            await self.aclose()
        except BaseException as late:
            self._keep(self._batch, late)
            raise
        if error is not None:
            self._keep(self._batch, error)

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self._stop()

    def __repr__(self) -> str:
        return f"Stream({self._response!r})" if self._response is not None else "Stream(running)"

    # On the portal's loop ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._started = True
        model = self._batch.items[0].route.model
        try:
            if self._listener.stopped:
                raise asyncio.CancelledError
            self._response = response = await self._batch.listen(self._listener, self._vocabulary)
            self._append(self._texts.rest(response))
        except Exception as error:  # a server that fails to start is an error of the loop
            forget_frames(error)
            if self._response is None:
                message = printable(str(error))
                self._response = APIResponse(model, is_error=True, error_message=message, error=error)
        except asyncio.CancelledError:
            self._response = APIResponse(model, finish_reason=INTERRUPTED, note=INTERRUPTED)
        finally:
            self._batch.settle()
            # Also where nobody stopped it: an exception may end the loop behind the last token.
            self._kept_before = self._keep(self._batch, None)
            self._ended = True
            self._wake()

    def _append(self, deltas: list[Delta]) -> None:
        for delta in deltas:
            try:
                tokens = self._texts.tokens(delta)
                table = delta.logprobs or self._without_logprob(delta.text)
            except Exception:  # a table that cannot be shown costs no text
                tokens, table = [StreamedToken(delta.text, thinking=delta.thinking)], self._without_logprob(delta.text)
            if not delta.thinking:
                self._tables.append(table)
            self._tokens.extend(tokens)
        self._wake()

    def _without_logprob(self, text: str) -> Logprobs:
        """Return a table of one row for text without a log-probability."""
        from ..logprobs.columns import Builder
        from ..logprobs.table import Logprobs

        builder = Builder(self._vocabulary)
        builder.add_token(text, None)
        return Logprobs(builder.vocabulary, *builder.columns())

    def _stop_on_loop(self) -> None:
        if self._texts.has_text or self._listener.reading or not self._started:
            self._listener.stop()
        else:  # nothing has arrived, so nothing needs to be kept
            self._listener.stopped = True
            self._work.cancel()

    # Between the loop and the caller ----------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._changed.open()
        waiting = self._waiting
        if waiting is not None:
            with contextlib.suppress(RuntimeError):  # a loop that was closed
                waiting[0].call_soon_threadsafe(waiting[1].set)

    def _event(self) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        if self._waiting is None or self._waiting[0] is not loop:
            self._waiting = (loop, asyncio.Event())
        return self._waiting[1]

    def _stop(self) -> None:
        if not self._ended:
            portal.loop().call_soon_threadsafe(self._stop_on_loop)

    def _abandon(self, error: BaseException) -> None:
        """Stop the answer because of an exception, and keep the part that arrived."""
        self.close()
        self._keep(self._batch, error)

    def _deliver(self) -> None:
        """Note that the loop has got the whole answer, which therefore need not be kept; one that was stopped is."""
        kept, self._kept_before = self._kept_before, None
        if kept is not None and not self._listener.stopped:
            self._restore(kept)

    def _next_token(self) -> StreamedToken | None:
        try:
            return self._tokens.popleft()
        except IndexError:
            return None

    def _raise_failure(self) -> None:
        if self._response is not None and self._response.error is not None:
            raise self._response.error


class _Texts:
    """Splits the text of an answer among its tokens."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._length = 0

    @property
    def has_text(self) -> bool:
        """True once any text has arrived."""
        return self._length > 0

    def tokens(self, delta: Delta) -> list[StreamedToken]:
        """Return the tokens of one event."""
        text, rows = delta.text, delta.logprobs
        self._length += len(text)
        if rows is None or not len(rows):
            self._decoder.reset()
            return [StreamedToken(text, thinking=delta.thinking)] if text else []
        parts = [self._decoder.decode(octets) for octets in rows.token_bytes]
        if "".join(parts) != text:
            # Some servers hold text back or count hidden tokens: the last token gets all the text.
            self._decoder.reset()
            parts = ["" for _ in parts[1:]] + [text]
        columns = zip(parts, rows.tokens, rows.columns[1].tolist(), strict=True)
        return [TableToken(*row, (rows, index), delta.thinking) for index, row in enumerate(columns)]

    def rest(self, response: APIResponse) -> list[Delta]:
        """Return the part of an answer that was not streamed: all of it if the server sent it at once."""
        from ..dialects.base import Delta

        if self.has_text or response.is_error:
            return []
        thought, text = response.thinking or "", response.completion or ""
        deltas = Delta(thought, response.thinking_logprobs, True), Delta(text, response.logprobs)
        return [delta for delta in deltas if delta.text]


def _join_tables(tables: list[Logprobs]) -> Logprobs | None:
    if len(tables) < 2:
        return tables[0] if tables else None
    from ..logprobs.rounding import coarser
    from ..logprobs.table import Logprobs

    first, size = tables[0].vocabulary, tables[0].vocab_size
    rounding = reduce(coarser, (table.rounding for table in tables))
    if any(table.vocabulary is not first for table in tables):
        return Logprobs.from_entries((entry for table in tables for entry in table), vocab_size=size, rounding=rounding)
    import numpy as np

    chosen, logprob, alternative, alternative_logprob, offsets = zip(*(table.columns for table in tables), strict=True)
    counts = np.concatenate([np.diff(column) for column in offsets])
    return Logprobs(
        first,
        np.concatenate(chosen),
        np.concatenate(logprob),
        np.concatenate(alternative),
        np.concatenate(alternative_logprob),
        np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
        vocab_size=size,
        rounding=rounding,
    )
