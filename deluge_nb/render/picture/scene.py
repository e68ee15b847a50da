"""Compose a picture of a completion from rectangles and words, in pixels at a scale of 1, and write it as SVG."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...logprobs.table import Logprobs
from ...text.lines import display_width
from ..colors import Inks, cue_thresholds, to_css
from ..excerpt import count_omitted
from ..scale import SCALES, ColorBy, scale_values
from .grid import Face, Layout, Piece, lay_out

# Pixels: width of a cell, height of a line, and within a line the baseline, the top and the bottom of a fill.
CELL, LINE, BASELINE, TOP, BOTTOM = 8, 24, 16, 1, 23
_MARGIN, _PADDING, _GAP, ROUND = 8, 10, 4, 6
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
    "[^\t\n\r\u0020-\u007e\u00a0-\u200d\u2010-\u2029\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
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


class Scene(NamedTuple):
    """Contents of a picture; ``box`` is the top and the height of the frame around the tokens."""

    width: int
    height: int
    box: tuple[int, int]
    fills: list[Fill]
    words: list[Word]
    inks: Inks


def compose(
    table: Logprobs, color_by: ColorBy, title: str, inks: Inks, width: int, *, more: int, most: int | None = None
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
    more
        Number of tokens by which the table was truncated before.
    most
        Largest number of lines; all by default.
    """
    fills: list[Fill] = []
    words: list[Word] = []
    y = _MARGIN
    if title:
        parts = title.split()
        above = lay_out(
            [(b" " if index else b"") + part.encode("utf-8", "replace") for index, part in enumerate(parts)], width
        )
        words += [_word(piece._replace(face=_bold(piece.face)), _MARGIN, y, None, soft=False) for piece in above.pieces]
        y += above.lines * LINE
    else:
        above = Layout([], [], 0, 0)
    y, right = _legend(color_by, _MARGIN + width * CELL, y, fills, words)
    y += _GAP
    top, left = y, _MARGIN + _PADDING
    y += _PADDING // 2
    body = lay_out(table.token_bytes, width, most=most)
    heats = SCALES[color_by].heat(scale_values(table, color_by)).tolist()
    fills += [
        Fill(left + patch.column * CELL, y + patch.line * LINE, patch.cells, heats[patch.token], patch.marked)
        for patch in body.patches
    ]
    words += [_word(piece, left, y, heats[piece.token], soft=piece.marked) for piece in body.pieces]
    y += max(body.lines, 1) * LINE + _PADDING // 2
    box = (top, y - top)
    rest = len(table) - body.tokens + more
    if rest:
        y += _GAP
        right = max(right, _note(count_omitted(rest), _MARGIN, y, words))
        y += LINE
    widest = max([patch.column + patch.cells for patch in (*body.patches, *above.patches)], default=0)
    full = max(left + widest * CELL + _PADDING, right) + _MARGIN
    return Scene(full, y + _MARGIN, box, fills, words, inks), body.tokens


def describe(table: Logprobs, color_by: ColorBy) -> str:
    """Return a description of a picture for people who cannot see it."""
    text = _UNSAFE.sub("\ufffd", table[:_DESCRIBED].text.strip())
    ellipsis = "…" * (len(text) > _DESCRIBED or len(table) > _DESCRIBED)
    return f"Tokens coloured by {color_by}: {text[:_DESCRIBED]}{ellipsis}"


def svg(scene: Scene, title: str, description: str) -> str:
    """Return the scene as an SVG file."""
    width, height, _, fills, words, inks = scene
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
        + text_group(((word, word.x, word.y, _ink(word, inks)) for word in words), to_css(inks.text))
        + "</svg>"
    )


def frame(scene: Scene) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the frame around the tokens."""
    top, tall = scene.box
    return _MARGIN, top, scene.width - 2 * _MARGIN, tall


def quantize(heat: float, steps: int) -> float:
    """Return a heat rounded to one of so many steps, which limits the number of colours."""
    return round(heat * steps) / steps


def line_below(heat: float) -> float:
    """Return the thickness of the line below a token, which shows the heat without colour."""
    start, slope = cue_thresholds()
    return max(0.0, (heat - start) * slope)


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
    thick = line_below(fill.heat)
    if thick:
        rects += (
            f'<rect x="{x}" y="{y + tall - thick:.2f}" width="{wide}" height="{thick:.2f}" fill="{to_css(inks.edge)}"/>'
        )
    return rects


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


def _legend(color_by: ColorBy, end: int, y: int, fills: list[Fill], words: list[Word]) -> tuple[int, int]:
    """Add the steps of the scale in their colours, on as many lines as needed; return the bottom and the right end."""
    scale = SCALES[color_by]
    x = right = _MARGIN
    heats = scale.heat([value for _, value in scale.steps]).tolist()
    items: Iterator[tuple[str, float | None]] = iter(
        [(color_by, None), *zip([name for name, _ in scale.steps], heats, strict=True), (scale.unit, None)]
    )
    for name, heat in items:
        if not name:
            continue
        around = 0 if heat is None else 1
        wide = (display_width(name) + 2 * around) * CELL
        if x > _MARGIN and x + wide > end:
            x, y = _MARGIN, y + LINE
        if heat is not None:
            fills.append(Fill(x, y, wide // CELL, heat, marked=False))
        _note(name, x + around * CELL, y, words, heat)
        x += wide + (CELL if heat is None else _GAP)
        right = max(right, x)
    return y + LINE, right


def _note(text: str, x: int, y: int, words: list[Word], heat: float | None = None) -> int:
    """Add a line that is not part of the completion, in a soft colour if it has no heat; return its right end."""
    for piece in lay_out([text.encode()], display_width(text)).pieces:
        words.append(_word(piece, x, y, heat, soft=heat is None))
    return x + display_width(text) * CELL
