"""What a server sends without end is read within limits of memory and of time."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import textwrap
import threading
import zlib
from ast import literal_eval
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache

import pytest

from deluge_nb import LLMClient, RequestError
from deluge_nb.transport.body.reading import MAX_REPLY_SIZE

pytestmark = pytest.mark.slow

# The client under test reads at most 8 MB of an answer, in place of 64, and servers send at most 40.
LIMIT, ALL = 8 << 20, 40 << 20
CHUNK = 1 << 16
OK = b"HTTP/1.1 200 OK\r\n"
STREAM = OK + b"Content-Type: text/event-stream\r\n\r\n"
PLAIN = OK + b"Content-Type: application/json\r\n\r\n"
DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"a%b"}}]}\n\n' % (b"a" * 400)
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
REPLY = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'


def pack(parts: Iterator[bytes], bits: int = 31) -> bytes:
    """Return some parts packed with gzip."""
    packer = zlib.compressobj(6, wbits=bits)
    return b"".join([*map(packer.compress, parts), packer.flush()])


@cache
def bomb(times: int = 1, part: bytes = b" " * (1 << 20), bits: int = 31) -> bytes:
    """Return five times the limit, packed."""
    return pack(itertools.repeat(part, ALL // len(part)) if times == 1 else iter([bomb(times - 1)]), bits)


def coded(body: bytes, coding: bytes) -> list[bytes]:
    return [OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(body)) + body]


def endless(begin: bytes, part: bytes) -> Iterator[bytes]:
    """Yield a beginning, and then a part until the client hangs up (40 MB at most)."""
    block = part * max(1, CHUNK // len(part))
    return itertools.chain([begin], itertools.repeat(block, ALL // len(block)))


# What is sent, and what the response's message has; None where there is an answer.
GROWS: dict[str, tuple[Callable[[], Iterator[bytes] | list[bytes]], str | None]] = {
    "status line": (lambda: endless(b"HTTP/1.1 200 ", b"x"), "could not be reached"),
    "header line": (lambda: endless(OK + b"X-Long: ", b"x"), "could not be reached"),
    "header name": (lambda: endless(OK, b"x"), "could not be reached"),
    "headers": (lambda: endless(OK, b"X-Many: x\r\n"), "could not be reached"),
    "1xx": (lambda: endless(b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), "longer than 64 kB"),
    "1xx with headers": (
        lambda: endless(b"\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        "longer than 64 kB",
    ),
    "trailer line": (
        lambda: endless(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Long: ", b"x"),
        "longer than 64 kB",
    ),
    "body": (lambda: endless(PLAIN, b" "), "longer than 8 MB"),
    "body in brackets": (lambda: endless(PLAIN, b"["), "longer than 8 MB"),
    "body in objects": (lambda: endless(PLAIN + b"[", b"{},"), "longer than 8 MB"),
    "body in lines": (lambda: endless(PLAIN, b'{"a": "%b"}\n' % (b"x" * 99)), "longer than 8 MB|the time was up"),
    "body in pieces": (
        lambda: endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nab\r\n"),
        "still coming|longer than 8 MB|no JSON",
    ),
    "white space after the body": (lambda: endless(PLAIN + REPLY, b" "), None),
    "white space, then nothing": (lambda: [PLAIN + REPLY + b"\n", b""], None),
    "error body": (lambda: endless(b"HTTP/1.1 400 Bad\r\n\r\n", b"x"), "answered 400"),
    "error body in brackets": (
        lambda: [b"HTTP/1.1 400 Bad\r\nContent-Length: 100000\r\n\r\n", b"[" * 100_000],
        "nested",
    ),
    "gzip": (lambda: coded(bomb(), b"gzip"), "longer than 8 MB"),
    "gzip without its header": (lambda: [PLAIN + bomb()], "longer than 8 MB"),
    "deflate": (lambda: coded(bomb(bits=15), b"deflate"), "longer than 8 MB"),
    "gzip twice": (lambda: coded(bomb(2), b"gzip, gzip"), "packed 2 times"),
    "gzip three times": (lambda: coded(bomb(3), b"gzip,gzip , x-gzip"), "packed 3 times"),
    "another coding": (lambda: coded(b"\x0b\x02\x80", b"br"), "coding 'br', which was not asked for"),
    "empty members of gzip": (lambda: coded(pack(iter([b""])) * 100_000, b"gzip"), "in more than 100 parts"),
    "stream line": (lambda: endless(STREAM, b"x" * CHUNK), "no JSON"),
    "stream data": (lambda: endless(STREAM + b"data: ", b"x"), "longer than 8 MB"),
    "stream data lines": (lambda: endless(STREAM, b"data: x\n"), "longer than 8 MB|still coming|no JSON"),
    "stream comment": (lambda: endless(STREAM + b": ", b"x"), "longer than 8 MB|still coming"),
    "stream comments": (lambda: endless(STREAM, b": x\n\n"), "longer than 8 MB|still coming"),
    "stream pings": (lambda: endless(STREAM, b"event: ping\ndata:\n\n"), "longer than 8 MB|still coming"),
    "stream events": (lambda: endless(STREAM, DELTA), "longer than 8 MB|still coming|the time was up"),
    "packed stream": (
        lambda: [STREAM[:-2] + b"Content-Encoding: gzip\r\n\r\n" + bomb(1, b": x\n" * 65536)],
        "longer than 8 MB|still coming",
    ),
    "comments after the end": (lambda: endless(STREAM + DELTA + FINISH + DONE, b": x\n\n"), None),
    "comments after the finish": (lambda: endless(STREAM + DELTA + FINISH, b": x\n\n"), None),
    "text after the end": (lambda: endless(STREAM + DELTA + FINISH + DONE, b"x"), None),
    "silence after the end": (lambda: [STREAM + DELTA + FINISH + DONE, b""], None),
    "silence after the finish": (lambda: [STREAM + DELTA + FINISH, b""], None),
}

# A byte now and then, so that no silence is ever longer than the time-out.
DRIPS = {
    "status line": b"HTTP/1.1 200 OK" + b"K" * 1000,
    "headers": OK + b"X-Slow: " + b"x" * 1000,
    "body": PLAIN + b'{"choices": "' + b"x" * 1000,
    "stream line": STREAM + b"data: " + b"x" * 1000,
    "stream comments": STREAM + b":\n" * 1000,
}


@contextmanager
def server(parts: Callable[[], Iterator[bytes] | list[bytes]], pause: float = 0.0) -> Iterator[str]:
    """Run a server that sends the parts; an empty one is a silence until the client hangs up."""
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(CHUNK)
            for part in parts():
                if ended.is_set():
                    return
                if part:
                    connection.sendall(part)
                else:
                    connection.recv(1)
                if pause:
                    ended.wait(pause)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while not ended.is_set():
                connection, _ = listening.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        ended.set()
        socket.create_connection(listening.getsockname()).close()
        thread.join(5)


CLIENT = """
    import re, resource, sys
    from deluge_nb import LLMClient
    from deluge_nb.transport import http
    from deluge_nb.transport.body import reading
    http.MAX_REPLY_SIZE = reading.MAX_REPLY_SIZE = int(sys.argv[1])

    def peak():
        with open("/proc/self/status") as status:
            return int(re.search(r"VmHWM:\\s*(\\d+)", status.read())[1])

    for line in sys.stdin:
        url, way, timeout = line.split()
        client = LLMClient("m", base_url=url, timeout=float(timeout), max_attempts=1)
        with open("/proc/self/clear_refs", "w") as peaks:
            peaks.write("5")
        before = peak()
        if way == "plain":
            response = client.process_prompts_sync(["?"], show_progress=False)[0]
        else:
            stream = client.stream("?")
            try:
                for _ in stream:
                    pass
            except Exception:
                pass
            response = stream.response
        text = response.completion
        print(peak() - before >> 10, type(response.error).__name__, repr(text and text[:9]))
        print(repr(response.error_message), flush=True)
        client.close()
