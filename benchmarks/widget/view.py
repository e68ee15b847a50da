"""Compare the view with other views of token probabilities, and with itself at a thousand times as many tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from deluge_nb import Logprobs

from . import hover, jupyterlab, many, messages, page, stream
from . import own as own_view
from . import peers as peer_views
from .table import table

FEW, SOME, MANY, STREAMED = 1_000, 10_000, 1_000_000, 100_000
ROUNDS = 5
# A paint takes few frames, so that one more or less is a tenth of its time.
PAINTS = 11
# Pages on which the pointer goes from token to token; on each fifteen times.
HOVERS = 3
# Every time includes the two frames of the clock; nothing is subtracted. With each time comes ``work``, the CPU
# milliseconds of the page's main thread; a bar on a ratio of times is also a bar on the ratio of work.
BARS = {
    "paint_to_fastest_on_hover": 1 / 14,
    "paint_to_fastest_peer": 1 / 9,
    "work_to_fastest_peer": 1 / 8,
    "paint_to_guidance_live": 1 / 50,
    "million_to_thousand": 1.5,
    "elements": 1_000,
    "slowest_frame_ms": 100,
    "hover_frames": 2,
    "hover_ms": 2 * 1000 / 60,
    "card_work_to_peer": 1 / 5,
    "bytes_to_json": 1 / 8,
    "stream_last_to_second_tenth": 1.5,
    "stream_work_last_to_second_tenth": 1.5,
    "notebook_million_to_thousand": 3.0,
    "views_last_to_first_twenty": 1.3,
    "views_work_last_to_first_twenty": 1.3,
    "views_memory_second_to_first_half": 1.3,
}


def measure(build: Path) -> dict[str, Any]:
    """Measure all views; peers have an environment of their own, and every page is a fresh one."""
    packages = peer_views.environment(build)
    whole = table(MANY)
    growth = stream.recorded(whole[:STREAMED])
    with page.chromium() as browser:
        painted = _paints(browser, whole, packages)
        moved = {str(count): own_view.moves(browser, whole[:count], ROUNDS) for count in (FEW, MANY)}
        hovered = hover.measure(browser, packages, whole[:SOME], HOVERS)
        streamed = stream.measure(browser, growth)
    sizes = messages.sizes(whole)
    notebook = jupyterlab.measure((FEW, MANY), ROUNDS)
    views = many.measure()
    figures = _figures(painted, moved, streamed, sizes, notebook) | _cards(hovered) | many.ratios(views)
    return {
        "ratios": figures,
        "first_paint": painted,
        "not_run": peer_views.NOT_RUN,
        "moving": moved,
        "hovering": hovered,
        "streaming": streamed,
        "wire": sizes,
        "notebook_ms": notebook,
        "two_hundred_views": views,
        "bar": ", ".join(f"{name} <= {bar:.4g}" for name, bar in BARS.items()),
        "missed": [name for name, bar in BARS.items() if not figures[name] <= bar],
        "passed": all(figures[name] <= bar for name, bar in BARS.items()),
    }


def _paints(browser: Browser, whole: Logprobs, packages: Path) -> dict[str, Any]:
    """Return first paints in milliseconds; views of the same number of tokens take turns, and so do our own sizes."""
    some = whole[:SOME]
    peers = {name: peer_views.painter(browser, name, packages, some) for name in peer_views.PEERS}
    live = {"guidance_live": peers.pop("guidance_live")}
    ours = {str(count): own_view.painter(browser, whole[:count]) for count in (FEW, SOME, MANY)}
    page.in_turn({"ours": ours[str(SOME)]}, 1)  # Warm up the browser.
    beside = page.in_turn({"nothing": page.nothing(browser), "ours": ours[str(SOME)], **peers}, PAINTS)
    return {str(SOME): beside | page.in_turn(live, 1), "ours": page.in_turn(ours, PAINTS)}


def _figures(
    painted: Mapping[str, Any],
    moved: Mapping[str, Any],
    streamed: Mapping[str, Any],
    sizes: Mapping[str, Any],
    notebook: Mapping[str, float],
) -> dict[str, float]:
    beside, own = painted[str(SOME)], painted["ours"]
    ours, few, many, far = beside["ours"], own[str(FEW)], own[str(MANY)], moved[str(MANY)]
    shown = [name for name in peer_views.PEERS if name != "guidance_live"]
    hovered = [name for name in shown if peer_views.PEERS[name].shows.startswith("hover")]
    return {
        "paint_to_fastest_on_hover": ours["painted"] / min(beside[name]["painted"] for name in hovered),
        "paint_to_fastest_peer": ours["painted"] / min(beside[name]["painted"] for name in shown),
        "work_to_fastest_peer": ours["work"] / min(beside[name]["work"] for name in shown),
        "paint_to_guidance": ours["painted"] / beside["guidance"]["painted"],
        "paint_to_guidance_live": ours["painted"] / beside["guidance_live"]["painted"],
        "million_to_thousand": many["painted"] / few["painted"],
        "work_million_to_thousand": many["work"] / few["work"],
        "elements": max(far["elements"], many["elements"]),
        "slowest_frame_ms": max(far["slowest_step_ms"], far["slowest_jump_ms"]),
        "hover_frames": far["hover_frames_at_most"],
        "hover_ms": far["hover_ms"],
        "bytes_to_json": sizes["ratio"],
        "stream_last_to_second_tenth": streamed["last_to_second_tenth"],
        "stream_work_last_to_second_tenth": streamed["work_last_to_second_tenth"],
        "notebook_million_to_thousand": notebook[str(MANY)] / notebook[str(FEW)],
    }


def _cards(hovered: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    ours, theirs = hovered["ours"], hovered[hover.PEER]
    return {"card_to_peer": ours["ms"] / theirs["ms"], "card_work_to_peer": ours["work"] / theirs["work"]}
