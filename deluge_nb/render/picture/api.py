"""A completion as a picture: SVG to print and to edit, PNG for wherever styles are taken off."""

from __future__ import annotations

import math
from typing import Any

from ...errors import SettingError
from ...interop.readers import as_logprobs
from ..colors import Palette, Theme, inks_for
from ..excerpt import check_color_by, truncate
from ..scale import ColorBy
from .raster import COARSE, png
from .scene import compose, describe, svg

_NARROWEST, _WIDEST = 20, 1000
_SCALES = (0.5, 8)
# Beside a widget: the tokens and the lines that are in a picture, and up to how many it is sharp on fine screens too.
_BESIDE, _BESIDE_LINES, _SHARP = 600, 60, 150


def to_svg(
    logprobs: Any,
    *,
    color_by: ColorBy = "probability",
    title: str | None = None,
    palette: Palette = "amber",
    theme: Theme = "light",
    width: int = 80,
    limit: int | None = None,
) -> str:
    """A picture of the coloured completion with its legend, as an SVG file.

    Text stays text: it can be searched, copied and edited, and is drawn in a monospaced font of whoever looks at it.

    Parameters
    ----------
    logprobs
        A table, or a response that has one: see :func:`deluge_nb.as_logprobs`.
    color_by
        What the colour says.
    title
        A line above the tokens; none by default.
    palette
        ``"amber"``, ``"blue"``, ``"green"`` or ``"grey"``.
    theme
        ``"light"`` or ``"dark"``.
    width
        Columns of a line, from 20 to 1000; a wide letter takes two.
    limit
        Show at most so many tokens, and say how many more there are; all by default.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    SettingError
        When an argument has a value it cannot have.
    """
    check_color_by(color_by)
    _check_width(width)
    colors = inks_for(palette, theme)
    table, more = truncate(as_logprobs(logprobs), limit)
    scene, _ = compose(table, color_by, title or "", colors, width, more=more)
    return svg(scene, title or "", describe(table, color_by))


def to_png(
    logprobs: Any,
    *,
    color_by: ColorBy = "probability",
    title: str | None = None,
    palette: Palette = "amber",
    theme: Theme = "light",
    width: int = 80,
    limit: int | None = None,
    scale: float = 2,
) -> bytes:
    """A picture of the coloured completion with its legend, as a PNG file.

    Letters are drawn with the fonts of this machine; a letter that none of them has is an empty box.

    Parameters
    ----------
    logprobs, color_by, title, palette, theme, width, limit
        As for :func:`to_svg`.
    scale
        Pixels for each of the SVG's, from 0.5 to 8, rounded to eighths; 2 is sharp on a fine screen.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    SettingError
        When an argument has a value it cannot have, or the picture would have more than 134 million pixels.
    """
    check_color_by(color_by)
    _check_width(width)
    if not (math.isfinite(scale) and _SCALES[0] <= scale <= _SCALES[1]):
        raise SettingError(
            f"scale must be from {_SCALES[0]} to {_SCALES[1]}, not {scale!r}.", setting="scale", value=scale
        )
    colors = inks_for(palette, theme)
    table, more = truncate(as_logprobs(logprobs), limit)
    scene, _ = compose(table, color_by, title or "", colors, width, more=more)
    return png(scene, scale)


def fallback_picture(logprobs: Any, color_by: ColorBy, title: str, palette: Palette) -> tuple[bytes, int, str]:
    """What stands in for the spans where styles are taken off: a small PNG, its width on the page, and its text."""
    colors = inks_for(palette, "light")
    table, more = truncate(as_logprobs(logprobs), _BESIDE)
    scene, shown = compose(table, color_by, title, colors, 80, more=more, most=_BESIDE_LINES)
    return png(scene, 2 if shown <= _SHARP else 1, COARSE), scene.width, describe(table[:shown], color_by)


def _check_width(width: object) -> None:
    if isinstance(width, bool) or not isinstance(width, int) or not _NARROWEST <= width <= _WIDEST:
        raise SettingError(
            f"width must be a number of columns from {_NARROWEST} to {_WIDEST}, not {width!r}.",
            setting="width",
            value=width,
        )
