"""From running a ``%%deluge`` cell to painted tokens, in a real JupyterLab."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ASK = "%%deluge --seed {seed} --max-tokens 24 --chart both -o answer\nWhat is the capital of France?"
TIMED = """import time
from deluge_nb import LLMClient, SamplingParams
_c = LLMClient("local", sampling_params=SamplingParams(logprobs=True, top_logprobs=20, seed={seed}, max_new_tokens=24))
_t = time.perf_counter()
_c.process_prompts_sync(["What is the capital of France?"], show_progress=False)
print(time.perf_counter() - _t)"""
# The cell is run from within the page, and the clock stops in the frame after its first token is there.
RUN = """async (cell) => {
    const app = window.jupyterapp;
    const notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = cell;
    const before = document.querySelectorAll('.deluge-box').length;
    const began = performance.now();
    const painted = new Promise((done) => {
        const look = () => {
            const boxes = document.querySelectorAll('.deluge-box');
            if (boxes.length > before && boxes[boxes.length - 1].querySelector('.deluge-line .deluge-token')) {
                requestAnimationFrame(() => done(performance.now()));
            } else requestAnimationFrame(look);
        };
        look();
    });
    await app.commands.execute('notebook:run-cell');
    return ((await painted) - began) / 1000;
}"""
EVALUATE = """async (code) => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({code});
    let text = '';
    future.onIOPub = (m) => { if (m.content.name === 'stdout') text += m.content.text; };
    await future.done;
    return text;
}"""
ROUNDS = 5
BAR = 1.0


def measure(build: Path) -> dict[str, Any]:
    """The first cell of a kernel, which starts the server, and then some more."""
    del build
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        cells = ["%load_ext deluge_nb", *(ASK.format(seed=seed) for seed in range(ROUNDS + 1))]
        written = [
            {"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
            for i, cell in enumerate(cells)
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebook = {"cells": written, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (home / "paint.ipynb").write_text(json.dumps(notebook))
        token = secrets.token_hex(16)
        env = {**os.environ, "JUPYTER_TOKEN": token, "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
        env |= {"JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
        command += ["--ServerApp.port=0", f"--ServerApp.root_dir={home}", "--LabApp.expose_app_in_browser=True"]
        with (home / "log").open("w") as log:
            server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            return _in_browser(_address(home / "runtime"), token)
        finally:
            server.terminate()
            server.wait()


def _address(runtime: Path) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for told in runtime.glob("jpserver-*.json"):
            try:
                return f"http://127.0.0.1:{json.loads(told.read_text())['port']}"
            except (ValueError, KeyError):
                continue
        time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start")


def _in_browser(address: str, token: str) -> dict[str, Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        flags = ["--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}/lab/workspaces/paint/tree/paint.ipynb?token={token}")
        page.wait_for_selector(".jp-NotebookPanel")
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel")
        found = _rounds(page)
        browser.close()
    return found


def _rounds(page: Page) -> dict[str, Any]:
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.ready; }")
    page.evaluate(EVALUATE, "%load_ext deluge_nb")
    first = float(page.evaluate(RUN, 1))
    painted, answered = [], []
    for seed in range(1, ROUNDS + 1):
        answered.append(float(page.evaluate(EVALUATE, TIMED.format(seed=seed)).split()[-1]))
        painted.append(float(page.evaluate(RUN, seed + 1)))
    beyond = statistics.median(p - a for p, a in zip(painted, answered, strict=True))
    return {
        "seconds_first_cell": first,
        "seconds_painted": statistics.median(painted),
        "seconds_answered": statistics.median(answered),
        "ratio": statistics.median(painted) / statistics.median(answered),
        "seconds_beyond_the_answer": beyond,
        "bar": f"seconds_beyond_the_answer <= {BAR}",
        "passed": beyond <= BAR,
    }
