"""Take the pictures of the documents again: ``python -m pytest docs/images/shoot.py``.

It asks the embedded model and needs Chromium. It is not a test, and runs only when it is named. ``-k first_look`` takes
one of them; ``-k gallery`` everything in light, dark and forced colours, from 220 to 1,080 px wide.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Locator, Page, expect

from deluge_nb import (
    Comparisons,
    LLMClient,
    LogprobCompare,
    LogprobView,
    RawPrompt,
    SamplingParams,
    alternatives_chart,
    confidence_chart,
    entropy_chart,
    events_chart,
    frequency_chart,
    label_bounds_chart,
    posterior_chart,
    sampling_chart,
    surprisal_chart,
    temperature_chart,
    to_text,
    token_chart,
)
from deluge_nb.lab import read
from tests.browser.conftest import Jupyter, browser, jupyter, notebook
from tests.browser.marimo_app import serving
from tests.browser.test_lab import open_and_run

__all__ = ["browser", "jupyter", "notebook"]

HERE = Path(__file__).parent
QUESTION = "Why is the sky blue?"
CAPITAL = "The capital of France is"
SETTINGS = "SamplingParams(logprobs=True, top_logprobs=8, seed=9, max_new_tokens=90)"
CELL = f'''from deluge_nb import LLMClient, LogprobView, SamplingParams

client = LLMClient("local", sampling_params={SETTINGS})
(answer,) = client.process_prompts_sync(["{QUESTION}"], show_progress=False)
LogprobView(answer, title="{QUESTION}")'''
FIRST_CELL = """%%deluge --model local --temperature 0 --top-logprobs 8 --out answer
What is the capital of France?"""
APP = """import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    from deluge_nb import LogprobView
    return LogprobView, mo


@app.cell
def _(mo):
    mo.md("# What else was possible?\\n\\nSelect a token: the line below is another cell.")
    return


@app.cell
def _(LogprobView, mo):
    view = mo.ui.anywidget(LogprobView(ENTRIES, title="TITLE"))
    view
    return (view,)


@app.cell
def _(mo, view):
    token = view.value["selected"]
    mo.md("Nothing is selected." if token is None else
          f"Python has token {token + 1}: `{view.widget.table[token]['token']}`.")
    return


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture
def wide(browser: Browser) -> Any:
    """A page of the pictures' size, with two pixels for one, that reaches no other machine."""
    context = browser.new_context(
        viewport={"width": 1120, "height": 720}, device_scale_factor=2, color_scheme="light", reduced_motion="reduce"
    )
    context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def answer() -> Any:
    """The embedded model's answer to the question of most pictures."""
    params = SamplingParams(logprobs=True, top_logprobs=8, seed=9, max_new_tokens=90)
    (response,) = LLMClient("local", sampling_params=params).process_prompts_sync([QUESTION], show_progress=False)
    return response


@pytest.fixture(scope="session")
def pair() -> list[Any]:
    """Two given texts that share most of their words, as the model reads them."""
    texts = {
        "hot": " go to the beach, swim in the sea and eat ice cream. We will come home late.",
        "cold": " go to the mountains, swim in the pool and eat ice cream. We will come home late.",
    }
    return [read(f"It is a {word} day. Today we will", text) for word, text in texts.items()]


@pytest.fixture(scope="session")
def capital() -> Any:
    """One token: the answer to a question that was begun for the model."""
    client = LLMClient("local", logprobs=True, top_logprobs=8, temperature=0, max_new_tokens=1)
    (response,) = client.process_prompts_sync([RawPrompt(CAPITAL)], show_progress=False)
    return response


# Writing --------------------------------------------------------------------------------------------------------------

PIXELS = """async (source) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const bytes = context.getImageData(0, 0, image.width, image.height).data;
  let text = "";
  for (let start = 0; start < bytes.length; start += 32768)
    text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  return [image.width, image.height, btoa(text)];
}"""


