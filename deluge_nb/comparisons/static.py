"""Write the table of a comparison as HTML that runs no scripts, and as text for a terminal."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..printable import printable
from ..render.arguments import check_title
from ..render.assets import ROOT_CLASSES, read_asset
from ..render.excerpt import check_limit
from ..render.html import whole_page
from ..text.counts import pluralize

STYLESHEET = "comparisons.css"
# Columns of a name and of a text in a terminal.
_NAME, _LINE = 20, 100
# Where styles are stripped, as on GitHub, a long word would widen the page. In other scripts letters may join.
_LONG_WORD = re.compile("[!-~]{12}(?=[!-~])")

Cells = Sequence[Mapping[str, Any]]


def to_html(
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    totals: Cells,
    *,
    note: str,
    title: str = "",
    standalone: bool = False,
    limit: int | None = None,
) -> str:
    """Return the table as HTML.

    Parameters
    ----------
    names
        Names of the variants.
    rows, totals
        Rows in the order to show them, and the row of their means.
    note
        Line above the table.
    title
        Line above that; none by default.
    standalone
        Return a whole page instead of an element.
    limit
        Largest number of rows; all by default.
    """
    check_limit(limit)
    title = check_title(title)
    shown = rows[:limit]
    heading = f'<div class="deluge-title">{_escape(title)}</div>' if title else ""
    body = "".join(_row(names, row) for row in shown)
    means = f'<tr><th scope="row" colspan="2">mean</th>{_variants(names, totals)}</tr>'
    foot = f"<tfoot>{means}</tfoot>" if len(rows) > 1 else ""
    omitted = len(rows) - len(shown)
    more = f'<div class="deluge-summary">… {pluralize(omitted, "more row")}</div>' if omitted else ""
    columns = '<col class="deluge-col-label"><col>' + "".join(
        '<col><col class="deluge-col-number">' + '<col class="deluge-col-number">' * (side > 0)
        for side in range(len(names))
    )
    element = (
        f'<div class="{ROOT_CLASSES} deluge-comparisons"><style>{read_asset(STYLESHEET)}</style>'
        f'<div class="deluge-top">{heading}<span class="deluge-summary">{_escape(note)}</span></div>'
        '<div class="deluge-frame-table">'
        f'<table class="deluge-table" style="--variants:{len(names)}"><colgroup>{columns}</colgroup>'
        f"<thead>{_head(names)}</thead><tbody>{body}</tbody>{foot}</table></div>{more}</div>"
    )
    return whole_page(element, title or "Compared answers") if standalone else element


def to_text(
    names: Sequence[str], rows: Sequence[Mapping[str, Any]], totals: Cells, *, note: str, limit: int | None = None
) -> str:
    """Return the table for a terminal: under each input a line for each variant with its numbers and its answer."""
    check_limit(limit)
    shown = rows[:limit]
    lines = [note]
    for row in shown:
        lines += ["", f"{_line(row['label'])}  {_line(row['input'])}", *_lines(names, row["cells"])]
    if len(shown) < len(rows):
        lines += ["", f"… {pluralize(len(rows) - len(shown), 'more row')}"]
    if len(rows) > 1:
        lines += ["", "mean", *_lines(names, totals)]
    return "\n".join(lines)


def _lines(names: Sequence[str], cells: Cells) -> list[str]:
    width = min(max(map(len, names)), _NAME)
    lines: list[str] = []
    for side, (name, cell) in enumerate(zip(names, cells, strict=True)):
        start = f"  {_line(name, _NAME):<{width}}  "
        if cell.get("error") is not None:
            lines.append(f"{start}no answer: {_line(cell['error'])}")
            continue
        change = "" if side == 0 else cell["change"]
        # The row of means has no texts.
        empty = "(empty)" if "text" in cell else ""
        lines.append(f"{start}{cell['mean']:>7}  {change:>7}  {_line(cell.get('text', '')) or empty}".rstrip())
    return lines


def _line(text: str, longest: int = _LINE) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def _head(names: Sequence[str]) -> str:
    groups = "".join(
        f'<th scope="colgroup" class="deluge-variant" colspan="{2 + (side > 0)}" title="{_escape(name)}">'
        f"{_breakable(name)}</th>"
        for side, name in enumerate(names)
    )
    number = '<th scope="col" class="deluge-number">'
    measures = "".join(
        f'<th scope="col">answer</th>{number}mean logprob</th>' + f"{number}difference</th>" * (side > 0)
        for side in range(len(names))
    )
    return (
        f'<tr><th scope="col" rowspan="2">#</th><th scope="col" rowspan="2">input</th>{groups}</tr><tr>{measures}</tr>'
    )


def _row(names: Sequence[str], row: Mapping[str, Any]) -> str:
    head = f'<th scope="row">{_escape(row["label"])}</th><td class="deluge-text">{_breakable(row["input"])}</td>'
    return f"<tr>{head}{_variants(names, row['cells'])}</tr>"


def _variants(names: Sequence[str], cells: Cells) -> str:
    return "".join(_cells(side, name, cell) for side, (name, cell) in enumerate(zip(names, cells, strict=True)))


def _cells(side: int, name: str, cell: Mapping[str, Any]) -> str:
    named = f'data-label="{_escape(name)}" style="--side:{side}"'
    if cell.get("error") is not None:
        text = f"no answer: {_breakable(cell['error'])}"
        return f'<td class="deluge-text deluge-failed" colspan="{2 + (side > 0)}" {named}>{text}</td>'
    facts = f' title="{_escape(cell["facts"])}"' if cell.get("facts") else ""
    answer = f'<td class="deluge-text" {named}>{_breakable(cell.get("text", ""))}</td>'
    mean = _number("deluge-warm", "mean logprob", side, cell["mean"], cell["warmth"], facts)
    if side == 0:
        return answer + mean
    surer = " deluge-surer" if (cell["difference"] or 0) > 0 else ""
    return answer + mean + _number(f"deluge-change{surer}", "difference", side, cell["change"], cell["heat"])


def _number(names: str, label: str, side: int, text: str, heat: float | None, title: str = "") -> str:
    style = f"--side:{side}" if heat is None else f"--side:{side};--u:{heat:.4g}"
    chip = f'<span class="deluge-chip">{_escape(text)}</span>'
    return f'<td class="deluge-number {names}" data-label="{label}" style="{style}"{title}>{chip}</td>'


def _breakable(text: str) -> str:
    """Return a text as HTML whose long words may be broken; what is copied is the text."""
    # No printable text has the character that marks a break here.
    marked = _LONG_WORD.sub("\\g<0>\0", printable(text))
    return "<wbr>".join(map(_escape, marked.split("\0")))


def _escape(text: str) -> str:
    return html.escape(printable(text), quote=True)
