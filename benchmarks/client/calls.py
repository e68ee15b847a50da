"""Cost of the rate limiter without a limit: 300 short calls at default settings, against a bare HTTP client."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CALLS, ROUNDS = 300, 5
BAR = 1.1
HERE = Path(__file__).resolve().parent


def ours(url: str, concurrency: int) -> float:
    """Return the seconds through the client."""
    from deluge_nb import LLMClient, SamplingParams

    # The token limit of an answer is high, but all answers are short: a limiter that reserves the limit would wait.
    params = SamplingParams(logprobs=True, top_logprobs=20, max_new_tokens=16_000)
    client = LLMClient("mock", base_url=url, sampling_params=params)
    client.process_prompts_sync(["warm"] * concurrency, show_progress=False)
    began = time.perf_counter()
    responses = client.process_prompts_sync([str(i) for i in range(CALLS)], show_progress=False)
    elapsed = time.perf_counter() - began
    client.close()
    assert not any(response.is_error for response in responses)
    return elapsed


def bare(url: str, concurrency: int) -> float:
    """Return the seconds of aiohttp alone with the same concurrency; it does not parse the bodies."""
    import aiohttp

    async def run() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def work(left: Any) -> None:
                for i in left:
                    body = {"model": "mock", "messages": [{"role": "user", "content": str(i)}], "logprobs": True}
                    async with session.post(f"{url}/chat/completions", json=body) as reply:
                        await reply.read()

            await asyncio.gather(*(work([0]) for _ in range(concurrency)))
            began, left = time.perf_counter(), iter(range(CALLS))
            await asyncio.gather(*(work(left) for _ in range(concurrency)))
            return time.perf_counter() - began

    return asyncio.run(run())


def measure(build: Path) -> dict[str, Any]:
    """Measure both in turn, against one server that answers after 0.2 s."""
    from deluge_nb.models.endpoints import COMPATIBLE

    command = [sys.executable, str(HERE / "mock_server.py"), "1", "0.2"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{server.stdout.readline().strip() if server.stdout else ''}/v1"
        pairs = [(ours(url, COMPATIBLE.concurrency), bare(url, COMPATIBLE.concurrency)) for _ in range(ROUNDS)]
    finally:
        server.kill()
        server.wait()
    ratio = statistics.median(mine / other for mine, other in pairs)
    seconds = {"deluge_nb": min(own for own, _ in pairs), "aiohttp": min(peer for _, peer in pairs)}
    return {"seconds": seconds, "ratio": ratio, "bar": f"ratio at most {BAR}", "passed": ratio <= BAR}
