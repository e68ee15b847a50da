"""A chat server that costs next to nothing: bodies made beforehand, a fixed delay, and no framework.

Run as a process of its own; prints its port. The bodies have 64 tokens with 20 alternatives each, or as many tokens as
the first argument says; the second is the delay in seconds, and the third the number of alternatives. Bodies of one
token answer yes or no. With a fourth argument, the server takes this number of requests a second and refuses more; half
a second's worth may come at once.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys

TOKENS = int(sys.argv[1]) if len(sys.argv) > 1 else 64
DELAY = float(sys.argv[2]) if len(sys.argv) > 2 else 0.02
ALTERNATIVES = int(sys.argv[3]) if len(sys.argv) > 3 else 20
LIMIT = int(sys.argv[4]) if len(sys.argv) > 4 else None
VOCABULARY, BODIES = 3343, 32
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def body(source: random.Random) -> bytes:
    """Return a reply as OpenAI's API writes it."""
    words = [f" word{number}" for number in range(VOCABULARY)]
    if TOKENS == 1:
        words[8:] = words[: max(ALTERNATIVES - 8, 0)]
        words[:8] = ["Yes", "No", " Yes", " No", "Maybe", "Not", "It", "Well"]
    content = []
    for _ in range(TOKENS):
        weights = sorted((source.random() ** 4 + 1e-9 for _ in range(ALTERNATIVES)), reverse=True)
        total = sum(weights) * 1.05
        top = [
            {"token": word, "logprob": math.log(weight / total), "bytes": list(word.encode())}
            for word, weight in zip(source.sample(words, ALTERNATIVES), weights, strict=True)
        ]
        content.append({**top[0], "top_logprobs": top})
    message = {"role": "assistant", "content": "".join(entry["token"] for entry in content), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": {"content": content, "refusal": None}}
    reply = {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "mock",
        "choices": [{**choice, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 8, "completion_tokens": TOKENS, "total_tokens": 8 + TOKENS},
    }
    return json.dumps(reply).encode()


class Server(asyncio.Protocol):
    """Protocol that answers each request on a connection after the delay."""

    replies: list[bytes]
    turn = 0
    allowance = counted = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of a new connection."""
        self.transport = transport
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        """Find the ends of requests by their Content-Length."""
        self.waiting += data
        while True:
            head, found, rest = self.waiting.partition(b"\r\n\r\n")
            if not found:
                return
            length = 0
            for line in head.split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(rest) < length:
                return
            self.waiting = rest[length:]
            if LIMIT is not None and self.is_refused(LIMIT):
                self.transport.write(REFUSAL)  # type: ignore[attr-defined]
            else:
                asyncio.get_running_loop().call_later(DELAY, self.answer)

    def is_refused(self, limit: int) -> bool:
        """Count a request, and return whether it is one too many."""
        now = asyncio.get_running_loop().time()
        Server.allowance = min(Server.allowance + (now - Server.counted) * limit, limit / 2)
        Server.counted = now
        if Server.allowance < 1:
            return True
        Server.allowance -= 1
        return False

    def answer(self) -> None:
        """Send the next of the prepared replies."""
        Server.turn += 1
        if not self.transport.is_closing():
            self.transport.write(self.replies[Server.turn % BODIES])  # type: ignore[attr-defined]


async def main() -> None:
    """Serve until killed."""
    source = random.Random(7)
    bodies = [body(source) for _ in range(BODIES)]
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    Server.replies = [head.format(len(body)).encode() + body for body in bodies]
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
