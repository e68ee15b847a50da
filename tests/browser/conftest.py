"""Fixtures for browser tests: Chromium, a minimal page that hosts a widget, and a Jupyter server."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, expect, sync_playwright

from deluge_nb.render.assets import read_asset
from deluge_nb.widget.fallback import FallbackWidget

from .waits import LIMIT

expect.set_options(timeout=1000 * LIMIT)

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
VIEWPORT = {"width": 1280, "height": 900}
# Options of a context that a page can also have for itself.
MEDIA = {"color_scheme", "forced_colors", "reduced_motion"}
SHOTS = Path(__file__).parents[2] / "test-results"

# A minimal host: its model is a dictionary, and it loads the bundle as hosts do.
HOST = """
const bytes = (text) => {
  // Put them into the middle of a larger buffer, to test that the offset is used.
  const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const larger = new Uint8Array(raw.length + 16);
  larger.set(raw, 8);
  return new DataView(larger.buffer, 8, raw.length);
};
const state = {...STATE};
for (const name of BINARY) state[name] = bytes(STATE[name]);
const handlers = {};
window.sent = [];
window.listeners = 0;
window.model = {
  get: (name) => state[name],
  set(name, value) { if (state[name] !== value) { state[name] = value; this.say(`change:${name}`); } },
  save_changes() {},
  send(content) { window.sent.push(content); },
  on(name, listener) { (handlers[name] ??= []).push(listener); window.listeners++; },
  off(name, listener) { handlers[name] = handlers[name].filter((h) => h !== listener); window.listeners--; },
  say(name, ...values) { for (const listener of handlers[name] ?? []) listener(...values); },
  take(binary) {
    for (const [name, text] of Object.entries(binary)) state[name] = bytes(text);
    for (const name of Object.keys(binary)) this.say(`change:${name}`);
  },
  hear(content, texts) { this.say("msg:custom", content, texts.map(bytes)); },
};
const address = URL.createObjectURL(new Blob([SOURCE], {type: "text/javascript"}));
const {default: widget} = await import(address);
window.widget = widget;
window.end = widget.render({model: window.model, el: document.querySelector("main")});
window.ready = true;
"""

# Delays of frames and events, as on a busy machine.
LATE = """
{
  const frame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (draw) => frame((time) => setTimeout(() => frame(draw), MS));
  const Observer = window.ResizeObserver;
  window.ResizeObserver = class extends Observer {
    constructor(callback) { super((...values) => setTimeout(() => callback(...values), MS)); }
  };
  const listen = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    const isDelayed = type === "scroll" && typeof listener === "function";
    listen.call(this, type, isDelayed ? (event) => setTimeout(() => listener(event), MS) : listener, options);
  };
}
"""


def encoded(view: FallbackWidget) -> tuple[dict[str, Any], list[str]]:
    """Return the traits of a view as JSON, and the names of those that are bytes in base64."""
    traits = {name: value for name, value in view.get_state().items() if not name.startswith("_")}
    binary = [name for name, value in traits.items() if isinstance(value, bytes)]
    state = {
        name: base64.b64encode(value).decode() if name in binary else value
        for name, value in traits.items()
        if name not in ("layout", "tabbable", "tooltip")
    }
    return state, binary


@dataclass(frozen=True)
class Jupyter:
    """The address of a Jupyter server, and the folder it serves."""

    url: str
    token: str
    root: Path

    def page_url(self, path: str) -> str:
        return f"{self.url}/{path}?token={self.token}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium; without one the tests fail instead of being skipped."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "there is no Chromium on this machine; see tests/system.sh"
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        # Scrollbars that take up space, as on most desktop systems.
        shown = ["--hide-scrollbars"]
        instance = playwright.chromium.launch(executable_path=chromium, args=FLAGS + sandbox, ignore_default_args=shown)
        yield instance
        instance.close()


def _new_context(browser: Browser, config: pytest.Config, **options: Any) -> BrowserContext:
    options.setdefault("viewport", VIEWPORT)
    context = browser.new_context(**options)
    if late := config.getoption("--late"):
        context.add_init_script(LATE.replace("MS", str(late)))
    return context


@pytest.fixture(scope="session")
def shared(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """Return a context for the pages of many tests.

    A page of a new context starts a process, which takes longer than most tests. The empty page keeps this one's.
    """
    context = _new_context(browser, request.config)
    context.new_page()
    yield context
    context.close()


@pytest.fixture
def page(browser: Browser, shared: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open a fresh page; fail if it requests anything from the network, or if the widget throws."""
    marker = request.node.get_closest_marker("context")
    options: dict[str, Any] = marker.kwargs if marker else {}
    media = {name: value for name, value in options.items() if name in MEDIA}
    # JupyterLab keeps the settings of its server, which tests change.
    is_own = bool(options.keys() - MEDIA - {"viewport"}) or "jupyter" in request.fixturenames
    context = _new_context(browser, request.config, **options) if is_own else shared
    page = context.new_page()
    if not is_own and media:
        page.emulate_media(**media)
    if not is_own and "viewport" in options:
        page.set_viewport_size(options["viewport"])
    page.set_default_timeout(1000 * LIMIT)
    foreign: list[str] = []
    errors: list[str] = []

    def on_request(sent: Request) -> None:
        if not sent.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "about:", "file:")):
            foreign.append(sent.url)

    def on_error(error: Error) -> None:
        if "blob:" in (error.stack or ""):  # Only errors of the widget: Jupyter's pages have errors of their own.
            errors.append(error.stack or "")

    page.on("request", on_request)
    page.on("pageerror", on_error)
    yield page
    SHOTS.mkdir(exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:120]
    page.screenshot(path=SHOTS / f"{name}.png")
    page.close()
    if is_own:
        context.close()
    assert not foreign, f"asked for what is not on this machine: {foreign}"
    assert not errors, f"errors in the widget: {errors}"


