"""A driver that a test kills: ``python -m tests.jobs.driver ADDRESS FOLDER ROWS PART_ROWS``."""

from __future__ import annotations

import sys
from pathlib import Path

from deluge_nb import LLMClient
from tests.jobs.rows import ask


def main() -> None:
    """Score the rows."""
    address, folder, count, part_rows = sys.argv[1:]
    client = LLMClient("vllm/x", base_url=address, max_concurrent_requests=32)
    ask(client, int(count), Path(folder), part_rows=int(part_rows))


if __name__ == "__main__":
    main()
