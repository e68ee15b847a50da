"""One way to score rows, in a process of its own; prints its figures as JSON: ``worker.py WAY ADDRESS ROWS``.

``half_bytes`` is the peak of memory when half of the parts were there.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deluge_nb import LLMClient, score_frame, score_llm
from deluge_nb.jobs.engines.base import Done, Worker
from deluge_nb.jobs.engines.here import Here

WARM, CONCURRENCY, PART_ROWS = 200, 100, 1000
ROWS = pa.schema([("text", pa.string())])


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
    run(client, WARM, [])
    before, begin = time.process_time(), time.perf_counter()
    peaks: list[int] = []
    run(client, count, peaks)
    figures = {
        "cpu_seconds": time.process_time() - before,
        "seconds": time.perf_counter() - begin,
        "half_bytes": peaks[0] if peaks else _peak(),
        "peak_bytes": _peak(),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _plain(client: LLMClient, count: int, peaks: list[int]) -> None:
    for begin in range(0, count, PART_ROWS):
        rows = [f"row {row}" for row in range(begin, min(begin + PART_ROWS, count))]
        score_llm("Is it so? {0}", rows, client, True, show_progress=False)


class _Watched(Here):
    """The engine of this process, which notes the peak of memory when half of the parts are done."""

    def __init__(self, peaks: list[int]) -> None:
        self._peaks = peaks

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        for number, report in enumerate(super().run(parts, worker), 1):
            if number == (len(parts) + 1) // 2:
                self._peaks.append(_peak())
            yield report


def _job(client: LLMClient, count: int, peaks: list[int]) -> None:
    folder = Path(tempfile.mkdtemp())
    path = folder / "in.parquet"
    with pq.ParquetWriter(path, ROWS) as writer:  # in pieces, so that the input is in memory at no time
        for begin in range(0, count, PART_ROWS):
            rows = [f"row {row}" for row in range(begin, min(begin + PART_ROWS, count))]
            writer.write_table(pa.table({"text": rows}, ROWS))
    try:
        score_frame(
            path,
            "Is it so? {text}",
            client,
            labels=["yes", "no"],
            out=folder / "job",
            part_rows=PART_ROWS,
            on=_Watched(peaks),
            show_progress=False,
        )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
