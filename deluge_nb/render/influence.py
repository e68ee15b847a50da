"""Render a prompt whose parts are coloured by their influence on an answer: as HTML, and as text for a terminal.

The colours are those of a comparison: blue with a line above where a part made the answer likelier, orange with a line
below where it made it less likely. A part whose number is only known within bounds has the colour of the bound nearest
0, which is certain. Every text is escaped. There are no scripts: a part that has the focus or the pointer shows its
numbers by the stylesheet alone.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

from ..logprobs.values import exp_or_inf
from ..printable import printable
from ..text.glyphs import Fragment, shapes_of
from ..text.lines import display_width
from .arguments import check_title
from .assets import COMPARE_STYLESHEET, ROOT_CLASSES, read_asset
from .comparison import DIFFERENCE_CAP, format_signed
from .html import preformatted, token_elements, whole_page
from .terminal import COOL, HOT, paint, shade

# Parts in the table below the text, which is for the largest ones.
_ROWS = 20
# Columns of a part in a terminal, and characters of one in a table or a tooltip.
_LONGEST = 60
_STYLE = (
    ".deluge .deluge-influence{position:relative;padding:4px 8px 3.6em;white-space:pre-wrap;overflow-wrap:anywhere;"
    "unicode-bidi:plaintext}"
    ".deluge .deluge-influence .deluge-token{cursor:default}"
    ".deluge .deluge-influence [data-detail]:focus-visible{outline:2px solid var(--deluge-cool);outline-offset:1px}"
    ".deluge .deluge-influence [data-detail]:is(:hover,:focus)::after{content:attr(data-detail);position:absolute;"
    "left:0;right:0;bottom:0;padding:0 8px;font:12px/1.6 var(--deluge-prose);color:var(--deluge-text);"
    "text-decoration:none;background:var(--deluge-ground);border-top:1px solid var(--deluge-line);white-space:normal;"
    "z-index:2}"
    ".deluge .deluge-influence [data-detail]:hover:not(:focus)::after{z-index:3}"
    "@media(max-width:600px){.deluge .deluge-influence{padding-bottom:6em}}"
    ".deluge .deluge-role{display:block;color:var(--deluge-soft);font:600 12px/1.6 var(--deluge-prose)}"
    ".deluge .deluge-role:not(:first-child){margin-top:6px}"
    ".deluge .deluge-parts{border-collapse:collapse;font:12px/1.5 var(--deluge-prose);color:inherit}"
    ".deluge.deluge .deluge-parts :is(td,th){padding:2px 8px 2px 0;text-align:left;vertical-align:top;"
    "white-space:normal;border:0;background:none;color:inherit;overflow-wrap:anywhere}"
    ".deluge.deluge .deluge-parts tr{background:none}"
    ".deluge.deluge .deluge-parts .deluge-number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    ".deluge .deluge-more-parts>summary{cursor:pointer;color:var(--deluge-soft);font-size:12px}"
)


class ColoredPart(NamedTuple):
    """Part of a text, ``begin:end``, with its influence in nats and the bounds of it; NaN where it is not known.

    ``note`` says under which condition the number holds.
    """

    begin: int
    end: int
    text: str
    delta: float
    low: float
    high: float
    error: str | None
    note: str | None = None

    @property
    def cautious(self) -> float:
        """The influence nearest 0 within the bounds; NaN where nothing is known."""
        if self.error is not None or math.isnan(self.low) or math.isnan(self.high):
            return math.nan
        if self.low <= 0 <= self.high and math.isnan(self.delta):
            return math.nan
        return min(max(0.0, self.low), self.high)


class LabeledText(NamedTuple):
    """Text of a prompt with its place in the whole, and the role of its message; empty for raw text."""

    role: str
    begin: int
    text: str


def to_html(
    texts: Sequence[LabeledText],
    parts: Sequence[ColoredPart],
    summary: str,
    *,
    note: str | None = None,
    title: str | None = None,
    standalone: bool = False,
) -> str:
    """Return a prompt coloured by the influence of its parts, with a table of the largest ones.

    Parameters
    ----------
    texts
        The texts of the prompt.
    parts
        The parts, which do not overlap.
    summary
        Line below the text.
    note
        Line below the summary, on the condition under which the numbers hold.
    title
        Line above the text; none by default.
    standalone
        Return a whole page instead of an element.

    Returns
    -------
    str
        HTML that loads nothing and runs no scripts.
    """
    title = check_title(title)
    strongest = _strongest(parts)
    heading = f'<div class="deluge-title">{html.escape(title)}</div>' if title else ""
    body = "".join(_text(text, parts, strongest) for text in texts)
    element = (
        f'<div class="{ROOT_CLASSES} deluge-comparison" data-color="difference"><style>{read_asset(COMPARE_STYLESHEET)}'
        f"{_STYLE}</style>{heading}{_legend(strongest)}"
        f'<div class="deluge-static deluge-influence">{body}</div>'
        f"{_note(summary)}{_note(note) if note else ''}{_table(parts)}</div>"
    )
    return whole_page(element, title or "Influence of the parts of a prompt") if standalone else element


def to_text(parts: Sequence[ColoredPart], summary: str, *, note: str | None = None, color: bool = False) -> str:
    """Return the parts of a prompt as lines, each with its influence in nats.

    Parameters
    ----------
    parts
        The parts in the order to show them.
    summary
        Line above them.
    note
        Line below them, on the condition under which the numbers hold.
    color
        Colour the parts with ANSI sequences.
    """
    numbers = [_short(part) for part in parts]
    width = max(map(display_width, numbers), default=0)
    strongest = _strongest(parts)
    lines = [
        f"  {' ' * (width - display_width(number))}{number}  "
        f"{paint(excerpt(part.text), _codes(part, strongest) if color else ())}"
        for number, part in zip(numbers, parts, strict=True)
    ]
    return "\n".join([printable(summary), *lines, *([printable(f"Note: {note}")] if note else [])])


def excerpt(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _codes(part: ColoredPart, strongest: float) -> list[str]:
    value = part.cautious
    return [] if math.isnan(value) else shade(min(abs(value) / strongest, 1), COOL if value > 0 else HOT)


def _note(text: str) -> str:
    return f'<div class="deluge-note">{html.escape(printable(text))}</div>'


def _strongest(parts: Sequence[ColoredPart]) -> float:
    """Return the influence that has the strongest colour: the largest one, so that long answers differ, too."""
    sizes = [abs(part.cautious) for part in parts if math.isfinite(part.cautious)]
    return max([DIFFERENCE_CAP, *sizes])


def _legend(strongest: float) -> str:
    steps = (-strongest, -strongest / 2, 0.0, strongest / 2, strongest)
    samples = "".join(
        f'<span class="deluge-token{" deluge-surer" if value > 0 else ""}" style="--u:{abs(value) / strongest:.4g}" '
        f'data-text="{format_signed(value) if value else "0"}"></span>'
        for value in steps
    )
    label = f"from {format_signed(-strongest)} nats, less likely, to {format_signed(strongest)} nats, likelier"
    return (
        f'<div class="deluge-bar"><span class="deluge-samples" role="img" aria-label="{label}">'
        f'<span data-text="makes the answer less likely"></span>{samples}<span data-text="likelier (nats)"></span>'
        "</span></div>"
    )


def _text(text: LabeledText, parts: Sequence[ColoredPart], strongest: float) -> str:
    end = text.begin + len(text.text)
    own = sorted(part for part in parts if text.begin <= part.begin and part.end <= end)
    pieces = [f'<span class="deluge-role">{html.escape(printable(text.role))}</span>'] if text.role else []
    place = text.begin
    for part in own:
        pieces.append(_plain(text.text[place - text.begin : part.begin - text.begin]))
        pieces.append(_colored(part, strongest))
        place = part.end
    pieces.append(_plain(text.text[place - text.begin :]))
    return preformatted("".join(pieces))


def _plain(text: str) -> str:
    """Return text between parts: without a colour, and with white space as it is."""
    if not text.strip(" \t\n"):
        return text.replace("\n", "<br>")
    return token_elements(_fragments(text), (), math.nan, "")


def _colored(part: ColoredPart, strongest: float) -> str:
    value = part.cautious
    names = ["deluge-surer"] * (value > 0) + ["deluge-unknown"] * math.isnan(value)
    heat = math.nan if math.isnan(value) else min(abs(value) / strongest, 1)
    detail = html.escape(_detail(part), quote=True)
    pieces = token_elements(_fragments(part.text), names, heat, "")
    return f'<span tabindex="0" title="{detail}" data-detail="{detail}">{pieces}</span>'


def _fragments(text: str) -> list[Fragment]:
    return [Fragment(0, *shape) for shape in shapes_of(text)]


def _detail(part: ColoredPart) -> str:
    """Return the sentence on a part, with its note."""
    note = f"; {printable(part.note)}" if part.note else ""
    return f"{_effect(part)}{note}"


def _effect(part: ColoredPart) -> str:
    name = f"“{excerpt(part.text)}”"
    if part.error is not None:
        return f"{name}: not known, {printable(part.error)}"
    if math.isnan(part.cautious) and math.isnan(part.delta):
        return f"{name}: not known ({_bounds(part)})"
    least = "" if not math.isnan(part.delta) else "at least "
    number = part.cautious if least else part.delta
    bounds = f"; {_bounds(part)}" if part.low != part.high else ""
    if format_signed(number) == "±0":
        return f"{name}: ±0 nats, hardly any influence on the answer{bounds}"
    factor = exp_or_inf(abs(number))
    times = f"{factor:,.3g}" if factor < 1e3 else f"{factor:,.0f}" if factor < 1e6 else f"{factor:.1g}"
    effect = "likelier" if number > 0 else "less likely"
    return f"{name}: {format_signed(number)} nats, makes the answer {least}{times} times {effect}{bounds}"


def _bounds(part: ColoredPart) -> str:
    return f"between {_end(part.low)} and {_end(part.high)} nats"


def _both_ends(part: ColoredPart) -> str:
    return "" if math.isnan(part.low) else f"{_end(part.low)} … {_end(part.high)}"


def _end(value: float) -> str:
    if math.isinf(value):
        return "−∞" if value < 0 else "+∞"
    return format_signed(value)


def _short(part: ColoredPart) -> str:
    """Return the number of a part, or its bounds."""
    if part.error is not None:
        return "failed"
    if not math.isnan(part.delta):
        return format_signed(part.delta)
    return _both_ends(part) or "unknown"


def _table(parts: Sequence[ColoredPart]) -> str:
    """Return the parts with the largest influence as a table, for readers without colours or a pointer."""
    order = sorted(parts, key=lambda part: math.inf if math.isnan(part.cautious) else -abs(part.cautious))
    is_bounded = any(part.low != part.high and not math.isnan(part.low) for part in parts)
    rows = "".join(
        f"<tr>{_cell(_short(part))}{_cell(_both_ends(part)) if is_bounded else ''}"
        f"<td>{html.escape(excerpt(part.text))}{_reason(part)}</td></tr>"
        for part in order[:_ROWS]
    )
    more = f'<p class="deluge-note">and {len(order) - _ROWS:,} more</p>' if len(order) > _ROWS else ""
    names = ["nats", "bounds"] if is_bounded else ["nats"]
    head = "".join(f'<th class="deluge-number">{name}</th>' for name in names)
    return (
        '<details class="deluge-more-parts"><summary>Largest influences as a table</summary>'
        f'<table class="deluge-parts"><thead><tr>{head}<th>part</th></tr></thead><tbody>{rows}</tbody></table>{more}'
        "</details>"
    )


def _cell(number: str) -> str:
    return f'<td class="deluge-number">{number}</td>'


def _reason(part: ColoredPart) -> str:
    return "" if part.error is None else f" ({html.escape(printable(part.error))})"
