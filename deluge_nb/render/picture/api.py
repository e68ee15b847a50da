"""Draw a completion as a picture: SVG to print and edit, PNG for places that strip styles."""

from __future__ import annotations

from typing import Any

from ...errors import invalid_argument
from ...interop.readers import as_logprobs
from ..arguments import check_columns, check_title
from ..colors import Palette, Theme, inks_for
from ..excerpt import before_fragments, check_before, check_color_by, short_answer, truncate
from ..scale import ColorBy
from .raster import COARSE, png
from .scene import compose, describe, svg

NARROWEST, WIDEST = 20, 1000
_SCALES = (0.5, 8)
# Limits of the picture beside a widget: tokens, lines, and tokens up to which it has twice the resolution.
FALLBACK_TOKENS, FALLBACK_LINES, SHARP_TOKENS = 600, 60, 150


def to_svg(
    logprobs: Any,
    *,
    color_by: ColorBy = "probability",
    title: str | None = None,
    before: str | None = None,
    palette: Palette = "amber",
    theme: Theme = "light",
    width: int = 80,
    limit: int | None = None,
) -> str:
    """Return a picture of the coloured completion with its legend, as an SVG file.

    Text stays text: it can be searched, copied and edited, and is drawn in a monospaced font of the reader's machine.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`.
    color_by
        Measure that is shown as colour: ``"probability"``, ``"surprisal"``, ``"entropy"``, ``"margin"`` or ``"rank"``.
    title
        Line above the tokens; none by default.
    before
        Text that came before the tokens, such as the prompt: its end is drawn in grey. None: what the response or table
        knows of it; ``""`` draws none.
    palette
        ``"amber"``, ``"blue"``, ``"green"`` or ``"grey"``.
    theme
        ``"light"`` or ``"dark"``.
    width
        Columns of a line, from 20 to 1000; a wide letter takes two.
    limit
        Largest number of tokens to show; a note counts the omitted ones. All by default.

    Returns
    -------
    str
        SVG.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.
    SettingError
        When an argument has an invalid value.

    Examples
    --------
    >>> from deluge_nb import to_svg
    >>> picture = to_svg([{"token": "Paris", "logprob": -0.25}], title="Capital", theme="dark")
    >>> picture.startswith("<svg "), ">Paris</text>" in picture
    (True, True)
    """
    check_color_by(color_by)
    check_columns(width, NARROWEST, WIDEST)
    title = check_title(title)
    lead = before_fragments(check_before(before, logprobs))
    colors = inks_for(palette, theme)
    whole = as_logprobs(logprobs)
    table, more = truncate(whole, limit)
    short = short_answer(whole, table)
    scene, _ = compose(table, color_by, title, colors, width, lead=lead, short=short, more=more)
    return svg(scene, title, describe(table, color_by))


def to_png(
    logprobs: Any,
    *,
    color_by: ColorBy = "probability",
    title: str | None = None,
    before: str | None = None,
    palette: Palette = "amber",
    theme: Theme = "light",
    width: int = 80,
    limit: int | None = None,
    scale: float = 2,
) -> bytes:
    """Return a picture of the coloured completion with its legend, as a PNG file.

    Letters are drawn with the fonts of this machine; a letter that no font has is an empty box.

    Parameters
    ----------
    logprobs, color_by, title, before, palette, theme, width, limit
        As for :func:`to_svg`.
    scale
        Pixels per pixel of the SVG, from 0.5 to 8, rounded to eighths; 2 is sharp on a high-resolution screen.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.
    MissingDependencyError
        When the extra for pictures is not installed.
    SettingError
        When an argument has an invalid value, or the picture would have more than 134 million pixels.

    Examples
    --------
    >>> from deluge_nb import to_png
    >>> to_png([{"token": "Paris", "logprob": -0.25}], scale=1)[:4]
    b'\\x89PNG'
    """
    check_color_by(color_by)
    check_columns(width, NARROWEST, WIDEST)
    title = check_title(title)
    check_scale(scale)
    lead = before_fragments(check_before(before, logprobs))
    colors = inks_for(palette, theme)
    whole = as_logprobs(logprobs)
    table, more = truncate(whole, limit)
    short = short_answer(whole, table)
    scene, _ = compose(table, color_by, title, colors, width, lead=lead, short=short, more=more)
    return png(scene, scale)


def check_scale(scale: object) -> None:
    """Raise a :class:`SettingError` unless a picture can be drawn at this scale."""
    number = isinstance(scale, int | float) and not isinstance(scale, bool)
    if not number or not _SCALES[0] <= scale <= _SCALES[1]:
        raise invalid_argument("scale", scale, f"a number from {_SCALES[0]} to {_SCALES[1]}")


def fallback_picture(
    logprobs: Any, color_by: ColorBy, title: str, palette: Palette, before: str = ""
) -> tuple[bytes, int, str]:
    """Return a small PNG for places that strip styles, its width on the page in pixels, and its description."""
    colors = inks_for(palette, "light")
    whole = as_logprobs(logprobs)
    table, more = truncate(whole, FALLBACK_TOKENS)
    lead, short = before_fragments(before), short_answer(whole, table)
    scene, shown = compose(table, color_by, title, colors, 80, lead=lead, short=short, more=more, most=FALLBACK_LINES)
    return png(scene, 2 if shown <= SHARP_TOKENS else 1, COARSE), scene.width, describe(table[:shown], color_by)