def write(browser: Browser, name: str, picture: bytes) -> None:
    """Write a screenshot with at most 256 colours: a third of the bytes, and no difference to be seen."""
    blank = browser.new_page()
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    width, height, text = blank.evaluate(PIXELS, source)
    blank.close()
    pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[:, :, :3].astype(np.int32)
    # Shades that differ by less than four of 256 are one; of these the most frequent make the palette.
    coarse = (pixels >> 2) @ np.array([1 << 12, 1 << 6, 1])
    _, index, counts = np.unique(coarse, return_inverse=True, return_counts=True)
    frequent = np.argsort(-counts)[:256]
    sums = [np.bincount(index.ravel(), pixels[:, :, channel].ravel()) for channel in range(3)]
    colors = np.round(np.stack(sums, axis=1) / counts[:, None])
    palette = colors[frequent]
    nearest = np.array([np.argmin(((palette - color) ** 2).sum(axis=1)) for color in colors], np.uint8)
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = nearest[index].reshape(height, width)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", header), (b"PLTE", palette.astype(np.uint8).tobytes())]
    parts += [(b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    path = HERE / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def open_card(view: Locator) -> None:
    """Open the card of a surprising token that leaves most of the text in sight."""
    tokens = view.locator(".deluge-line .deluge-token")
    expect(tokens.nth(20)).to_be_visible(timeout=120_000)
    heats = tokens.evaluate_all(
        "all => all.map(e => [Number(getComputedStyle(e).getPropertyValue('--u')), e.getBoundingClientRect().x])"
    )
    right = [at for at in range(len(heats) // 2, len(heats)) if 500 < heats[at][1] < 720]
    tokens.nth(max(right, key=lambda at: heats[at][0])).click()
    expect(view.locator(".deluge-card .deluge-card-list")).to_be_visible()


def shoot(page: Page, name: str, view: Locator | None = None) -> None:
    """Take a picture of the page; of a view, with the card of a token."""
    if view is not None:
        open_card(view)
    page.wait_for_timeout(1500)
    browser = page.context.browser
    assert browser is not None
    write(browser, name, page.screenshot())


def set_theme(page: Page, theme: str) -> None:
    """Choose a theme of JupyterLab, which keeps it for the next page."""
    page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
    page.wait_for_selector(f'body[data-jp-theme-light="{json.dumps(theme == "Light")}"]', state="attached")


def crop(page: Page, name: str, width: int) -> None:
    """Take a picture of the widget with what is open around it."""
    parts = ".deluge, .deluge-card, .deluge-more[open] .deluge-panel"
    edges = f"[...document.querySelectorAll('{parts}')].map(e => e.getBoundingClientRect()).filter(edge => edge.height)"
    top = max(0, page.evaluate(f"Math.min(...{edges}.map(edge => edge.top))") - 8)
    bottom = page.evaluate(f"Math.max(...{edges}.map(edge => edge.bottom))") + 8
    browser = page.context.browser
    assert browser is not None
    write(browser, name, page.screenshot(clip={"x": 0, "y": top, "width": width, "height": bottom - top}))


# Pictures -------------------------------------------------------------------------------------------------------------


def test_first_look(wide: Page, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    """The README's: a cell of the magic, a card, and the chart; of an answer that is true and complete."""
    name = notebook("first_look.ipynb", "%load_ext deluge_nb", FIRST_CELL)
    open_and_run(wide, jupyter, name, "lab/tree")
    wide.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    expect(wide.locator(".jp-OutputArea .vega-embed svg.marks")).to_be_visible(timeout=120_000)
    # Vega fits a chart to its cell again when the window changes, but not when a side bar does.
    wide.evaluate("window.dispatchEvent(new Event('resize'))")
    tokens = wide.locator(".deluge-line .deluge-token")
    expect(tokens).to_have_text(["The", " capital", " of", " France", " is", " Paris", "."])
    notebook_top = "window.jupyterapp.shell.currentWidget.content.node.querySelector('.jp-WindowedPanel-outer')"
    wide.evaluate(f"{notebook_top}.scrollTop = 0")
    tokens.nth(5).click()
    expect(wide.locator(".deluge-card .deluge-card-list")).to_be_visible()
    shoot(wide, "first_look")


@pytest.mark.parametrize("name", ["answer", "view", "compare", "samples"])
def test_guide(wide: Page, name: str, tmp_path: Path) -> None:
    """The guide's: what the site shows live, for readers elsewhere."""
    client = LLMClient("local", logprobs=True, top_logprobs=20, temperature=0, max_new_tokens=48)
    prompts: dict[str, list[Any]] = {
        "answer": ["What is the capital of France?"],
        "view": [RawPrompt("The best way to learn to play the piano is")],
        "compare": [RawPrompt(f"The {animal} is a large animal that lives in") for animal in ("lion", "elephant")],
        "samples": [RawPrompt("The capital of France is")] * 40,
    }
    params = client.sampling_params[0].replace(max_new_tokens=24) if name == "compare" else client.sampling_params[0]
    if name == "answer":
        params = SamplingParams(logprobs=True, top_logprobs=8, seed=9, max_new_tokens=40)
    if name == "samples":
        params = SamplingParams(logprobs=True, top_logprobs=8, temperature=1, seed=1, max_new_tokens=3)
    responses = client.process_prompts_sync(prompts[name], sampling_params=params, show_progress=False)
    if name == "compare":
        LogprobCompare(*responses, names=["lion", "elephant"]).save_html(tmp_path / "page.html")
    elif name == "samples":
        LogprobView(responses, title="Forty answers of three tokens").save_html(tmp_path / "page.html")
    else:
        title = "The best way to learn to play the piano is" if name == "view" else None
        LogprobView(responses[0], title=title).save_html(tmp_path / "page.html")
    wide.set_viewport_size({"width": 800, "height": 700})
    wide.goto((tmp_path / "page.html").as_uri())
    tokens = wide.locator(".deluge-token")
    expect(tokens.nth(2 if name == "samples" else 20)).to_be_visible()
    if name == "answer":
        wide.locator(".deluge-line .deluge-token").nth(8).click()
        expect(wide.locator(".deluge-card .deluge-card-list")).to_be_visible()
    wide.wait_for_timeout(500)
    crop(wide, name, 800)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_jupyterlab(wide: Page, jupyter: Jupyter, notebook: Callable[..., str], theme: str) -> None:
    """Both themes, and the saved notebook as nbconvert converts it."""
    open_and_run(wide, jupyter, notebook(f"{theme}.ipynb", CELL), "lab/tree")
    wide.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    set_theme(wide, theme)
    expect(wide.locator("section.deluge")).to_be_visible(timeout=120_000)
    wide.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    shoot(wide, "jupyterlab" if theme == "Light" else "jupyterlab_dark", wide.locator("section.deluge"))
    if theme == "Light":
        page, _ = HTMLExporter().from_filename(str(jupyter.root / f"{theme}.ipynb"))
        (jupyter.root / "page.html").write_text(page, encoding="utf-8")
        wide.goto((jupyter.root / "page.html").as_uri(), wait_until="domcontentloaded")
        shoot(wide, "nbconvert")
    else:
        set_theme(wide, "Light")


def test_notebook_7(wide: Page, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    """Notebook 7."""
    open_and_run(wide, jupyter, notebook("Sky.ipynb", CELL), "notebooks")
    shoot(wide, "notebook7", wide.locator("section.deluge"))


def test_marimo(wide: Page, answer: Any, tmp_path: Path) -> None:
    """A marimo app."""
    app = APP.replace("ENTRIES", repr(list(answer.logprobs))).replace("TITLE", QUESTION)
    with serving(tmp_path, {"sky": app}) as url:
        wide.goto(url)
        shoot(wide, "marimo", wide.locator("section.deluge"))


def test_saved_page(wide: Page, answer: Any, tmp_path: Path) -> None:
    """A page that ``save_html`` wrote."""
    LogprobView(answer, title=QUESTION).save_html(tmp_path / "sky.html")
    wide.goto((tmp_path / "sky.html").as_uri())
    shoot(wide, "saved_page", wide.locator("section.deluge"))


# Everything, in every appearance --------------------------------------------------------------------------------------

SUBJECTS = ["token", "answer", "card", "display", "static", "comparison", "comparison_card", "comparison_static"]
SUBJECTS += ["samples", "comparisons"]
MODES: dict[str, Any] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"color_scheme": "light", "forced_colors": "active"},
}


@pytest.fixture(scope="session")
def samples() -> list[Any]:
    """Forty continuations of three tokens."""
    params = SamplingParams(logprobs=True, top_logprobs=8, temperature=1, seed=1, max_new_tokens=3)
    return LLMClient("local").process_prompts_sync(
        [RawPrompt(CAPITAL)] * 40, sampling_params=params, show_progress=False
    )


def charts_of(answer: Any) -> dict[str, alt.TopLevelMixin]:
    """Return one chart of each kind."""
    top = answer.logprobs[0]["top_logprobs"]
    names, shares = [one["token"] for one in top[:4]], [math.exp(one["logprob"]) for one in top[:4]]
    drift = [[1 / (1 + math.exp(-step / 3)), 1 / (1 + math.exp(step / 3))] for step in range(9)]
    return {
        "token": token_chart(answer.logprobs),
        "confidence": confidence_chart(answer.logprobs),
        "entropy": entropy_chart(answer.logprobs),
        "surprisal": surprisal_chart(answer.logprobs),
        "alternatives": alternatives_chart(answer.logprobs),
        "events": events_chart(names, shares, event=names[:2]),
        "sampling": sampling_chart(names, shares, [4, 3, 2, 1], total=20),
        "temperature": temperature_chart(list("abcd"), [math.log(p) for p in (0.5, 0.3, 0.15, 0.05)], 1.5, listed=4),
        "posterior": posterior_chart([row["token"] for row in answer.logprobs[:8]], drift, ["recipe", "weather"]),
        "frequency": frequency_chart(0.02, 0.95, 0.1),
        "label_bounds": label_bounds_chart(["yes", "no", "maybe"], [0.05, 0.44, 0.1], [0.14, 0.54, 0.3]),
    }


@pytest.mark.parametrize("width", [220, 400, 1080])
@pytest.mark.parametrize("mode", list(MODES))
def test_gallery_of_charts(browser: Browser, answer: Any, mode: str, width: int, tmp_path: Path) -> None:
    """Every chart, as a notebook's page shows it: with Vega's dark theme where the page is dark."""
    context = browser.new_context(viewport={"width": width + 24, "height": 60}, **MODES[mode])
    page = context.new_page()
    for name, chart in charts_of(answer).items():
        theme = {"theme": "dark"} if mode == "dark" else {}
        chart.save(tmp_path / "chart.html", inline=True, embed_options={"actions": False, **theme})
        page.goto((tmp_path / "chart.html").as_uri())
        ground, ink = ("#111", "#ddd") if mode == "dark" else ("#fff", "#222")
        style = f"{{margin: '12px', background: '{ground}', color: '{ink}'}}"
        page.evaluate(f"Object.assign(document.body.style, {style})")
        expect(page.locator("#vis :is(canvas, svg.marks)")).to_be_visible()
        page.wait_for_timeout(300)
        write(browser, f"gallery/chart_{name}_{width}_{mode}", page.screenshot(full_page=True))
    context.close()


def test_gallery_of_the_magic(browser: Browser, jupyter: Jupyter, notebook: Callable[..., str]) -> None:
    """A cell of the magic in Notebook 7: its line and prompt, the view and its chart."""
    context = browser.new_context(viewport={"width": 1104, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    open_and_run(page, jupyter, notebook("magic.ipynb", "%load_ext deluge_nb", FIRST_CELL), "notebooks")
    expect(page.locator(".jp-OutputArea .vega-embed svg.marks")).to_be_visible(timeout=120_000)
    cell = page.locator(".jp-CodeCell").nth(1)
    for mode, media in MODES.items():
        set_theme(page, "Dark" if mode == "dark" else "Light")
        seen: dict[str, Any] = {"forced_colors": "none", **media}
        page.emulate_media(**seen)
        for width in (400, 1080):
            page.set_viewport_size({"width": width + 24, "height": 900})
            page.wait_for_timeout(1500)
            box = cell.bounding_box()
            assert box is not None
            edges = {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"] + 8}
            write(browser, f"gallery/magic_{width}_{mode}", page.screenshot(clip=edges))
    set_theme(page, "Light")
    context.close()


# How a terminal shows the codes that ``to_text`` writes.
SGR = {
    r"38;2;(\d+);(\d+);(\d+)": r"color: rgb(\1, \2, \3)",
    r"48;2;(\d+);(\d+);(\d+)": r"background: rgb(\1, \2, \3)",
    r"\b4$": "text-decoration: underline",
}


def sgr_style(codes: str) -> str:
    """Return the style of a text after an ANSI sequence."""
    return "; ".join(found.expand(style) for code, style in SGR.items() if (found := re.search(code, codes)))


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("columns", [50, 130])
def test_gallery_of_the_terminal(browser: Browser, answer: Any, mode: str, columns: int) -> None:
    """The coloured text that ``to_text`` returns, in a terminal of 50 columns (400 px) and of 130 (1,080 px)."""
    parts = re.split(r"\x1b\[([\d;]*)m", to_text(answer.logprobs, color=True, width=columns))
    pieces = zip(["0", *parts[1::2]], parts[::2], strict=True)
    spans = [f'<span style="{sgr_style(codes)}">{html.escape(text)}</span>' for codes, text in pieces]
    ground, ink = ("#111", "#ddd") if mode == "dark" else ("#fff", "#222")
    page = browser.new_page(viewport={"width": 8 * columns + 24, "height": 60})
    font = "13.3px/1.4 DejaVu Sans Mono"
    style = f"margin: 0; color: {ink}; font: {font}"
    page.set_content(f'<body style="margin: 12px; background: {ground}"><pre style="{style}">{"".join(spans)}</pre>')
    write(browser, f"gallery/terminal_{columns}_{mode}", page.screenshot(full_page=True))
    page.close()


@pytest.mark.parametrize("width", [220, 400, 700, 1080])
@pytest.mark.parametrize("mode", list(MODES))
def test_gallery(
    browser: Browser,
    answer: Any,
    pair: list[Any],
    capital: Any,
    samples: list[Any],
    mode: str,
    width: int,
    tmp_path: Path,
) -> None:
    """The widgets, their cards, menus and static forms."""
    view = LogprobView(answer, title=QUESTION)
    compare = LogprobCompare(*pair, names=["a hot day", "a cold day"], title="Today we will …")
    LogprobView(capital, before=CAPITAL).save_html(tmp_path / "token.html")
    view.save_html(tmp_path / "answer.html")
    compare.save_html(tmp_path / "comparison.html")
    LogprobView(samples, title="Forty answers of three tokens").save_html(tmp_path / "samples.html")
    inputs = ["Is the sky blue?", "Is snow warm? Think of how it feels when you hold it in your hand for a while."]
    table = Comparisons(inputs, {"short": [answer, capital], "long prompt": [capital, answer]})
    table.save_html(tmp_path / "comparisons.html")
    (tmp_path / "static.html").write_text(view.to_html(standalone=True), encoding="utf-8")
    (tmp_path / "comparison_static.html").write_text(compare.to_html(standalone=True), encoding="utf-8")
    context = browser.new_context(viewport={"width": width + 24, "height": 900}, reduced_motion="reduce", **MODES[mode])
    page = context.new_page()
    for subject in SUBJECTS:
        name = {"card": "answer", "display": "answer", "comparison_card": "comparison"}.get(subject, subject)
        page.goto((tmp_path / f"{name}.html").as_uri())
        page.evaluate("Object.assign(document.body.style, {margin: '12px', padding: 0, maxWidth: 'none'})")
        drawn = ":is(.deluge-line, .deluge-static) .deluge-token, .deluge-tree li, .deluge-table tbody tr"
        expect(page.locator(drawn).first).to_be_visible()
        # The layout follows the width, and overviews are drawn in idle time.
        page.wait_for_timeout(500)
        if subject == "card":
            page.locator("[data-token='20']").first.click()
        if subject == "comparison_card":
            page.locator("[data-of='1'][data-token='1']").first.click()
        if subject.endswith("card"):
            expect(page.locator(".deluge-card .deluge-card-list").first).to_be_visible()
        if subject == "display":
            page.get_by_text("Display").click()
        crop(page, f"gallery/{subject}_{width}_{mode}", width + 24)
    context.close()
