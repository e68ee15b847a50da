"""Cost of a row in a job: CPU against plain ``score_llm``, bytes on disk against JSON, and memory."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from deluge_nb import Logprobs
from deluge_nb.jobs.storage.columns import write_columns
from deluge_nb.jobs.storage.folder import write_table
from deluge_nb.logprobs.columns import Vocabulary

from .processes import DELAY, run, serve

# Rows of a large job, and of a small one.
ROWS = int(os.environ.get("DELUGE_NB_BENCHMARK_ROWS", "50000"))
FEW = ROWS // 5
ANSWERS, TOKENS, ALTERNATIVES, VOCABULARY = 60, 64, 20, 32_000
ROUNDS = 2
MOST_CPU, MOST_SIZE = 1.1, 1 / 9
# Memory of the large job in that of the small one, and bytes a row by which it may grow while the second half is asked.
# Only the search for equal prompts has something for each row (some 90 bytes, before the first request).
MOST_MEMORY, MOST_GROWTH = 1.1, 100


def measure(build: Path) -> dict[str, Any]:
    """Return CPU seconds a row, bytes a token and the growth of memory; each run is a process of its own."""
    with serve(1, DELAY, 5) as address:
        small = run("worker.py", "job", address, FEW)
        # In turns, and minima of them: on a busy machine the mean is about the neighbours.
        rounds = [
            (run("worker.py", "plain", address, ROWS), run("worker.py", "job", address, ROWS)) for _ in range(ROUNDS)
        ]
    json_bytes, size = _bytes_per_token()
    plain, job = (min(pair[at]["cpu_seconds"] for pair in rounds) / ROWS for at in (0, 1))
    large = min((pair[1] for pair in rounds), key=lambda figures: figures["seconds"])
    peak = small["peak_bytes"]
    growth = (large["peak_bytes"] - large["half_bytes"]) / (ROWS / 2)
    memory = large["peak_bytes"] / peak
    missed = job / plain > MOST_CPU or size > MOST_SIZE * json_bytes or growth > MOST_GROWTH or memory > MOST_MEMORY
    return {
        "rows": ROWS,
        "cpu_seconds_per_row": {
            "score_llm": plain,
            "score_frame": job,
            f"score_frame, {FEW} rows": small["cpu_seconds"] / FEW,
        },
        "cpu_ratio": job / plain,
        "rows_per_second": ROWS / large["seconds"],
        "bytes_per_token": {"json": json_bytes, "parquet": size},
        "peak_bytes": {FEW: peak, ROWS: large["peak_bytes"]},
        "memory_ratio": memory,
        "growth_bytes_per_row": growth,
        "bar": f"cpu_ratio at most {MOST_CPU}, bytes at most 1/9 of JSON, memory_ratio at most {MOST_MEMORY}, "
        f"growth at most {MOST_GROWTH} bytes a row in the second half",
        "passed": not missed,
    }


def _bytes_per_token() -> tuple[float, float]:
    """Return the bytes of a token with its alternatives as JSON lines and in a file of a part.

    The tokens are Zipf-distributed, as those of languages are. The bodies of the server would be no measure: they
    repeat, so they compress to nearly nothing.
    """
    draws = np.random.default_rng(7)
    words = [f" {''.join(map(chr, 97 + draws.integers(0, 26, draws.integers(1, 8))))}" for _ in range(VOCABULARY)]
    vocabulary = Vocabulary.of((word, word.encode(), None) for word in words)
    shape = TOKENS, ALTERNATIVES
    tables: list[Logprobs | None] = []
    size = 0
    for _ in range(ANSWERS):
        ids = draws.zipf(1.3, shape) - 1 + draws.integers(0, 50, shape)
        ids = np.minimum(ids, VOCABULARY - 1).astype(np.int32)
        weights = np.sort(-draws.exponential(3, shape), axis=1)[:, ::-1]
        logprob = weights - np.log(np.exp(weights).sum(1, keepdims=True)) - 0.02
        offsets = np.arange(0, ids.size + 1, ALTERNATIVES, dtype=np.int32)
        table = Logprobs(vocabulary, ids[:, 0].copy(), logprob[:, 0].copy(), ids.ravel(), logprob.ravel(), offsets)
        tables.append(table)
        size += len(json.dumps(list(table)))
    columns, packed = write_columns(tables, "float64")
    file = io.BytesIO()
    write_table(pa.table(columns), file)
    count = ANSWERS * TOKENS
    return size / count, (len(file.getvalue()) + len(packed)) / count
