"""Cost of a client: CPU and memory for 2,000 requests of 64 tokens with 20 alternatives, 100 at a time."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..imports import peers_python

REQUESTS, CONCURRENCY, ROUNDS, PEER_ROUNDS = 2000, 100, 7, 2
# CPU of this project's client at most this many times that of each.
BARS = {"limit": 1.8, "lm_deluge": 0.17, "openai": 0.065}
PEERS = ("lm_deluge", "openai")
# With a limit of requests per minute, at most this many times the CPU without one.
PACED_BAR = 1.1
MEMORY_BAR = 1 / 44
# At most this share of the memory of the answers may remain in use after they are deleted.
LEFT_BAR = 0.2
HERE = Path(__file__).resolve().parent


def measure(build: Path) -> dict[str, Any]:
    """Return medians; each client runs in processes of its own, in interleaved rounds against one server."""
    own_python = Path(sys.executable)
    pythons = dict.fromkeys(("deluge_nb", "limit", "deluge_nb_paced"), own_python)
    pythons |= dict.fromkeys(PEERS, peers_python(build))
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    server = subprocess.Popen([sys.executable, str(HERE / "mock_server.py")], stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip() if server.stdout else ""
        for turn in range(ROUNDS):
            for name, python in pythons.items():
                # The peers take up to a hundred times as long and vary less, so they run in fewer rounds.
                if name in PEERS and turn >= PEER_ROUNDS:
                    continue
                command = [python, HERE / "worker.py", name, f"http://127.0.0.1:{port}/v1"]
                done = subprocess.run(
                    [*map(str, command), str(REQUESTS), str(CONCURRENCY)], capture_output=True, text=True, check=True
                )
                runs[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    finally:
        server.kill()
        server.wait()
    figures = {
        name: {figure: statistics.median(run[figure] for run in several) for figure in several[0]}
        for name, several in runs.items()
    }
    own = figures["deluge_nb"]
    cpu = {name: own["cpu_seconds"] / figures[name]["cpu_seconds"] for name in BARS}
    paced = figures["deluge_nb_paced"]["cpu_seconds"] / own["cpu_seconds"]
    left = own["kept_bytes_after_del"] / own["kept_bytes"]
    memory = own["kept_bytes"] / figures["lm_deluge"]["kept_bytes"]
    return {
        "figures": figures,
        "cpu_ratios": cpu,
        "paced_cpu_ratio": paced,
        "memory_ratio_to_lm_deluge": memory,
        "left_after_del": left,
        "bar": f"cpu_ratios at most {BARS}, paced_cpu_ratio at most {PACED_BAR}, memory_ratio at most {MEMORY_BAR}, "
        f"left_after_del at most {LEFT_BAR}, "
        "repr under 2,000 characters",
        "passed": all(cpu[name] <= bar for name, bar in BARS.items())
        and paced <= PACED_BAR
        and memory <= MEMORY_BAR
        and left <= LEFT_BAR
        and own["repr_characters"] < 2000
        and not own["failed"],
    }
