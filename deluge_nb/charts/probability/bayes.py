"""Charts of Bayes' rule: the posterior after each token, and natural frequencies as dots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ...printable import printable
from ...render.scale import percent
from ..palette import colors_for
from ..token_axis import text_labels
from ..width import CONTAINER
from .bars import as_floats, as_label, base_chart, is_real, read_names

_COLORS = colors_for()
# Lines differ by their dashes as well as by their colours.
_LINES = (_COLORS.line, _COLORS.unsure, "#5b8a3c", "#8a5fb0", "#7a7a7a")
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 4])
_SLACK = 1e-6
# Of the table of dots, CSS pixels: from one to the next, and the width from which on two names of its legend fit.
_DOT, _TWO_COLUMNS = 13, 420
# A chart of ten thousand tokens takes a minute.
_MOST_TOKENS = 1000


def posterior_chart(tokens: Sequence[str], posteriors: ArrayLike, names: Sequence[str]) -> alt.Chart:
    """Return a chart of the probability of each hypothesis before the text and after each of its tokens.

    Parameters
    ----------
    tokens
        The tokens of the text.
    posteriors
        Probabilities of the hypotheses, the prior first, shape (number of tokens + 1, number of hypotheses).
    names
        The hypotheses, at most five.

    Returns
    -------
    altair.Chart
        A chart that works offline.

    Raises
    ------
    SettingError
        If the arrays do not fit together, or a row does not add up to 1.

    Examples
    --------
    >>> from deluge_nb import posterior_chart
    >>> posterior_chart(["Pour", " into"], [[0.5, 0.5], [0.7, 0.3], [0.9, 0.1]], ["recipe", "weather"]).description
    'Probability of each hypothesis after each of 2 tokens; at the end recipe 90 %, weather 10 %'
    """
    labels = read_names(names)
    values = as_floats(posteriors, "posteriors")
    if len(tokens) > _MOST_TOKENS:
        raise invalid_argument("tokens", f"{len(tokens):,} tokens", f"at most {_MOST_TOKENS:,}")
    if len(labels) > len(_LINES):
        raise invalid_argument("names", f"{len(labels)} hypotheses", f"at most {len(_LINES)}")
    if values.shape != (len(tokens) + 1, len(labels)):
        expected = f"of shape {(len(tokens) + 1, len(labels))}: the prior, then a row for each token"
        raise invalid_argument("posteriors", f"an array of shape {values.shape}", expected)
    if not np.all(values >= -_SLACK) or not np.allclose(values.sum(axis=1), 1, atol=1e-6):
        raise invalid_argument("posteriors", values, "probabilities that add up to 1 in each row")
    steps = ["before", *map(as_label, tokens)]
    rows = [
        {"place": place, "after": step, "hypothesis": name, "probability": float(p), "percent": percent(float(p))}
        for place, (step, row) in enumerate(zip(steps, values, strict=True))
        for name, p in zip(labels, row, strict=True)
    ]
    last = ", ".join(f"{name} {percent(float(p))}" for name, p in zip(labels, values[-1], strict=True))
    description = f"Probability of each hypothesis after each of {len(tokens)} tokens; at the end {last}"
    # Bounded, the last label would be dropped: the end of the line is at the end of the axis.
    axis = alt.Axis(**text_labels(steps), values=list(range(len(steps))), grid=False, labelBound=False)
    scale = alt.Scale(nice=False, domain=[-0.3, len(tokens) + 0.3])
    x = alt.X("place:Q", title="after the token", axis=axis, scale=scale)
    legend = alt.Legend(orient="top", title=None)
    scale = alt.Scale(domain=labels, range=list(_LINES[: len(labels)]))
    dashes = alt.Scale(domain=labels, range=[*_DASHES[: len(labels)]])
    chart = base_chart(rows, description).mark_line(point=True, strokeWidth=2)
    return chart.encode(
        x=x,
        y=alt.Y("probability:Q", title="Probability", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%")),
        color=alt.Color("hypothesis:N", scale=scale, legend=legend),
        strokeDash=alt.StrokeDash("hypothesis:N", scale=dashes, legend=legend),
        tooltip=[alt.Tooltip("after:N"), alt.Tooltip("hypothesis:N"), alt.Tooltip("percent:N", title="probability")],
    ).properties(width=CONTAINER, height=240)


def frequency_chart(
    prior: float,
    sensitivity: float,
    false_positive_rate: float,
    *,
    total: int = 1000,
    names: tuple[str, str] = ("praise", "other"),
    called: tuple[str, str] = ("called praise", "not called"),
) -> alt.Chart:
    """Return a chart of natural frequencies: one dot for each of a thousand cases, in a table of two by two.

    Parameters
    ----------
    prior
        The share of cases in the first class.
    sensitivity
        The share of the first class that the detector calls so.
    false_positive_rate
        The share of the second class that it calls so by mistake.
    total
        The number of dots, from 10 to 2,000.
    names
        The two classes.
    called
        What the detector says of those it calls, and of the others.

    Returns
    -------
    altair.Chart
        A chart that works offline; its title is the share of right calls, counted in dots.

    Raises
    ------
    SettingError
        If a share is not from 0 to 1, or the total is out of range.

    Examples
    --------
    >>> from deluge_nb import frequency_chart
    >>> frequency_chart(0.02, 1.0, 0.1).description.partition("; ")[0]
    'Of 118 called praise, 20 are praise: 16.9 %'
    """
    for setting, share in (
        ("prior", prior),
        ("sensitivity", sensitivity),
        ("false_positive_rate", false_positive_rate),
    ):
        if not is_real(share) or not 0 <= share <= 1:
            raise invalid_argument(setting, share, "a share from 0 to 1")
    if isinstance(total, bool) or not isinstance(total, int) or not 10 <= total <= 2000:
        raise invalid_argument("total", total, "a number of dots from 10 to 2000")
    for setting, pair in (("names", names), ("called", called)):
        if len(read_names(pair, setting)) != 2:
            raise invalid_argument(setting, pair, "two texts")
    # They become literals of expressions, in which JSON hides the characters that are no text of a picture.
    (praise, other), (yes, no) = map(printable, names), map(printable, called)
    first = round(prior * total)
    hits, alarms = round(sensitivity * first), round(false_positive_rate * (total - first))
    cells = [
        (praise, yes, hits),
        (praise, no, first - hits),
        (other, yes, alarms),
        (other, no, total - first - alarms),
    ]
    columns = max(10, round(total**0.5))
    rows: list[dict[str, Any]] = []
    for name, verdict, count in cells:
        group = f"{name}, {verdict}"
        for index in range(count):
            place = len(rows)
            rows.append({"x": place % columns, "y": place // columns, "case": group, "of": f"{index + 1} of {count}"})
    groups = [f"{name}, {verdict}" for name, verdict, _ in cells]
    counts = {group: count for group, (_, _, count) in zip(groups, cells, strict=True)}
    found = hits + alarms
    share = f": {percent(hits / found)}" if found else ""
    lines = [f"Of {found} {yes},", f"{hits} are {praise}{share}"]
    title = " ".join(lines)
    scale = alt.Scale(domain=groups, range=[_COLORS.line, _COLORS.line, _COLORS.unsure, _COLORS.sure])
    shapes = alt.Scale(domain=groups, range=["circle", "cross", "square", "diamond"])
    is_narrow = f"containerSize()[0] < {_TWO_COLUMNS}"
    # A title or a legend that is wider than the cell would be cut off.
    heading = alt.Title(alt.ExprRef(f"{is_narrow} ? {json.dumps(lines)} : {json.dumps(title)}"))
    pairs = alt.ExprRef(f"{is_narrow} ? 1 : 2")
    legend = alt.Legend(title=None, orient="top", columns=pairs, labelLimit=300, labelExpr=_counted(counts))
    height = -(-total // columns)
    # In a narrow cell the columns stand closer.
    across = alt.Scale(domain=[-1, columns], range=[0, alt.ExprRef(f"min(width, {_DOT * columns})")])
    hidden = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)
    words = ", ".join(f"{group}: {count}" for group, count in counts.items())
    return (
        base_chart(rows, f"{title}; {words}")
        .mark_point(filled=True, size=38, opacity=1)
        .encode(
            x=alt.X("x:Q", axis=hidden, scale=across),
            y=alt.Y("y:Q", axis=hidden, scale=alt.Scale(domain=[height, -1])),
            color=alt.Color("case:N", scale=scale, legend=legend, sort=groups),
            shape=alt.Shape("case:N", scale=shapes, legend=legend, sort=groups),
            tooltip=[alt.Tooltip("case:N"), alt.Tooltip("of:N")],
        )
        .properties(width=CONTAINER, height=_DOT * height, title=heading)
    )


def _counted(counts: dict[str, int]) -> str:
    """Return a Vega expression that writes the number of dots behind each name of a legend."""
    table = json.dumps({f" {name}": count for name, count in counts.items()})
    return f"datum.label + ': ' + {table}[' ' + datum.label]"
