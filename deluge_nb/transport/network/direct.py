"""Connections to one server without a proxy, kept for further requests.

A client that asks for one token spends more time in an HTTP library than in all the rest: httpx searches its whole pool
at every request, and aiohttp makes a dozen objects for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohappyeyeballs
import httpx
from pydantic import SecretStr

from ..certificates import context_for, refusal
from ..wire import Reply, Timeouts
from .connection import USE_HTTPS, Connection
from .reasons import reason_of

# Seconds for which an idle connection, and the addresses of the server's name, are used again.
_KEPT, _RESOLVED = 15.0, 10.0
# Seconds after which a server may have closed an idle connection; none waits for less.
_DOUBTFUL = 1.0
# Seconds before a second address is tried beside the first.
_NEXT_ADDRESS = 0.25
_PORTS = {"http": 80, "https": 443}
_AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class DirectBackend:
    """Backend with an unlimited pool of connections to one server; made on the loop that uses it.

    Parameters
    ----------
    url
        Address of the server.
    timeouts
        Limits of each request.

    Raises
    ------
    PermanentConnectError
        When TLS is needed, and a variable names certificates that cannot be used.
    """

    secrets: Sequence[SecretStr] = ()
    """Secrets on the way to the server: there are none."""

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        # Asked for once: each look for the running loop asks the system for the process, too.
        self._loop = asyncio.get_running_loop()
        address = httpx.URL(url)
        self._host, self._port = address.raw_host.decode(), address.port or _PORTS[address.scheme]
        # The zone of an address means something on this machine only.
        self._authority = re.sub(r"%[^\]]*", "", address.netloc.decode())
        self._tls = context_for(url) if address.scheme == "https" else None
        self._timeouts = timeouts
        # Those that were used last are at the end; all are closed with the backend.
        self._idle: list[tuple[Connection, float]] = []
        self._busy: set[Connection] = set()
        self._has_answered = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._lookup: asyncio.Task[list[_AddressInfo]] | None = None
        self._looked_up = 0.0

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Reply:
        """Send a request, and wait for the headers of its reply."""
        request = self._encode(method, url, headers, content)
        connection = await self._reuse() or await self._connect()
        self._busy.add(connection)
        try:
            connection.begin(request)
            head = await connection.head()
        except BaseException as error:
            is_silent = not (connection.has_answered or self._has_answered)
            self._release(connection)
            if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError) and is_silent and self._tls is None:
                raise type(error)(f"{error}; {USE_HTTPS}") from None
            raise
        self._has_answered = True
        return _DirectReply(head.status, head.headers, connection, self)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._lookup is not None:
            self._lookup.cancel()
        for connection in (*self._busy, *(connection for connection, _ in self._idle)):
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # a moment, in which the loop closes them

    def _encode(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bytes:
        target = "/" + url.split("/", 3)[3]
        lines = [f"{method} {target} HTTP/1.1"]
        if "host" not in map(str.lower, headers):
            lines.append(f"Host: {self._authority}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if content is not None:
            lines.append(f"Content-Length: {len(content)}")
        head = "\r\n".join((*lines, "", ""))
        ends = len(lines) + 1
        if head.count("\n") != ends or head.count("\r") != ends or "\0" in head:
            raise ValueError("a header or the address has a line break in it")
        return head.encode() + (content or b"")

    async def _reuse(self) -> Connection | None:
        """Return an idle connection; None if there is none that the server still keeps."""
        if self._idle and self._loop.time() - self._idle[-1][1] > _DOUBTFUL:
            # The loop reads what has arrived: if it was busy, the ends of connections may be unread.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_open and self._loop.time() - since < _KEPT:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        """Return a new connection.

        Raises
        ------
        httpx.TransportError
            When there is none.
        """
        loop, connected = self._loop, None
        try:
            async with asyncio.timeout(self._timeouts.connect):
                addresses = await self._addresses()
                connected = await aiohappyeyeballs.start_connection(
                    addresses, happy_eyeballs_delay=_NEXT_ADDRESS, interleave=1, loop=loop
                )
                _, connection = await loop.create_connection(
                    lambda: Connection(self._timeouts.read, self._forget),
                    sock=connected,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls is not None else None,
                )
        except TimeoutError:
            failure = httpx.ConnectTimeout("")
        except (ssl.SSLError, ssl.CertificateError) as error:
            failure = refusal(error) or httpx.ConnectError(str(error))
        except OSError as error:
            failure = httpx.ConnectError(reason_of(error))
        else:
            return connection
        if connected is not None:
            connected.close()
        # Raised outside the handlers: what OpenSSL and the system raise is of no further use.
        raise failure

    async def _addresses(self) -> list[_AddressInfo]:
        """Return the addresses of the server; requests that come together look them up once."""
        with contextlib.suppress(socket.gaierror):  # a number is no name
            return socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            )
        loop, lookup = self._loop, self._lookup
        is_old = self._loop.time() - self._looked_up > _RESOLVED
        if lookup is None or (lookup.done() and (is_old or lookup.cancelled() or lookup.exception() is not None)):
            self._looked_up = self._loop.time()
            asked = loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            self._lookup = lookup = loop.create_task(asked)
        return await asyncio.shield(lookup)

    def _release(self, connection: Connection) -> None:
        """Keep a connection whose reply has been read, and close any other."""
        self._busy.discard(connection)
        if not connection.finish():
            return
        self._idle.append((connection, self._loop.time()))
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_KEPT, self._sweep)

    def _sweep(self) -> None:
        """Close connections that have been idle for too long."""
        self._sweeper, oldest = None, self._loop.time() - _KEPT
        while self._idle and self._idle[0][1] <= oldest:
            self._idle.pop(0)[0].close()
        if self._idle:
            wait = max(self._idle[0][1] - oldest, 0.1)
            self._sweeper = self._loop.call_later(wait, self._sweep)

    def _forget(self, connection: Connection) -> None:
        self._busy.discard(connection)
        self._idle = [kept for kept in self._idle if kept[0] is not connection]


class _DirectReply(Reply):
    """Reply of a connection, which goes back to its backend."""

    def __init__(
        self, status: int, headers: list[tuple[bytes, bytes]], connection: Connection, backend: DirectBackend
    ) -> None:
        super().__init__(status, headers)
        self._connection: Connection | None = connection
        self._backend = backend

    def whole_document(self) -> bytes | None:
        # Also packed bytes may begin with this one.
        if self._connection is None or self.header("content-encoding") is not None:
            return None
        return self._connection.whole(b"{")

    async def pieces(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (piece := await self._connection.piece()):
            yield piece

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._backend._release(connection)
