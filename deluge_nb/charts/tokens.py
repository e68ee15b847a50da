"""Draw charts of a table of log-probabilities: entropy, confidence, the alternatives of one token."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import altair as alt

from ..errors import SettingError
from ..interop.readers import as_logprobs
from ..render.scale import percent
from ..text.counts import pluralize
from ..text.glyphs import label
from .chart_link import link_of, link_to_view, zoom_selection
from .offline import CALM, HEAT, INK, PALE, OfflineChart, inline_data, label_expr

# Tokens. Beyond, there is no room for their texts: the axis counts them, and can be zoomed.
_LABELLED = 60
# Tokens. Beyond, neighbours share a bar, so that there are about `_GROUPS` bars.
_SINGLE = 5000
_GROUPS = 2500
_STEP, _WIDTH, _HEIGHT = 24, 640, 170
_MAX_LABEL = 24
# Pixels of an edge, which keeps a bar visible that is narrower than a pixel.
_HAIR = 0.6
_SHADES = alt.Scale(domain=[0, 1], range=[HEAT, CALM], interpolate="rgb")


def entropy_chart(logprobs: Any) -> alt.Chart:
    """Return a chart of the model's uncertainty before each token: the entropy in bits.

    Only the listed alternatives are known, which leaves an interval for the entropy. The full bar is its lower bound.
    The pale part reaches up to the upper bound, where the size of the vocabulary is known.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`. Or a :class:`LogprobView`, with
        which the chart is then linked: a selection in one is marked in the other, without a kernel.

    Returns
    -------
    altair.Chart
        A chart that works offline.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.

    Examples
    --------
    >>> from deluge_nb import entropy_chart
    >>> chart = entropy_chart([{"token": "Paris", "logprob": -0.25}, {"token": "!", "logprob": -0.5}])
    >>> chart.to_dict()["description"]
    'Entropy in bits before each of 2 tokens'
    """
    table = as_logprobs(logprobs)
    lower, upper = table.entropy_bounds(base=2)
    rows: list[dict[str, Any]] = []
    for tokens, fields in _groups(table):
        low = _mean(lower[tokens])
        high = _mean(upper[tokens])
        shared = {**fields, "least": low, "most": high, "range": _range(low, high)}
        rows.append({**shared, "part": "at least", "from": 0, "bits": low})
        if low is not None and high is not None and high - low > 1e-9:
            rows.append({**shared, "part": "at most", "from": low, "bits": high})
    rows.sort(key=lambda row: row["part"] == "at least")  # the lower bound is drawn over the upper one
    both = any(row["part"] == "at most" for row in rows)
    color = alt.Color(
        "part:N",
        title=None,
        scale=alt.Scale(domain=["at least", "at most"], range=[HEAT, PALE]),
        legend=alt.Legend(orient="top") if both else None,
    )
    return _over_tokens(
        rows,
        len(table),
        base="from",
        y=alt.Y("bits:Q", title="Entropy (bits)", scale=alt.Scale(zero=True)),
        color=color,
        tooltip=[alt.Tooltip("range:N", title="entropy")],
        description=f"Entropy in bits before each of {pluralize(len(table), 'token')}",
        link=link_of(logprobs),
    )


def confidence_chart(logprobs: Any) -> alt.Chart:
    """Return a chart of the probability of each chosen token, from 0 to 1.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`. Or a :class:`LogprobView`, with
        which the chart is then linked.

    Returns
    -------
    altair.Chart
        A chart that works offline.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.

    Examples
    --------
    >>> from deluge_nb import confidence_chart
    >>> chart = confidence_chart([{"token": "Paris", "logprob": -0.25}, {"token": "!", "logprob": -0.5}])
    >>> [round(row["probability"], 2) for row in chart.data["values"]]
    [0.78, 0.61]
    """
    table = as_logprobs(logprobs)
    probabilities = table.prob
    rows = []
    for tokens, fields in _groups(table):
        value = _mean(probabilities[tokens])
        rows.append({**fields, "probability": value, "percent": percent(math.nan if value is None else value)})
    return _over_tokens(
        rows,
        len(table),
        base=0,
        dots=True,
        y=alt.Y("probability:Q", title="Probability", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("probability:Q", scale=_SHADES, legend=None),
        tooltip=[alt.Tooltip("percent:N", title="probability")],
        description=f"Probability of each of {pluralize(len(table), 'token')}",
        link=link_of(logprobs),
    )


def alternatives_chart(logprobs: Any, position: int = 0) -> alt.Chart:
    """Return a chart of the alternatives of one token, the likeliest first, and of the probability of all others.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`.
    position
        Position of the token; 0 is the first.

    Returns
    -------
    altair.Chart
        A chart that works offline.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.
    SettingError
        When the completion has no such token.

    Examples
    --------
    >>> from deluge_nb import alternatives_chart
    >>> top = [{"token": "Paris", "logprob": -0.25}, {"token": "Lyon", "logprob": -2.0}]
    >>> chart = alternatives_chart([{"token": "Paris", "logprob": -0.25, "top_logprobs": top}])
    >>> [(row["token"], round(row["probability"], 3)) for row in chart.data["values"]]
    [('Paris', 0.779), ('Lyon', 0.135), ('other tokens', 0.086)]
    """
    table = as_logprobs(logprobs)
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < len(table):
        raise SettingError(
            f"position must be from 0 to {len(table) - 1}, for the completion has "
            f"{pluralize(len(table), 'token')}, not {position!r}.",
            setting="position",
            value=position,
        )
    row = table[position : position + 1]
    rows: list[dict[str, Any]] = [
        {"token": _short(text), "probability": p, "percent": percent(p), "kind": "chosen" if chosen else "alternative"}
        for text, p, chosen in _candidates(row)
    ]
    rows.sort(key=lambda row: -row["probability"])
    hidden = float(1 - row.top_mass()[0])
    hidden += math.fsum(row["probability"] for row in rows[_LABELLED:] if row["kind"] != "chosen")
    rows = [row for i, row in enumerate(rows) if i < _LABELLED or row["kind"] == "chosen"]
    if hidden > 5e-5:
        rows.append({"token": "other tokens", "probability": hidden, "percent": percent(hidden), "kind": "not listed"})
    names = [f"{row['token']}  {row['percent']}" for row in rows]
    bars = [{**bar, "place": index} for index, bar in enumerate(rows)]
    kinds = alt.Scale(domain=["chosen", "alternative", "not listed"], range=[HEAT, CALM, "#c5ccd3"])
    chart = OfflineChart(inline_data(bars), description=f"Alternatives at token {position}")
    return (
        chart.mark_bar()
        .encode(
            y=alt.Y("place:O", title=None, axis=alt.Axis(labelExpr=label_expr(names), labelLimit=200, ticks=False)),
            x=alt.X("probability:Q", title="Probability", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("kind:N", title=None, scale=kinds, legend=alt.Legend(orient="top")),
            tooltip=[alt.Tooltip("token:N"), alt.Tooltip("percent:N", title="probability"), alt.Tooltip("kind:N")],
        )
        .properties(width=420, height=alt.Step(18))
    )


def _over_tokens(
    rows: list[dict[str, Any]],
    count: int,
    *,
    base: str | float,
    y: Any,
    color: Any,
    tooltip: list[Any],
    description: str,
    link: str,
    dots: bool = False,
) -> OfflineChart:
    """Return bars from `base` (a field or a value) in the order of the tokens; or dots, where bars would overlap."""
    chart = OfflineChart(inline_data(rows), description=description)
    tooltip = [alt.Tooltip("token:N", title="token"), alt.Tooltip("place:N", title="position"), *tooltip]
    y2 = alt.Y2(base) if isinstance(base, str) else alt.Y2Datum(base)
    if count <= _LABELLED:
        names = list({row["position"]: row["token"] for row in rows}.values())
        axis = alt.Axis(labelExpr=label_expr(names), labelAngle=-45, labelLimit=110, labelOverlap=False, ticks=False)
        chart = chart.mark_bar().encode(alt.X("position:O", title="Token", axis=axis), y, y2, color, tooltip=tooltip)
        return link_to_view(chart.properties(width=min(count * _STEP, _WIDTH), height=_HEIGHT), link, INK)
    scale = alt.Scale(domain=[-0.5, count - 0.5], nice=False, zero=False)
    axis = alt.Axis(grid=False, format="d", tickMinStep=1)
    # The same field for both marks, because a zoom is shared by field name.
    x = alt.X("at:Q", title="Token", scale=scale, axis=axis)
    if dots and count > _WIDTH / 2:
        chart.data = inline_data([{**row, "at": (row["at"] + row["end"]) / 2} for row in rows])
        chart = chart.mark_circle(size=18, opacity=0.9, clip=True).encode(x, y, color, tooltip=tooltip)
    else:  # as wide as their tokens, at any zoom
        edge = alt.Stroke(color["shorthand"], scale=color["scale"], legend=None)
        bars = chart.mark_rect(clip=True, strokeWidth=_HAIR)
        chart = bars.encode(x, alt.X2("end"), y, y2, color, edge, tooltip=tooltip)
    chart = chart.properties(width=_WIDTH, height=_HEIGHT)
    # Zoomed along the tokens only: the vertical axis is the measure.
    return link_to_view(chart.add_params(zoom_selection()), link) if link else chart.interactive(bind_y=False)


def _groups(table: Any) -> Iterator[tuple[slice, dict[str, Any]]]:
    """Yield the tokens one by one, or in groups where there are very many, with the fields of their row."""
    count = len(table)
    size = 1 if count <= _SINGLE else -(-count // _GROUPS)
    octets = table.token_bytes
    for start in range(0, count, size):
        stop = min(start + size, count)
        text = "".join(label(raw) for raw in octets[start : min(stop, start + 8)])
        place = str(start) if size == 1 else f"{start}–{stop - 1}"
        edges = {"at": start - 0.5, "end": stop - 0.5}
        yield slice(start, stop), {"position": start, "last": stop - 1, **edges, "place": place, "token": _short(text)}


def _candidates(row: Any) -> Iterator[tuple[str, float, bool]]:
    """Yield the label and probability of each known token at a position, and True for the chosen one."""
    from ..logprobs.extract import candidates

    entry = row[0]
    chosen = row.token_bytes[0]
    for text, logprob, raw in candidates(entry):
        octets = bytes(raw) if raw is not None else text.encode()
        yield label(octets), math.exp(logprob), octets == chosen


def _mean(values: Any) -> float | None:
    known = [float(value) for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else None


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "unknown"
    if high is None:
        return f"at least {low:.2f} bits"
    return f"{low:.2f} bits" if high - low < 0.005 else f"{low:.2f} to {high:.2f} bits"


def _short(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…"
