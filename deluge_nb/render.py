"""A table of log-probabilities without a widget: static HTML for pages, text for terminals."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterator
from typing import Any

from ._colors import Palette, check_palette, stylesheet
from ._scale import SCALES, ColorBy, measured, percent
from ._shown import check_color_by, left_out, limited
from .errors import SettingError
from .interop.readers import as_logprobs
from .logprobs.measures import known
from .logprobs.table import Logprobs
from .text.glyphs import Fragment, fragments, label
from .text.lines import ansi, broken, columns

# How many alternatives a tooltip names, and how many tokens the list below a plain text.
_TITLED = 3
_FEWEST = 5
# A notebook holds its outputs: past this many tokens a static form beside the widget is cut.
BESIDE = 2000


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
    table, rest = limited(whole, limit)
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
        drawn += f'<div class="deluge-summary">{left_out(rest)}</div>'
    shown = f'{heading}{legend}<div class="deluge-static">{drawn}</div>'
    element = (
        f'<div class="deluge" data-color="{color_by}" data-palette="{palette}"><style>{stylesheet()}</style>'
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


def to_text(logprobs: Any, *, color: bool = False, width: int | None = None, limit: int | None = None) -> str:
    """The completion for a terminal.

    Parameters
    ----------
    logprobs
        A table, or a response that has one: see :func:`deluge_nb.as_logprobs`.
    color
        Colour the tokens with ANSI sequences; otherwise the least probable ones are listed below the text.
    width
        Break lines at so many columns, between words where there are any; by default only where the text does.
    limit
        Show at most so many tokens, and say how many more there are; all by default.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    SettingError
        When an argument has a value it cannot have.
    """
    if width is not None and width < 1:
        raise SettingError(f"width must be a number of columns from 1, not {width!r}.", setting="width", value=width)
    table, rest = limited(as_logprobs(logprobs), limit)
    probabilities = table.prob.tolist()
    lines = broken(fragments(table.token_bytes), width)
    text = "\n".join(
        "".join(ansi(one, probabilities[one.token]) if color else one.shown for one in line) for line in lines
    )
    if rest:
        text += f"\n{left_out(rest)}"
    return text if color else _with_least_probable(text, table, probabilities)


def static_bundle(
    table: Logprobs, color_by: ColorBy = "probability", title: str = "", palette: Palette = "amber"
) -> dict[str, str]:
    """The static forms by their MIME types, cut to what may stand beside a widget."""
    return {
        "text/html": to_html(table, color_by=color_by, title=title, palette=palette, picture=True, limit=BESIDE),
        "text/plain": to_text(table, limit=BESIDE),
    }


def _with_picture(shown: str, table: Logprobs, color_by: ColorBy, title: str, palette: Palette) -> str:
    """A picture, and what the stylesheet shows in its place: hidden for whoever has no stylesheet."""
    from .picture import picture_beside

    drawn, width, told = picture_beside(table, color_by, title, palette)
    source = base64.b64encode(drawn).decode()
    return (
        f'<img class="deluge-picture" width="{width}" alt="{html.escape(told, quote=True)}" '
        f'src="data:image/png;base64,{source}"><div class="deluge-pictured" hidden>{shown}</div>'
    )


def _with_least_probable(text: str, table: Logprobs, probabilities: list[float]) -> str:
    unsure = sorted(
        (place for place in range(len(table)) if probabilities[place] < 0.5), key=lambda place: probabilities[place]
    )[:_FEWEST]
    if not unsure:
        return text
    weighed = _Weighed(table)
    names = [weighed.own(place) for place in unsure]
    width = max(map(columns, names))
    padded = [name + " " * (width - columns(name)) for name in names]
    rows = [
        f"  {name}  {percent(probabilities[place]):>8}  {weighed.at(place)}".rstrip()
        for name, place in zip(padded, unsure, strict=True)
    ]
    return "\n".join([text, "", f"The {len(rows)} least probable of {len(table)} tokens:", *rows])


def _spans(table: Logprobs, color_by: ColorBy) -> Iterator[str]:
    probabilities = table.prob.tolist()
    heats = SCALES[color_by].heat(measured(table, color_by)).tolist()
    weighed = _Weighed(table)
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


class _Weighed:
    """What a table weighed at its positions, with each label written once."""

    def __init__(self, table: Logprobs) -> None:
        chosen, _, alternative, logprob, offsets = table.columns
        self._chosen, self._offsets = chosen.tolist(), offsets.tolist()
        self._alternative, self._logprob = alternative, known(logprob)
        self._vocabulary = table.vocabulary
        self._labels: dict[int, str] = {}

    def at(self, place: int) -> str:
        """The first alternatives at a position, without the chosen token."""
        chosen = self._chosen[place]
        span = slice(self._offsets[place], self._offsets[place + 1])
        found: list[str] = []
        for other, logprob in zip(self._alternative[span].tolist(), self._logprob[span].tolist(), strict=True):
            if other != chosen and self._vocabulary.true_bytes(other) != self._vocabulary.true_bytes(chosen):
                shown = "?" if math.isnan(logprob) else percent(math.exp(logprob))
                found.append(f"{self.label(other)} {shown}")
            if len(found) == _TITLED:
                break
        return ", ".join(found)

    def own(self, place: int) -> str:
        """The token itself."""
        return self.label(self._chosen[place])

    def label(self, index: int) -> str:
        """An entry of the vocabulary, as people read it."""
        if index not in self._labels:
            self._labels[index] = label(self._vocabulary.true_bytes(index))
        return self._labels[index]
