"""Speed of the embedded model through the client, as a share of the speed of its bare server."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deluge_nb import LLMClient, RawPrompt, SamplingParams
from deluge_nb.local import default_server

PROMPT = "Once upon a time, in a village between two rivers, there lived"
LENGTH = 160
ROUNDS = 8
BAR = 0.95


def bare(body: bytes) -> int:
    """Send a request with the standard library alone, and return the number of tokens."""
    address = default_server().address()
    connection = http.client.HTTPConnection(urlsplit(address.base_url).netloc, timeout=120)
    headers = {"Authorization": f"Bearer {address.key}", "Content-Type": "application/json"}
    connection.request("POST", "/completion", body, headers)
    reply = json.loads(connection.getresponse().read())
    connection.close()
    return len(reply["completion_probabilities"])


def measure(build: Path) -> dict[str, Any]:
    """Return the tokens per second of both, in interleaved rounds."""
    del build
    settings = {"temperature": 0.0, "seed": 1}
    body = json.dumps(
        {
            "prompt": PROMPT,
            "n_predict": LENGTH,
            "n_probs": 20,
            "ignore_eos": True,
            "samplers": ["temperature"],
            "return_tokens": True,
            "cache_prompt": True,
            **settings,
        }
    ).encode()
    params = SamplingParams(
        logprobs=True, top_logprobs=20, max_new_tokens=LENGTH, extra_body={"ignore_eos": True}, **settings
    )
    client = LLMClient("local", sampling_params=params)

    def through() -> int:
        return len(client.process_prompts_sync([RawPrompt(PROMPT)], show_progress=False)[0].logprobs or ())

    speeds: dict[str, list[float]] = {"client": [], "bare": []}
    ways = [("bare", lambda: bare(body)), ("client", through)]
    for _, way in ways:
        way()
    for number in range(ROUNDS):
        for name, way in ways if number % 2 else ways[::-1]:
            began = time.perf_counter()
            count = way()
            speeds[name].append(count / (time.perf_counter() - began))
    # Compare neighbouring runs, so that other load on the machine affects both.
    ratio = statistics.median(c / b for c, b in zip(speeds["client"], speeds["bare"], strict=True))
    return {
        "tokens_per_second": {name: statistics.median(values) for name, values in speeds.items()},
        "ratio": ratio,
        "bar": f"ratio >= {BAR}",
        "passed": ratio >= BAR,
    }
