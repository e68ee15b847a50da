"""Time from the Python call to painted tokens in JupyterLab; the table exists, the static forms are made too."""

from __future__ import annotations

import statistics
from pathlib import Path

from playwright.sync_api import Page

from ..jupyterlab import EVALUATE, notebook

ROOT = Path(__file__).resolve().parents[2]
SETUP = f"""import sys
sys.path.insert(0, {str(ROOT)!r})
from benchmarks.widget.table import table
from deluge_nb import LogprobView
_whole = table({{most}})
_tables = {{{{count: _whole[:count] for count in {{counts}}}}}}
print("ready")"""
CELL = "LogprobView(_tables[{count}])"
CLOSE = "import ipywidgets; ipywidgets.Widget.close_all(); print('closed')"
# The clock starts when the cell is sent, and stops in the second frame after its first token exists.
RUN = """async (cell) => {
    const app = window.jupyterapp;
    const notebook = app.shell.currentWidget.content;
    await app.commands.execute('notebook:clear-all-cell-outputs');
    notebook.activeCellIndex = cell;
    await new Promise((done) => setTimeout(done, 500));
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const began = performance.now();
    const ran = app.commands.execute('notebook:run-cell');
    while (!document.querySelector('.deluge-box .deluge-line .deluge-token')) await frame();
    await frame();
    const painted = performance.now() - began;
    await ran;
    return [painted, document.querySelector('section.deluge .deluge-summary').textContent];
}"""


def measure(counts: tuple[int, ...], rounds: int) -> dict[str, float]:
    """Return milliseconds for each number of tokens: medians over interleaved rounds; the first is not counted."""
    cells = [CELL.format(count=count) for count in counts]
    with notebook("widget", cells) as page:
        setup = SETUP.format(most=max(counts), counts=counts)
        if (said := page.evaluate(EVALUATE, setup)).strip() != "ready":
            raise RuntimeError(said)
        found: dict[int, list[float]] = {count: [] for count in counts}
        for turn in range(rounds + 1):
            for cell, count in enumerate(counts):
                ms = _run(page, cell, count)
                if turn:
                    found[count].append(ms)
    return {str(count): round(statistics.median(times), 1) for count, times in found.items()}


def _run(page: Page, cell: int, count: int) -> float:
    painted, summary = page.evaluate(RUN, cell)
    if not summary.startswith(f"{count} tokens"):
        raise RuntimeError(f"the notebook shows {summary} in place of {count} tokens")
    page.evaluate(EVALUATE, CLOSE)
    return float(painted)
