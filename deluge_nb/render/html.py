"""Render a table of log-probabilities as static HTML, and as the MIME bundle beside a widget."""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ..extras import has_extra
from ..interop.readers import as_logprobs
from ..logprobs.table import Logprobs
from ..text.glyphs import NEWLINE, Fragment, fragments, label
from .arguments import check_title
from .assets import ROOT_CLASSES, VIEW_STYLESHEET, read_asset
from .colors import Palette, check_palette
from .excerpt import (
    MOST_BARS,
    AlternativeLabels,
    check_before,
    check_color_by,
    count_omitted,
    draw_before,
    short_answer,
    truncate,
)
from .scale import SCALES, ColorBy, percent, scale_values
from .terminal import to_text

# Tokens of the static forms beside a widget, which add to the size of every saved notebook.
FALLBACK_LIMIT = 2000
# Characters that a browser shapes at a time, of a text that is not drawn itself.
_PIECE = 500
_BREAK = "<br>"
# A style that hosts strip with those of the tokens, by which the stylesheet recognises that they have their colours.
_STYLED = "--styled:1"
# Characters that would act on a terminal or an editor that shows the page's source.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def to_html(
    logprobs: Any,
    *,
    color_by: ColorBy = "probability",
    title: str | None = None,
    before: str | None = None,
    palette: Palette = "amber",
    standalone: bool = False,
    picture: bool = False,
    limit: int | None = None,
) -> str:
    """Return the completion as HTML, with each token coloured and its alternatives in a tooltip.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`.
    color_by
        Measure that is shown as colour: ``"probability"``, ``"surprisal"``, ``"entropy"``, ``"margin"`` or ``"rank"``.
    title
        Line above the tokens; none by default.
    before
        Text that came before the tokens, such as the prompt: its end is shown in grey, and is no part of what is
        copied. None: what the response or table knows of it; ``""`` shows none.
    palette
        ``"amber"``, ``"blue"``, ``"green"`` or ``"grey"``. The page decides between light and dark.
    standalone
        Return a whole page, to save or send, instead of an element.
    picture
        Include a picture of the first 600 tokens, shown instead of them where styles are stripped, as on GitHub.
    limit
        Largest number of tokens to show; a note counts the omitted ones. All by default.

    Returns
    -------
    str
        HTML that loads nothing and runs no scripts.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.
    SettingError
        When an argument has an invalid value.

    Examples
    --------
    >>> from deluge_nb import to_html
    >>> page = to_html([{"token": "Paris", "logprob": -0.25}], standalone=True)
    >>> page.startswith("<!doctype html>"), "Paris: 77.9 %" in page
    (True, True)
    """
    check_color_by(color_by)
    check_palette(palette)
    title = check_title(title)
    before = check_before(before, logprobs)
    whole = as_logprobs(logprobs)
    table, rest = truncate(whole, limit)
    short = short_answer(whole, table)
    tokens = "".join(_spans(table, color_by, short.percents))
    if before:
        tokens = f'<span class="deluge-before">{_escape(draw_before(before))}</span>{tokens}'
    heading = f'<div class="deluge-title">{html.escape(title)}</div>' if title else ""
    scale = SCALES[color_by]
    unit, steps = scale.unit, scale.steps
    # The stylesheet writes the legend's text. Where it is stripped, as on GitHub, there are no colours to explain.
    samples = "".join(
        f'<span class="deluge-token" style="--u:{heat:.4g}" data-text="{text}"></span>'
        for (text, _), heat in zip(steps, scale.heat([value for _, value in steps]), strict=True)
    )
    scale_label = f"{color_by} from {steps[0][0]} to {steps[-1][0]} {unit}".rstrip()
    legend = (
        f'<div class="deluge-bar"><span class="deluge-samples" role="img" aria-label="{scale_label}">'
        f'<span data-text="{color_by}"></span>{samples}<span data-text="{unit}"></span></span></div>'
    )
    style = read_asset(VIEW_STYLESHEET)
    omitted = f'<div class="deluge-summary">{count_omitted(rest)}</div>' if rest else ""
    content = f'{heading}{legend}<div class="deluge-static">{preformatted(tokens)}{omitted}</div>{_bars(short.bars)}'
    element = (
        f'<div class="{ROOT_CLASSES}" data-color="{color_by}" data-palette="{palette}"><style>{style}</style>'
        f"{_with_picture(content, whole, color_by, title, palette, before) if picture else content}</div>"
    )
    return whole_page(element, title) if standalone else element


