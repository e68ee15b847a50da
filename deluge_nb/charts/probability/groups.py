"""A chart of scores in groups: a dot for each case, and the threshold that divides them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ..offline import OfflineLayerChart, label_expr
from ..palette import colors_for
from ..width import CONTAINER
from .bars import as_floats, base_chart, read_names

_COLORS = colors_for()
# Groups differ by the row and the shape of their dots as well as by colour.
_DOTS = ((_COLORS.line, "circle"), (_COLORS.unsure, "square"), (_COLORS.sure, "diamond"))


def groups_chart(
    groups: Mapping[str, ArrayLike],
    *,
    threshold: float | None = None,
    measure: str = "score",
    title: str = "",
    domain: tuple[float, float] | None = None,
    cases: Mapping[str, Sequence[str]] | None = None,
) -> alt.LayerChart:
    """Return a chart of scores in two or three groups, a row of dots for each, with a threshold as a line.

    Parameters
    ----------
    groups
        The scores of each group, by its name.
    threshold
        Where the line stands; None for no line.
    measure
        The title of the axis.
    title
        The title of the chart.
    domain
        The ends of the axis; by default those of the scores.
    cases
        A text for each score, by the name of its group, which is shown where one points at its dot.

    Returns
    -------
    altair.LayerChart
        A chart that works offline. Its description counts the scores of each group on both sides of the threshold.

    Raises
    ------
    SettingError
        If there are more than three groups, a score is no finite number, or the texts are not one for each score.

    Examples
    --------
    >>> from deluge_nb import groups_chart
    >>> groups_chart({"model": [3.0, 3.5, 5.1], "author": [4.1, 6.2]}, threshold=4).description
    'score; model: 2 below 4, 1 not below; author: 0 below 4, 2 not below'
    """
    labels = read_names(list(groups), "groups")
    if len(labels) > len(_DOTS):
        raise invalid_argument("groups", f"{len(labels)} groups", f"at most {len(_DOTS)}")
    rows: list[dict[str, Any]] = []
    words = []
    for place, (label, (name, scores)) in enumerate(zip(labels, groups.items(), strict=True)):
        values = _read_scores(scores, name)
        texts = [""] * len(values) if cases is None else list(cases.get(name, ()))
        if len(texts) != len(values):
            raise invalid_argument("cases", f"{len(texts)} texts of {name!r}", f"{len(values)}, one for each score")
        rows += [
            {"place": place, "group": label, "score": value, "case": text}
            for value, text in zip(values, texts, strict=True)
        ]
        words.append(_in_words(label, values, threshold))
    ends = domain or _ends([row["score"] for row in rows], threshold)
    scale = alt.Scale(domain=labels, range=[color for color, _ in _DOTS[: len(labels)]])
    shapes = alt.Scale(domain=labels, range=[shape for _, shape in _DOTS[: len(labels)]])
    # Fonts of readers are wider than that of the picture: at 12 px no letter takes more than 8.
    room = min(8 * max(map(len, labels)), 240)
    axis = alt.Axis(labelExpr=label_expr(labels), labelLimit=240, minExtent=room, ticks=False, grid=False)
    axis_of_scores = alt.Axis(tickCount=8)
    x = alt.X("score:Q", title=measure, scale=alt.Scale(domain=list(ends), nice=False, zero=False), axis=axis_of_scores)
    tooltip = [alt.Tooltip("case:N"), alt.Tooltip("group:N"), alt.Tooltip("score:Q", title=measure, format=".2f")]
    base = base_chart(rows)
    # Where dots cover each other, their edges show how many there are; full edges are seen on dark pages too.
    dots = base.mark_point(filled=True, size=90, opacity=1, fillOpacity=0.5, strokeWidth=1.5).encode(
        y=alt.Y("place:O", title=None, axis=axis),
        x=x,
        color=alt.Color("group:N", scale=scale, legend=None),
        stroke=alt.Stroke("group:N", scale=scale, legend=None),
        shape=alt.Shape("group:N", scale=shapes, legend=None),
        tooltip=tooltip if cases else tooltip[1:],
    )
    layers = [dots]
    if threshold is not None:
        rule = base_chart([{"score": float(threshold)}]).mark_rule(strokeDash=[5, 3], strokeWidth=2, color=_COLORS.sure)
        layers.append(rule.encode(x=x))
    layered = OfflineLayerChart(layer=layers, description="; ".join([measure, *words]))
    layered = layered.properties(width=CONTAINER, height=44 * len(labels))
    return layered.properties(title=title) if title else layered


def _read_scores(scores: ArrayLike, name: str) -> list[float]:
    values = as_floats(scores, "groups")
    if values.ndim != 1 or not np.all(np.isfinite(values)):
        raise invalid_argument("groups", f"scores {scores} of {name!r}", "lists of finite numbers")
    return values.tolist()


def _in_words(label: str, values: Sequence[float], threshold: float | None) -> str:
    if threshold is None:
        return f"{label}: {', '.join(f'{value:.3g}' for value in values)}"
    below = sum(value < threshold for value in values)
    return f"{label}: {below} below {threshold:g}, {len(values) - below} not below"


def _ends(values: Sequence[float], threshold: float | None) -> tuple[float, float]:
    """Return the ends of an axis with room around all scores."""
    all_values = [*values, *([] if threshold is None else [threshold])] or [0.0]
    margin = 0.06 * (max(all_values) - min(all_values)) or 0.5
    return min(all_values) - margin, max(all_values) + margin
