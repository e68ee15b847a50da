"""Leave out the tests of this folder unless they are asked for: no engine is in the development environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.rows import RowServer, row_server

# Workers run this interpreter, in this folder; no engine reports on its use.
ENVIRONMENT = {
    "PYSPARK_PYTHON": sys.executable,
    "PYSPARK_DRIVER_PYTHON": sys.executable,
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "RAY_USAGE_STATS_ENABLED": "0",
    "DAFT_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore all files without the option; with it, prepare the environment before an engine is imported."""
    if not config.getoption("--engines"):
        return True
    os.environ.update(ENVIRONMENT)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; engines that start take minutes on a busy machine."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engines)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
def server() -> Iterator[RowServer]:
    """A server of rows that counts their requests."""
    with row_server() as running:
        yield running
