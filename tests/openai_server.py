"""A small server of the OpenAI chat API, which tests reach over a real socket."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

Distribution = Mapping[str, float]
Says = Sequence[tuple[str, Distribution]]
"""The tokens of an answer, each with the model's probabilities at its position."""


@dataclass
class Reply:
    """The reply of the server to one request."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    pieces: Sequence[bytes] | None = None
    """The body of a stream, piece by piece."""
    held: Callable[[int], bool] = lambda index: False
    """Callback that returns True while the piece of an index must wait."""

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Seen:
    """A request as it arrived."""

    body: dict[str, Any]
    headers: dict[str, str]
    path: str
    port: int = 0
    """The other end of the connection."""

    @property
    def question(self) -> str:
        return str(self.body["messages"][-1]["content"])


Answers = Callable[[Seen, int], Reply]


class ChatServer:
    """Server that answers ``POST …/chat/completions`` with the result of :attr:`answer` for request and number."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self.in_flight = 0
        self.most_in_flight = 0
        self.answer: Answers = lambda seen, number: Reply(chat(seen, says("Hello", " there")))

    def always(self, *tokens: tuple[str, Distribution]) -> None:
        """Give every request the same answer."""
        self.answer = lambda seen, number: Reply(chat(seen, tokens))

    async def _handle(self, request: Request) -> Response:
        port = request.client.port if request.client else 0
        seen = Seen(await request.json(), dict(request.headers), request.url.path, port)
        self.seen.append(seen)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reply = self.answer(seen, len(self.seen) - 1)
            if reply.delay:
                await asyncio.sleep(reply.delay)
            headers = {"content-type": "application/json", **reply.headers}
            if reply.pieces is not None:
                headers["content-type"] = reply.headers.get("content-type", "text/event-stream")
                return StreamingResponse(_send_pieces(reply), status_code=reply.status, headers=headers)
            return Response(reply.encoded(), status_code=reply.status, headers=headers)
        finally:
            self.in_flight -= 1


async def _send_pieces(reply: Reply) -> AsyncIterator[bytes]:
    for index, piece in enumerate(reply.pieces or ()):
        while reply.held(index):  # noqa: ASYNC110 - the condition changes in another thread
            await asyncio.sleep(0.005)
        yield piece


def chunks(seen: Seen, tokens: Says, *, finish: str = "stop") -> list[bytes]:
    """Return the completion of :func:`chat` as the events of a stream."""
    whole = chat(seen, tokens, finish=finish)
    table = whole["choices"][0]["logprobs"]
    common = {"id": whole["id"], "object": "chat.completion.chunk", "model": whole["model"]}

    def chunk(delta: dict[str, Any], rows: Any, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": rows, "finish_reason": reason}
        return {**common, "choices": [choice], "usage": None}

    no_rows: dict[str, Any] | None = {"content": [], "refusal": None} if table else None
    events = [chunk({"role": "assistant", "content": "", "refusal": None}, no_rows)]
    for position, (text, _) in enumerate(tokens):
        rows = {"content": [table["content"][position]], "refusal": None} if table else None
        events.append(chunk({"content": text}, rows))
    events.append(chunk({}, None, finish))
    if (seen.body.get("stream_options") or {}).get("include_usage"):
        events.append({**common, "choices": [], "usage": whole["usage"]})
    return [*map(event, events), b"data: [DONE]\n\n"]


def event(data: Any) -> bytes:
    """Encode data as a server-sent event."""
    return b"data: %b\n\n" % json.dumps(data).encode()


def says(*texts: str, p: float = 0.9) -> list[tuple[str, Distribution]]:
    """Return tokens with probability ``p``, each with a less probable alternative."""
    return [(text, {text: p, f"{text}?": (1 - p) / 2}) for text in texts]


def entry(token: str, probability: float) -> dict[str, Any]:
    """Return a token as the API writes it."""
    return {"token": token, "logprob": math.log(probability), "bytes": list(token.encode())}


def chat(seen: Seen, tokens: Says, *, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """Return a chat completion, with the log-probabilities that the request asks for."""
    with_logprobs, k = seen.body.get("logprobs"), seen.body.get("top_logprobs") or 0
    content = [
        {
            **entry(text, distribution[text]),
            "top_logprobs": [entry(*pair) for pair in sorted(distribution.items(), key=lambda pair: -pair[1])[:k]],
        }
        for text, distribution in tokens
    ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": f"{seen.body['model']}-2026",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "".join(text for text, _ in tokens),
                    "refusal": None,
                    **message,
                },
                "logprobs": {"content": content, "refusal": None} if with_logprobs else None,
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": len(tokens), "total_tokens": 9 + len(tokens)},
    }


def error(message: str, *, status: int, code: str | None = None, **headers: str) -> Reply:
    """Return an error as OpenAI writes it; ``retry_after="2"`` becomes a header."""
    body = {"error": {"message": message, "type": "server_error", "code": code}}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


class _Server(uvicorn.Server):
    """Uvicorn's server, but it stops listening at once; the original polls a flag and takes 0.2 s."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening, self.closed = threading.Event(), threading.Event()

    async def main_loop(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        await self.on_tick(0)
        self.listening.set()
        await self._end.wait()
        for server in self.servers:
            server.close()
        self.closed.set()

    def close(self) -> None:
        """Stop listening; do not wait for the thread of the server."""
        self.force_exit = True
        self._loop.call_soon_threadsafe(self._end.set)
        self.closed.wait(5)


@contextmanager
def running() -> Iterator[ChatServer]:
    """Run a server on a free port of this machine, and stop it at the end."""
    chat_server = ChatServer()
    app = Starlette(routes=[Route("/{rest:path}", chat_server._handle, methods=["POST"])])
    # asyncio sends small pieces at once only if the socket says explicitly that it is TCP.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    assert server.listening.wait(60)
    chat_server.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    try:
        yield chat_server
    finally:
        server.close()