def whole_page(element: str, title: str | None) -> str:
    """Return an HTML element as a page of its own."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title or 'Token probabilities')}</title></head>"
        f'<body class="deluge-page"><main>{element}</main></body></html>'
    )


def static_bundle(
    table: Logprobs, color_by: ColorBy = "probability", title: str = "", palette: Palette = "amber", before: str = ""
) -> dict[str, str]:
    """Return the static forms of a table by MIME type, truncated to :data:`FALLBACK_LIMIT` tokens.

    The HTML includes a picture if the extra for pictures is installed.
    """
    picture = has_extra("vl_convert")
    return {
        "text/html": to_html(
            table,
            color_by=color_by,
            title=title,
            before=before,
            palette=palette,
            picture=picture,
            limit=FALLBACK_LIMIT,
        ),
        "text/plain": to_text(table, before=before, limit=FALLBACK_LIMIT),
    }


def _with_picture(content: str, table: Logprobs, color_by: ColorBy, title: str, palette: Palette, before: str) -> str:
    from .picture.api import fallback_picture

    return with_picture(content, *fallback_picture(table, color_by, title, palette, before))


def with_picture(content: str, png: bytes, width: int, description: str) -> str:
    """Return a picture followed by hidden content. The stylesheet shows the content instead of the picture.

    It does so only where the elements still have their own styles: JupyterLab strips those of a notebook that it does
    not trust, while the stylesheet of a widget in another notebook holds for its whole page.

    Parameters
    ----------
    content
        HTML with styles.
    png, width, description
        The picture, its width on the page in pixels, and a description of it.
    """
    source = base64.b64encode(png).decode()
    return (
        f'<img class="deluge-picture" style="{_STYLED}" width="{width}" alt="{html.escape(description, quote=True)}" '
        f'src="data:image/png;base64,{source}"><div class="deluge-pictured" style="{_STYLED}" hidden>{content}</div>'
    )


def token_elements(
    parts: Sequence[Fragment],
    classes: Sequence[str],
    heat: float,
    tooltip: str,
    tag: str = "span",
) -> str:
    """Return a token as HTML: an element for each of its lines, the first with the tooltip.

    The elements have the true text. Only the stylesheet draws marks in place of it, so that what is copied has none.

    Parameters
    ----------
    parts
        Fragments of the token.
    classes
        Names beside those that depend on the fragments.
    heat
        Number that the stylesheet turns into colour; none if it is NaN.
    tooltip
        Text of the tooltip; none if it is empty.
    tag
        Name of the elements.
    """
    style = "" if math.isnan(heat) else f' style="--u:{heat:.4g}"'
    title = f' title="{html.escape(tooltip, quote=True)}"' if tooltip else ""
    elements: list[str] = []
    for _, shown, copied, breaks, marked in parts:
        body, true = (shown[: -len(NEWLINE)], copied[:-1]) if breaks else (shown, copied)
        names = ["deluge-token", *classes, *["deluge-marked"] * marked, *["deluge-ended"] * breaks]
        # The marks of a text with some, such as a tab, are drawn together with the text.
        mark = f' data-text="{html.escape(body, quote=True)}"' if body != true else ""
        content = _escape(true) if body == true else "<wbr>".join(map(_escape, _pieces(true)))
        elements.append(f'<{tag} class="{" ".join(names)}"{style}{title}{mark}>{content}</{tag}>{_BREAK * breaks}')
        title = ""
    return "".join(elements)


def preformatted(elements: str) -> str:
    """Return elements of text in one whose white space programs keep that rewrite a page, such as nbconvert."""
    return f'<pre class="deluge-text">{elements}</pre>'


def _escape(text: str) -> str:
    """Return text as HTML that holds no control character and no direction character as such."""
    return _CONTROLS.sub(_reference, html.escape(text, quote=False))


def _reference(match: re.Match[str]) -> str:
    character = match[0]
    # HTML has no reference to U+0000 and to the controls from U+0080.
    is_lost = character == "\0" or "\x80" <= character <= "\x9f"
    return label(character.encode()) if is_lost else f"&#{ord(character)};"


def _pieces(text: str) -> list[str]:
    """Return a text in pieces that browsers shape one by one, because the time for a pile of n marks grows with n²."""
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]


def group_by_token(octets: Sequence[bytes]) -> list[list[Fragment]]:
    """Return the fragments of each token."""
    return [list(group) for _, group in groupby(fragments(octets), lambda fragment: fragment.token)]


def _spans(table: Logprobs, color_by: ColorBy, numbers: list[str]) -> Iterator[str]:
    probabilities = table.prob.tolist()
    heats = SCALES[color_by].heat(scale_values(table, color_by)).tolist()
    labels = AlternativeLabels(table)
    for position, parts in enumerate(group_by_token(table.token_bytes)):
        chosen = f"{labels.chosen(position)}: {percent(probabilities[position])}"
        alternatives = labels.alternatives(position)
        tooltip = f"{chosen} — {alternatives}" if alternatives else chosen
        heat = heats[position]
        token = token_elements(parts, ["deluge-unknown"] * math.isnan(heat), heat, tooltip)
        if numbers:
            # The stylesheet writes it: it is no part of the text. After a line break it would be on the next line.
            number = f'<span class="deluge-beside" data-text="{html.escape(numbers[position])}"></span>'
            token = f"{token.removesuffix(_BREAK)}{number}{_BREAK * parts[-1].breaks}"
        yield token


def _bars(bars: list[tuple[str, float, bool]]) -> str:
    """Return the likeliest tokens in place of the first one as bars.

    The stylesheet writes their texts, which are not part of the completion. There are always five rows, so that no text
    of a model changes the elements of a page.
    """
    rows = "".join(_bar(label, probability, "deluge-own" if chosen else "") for label, probability, chosen in bars)
    rows += _bar("", 0, "deluge-none") * (MOST_BARS - len(bars))
    return f'<div class="deluge-bars">{rows}</div>' if bars else ""


def _bar(label: str, probability: float, kind: str) -> str:
    return (
        f'<div class="deluge-row {kind}"><span class="deluge-label" data-text="{html.escape(label)}"></span>'
        f'<span class="deluge-rail"><span class="deluge-fill" style="width:{100 * probability:.4g}%"></span></span>'
        f'<span class="deluge-percent" data-text="{html.escape(percent(probability))}"></span></div>'
    )
