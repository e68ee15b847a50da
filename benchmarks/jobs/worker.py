"""One way to score rows, in a process of its own; prints its figures as JSON: ``worker.py WAY ADDRESS ROWS``."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from deluge_nb import LLMClient, score_frame, score_llm

WARM, CONCURRENCY, PART_ROWS = 200, 100, 1000


def main() -> None:
    """Score rows and print the CPU and the memory."""
    way, address, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    client = LLMClient(
        "mock",
        base_url=address,
        logprobs=True,
        top_logprobs=5,
        max_new_tokens=1,
        temperature=0,
        max_concurrent_requests=CONCURRENCY,
    )
    run = _plain if way == "plain" else _job
    run(client, WARM)
    before, begin = time.process_time(), time.perf_counter()
    run(client, count)
    figures = {
        "cpu_seconds": time.process_time() - before,
        "seconds": time.perf_counter() - begin,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def _plain(client: LLMClient, count: int) -> None:
    for begin in range(0, count, PART_ROWS):
        rows = [f"row {row}" for row in range(begin, min(begin + PART_ROWS, count))]
        score_llm("Is it so? {0}", rows, client, True, show_progress=False)


def _job(client: LLMClient, count: int) -> None:
    folder = Path(tempfile.mkdtemp())
    rows: Any = pa.table({"text": [f"row {row}" for row in range(count)]})
    try:
        score_frame(
            rows,
            "Is it so? {text}",
            client,
            labels=["yes", "no"],
            out=folder,
            part_rows=PART_ROWS,
            show_progress=False,
        )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
