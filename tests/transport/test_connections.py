"""Connections to a server as they open, carry requests and grow old; the clock of the loop is moved, not waited for."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deluge_nb.transport.network.direct import DirectBackend
from deluge_nb.transport.wire import Timeouts

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LARGE = bytes(2 << 20)
SILENCE = 5.0
HEADERS = {"Accept": "*/*"}


class MovableLoop(asyncio.SelectorEventLoop):
    """Event loop whose clock can be moved ahead."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def move(seconds: float) -> None:
    """Let time pass on the running loop: what waited for it is due."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    loop.ahead += seconds


async def settle() -> None:
    """Let the loop handle all that has arrived, and what is due."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        runner.run(main())


class Server:
    """Server on the running loop; its handler gets each connection, and reads requests by itself."""

    def __init__(self, handler: Handler, *, tls: ssl.SSLContext | None = None) -> None:
        self.handler, self.tls = handler, tls
        self.connections = 0

    async def __aenter__(self) -> Server:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # so that a server can be slow to take
        listening.bind(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.url = f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/v1"
        self._server = await asyncio.start_server(self._serve, sock=listening, ssl=self.tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    return await reader.readexactly(int(head.partition("Content-Length: ")[2].split()[0]))


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        writer.write(ANSWER)


async def ask(backend: DirectBackend, url: str, content: bytes = b"{}") -> tuple[int, bytes]:
    reply = await backend.send("POST", f"{url}/x", HEADERS, content)
    body = b"".join([piece async for piece in reply.pieces()])
    await reply.close()
    return reply.status, body


def backend_for(url: str) -> DirectBackend:
    return DirectBackend(url, Timeouts(10.0, SILENCE))


# Opening --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], list[tuple[str, int]]]], list[str]]:
    """Return a function that sets what a look-up of `server.test` gives; it returns the names that were looked up."""

    def set_answer(answer: Callable[[], list[tuple[str, int]]]) -> list[str]:
        real, asked = socket.getaddrinfo, list[str]()

        def lookup(host: Any, port: Any, *args: Any, flags: int = 0, **options: Any) -> Any:
            if host not in ("server.test", "fe80::1%zone") or flags & socket.AI_NUMERICHOST:
                return real(host, port, *args, flags=flags, **options)
            asked.append(host)
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, number, 0, 0))
                if ":" in address
                else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, number))
                for address, number in answer()
            ]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        return asked

    return set_answer


