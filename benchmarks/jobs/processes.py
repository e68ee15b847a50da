"""Processes of the benchmarks of jobs: the server, and the ways to score rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DELAY = 0.02
"""Seconds until the server answers."""

_HERE = Path(__file__).resolve().parent
_SERVER = _HERE.parent / "client" / "mock_server.py"


@contextmanager
def serve(*arguments: object) -> Iterator[str]:
    """Run the server with its arguments; yield its address."""
    command = [sys.executable, str(_SERVER), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.kill()


def run(script: str, *arguments: object) -> dict[str, float]:
    """Run a script of this folder, and return the figures that it prints as JSON."""
    command = [sys.executable, str(_HERE / script), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])
