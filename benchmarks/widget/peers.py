"""Views of other packages: their JavaScript, with the data that their Python would send."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser

from deluge_nb import Logprobs

from .page import document, fresh, script
from .table import ALTERNATIVES, places, texts

# Installed without their requirements (torch, datasets, …): several gigabytes, of which the views need nothing.
PACKAGES = ("circuitsvis==1.43.3", "inspectus==0.2.0", "guidance==0.3.1", "guidance-stitch==0.1.5", "ecco==0.1.2")
NOT_RUN = {
    "ecco": "its package carries no view: the pages in ecco/html load it, and a module loader, from other machines; "
    "it shows no alternatives",
}
# A live view that is incomplete after so many milliseconds is stopped: its time is longer than this.
LATE = 60_000


@dataclass(frozen=True)
class Peer:
    """One view: its page, its data, and the script that starts it."""

    files: Callable[[Path, Logprobs], dict[str, str | bytes]]
    act: str
    whole: str
    shows: str
    """The action that shows its alternatives."""


def environment(build: Path) -> Path:
    """Install the packages once, in an environment of their own, and return their folder."""
    home = build / "widget_peers"
    python = home / "bin" / "python"
    marker = home / "installed"
    if not marker.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", home], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "--no-deps", *PACKAGES], check=True)
        marker.write_text("\n".join(PACKAGES))
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip())


def painter(browser: Browser, name: str, packages: Path, table: Logprobs) -> Callable[[], dict[str, Any]]:
    """Return a function that makes one first paint of a peer, on a page of its own."""
    peer = PEERS[name]
    served = peer.files(packages, table)

    def paint() -> dict[str, Any]:
        with fresh(browser, served) as opened:
            timings = opened.timed(f"() => clock(() => {{ {peer.act} }}, () => {peer.whole}, {LATE})")
            return {**timings, "elements": opened.page.evaluate("document.getElementsByTagName('*').length")}

    return paint


# What each is given ---------------------------------------------------------------------------------------------------

READY = """
window.given = await (await fetch("given.json")).json();
window.spans = document.getElementsByTagName("span");
window.items = document.getElementsByClassName("token-grid-item");
window.ready = true;
"""


def _rows(table: Logprobs) -> tuple[list[str], list[list[str]], list[list[float]]]:
    """Return the tokens, and the alternatives of each with their probabilities."""
    words = np.array(texts(), dtype=object)
    _, ids = places(table)
    top = table.columns[3].reshape(len(table), ALTERNATIVES)
    return table.tokens, words[ids].tolist(), top.tolist()


def _circuitsvis(packages: Path, table: Logprobs) -> dict[str, str | bytes]:
    tokens, words, top = _rows(table)
    given = {
        "prompt": ["<s>", *tokens],
        "topKLogProbs": top,
        "topKTokens": words,
        "correctTokenRank": (table.rank() - 1).astype(int).tolist(),
        "correctTokenLogProb": table.logprob.tolist(),
    }
    bundle = (packages / "circuitsvis/dist/cdn/iife.js").read_text(encoding="utf-8")
    page = document('<div id="view"></div><script src="bundle.js"></script>' + script(READY))
    return {"index.html": page, "bundle.js": bundle, "given.json": json.dumps(given)}


def _inspectus(packages: Path, table: Logprobs) -> dict[str, str | bytes]:
    tokens, words, top = _rows(table)
    # It can show alternatives only as a text.
    info = [
        "\n".join(f"{word!r} {np.exp(value):.3f}" for word, value in zip(names, values, strict=True))
        for names, values in zip(words, top, strict=True)
    ]
    values = table.prob
    normal = (values - values.min()) / (values.max() - values.min())
    given = {"tokens": tokens, "values": [values.tolist()], "normal": [normal.tolist()], "info": info}
    style = (packages / "inspectus/static/css/charts.css").read_text(encoding="utf-8")
    bundle = (packages / "inspectus/static/js/charts.js").read_text(encoding="utf-8")
    page = document('<div id="view"></div><script src="bundle.js"></script>' + script(READY), f"<style>{style}</style>")
    return {"index.html": page, "bundle.js": bundle, "given.json": json.dumps(given)}


def _output(text: str, prob: float, others: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "class_name": "TokenOutput",
        "value": text,
        "is_input": False,
        "is_generated": True,
        "is_force_forwarded": False,
        "latency_ms": 10.0,
        "token": {"token": text, "bytes": _octets(text), "prob": prob, "masked": False},
        "top_k": others,
    }


def _octets(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _outputs(table: Logprobs) -> list[dict[str, Any]]:
    tokens, words, top = _rows(table)
    octets = {text: _octets(text) for text in texts()}
    found = []
    for text, prob, names, values in zip(tokens, table.prob.tolist(), words, np.exp(top).tolist(), strict=True):
        others = [
            {"token": name, "bytes": octets[name], "prob": value, "masked": False}
            for name, value in zip(names, values, strict=True)
        ]
        found.append(_output(text, prob, others))
    return found


def _guidance_page(packages: Path) -> str:
    """Return its page without the frame it has in a notebook, so that its messages arrive sooner."""
    page = (packages / "guidance/resources/graphpaper-inline.html").read_text(encoding="utf-8")
    before, end, after = page.rpartition("</body>")
    return before + script(READY) + end + after


def _guidance_live(packages: Path, table: Logprobs) -> dict[str, str | bytes]:
    messages = [
        json.dumps(
            {
                "message_id": at,
                "class_name": "TraceMessage",
                "trace_id": at,
                "parent_trace_id": at - 1,
                "node_attr": one,
            }
        )
        for at, one in enumerate(_outputs(table), 1)
    ]
    return {"index.html": _guidance_page(packages), "given.json": json.dumps({"messages": messages, **_size(table)})}


def _guidance_restored(packages: Path, table: Logprobs) -> dict[str, str | bytes]:
    metrics = {"status": "Done", "wall time": 0, "consumed": 0, "token reduction": 0, "avg latency": 0}
    metrics |= {"cpu": [0] * 5, "gpu": [0] * 5, "ram": 0, "vram": 0}
    state = {
        "components": _outputs(table),
        "status": "Done",
        "shownMetrics": [],
        "metrics": metrics,
        "requireFullReplay": False,
        "currentMessageId": len(table),
        "backtrackCount": 0,
        "resetCount": 0,
    }
    return {
        "index.html": _guidance_page(packages),
        "given.json": json.dumps({"state": json.dumps(state), **_size(table)}),
    }


def _size(table: Logprobs) -> dict[str, int]:
    """Return the numbers of UTF-16 units, each of which becomes an element of guidance's view, and of tokens."""
    return {"units": len(table.text.encode("utf-16-le")) // 2, "count": len(table)}


PEERS = {
    "circuitsvis": Peer(
        _circuitsvis,
        'CircuitsVis.render("view", CircuitsVis.TokenLogProbs, given)',
        "spans.length >= given.prompt.length - 1",
        "hover",
    ),
    "inspectus": Peer(
        _inspectus,
        'tokenViz("view", given.tokens, given.values, given.normal, ["probability"], false, ["blue"], given.info, '
        '"light")',
        "document.getElementById('view').childElementCount > 0",
        "click",
    ),
    "guidance": Peer(
        _guidance_restored,
        'postMessage({type: "init_state", content: given.state}, "*")',
        "items.length >= given.units",
        "hover, after 200 ms",
    ),
    "guidance_live": Peer(
        _guidance_live,
        # One task for each message, as if they arrived one after the other, but without the pauses between them.
        '(async () => { for (const content of given.messages) { postMessage({type: "kernelmsg", content}, "*"); '
        "await soon(); } })()",
        "items.length >= given.units",
        "hover, after 200 ms",
    ),
}
