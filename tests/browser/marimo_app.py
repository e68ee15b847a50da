"""A marimo app that shows views, and the server that runs it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .tables import FRANCE

_EVALUATOR = """@app.cell
def _(mo):
    asked = mo.ui.text(label="evaluate", full_width=True)
    asked
    return (asked,)


@app.cell
def _(asked, json, mo, NAMES):
    number, _, expression = asked.value.partition(": ")
    result = f"{number}: {json.dumps(eval(expression, dict(GIVEN)))}" if expression else "nothing yet"
    mo.plain_text(result)
    return


"""


def _app(before: str, names: list[str], after: str = "") -> str:
    """Return an app of the cells, and of a cell that evaluates expressions of some names.

    The names are those of widgets, not of the elements made of them, or marimo would run that cell again with each
    change in the browser.
    """
    values = ", ".join(f"{name}={name}" for name in names)
    evaluator = _EVALUATOR.replace("NAMES", ", ".join(names)).replace("GIVEN", values)
    end = 'if __name__ == "__main__":\n    app.run()\n'
    return "import marimo\n\napp = marimo.App()\n\n\n" + before + evaluator + after + end


_VIEWS = """@app.cell
def _():
    import json
    import marimo as mo
    from deluge_nb import Logprobs, LogprobView

    def rows(count):
        likely = lambda i: -0.1 - 2 * (i * 37 % 100) / 100
        return [
            {"token": f" w{i % 97}", "logprob": likely(i), "top_logprobs": [
                {"token": f" w{i % 97}", "logprob": likely(i)}, {"token": f" v{i}", "logprob": -3.0}
            ]}
            for i in range(count)
        ]

    grown = Logprobs.from_entries(rows(60))
    return LogprobView, grown, json, mo, rows


@app.cell
def _(LogprobView, mo):
    widget = LogprobView(ENTRIES, title="Capitals")
    view = mo.ui.anywidget(widget)
    view
    return view, widget


@app.cell
def _(mo, view):
    mo.md(f"selected is {view.value['selected']}")
    return


"""
_LONG = """@app.cell
def _(LogprobView, mo, rows):
    long = LogprobView(rows(20_000))
    mo.ui.anywidget(long)
    return (long,)


"""
_MODEL = """@app.cell
def _():
    import json
    import marimo as mo
    from deluge_nb import LLMClient, LogprobCompare, LogprobView, RawPrompt, SamplingParams, entropy_chart
    return LLMClient, LogprobCompare, LogprobView, RawPrompt, SamplingParams, entropy_chart, json, mo


@app.cell
def _(LLMClient, LogprobView, RawPrompt, SamplingParams):
    settings = SamplingParams(logprobs=True, top_logprobs=5, temperature=0, max_new_tokens=6)
    client = LLMClient("local", sampling_params=settings)
    prompt = RawPrompt("The capital of France is")
    (answer,) = client.process_prompts_sync([prompt], show_progress=False)
    widget = LogprobView(answer, client=client, prompt=prompt)
    widget
    return answer, widget


@app.cell
def _(entropy_chart, widget):
    entropy_chart(widget)
    return


@app.cell
def _(LogprobCompare, answer, mo):
    other = LogprobCompare(answer.logprobs, answer.logprobs[1:])
    mo.ui.anywidget(other)
    return (other,)


"""
_TABLES = """@app.cell
def _():
    import json
    import marimo as mo
    from deluge_nb import APIResponse, Comparisons, LogprobView, as_logprobs

    def answer(*words):
        table = as_logprobs([{"token": word, "logprob": -0.5} for word in words])
        return APIResponse("m", completion=table.text, logprobs=table)

    return Comparisons, LogprobView, answer, json, mo


@app.cell
def _(Comparisons, answer, mo):
    questions = ["first question", "second question"]
    comparisons = Comparisons(questions, {name: [answer(name), answer("the", " same")] for name in ("a", "b")})
    mo.ui.anywidget(comparisons)
    return (comparisons,)


@app.cell
def _(LogprobView, answer):
    red = ["It", " is", " red"]
    samples = LogprobView([answer(*red), answer(*red), answer("It", " is", " blue")])
    samples
    return (samples,)


"""
APP = _app(_VIEWS.replace("ENTRIES", repr(list(FRANCE))), ["grown", "long", "widget"], _LONG)
MORE = _app(_MODEL, ["other", "widget"])
TABLES = _app(_TABLES, ["comparisons", "samples"])
DARK = '# /// script\n# [tool.marimo.display]\n# theme = "dark"\n# ///\n'


@contextmanager
def serving(folder: Path, apps: dict[str, str]) -> Iterator[str]:
    """Write apps into a folder and serve them with marimo; yield the address, for ``{url}?file={name}.py``."""
    home = folder / "home"
    home.mkdir()
    for name, source in apps.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "MARIMO_SKIP_UPDATE_CHECK": "1", "HOME": str(home)}
    env |= {name: str(home) for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")}
    command = [sys.executable, "-m", "marimo", "--quiet", "run", *(f"{name}.py" for name in apps), "--headless"]
    command += ["--no-token", "--no-check", "--host", "127.0.0.1", "--port", str(port)]
    url, log = f"http://127.0.0.1:{port}/", folder / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{url}health", timeout=2).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(log.read_text()[-3000:])
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def evaluated(page: Page, expression: str) -> Any:
    """Return the value of an expression of ``widget``, ``long`` and ``grown`` in the app's Python."""
    line = page.get_by_label("evaluate")
    number = int((line.input_value() or "0").partition(":")[0]) + 1
    line.fill(f"{number}: {expression}")
    line.press("Enter")
    result = page.locator("pre", has_text=f"{number}: ")
    expect(result).to_be_visible()
    return json.loads(result.inner_text().partition(": ")[2])
