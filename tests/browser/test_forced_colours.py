"""High contrast: everything that colour says is also said without it, as pixels show."""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from deluge_nb import LogprobCompare, Logprobs, LogprobView

from .tables import entry, long_table, table
from .test_compare import shown

__all__ = ["shown"]

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
LIGHT = pytest.param("light", marks=pytest.mark.context(forced_colors="active", color_scheme="light"))
DARK = pytest.param("dark", marks=pytest.mark.context(forced_colors="active", color_scheme="dark"))
both = pytest.mark.parametrize("scheme", [LIGHT, DARK])

# The share of pixels of a canvas that were drawn on.
DRAWN = """e => {
    const {data} = e.getContext('2d').getImageData(0, 0, e.width, e.height);
    let drawn = 0;
    for (let at = 3; at < data.length; at += 4) drawn += data[at] > 0;
    return 4 * drawn / data.length;
}"""
# The contrast ratio of the bars of a canvas with the ground of the page.
CONTRAST = """e => {
    const light = (data) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, at) => {
        const value = data[at] / 255;
        return sum + weight * (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    }, 0);
    const {data} = e.getContext('2d').getImageData(2, e.height - 2, 1, 1);
    const context = document.createElement('canvas').getContext('2d');
    const ground = document.createElement('i');
    ground.style.color = 'Canvas';
    document.body.append(ground);
    context.fillStyle = getComputedStyle(ground).color;
    ground.remove();
    context.fillRect(0, 0, 1, 1);
    const [a, b] = [light(data), light(context.getImageData(0, 0, 1, 1).data)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


# The number of pixels that differ between two pictures, by more than the eye could miss.
DIFFERING = """async (pictures) => {
    const pixels = await Promise.all(pictures.map(async (text) => {
        const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${text}`)).blob());
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
        context.drawImage(bitmap, 0, 0);
        return [bitmap.width, bitmap.height, context.getImageData(0, 0, bitmap.width, bitmap.height).data];
    }));
    const [[width, height, a], [otherWidth, otherHeight, b]] = pixels;
    if (width !== otherWidth || height !== otherHeight) return -1;
    let differing = 0;
    for (let at = 0; at < a.length; at += 4) {
        differing += [0, 1, 2].some((channel) => Math.abs(a[at + channel] - b[at + channel]) > 64);
    }
    return differing;
}"""


def pictures_differ(page: Page, pictures: dict[str, bytes]) -> None:
    """Check that no two pictures of the same size are alike."""
    encoded = {name: base64.b64encode(data).decode() for name, data in pictures.items()}
    differing = {
        (a, b): page.evaluate(DIFFERING, [encoded[a], encoded[b]]) for a, b in itertools.combinations(pictures, 2)
    }
    assert not {pair: count for pair, count in differing.items() if count < 10}


def picture(page: Page, token: Locator) -> bytes:
    """Return the pixels of a token and of the space around it."""
    box = token.bounding_box()
    assert box is not None
    x, y = math.floor(box["x"]) - 3, math.floor(box["y"]) - 3
    return page.screenshot(clip={"x": x, "y": y, "width": math.ceil(box["width"]) + 6, "height": 32})


def word(p: float | None) -> Logprobs:
    """Return lines of the same word, so that a token stands alone; of the second the probability varies."""
    rows: list[dict[str, Any]] = [entry("\n", 0.9999), entry("word", 0.9999 if p is None else p), entry("\n", 0.9999)]
    if p is None:
        none: list[Any] = []
        rows[1] = {"token": "word", "logprob": -9999.0, "bytes": list(b"word"), "top_logprobs": none}
    return Logprobs.from_entries(rows)


@both
def test_the_same_word_looks_different_in_every_state(page: Page, host: Host, scheme: str) -> None:
    states: dict[str, tuple[float | None, dict[str, Any]]] = {
        "sure": (0.9999, {}),
        "unsure": (0.6, {}),
        "least sure": (0.01, {}),
        "unknown": (None, {}),
        "selected": (0.6, {"selected": 1}),
        "ranged": (0.6, {"selection": [1, 2]}),
        "pinned": (0.6, {"pinned": [1]}),
        "ranged and pinned": (0.6, {"selection": [1, 2], "pinned": [1]}),
        "outside the limits": (0.6, {"limits": [0.9, 1]}),
        "unknown and selected": (None, {"selected": 1}),
        "unknown and ranged": (None, {"selection": [1, 2]}),
    }
    pictures = {}
    for name, (p, traits) in states.items():
        host(LogprobView(word(p)))
        for trait, value in traits.items():
            page.evaluate("([name, value]) => window.model.set(name, value)", [trait, value])
        pictures[name] = picture(page, page.locator('[data-token="1"]'))
    pictures["hit"] = _hit(host)
    page.evaluate("window.model.set('selected', 1)")
    pictures["hit and selected"] = picture(page, page.locator('[data-token="1"]'))
    pictures_differ(page, pictures)


def _hit(host: Host) -> bytes:
    page = host(LogprobView(Logprobs.from_entries([*word(0.6), *long_table(60)])))
    page.get_by_role("searchbox").fill("word")
    expect(page.locator(".deluge-hit")).to_have_count(1)
    return picture(page, page.locator('[data-token="1"]'))


@both
def test_the_same_word_looks_different_for_every_difference(page: Page, shown: Host, scheme: str) -> None:
    def compared(a: float, b: float | None, pinned: list[list[int]] | None = None) -> bytes:
        other = word(b) if b is not None else table(("\n", 0.9999), ("term", 0.6), ("\n", 0.9999))
        shown(LogprobCompare(word(a), other, color_by="difference"))
        page.evaluate("pinned => window.model.set('pinned', pinned)", pinned or [])
        return picture(page, page.locator('[data-of="0"][data-token="1"]'))

    pictures_differ(
        page,
        {
            "equal": compared(0.6, 0.6),
            "surer here": compared(0.6, 0.2),
            "much surer here": compared(0.6, 0.01),
            "less sure": compared(0.2, 0.6),
            "much less sure": compared(0.01, 0.6),
            "only here": compared(0.6, None),
            "only here, and pinned": compared(0.6, None, pinned=[[0, 1]]),
        },
    )


@both
def test_the_strip_and_its_selection_are_drawn(host: Host, scheme: str) -> None:
    page = host(LogprobView(long_table(60)))
    canvas = page.locator(".deluge-strip canvas")
    canvas.scroll_into_view_if_needed()
    assert 0.2 < canvas.evaluate(DRAWN) < 0.99
    assert canvas.evaluate(CONTRAST) > 7
    plain = canvas.screenshot()
    page.evaluate("window.model.set('selection', [3, 20])")
    ranged = canvas.screenshot()
    page.evaluate("window.model.set('selection', []); window.model.set('selected', 40)")
    pictures_differ(page, {"plain": plain, "ranged": ranged, "selected": canvas.screenshot()})


@both
def test_the_lines_and_the_selection_of_a_comparison_are_drawn(shown: Host, scheme: str) -> None:
    page = shown(LogprobCompare(long_table(60), long_table(50)))
    canvas = page.locator(".deluge-plot canvas")
    canvas.scroll_into_view_if_needed()
    assert canvas.evaluate(DRAWN) > 0.02
    plain = canvas.screenshot()
    page.evaluate("window.model.set('selected', 0)")
    pictures_differ(page, {"plain": plain, "selected": canvas.screenshot()})


@both
def test_the_card_tells_own_others_and_the_rest_apart(host: Host, scheme: str) -> None:
    rows = table(("word", 0.3, {"other": 0.3}))
    page = host(LogprobView(rows, top_k=1))
    page.locator('[data-token="0"]').click()
    rails = page.locator(".deluge-card .deluge-rail")
    pictures_differ(page, {name: rails.nth(at).screenshot() for at, name in enumerate(("own", "cut"))})
    page.evaluate("window.model.set('top_k', null)")
    pictures_differ(page, {name: rails.nth(at).screenshot() for at, name in enumerate(("own", "other", "rest"))})


@both
def test_a_toast_and_the_legend_are_seen(host: Host, scheme: str) -> None:
    page = host(LogprobView(long_table(60)))
    page.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    page.keyboard.press("k")
    toast = page.locator(".deluge-toast")
    expect(toast).to_be_visible()
    ink, ground = toast.evaluate("e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]")
    assert ink != ground
    ramp = page.locator(".deluge-ramp").first
    whole = ramp.screenshot()
    page.evaluate("window.model.set('limits', [0, 0.5])")
    pictures_differ(page, {"whole": whole, "limited": ramp.screenshot()})
