"""Answers from memory: a transport without a network, and without waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx

from deluge_nb import LLMClient
from tests.openai_server import Seen, chat, says


class MemoryTransport(httpx.AsyncBaseTransport):
    """Transport that repeats each question as its answer, and counts the answers.

    Parameters
    ----------
    on_answer
        Callback that is called with the number of each answer, just before it is handed over.
    limit
        Number of answers after which requests wait for ever; None for no limit.
    """

    def __init__(self, on_answer: Callable[[int], object] = lambda number: None, limit: int | None = None) -> None:
        self.answered = 0
        self.limit = limit
        self._on_answer = on_answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.limit is not None and self.answered >= self.limit:
            await asyncio.Event().wait()
        seen = Seen(json.loads(request.content), {}, "")
        self.answered += 1
        self._on_answer(self.answered)
        return httpx.Response(200, json=chat(seen, says(seen.question)))


def client_of(transport: httpx.AsyncBaseTransport, **options: object) -> LLMClient:
    """Return a client that asks a transport for log-probabilities."""
    given: dict[str, object] = {"logprobs": True, "top_logprobs": 2, "max_concurrent_requests": 8, **options}
    return LLMClient("gpt-4o-mini", api_key="sk-test-0123456789", transport=transport, **given)  # type: ignore[arg-type]
