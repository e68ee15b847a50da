"""From the pointer's move to the alternatives: our card beside the tooltip of a view that shows them on hover."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from deluge_nb import Logprobs, LogprobView

from . import own
from .page import Fresh, fresh
from .peers import LATE, PEERS

PEER = "circuitsvis"
# From a move of the pointer to the end of the frame after the first change of the page. The pointer's first event is
# ``pointerover``, on which a view may act already.
ARM = """() => {
    const moved = new Promise((done) => addEventListener("pointerover", (event) => done(event.timeStamp), {
        capture: true, once: true,
    }));
    const changed = new Promise((done) => {
        const observer = new MutationObserver(() => { observer.disconnect(); done(); });
        observer.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
    });
    window.hovered = Promise.all([moved, changed]).then(async ([began]) => {
        await frame();
        await frame();
        return performance.now() - began;
    });
}"""
# Places on tokens in sight, far enough from each other that every move leads to another token.
SPOTS = """(selector) => [...document.querySelectorAll(selector)].slice(0, 2000)
    .map((one) => one.getBoundingClientRect())
    .filter((at) => at.width > 8 && at.top > 60 && at.bottom < 400)
    .filter((_, place) => place % 7 === 3).slice(0, 15)
    .map((at) => [at.left + at.width / 2, at.top + at.height / 2])"""


def measure(browser: Browser, packages: Path, table: Logprobs, rounds: int) -> dict[str, dict[str, float]]:
    """Return medians over fresh pages that take turns: milliseconds to the card, and CPU milliseconds of each hover."""
    view = LogprobView(table)
    ours = own.files(view)
    view.close()
    peer = PEERS[PEER]
    theirs = peer.files(packages, table)
    paint = f"() => clock(() => {{ {peer.act} }}, () => {peer.whole}, {LATE})"
    hovers: dict[str, list[dict[str, float]]] = {"ours": [], PEER: []}
    for _ in range(rounds):
        with fresh(browser, ours) as opened:
            opened.page.evaluate(own.PAINT)
            hovers["ours"] += _hovers(opened, ".deluge-line .deluge-token")
        with fresh(browser, theirs) as opened:
            opened.page.evaluate(paint)
            hovers[PEER] += _hovers(opened, "span > span")
    return {
        name: {key: round(statistics.median(one[key] for one in all_of_view), 2) for key in ("ms", "work")}
        for name, all_of_view in hovers.items()
    }


def _hovers(opened: Fresh, selector: str) -> list[dict[str, Any]]:
    page = opened.page
    page.mouse.move(2, 2)
    page.wait_for_timeout(300)
    hovers = []
    for x, y in page.evaluate(SPOTS, selector):
        page.evaluate(ARM)
        before = opened.work()
        page.mouse.move(x, y)
        ms = page.evaluate("hovered")
        hovers.append({"ms": ms, "work": opened.work() - before})
    return hovers
