"""Network failures: each is reported by its own error, and none contains the key."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deluge_nb import LLMClient
from deluge_nb.transport.aiohttp_backend import proxy_for
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


def test_a_compressed_answer_is_read() -> None:
    packed = gzip.compress(BODY)
    response = asked(lambda connection: connection.sendall(head(length=len(packed), Content_Encoding="gzip") + packed))
    assert response.completion == "Hello"


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


def test_a_reply_that_is_not_http_is_an_error_of_the_server() -> None:
    response = asked(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert response.is_error
    assert "internal error" not in response.error_message


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://api.example/v1", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://api.example/v1", "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "https://api.example/v1", "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, "https://api.example/v1", None),
        ({"ALL_PROXY": "http://proxy:1"}, "https://api.example/v1", "http://proxy:1"),
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
