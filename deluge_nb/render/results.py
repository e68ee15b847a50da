"""Render the results of a classification as HTML: one as bars with their intervals, many as a table.

Every text comes from a model or a user, so every text is escaped. The colours are those of the view's stylesheet.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from ..printable import printable
from .assets import ROOT_CLASSES, VIEW_STYLESHEET, read_asset
from .scale import SCALES, percent

# Characters of an input that a table shows; long inputs would hide the other rows.
_LONGEST_TEXT = 300

# A rule of the stylesheet that sets the variables or the theme of the element itself.
_THEME_RULE = re.compile(r"(?:^|(?<=\}))((?:[^{},]*\.deluge(?:\[data-theme=[^\]]*\])?,?)+)(\{[^{}]*\})")

_STYLE = (
    ".deluge .deluge-results{border-collapse:collapse;margin:4px 0;font:inherit;color:inherit}"
    ".deluge.deluge .deluge-results :is(td,th){padding:3px 8px;text-align:left;vertical-align:top;white-space:normal;"
    "border:0;border-bottom:1px solid var(--deluge-line);background:var(--deluge-ground);color:inherit;max-width:none}"
    ".deluge.deluge .deluge-results thead th{color:var(--deluge-soft);font-weight:600}"
    ".deluge.deluge .deluge-results .deluge-number{text-align:right;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    ".deluge.deluge .deluge-results .deluge-warm{background:color-mix(in oklab,var(--deluge-heat) calc(var(--u)*100%),"
    "var(--deluge-ground))}"
    ".deluge.deluge .deluge-results .deluge-text{white-space:pre-wrap;overflow-wrap:anywhere;min-width:16em;"
    "unicode-bidi:plaintext}"
    ".deluge .deluge-share{position:relative;display:block;width:180px;height:14px;margin:3px 0;"
    "border-left:1px solid var(--deluge-soft)}"
    ".deluge .deluge-share::before{content:'';position:absolute;inset:0 auto 0 0;width:calc(var(--p)*100%);"
    "background:var(--deluge-bar-fill)}"
    ".deluge .deluge-share::after{content:'';position:absolute;top:3px;height:8px;box-sizing:border-box;"
    "left:calc(var(--low)*100%);width:calc((var(--high) - var(--low))*100%);min-width:2px;"
    "border:solid var(--deluge-text);border-width:0 2px;"
    "background:linear-gradient(var(--deluge-text),var(--deluge-text)) center/100% 2px no-repeat}"
    ".deluge .deluge-note{margin:0;color:var(--deluge-soft)}"
)


class Share(NamedTuple):
    """Share of one answer, with its bounds, all from 0 to 1."""

    name: str
    share: float
    low: float
    high: float


class Row(NamedTuple):
    """Result of one input: its place among the inputs, its text, and its likeliest answer if there is one."""

    place: str
    text: str
    label: str | None
    share: float | None
    mass: float
    decided: bool
    error: str | None


def shares_to_html(shares: Sequence[Share], note: str) -> str:
    """Return the shares of one result as bars, each with its interval.

    Parameters
    ----------
    shares
        The answers in the order to show them.
    note
        Sentence below the bars.

    Returns
    -------
    str
        HTML that loads nothing and runs no scripts.
    """
    body = "".join(
        f"<tr><th scope='row'>{_escape(name)}</th><td><span class='deluge-share' role='img' "
        f"aria-label='{percent(share)}, from {percent(low)} to {percent(high)}' "
        f"style='--p:{share:.4g};--low:{low:.4g};--high:{high:.4g}'></span></td>"
        f"<td class='deluge-number'>{percent(share)}</td>"
        f"<td class='deluge-number'>{percent(low)} – {percent(high)}</td></tr>"
        for name, share, low, high in shares
    )
    head = "<tr><th>answer</th><th></th><th class='deluge-number'>share</th><th class='deluge-number'>bounds</th></tr>"
    table = f"<table class='deluge-results'><thead>{head}</thead><tbody>{body}</tbody></table>" if shares else ""
    return _element(f"{table}<p class='deluge-note'>{_escape(note)}</p>")


def rows_to_html(rows: Sequence[Row], omitted: int, caption: str) -> str:
    """Return results as a table.

    Parameters
    ----------
    rows
        The results in the order to show them.
    omitted
        The number of results that are not among the rows.
    caption
        Line above the table.

    Returns
    -------
    str
        HTML that loads nothing and runs no scripts.
    """
    numbers = "".join(f"<th class='deluge-number'>{name}</th>" for name in ("share", "mass"))
    head = f"<tr><th></th><th>input</th><th>label</th>{numbers}<th>decided</th></tr>"
    body = "".join(map(_row, rows))
    more = f"<p class='deluge-note'>and {omitted:,} more</p>" if omitted else ""
    return _element(
        f"<p class='deluge-note'>{_escape(caption)}</p>"
        f"<table class='deluge-results'><thead>{head}</thead><tbody>{body}</tbody></table>{more}"
    )


def describe_mass(mass: float, decided: bool) -> str:
    """Return the sentence that says what the shares of a result rest on.

    Parameters
    ----------
    mass
        The total probability on any answer.
    decided
        True where hidden tokens cannot change the likeliest answer.
    """
    return f"{percent(mass)} of the probability is on any of these answers; {'' if decided else 'not '}decided"


def _row(row: Row) -> str:
    text = row.text if len(row.text) <= _LONGEST_TEXT else f"{row.text[: _LONGEST_TEXT - 1]}…"
    start = f"<tr><th scope='row'>{_escape(row.place)}</th><td class='deluge-text'>{_escape(text)}</td>"
    if row.error is not None:
        return f"{start}<td colspan='4'>no result: {_escape(row.error)}</td></tr>"
    label = "none" if row.label is None else _escape(row.label)
    cells = (_number(row.share), _number(row.mass))
    return f"{start}<td>{label}</td>{''.join(cells)}<td>{'yes' if row.decided else 'no'}</td></tr>"


def _number(share: float | None) -> str:
    if share is None:
        return "<td class='deluge-number'>none</td>"
    heat = float(SCALES["probability"].heat(share))
    return f"<td class='deluge-number deluge-warm' style='--u:{heat:.4g}'>{percent(share)}</td>"


def _escape(text: str) -> str:
    return html.escape(printable(text), quote=True)


def _element(content: str) -> str:
    return f"<div class='{ROOT_CLASSES}'><style>{_style()}</style>{content}</div>"


@cache
def _style() -> str:
    rules = "".join(selector + body for selector, body in _THEME_RULE.findall(read_asset(VIEW_STYLESHEET)))
    return rules + _STYLE
