"""Figures of our view: first paint, elements, scrolling, hovering."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser

from deluge_nb import Logprobs, LogprobView
from deluge_nb.render.assets import read_asset

from .page import Fresh, document, fresh, script

# A minimal host: its model is a dictionary, with its bytes in memory before the clock starts.
HOST = """
const {state, binary} = await (await fetch("state.json")).json();
for (const name of binary) state[name] = new DataView(await (await fetch(name)).arrayBuffer());
const heard = {};
window.sent = [];
window.model = {
    get: (name) => state[name],
    set(name, value) { if (state[name] !== value) { state[name] = value; this.say(`change:${name}`); } },
    save_changes() {},
    send(content) { sent.push(content); },
    on(name, heed) { (heard[name] ??= []).push(heed); },
    off(name, heed) { heard[name] = heard[name].filter((one) => one !== heed); },
    say(name, ...values) { for (const listener of heard[name] ?? []) listener(...values); },
    take(values) {
        Object.assign(state, values);
        for (const name of Object.keys(values)) this.say(`change:${name}`);
    },
};
window.widget = (await import("./view.js")).default;
window.ready = true;
"""
PAINT = """() => {
    const el = document.querySelector("main");
    return clock(() => widget.render({model, el}), () => el.querySelector(".deluge-line .deluge-token"));
}"""
ELEMENTS = "() => document.querySelectorAll('main *').length"
# The longest time between two frames, at every step of 300 pixels and at jumps from end to end.
SCROLL = """async () => {
    const box = document.querySelector(".deluge-box");
    const found = [];
    let most = 0;
    let last = await frame();
    const step = async (to) => {
        box.scrollTop = to;
        const now = await frame();
        found.push(now - last);
        last = now;
    };
    for (let at = 0; at < 120; at++) await step(box.scrollTop + 300);
    const steps = Math.max(...found.splice(0));
    for (const part of [1, 0, 0.5, 0.95, 0.1, 0.7]) {
        await step(part * box.scrollHeight);
        await step(box.scrollTop);
        await step(box.scrollTop);
        most = Math.max(most, document.querySelectorAll("main *").length);
    }
    return {steps, jumps: Math.max(...found), elements: most};
}"""
# From a move of the pointer to the end of the frame in which the card shows the new token.
ARM = """() => {
    const card = document.querySelector(".deluge-card");
    const before = card.matches(":popover-open") ? card.textContent : null;
    window.hovered = new Promise((done) => {
        addEventListener("pointermove", async (event) => {
            let frames = 0;
            do { await frame(); frames++; }
            while (frames < 600 && (!card.matches(":popover-open") || card.textContent === before));
            await frame();
            done({ms: performance.now() - event.timeStamp, frames: frames, whole: !!card.querySelector(".deluge-row")});
        }, {capture: true, once: true});
    });
}"""
SPOTS = """() => {
    const box = document.querySelector(".deluge-box").getBoundingClientRect();
    const seen = [...document.querySelectorAll(".deluge-line .deluge-token")]
        .map((one) => [one.getBoundingClientRect(), one.textContent])
        .filter(([at, text]) => at.top > box.top + 5 && at.bottom < box.bottom - 5 && at.width > 8);
    return seen.filter((_, place) => place % 7 === 3).slice(0, 15)
        .map(([at]) => [at.left + at.width / 2, at.top + at.height / 2]);
}"""


def files(view: LogprobView) -> dict[str, str | bytes]:
    """Return the files of a page with the view."""
    traits = {name: value for name, value in view.get_state().items() if not name.startswith("_")}
    binary = {name: value for name, value in traits.items() if isinstance(value, bytes)}
    state = {name: value for name, value in traits.items() if name not in ("layout", "tabbable", "tooltip", *binary)}
    style = f"<style>{read_asset('view.css')}</style>"
    return {
        "index.html": document('<main style="padding: 12px"></main>' + script(HOST), style),
        "view.js": read_asset("view.js"),
        "state.json": json.dumps({"state": state, "binary": list(binary)}),
        **binary,
    }


def painter(browser: Browser, table: Logprobs) -> Callable[[], dict[str, Any]]:
    """Return a function that makes one first paint, on a page of its own."""
    view = LogprobView(table)
    served = files(view)
    view.close()

    def paint() -> dict[str, Any]:
        with fresh(browser, served) as opened:
            timings = opened.timed(PAINT)
            return {**timings, "elements": opened.page.evaluate(ELEMENTS)}

    return paint


def moves(browser: Browser, table: Logprobs, rounds: int) -> dict[str, Any]:
    """Scroll directly after the first paint, then hover; return medians over pages of the worst of each."""
    view = LogprobView(table)
    served = files(view)
    view.close()
    pages = [_moved(browser, served) for _ in range(rounds)]
    medians = {name: round(statistics.median(page[name] for page in pages), 1) for name in pages[0]}
    # Other load on the machine can only lengthen frames, so take the page with the shortest.
    least = min(max(page["slowest_step_ms"], page["slowest_jump_ms"]) for page in pages)
    return {**medians, "slowest_frame_of_the_least_disturbed_page_ms": round(least, 1)}


def _moved(browser: Browser, served: dict[str, str | bytes]) -> dict[str, float]:
    with fresh(browser, served) as opened:
        page = opened.page
        page.evaluate(PAINT)
        scrolled = page.evaluate(SCROLL)
        page.evaluate("document.querySelector('.deluge-box').scrollTop = 0")
        near = _hovers(opened)
        # Before its alternatives have arrived, a card shows the token alone and requests them.
        page.evaluate("document.querySelector('.deluge-box').scrollTop = 1e6")
        far = _hovers(opened)
    if not all(hover["whole"] for hover in near):
        raise RuntimeError("a card does not show the alternatives that have arrived")
    return {
        "slowest_step_ms": scrolled["steps"],
        "slowest_jump_ms": scrolled["jumps"],
        "elements": scrolled["elements"],
        "hover_ms": statistics.median(hover["ms"] for hover in near),
        "hover_frames_at_most": max(hover["frames"] for hover in near),
        "hover_before_alternatives_ms": statistics.median(hover["ms"] for hover in far),
    }


def _hovers(opened: Fresh) -> list[dict[str, Any]]:
    page = opened.page
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)
    found = []
    for x, y in page.evaluate(SPOTS):
        page.evaluate(ARM)
        page.mouse.move(x, y)
        found.append(page.evaluate("hovered"))
    return found
