"""Compose a picture of a completion from rectangles and words, in pixels at a scale of 1, and write it as SVG."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...logprobs.table import Logprobs
from ...text.glyphs import Fragment
from ...text.lines import display_width
from ..colors import ONLY_HERE, RGB, Inks, cue_thresholds, mix, to_css
from ..excerpt import NO_TOKEN, ShortAnswer, count_omitted
from ..scale import SCALES, ColorBy, percent, scale_values
from .grid import Face, Layout, Piece, lay_out

# Pixels: width of a cell, height of a line, and within a line the baseline, the top and the bottom of a fill.
CELL, LINE, BASELINE, TOP, BOTTOM = 8, 24, 16, 1, 23
MARGIN, PADDING, GAP, ROUND = 8, 10, 4, 6
# Pixels: length and thickness of the dashes below text that only one of the compared responses has.
DASH, DASH_HEIGHT = 4, 1.5
# Pixels: length of the rail of a bar, and its top and height within a line. Share of the colour of lines in it.
RAIL, RAIL_TOP, RAIL_HEIGHT = 240, 7, 10
_RAIL_SHARE = 0.35
# Font size. In DejaVu Sans Mono and most monospaced fonts the advance width is 0.602 of the size.
_SIZE = CELL / 0.602
# Distinct heats in an SVG.
_HEAT_STEPS = 200
# Characters of the description.
_DESCRIBED = 2000
_FONTS: dict[Face, str] = {
    "mono": "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', 'Noto Sans Mono', monospace",
    "bold": "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', 'Noto Sans Mono', monospace",
    "sans": "'DejaVu Sans', Arial, 'Noto Sans', sans-serif",
    "wide": "'Noto Sans CJK SC', 'Noto Sans CJK JP', 'PingFang SC', 'Hiragino Sans', 'Microsoft YaHei', "
    "'Malgun Gothic', 'WenQuanYi Zen Hei', 'DejaVu Sans', sans-serif",
    "emoji": "'Noto Color Emoji', 'Apple Color Emoji', 'Segoe UI Emoji', sans-serif",
}
# Characters that XML does not allow, and controls that could act on the program that shows the text.
_UNSAFE = re.compile(
    "[^\t\n\u0020-\u007e\u00a0-\u061b\u061d-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


class Fill(NamedTuple):
    """Rectangle of whole cells in the colour of a heat; NaN if that is unknown."""

    x: int
    y: int
    cells: int
    heat: float
    marked: bool


class Word(NamedTuple):
    """Text of whole cells, and the heat of its background: None on the picture's own."""

    x: int
    y: int
    cells: int
    text: str
    face: Face
    turned: bool
    heat: float | None
    soft: bool


class Bar(NamedTuple):
    """Bar of a probability on its rail; ``own`` if it is that of the token."""

    x: int
    y: int
    probability: float
    own: bool

    def parts(self, inks: Inks) -> list[tuple[float, RGB]]:
        """Return length and colour of the rail, and of the bar on it."""
        color = inks.edge if self.own else inks.bar_fill
        return [(RAIL, mix(inks.line, inks.ground, _RAIL_SHARE)), (max(1, RAIL * min(self.probability, 1)), color)]


class Scene(NamedTuple):
    """Contents of a picture; ``box`` is the top and the height of the frame around the tokens."""

    width: int
    height: int
    box: tuple[int, int]
    fills: list[Fill]
    words: list[Word]
    inks: Inks
    bars: Sequence[Bar] = ()


def compose(
    table: Logprobs,
    color_by: ColorBy,
    title: str,
    inks: Inks,
    width: int,
    *,
    lead: Sequence[Fragment] = (),
    short: ShortAnswer,
    more: int,
    most: int | None = None,
) -> tuple[Scene, int]:
    """Return the scene of a table, and the number of its tokens in the scene.

    Parameters
    ----------
    table
        Log-probabilities to draw.
    color_by
        Measure that is shown as colour.
    title
        Line above the tokens; none if empty.
    inks
        Colours.
    width
        Columns of a line.
    lead
        Text before the tokens.
    short
        Numbers around a short answer.
    more
        Number of tokens by which the table was truncated before.
    most
        Largest number of lines; all by default.
    """
    fills: list[Fill] = []
    words: list[Word] = []
    above = add_text(title, MARGIN, MARGIN, width, words)
    y = MARGIN + above.lines * LINE
    y, right = add_legend(scale_samples(color_by), MARGIN + width * CELL, y, fills, words)
    y += GAP
    top, left = y, MARGIN + PADDING
    y += PADDING // 2
    body = lay_out(table.token_bytes, width, lead=lead, beside=short.percents, most=most)
    heats = SCALES[color_by].heat(scale_values(table, color_by)).tolist()
    add_tokens(body, heats, left, y, fills, words)
    y += max(body.lines, 1) * LINE + PADDING // 2
    box = (top, y - top)
    bars, bars_right, y = _add_bars(short, y, words)
    right = max(right, bars_right)
    rest = len(table) - body.tokens + more
    if rest:
        y += GAP
        right = max(right, add_note(count_omitted(rest), MARGIN, y, words))
        y += LINE
    widest = max([patch.column + patch.cells for patch in (*body.patches, *above.patches)], default=0)
    full = max(left + widest * CELL + PADDING, right) + MARGIN
    return Scene(full, y + MARGIN, box, fills, words, inks, bars), body.tokens