"""
# Megabytes: an answer of 8 MB is joined, split and read.
MOST = 96


@pytest.fixture(scope="module")
def client() -> Iterator[subprocess.Popen[str]]:
    """Run one client for all rows, in a process of its own: its peak of memory is set back before each."""
    command = [sys.executable, "-c", textwrap.dedent(CLIENT), str(LIMIT)]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def run_client(client: subprocess.Popen[str], url: str, way: str, timeout: float) -> tuple[int, str, str]:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(f"{url} {way} {timeout}\n")
    client.stdin.flush()
    grown, kind, completion = client.stdout.readline().split(" ", 2)
    assert kind in ("NoneType", "RequestError", "MalformedResponseError"), kind
    return int(grown), literal_eval(client.stdout.readline()) or "", literal_eval(completion) or ""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in Linux's way")
@pytest.mark.parametrize("way", ["plain", "stream"])
@pytest.mark.parametrize("what", GROWS)
def test_what_never_ends_takes_neither_the_memory_nor_the_time(
    client: subprocess.Popen[str], what: str, way: str
) -> None:
    parts, reason = GROWS[what]
    parts()  # packed before the time begins
    with server(parts) as url:
        grown, message, completion = run_client(client, url, way, 1)
    assert grown < MOST, f"{grown} MB: {message}"
    if reason is None:
        assert not message
        assert completion in ("a", "a" * 9)
    else:
        assert any(part in message for part in reason.split("|")), message


def test_the_limit_of_an_answer_is_64_megabytes() -> None:
    assert MAX_REPLY_SIZE == 64 << 20


def test_what_comes_byte_by_byte_ends_after_ten_times_the_timeout() -> None:
    def ask(what: str, way: str) -> str:
        with server(lambda: [bytes([byte]) for byte in DRIPS[what]], pause=0.1) as url:
            own = LLMClient("m", base_url=url, timeout=1, max_attempts=1)
            if way == "plain":
                return own.process_prompts_sync(["?"], show_progress=False)[0].error_message or ""
            with own.stream("?") as stream, suppress(RequestError):
                list(stream)
            assert stream.response is not None
            return stream.response.error_message or ""

    # At the same time: each takes ten seconds.
    rows = list(itertools.product(DRIPS, ["plain", "stream"]))
    with ThreadPoolExecutor(len(rows)) as pool:
        messages = list(pool.map(ask, *zip(*rows, strict=True)))
    for row, message in zip(rows, messages, strict=True):
        assert "still coming after 10 seconds" in message or "the time was up" in message, row
