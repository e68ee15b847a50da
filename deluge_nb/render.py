"""A table of log-probabilities without a widget: static HTML for pages, text for terminals."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from ._glyphs import Fragment, fragments, label
from .errors import DelugeError, LogprobsMissingError, SettingError
from .logprobs import Logprobs

ColorBy = Literal["probability", "entropy", "surprisal"]
COLOR_BY: tuple[ColorBy, ...] = get_args(ColorBy)

_STYLESHEET = Path(__file__).parent / "static" / "view.css"
# What the legend shows: a probability, and the surprisal and entropy (bits) drawn in the same colour scale.
_LEGEND = {
    "probability": [(f"{p:g} %", f"--p:{p / 100:g}") for p in (100, 90, 50, 10, 1)],
    "surprisal": [(f"{s} bits", f"--s:{s}") for s in (0, 1, 3, 6, 10)],
    "entropy": [(f"{h} bits", f"--h:{h}") for h in (0, 1, 2, 4, 8)],
}
_TITLED = 3
_FEWEST = 5


def table_of(value: Any) -> Logprobs:
    """The table in whatever a caller has: a table, a response, or a list of dicts.

    Raises
    ------
    LogprobsMissingError
        When a response has none; says why where the response does.
    SettingError
        When it is none of these.
    """
    if isinstance(value, Logprobs):
        return value
    if value is None or (hasattr(value, "logprobs") and value.logprobs is None):
        why = getattr(value, "error_message", None) or getattr(value, "note", None)
        raise LogprobsMissingError(
            f"There are no log-probabilities to show{f' ({why})' if why else ''}; ask for them with logprobs=True."
        )
    if hasattr(value, "logprobs"):
        return table_of(value.logprobs)
    if isinstance(value, list | tuple):
        return Logprobs.from_entries(value)
    raise SettingError(
        f"Log-probabilities are a response, its logprobs or a list of dicts, not {type(value).__name__}.",
        setting="logprobs",
        value=value,
    )


def percent(probability: float) -> str:
    """A probability for people: ``93.1 %``, and never a rounded 0 or 100."""
    if math.isnan(probability):
        return "unknown"
    value = probability * 100
    if value < 0.01:
        return "0 %" if value == 0 else "<0.01 %"
    if 99.99 < value < 100:
        return ">99.99 %"
    digits = 2 if value < 1 or value >= 99.95 else 1
    return f"{value:.{digits}f}".removesuffix(".00").removesuffix(".0") + " %"


def to_html(logprobs: Any, *, color_by: ColorBy = "probability", title: str = "", standalone: bool = False) -> str:
    """The completion as HTML, each token coloured, with what else was weighed in its tooltip.

    Parameters
    ----------
    logprobs
        A table, a response that has one, or a list of dicts.
    color_by
        What the colour says.
    title
        A line above the tokens.
    standalone
        A whole page, to be saved or sent, in place of an element.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    """
    table = table_of(logprobs)
    if color_by not in COLOR_BY:
        raise SettingError(f"color_by must be one of {', '.join(COLOR_BY)}, not {color_by!r}.", setting="color_by")
    drawn = "".join(_spans(table))
    heading = f'<div class="deluge-title">{html.escape(title)}</div>' if title else ""
    scale = " ".join(f'<span class="deluge-token" style="{style}">{text}</span>' for text, style in _LEGEND[color_by])
    legend = f'<div class="deluge-bar"><span class="deluge-legend">{color_by} {scale}</span></div>'
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


def to_text(logprobs: Any, *, color: bool = False) -> str:
    """The completion for a terminal.

    Parameters
    ----------
    logprobs
        A table, a response that has one, or a list of dicts.
    color
        Colour the tokens with ANSI sequences; otherwise the least probable ones are listed below the text.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    """
    table = table_of(logprobs)
    if color:
        return _ansi(table)
    text = "".join(fragment.shown + "\n" * fragment.breaks for fragment in fragments(table.token_bytes))
    probabilities = table.prob
    unsure = sorted(
        (place for place in range(len(table)) if probabilities[place] < 0.5), key=lambda place: probabilities[place]
    )[:_FEWEST]
    if not unsure:
        return text
    octets = table.token_bytes
    names = [label(octets[place]) for place in unsure]
    width = max(map(len, names))
    rows = [
        f"  {name:<{width}}  {percent(probabilities[place]):>8}  {_weighed(table, place)}".rstrip()
        for name, place in zip(names, unsure, strict=True)
    ]
    return "\n".join([text, "", f"The {len(rows)} least probable of {len(table)} tokens:", *rows])


def static_bundle(table: Logprobs, color_by: ColorBy = "probability", title: str = "") -> dict[str, str]:
    """The static forms by their MIME types."""
    return {"text/html": to_html(table, color_by=color_by, title=title), "text/plain": to_text(table)}


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


def _ansi(table: Logprobs) -> str:
    """Colours between the terminal's own ground and orange, in proportion to √(1 − p) as in the stylesheet."""
    probabilities = table.prob
    parts: list[str] = []
    for fragment in fragments(table.token_bytes):
        p = probabilities[fragment.token]
        if math.isnan(p):
            code = "2;9"
        else:
            heat = math.sqrt(max(0.0, 1 - p))
            # Dark text on orange, or the terminal's own where the token was all but certain.
            red, green, blue = (round(255 - (255 - end) * heat) for end in (255, 154, 60))
            code = f"38;2;20;20;20;48;2;{red};{green};{blue}" if heat > 0.1 else "0"
            code += ";4" * (p < 0.5)
        parts.append(f"\x1b[{code}m{fragment.shown}\x1b[0m" + "\n" * fragment.breaks)
    return "".join(parts)


@cache
def _stylesheet() -> str:
    try:
        return _STYLESHEET.read_text(encoding="utf-8")
    except OSError:
        raise DelugeError(
            "The stylesheet is not there: the front end is built when the package is installed; install it again."
        ) from None