def describe(table: Logprobs, color_by: str) -> str:
    """Return a description of a picture for people who cannot see it."""
    text = _UNSAFE.sub("\ufffd", table[:_DESCRIBED].text.strip())
    ellipsis = "…" * (len(text) > _DESCRIBED or len(table) > _DESCRIBED)
    return f"Tokens coloured by {color_by}: {text[:_DESCRIBED]}{ellipsis}"


def svg(scene: Scene, title: str, description: str) -> str:
    """Return the scene as an SVG file."""
    width, height, _, fills, words, inks, bars = scene
    left, top, wide, tall = frame(scene)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-labelledby="title desc">'
        f'<title id="title">{escape_xml(title or "Token probabilities")}</title>'
        f'<desc id="desc">{escape_xml(description)}</desc>'
        f'<defs><pattern id="unknown" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V6" stroke="{to_css(inks.line)}" stroke-width="2"/>'
        "</pattern></defs>"
        f'<rect width="{width}" height="{height}" fill="{to_css(inks.ground)}"/>'
        f'<rect x="{left + 0.5}" y="{top + 0.5}" width="{wide - 1}" height="{tall - 1}" rx="{ROUND}" '
        f'fill="none" stroke="{to_css(inks.line)}"/>'
        + "".join(_fill_rects(fill, inks) for fill in fills)
        + "".join(_bar_rects(bar, inks) for bar in bars)
        + text_group(((word, word.x, word.y, _ink(word, inks)) for word in words), to_css(inks.text))
        + "</svg>"
    )


def frame(scene: Scene) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the frame around the tokens."""
    top, tall = scene.box
    return MARGIN, top, scene.width - 2 * MARGIN, tall


def quantize(heat: float, steps: int) -> float:
    """Return a heat rounded to one of so many steps, which limits the number of colours."""
    return heat if heat == ONLY_HERE else round(heat * steps) / steps


def line_at_edge(heat: float) -> float:
    """Return the thickness of the line below or above a token, which shows the heat without colour."""
    start, slope = cue_thresholds()
    return max(0.0, (abs(heat) - start) * slope)


def text_group(words: Iterable[tuple[Word, float, float, str | None]], color: str) -> str:
    """Return an SVG group of words, each with its x, its y and a colour of its own or None for the group's."""
    inside = "".join(_text(*word) for word in words)
    return f'<g fill="{color}" font-size="{_SIZE:.2f}" font-family="{_FONTS["mono"]}">{inside}</g>'


def _text(word: Word, x: float, y: float, color: str | None) -> str:
    """Return a word as an SVG element, fitted to its cells in any font."""
    font = "" if word.face in ("mono", "bold") else f' font-family="{_FONTS[word.face]}"'
    weight = ' font-weight="700"' if word.face == "bold" else ""
    fill = f' fill="{color}"' if color else ""
    fit = f' textLength="{word.cells * CELL}"'
    if word.face == "wide":  # a square in the middle of two cells
        x += round(CELL - _SIZE / 2, 2)
        fit = f' letter-spacing="{2 * CELL - _SIZE:.2f}"'
    elif word.turned or word.face in ("sans", "emoji"):
        # Glyphs are not as wide as cells. They are stretched, because letter spacing would break joined letters.
        fit += ' lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x:g}" y="{y + BASELINE:g}"{font}{weight}{fill}{fit}>{escape_xml(word.text)}</text>'


def escape_xml(raw: str) -> str:
    """Return text escaped for XML, with U+FFFD for unsafe characters."""
    return html.escape(_UNSAFE.sub("\ufffd", raw), quote=True)


