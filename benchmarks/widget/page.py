"""Pages of a headless Chromium, served from memory, and one clock for all views."""

from __future__ import annotations

import os
import shutil
import statistics
import threading
import time
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
# Milliseconds that a page may take to load its data.
PATIENCE = 180_000
# Seconds of a look at the browser's processes, the share of one core that they use at rest, and the longest wait.
_LOOK, _REST, _LONGEST_WAIT = 0.2, 0.05, 20.0
_TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "json": "application/json"}

# From just after a frame to the second one after the view is complete. An empty page takes two frames on this clock.
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
    """Start Debian's Chromium without access to the network."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        raise RuntimeError("there is no Chromium on this machine; see tests/system.sh")
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS, *sandbox])
        yield browser
        browser.close()


class Fresh:
    """A page in a process of its own that has loaded its files; its later work is measured."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        self.page = page
        self._cdp = cdp

    def work(self) -> float:
        """Return the CPU milliseconds of the page's main thread so far: script, style, layout and painting."""
        metrics = {row["name"]: row["value"] for row in self._cdp.send("Performance.getMetrics")["metrics"]}
        return 1000 * metrics["TaskDuration"]

    def timed(self, script: str, given: Any = None) -> dict[str, Any]:
        """Return the figures of a script with the clock, and ``work``: the CPU time of the main thread meanwhile."""
        before = self.work()
        figures = self.page.evaluate(script, given)
        return {**figures, "work": self.work() - before}


@contextmanager
def _served(files: Mapping[str, str | bytes]) -> Iterator[str]:
    """Serve files from memory, and yield the address."""

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
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _wait_for_rest(browser: Browser) -> None:
    """Wait until the browser has nothing to do.

    A new page comes in a new window, whose own parts, bar and menus, are loaded after it: on two cores they take turns
    with what is measured, by as much as half of a short paint.
    """
    cdp = browser.new_browser_cdp_session()
    try:
        used = _cpu_seconds(cdp)
        for _ in range(int(_LONGEST_WAIT / _LOOK)):
            time.sleep(_LOOK)
            before, used = used, _cpu_seconds(cdp)
            if used - before < _REST * _LOOK:
                return
    finally:
        cdp.detach()
    raise RuntimeError(f"the browser had work to do for {_LONGEST_WAIT:.0f} s after a page was ready")


def _cpu_seconds(cdp: CDPSession) -> float:
    """Return the CPU seconds that the browser's processes have used."""
    return sum(process["cpuTime"] for process in cdp.send("SystemInfo.getProcessInfo")["processInfo"])


@contextmanager
def fresh(browser: Browser, files: Mapping[str, str | bytes]) -> Iterator[Fresh]:
    """Open ``index.html`` of some files, and wait for ``window.ready``."""
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
        _wait_for_rest(browser)
        try:
            yield Fresh(page, cdp)
        finally:
            context.close()
        if errors:
            raise RuntimeError(f"the page threw: {errors[0]}")


def document(body: str, head: str = "") -> str:
    """Return a page with a head and a body."""
    return f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}</head><body>{body}</body></html>'


def script(code: str) -> str:
    """Return a script element with a module."""
    return f'<script type="module">{code}</script>'


def nothing(browser: Browser) -> Callable[[], dict[str, Any]]:
    """Return a function that measures a page that does nothing."""

    def paint() -> dict[str, Any]:
        with fresh(browser, {"index.html": document(script("window.ready = true"))}) as opened:
            return opened.timed(NOTHING)

    return paint


def in_turn(painters: Mapping[str, Callable[[], dict[str, Any]]], rounds: int) -> dict[str, dict[str, float]]:
    """Return medians of several rounds in which all take turns, so that other load on the machine affects all."""
    figures_of_views: dict[str, list[dict[str, Any]]] = {name: [] for name in painters}
    for _ in range(rounds):
        for name, paint in painters.items():
            figures_of_views[name].append(paint())
    return {
        name: {
            key: round(statistics.median(figures[key] for figures in rounds_of_view), 2) for key in ("painted", "work")
        }
        | {"elements": max(figures.get("elements", 0) for figures in rounds_of_view)}
        for name, rounds_of_view in figures_of_views.items()
    }
