"""Cost of a row in a job on Dask with two workers, against plain ``score_llm``, and use of a limit that they share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .processes import DELAY, run, serve

ROWS = int(os.environ.get("DELUGE_NB_BENCHMARK_ROWS", "50000"))
ROUNDS = 2
# Requests a second that the server takes, and the client may send.
RATE, LIMITED_ROWS = 100, 3000
MOST_CPU, LEAST_USE = 1.6, 0.9


def measure(build: Path) -> dict[str, Any]:
    """Return CPU seconds a row over all processes, and the share of the limit that was used."""
    with serve(1, DELAY, 5) as address:
        # In turns, for a machine is not equally busy all the time.
        plain, dask = zip(
            *((run("worker.py", "plain", address, ROWS), run("dask_worker.py", address, ROWS)) for _ in range(ROUNDS)),
            strict=True,
        )
    with serve(1, DELAY, 5, RATE) as address:
        limited = run("dask_worker.py", address, LIMITED_ROWS, 60 * RATE)
    # Minima: on a busy machine the mean is about the neighbours.
    least_plain, least_dask = (min(figures["cpu_seconds"] for figures in way) / ROWS for way in (plain, dask))
    ratio = least_dask / least_plain
    use = LIMITED_ROWS / limited["seconds"] / RATE
    return {
        "rows": ROWS,
        "cpu_seconds_per_row": {"score_llm": least_plain, "score_frame": least_dask},
        "driver_cpu_seconds_per_row": min(figures["driver_cpu_seconds"] for figures in dask) / ROWS,
        "cpu_ratio": ratio,
        "rows_per_second": ROWS / min(figures["seconds"] for figures in dask),
        "limit": {"requests_per_second": RATE, "refused": limited["failed"], "use": use},
        "bar": f"cpu_ratio at most {MOST_CPU}, use at least {LEAST_USE}, none refused",
        "passed": ratio <= MOST_CPU and use >= LEAST_USE and not limited["failed"],
    }
