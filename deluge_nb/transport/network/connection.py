"""One connection to a server: a request at a time, and its reply as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import cast

import httpx

from .framing import Chunks, Extent, Head, NotHttpError, read_head

# Bytes of a body that wait to be read; with more, the server must wait.
_MOST_UNREAD = 1 << 18


class Connection(asyncio.Protocol):
    """A connection on the loop that made it.

    Parameters
    ----------
    silence
        Seconds without a byte after which a reply fails.
    on_lost
        Called when the connection has ended while nothing was asked.
    """

    def __init__(self, silence: float, on_lost: Callable[[Connection], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence, self._on_lost = silence, on_lost
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_busy = self._is_paused = False
        self._active, self._unsent = 0.0, 0
        self._reset()

    def _reset(self) -> None:
        self._head: Head | None = None
        self._rest = b""
        self._left: int | Extent = 0
        self._chunks: Chunks | None = None
        self._pieces: list[bytes] = []
        self._unread = 0
        self._error: httpx.TransportError | None = None
        self._is_ended = self._has_surplus = False

    # Used by the backend ----------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """True if a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def begin(self, request: bytes) -> None:
        """Send a request."""
        assert self._transport is not None
        self._is_busy = True
        self._transport.write(request)
        self._active, self._unsent = monotonic(), self._transport.get_write_buffer_size()
        if self._timer is None:
            self._timer = self._loop.call_later(self._silence, self._watch)

    async def head(self) -> Head:
        """Wait for the head of the reply.

        Raises
        ------
        httpx.TransportError
            When none arrives.
        """
        while self._head is None:
            await self._change()
        return self._head

    def whole(self, beginning: bytes) -> bytes | None:
        """Return the body, if all of it has arrived and it begins with a byte; else None, and nothing is taken."""
        return self._take() if self._is_ended and self._pieces and self._pieces[0][:1] == beginning else None

    async def piece(self) -> bytes:
        """Return what has arrived of the body; no byte at its end.

        Raises
        ------
        httpx.TransportError
            When the connection ends before the body does.
        """
        while not self._pieces and not self._is_ended:
            await self._change()
        return self._take()

    def finish(self) -> bool:
        """End a reply; return whether the connection takes another request. If not, it is closed."""
        head, transport = self._head, self._transport
        self._is_busy = False
        is_done = head is not None and not head.is_last and self._is_ended and not self._has_surplus
        self._reset()
        if not is_done or transport is None or self._unsent_bytes() or not self.is_open:
            self.close()
            return False
        if self._is_paused:
            self._is_paused = False
            transport.resume_reading()
        return True

    def close(self) -> None:
        """Close the connection at once."""
        self._is_busy = False
        if self._transport is not None:
            self._transport.abort()

    # Called by the loop -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is of no class of asyncio

    def data_received(self, data: bytes) -> None:
        """Read bytes of a reply."""
        self._active = monotonic()
        if not self._is_busy:  # what comes unasked answers no request
            self.close()
            return
        try:
            self._read(data)
        except NotHttpError as error:
            self._fail(httpx.RemoteProtocolError(f"its answer is no HTTP: {error}"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the reply with the connection."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_busy:
            self._on_lost(self)
        elif self._head is not None and self._left is Extent.CLOSED and exc is None:
            self._is_ended = True
        elif self._head is not None or self._rest:
            self._fail(httpx.ReadError("the connection ended in the middle of the answer"))
        elif exc is None:
            self._fail(httpx.RemoteProtocolError("the server closed the connection without an answer"))
        else:
            self._fail(httpx.ReadError(str(exc) or type(exc).__name__))
        self._wake()

    # ------------------------------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        if self._head is None:
            if self._rest:
                data, self._rest = self._rest + data, b""
            head, start = read_head(data, 0), 0
            while head is not None and 100 <= head.status < 200 and not head.is_last:  # interim
                start = head.end
                head = read_head(data, start)
            if head is None:
                self._rest = data[start:]
                return
            self._head, self._left = head, head.extent
            self._chunks = Chunks() if head.extent is Extent.CHUNKED else None
            data = data[head.end :]
        if self._is_ended:
            self._has_surplus = self._has_surplus or bool(data)
        elif self._chunks is not None:
            for part in self._chunks.feed(data):
                self._add(part)
            self._is_ended = self._chunks.is_ended
            self._has_surplus = self._is_ended and bool(self._chunks.rest)
        elif isinstance(self._left, Extent):
            self._add(data)
        else:
            if len(data) > self._left:  # bytes behind the body cost the connection, and not the answer
                data, self._has_surplus = data[: self._left], True
            self._left -= len(data)
            self._is_ended = not self._left
            self._add(data)

    def _add(self, data: bytes) -> None:
        if not data:
            return
        self._pieces.append(data)
        self._unread += len(data)
        if self._unread > _MOST_UNREAD and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _take(self) -> bytes:
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._unread = 0
        if self._is_paused:
            self._is_paused = False
            self._active = monotonic()
            if self._transport is not None:
                self._transport.resume_reading()
        return data

    def _unsent_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def _change(self) -> None:
        """Wait for more of the reply.

        Raises
        ------
        httpx.TransportError
            When nothing more will come.
        """
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: httpx.TransportError) -> None:
        if self._error is None and not self._is_ended:
            self._error = error
            if self._transport is not None:
                self._transport.abort()

    def _watch(self) -> None:
        """Fail if the server has been silent for too long; one timer serves many requests."""
        self._timer = None
        if not self._is_busy or self._transport is None:
            return
        unsent, now = self._unsent_bytes(), monotonic()
        if self._is_paused or unsent != self._unsent:  # the server is not what is waited for
            self._active, self._unsent = now, unsent
        left = self._active + self._silence - now
        if left > 0:
            self._timer = self._loop.call_later(left, self._watch)
        else:
            self._fail(httpx.ReadTimeout("the server is silent"))
            self._wake()
