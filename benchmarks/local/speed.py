"""Compare the speed of two ways to the embedded model: through the client, and to its bare server."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from deluge_nb.local import default_server


def post(path: str, body: dict[str, Any]) -> Any:
    """Send a request to the bare server with the standard library alone, and return the parsed reply."""
    return json.loads(post_for_bytes(path, body))


def post_for_bytes(path: str, body: dict[str, Any]) -> bytes:
    """Send a request to the bare server with the standard library alone, and return the reply as it is."""
    address = default_server().address()
    connection = http.client.HTTPConnection(urlsplit(address.base_url).netloc, timeout=120)
    headers = {"Authorization": f"Bearer {address.key}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body).encode(), headers)
    reply = connection.getresponse().read()
    connection.close()
    return reply


def compare_speeds(client: Callable[[], int], bare: Callable[[], int], rounds: int, bar: float) -> dict[str, Any]:
    """Return the tokens per second of both ways in interleaved rounds; each call returns its number of tokens."""
    speeds: dict[str, list[float]] = {"client": [], "bare": []}
    ways = [("bare", bare), ("client", client)]
    for _, way in ways:
        way()
    for number in range(rounds):
        for name, way in ways if number % 2 else ways[::-1]:
            began = time.perf_counter()
            count = way()
            speeds[name].append(count / (time.perf_counter() - began))
    # Compare neighbouring runs, so that other load on the machine affects both.
    ratio = statistics.median(c / b for c, b in zip(speeds["client"], speeds["bare"], strict=True))
    return {
        "tokens_per_second": {name: statistics.median(values) for name, values in speeds.items()},
        "ratio": ratio,
        "bar": f"ratio >= {bar}",
        "passed": ratio >= bar,
    }