def _fill_rects(fill: Fill, inks: Inks) -> str:
    x, y, wide, tall = fill.x, fill.y + TOP, fill.cells * CELL, BOTTOM - TOP
    if math.isnan(fill.heat):
        return f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" rx="2" fill="url(#unknown)"/>'
    heat = quantize(fill.heat, _HEAT_STEPS)
    rects = f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" rx="2" fill="{to_css(inks.fill(heat))}"/>'
    if heat == ONLY_HERE:
        dashes = f'stroke="{to_css(inks.soft)}" stroke-width="{DASH_HEIGHT}" stroke-dasharray="{DASH} {DASH}"'
        return f'{rects}<path d="M{x} {y + tall - 1}h{wide}" {dashes}/>'
    thick = line_at_edge(fill.heat)
    if thick:
        is_above = heat < 0
        line_y, color = (y, inks.surer_edge) if is_above else (y + tall - thick, inks.edge)
        rects += f'<rect x="{x}" y="{line_y:.2f}" width="{wide}" height="{thick:.2f}" fill="{to_css(color)}"/>'
    return rects


def _bar_rects(bar: Bar, inks: Inks) -> str:
    return "".join(
        f'<rect x="{bar.x}" y="{bar.y + RAIL_TOP}" width="{length:.2f}" height="{RAIL_HEIGHT}" rx="1.5" '
        f'fill="{to_css(color)}"/>'
        for length, color in bar.parts(inks)
    )


def _add_bars(short: ShortAnswer, y: int, words: list[Word]) -> tuple[list[Bar], int, int]:
    """Add the labels and numbers of the likeliest tokens; return their bars, their right end and their bottom."""
    if not short.bars:
        return [], 0, y
    y += GAP
    left = MARGIN + PADDING
    rail = left + (max(display_width(label) for label, _, _ in short.bars) + 2) * CELL
    numbers = [percent(probability) for _, probability, _ in short.bars]
    right = rail + RAIL + (1 + max(map(len, numbers))) * CELL
    bars: list[Bar] = []
    for (label, probability, own), number in zip(short.bars, numbers, strict=True):
        bars.append(Bar(rail, y, probability, own))
        for x, text in ((left, label), (right - len(number) * CELL, number)):
            for piece in lay_out([text.encode()], max(display_width(text), 1)).pieces:
                face = _bold(piece.face) if own else piece.face
                words.append(_word(piece._replace(face=face), x, y, None, soft=False))
        y += LINE
    return bars, right, y


def _ink(word: Word, inks: Inks) -> str | None:
    """Return the colour of a word, None if it is that of the text."""
    if not word.soft:
        return None
    if word.heat is None or math.isnan(word.heat):
        return to_css(inks.soft)
    return to_css(inks.mark(quantize(word.heat, _HEAT_STEPS)))


def _word(piece: Piece, left: int, top: int, heat: float | None, *, soft: bool) -> Word:
    x, y = left + piece.column * CELL, top + piece.line * LINE
    return Word(x, y, piece.cells, piece.text, piece.face, piece.turned, heat, soft)


def _bold(face: Face) -> Face:
    return "bold" if face == "mono" else face


def add_text(text: str, left: int, top: int, width: int, words: list[Word], *, bold: bool = True) -> Layout:
    """Add a text in bold or soft letters, on lines that end between words, and return its layout."""
    parts = [part.encode("utf-8", "replace") for part in text.split()]
    if not parts:
        return Layout([], [], 0, 0)
    layout = lay_out([b" " + part if index else part for index, part in enumerate(parts)], width)
    for piece in layout.pieces:
        face = _bold(piece.face) if bold else piece.face
        words.append(_word(piece._replace(face=face), left, top, None, soft=not bold))
    return layout


def add_tokens(
    layout: Layout, heats: Sequence[float], left: int, top: int, fills: list[Fill], words: list[Word]
) -> None:
    """Add tokens that are laid out, each in the colour of its heat, and text that belongs to no token."""
    fills += [
        Fill(left + patch.column * CELL, top + patch.line * LINE, patch.cells, heats[patch.token], patch.marked)
        for patch in layout.patches
        if patch.token != NO_TOKEN
    ]
    for piece in layout.pieces:
        is_outside = piece.token == NO_TOKEN
        heat = None if is_outside else heats[piece.token]
        words.append(_word(piece, left, top, heat, soft=is_outside or piece.marked))


def scale_samples(color_by: ColorBy) -> list[tuple[str, float | None]]:
    """Return the texts of a legend, each with its heat or None: the steps of a scale between its name and unit."""
    scale = SCALES[color_by]
    heats = scale.heat([value for _, value in scale.steps]).tolist()
    return [(color_by, None), *zip([name for name, _ in scale.steps], heats, strict=True), (scale.unit, None)]


def add_legend(
    samples: Iterable[tuple[str, float | None]], end: int, y: int, fills: list[Fill], words: list[Word]
) -> tuple[int, int]:
    """Add the samples of a legend on as many lines as needed; return the bottom and the right end."""
    x = right = MARGIN
    for name, heat in samples:
        if not name:
            continue
        around = 0 if heat is None else 1
        wide = (display_width(name) + 2 * around) * CELL
        if x > MARGIN and x + wide > end:
            x, y = MARGIN, y + LINE
        if heat is not None:
            fills.append(Fill(x, y, wide // CELL, heat, marked=False))
        add_note(name, x + around * CELL, y, words, heat)
        x += wide + (CELL if heat is None else GAP)
        right = max(right, x)
    return y + LINE, right


def add_note(text: str, x: int, y: int, words: list[Word], heat: float | None = None) -> int:
    """Add a line that is not part of the completion, in a soft colour if it has no heat; return its right end."""
    for piece in lay_out([text.encode()], display_width(text)).pieces:
        words.append(_word(piece, x, y, heat, soft=heat is None))
    return x + display_width(text) * CELL
