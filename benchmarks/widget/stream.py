"""CPU time of the page's main thread for each batch of tokens of a growing completion."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser

from deluge_nb import Logprobs, LogprobView

from .messages import recording
from .own import PAINT, files
from .page import fresh

BATCH = 32
PARTS = 10
# One message per frame; the time is that of the message and of the layout that it causes.
READY = """async () => {
    const {steps} = await (await fetch("steps.json")).json();
    const bytes = await (await fetch("bytes")).arrayBuffer();
    for (const step of steps) step.buffers = step.buffers.map(([at, size]) => new DataView(bytes, at, size));
    window.steps = steps;
}"""
PLAY = """async ([from, to]) => {
    const box = document.querySelector(".deluge-box");
    const found = [];
    for (const {names, content, buffers} of steps.slice(from, to)) {
        await frame();
        const began = performance.now();
        if (names) model.take(Object.fromEntries(names.map((name, at) => [name, buffers[at]])));
        else model.say("msg:custom", content, buffers);
        await null;  // what heeds several traits waits until all are set
        document.body.getBoundingClientRect();
        found.push(performance.now() - began);
    }
    return found;
}"""
SHOWN = "() => document.querySelector('.deluge-summary').textContent"
LAST = "() => Math.max(...[...document.querySelectorAll('.deluge-line [data-token]')].map((e) => e.dataset.token))"


@dataclass(frozen=True)
class Growth:
    """The page of the first tokens of a completion, and the messages with the others."""

    served: dict[str, str | bytes]
    messages: int
    tokens: int
    python: list[float]
    """Milliseconds per token that packing them took, by tenths."""


def measure(browser: Browser, growth: Growth) -> dict[str, Any]:
    """Return milliseconds per token, by tenths of the completion."""
    served, steps = growth.served, growth.messages
    with fresh(browser, served) as opened:
        page = opened.page
        page.evaluate(PAINT)
        page.evaluate(READY)
        batches: list[list[float]] = []
        work: list[float] = []
        for part in range(PARTS):
            ends = [part * steps // PARTS, (part + 1) * steps // PARTS]
            before = opened.work()
            batches.append(page.evaluate(PLAY, ends))
            work.append((opened.work() - before) / ((ends[1] - ends[0]) * BATCH))
            # From the second batch on the text is longer than the box: scroll to its end, as a reader would.
            page.evaluate(
                "() => { const box = document.querySelector('.deluge-box'); box.scrollTop = box.scrollHeight; }"
            )
        page.wait_for_function(f"({LAST})() === {growth.tokens - 1}", timeout=10_000)
        summary = page.evaluate(SHOWN)
    if not summary.startswith(f"{growth.tokens} tokens"):
        raise RuntimeError(f"the page shows {summary} after {growth.tokens} tokens")
    medians = [statistics.median(part) / BATCH for part in batches]
    return {
        "ms_per_token_by_tenths": [round(one, 4) for one in medians],
        "work_ms_per_token_by_tenths": [round(one, 4) for one in work],
        "slowest_message_ms": round(max(max(part) for part in batches), 1),
        "last_to_second_tenth": medians[-1] / medians[1],
        "work_last_to_second_tenth": work[-1] / work[1],
        "python_ms_per_token_by_tenths": growth.python,
        "messages": steps,
        "bytes_per_token": round(len(served["bytes"]) / growth.tokens, 1),
    }


def recorded(table: Logprobs) -> Growth:
    """Record the messages of a table that grows by 32 tokens at a time.

    There must be no event loop, such as an open browser has: where there is one, rows that come fast are sent together,
    and these come as fast as they can be packed.
    """
    spent = []
    with recording() as sent:
        view = LogprobView(table[:BATCH])
        served = files(view)
        del sent[:]
        for stop in range(2 * BATCH, len(table) + 1, BATCH):
            grown = table[:stop]
            before = time.perf_counter()
            view.update(grown)
            spent.append(time.perf_counter() - before)
        messages = list(sent)
        view.close()
    steps: list[dict[str, Any]] = []
    blob = bytearray()
    for _, data, buffers in messages:
        if data.get("method") not in ("update", "custom"):
            continue
        spans = []
        for one in buffers:
            blob += bytes(-len(blob) % 8)
            spans.append((len(blob), len(one)))
            blob += one
        if data["method"] == "update":
            names = [path[0] for path in data["buffer_paths"]]
            steps.append({"names": names, "content": None, "buffers": spans})
        else:
            steps.append({"names": None, "content": data["content"], "buffers": spans})
    tenths = [spent[part * len(spent) // PARTS : (part + 1) * len(spent) // PARTS] for part in range(PARTS)]
    python = [round(1000 * statistics.median(part) / BATCH, 4) for part in tenths]
    served |= {"steps.json": json.dumps({"steps": steps}), "bytes": bytes(blob)}
    return Growth(served, len(steps), len(table), python)
