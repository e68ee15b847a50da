"""Open a notebook of JupyterLab in a headless Chromium."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

# Run code outside the notebook's cells, and return the text that it prints.
EVALUATE = """async (code) => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({code});
    let text = '';
    future.onIOPub = (m) => {
        if (m.content.name === 'stdout') text += m.content.text;
        if (m.header.msg_type === 'error') text += m.content.traceback.join('\\n');
    };
    await future.done;
    return text;
}"""


@contextmanager
def notebook(name: str, cells: Sequence[str]) -> Iterator[Page]:
    """Open a notebook of the cells, with its kernel ready and no cell executed."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        written = [
            {"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
            for i, cell in enumerate(cells)
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        body = {"cells": written, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (home / f"{name}.ipynb").write_text(json.dumps(body))
        token = secrets.token_hex(16)
        env = {**os.environ, "JUPYTER_TOKEN": token, "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
        env |= {"JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
        command += ["--ServerApp.port=0", f"--ServerApp.root_dir={home}", "--LabApp.expose_app_in_browser=True"]
        with (home / "log").open("w") as log:
            server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            with _opened(f"{_address(home / 'runtime')}/lab/workspaces/{name}/tree/{name}.ipynb?token={token}") as page:
                yield page
        finally:
            server.terminate()
            server.wait()


def _address(runtime: Path) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for info in runtime.glob("jpserver-*.json"):
            try:
                return f"http://127.0.0.1:{json.loads(info.read_text())['port']}"
            except (ValueError, KeyError):
                continue
        time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start")


@contextmanager
def _opened(address: str) -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        flags = ["--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector(".jp-NotebookPanel")
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel")
        page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.ready; }")
        yield page
        browser.close()
