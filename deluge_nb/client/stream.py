"""An answer as it comes: token by token, in a loop of either kind."""

from __future__ import annotations

import asyncio
import codecs
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ..response import APIResponse
from ..transport import portal

if TYPE_CHECKING:
    from ..dialects.base import Delta
    from ..logprobs.entries import TokenLogprob, TopLogprob
    from ..logprobs.table import Logprobs
    from ..transport.streaming import StreamListener
    from .batch import Batch

# How long a waiting thread sleeps before it looks again: waits without a limit cannot be interrupted on Windows.
_TICK = 0.1
# How long what has come may take to be put in order, once nobody wants more.
_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class StreamedToken:
    """A token of an answer that is still coming.

    Parameters
    ----------
    text
        What it adds to the completion; empty where it ends inside a character, which the next one completes.
    token
        The token as the server spells it, or None where a piece of text came without one.
    logprob
        In nats; None where the server did not tell.
    top_logprobs
        The alternatives, as in ``response.logprobs[i]["top_logprobs"]``.
    """

    text: str
    token: str | None = None
    logprob: float | None = None
    top_logprobs: list[TopLogprob] = field(default_factory=list, repr=False)

    @property
    def probability(self) -> float | None:
        """Between 0 and 1; None where the server did not tell."""
        return None if self.logprob is None else math.exp(self.logprob)


