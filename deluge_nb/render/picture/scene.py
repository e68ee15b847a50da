"""A picture of a completion before it is drawn: what stands where, in pixels at a scale of 1; and it as SVG."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import NamedTuple

from ...logprobs.table import Logprobs
from ...text.lines import display_width
from ..colors import Inks, cue_thresholds, to_css
from ..excerpt import count_omitted
from ..scale import SCALES, ColorBy, scale_values
from .grid import Face, Layout, Piece, lay_out

# A cell, a line, where letters stand in it, and what a token fills of it.
CELL, LINE, BASELINE, TOP, BOTTOM = 8, 24, 16, 1, 23
_MARGIN, _PADDING, _GAP, ROUND = 8, 10, 4, 6
# The widest letter of a DejaVu Sans Mono is this part of its size, as that of most monospaced fonts.
_SIZE = CELL / 0.602
_DISTINCT = 200
_DESCRIBED = 2000
_FONTS: dict[Face, str] = {
    "mono": "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', 'Noto Sans Mono', monospace",
    "bold": "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', 'Noto Sans Mono', monospace",
    "sans": "'DejaVu Sans', Arial, 'Noto Sans', sans-serif",
    "wide": "'Noto Sans CJK SC', 'Noto Sans CJK JP', 'PingFang SC', 'Hiragino Sans', 'Microsoft YaHei', "
    "'Malgun Gothic', 'WenQuanYi Zen Hei', 'DejaVu Sans', sans-serif",
    "emoji": "'Noto Color Emoji', 'Apple Color Emoji', 'Segoe UI Emoji', sans-serif",
}
# What XML has not, and what would be a command to whatever shows the text.
_UNSAFE = re.compile(
    "[^\t\n\r\u0020-\u007e\u00a0-\u200d\u2010-\u2029\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


class Fill(NamedTuple):
    """A rectangle of whole cells in the colour of a heat; NaN where that is unknown."""

    x: int
    y: int
    cells: int
    heat: float
    marked: bool


class Word(NamedTuple):
    """A text of whole cells, and the heat of what it stands on: None on the ground."""

    x: int
    y: int
    cells: int
    text: str
    face: Face
    turned: bool
    heat: float | None
    soft: bool


class Scene(NamedTuple):
    """All that is drawn; ``box`` is the top and the height of the frame around the tokens."""

    width: int
    height: int
    box: tuple[int, int]
    fills: list[Fill]
    words: list[Word]
    inks: Inks


def compose(
    table: Logprobs, color_by: ColorBy, title: str, inks: Inks, width: int, *, more: int, most: int | None = None
) -> tuple[Scene, int]:
    """A table on lines of so many columns, at most so many; and how many of its tokens are in it.

    ``more`` is how many tokens the table was cut by before.
    """
    fills: list[Fill] = []
    words: list[Word] = []
    y = _MARGIN
    if title:
        parts = title.split()
        above = lay_out(
            [(b" " if at else b"") + part.encode("utf-8", "replace") for at, part in enumerate(parts)], width
        )
        words += [_word(one._replace(face=_bold(one.face)), _MARGIN, y, None, soft=False) for one in above.pieces]
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
        Fill(left + one.column * CELL, y + one.line * LINE, one.cells, heats[one.token], one.marked)
        for one in body.patches
    ]
    words += [_word(one, left, y, heats[one.token], soft=one.marked) for one in body.pieces]
    y += max(body.lines, 1) * LINE + _PADDING // 2
    box = (top, y - top)
    rest = len(table) - body.tokens + more
    if rest:
        y += _GAP
        right = max(right, _note(count_omitted(rest), _MARGIN, y, words))
        y += LINE
    widest = max([one.column + one.cells for one in (*body.patches, *above.patches)], default=0)
    full = max(left + widest * CELL + _PADDING, right) + _MARGIN
    return Scene(full, y + _MARGIN, box, fills, words, inks), body.tokens


def describe(table: Logprobs, color_by: ColorBy) -> str:
    """What a picture shows, for those who cannot see it."""
    text = _UNSAFE.sub("\ufffd", table[:_DESCRIBED].text.strip())
    cut = "…" * (len(text) > _DESCRIBED or len(table) > _DESCRIBED)
    return f"Tokens coloured by {color_by}: {text[:_DESCRIBED]}{cut}"


def svg(scene: Scene, title: str, description: str) -> str:
    """The scene as an SVG file."""
    width, height, _, fills, words, inks = scene
    left, top, wide, tall = frame(scene)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-labelledby="title desc"><title id="title">{escaped(title or "Token probabilities")}</title>'
        f'<desc id="desc">{escaped(description)}</desc>'
        f'<defs><pattern id="unknown" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V6" stroke="{to_css(inks.line)}" stroke-width="2"/>'
        "</pattern></defs>"
        f'<rect width="{width}" height="{height}" fill="{to_css(inks.ground)}"/>'
        f'<rect x="{left + 0.5}" y="{top + 0.5}" width="{wide - 1}" height="{tall - 1}" rx="{ROUND}" '
        f'fill="none" stroke="{to_css(inks.line)}"/>'
        + "".join(_filled(one, inks) for one in fills)
        + written_on(((one, one.x, one.y, _ink(one, inks)) for one in words), to_css(inks.text))
        + "</svg>"
    )


def frame(scene: Scene) -> tuple[int, int, int, int]:
    """Where the frame around the tokens is: left, top, width and height."""
    top, tall = scene.box
    return _MARGIN, top, scene.width - 2 * _MARGIN, tall


def stepped(heat: float, steps: int) -> float:
    """A heat in steps, so that there are not as many colours as tokens."""
    return round(heat * steps) / steps


def line_below(heat: float) -> float:
    """How thick the line below a token is: the cue that is not colour."""
    start, slope = cue_thresholds()
    return max(0.0, (heat - start) * slope)


def written_on(words: Iterable[tuple[Word, float, float, str | None]], color: str) -> str:
    """Words, each at its place and in its colour where it has one, in a group that says what they share."""
    inside = "".join(_text(*one) for one in words)
    return f'<g fill="{color}" font-size="{_SIZE:.2f}" font-family="{_FONTS["mono"]}">{inside}</g>'


def _text(word: Word, x: float, y: float, color: str | None) -> str:
    """A word as an element of SVG, fitted to its cells whatever the font."""
    font = "" if word.face in ("mono", "bold") else f' font-family="{_FONTS[word.face]}"'
    weight = ' font-weight="700"' if word.face == "bold" else ""
    fill = f' fill="{color}"' if color else ""
    fitted = f' textLength="{word.cells * CELL}"'
    if word.face == "wide":  # a square in the middle of two cells each
        x += round(CELL - _SIZE / 2, 2)
        fitted = f' letter-spacing="{2 * CELL - _SIZE:.2f}"'
    elif word.turned or word.face in ("sans", "emoji"):
        # Not of the width of cells: stretched, for set apart they would not be joined.
        fitted += ' lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x:g}" y="{y + BASELINE:g}"{font}{weight}{fill}{fitted}>{escaped(word.text)}</text>'


def escaped(raw: str) -> str:
    """Text as XML has it; what is not fit to be shown is replaced."""
    return escape(_UNSAFE.sub("\ufffd", raw), quote=True)


def _filled(one: Fill, inks: Inks) -> str:
    x, y, wide, tall = one.x, one.y + TOP, one.cells * CELL, BOTTOM - TOP
    if math.isnan(one.heat):
        return f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" rx="2" fill="url(#unknown)"/>'
    heat = stepped(one.heat, _DISTINCT)
    drawn = f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" rx="2" fill="{to_css(inks.fill(heat))}"/>'
    thick = line_below(one.heat)
    if thick:
        drawn += (
            f'<rect x="{x}" y="{y + tall - thick:.2f}" width="{wide}" height="{thick:.2f}" fill="{to_css(inks.edge)}"/>'
        )
    return drawn


def _ink(word: Word, inks: Inks) -> str | None:
    """The colour of a word, where it is not that of the text."""
    if not word.soft:
        return None
    if word.heat is None or math.isnan(word.heat):
        return to_css(inks.soft)
    return to_css(inks.mark(stepped(word.heat, _DISTINCT)))


def _word(one: Piece, left: int, top: int, heat: float | None, *, soft: bool) -> Word:
    x, y = left + one.column * CELL, top + one.line * LINE
    return Word(x, y, one.cells, one.text, one.face, one.turned, heat, soft)


def _bold(face: Face) -> Face:
    return "bold" if face == "mono" else face


def _legend(color_by: ColorBy, end: int, y: int, fills: list[Fill], words: list[Word]) -> tuple[int, int]:
    """The scale's steps in their colours, on as many lines as they need; where it ends below and to the right."""
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


def _note(told: str, x: int, y: int, words: list[Word], heat: float | None = None) -> int:
    """A line of our own, soft where it stands on the ground; where it ends."""
    for one in lay_out([told.encode()], display_width(told)).pieces:
        words.append(_word(one, x, y, heat, soft=heat is None))
    return x + display_width(told) * CELL
