"""A table of log-probabilities without a widget: static HTML for pages, text for terminals."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ._glyphs import Fragment, fragments, label
from ._scale import COLOR_BY, SCALES, ColorBy, percent
from ._terminal import ansi, broken, columns
from .errors import DelugeError, SettingError
from .interop import as_logprobs
from .logprobs import Logprobs

_STYLESHEET = Path(__file__).parent / "static" / "view.css"
# How many alternatives a tooltip names, and how many tokens the list below a plain text.
_TITLED = 3
_FEWEST = 5
# A notebook holds its outputs: past this many tokens a static form beside the widget is cut.
_BESIDE = 2000


def to_html(
    logprobs: Any,
    *,
    color_by: ColorBy = "probability",
    title: str | None = None,
    standalone: bool = False,
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
    standalone
        A whole page, to be saved or sent, in place of an element.
    limit
        Show at most so many tokens, and say how many more there are; all by default.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    SettingError
        When an argument has a value it cannot have.
    """
    if color_by not in COLOR_BY:
        raise SettingError(
            f"color_by must be one of {', '.join(COLOR_BY)}, not {color_by!r}.", setting="color_by", value=color_by
        )
    table, rest = _limited(as_logprobs(logprobs), limit)
    drawn = "".join(_spans(table))
    heading = f'<div class="deluge-title">{html.escape(title)}</div>' if title else ""
    variable, unit, steps = SCALES[color_by]
    # The stylesheet writes the legend: where it is stripped, as on GitHub, a scale without colours would be noise.
    samples = "".join(
        f'<span class="deluge-token" style="{variable}:{value:g}" data-text="{text}"></span>' for text, value in steps
    )
    told = f"{color_by} from {steps[0][0]} to {steps[-1][0]} {unit}".rstrip()
    legend = (
        f'<div class="deluge-bar"><span class="deluge-legend" role="img" aria-label="{told}">'
        f'<span data-text="{color_by}"></span>{samples}<span data-text="{unit}"></span></span></div>'
    )
    if rest:
        drawn += f'<div class="deluge-summary">{rest}</div>'
    element = (
        f'<div class="deluge" data-color="{color_by}"><style>{_stylesheet()}</style>{heading}{legend}'
        f'<div class="deluge-static">{drawn}</div></div>'
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
    table, rest = _limited(as_logprobs(logprobs), limit)
    probabilities = table.prob.tolist()
    lines = broken(fragments(table.token_bytes), width)
    text = "\n".join(
        "".join(ansi(one, probabilities[one.token]) if color else one.shown for one in line) for line in lines
    )
    if rest:
        text += f"\n{rest}"
    return text if color else _with_least_probable(text, table, probabilities)


def static_bundle(table: Logprobs, color_by: ColorBy = "probability", title: str = "") -> dict[str, str]:
    """The static forms by their MIME types, cut to what may stand beside a widget."""
    return {
        "text/html": to_html(table, color_by=color_by, title=title, limit=_BESIDE),
        "text/plain": to_text(table, limit=_BESIDE),
    }


def _limited(table: Logprobs, limit: int | None) -> tuple[Logprobs, str]:
    """The first tokens of a table, and what to say of the rest."""
    if limit is not None and limit < 0:
        raise SettingError(f"limit must be a number of tokens from 0, not {limit!r}.", setting="limit", value=limit)
    if limit is None or len(table) <= limit:
        return table, ""
    rest = len(table) - limit
    return table[:limit], f"… {rest} more token{'s' * (rest != 1)}"


def _with_least_probable(text: str, table: Logprobs, probabilities: list[float]) -> str:
    unsure = sorted(
        (place for place in range(len(table)) if probabilities[place] < 0.5), key=lambda place: probabilities[place]
    )[:_FEWEST]
    if not unsure:
        return text
    octets = table.token_bytes
    names = [label(octets[place]) for place in unsure]
    width = max(map(columns, names))
    padded = [name + " " * (width - columns(name)) for name in names]
    rows = [
        f"  {name}  {percent(probabilities[place]):>8}  {_weighed(table, place)}".rstrip()
        for name, place in zip(padded, unsure, strict=True)
    ]
    return "\n".join([text, "", f"The {len(rows)} least probable of {len(table)} tokens:", *rows])


def _spans(table: Logprobs) -> Iterator[str]:
    probabilities, surprisal, entropy = table.prob, table.surprisal(base=2), table.entropy(base=2)
    octets = table.token_bytes
    for fragment in fragments(octets):
        place = fragment.token
        numbers = {"--p": probabilities[place], "--s": surprisal[place], "--h": entropy[place]}
        style = ";".join(f"{name}:{value:.4g}" for name, value in numbers.items() if not math.isnan(value))
        told = f"{label(octets[place])}: {percent(probabilities[place])}"
        weighed = _weighed(table, place)
        tip = html.escape(told + (f" — {weighed}" if weighed else ""), quote=True)
        yield f'<span class="{_class(fragment, probabilities[place])}" style="{style}" title="{tip}">'
        yield f"{html.escape(fragment.shown)}</span>{'<br>' if fragment.breaks else ''}"


def _class(fragment: Fragment, probability: float) -> str:
    names = ["deluge-token"]
    if fragment.marked:
        names.append("deluge-marked")
    if math.isnan(probability):
        names.append("deluge-unknown")
    return " ".join(names)


def _weighed(table: Logprobs, place: int) -> str:
    """The first alternatives at a position, without the chosen token."""
    chosen, _, alternative, _, offsets = table.columns
    vocabulary = table.vocabulary
    found = []
    for other, entry in zip(alternative[offsets[place] : offsets[place + 1]].tolist(), table.top(place), strict=True):
        logprob = entry["logprob"]
        if other != chosen[place] and vocabulary.true_bytes(other) != vocabulary.true_bytes(int(chosen[place])):
            shown = "?" if logprob is None or logprob <= -9999 else percent(math.exp(min(logprob, 0.0)))
            found.append(f"{label(vocabulary.true_bytes(other))} {shown}")
        if len(found) == _TITLED:
            break
    return ", ".join(found)


@cache
def _stylesheet() -> str:
    try:
        return _STYLESHEET.read_text(encoding="utf-8")
    except OSError:
        raise DelugeError(
            "The stylesheet is not there: the front end is built when the package is installed; install it again."
        ) from None
