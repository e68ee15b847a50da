"""One client against the mock server, in a process of its own; prints its figures as JSON.

Imports nothing of the project but for the project's own client: it is also run where only a peer is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

WARM = 200


def resident() -> int:
    """Return the bytes of memory in use."""
    gc.collect()
    with open("/proc/self/statm") as file:  # noqa: PTH123 - a peer's environment may run this
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def deluge_nb(url: str, concurrency: int) -> Callable[[int], Any]:
    """Prepare a batch of requests for this project's client."""
    from deluge_nb import LLMClient, SamplingParams

    params = SamplingParams(logprobs=True, top_logprobs=20, max_new_tokens=64)
    client = LLMClient("mock", base_url=url, sampling_params=params, max_concurrent_requests=concurrency)
    return lambda count: client.process_prompts_sync(["Hello?"] * count, show_progress=False)


def deluge_nb_paced(url: str, concurrency: int) -> Callable[[int], Any]:
    """Prepare the same with a limit of requests per minute that delays none."""
    from deluge_nb import LLMClient, SamplingParams

    params = SamplingParams(logprobs=True, top_logprobs=20, max_new_tokens=64)
    client = LLMClient(
        "mock",
        base_url=url,
        sampling_params=params,
        max_concurrent_requests=concurrency,
        max_requests_per_minute=10_000_000,
    )
    return lambda count: client.process_prompts_sync(["Hello?"] * count, show_progress=False)


def score(url: str, concurrency: int) -> Callable[[int], Any]:
    """Prepare yes/no questions, whose probabilities are read from five alternatives."""
    from deluge_nb import LLMClient, SamplingParams, score_llm

    params = SamplingParams(logprobs=True, top_logprobs=5, max_new_tokens=1)
    client = LLMClient("mock", base_url=url, sampling_params=params, max_concurrent_requests=concurrency)
    rows = [f"Row {row}" for row in range(10_000)]
    return lambda count: score_llm("Is it? {0}", rows[:count], client, True, show_progress=False)


def limit(url: str, concurrency: int) -> Callable[[int], Any]:
    """Prepare bare aiohttp with msgspec's typed decode of what a table needs; nothing is kept."""
    import aiohttp
    import msgspec

    alternative = msgspec.defstruct("Alternative", [("token", str), ("logprob", float)], gc=False)
    token = msgspec.defstruct(
        "Token", [("token", str), ("logprob", float), ("top_logprobs", list[alternative])], gc=False
    )
    table = msgspec.defstruct("Table", [("content", list[token])])
    choice = msgspec.defstruct("Choice", [("message", dict[str, Any]), ("logprobs", table), ("finish_reason", str)])
    reply = msgspec.defstruct("Reply", [("choices", list[choice]), ("usage", dict[str, Any])])
    decode = msgspec.json.Decoder(reply).decode
    loop = asyncio.new_event_loop()
    body = {
        "model": "mock",
        "messages": [{"role": "user", "content": "Hello?"}],
        "logprobs": True,
        "top_logprobs": 20,
        "max_tokens": 64,
    }

    async def connect() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())

    session = loop.run_until_complete(connect())

    async def run(count: int) -> list[str]:
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                async with session.post(f"{url}/chat/completions", data=msgspec.json.encode(body)) as answer:
                    decode(await answer.read())

        await asyncio.gather(*(work() for _ in range(concurrency)))
        return [""] * count

    return lambda count: loop.run_until_complete(run(count))


def lm_deluge(url: str, concurrency: int) -> Callable[[int], Any]:
    """Prepare a batch of requests for lm-deluge, without rate limits."""
    from lm_deluge import LLMClient, SamplingParams
    from lm_deluge.models import register_model

    register_model("mock", "mock", url, "MOCK_KEY", supports_logprobs=True)
    client = LLMClient(
        "mock",
        max_requests_per_minute=10_000_000,
        max_tokens_per_minute=10_000_000_000,
        max_concurrent_requests=concurrency,
        sampling_params=[SamplingParams(logprobs=True, top_logprobs=20, max_new_tokens=64)],
    )
    loop = asyncio.new_event_loop()
    return lambda count: loop.run_until_complete(client.process_prompts_async(["Hello?"] * count, show_progress=False))


def openai(url: str, concurrency: int) -> Callable[[int], Any]:
    """Prepare a batch of requests for the OpenAI SDK with its defaults."""
    from openai import AsyncOpenAI

    loop = asyncio.new_event_loop()
    client = AsyncOpenAI(base_url=url, api_key="none", timeout=300)

    async def run(count: int) -> list[Any]:
        limit = asyncio.Semaphore(concurrency)

        async def request() -> Any:
            async with limit:
                return await client.chat.completions.create(
                    model="mock",
                    messages=[{"role": "user", "content": "Hello?"}],
                    logprobs=True,
                    top_logprobs=20,
                    max_completion_tokens=64,
                )

        return await asyncio.gather(*(request() for _ in range(count)))

    return lambda count: loop.run_until_complete(run(count))


def main() -> None:
    """Warm up, measure, delete the answers, and measure again."""
    name, url, count, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    os.environ["MOCK_KEY"] = "none"
    clients = {
        "deluge_nb": deluge_nb,
        "deluge_nb_paced": deluge_nb_paced,
        "score": score,
        "limit": limit,
        "lm_deluge": lm_deluge,
        "openai": openai,
    }
    run = clients[name](url, concurrency)
    run(WARM)
    before, cpu, began = resident(), resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    responses = run(count)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    kept = resident() - before
    failed = sum(1 for response in responses if getattr(response, "is_error", False) or response is None)
    longest = max(len(repr(response)) for response in responses[:5])
    del responses
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        # Return freed memory to the system, which the C library does not always do by itself.
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    figures = {
        "cpu_seconds": after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime,
        "wall_seconds": wall,
        "kept_bytes": kept,
        "kept_bytes_after_del": resident() - before,
        "repr_characters": longest,
        "failed": failed,
    }
    # The peers also print to this output.
    print("\n" + json.dumps(figures), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
