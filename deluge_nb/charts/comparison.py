"""Draw the chart of a comparison: log-probability or entropy of several responses over one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from ..logprobs.alignment import Alignment
from ..logprobs.columns import Floats
from ..printable import printable
from ..text.counts import pluralize
from ..text.glyphs import label
from .offline import OfflineChart, inline_data, label_expr
from .width import CONTAINER

# Distinguishable by dashes, not only by hue, and with a contrast of at least 3 on white and on #111.
LINES = ("#6e7781", "#a23bc9", "#1a7f37", "#0969da", "#b35900", "#8a6d00", "#c2255c", "#0b7285")
_DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [1, 0], [6, 2], [2, 2], [8, 2, 2, 2])
_HEIGHT = 170
# Tokens along the axis. Beyond, neighbours share a point.
_SINGLE = 2500
_MAX_LABEL = 24


def compare_chart(compared: Alignment, names: Sequence[str], measure: str = "logprob") -> alt.Chart:
    """Return a chart with a line per response over their shared axis.

    Parameters
    ----------
    compared
        Aligned responses.
    names
        Name of each response.
    measure
        ``"logprob"`` (nats) or ``"entropy"`` (bits). Neighbours that share a point have their mean.
    """
    axis, length = compared.axis()
    size = max(1, -(-length // _SINGLE))
    rows: list[dict[str, Any]] = []
    for side, (table, edges) in enumerate(zip(compared.tables, axis, strict=True)):
        values = table.logprob if measure == "logprob" else table.entropy(base=2)
        rows += _points(table.token_bytes, values, edges, size, side, names[side])
    unit = "Log-probability (nats)" if measure == "logprob" else "Entropy (bits)"
    # Lines are grouped by number: Vega fails at a name such as "__proto__".
    domain = list(range(len(names)))
    x = alt.X(
        "at:Q",
        title="Token, along the shared text",
        scale=alt.Scale(domain=[0, max(length, 1)], nice=False),
        axis=alt.Axis(grid=False, format="d", tickMinStep=1),
    )
    labels = label_expr([printable(name) for name in names])
    legend = alt.Legend(orient="top", symbolType="stroke", symbolSize=400, labelExpr=labels)
    tooltip = [
        alt.Tooltip("response:N"),
        alt.Tooltip("token:N"),
        alt.Tooltip("place:N", title="position"),
        alt.Tooltip("value:Q", title=unit, format=".3f"),
    ]
    chart = OfflineChart(
        inline_data(rows), description=f"{unit} of {len(names)} responses, along {pluralize(length, 'token')}"
    )
    return (
        chart.mark_line(interpolate="step-after", strokeWidth=1.6, clip=True)
        .encode(
            x,
            alt.Y("value:Q", title=unit, scale=alt.Scale(zero=True)),
            color=alt.Color(
                "side:N", title=None, scale=alt.Scale(domain=domain, range=list(LINES[: len(names)])), legend=legend
            ),
            strokeDash=alt.StrokeDash(
                "side:N",
                title=None,
                scale=alt.Scale(domain=domain, range=list(_DASHES[: len(names)])),
                legend=legend,
            ),
            tooltip=tooltip,
        )
        .properties(width=CONTAINER, height=_HEIGHT)
        .interactive(bind_y=False)
    )


def _points(
    octets: Sequence[bytes], values: Floats, edges: tuple[Floats, Floats], size: int, side: int, name: str
) -> list[dict[str, Any]]:
    """Return a point per token, or per group of tokens. A line is interrupted where its response has no token."""
    if not len(values):
        return []
    starts, ends = edges
    groups = (starts // size).astype(np.int64)
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    last = np.append(first[1:], len(values))
    response = {"side": side, "response": printable(name)}
    points: list[dict[str, Any]] = []
    end = 0.0
    for start, stop in zip(first.tolist(), last.tolist(), strict=True):
        part = values[start:stop]
        known = part[np.isfinite(part)]
        text = "".join(label(raw) for raw in octets[start : min(stop, start + 8)])
        at = float(starts[start]) if size == 1 else float(groups[start] * size)
        if points and at > end + size / 2:
            points += [{**points[-1], "at": end}, {**response, "at": end, "value": None}]
        end = float(ends[stop - 1]) if size == 1 else at + size
        points.append(
            {
                **response,
                "at": at,
                "value": float(known.mean()) if len(known) else None,
                "place": str(start) if stop - start == 1 else f"{start}–{stop - 1}",
                "token": text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…",
            }
        )
    return [*points, {**points[-1], "at": end}]
