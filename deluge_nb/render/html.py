"""A table of log-probabilities without a widget: static HTML for pages, text for terminals."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterator
from typing import Any

from ..extras import has_extra
from ..interop.readers import as_logprobs
from ..logprobs.table import Logprobs
from ..text.glyphs import Fragment, fragments
from .assets import VIEW_STYLESHEET, read_asset
from .colors import Palette, check_palette
from .excerpt import AlternativeLabels, check_color_by, count_omitted, truncate
from .scale import SCALES, ColorBy, percent, scale_values
from .terminal import to_text

# A notebook holds its outputs: past this many tokens a static form beside the widget is cut.
FALLBACK_LIMIT = 2000


def to_html(
    logprobs: Any,
    *,
    color_by: ColorBy = "probability",
    title: str | None = None,
    palette: Palette = "amber",
    standalone: bool = False,
    picture: bool = False,
    limit: int | None = None,
) -> str:
    """The completion as HTML, each token coloured, with what else was weighed in its tooltip.

    Parameters
    ----------
    logprobs
        A table, or a response that has one: see :func:`deluge_nb.as_logprobs`.
    color_by
        What the colour says.
    title
        A line above the tokens; none by default.
    palette
        ``"amber"``, ``"blue"``, ``"green"`` or ``"grey"``; light or dark is the page's choice.
    standalone
        A whole page, to be saved or sent, in place of an element.
    picture
        Bring a picture of the first 600 tokens as well, which is seen in place of them where styles are taken off, as
        on GitHub.
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
    check_palette(palette)
    whole = as_logprobs(logprobs)
    table, rest = truncate(whole, limit)
    drawn = "".join(_spans(table, color_by))
    heading = f'<div class="deluge-title">{html.escape(title)}</div>' if title else ""
    scale = SCALES[color_by]
    unit, steps = scale.unit, scale.steps
    # The stylesheet writes the legend: where it is stripped, as on GitHub, a scale without colours would be noise.
    samples = "".join(
        f'<span class="deluge-token" style="--u:{heat:.4g}" data-text="{text}"></span>'
        for (text, _), heat in zip(steps, scale.heat([value for _, value in steps]), strict=True)
    )
    told = f"{color_by} from {steps[0][0]} to {steps[-1][0]} {unit}".rstrip()
    legend = (
        f'<div class="deluge-bar"><span class="deluge-samples" role="img" aria-label="{told}">'
        f'<span data-text="{color_by}"></span>{samples}<span data-text="{unit}"></span></span></div>'
    )
    if rest:
        drawn += f'<div class="deluge-summary">{count_omitted(rest)}</div>'
    style = read_asset(VIEW_STYLESHEET)
    shown = f'{heading}{legend}<div class="deluge-static">{drawn}</div>'
    element = (
        f'<div class="deluge" data-color="{color_by}" data-palette="{palette}"><style>{style}</style>'
        f"{_with_picture(shown, whole, color_by, title or '', palette) if picture else shown}</div>"
    )
    if not standalone:
        return element
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title or 'Token probabilities')}</title></head>"
        f'<body class="deluge-page"><main>{element}</main></body></html>'
    )


def static_bundle(
    table: Logprobs, color_by: ColorBy = "probability", title: str = "", palette: Palette = "amber"
) -> dict[str, str]:
    """Return the static forms by their MIME types, cut to what may stand beside a widget.

    The HTML has a picture where the extra for pictures is installed.
    """
    picture = has_extra("vl_convert")
    return {
        "text/html": to_html(
            table, color_by=color_by, title=title, palette=palette, picture=picture, limit=FALLBACK_LIMIT
        ),
        "text/plain": to_text(table, limit=FALLBACK_LIMIT),
    }


def _with_picture(shown: str, table: Logprobs, color_by: ColorBy, title: str, palette: Palette) -> str:
    """A picture, and what the stylesheet shows in its place: hidden for whoever has no stylesheet."""
    from .picture.api import fallback_picture

    drawn, width, told = fallback_picture(table, color_by, title, palette)
    source = base64.b64encode(drawn).decode()
    return (
        f'<img class="deluge-picture" width="{width}" alt="{html.escape(told, quote=True)}" '
        f'src="data:image/png;base64,{source}"><div class="deluge-pictured" hidden>{shown}</div>'
    )


def _spans(table: Logprobs, color_by: ColorBy) -> Iterator[str]:
    probabilities = table.prob.tolist()
    heats = SCALES[color_by].heat(scale_values(table, color_by)).tolist()
    weighed = AlternativeLabels(table)
    for fragment in fragments(table.token_bytes):
        place = fragment.token
        heat = heats[place]
        style = "" if math.isnan(heat) else f' style="--u:{heat:.4g}"'
        told = f"{weighed.own(place)}: {percent(probabilities[place])}"
        others = weighed.at(place)
        tip = html.escape(f"{told} — {others}" if others else told, quote=True)
        yield f'<span class="{_class(fragment, heat)}"{style} title="{tip}">'
        yield f"{html.escape(fragment.shown)}</span>{'<br>' if fragment.breaks else ''}"


def _class(fragment: Fragment, heat: float) -> str:
    names = ["deluge-token"]
    if fragment.marked:
        names.append("deluge-marked")
    if math.isnan(heat):
        names.append("deluge-unknown")
    return " ".join(names)
