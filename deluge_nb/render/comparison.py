"""A comparison without a widget: a table of HTML for pages, text for terminals."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ..logprobs.alignment import Alignment
from ..logprobs.columns import Floats
from ..text.glyphs import Fragment, fragments, label
from .assets import COMPARE_STYLESHEET, read_asset
from .scale import SCALES, ColorBy, percent, scale_values

CompareBy = Literal["difference", "probability", "surprisal", "entropy", "margin", "rank"]
COMPARE_BY: tuple[CompareBy, ...] = get_args(CompareBy)
# A difference of so many nats, a factor of 7, has the full colour.
DIFFERENCE_CAP = 2.0
LETTERS = "ABCDEFGH"
# What differs by more than so many tokens begins and ends a row of its own.
_OWN_ROW = 12
_FEWEST = 5


class Limited(NamedTuple):
    """The units that are shown, with how many tokens of each response these are, and what to say of the rest."""

    units: int
    tokens: list[int]
    rest: str


def heat(difference: Any) -> Floats:
    """From 0 to 1: how strong the colour of a difference is; NaN where there is none."""
    return np.clip(np.abs(np.asarray(difference, np.float64)) / DIFFERENCE_CAP, 0, 1)


def signed(nats: float) -> str:
    """A difference for people, always with its sign."""
    return (
        "unknown"
        if math.isnan(nats)
        else f"{nats:+.2f}".replace("-", "−").replace("+0.00", "±0").replace("−0.00", "±0")
    )


def to_html(
    compared: Alignment,
    names: Sequence[str],
    *,
    color_by: CompareBy = "difference",
    title: str = "",
    limit: int | None = None,
) -> str:
    """The responses as the columns of a table whose rows hold the same text, coloured."""
    shown = _limited(compared, limit)
    columns = [_tokens(compared, side, color_by, shown.tokens[side]) for side in range(len(names))]
    heads = "".join(
        f'<th scope="col"><b>{LETTERS[side]}</b>{_beside(side, html.escape(name))}<br>'
        f"<small>{_summary(compared, side)}</small></th>"
        for side, name in enumerate(names)
    )
    rows = []
    starts = compared.units.starts
    for first, last in _rows(compared, shown.units):
        cells = "".join(
            f"<td>{''.join(column[starts[side, first] : starts[side, last]])}</td>"
            for side, column in enumerate(columns)
        )
        rows.append(f"<tr>{cells}</tr>")
    heading = f'<div class="deluge-title">{html.escape(title)}</div>' if title else ""
    rest = f'<div class="deluge-summary">{html.escape(shown.rest)}</div>' if shown.rest else ""
    told = f"{_share(compared)} of the tokens of A and B are in text that both have; what is underlined only one has."
    # Written by the stylesheet: where that is stripped, there are no colours to explain.
    colours = (
        "Blue with a line above: surer here; orange with a line below: less sure here."
        if color_by == "difference"
        else f"Coloured by {color_by}."
    )
    style = read_asset(COMPARE_STYLESHEET)
    return (
        f'<div class="deluge deluge-comparison" data-color="{color_by}"><style>{style}</style>{heading}'
        f'<table class="deluge-static deluge-compared"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f'</table><div class="deluge-note" data-text="{colours}">{told}</div>{rest}</div>'
    )


def to_text(compared: Alignment, names: Sequence[str], *, limit: int | None = None) -> str:
    """What is common as it is, ``[-only in the first-]`` and ``{+only in the other+}``, and where they differ most."""
    shown = _limited(compared, limit)
    lines = [
        f"{LETTERS[side]}{_beside(side, f' {name}')}: {_summary(compared, side)}" for side, name in enumerate(names)
    ]
    texts = [_shown(compared, side, shown.tokens[side]) for side in range(len(names))]
    for at, pair in enumerate(compared.pairs):
        letter = LETTERS[at + 1]
        lines += ["", f"[-only in A-] {{+only in {letter}+}}"]
        parts: list[str] = []
        edges = zip(pair.a_start, pair.a_stop, pair.b_start, pair.b_stop, pair.common, strict=True)
        for a0, a1, b0, b1, common in edges:
            if a1 > shown.tokens[0] or b1 > shown.tokens[at + 1]:
                break
            left, right = "".join(texts[0][a0:a1]), "".join(texts[at + 1][b0:b1])
            parts += [left] if common else [f"[-{left}-]" if a1 > a0 else "", f"{{+{right}+}}" if b1 > b0 else ""]
        lines.append("".join(parts))
        lines += _largest(compared, at)
    if shown.rest:
        lines += ["", shown.rest]
    return "\n".join(lines)


def _largest(compared: Alignment, at: int) -> list[str]:
    pair, letter = compared.pairs[at], LETTERS[at + 1]
    sizes = np.nan_to_num(np.abs(pair.difference))
    largest = [row for row in np.argsort(-sizes, kind="stable")[:_FEWEST].tolist() if sizes[row] >= 0.005]
    if not largest:
        return []
    octets = compared.tables[0].token_bytes
    found = ["", f"Common text that A and {letter} differ on most (probability in each, difference in nats):"]
    for row in largest:
        text = label(b"".join(octets[pair.a_start[row] : pair.a_stop[row]]))
        chances = [percent(math.exp(min(float(value[row]), 0.0))) for value in (pair.a_logprob, pair.b_logprob)]
        found.append(f"  {text}  A {chances[0]}  {letter} {chances[1]}  {signed(float(pair.difference[row]))}")
    return found


def _limited(compared: Alignment, limit: int | None) -> Limited:
    starts = compared.units.starts
    size = starts.shape[1] - 1
    if limit is None or max(compared.counts, default=0) <= limit:
        return Limited(size, compared.counts, "")
    # A unit that is longer than what may be shown is left out with all that follows.
    units = int(np.searchsorted(starts.max(axis=0), limit, "right")) - 1
    tokens = [int(edges[units]) for edges in starts]
    more = [
        f"{count - told} of {LETTERS[side]}"
        for side, (count, told) in enumerate(zip(compared.counts, tokens, strict=True))
        if count > told
    ]
    return Limited(units, tokens, f"… more tokens: {', '.join(more)}")


def _summary(compared: Alignment, side: int) -> str:
    table = compared.tables[side]
    many = f"{len(table)} token{'s' * (len(table) != 1)}"
    return many if table.censored.all() else f"{many} · perplexity {table.perplexity:.3g}"


def _share(compared: Alignment) -> str:
    pair = compared.pairs[0]
    total = compared.counts[0] + compared.counts[1]
    if not total:
        return percent(1)
    common = int(((pair.a_stop - pair.a_start) + (pair.b_stop - pair.b_start))[pair.common].sum())
    return percent(common / total)


def _rows(compared: Alignment, size: int) -> Iterator[tuple[int, int]]:
    """Units by rows: a row ends where all texts break their line, and long differences have rows of their own."""
    starts, common = compared.units
    octets = compared.tables[0].token_bytes
    first = 0
    for unit in range(size):
        if not common[unit] and int(np.diff(starts[:, unit : unit + 2], axis=1).max()) > _OWN_ROW:
            if unit > first:
                yield first, unit
            yield unit, unit + 1
            first = unit + 1
        elif common[unit] and octets[starts[0, unit + 1] - 1].endswith(b"\n"):
            yield first, unit + 1
            first = unit + 1
    if size > first:
        yield first, size


def _by_token(compared: Alignment, side: int, count: int) -> list[list[Fragment]]:
    found: list[list[Fragment]] = [[] for _ in range(count)]
    for fragment in fragments(compared.tables[side].token_bytes[:count]):
        found[fragment.token].append(fragment)
    return found


def _beside(side: int, name: str) -> str:
    """A name after its letter; nothing where it has no other."""
    return "" if name.strip() == LETTERS[side] else f" {name}"


def _shown(compared: Alignment, side: int, count: int) -> list[str]:
    return ["".join(one.shown + "\n" * one.breaks for one in drawn) for drawn in _by_token(compared, side, count)]


def _tokens(compared: Alignment, side: int, color_by: CompareBy, count: int) -> list[str]:
    """Each token as HTML."""
    table = compared.tables[side]
    difference, common = compared.difference(side), compared.common(side)
    by: ColorBy | None = None if color_by == "difference" else color_by
    heats = heat(difference) if by is None else SCALES[by].heat(scale_values(table, by))
    chances, octets = table.prob, table.token_bytes
    found: list[str] = []
    for token, drawn in enumerate(_by_token(compared, side, count)):
        only = not common[token]
        names = ["deluge-token"]
        if only:
            names.append("deluge-only")
        elif by is None and difference[token] > 0:
            names.append("deluge-surer")
        plain = only and by is None
        if math.isnan(heats[token]) and not plain:
            names.append("deluge-unknown")
        style = "" if math.isnan(heats[token]) or plain else f' style="--u:{heats[token]:.4g}"'
        told = f"{label(octets[token])}: {percent(chances[token])} — "
        told += "only here" if only else f"difference {signed(float(difference[token]))} nats"
        # Where styles are stripped, as on GitHub, what is only here is still told apart.
        tag = "ins" if only else "span"
        found.append(
            "".join(
                f'<{tag} class="{" ".join([*names, *["deluge-marked"] * one.marked])}"{style}'
                f' title="{html.escape(told, quote=True)}">{html.escape(one.shown)}</{tag}>{"<br>" * one.breaks}'
                for one in drawn
            )
        )
    return found
