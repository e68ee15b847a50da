"""The card of a job: what it says, and that nothing of a server is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from deluge_nb.jobs.card import card_to_html
from deluge_nb.jobs.progress import Progress
from tests.jobs.rows import RowServer, ask, row_server
from tests.openai_server import Reply

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m"


@pytest.fixture
def server() -> Iterator[RowServer]:
    with row_server() as running:
        yield running


def answers(errors: list[str | None], cost: float | None = None) -> pa.Table:
    size = len(errors)
    shares = [None if error else 0.9 for error in errors]
    return pa.table(
        {
            "error": pa.array(errors, pa.string()),
            "is_transient": pa.array([error is not None for error in errors]),
            "cost": pa.array([cost] * size, pa.float64()),
            "probability": pa.array(shares, pa.float64()),
        }
    )


def test_the_card_counts_parts_failures_and_cost() -> None:
    progress = Progress(30, 30, 3)
    progress.add(answers(["busy"] * 2 + [None] * 8, 0.5), 10, is_new=True)
    progress.add(answers(["gone"] + [None] * 9, 0.5), 10, is_new=True)
    card = card_to_html(progress, ["yes", "no"], "scores")
    for text in ("20 of 30", "2 of 3", "3 of 30 rows", "$10", "2 × busy", "1 × gone", "time left", "job.retry()"):
        assert text in card, text
    assert progress.shares[18] == 17
    assert "in 17 rows, from 0 % to 100 %" in card


def test_without_labels_there_is_no_histogram() -> None:
    progress = Progress(10, 10, 1)
    progress.add(answers([None] * 10), 10, is_new=True)
    assert "<svg" in card_to_html(progress, ["yes"], "scores")
    assert "<svg" not in card_to_html(progress, [], "scores")


def test_nothing_of_a_server_is_trusted(server: RowServer, tmp_path: Path) -> None:
    server.bad = {1: Reply({"error": {"message": HOSTILE}}, 400)}
    with pytest.warns(UserWarning, match="1 of 3 rows failed"):
        job = ask(server.client(), 3, tmp_path)
    card = job._repr_html_()
    assert "<img" not in card
    assert "\x1b" not in card
    assert "&lt;img" in card
    assert "<script" not in card


def test_equal_questions_are_counted_once(server: RowServer, tmp_path: Path) -> None:
    progress = Progress(30, 3, 1)
    progress.add(answers(["busy", None, None]), 30, is_new=True)
    assert progress.describe_failed() == "1 of 3 questions"


def test_many_different_reasons_take_little_memory() -> None:
    progress = Progress(5000, 5000, 1)
    progress.add(answers([f"row {number} failed" for number in range(5000)]), 5000, is_new=True)
    assert progress.failed == 5000
    assert len(progress.failures) <= 1001
