"""Draw charts of a table of log-probabilities: probability, entropy and surprisal, the alternatives of one token."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import altair as alt

from ..errors import SettingError
from ..interop.readers import as_logprobs
from ..render.scale import SCALES, percent
from ..text.counts import pluralize
from ..text.glyphs import label
from .offline import OfflineChart, inline_data, label_expr
from .palette import colors_for, palette_of
from .token_axis import TokenAxis, mean, short_label, token_groups, token_tooltips
from .width import CONTAINER

# Alternatives of a token. More are part of the bar of all other tokens.
_LISTED = 60
_PERCENT = alt.Axis(format="~%")
# The scale of probabilities ends this much above the largest one.
_ROOM = 1.1


def token_chart(logprobs: Any) -> alt.LayerChart:
    """Return a chart of the probability of each token and of the entropy before it, over one axis of tokens.

    Bars are probabilities, on the left axis, in the colours of the view. The line is the entropy in bits, on the right
    axis. Only the listed alternatives are known, so the line is the least entropy that they allow. Where the size of
    the vocabulary is known, a band reaches up to the most. In long texts the line and the band are means of neighbours.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`. Or a :class:`LogprobView`, with
        which the chart is then linked: a selection in one is marked in the other, without a kernel. The chart then has
        the view's palette.

    Returns
    -------
    altair.LayerChart
        A chart that works offline.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.

    Examples
    --------
    >>> from deluge_nb import token_chart
    >>> chart = token_chart([{"token": "Paris", "logprob": -0.25}, {"token": "!", "logprob": -0.5}])
    >>> chart.to_dict()["description"]
    'Probability of each of 2 tokens, and entropy in bits before it'
    """
    table = as_logprobs(logprobs)
    probabilities, (lower, upper) = table.prob, table.entropy_bounds(base=2)
    rows: list[dict[str, Any]] = []
    for tokens, fields in token_groups(table):
        low, high = mean(lower[tokens]), mean(upper[tokens])
        rows.append({**fields, **_probability(mean(probabilities[tokens])), **_entropy(low, high)})
    axis = TokenAxis(rows, len(table), logprobs)
    most = max((row["most"] or row["least"] or 0.0 for row in rows), default=0.0)
    # The right axis reaches at least 1 bit, so that tiny entropies look tiny.
    bits = alt.Y(
        "least:Q",
        title="Entropy in bits (line)",
        scale=alt.Scale(domain=[0, max(most, 1.0)]),
        axis=alt.Axis(grid=False),
    )
    layers: list[Any] = [axis.line(bits)]
    if any(row["most"] is not None and row["most"] - row["least"] > 1e-9 for row in rows):
        layers.insert(0, axis.band(bits, "most"))
    entropy: Any = alt.layer(*layers) if len(layers) > 1 else layers[0]
    color = alt.Color("heat:Q", scale=axis.colors.scale, legend=None)
    y = _probability_axis("Probability (bars)")
    bars = axis.dots(y, color) if axis.prefers_dots else axis.bars(y, 0, color)
    count = pluralize(len(table), "token")
    chart = axis.layered(
        bars,
        entropy,
        tooltip=token_tooltips(alt.Tooltip("percent:N", title="probability"), alt.Tooltip("range:N", title="entropy")),
        description=f"Probability of each of {count}, and entropy in bits before it",
    )
    return chart.resolve_scale(y="independent")


def entropy_chart(logprobs: Any) -> alt.Chart:
    """Return a chart of the model's uncertainty before each token: the entropy in bits.

    Only the listed alternatives are known, which leaves an interval for the entropy. The coloured bar is its lower
    bound. The grey part reaches up to the upper bound, where the size of the vocabulary is known.

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
    for tokens, fields in token_groups(table):
        low, high = mean(lower[tokens]), mean(upper[tokens])
        shared = {**fields, **_entropy(low, high)}
        rows.append({**shared, "part": "at least", "from": 0, "bits": low})
        if low is not None and high is not None and high - low > 1e-9:
            rows.append({**shared, "part": "at most", "from": low, "bits": high})
    rows.sort(key=lambda row: row["part"] == "at least")  # the lower bound is drawn over the upper one
    both = any(row["part"] == "at most" for row in rows)
    axis = TokenAxis(rows, len(table), logprobs)
    color = alt.Color(
        "part:N",
        title=None,
        scale=alt.Scale(domain=["at least", "at most"], range=[axis.colors.unsure, axis.colors.sure]),
        legend=alt.Legend(orient="top") if both else None,
    )
    y = alt.Y("bits:Q", title="Entropy (bits)", scale=alt.Scale(zero=True))
    bars = axis.bars(y, "from", color, token_tooltips(alt.Tooltip("range:N", title="entropy")))
    return axis.single(bars, f"Entropy in bits before each of {pluralize(len(table), 'token')}")


def confidence_chart(logprobs: Any) -> alt.Chart:
    """Return a chart of the probability of each chosen token, from 0 to 1, in the colours of the view.

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
    rows = [{**fields, **_probability(mean(probabilities[tokens]))} for tokens, fields in token_groups(table)]
    axis = TokenAxis(rows, len(table), logprobs)
    y = _probability_axis("Probability")
    color = alt.Color("heat:Q", scale=axis.colors.scale, legend=None)
    tooltip = token_tooltips(alt.Tooltip("percent:N", title="probability"))
    marks = axis.dots(y, color, tooltip) if axis.prefers_dots else axis.bars(y, 0, color, tooltip)
    return axis.single(marks, f"Probability of each of {pluralize(len(table), 'token')}")


def surprisal_chart(logprobs: Any) -> alt.LayerChart:
    """Return a chart of surprise along a text: the bits of each token and their running sum.

    A token of probability p has log2(1/p) bits. In a short text the bars stand on each other like a staircase, and the
    last one ends at the sum of all. In a text of more than 40 tokens all bars start at 0, and a line with an axis of
    its own is the running sum. Tokens without a log-probability add nothing.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`. Or a :class:`LogprobView`, with
        which the chart is then linked.

    Returns
    -------
    altair.LayerChart
        A chart that works offline.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.

    Examples
    --------
    >>> import math
    >>> from deluge_nb import surprisal_chart
    >>> rows = [{"token": "A", "logprob": math.log(1 / 2)}, {"token": "b", "logprob": math.log(1 / 8)}]
    >>> chart = surprisal_chart(rows)
    >>> [(row["token"], round(row["bits"]), round(row["sum"])) for row in chart.data["values"]]
    [('A', 1, 1), ('b', 3, 4)]
    """
    table = as_logprobs(logprobs)
    surprisal, curve = table.surprisal(base=2), SCALES["surprisal"]
    rows: list[dict[str, Any]] = []
    total = 0.0
    for tokens, fields in token_groups(table):
        known = [value for value in surprisal[tokens].tolist() if math.isfinite(value)]
        start, bits = total, math.fsum(known)
        total += bits
        rows.append(
            {
                **fields,
                "bits": bits if known else None,
                "from": start,
                "sum": total,
                "heat": float(curve.heat(bits / len(known))) if known else None,
                "surprisal": f"{bits:.2f} bits" if known else "unknown",
                "so_far": f"{total:.2f} bits",
            }
        )
    axis = TokenAxis(rows, len(table), logprobs)
    color = alt.Color("heat:Q", scale=axis.colors.scale, legend=None)
    if axis.has_texts:
        # The axis reaches at least 1 bit, so that small surprises look small.
        scale = alt.Scale(domain=[0, max(total, 1.0)], nice=True)
        y: Any = alt.Y("sum:Q", title="Surprisal (bits), summed", scale=scale)
        bars = axis.bars(y, "from", color)
        running = axis.steps(y)
    else:
        bars = axis.bars(alt.Y("bits:Q", title="Surprisal in bits (bars)", scale=alt.Scale(zero=True)), 0, color)
        running = axis.line(
            alt.Y("sum:Q", title="Running sum (line)", scale=alt.Scale(zero=True), axis=alt.Axis(grid=False))
        )
    chart = axis.layered(
        bars,
        running,
        tooltip=token_tooltips(
            alt.Tooltip("surprisal:N", title="surprisal"), alt.Tooltip("so_far:N", title="sum so far")
        ),
        description=f"Surprisal of each of {pluralize(len(table), 'token')}, {total:.1f} bits in all",
    )
    return chart if axis.has_texts else chart.resolve_scale(y="independent")


def alternatives_chart(logprobs: Any, position: int = 0) -> alt.Chart:
    """Return a chart of the alternatives of one token, the likeliest first, and of the probability of all others.

    The axis ends just above the largest listed probability, so that small ones can be compared. The bar of all others
    is cut off there and fades out; its number is beside its name.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`. Or a :class:`LogprobView`, whose
        palette the chart then has.
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
        {
            "token": short_label(text),
            "probability": p,
            "percent": percent(p),
            "kind": "chosen" if chosen else "alternative",
        }
        for text, p, chosen in _candidates(row)
    ]
    rows.sort(key=lambda row: -row["probability"])
    hidden = float(1 - row.top_mass()[0])
    hidden += math.fsum(row["probability"] for row in rows[_LISTED:] if row["kind"] != "chosen")
    rows = [row for i, row in enumerate(rows) if i < _LISTED or row["kind"] == "chosen"]
    if hidden > 5e-5:
        rows.append({"token": "other tokens", "probability": hidden, "kind": "not listed"})
    listed = [row["probability"] for row in rows if row["kind"] != "not listed"]
    end = min(_ROOM * max(listed, default=1.0), 1.0) or 1.0
    bars = [
        {**row, "place": place, "percent": percent(row["probability"]), "end": min(row["probability"], end)}
        for place, row in enumerate(rows)
    ]
    names = [f"{bar['token']}  {bar['percent']}" for bar in bars]
    colors = colors_for(palette_of(logprobs))
    kinds = alt.Scale(domain=["chosen", "alternative", "not listed"], range=[colors.unsure, colors.line, colors.sure])
    color = alt.Color("kind:N", title=None, scale=kinds, legend=alt.Legend(orient="top"))
    chart = OfflineChart(inline_data(bars), description=f"Alternatives at token {position}")
    return (
        chart.mark_bar()
        .encode(
            y=alt.Y(
                "place:O",
                title=None,
                axis=alt.Axis(labelExpr=label_expr(names), labelLimit=240, labelFontSize=12, ticks=False),
            ),
            x=alt.X("end:Q", title="Probability", scale=alt.Scale(domain=[0, end], nice=False), axis=_PERCENT),
            color=alt.condition("datum.end < datum.probability", alt.value(_fading(colors.sure)), color),
            tooltip=[alt.Tooltip("token:N"), alt.Tooltip("percent:N", title="probability"), alt.Tooltip("kind:N")],
        )
        .properties(width=CONTAINER, height=alt.Step(18))
    )


def _candidates(row: Any) -> Iterator[tuple[str, float, bool]]:
    """Yield the label and probability of each known token at a position, and True for the chosen one."""
    from ..logprobs.extract import candidates

    entry = row[0]
    chosen = row.token_bytes[0]
    for text, logprob, raw in candidates(entry):
        octets = bytes(raw) if raw is not None else text.encode()
        yield label(octets), math.exp(logprob), octets == chosen


def _fading(color: str) -> dict[str, Any]:
    """Return a fill that fades out to the right, for a bar that goes on."""
    stops = [{"offset": 0, "color": color}, {"offset": 0.8, "color": color}, {"offset": 1, "color": "transparent"}]
    return {"gradient": "linear", "x1": 0, "y1": 0, "x2": 1, "y2": 0, "stops": stops}


def _probability_axis(title: str) -> alt.Y:
    return alt.Y("probability:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=_PERCENT)


def _probability(value: float | None) -> dict[str, Any]:
    """Return the fields of a probability; the heat is that of the view."""
    heat = None if value is None else float(SCALES["probability"].heat(value))
    return {"probability": value, "percent": percent(math.nan if value is None else value), "heat": heat}


def _entropy(low: float | None, high: float | None) -> dict[str, Any]:
    return {"least": low, "most": high, "range": _range(low, high)}


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "unknown"
    if high is None:
        return f"at least {low:.2f} bits"
    return f"{low:.2f} bits" if high - low < 0.005 else f"{low:.2f} to {high:.2f} bits"
