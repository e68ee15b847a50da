"""The card of a job: what it says, and that nothing of a server is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pyarrow as pa
import pytest
from nbclient import NotebookClient

from deluge_nb.jobs.card import card_to_html
from deluge_nb.jobs.engines.here import Here
from deluge_nb.jobs.inputs.frames import Frame
from deluge_nb.jobs.progress import Progress
from deluge_nb.jobs.run import prepare, run
from deluge_nb.jobs.spec import make_spec
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, ask, row_server, rows
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
            "matched_mass": pa.array(shares, pa.float64()),
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


def test_a_long_reason_is_cut(server: RowServer) -> None:
    progress = Progress(2, 2, 1)
    progress.add(answers(["x" * 100_000, None]), 2, is_new=True)
    assert max(map(len, progress.failures)) == 500


def test_the_theme_of_the_notebook_takes_precedence_over_the_systems() -> None:
    card = card_to_html(Progress(1, 1, 1), [], "scores")
    assert "color-scheme:light dark" in card
    for theme, rule in (("true", "light"), ("false", "dark")):
        selectors, _, style = card.partition(f"body[data-jp-theme-light='{theme}'] .deluge-job")[2].partition("{")
        assert "html[theme=" in selectors
        assert style.startswith(f"color-scheme:{rule}}}")


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("KeyboardInterrupt", "Interrupted: run the cell again to go on"),
        ("OSError", "Stopped by OSError: run the cell"),
    ],
)
def test_a_card_says_that_its_job_ended_early(error: str, state: str) -> None:
    progress = Progress(30, 30, 3)
    progress.add(answers([None] * 10), 10, is_new=True)
    progress.under_way = {1: 7.0}
    running = card_to_html(progress, [], "scores")
    for text in ("Running", "17 of 30 rows", "If the kernel was restarted, run the cell again"):
        assert text in running
    progress.finish(error)
    card = card_to_html(progress, [], "scores")
    assert state in card
    assert "10 of 30 rows" in card
    assert "time left" not in card
    assert "kernel was restarted" not in card


def test_progress_moves_within_a_part(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.1
    spec = make_spec(TEMPLATE, server.client(max_concurrent_requests=4), labels=LABELS)
    folder = prepare(Frame(rows(40)), spec, tmp_path, 20, None, print)
    seen: list[int] = []
    progress = run(folder, spec, Here(), lambda counts: seen.append(counts.rows_seen), print)
    assert seen == sorted(seen)
    assert len({*seen} - {0, 20, 40}) >= 3
    assert (progress.rows_seen, progress.under_way) == (40, {})


def cards(outputs: list[nbformat.NotebookNode]) -> list[str]:
    found = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    return [card for card in found if "class='deluge-job'" in card]


@pytest.mark.slow
def test_a_cell_that_ends_with_its_job_shows_one_card(server: RowServer, tmp_path: Path) -> None:
    given = f"rows(5), {TEMPLATE!r}, LLMClient('vllm/x', base_url={server.url!r}), out={str(tmp_path)!r}"
    cells = [
        "from deluge_nb import LLMClient, score_frame\nfrom tests.jobs.rows import rows",
        f"job = score_frame({given})\njob",
        "job",
        "job.retry()",
        f"score_frame({given}, show_progress=False)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, resources={"metadata": {"path": str(Path(__file__).parents[2])}}).execute()
    shown = [cards(cell.outputs) for cell in notebook.cells[1:]]
    assert [len(found) for found in shown] == [1, 1, 1, 1]
    assert all("5 of 5 rows" in card and "Done" in card for (card,) in shown)
