"""Network failures: each is reported by its own error, and none contains the key."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import LLMClient
from deluge_nb.transport import portal
from deluge_nb.transport.network.connection import Connection
from deluge_nb.transport.network.direct import DirectBackend
from deluge_nb.transport.network.proxies import proxy_for
from deluge_nb.transport.wire import Timeouts
from tests.openai_server import Seen, chat, says

KEY = "sk-network-0123456789"
BODY = json.dumps(chat(Seen({"model": "m"}, {}, ""), says("Hello"))).encode()


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that calls `answer` with the connection of each request."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                connection, _ = listening.accept()
                with connection:
                    if ended.is_set():
                        return
                    connection.recv(65536)
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        ended.set()
        # Only Linux can wake a thread that waits for a connection in another way.
        socket.create_connection(listening.getsockname()).close()
        thread.join(timeout=5)


def asked(answer: Callable[[socket.socket], None], max_attempts: int = 1) -> Any:
    with raw_server(answer) as url:
        client = LLMClient("m", base_url=url, api_key=KEY, max_attempts=max_attempts)
        response = client.process_prompts_sync(["Hi"], show_progress=False)[0]
        client.close()
    if response.error is not None:
        trace = traceback.TracebackException.from_exception(response.error, capture_locals=True)
        assert KEY not in "".join(trace.format())
        assert response.error.__context__ is None
    return response


def head(status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(BODY) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_connection_closed_without_an_answer_is_no_time_out() -> None:
    response = asked(lambda connection: None)
    assert "closed the connection without an answer" in response.error_message


def test_a_connection_cut_in_the_middle_of_an_answer_is_reported_as_cut() -> None:
    response = asked(lambda connection: connection.sendall(head() + BODY[:50]))
    assert "ended in the middle of the answer" in response.error_message


def test_a_cut_connection_is_tried_again() -> None:
    sent: list[int] = []

    def answer(connection: socket.socket) -> None:
        sent.append(1)
        connection.sendall(head() + (BODY[:50] if len(sent) == 1 else BODY))

    assert asked(answer, max_attempts=3).completion == "Hello"
    assert len(sent) == 2


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15, strategy=zlib.Z_FIXED)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("packed", "headers"),
    [
        (gzip.compress(BODY), {"Content_Encoding": "gzip"}),
        (gzip.compress(BODY), {}),
        (gzip.compress(BODY), {"Content_Encoding": "identity"}),
        (raw_deflate(b"\xef\xbb\xbf" + BODY), {"Content_Encoding": "deflate"}),
    ],
    ids=["gzip", "without its header", "under another name", "with the first byte of a document"],
)
def test_a_compressed_answer_is_read(packed: bytes, headers: dict[str, str]) -> None:
    for cut in (1, len(packed)):

        def answer(connection: socket.socket, cut: int = cut) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(head(length=len(packed), **headers) + packed[:cut])
            connection.sendall(packed[cut:])

        assert asked(answer).completion == "Hello"


def test_a_wrong_content_type_does_not_matter() -> None:
    assert asked(lambda c: c.sendall(head(Content_Type="text/html") + BODY)).completion == "Hello"


def test_a_redirect_is_not_followed_and_the_key_goes_nowhere() -> None:
    elsewhere: list[bytes] = []

    def other(connection: socket.socket) -> None:
        elsewhere.append(b"asked")

    with raw_server(other) as target:
        response = asked(lambda c: c.sendall(head("307 Temporary Redirect", 0, Location=target)))
    assert response.status_code == 307
    assert not elsewhere


PIECES = b"Transfer-Encoding: chunked\r\n\r\n"


def chunked(body: bytes, size: int = 40, extension: bytes = b"", behind: bytes = b"") -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n" + behind + b"\r\n"


LENGTH = b"Content-Length: %d\r\n" % len(BODY)
WHOLE = {
    "with bytes behind it": head() + BODY + b"and more",
    "with another reply behind it": head() + BODY + head() + BODY,
    "with a line of white space before it": b"\r\n" + head() + BODY,
    "after interim replies": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    + head()
    + BODY,
    "without carriage returns": head().replace(b"\r", b"") + BODY,
    "with a header over two lines": b"HTTP/1.1 200 OK\r\nX-Long: a\r\n  b\r\n" + LENGTH + b"\r\n" + BODY,
    "with headers of odd characters": b"HTTP/1.1 200 \xc3\xa9\r\nX: \xff\x01\0\r\nY:\r\n" + LENGTH + b"\r\n" + BODY,
    "with an offer of another protocol": head(Connection="Upgrade, Keep-Alive", Upgrade="h2,h2c") + BODY,
    "without a reason": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + BODY,
    "until the connection ends": b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
    "of the first version": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + BODY,
    "in chunks": b"HTTP/1.1 200 OK\r\n" + PIECES + chunked(BODY),
    "in chunks of a byte": b"HTTP/1.1 200 OK\r\n" + PIECES + chunked(BODY, 1),
    "in chunks with more to say": b"HTTP/1.1 200 OK\r\n" + PIECES + chunked(BODY, 99, b";a=b", b"X-Sum: 1\r\n"),
    "in chunks and with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + PIECES + chunked(BODY),
    "in chunks of padded lengths": b"HTTP/1.1 200 OK\r\n" + PIECES + chunked(BODY, 99, b"  "),
    "in chunks, said twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + PIECES + chunked(BODY),
    "in chunks of gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n" + chunked(gzip.compress(BODY)),
    "until the connection ends, in a coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_reply_is_read_in_every_form_and_however_it_is_cut(name: str) -> None:
    whole = WHOLE[name]
    for cut in {len(whole), 1, 9, 30, len(whole) - len(BODY), len(whole) - 3}:

        def answer(connection: socket.socket, cut: int = cut) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(whole[:cut])
            connection.sendall(whole[cut:])

        response = asked(answer)
        assert response.completion == "Hello", (cut, response.error_message)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it begins with 'SSH-2.0-OpenSSH_9.2'"),
        (b"HTTP/2 200\r\n\r\n", "it begins with 'HTTP/2 200'"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "if it speaks TLS, write https:// in place of http://"),
        (b"HTTP/1.1 OK\r\n\r\n", "Invalid status code; it begins with 'HTTP/1.1 OK'"),
        (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "Invalid header token"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "Duplicate Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Invalid character in Content-Length"),
        (b"HTTP/1.1 200 OK\r\n" + PIECES + b"ten\r\n", "Invalid character in chunk size"),
        (b"HTTP/1.1 200 OK\r\n" + PIECES + b"-5\r\n", "Invalid character in chunk size"),
        (b"HTTP/1.1 200 OK\r\n" + PIECES + b"2\r\nabc\r\n", "Expected LF after chunk data"),
        (b"HTTP/1.1 200 OK\r\n" + PIECES + b"0\r\nX: " + b"x" * (65 << 10), "longer than 64 kB"),
        (b"HTTP/1.1 200 OK\r\n" + PIECES + b"0\r\n" + b"X: x\r\n" * (11 << 10), "longer than 64 kB"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * (3 << 10), "longer than 64 kB"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nab", "in the middle of the answer"),
        (b"HTTP/1.1 200 OK\r\n" + PIECES + b"2\r\nab\r\n", "in the middle of the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "in the middle of the answer"),
    ],
)
def test_a_reply_that_is_not_http_is_an_error_of_the_server(reply: bytes, reason: str) -> None:
    response = asked(lambda connection: connection.sendall(reply))
    assert reason in response.error_message
    assert "internal error" not in response.error_message


@pytest.mark.parametrize(
    ("reply", "connections"),
    [
        (head() + BODY, 1),
        (b"HTTP/1.1 200 OK\r\n" + PIECES + chunked(BODY), 1),
        (head(Connection="close") + BODY, 2),
        (head().replace(b"1.1", b"1.0") + BODY, 2),
        (head().replace(b"1.1", b"1.0")[:-2] + b"Connection: Keep-Alive\r\n\r\n" + BODY, 1),
        (head() + BODY + b"and more", 2),
        (head() + BODY + b"HTTP/1.1 200", 2),
        (head() + BODY + b"\r\n", 1),
        (head("500 Oh") + BODY, 1),
    ],
)
def test_a_connection_is_used_again_where_the_server_keeps_it(reply: bytes, connections: int) -> None:
    opened: list[int] = []

    def answer(connection: socket.socket) -> None:
        opened.append(1)
        connection.sendall(reply)
        while connection.recv(65536):
            connection.sendall(reply)

    with raw_server(answer) as url:
        client = LLMClient("m", base_url=url.replace("127.0.0.1", "localhost"), max_attempts=1)
        responses = [client.process_prompts_sync(["Hi"], show_progress=False)[0] for _ in range(2)]
        client.close()
    assert len(opened) == connections
    assert all(response.completion == "Hello" or response.status_code == 500 for response in responses)


def test_a_header_cannot_hold_a_line_break() -> None:
    async def send() -> None:
        backend = DirectBackend("http://127.0.0.1:9/v1", Timeouts(1, 1))
        await backend.send("POST", "http://127.0.0.1:9/v1/x", {"X-Own": "a\r\nX-Other: b"}, b"{}")

    with pytest.raises(ValueError, match="line break"):
        portal.run(send())


class Wire(asyncio.Transport):
    """Transport of a connection whose bytes are fed to it."""

    is_closed = is_paused = False

    def write(self, data: Any) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_closed = True


@given(st.binary(max_size=60), st.integers(1, 20), st.lists(st.integers(1, 9), max_size=80), st.booleans())
def test_chunks_are_read_however_they_arrive(body: bytes, size: int, lengths: list[int], has_more: bool) -> None:
    async def read() -> tuple[bytes, bool]:
        connection, at = Connection(5.0, lambda connection: None), 0
        connection.connection_made(Wire())
        connection.begin(b"")
        written = b"HTTP/1.1 200 OK\r\n" + PIECES + chunked(body, size, b";x", b"A: b\r\n") + b"HTTP" * has_more
        for length in (*lengths, len(written)):
            if part := written[at : at + length]:
                connection.data_received(part)
                at += len(part)
        assert (await connection.head()).headers == [(b"Transfer-Encoding", b"chunked")]
        parts = list[bytes]()
        while part := await connection.piece():
            parts.append(part)
        return b"".join(parts), connection.finish()

    assert asyncio.run(read()) == (body, not has_more)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://api.example/v1", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://api.example/v1", "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "https://api.example/v1", "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, "https://api.example/v1", None),
        ({"ALL_PROXY": "http://proxy:1"}, "https://api.example/v1", "http://proxy:1"),
        ({"HTTPS_PROXY": " ", "ALL_PROXY": " http://proxy:1\t"}, "https://api.example/v1", "http://proxy:1"),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "api.example"}, "https://api.example/v1", None),
    ],
)
def test_a_proxy_set_in_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, proxy: str | None
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(url)
    assert (found and found.address.get_secret_value()) == proxy


@pytest.mark.slow
def test_more_prompts_may_be_under_way_than_a_pool_usually_holds() -> None:
    from tests import openai_server
    from tests.openai_server import Reply

    with openai_server.running() as server:
        server.answer = lambda seen, number: Reply(chat(seen, says("x")), delay=1.0)
        client = LLMClient("m", base_url=server.url, max_concurrent_requests=150)
        client.process_prompts_sync(["Hi"] * 150, show_progress=False)
        assert server.most_in_flight > 100


class Elsewhere:
    """Transport of another event loop, such as uvloop's, which is of no class of asyncio."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_a_connection_takes_the_transport_of_any_event_loop() -> None:
    connection = Connection(5.0, lambda connection: None)
    with raw_server(lambda sock: None) as url:
        address = urlsplit(url)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, address.hostname or "", address.port or 0)
        connection.connection_made(cast(asyncio.Transport, Elsewhere(transport)))
        assert connection.is_open
        connection.close()
        assert transport.is_closing()
        await asyncio.sleep(0)  # in which the loop closes it
