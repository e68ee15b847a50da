"""Pages of a headless Chromium, served from memory, and the clock that is the same for all."""

from __future__ import annotations

import os
import shutil
import statistics
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# Milliseconds that a page may take to load what it is given.
PATIENCE = 180_000
_TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "json": "application/json"}

# From just after a frame to the second one after all is there. A page that does nothing takes two frames by it.
CLOCK = """
window.frame = () => new Promise((done) => requestAnimationFrame(done));
window.soon = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { channel.port1.close(); done(); };
    channel.port2.postMessage(0);
});
window.clock = async (act, whole, limit = Infinity) => {
    await frame();
    await frame();
    await soon();
    const began = performance.now();
    act();
    while (!whole() && performance.now() - began < limit) await soon();
    const complete = performance.now() - began;
    if (complete >= limit) return {complete, painted: complete, late: true};
    await frame();
    await frame();
    return {complete, painted: performance.now() - began, late: false};
};
"""
NOTHING = """() => clock(() => document.body.append(document.createElement('span')), () => true)"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, which may not reach anything outside this machine."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        raise RuntimeError("there is no Chromium on this machine; see tests/system.sh")
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS, *sandbox])
        yield browser
        browser.close()


class Fresh:
    """A page in a process of its own, which has loaded its files; all that it does later is measured."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        self.page = page
        self._cdp = cdp

    def work(self) -> float:
        """CPU milliseconds of the page's main thread so far: script, style, layout and painting."""
        told = {one["name"]: one["value"] for one in self._cdp.send("Performance.getMetrics")["metrics"]}
        return 1000 * told["TaskDuration"]

    def timed(self, script: str, given: Any = None) -> dict[str, Any]:
        """What a script with the clock tells, and ``work``: what the main thread did in that time."""
        before = self.work()
        told = self.page.evaluate(script, given)
        return {**told, "work": self.work() - before}


@contextmanager
def _served(files: Mapping[str, str | bytes]) -> Iterator[str]:
    """The address of a server of those files, from memory."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/") or "index.html"
            found = files.get(name)
            body = found.encode() if isinstance(found, str) else found or b""
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", _TYPES.get(name.rpartition(".")[2], "application/octet-stream"))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def fresh(browser: Browser, files: Mapping[str, str | bytes]) -> Iterator[Fresh]:
    """Open ``index.html`` of some files; ready when ``window.ready`` is."""
    with _served(files) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.add_init_script(CLOCK)
        page.goto(address)
        page.wait_for_function("window.ready")
        cdp = context.new_cdp_session(page)
        cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
        try:
            yield Fresh(page, cdp)
        finally:
            context.close()
        if errors:
            raise RuntimeError(f"the page threw: {errors[0]}")


def document(body: str, head: str = "") -> str:
    """A page of that head and body."""
    return f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}</head><body>{body}</body></html>'


def script(code: str) -> str:
    """A module, as an element."""
    return f'<script type="module">{code}</script>'


def nothing(browser: Browser) -> Callable[[], dict[str, Any]]:
    """What the clock tells of a page that does nothing."""

    def paint() -> dict[str, Any]:
        with fresh(browser, {"index.html": document(script("window.ready = true"))}) as opened:
            return opened.timed(NOTHING)

    return paint


def in_turn(painters: Mapping[str, Callable[[], dict[str, Any]]], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of several rounds, in each of which all take their turn: what else the machine does is shared out."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in painters}
    for _ in range(rounds):
        for name, paint in painters.items():
            found[name].append(paint())
    return {
        name: {key: round(statistics.median(one[key] for one in told), 2) for key in ("painted", "work")}
        | {"elements": max(one.get("elements", 0) for one in told)}
        for name, told in found.items()
    }