class Stream:
    """An answer as it comes: loop over it with ``for`` or ``async for``.

    The request is under way from the start. In a ``with`` block (or ``async with``) it is ended when the block is left.

    Raises
    ------
    RequestError, MalformedResponseError, LogprobsNotSupportedError
        From the loop, after what came before the failure.
    KeyboardInterrupt
        When interrupted; :attr:`response` has what came.
    """

    def __init__(self, batch: Batch, counted: Callable[[APIResponse], None]) -> None:
        from ..logprobs.columns import Vocabulary
        from ..transport.streaming import StreamListener

        self._vocabulary = Vocabulary()
        self._tokens: deque[StreamedToken] = deque()
        self._tables: list[Logprobs] = []
        self._texts = _Texts()
        self._counted = counted
        self._changed = threading.Condition()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._listener: StreamListener = StreamListener(self._hear)
        self._response: APIResponse | None = None
        self._started = self._ended = False
        self._future: Future[None] = portal.submit(self._run(batch))

    @property
    def response(self) -> APIResponse | None:
        """The whole answer, as any other call gives it, once it has ended; None until then."""
        return self._response

    @property
    def logprobs(self) -> Logprobs | None:
        """What has come so far, as a table; NaN where the server has not told, None where nothing has come.

        Once the answer has ended, use that of :attr:`response`: it has also what was found out at the end.
        """
        return _join_tables(list(self._tables))

    def wait(self, timeout: float) -> bool:
        """Wait for another token, or for the end of the answer.

        Parameters
        ----------
        timeout
            In seconds.

        Returns
        -------
        bool
            Whether there is one, or the answer has ended; False where the time was up before that.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while not self._tokens and not self._ended:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(_TICK, left))
        return True

    def close(self) -> None:
        """Have no more sent; :attr:`response` has what came by then, with all its log-probabilities."""
        self._stop()
        with self._changed:
            self._changed.wait_for(lambda: self._ended, _GRACE)

    async def aclose(self) -> None:
        """As :meth:`close`, to be awaited."""
        self._stop()
        await asyncio.wait((asyncio.wrap_future(self._future),), timeout=_GRACE)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamedToken:
        try:
            while not self.wait(_TICK):
                pass
            with self._changed:
                if self._tokens:
                    return self._tokens.popleft()
        except KeyboardInterrupt:
            self.close()
            raise
        self._raise_failure()
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
            except asyncio.CancelledError:
                self._stop()
                raise
        if self._tokens:
            return self._tokens.popleft()
        self._raise_failure()
        raise StopAsyncIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self._stop()

    def __repr__(self) -> str:
        return f"Stream({self._response!r})" if self._response is not None else "Stream(under way)"

    # On the portal's loop ---------------------------------------------------------------------------------------------

    async def _run(self, batch: Batch) -> None:
        self._started = True
        try:
            if self._listener.stopped:
                raise asyncio.CancelledError
            response = await batch.listen(self._listener, self._vocabulary)
            self._response = response
            self._counted(response)
            self._hear(self._texts.rest(response))
        except Exception as error:  # starting a server may fail; whoever loops is to hear of it
            self._response = APIResponse(
                batch.items[0].route.model, is_error=True, error_message=str(error), error=error
            )
        except asyncio.CancelledError:
            self._response = APIResponse(batch.items[0].route.model, note="interrupted")
        finally:
            self._ended = True
            self._wake()

    def _hear(self, deltas: list[Delta]) -> None:
        found = [token for delta in deltas for token in self._texts.tokens(delta.text, delta.logprobs)]
        self._tables += [delta.logprobs or self._untold(delta.text) for delta in deltas]
        with self._changed:
            self._tokens.extend(found)
        self._wake()

    def _untold(self, text: str) -> Logprobs:
        """A row for text that came without one, which says so."""
        from ..logprobs.columns import Builder
        from ..logprobs.table import Logprobs

        builder = Builder(self._vocabulary)
        builder.token(text, None)
        return Logprobs(builder.vocabulary, *builder.columns())

    def _stop_there(self) -> None:
        if self._texts.begun or self._listener.reading or not self._started:
            self._listener.stop()
        else:  # there is nothing to be kept
            self._future.cancel()

    # Between the two --------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
        waiting = self._waiting
        if waiting is not None and not waiting[0].is_closed():
            waiting[0].call_soon_threadsafe(waiting[1].set)

    def _event(self) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        if self._waiting is None or self._waiting[0] is not loop:
            self._waiting = (loop, asyncio.Event())
        return self._waiting[1]

    def _stop(self) -> None:
        if not self._ended:
            portal.loop().call_soon_threadsafe(self._stop_there)

    def _raise_failure(self) -> None:
        if self._response is not None and self._response.error is not None:
            raise self._response.error


class _Texts:
    """Shares the text of an answer out among its tokens."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._length = 0

    @property
    def begun(self) -> bool:
        """Whether any text has come."""
        return self._length > 0

    def tokens(self, text: str, rows: Logprobs | None) -> list[StreamedToken]:
        """The tokens of one event."""
        self._length += len(text)
        if rows is None or not len(rows):
            self._decoder.reset()
            return [StreamedToken(text)] if text else []
        parts = [self._decoder.decode(octets) for octets in rows.token_bytes]
        if "".join(parts) != text:
            # Some servers count tokens that they do not show, or hold text back: it all goes to the last.
            self._decoder.reset()
            parts = ["" for _ in parts[1:]] + [text]
        return [_token(part, entry) for part, entry in zip(parts, rows, strict=True)]

    def rest(self, response: APIResponse) -> list[Delta]:
        """What has not been heard of an answer: all of it, where it did not come in pieces."""
        from ..dialects.base import Delta

        text = response.completion or ""
        return [Delta(text, response.logprobs)] if text and not self.begun else []


def _token(text: str, entry: TokenLogprob) -> StreamedToken:
    own: Any = entry
    return StreamedToken(text, own["token"], own["logprob"], own.get("top_logprobs") or [])


def _join_tables(tables: list[Logprobs]) -> Logprobs | None:
    if len(tables) < 2:
        return tables[0] if tables else None
    from ..logprobs.table import Logprobs

    first, size = tables[0].vocabulary, tables[0].vocab_size
    if any(table.vocabulary is not first for table in tables):
        return Logprobs.from_entries((entry for table in tables for entry in table), vocab_size=size)
    import numpy as np

    chosen, logprob, weighed, others, offsets = zip(*(table.columns for table in tables), strict=True)
    counts = np.concatenate([np.diff(column) for column in offsets])
    return Logprobs(
        first,
        np.concatenate(chosen),
        np.concatenate(logprob),
        np.concatenate(weighed),
        np.concatenate(others),
        np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
        vocab_size=size,
    )