@contextmanager
def deaf_address() -> Iterator[tuple[str, int]]:
    """Yield an address that never answers: its queue of connections is full, and nobody takes one from it."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses what it cannot queue")
def test_an_address_that_never_answers_does_not_hide_one_that_does(names: Any) -> None:
    async def test() -> None:
        async with Server(answer_all) as server:
            names(lambda: [deaf, ("127.0.0.1", server.port)])
            url = f"http://server.test:{server.port}/v1"
            backend = backend_for(url)
            asked = asyncio.ensure_future(ask(backend, url))
            await settle()
            assert not asked.done()
            move(1.0)
            assert await asked == (200, b"hi")
            await backend.aclose()

    with deaf_address() as deaf:
        run(test)


def test_an_address_that_refuses_does_not_hide_one_that_answers(names: Any) -> None:
    async def test() -> None:
        async with Server(answer_all) as server:
            names(lambda: [("::1", server.port), ("127.0.0.1", server.port)])
            url = f"http://server.test:{server.port}/v1"
            backend = backend_for(url)
            assert await ask(backend, url) == (200, b"hi")
            await backend.aclose()

    run(test)


def test_the_zone_of_an_address_stays_on_this_machine(names: Any) -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ANSWER)

    async def test() -> None:
        async with Server(answer) as server:
            names(lambda: [("127.0.0.1", server.port)])
            url = f"http://[fe80::1%zone]:{server.port}/v1"
            backend = backend_for(url)
            assert (await ask(backend, url))[0] == 200
            assert f"Host: [fe80::1]:{server.port}\r\n".encode() in heads[0]
            await backend.aclose()

    run(test)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses what it cannot queue")
def test_addresses_that_never_answer_end_with_the_time_for_connecting(names: Any) -> None:
    async def test() -> None:
        names(lambda: [deaf])
        backend = backend_for("http://server.test:1/v1")
        asked = asyncio.ensure_future(ask(backend, "http://server.test:1/v1"))
        while not asked.done():
            await settle()
            move(1.0)
        with pytest.raises(httpx.ConnectTimeout):
            await asked
        await backend.aclose()

    with deaf_address() as deaf:
        run(test)


def test_a_lookup_that_hangs_ends_with_the_time_for_connecting_and_the_next_request_is_sent(names: Any) -> None:
    released = threading.Event()

    async def test() -> None:
        async with Server(answer_all) as server:
            looked_up = names(lambda: [("127.0.0.1", server.port)] if released.wait(60) else [])
            url = f"http://server.test:{server.port}/v1"
            backend = backend_for(url)
            together = [asyncio.ensure_future(ask(backend, url)) for _ in range(3)]
            await settle()
            move(11.0)
            for asked in together:
                with pytest.raises(httpx.ConnectTimeout):
                    await asked
            released.set()
            assert await ask(backend, url) == (200, b"hi")
            assert len(looked_up) == 1
            await backend.aclose()

    try:
        run(test)
    finally:
        released.set()


def test_a_lookup_that_fails_is_an_error_and_made_again_for_the_next_request(names: Any) -> None:
    async def test() -> None:
        async with Server(answer_all) as server:

            def answer() -> list[tuple[str, int]]:
                if len(looked_up) == 1:
                    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
                return [("127.0.0.1", server.port)]

            looked_up: list[str] = names(answer)
            url = f"http://server.test:{server.port}/v1"
            backend = backend_for(url)
            with pytest.raises(httpx.ConnectError, match=r"^Temporary failure in name resolution$"):
                await ask(backend, url)
            assert await ask(backend, url) == (200, b"hi")
            await backend.aclose()

    run(test)


# Uploads --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say what the server has taken")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_request_that_is_taken_slowly_is_no_silence(
    tls: bool, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert f"Content-Length: {len(LARGE)}" in head
        left = len(LARGE)
        while left:
            # What the server's system holds already is no progress that a client can see.
            part = min(left, 200_000)
            await reader.readexactly(part)
            left -= part
            if left > 800_000:
                move(SILENCE * 0.9)
                await settle()
        writer.write(ANSWER)

    async def test() -> None:
        async with Server(slowly, tls=context) as server:
            backend = backend_for(server.url)
            began = asyncio.get_running_loop().time()
            assert await ask(backend, server.url, LARGE) == (200, b"hi")
            assert asyncio.get_running_loop().time() - began > 4 * SILENCE
            await backend.aclose()

    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "server.pem", authority / "server.key")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    run(test)


@pytest.mark.parametrize("taken", [0, 200_000])
def test_a_server_that_takes_no_more_of_a_request_is_silent(taken: int) -> None:
    async def stop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(taken)
        stopped.set()
        await ended.wait()

    async def test() -> None:
        async with Server(stop) as server:
            backend = backend_for(server.url)
            asked = asyncio.ensure_future(ask(backend, server.url, LARGE))
            await stopped.wait()
            await settle()
            for _ in range(2):  # what was taken until the first look was progress
                move(SILENCE + 0.1)
                await settle()
            with pytest.raises(httpx.ReadTimeout, match="silent"):
                await asked
            ended.set()
            await backend.aclose()

    stopped, ended = asyncio.Event(), asyncio.Event()
    run(test)


@pytest.mark.parametrize("way", ["reset", "closed", "cancelled"])
def test_an_upload_that_is_interrupted_costs_its_connection_and_no_other_request(way: str) -> None:
    bodies: list[bytes] = []

    async def first_interrupted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.connections > 1:
            bodies.append(await read_request(reader))
            writer.write(ANSWER)
            await reader.read()
            return
        await reader.readexactly(100_000)
        begun.set()
        if way == "reset":
            writer.transport.abort()
        elif way == "cancelled":
            await reader.read()
            left.set()

    async def test() -> None:
        async with server:
            backend = backend_for(server.url)
            asked = asyncio.ensure_future(ask(backend, server.url, LARGE))
            await begun.wait()
            if way == "cancelled":
                asked.cancel()
                await left.wait()
            with pytest.raises(asyncio.CancelledError if way == "cancelled" else httpx.TransportError):
                await asked
            assert await ask(backend, server.url, LARGE) == (200, b"hi")
            assert (server.connections, bodies) == (2, [LARGE])
            await backend.aclose()

    server, begun, left = Server(first_interrupted), asyncio.Event(), asyncio.Event()
    run(test)


def test_an_answer_is_read_though_the_server_took_only_the_beginning_of_the_request() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.write(ANSWER.replace(b"200 OK", b"413 Too Large\r\nConnection: close"))

    async def test() -> None:
        async with server:
            backend = backend_for(server.url)
            for number in (1, 2):
                assert await ask(backend, server.url, LARGE) == (413, b"hi")
                assert server.connections == number
            await backend.aclose()

    server = Server(refuse)
    run(test)


# Idle connections -----------------------------------------------------------------------------------------------------


def test_an_idle_connection_is_used_again_for_fifteen_seconds_and_then_closed() -> None:
    ends: list[int] = []

    async def note_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = server.connections
        try:
            await answer_all(reader, writer)
        finally:
            ends.append(number)

    async def test() -> None:
        async with server:
            backend = backend_for(server.url)
            for seconds, connections in ((0, 1), (14, 1), (14, 1)):
                move(seconds)
                assert await ask(backend, server.url) == (200, b"hi")
                assert server.connections == connections
            move(16)  # a request comes before the sweep
            assert await ask(backend, server.url) == (200, b"hi")
            assert server.connections == 2
            await settle()
            assert ends == [1]
            for _ in range(2):  # the sweep that was due looks when the next is due
                move(16)
                await settle()
            assert ends == [1, 2]
            await backend.aclose()

    server = Server(note_end)
    run(test)


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "while the loop was busy"])
def test_a_request_after_the_server_closed_an_idle_connection_is_sent_once_on_a_new_one(seen: bool) -> None:
    requests: list[bytes] = []
    answered, closed = threading.Semaphore(0), threading.Event()

    def serve() -> None:
        for number in range(2):
            connection, _ = listening.accept()
            with connection:
                requests.append(connection.recv(65536))
                connection.sendall(ANSWER)
                if number == 0:
                    answered.acquire()
            closed.set()

    async def test() -> None:
        backend = backend_for(url)
        assert await ask(backend, url) == (200, b"hi")
        answered.release()
        assert closed.wait(10)  # the loop does not run meanwhile
        move(5.0)
        if seen:
            await settle()
        assert await ask(backend, url) == (200, b"hi")
        assert len(requests) == 2
        await backend.aclose()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        run(test)
        thread.join(10)
