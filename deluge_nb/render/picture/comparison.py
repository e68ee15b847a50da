"""Draw a comparison as a picture: a column for each response, and rows of the same text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...logprobs.alignment import Alignment
from ..arguments import check_columns, check_title
from ..colors import ONLY_HERE, Inks, Palette, Theme, inks_for
from ..comparison import LETTERS, CompareBy, after_letter, count_omitted, heat, summary, text_rows, truncate_units
from ..scale import SCALES, scale_values
from .api import FALLBACK_LINES, NARROWEST, SHARP_TOKENS, WIDEST, check_scale
from .grid import lay_out
from .raster import COARSE, png
from .scene import (
    CELL,
    GAP,
    LINE,
    MARGIN,
    PADDING,
    Fill,
    Scene,
    Word,
    add_legend,
    add_note,
    add_text,
    add_tokens,
    describe,
    scale_samples,
    svg,
)

# Columns between two responses.
_BETWEEN = 3
# Columns of the picture beside a widget, and the fewest of a response in it.
_WIDTH, _NARROWEST = 80, 24
_DIFFERENCES = [("surer here", -1.0), ("less sure here", 1.0), ("only here", ONLY_HERE)]


def to_svg(
    compared: Alignment,
    names: Sequence[str],
    *,
    color_by: CompareBy,
    title: str,
    palette: Palette,
    theme: Theme = "light",
    width: int = 80,
    limit: int | None = None,
) -> str:
    """Return a picture of a comparison as an SVG file: see :meth:`deluge_nb.LogprobCompare.to_svg`."""
    check_columns(width, NARROWEST, WIDEST)
    title = check_title(title)
    scene, _ = _compose(compared, names, color_by, title, inks_for(palette, theme), width, limit)
    return svg(scene, title, _describe(compared, names, color_by))


def to_png(
    compared: Alignment,
    names: Sequence[str],
    *,
    color_by: CompareBy,
    title: str,
    palette: Palette,
    theme: Theme = "light",
    width: int = 80,
    limit: int | None = None,
    scale: float = 2,
) -> bytes:
    """Return a picture of a comparison as a PNG file: see :meth:`deluge_nb.LogprobCompare.to_png`."""
    check_columns(width, NARROWEST, WIDEST)
    title = check_title(title)
    check_scale(scale)
    scene, _ = _compose(compared, names, color_by, title, inks_for(palette, theme), width, limit)
    return png(scene, scale)


def fallback_picture(
    compared: Alignment, names: Sequence[str], color_by: CompareBy, title: str, palette: Palette
) -> tuple[bytes, int, str]:
    """Return a small PNG for places that strip styles, its width on the page in pixels, and its description."""
    title, width = check_title(title), max(_WIDTH, _NARROWEST * len(names))
    scene, shown = _compose(compared, names, color_by, title, inks_for(palette, "light"), width, None, FALLBACK_LINES)
    scale = 2 if sum(shown) <= SHARP_TOKENS else 1
    return png(scene, scale, COARSE), scene.width, _describe(compared, names, color_by)


def _describe(compared: Alignment, names: Sequence[str], color_by: CompareBy) -> str:
    return "; ".join(
        f"{LETTERS[side]}{after_letter(side, name)}. {describe(table, color_by)}"
        for side, (name, table) in enumerate(zip(names, compared.tables, strict=True))
    )


def _compose(
    compared: Alignment,
    names: Sequence[str],
    color_by: CompareBy,
    title: str,
    inks: Inks,
    width: int,
    limit: int | None,
    most: int | None = None,
) -> tuple[Scene, list[int]]:
    """Return the scene, and the number of tokens of each response in it; with ``most``, of so many lines at most."""
    excerpt = truncate_units(compared, limit)
    sides = range(len(names))
    column = max(1, (width - _BETWEEN * (len(names) - 1)) // len(names))
    lefts = [MARGIN + PADDING + side * (column + _BETWEEN) * CELL for side in sides]
    right = lefts[-1] + column * CELL + PADDING
    fills: list[Fill] = []
    words: list[Word] = []
    y = MARGIN + add_text(title, MARGIN, MARGIN, width, words).lines * LINE
    samples = _DIFFERENCES if color_by == "difference" else scale_samples(color_by)
    y, legend_right = add_legend(samples, right, y, fills, words)
    heads = [
        add_text(f"{LETTERS[side]}{after_letter(side, names[side])}", lefts[side], y, column, words) for side in sides
    ]
    y += max(head.lines for head in heads) * LINE
    facts = [add_text(summary(compared, side), lefts[side], y, column, words, bold=False) for side in sides]
    y += max(fact.lines for fact in facts) * LINE + GAP
    top = y
    y += PADDING // 2
    octets = [table.token_bytes for table in compared.tables]
    heats = [_heats(compared, side, color_by) for side in sides]
    starts = compared.units.starts
    shown, lines = [0 for _ in sides], 0
    for first, last in text_rows(compared, excerpt.units):
        rest = None if most is None else most - lines
        # A row that is cut off is the last one.
        if rest == 0 or shown != starts[:, first].tolist():
            break
        tall = 1
        for side in sides:
            begin, end = int(starts[side, first]), int(starts[side, last])
            # Most tokens have a letter: more than this do not fit.
            end = end if rest is None else min(end, begin + rest * column)
            body = lay_out(octets[side][begin:end], column, most=rest)
            add_tokens(body, heats[side][begin:end], lefts[side], y, fills, words)
            shown[side] = begin + body.tokens
            tall = max(tall, body.lines)
        lines += tall
        y += tall * LINE
    y += PADDING // 2
    box = (top, y - top)
    if note := count_omitted(compared, shown):
        y += GAP
        right = max(right, add_note(note, MARGIN, y, words))
        y += LINE
    return Scene(max(right, legend_right) + MARGIN, y + MARGIN, box, fills, words, inks), shown


def _heats(compared: Alignment, side: int, color_by: CompareBy) -> list[float]:
    """Return the heat of each token: in a comparison by difference it is negative where the response is surer."""
    if color_by != "difference":
        table = compared.tables[side]
        return SCALES[color_by].heat(scale_values(table, color_by)).tolist()
    difference = compared.difference(side)
    signed = heat(difference) * -np.sign(difference)
    return np.where(compared.common(side), signed, ONLY_HERE).tolist()
