"""A driver on a Ray of its own: ``python -m tests.engines.ray_driver ADDRESS FOLDER ROWS PART_ROWS``."""

from __future__ import annotations

import sys
from pathlib import Path

import ray

from deluge_nb import LLMClient
from tests.jobs.rows import ask


def main() -> None:
    """Score the rows."""
    address, folder, count, part_rows = sys.argv[1:]
    client = LLMClient("vllm/x", base_url=address, max_attempts=1, max_concurrent_requests=8)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ask(client, int(count), Path(folder), part_rows=int(part_rows), on="ray")


if __name__ == "__main__":
    main()
