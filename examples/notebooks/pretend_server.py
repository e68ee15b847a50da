"""A server that plays a model for the notebook *Fifty thousand rows*: it speaks the chat API and counts its answers.

Its numbers are invented: it thinks that a message is a complaint where it reads certain words, and is unsure of some.
The first request of every hundredth row is refused, as by a busy server. Run it as a process of its own; it prints its
port. ``GET /count`` returns the number of answers so far. It ends with the process that started it, or with Ctrl-D.
"""

import asyncio
import contextlib
import json
import math
import random
import re
import sys
from typing import Any, ClassVar

BAD = re.compile("broke|late|rude|wrong")
OTHERS = [
    "Maybe",
    "It",
    "This",
    "Sure",
    "Well",
    "Not",
    "Perhaps",
    "Probably",
    "The",
    "Based",
    "As",
    "In",
    "I",
    "A",
    "That",
    "So",
    "But",
    "Hmm",
]
DELAY = 0.01


def share(text: str) -> float:
    """Return the invented probability that a message is a complaint."""
    sure = random.Random(text).betavariate(5, 1.5)
    return sure if BAD.search(text) else 1 - sure


class Model(asyncio.Protocol):
    """One connection."""

    answers = 0
    refused: ClassVar[set[str]] = set()

    def connection_made(self, transport: Any) -> None:
        """Keep the transport of a new connection."""
        self.transport, self.waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer every request that has arrived as a whole."""
        self.waiting += data
        while b"\r\n\r\n" in self.waiting:
            head, _, rest = self.waiting.partition(b"\r\n\r\n")
            size = re.search(rb"(?i)content-length: *(\d+)", head)
            length = int(size[1]) if size else 0
            if len(rest) < length:
                return
            self.waiting = rest[length:]
            if head.startswith(b"GET"):
                self.answer(200, {"answers": Model.answers})
            else:
                asyncio.get_running_loop().call_later(DELAY, self.answer, *self.reply(json.loads(rest[:length])))

    def reply(self, body: Any) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        text = body["messages"][-1]["content"]
        row = re.search(r"Order (\d+)", text)
        if row and row[1].endswith("07") and row[1] not in Model.refused:
            Model.refused.add(row[1])
            return 503, {"error": {"message": "The model is busy."}}
        Model.answers += 1
        p = share(text)
        shares = [(0.98 * p, "Yes"), (0.98 * (1 - p), "No"), *((0.01 / 2**i, word) for i, word in enumerate(OTHERS))]
        top = [{"token": word, "logprob": math.log(q), "bytes": [*word.encode()]} for q, word in sorted(shares)[::-1]]
        content = [{**top[0], "top_logprobs": top}]
        message = {"role": "assistant", "content": top[0]["token"]}
        choice = {"index": 0, "message": message, "logprobs": {"content": content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21}
        return 200, {
            "id": "1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }

    def answer(self, status: int, body: Any) -> None:
        """Send an answer."""
        content = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + content)


async def main() -> None:
    """Serve until standard input is closed, as it is when the process that started this one has ended."""
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
