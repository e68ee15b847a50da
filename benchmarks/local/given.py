"""Speed of reading a given text with the embedded model through the client, as a share of its bare server's speed."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deluge_nb import LLMClient
from deluge_nb.local import default_server

BEFORE = "Once upon a time"
TEXT = ", in a village between two rivers, there lived a miller who had three sons and a mill." * 6
ROUNDS = 6
BAR = 0.9


def post(path: str, body: dict[str, Any]) -> Any:
    """Send a request with the standard library alone, and return the parsed reply."""
    address = default_server().address()
    connection = http.client.HTTPConnection(urlsplit(address.base_url).netloc, timeout=120)
    headers = {"Authorization": f"Bearer {address.key}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body).encode(), headers)
    reply = json.loads(connection.getresponse().read())
    connection.close()
    return reply


def measure(build: Path) -> dict[str, Any]:
    """Return the tokens per second of both, in interleaved rounds."""
    del build
    known = post("/tokenize", {"content": BEFORE})["tokens"]
    ids = post("/tokenize", {"content": TEXT})["tokens"]
    body = {
        "prompt": known,
        "grammar": "root ::= " + " ".join(f"<[{token}]>" for token in ids),
        "n_predict": len(ids),
        "n_probs": 20,
        "samplers": ["temperature"],
        "temperature": 0,
        "return_tokens": True,
        "cache_prompt": True,
    }
    client = LLMClient("local")

    def through() -> int:
        return len(client.read_sync([(BEFORE, TEXT)], show_progress=False)[0].logprobs or ())

    speeds: dict[str, list[float]] = {"client": [], "bare": []}
    ways = [("bare", lambda: len(post("/completion", body)["completion_probabilities"])), ("client", through)]
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
