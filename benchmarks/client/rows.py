"""Cost of a row: CPU of ``score_llm`` for 5,000 answers of one token with 5 alternatives, 100 at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..imports import peers_python

ROWS, CONCURRENCY, ROUNDS = 5000, 100, 5
# CPU of `score_llm` at most this many times that of each; lm-deluge's client alone reads no probability.
BARS = {"limit": 1.6, "lm_deluge": 1.0}
HERE = Path(__file__).resolve().parent


def measure(build: Path) -> dict[str, Any]:
    """Return CPU seconds per row; each client runs in processes of its own, in interleaved rounds on one server."""
    own_python = Path(sys.executable)
    pythons = {"score": own_python, "limit": own_python, "lm_deluge": peers_python(build)}
    seconds: dict[str, list[float]] = {name: [] for name in pythons}
    server = subprocess.Popen(
        [sys.executable, str(HERE / "mock_server.py"), "1", "0.02", "5"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = server.stdout.readline().strip() if server.stdout else ""
        for _ in range(ROUNDS):
            for name, python in pythons.items():
                command = [python, HERE / "worker.py", name, f"http://127.0.0.1:{port}/v1"]
                done = subprocess.run(
                    [*map(str, command), str(ROWS), str(CONCURRENCY)], capture_output=True, text=True, check=True
                )
                seconds[name].append(json.loads(done.stdout.strip().splitlines()[-1])["cpu_seconds"] / ROWS)
    finally:
        server.kill()
        server.wait()
    # Minima: on a busy machine the median is about the neighbours.
    best = {name: min(several) for name, several in seconds.items()}
    ratios = {name: best["score"] / best[name] for name in BARS}
    return {
        "seconds_per_row": best,
        "cpu_ratios": ratios,
        "bar": f"cpu_ratios at most {BARS}",
        "passed": all(ratios[name] <= bar for name, bar in BARS.items()),
    }
