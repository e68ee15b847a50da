"""Lay charts along an axis of tokens: texts where they can be read, positions elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import altair as alt

from ..text.glyphs import label
from ..text.lines import display_width
from .chart_link import link_of, link_to_view, zoom_selection
from .offline import OfflineChart, OfflineLayerChart, inline_data, label_expr
from .palette import colors_for, palette_of
from .width import CONTAINER, PICTURE_WIDTH, ROOM

# Tokens. Beyond, there is no room for their texts: the axis counts them, and can be zoomed.
LABELLED = 40
HEIGHT = 170
# Tokens. Beyond, neighbours share a bar, so that there are about `_GROUPS` bars.
_SINGLE = 5000
_GROUPS = 2500
_MAX_LABEL = 24
_POINTS = 250
# The fields of rows that lines are drawn through.
_MEASURES = ("mid", "least", "most", "sum")
# Pixels of a bar, at most.
_WIDEST = 48
# Pixels of a letter of the labels, and between two labels.
_LETTER, _GAP = 7.3, 6
_FONT = "ui-monospace, 'DejaVu Sans Mono', monospace"
# Pixels of an edge, which keeps a bar visible that is narrower than a pixel.
_HAIR = 0.6


def token_tooltips(*others: Any) -> list[Any]:
    """Return the tooltips of a token: its text and position, and other fields."""
    return [alt.Tooltip("token:N", title="token"), alt.Tooltip("place:N", title="position"), *others]


def token_groups(table: Any) -> Iterator[tuple[slice, dict[str, Any]]]:
    """Yield the tokens one by one, or in groups where there are very many, with the fields of their row."""
    count = len(table)
    size = 1 if count <= _SINGLE else -(-count // _GROUPS)
    octets = table.token_bytes
    for start in range(0, count, size):
        stop = min(start + size, count)
        text = "".join(label(raw) for raw in octets[start : min(stop, start + 8)])
        place = str(start) if size == 1 else f"{start}–{stop - 1}"
        edges = {"at": start - 0.5, "mid": (start + stop - 1) / 2, "end": stop - 0.5}
        row = {"position": start, "last": stop - 1, **edges, "place": place, "token": short_label(text)}
        yield slice(start, stop), row


def mean(values: Any) -> float | None:
    """Return the mean of the finite values; None if there are none."""
    known = [float(value) for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else None


def short_label(text: str) -> str:
    """Return a label cut to the length that axes and tooltips have room for."""
    return text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…"


def text_labels(names: list[str]) -> dict[str, Any]:
    """Return the settings of an axis whose labels are texts: side by side where there is room, and else upright."""
    needed = (max(map(display_width, names), default=0) * _LETTER + _GAP) * len(names)
    # The width is known in the browser only. Upright labels take a line each, and are dropped where they overlap.
    is_upright = f"{ROOM} < {needed:.0f}"
    return {
        "labelExpr": label_expr(names),
        "labelAngle": _choice(is_upright, -90, 0),
        "labelAlign": _choice(is_upright, "right", "center"),
        "labelBaseline": _choice(is_upright, "middle", "top"),
        "labelFont": _FONT,
        "labelFontSize": 12,
        "labelLimit": 150,
        "labelOverlap": True,
        "ticks": False,
    }


class TokenAxis:
    """The horizontal axis of tokens, with bars, lines and bands over it.

    Parameters
    ----------
    rows
        Rows with the fields of :func:`token_groups`; those of one token may be several.
    count
        Number of tokens.
    source
        What the user gave the chart: a view is linked with it, and gives it its palette.
    """

    def __init__(self, rows: list[dict[str, Any]], count: int, source: Any) -> None:
        self.count = count
        self.rows, self.data = rows, inline_data(rows)
        self.link = link_of(source)
        self.colors = colors_for(palette_of(source))
        self.has_texts = count <= LABELLED
        names = list({row["position"]: row["token"] for row in rows}.values()) if self.has_texts else []
        self._overview: Any = inline_data(_averaged(rows)) if self.prefers_dots else alt.Undefined
        self._x = self._texts(names) if self.has_texts else self._positions("at")

    def bars(self, y: Any, base: str | float, color: alt.Color, tooltip: list[Any] | None = None) -> OfflineChart:
        """Return a bar for each row, as wide as its tokens, from a field or a value to `y`."""
        y2 = alt.Y2(base) if isinstance(base, str) else alt.Y2Datum(base)
        chart = OfflineChart()
        if self.has_texts:
            return chart.mark_bar(size=self._bar_width).encode(self._x, y, y2, color, **_tooltip(tooltip))
        is_scaled = isinstance(color, alt.Color)
        edge = (
            alt.Stroke(color["shorthand"], scale=color["scale"], legend=None) if is_scaled else alt.value(color.value)
        )
        return chart.mark_rect(clip=True, strokeWidth=_HAIR).encode(
            self._x, alt.X2("end"), y, y2, color, stroke=edge, **_tooltip(tooltip)
        )

    def dots(self, y: Any, color: alt.Color, tooltip: list[Any] | None = None) -> OfflineChart:
        """Return a dot for each row; where there are thousands, bars would hide each other."""
        # The same field as for bars, because a zoom is shared by field name.
        chart = OfflineChart(inline_data([{**row, "at": row["mid"]} for row in self.rows]))
        return chart.mark_circle(size=18, clip=True).encode(self._x, y, color, **_tooltip(tooltip))

    def line(self, y: Any) -> OfflineChart:
        """Return a line over the bars, with a point for each token where there is room."""
        mark = OfflineChart(self._overview).mark_line(
            color=self.colors.line,
            strokeWidth=2 if self.has_texts else 1.2,
            clip=not self.has_texts,
            point={"size": 36, "color": self.colors.line} if self.has_texts else False,
        )
        return mark.encode(self._middle, y)

    def steps(self, y: Any) -> OfflineChart:
        """Return a thin line from the end of one bar to the next."""
        mark = OfflineChart().mark_line(color=self.colors.line, strokeWidth=1, interpolate="step-after")
        return mark.encode(self._middle, y)

    def band(self, y: Any, y2: str) -> OfflineChart:
        """Return a band between two fields. Its edge is as dark as the line, so that it is seen on any ground."""
        mark = OfflineChart(self._overview).mark_area(
            color=self.colors.line,
            fillOpacity=0.25,
            stroke=self.colors.line,
            strokeWidth=0.6,
            clip=not self.has_texts,
        )
        return mark.encode(self._middle, y, alt.Y2(y2))

    def single(self, chart: Any, description: str) -> Any:
        """Return a chart of one kind of mark, linked with the view."""
        if chart.data is alt.Undefined:
            chart.data = self.data
        return self._finish(self._linked(chart), description)

    def layered(self, bars: Any, *others: Any, tooltip: list[Any], description: str) -> OfflineLayerChart:
        """Return bars, linked with the view, below other marks; every place above a token shows the same tooltip."""
        column = OfflineChart()
        whole = {"y": alt.value(0), "y2": alt.value("height"), "tooltip": tooltip}
        if self.has_texts:
            column = column.mark_bar(fillOpacity=0).encode(self._x, **whole)
        else:
            column = column.mark_rect(fillOpacity=0, clip=True).encode(self._x, alt.X2("end"), **whole)
        layers: list[Any] = [self._linked(bars), *others, column]
        return self._finish(OfflineLayerChart(data=self.data, layer=layers), description)

    @property
    def prefers_dots(self) -> bool:
        """True where bars would be narrower than two pixels and hide each other."""
        return self.count > PICTURE_WIDTH / 2

    @property
    def _bar_width(self) -> Any:
        # The width is that of the cell, and the bar of a single token would fill it.
        return alt.ExprRef(f"min({_WIDEST}, 0.85 * width / {max(self.count, 1)})")

    @property
    def _middle(self) -> Any:
        return self._x if self.has_texts else self._positions("mid")

    def _texts(self, names: list[str]) -> alt.X:
        return alt.X("position:O", title="Token", axis=alt.Axis(**text_labels(names)))

    def _positions(self, field: str) -> alt.X:
        scale = alt.Scale(domain=[-0.5, self.count - 0.5], nice=False, zero=False)
        axis = alt.Axis(grid=False, format="d", tickMinStep=1, labelFontSize=12)
        return alt.X(f"{field}:Q", title="Token", scale=scale, axis=axis)

    def _linked(self, chart: Any) -> Any:
        linked = link_to_view(chart, self.link, self.colors.line if self.has_texts else None)
        if self.has_texts:
            return linked
        # Zoomed along the tokens only: the vertical axis is the measure.
        return linked.add_params(zoom_selection()) if self.link else linked.interactive(bind_y=False)

    def _finish(self, chart: Any, description: str) -> Any:
        return chart.properties(width=CONTAINER, height=HEIGHT, description=description)


def _tooltip(fields: list[Any] | None) -> dict[str, Any]:
    return {} if fields is None else {"tooltip": fields}


def _averaged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the means of neighbours, about as many as a line can show: a line through thousands fills its chart."""
    size = -(-len(rows) // _POINTS)
    names = [name for name in _MEASURES if name in rows[0]]
    groups = (rows[start : start + size] for start in range(0, len(rows), size))
    return [{name: mean(row[name] for row in group if row[name] is not None) for name in names} for group in groups]


def _choice(condition: str, yes: str | int, no: str | int) -> Any:
    return alt.ExprRef(f"{condition} ? {yes!r} : {no!r}")
