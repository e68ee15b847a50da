"""A driver that a test kills, in a process of its own."""

from __future__ import annotations

import multiprocessing
from multiprocessing.process import BaseProcess
from pathlib import Path

from deluge_nb import LLMClient
from tests.jobs.rows import ask

# One process imports everything, and each driver is a fork of it: a driver's imports took longer than its rows.
_method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else None
_processes = multiprocessing.get_context(_method)
# Arrow loads pandas with the first table.
_processes.set_forkserver_preload([__name__, "deluge_nb.transport.network.direct", "pyarrow.parquet", "pandas"])


def score(address: str, folder: str, count: int, part_rows: int) -> None:
    """Score the rows."""
    client = LLMClient("vllm/x", base_url=address, max_concurrent_requests=32)
    ask(client, count, Path(folder), part_rows=part_rows)


def start(address: str, folder: Path, count: int, part_rows: int) -> BaseProcess:
    """Start a driver."""
    driver = _processes.Process(target=score, args=(address, str(folder), count, part_rows))
    driver.start()
    return driver
