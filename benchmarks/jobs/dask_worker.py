"""A job on Dask in a process of its own; prints its figures as JSON: ``dask_worker.py ADDRESS ROWS [PER_MINUTE]``."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from distributed import Client

from deluge_nb import LLMClient, score_frame
from deluge_nb.jobs.engines.clusters.dask_cluster import start_cluster

# Of the client of each worker: together they have as many requests under way as one process.
CONCURRENCY, WORKERS = 50, 2
WARM, PART_ROWS = 200, 1000


def main() -> None:
    """Score rows and print the CPU of all processes."""
    address, count = sys.argv[1], int(sys.argv[2])
    limit = float(sys.argv[3]) if len(sys.argv) > 3 else None
    client = LLMClient(
        "mock",
        base_url=address,
        logprobs=True,
        top_logprobs=5,
        max_new_tokens=1,
        temperature=0,
        max_concurrent_requests=CONCURRENCY,
        max_requests_per_minute=limit,
        max_attempts=1,
    )
    # The cluster that on="dask" starts.
    with start_cluster(WORKERS, WORKERS) as dask:
        part_rows = PART_ROWS if limit is None else 100
        score(dask, client, WARM, WARM // 4)
        before, workers, begin = time.process_time(), sum(dask.run(time.process_time).values()), time.perf_counter()
        job = score(dask, client, count, part_rows)
        seconds = time.perf_counter() - begin
        driver = time.process_time() - before
        total = driver + sum(dask.run(time.process_time).values()) - workers
    figures = {
        "cpu_seconds": total,
        "driver_cpu_seconds": driver,
        "seconds": seconds,
        "failed": job.progress.failed,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def score(dask: Client, client: LLMClient, count: int, part_rows: int) -> Any:
    """Score rows on the cluster."""
    rows = pa.table({"text": [f"row {row}" for row in range(count)]})
    with tempfile.TemporaryDirectory() as folder:
        return score_frame(
            rows,
            "Is it so? {text}",
            client,
            labels=["yes", "no"],
            out=Path(folder),
            part_rows=part_rows,
            on=dask,
            show_progress=False,
        )


if __name__ == "__main__":
    main()
