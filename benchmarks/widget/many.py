"""Two hundred views in one notebook of JupyterLab: time and memory of each, from the first to the last."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page

from ..jupyterlab import EVALUATE, notebook

ROOT = Path(__file__).resolve().parents[2]
VIEWS, TOKENS, PART = 200, 200, 20
SETUP = f"""import sys
sys.path.insert(0, {str(ROOT)!r})
from benchmarks.widget.table import table
from deluge_nb import LogprobView
_table = table({TOKENS})
print("ready")"""
# The clock starts when the cell is sent, and stops in the second frame after its first token exists.
RUN = """async (place) => {
    const app = window.jupyterapp;
    const notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = place;
    await notebook.scrollToItem(place);
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    await frame();
    const node = notebook.widgets[place].node;
    const began = performance.now();
    const ran = app.commands.execute('notebook:run-cell');
    while (!node.querySelector('.deluge-box .deluge-line .deluge-token')) await frame();
    await frame();
    const painted = performance.now() - began;
    await ran;
    return painted;
}"""
# From end to end in steps of a window, as a reader would: the longest time between two frames.
SCROLL = """async () => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const box = notebook.node.querySelector('.jp-WindowedPanel-outer') ?? notebook.node;
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    let last = await frame();
    const times = [];
    for (let top = box.scrollHeight; top >= 0; top -= box.clientHeight) {
        box.scrollTop = top;
        const now = await frame();
        times.push(now - last);
        last = now;
    }
    return times;
}"""


def measure() -> dict[str, Any]:
    """Return milliseconds to paint and megabytes for each twenty views, and what is left after a cell is run again."""
    with notebook("many", ["LogprobView(_table)"] * VIEWS) as page:
        if (said := page.evaluate(EVALUATE, SETUP)).strip() != "ready":
            raise RuntimeError(said)
        browser = page.context.new_cdp_session(page)
        browser.send("Performance.enable", {"timeDomain": "threadTicks"})
        times: list[float] = []
        work = [_metric(browser, "TaskDuration")]
        heap = [_heap(browser)]
        for place in range(VIEWS):
            times.append(page.evaluate(RUN, place))
            if (place + 1) % PART == 0:
                work.append(_metric(browser, "TaskDuration"))
                heap.append(_heap(browser))
        scrolled = page.evaluate(SCROLL)
        again = _run_again(page, browser)
    parts = range(0, VIEWS, PART)
    ms = [round(statistics.median(times[start : start + PART]), 1) for start in parts]
    cpu = [round(1000 * (after - before) / PART, 1) for before, after in itertools.pairwise(work)]
    kb = [round(1000 * (after - before) / PART, 1) for before, after in itertools.pairwise(heap)]
    return {
        "paint_ms_by_twenties": ms,
        "work_ms_by_twenties": cpu,
        "kilobytes_by_twenties": kb,
        "heap_mb": [round(heap[0], 1), round(heap[-1], 1)],
        "scroll_median_frame_ms": round(statistics.median(scrolled), 1),
        "scroll_slowest_frame_ms": round(max(scrolled), 1),
        "kilobytes_per_rerun": again,
    }


def ratios(views: dict[str, Any]) -> dict[str, float]:
    """Return how much more the last views take than the first; JupyterLab's own work is part of both."""
    ms, kilobytes = views["paint_ms_by_twenties"], views["kilobytes_by_twenties"]
    work = views["work_ms_by_twenties"]
    half = len(kilobytes) // 2
    return {
        "views_last_to_first_twenty": ms[-1] / ms[0],
        "views_work_last_to_first_twenty": work[-1] / work[0],
        "views_memory_second_to_first_half": statistics.mean(kilobytes[half:]) / statistics.mean(kilobytes[1:half]),
    }


def _run_again(page: Page, browser: CDPSession) -> float:
    """Return the kilobytes by which each further run of one cell enlarges the page."""
    page.evaluate(RUN, 0)
    before = _heap(browser)
    for _ in range(PART):
        page.evaluate(RUN, 0)
    return round(1000 * (_heap(browser) - before) / PART, 1)


def _heap(browser: CDPSession) -> float:
    """Return the megabytes of the page's script heap that are in use after a collection."""
    browser.send("HeapProfiler.collectGarbage")
    return _metric(browser, "JSHeapUsedSize") / 1e6


def _metric(browser: CDPSession, name: str) -> float:
    metrics = browser.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == name)
