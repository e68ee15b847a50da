"""A faulty server for tests: it writes HTTP by hand, so it can break off at any byte."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

from tests.openai_server import Seen, chat, says

Step = bytes | float | Literal["reset"]
"""Bytes to send, seconds to wait, or a connection to reset."""
Answers = Callable[[Seen, int], Sequence[Step]]


class FaultServer:
    """Server that answers each request with the steps that :attr:`answer` returns for it and its number."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.answer: Answers = lambda seen, number: good(seen)
        self.open = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            # A cancelled handler would be reported as a failure of the server.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer_next(reader, writer):
                    pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer_next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in fields}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(json.loads(body or b"{}"), headers, head[0].split(" ")[1])
        self.seen.append(seen)
        for step in self.answer(seen, len(self.seen) - 1):
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif step == "reset":
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            else:
                assert isinstance(step, float)
                await asyncio.sleep(step)
        return headers.get("connection") != "close"


def reply(body: Any = b"", status: int = 200, *, kind: str | None = "application/json", **headers: str) -> list[Step]:
    """Return a whole reply; ``retry_after="1"`` becomes a header."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}"]
    lines += [f"content-type: {kind}"] if kind else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode("latin-1") + content]


def good(seen: Seen) -> list[Step]:
    """Return an answer that repeats the question."""
    return reply(chat(seen, says(seen.question)))


def compressed(seen: Seen) -> list[Step]:
    """Return an answer that repeats the question, compressed with gzip."""
    return reply(gzip.compress(json.dumps(chat(seen, says(seen.question))).encode()), content_encoding="gzip")


def slowly(steps: Sequence[Step], pause: float) -> list[Step]:
    """Return the reply byte by byte, with a pause of some seconds after each."""
    whole = b"".join(step for step in steps if isinstance(step, bytes))
    return [part for byte in whole for part in (bytes([byte]), pause)]


def cut(steps: Sequence[Step], share: float, end: Step | None = "reset") -> list[Step]:
    """Return the first ``share`` of a reply, and then the end of the connection."""
    whole = b"".join(step for step in steps if isinstance(step, bytes))
    return [whole[: int(len(whole) * share)], *([end] if end is not None else [])]


@contextmanager
def running() -> Iterator[FaultServer]:
    """Run a fault server on a free port of this machine, and stop it at the end."""
    fault_server = FaultServer()
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(fault_server._serve, "127.0.0.1", 0)
        fault_server.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        started.set()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    started.wait(10)

    async def end() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield fault_server
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