@pytest.fixture
def offline(shared: BrowserContext) -> Iterator[Page]:
    """Open a page without a network: requests to other machines, which nbconvert's pages make, fail."""
    page = shared.new_page()
    page.emulate_media(color_scheme="light")
    page.route(re.compile("^https?:"), lambda route: route.abort())
    yield page
    page.close()


@pytest.fixture
def host(page: Page) -> Callable[..., Page]:
    """Return a function that puts a widget on a page of its own; ``window.model`` is its model."""

    def put(view: FallbackWidget, *, theme: str = "") -> Page:
        state, binary = encoded(view)
        known = {"STATE": state, "BINARY": binary, "SOURCE": read_asset(view._script)}
        script = "\n".join(f"const {name} = {json.dumps(value)};" for name, value in known.items()) + HOST
        page.set_content(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tokens</title>'
            f"<style>{read_asset(view._page_assets[1])}</style></head>"
            f'<body {theme}><main style="padding: 12px"></main></body></html>'
        )
        page.add_script_tag(content=script, type="module")
        page.wait_for_function("window.ready")
        view.close()
        return page

    return put


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """Start a Jupyter server on this machine with folders, settings and a token of its own."""
    home = tmp_path_factory.mktemp("jupyter")
    root = home / "work"
    root.mkdir()
    quiet = home / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    token = secrets.token_hex(16)
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    env = {**os.environ, "JUPYTER_TOKEN": token, "JUPYTER_PLATFORM_DIRS": "1"}
    env |= {name: str(home / folder) for name, folder in folders.items()}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--ServerApp.port=0", f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"]
    command += ["--JupyterNotebookApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = home / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.STDOUT)
    try:
        served = _wait_for_server(process, home / "runtime", log, token, root)
        yield served
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for_server(process: subprocess.Popen[bytes], runtime: Path, log: Path, token: str, root: Path) -> Jupyter:
    """Wait for the server and return it; it writes the free port that it took to a file."""
    deadline = time.monotonic() + 90
    while True:
        info = next(runtime.glob("jpserver-*.json"), None)
        if info is not None:
            try:
                port = json.loads(info.read_text())["port"]
                served = Jupyter(f"http://127.0.0.1:{port}", token, root)
                urllib.request.urlopen(served.page_url("api/status"), timeout=2).close()
                return served
            except (OSError, ValueError, KeyError):
                pass
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(log.read_text()[-3000:])
        time.sleep(0.1)


@pytest.fixture
def notebook(jupyter: Jupyter) -> Callable[..., str]:
    """Return a function that writes a notebook of code cells into the server's folder and returns its name."""

    def write(name: str, *cells: str) -> str:
        written = [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ]
        body = {
            "cells": written,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (jupyter.root / name).write_text(json.dumps(body))
        return name

    return write
