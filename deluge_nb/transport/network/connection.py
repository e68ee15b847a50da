"""One connection to a server: a request at a time, and its reply as it arrives."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools
import httpx

# Bytes of a body that wait to be read; with more, the server must wait.
_MOST_UNREAD = 1 << 18
# Bytes in a row that belong to no body: the headers of a reply, interim replies before it, trailers behind it. Servers
# send a few thousand.
_MOST_HEAD = 1 << 16
# Bytes of a request that the system takes at once; of a longer one the progress is watched.
_MOST_AT_ONCE = 1 << 14
# Place of `tcpi_bytes_acked` in Linux's `tcp_info`.
_TCP_INFO = 120
_LONGEST_EXCERPT = 40
# First bytes of an alert, with which servers answer what is no TLS.
_TLS_ALERT = b"\x15\x03"
USE_HTTPS = "if it speaks TLS, write https:// in place of http://"
"""Advice for servers that do not answer in plain text."""
_SWITCHING = 101


class Head(NamedTuple):
    """Status and headers of a reply."""

    status: int
    headers: list[tuple[bytes, bytes]]


class Connection(asyncio.Protocol):
    """A connection on the loop that made it.

    Bytes of replies are parsed by llhttp, the parser of Node.js, which calls the ``on_`` methods.

    Parameters
    ----------
    silence
        Seconds after which a reply fails if the server has sent no byte, and taken none of the request.
    on_lost
        Called when the connection has ended while nothing was asked.
    """

    def __init__(self, silence: float, on_lost: Callable[[Connection], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence, self._on_lost = silence, on_lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # Slips of servers that can be read in one way only. aiohttp allows all but the second: a length beside chunks.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_busy = self._is_paused = False
        self._active = 0.0
        self._upload: tuple[int, int] | None = None
        self._reset()

    def _reset(self) -> None:
        self._head: Head | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_last = False
        self._beginning, self._bodiless = b"", 0
        self._pieces: list[bytes] = []
        self._unread = 0
        self._error: httpx.TransportError | None = None
        self._is_ended = self._has_surplus = False

    # Used by the backend ----------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """True if a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def has_answered(self) -> bool:
        """True if the server has sent a byte since the request was."""
        return bool(self._beginning)

    def begin(self, request: bytes) -> None:
        """Send a request."""
        assert self._transport is not None
        self._is_busy = True
        self._transport.write(request)
        self._active = self._loop.time()
        self._upload = self._progress() if len(request) > _MOST_AT_ONCE else None
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
        is_done = head is not None and self._is_ended and not (self._is_last or self._has_surplus)
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
        self._active = self._loop.time()
        if not self._is_busy:  # what comes unasked answers no request
            self.close()
            return
        self._read(data)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the reply with the connection."""
        self._transport = self._parser = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_busy:
            self._on_lost(self)
        elif self._head is not None and exc is None and _ends_with_connection(self._head):
            self._is_ended = True
        elif self._head is not None or self._beginning:
            self._fail(httpx.ReadError("the connection ended in the middle of the answer"))
        elif exc is None:
            self._fail(httpx.RemoteProtocolError("the server closed the connection without an answer"))
        else:
            self._fail(httpx.ReadError(str(exc) or type(exc).__name__))
        self._wake()

    # Called by the parser ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Note bytes behind the reply; they cost the connection, and not the answer."""
        self._has_surplus = self._is_ended

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.append((name, value.rstrip()))

    def on_headers_complete(self) -> None:
        """Keep the head of a reply, unless it is interim."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        headers = self._headers
        self._headers = list[tuple[bytes, bytes]]()  # for those behind the body, which nobody needs
        if self._head is None and (status >= 200 or status == _SWITCHING):
            self._head = Head(status, headers)
            self._is_last = not self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        if self._is_ended:
            return
        self._bodiless = 0
        self._pieces.append(data)
        self._unread += len(data)
        if self._unread > _MOST_UNREAD and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the reply, unless it is interim."""
        self._is_ended = self._head is not None

    # ------------------------------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        assert self._parser is not None
        if len(self._beginning) < _LONGEST_EXCERPT:
            self._beginning += data[:_LONGEST_EXCERPT]
        self._bodiless += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._is_ended:
                self._has_surplus = True
            else:
                self._fail(httpx.RemoteProtocolError(f"its answer is no HTTP: {self._describe(error)}"))
        else:
            if self._bodiless > _MOST_HEAD:
                self._fail(httpx.RemoteProtocolError(f"its headers are longer than {_MOST_HEAD >> 10} kB"))

    def _describe(self, error: Exception) -> str:
        if self._head is not None:
            return str(error)
        if self._beginning.startswith(_TLS_ALERT):
            return USE_HTTPS
        first = self._beginning.lstrip().partition(b"\n")[0].rstrip()[:_LONGEST_EXCERPT]
        return f"{error}; it begins with {first.decode('utf-8', 'replace')!r}"

    def _take(self) -> bytes:
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._unread = 0
        if self._is_paused:
            self._is_paused = False
            self._active = self._loop.time()
            if self._transport is not None:
                self._transport.resume_reading()
        return data

    def _unsent_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _progress(self) -> tuple[int, int]:
        """Return the bytes of the request that wait here, and all that the server's system has acknowledged."""
        taken = 0
        if self._transport is not None and sys.platform == "linux":  # other systems do not say it
            with contextlib.suppress(OSError, struct.error):
                connected: socket.socket | None = self._transport.get_extra_info("socket")
                if connected is not None:
                    info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO + 8)
                    (taken,) = struct.unpack_from("Q", info, _TCP_INFO)
        return self._unsent_bytes(), taken

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
        upload, now = self._progress() if self._upload is not None else None, self._loop.time()
        if self._is_paused or upload != self._upload:  # the server is not what is waited for
            self._active, self._upload = now, upload
        left = self._active + self._silence - now
        if left > 0:
            self._timer = self._loop.call_later(left, self._watch)
        else:
            self._fail(httpx.ReadTimeout("the server is silent"))
            self._wake()


def _ends_with_connection(head: Head) -> bool:
    """Return whether the body of a reply has no other end than that of the connection."""
    fields = [(name.strip().lower(), value) for name, value in head.headers]
    codings = b",".join(value for name, value in fields if name == b"transfer-encoding").lower().split(b",")
    if codings != [b""]:
        return codings[-1].strip() != b"chunked"
    return all(name != b"content-length" for name, _ in fields)
