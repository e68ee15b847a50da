"""A driver on a cluster of its own: ``python -m tests.jobs.dask_driver ADDRESS FOLDER ROWS PART_ROWS``."""

from __future__ import annotations

import sys
from pathlib import Path

from deluge_nb import LLMClient
from deluge_nb.jobs.engines.clusters.dask import Dask
from tests.jobs.rows import ask


def main() -> None:
    """Score the rows."""
    address, folder, count, part_rows = sys.argv[1:]
    client = LLMClient("vllm/x", base_url=address, max_attempts=1, max_concurrent_requests=16)
    ask(client, int(count), Path(folder), part_rows=int(part_rows), on=Dask(workers=2))


if __name__ == "__main__":
    main()
