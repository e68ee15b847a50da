"""Charts of a table of log-probabilities: entropy, confidence, the alternatives of one token."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import altair as alt

from ..errors import SettingError
from ..interop.readers import as_logprobs
from ..render.scale import percent
from ..text.glyphs import label
from .chart_link import link_of, link_to_view, zoom_selection
from .offline import CALM, HEAT, INK, PALE, OfflineChart, inline_data

# With more tokens than this there is no room for their texts: the axis counts them, and can be zoomed.
_LABELLED = 60
# With more than this, neighbours are taken together.
_SINGLE = 5000
_GROUPS = 2500
_STEP, _WIDTH, _HEIGHT = 24, 640, 170
_LONGEST = 24
# An edge keeps a bar visible that is narrower than a pixel.
_HAIR = 0.6
_SHADES = alt.Scale(domain=[0, 1], range=[HEAT, CALM], interpolate="rgb")


def entropy_chart(logprobs: Any) -> alt.Chart:
    """How uncertain the model was before each token: the entropy, in bits.

    Only the listed alternatives are known, and they leave an interval for the entropy: the full bar is the least it can
    be, the pale part reaches up to the most, where the size of the vocabulary is known.

    Parameters
    ----------
    logprobs
        A table, or a response that has one: see :func:`deluge_nb.as_logprobs`; or a :class:`LogprobView`, with which
        the chart is linked then: what is chosen in one is marked in the other, with no kernel in between.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    """
    table = as_logprobs(logprobs)
    least, most = table.entropy_bounds(base=2)
    rows: list[dict[str, Any]] = []
    for place, told in _groups(table):
        low = _mean(least[place])
        high = _mean(most[place])
        shared = {**told, "least": low, "most": high, "range": _range(low, high)}
        rows.append({**shared, "part": "at least", "from": 0, "bits": low})
        if low is not None and high is not None and high - low > 1e-9:
            rows.append({**shared, "part": "at most", "from": low, "bits": high})
    rows.sort(key=lambda row: row["part"] == "at least")  # what is certain lies over what may be
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
        description=f"Entropy in bits before each of {len(table)} tokens",
        link=link_of(logprobs),
    )


def confidence_chart(logprobs: Any) -> alt.Chart:
    """The probability of each chosen token, from 0 to 1.

    Parameters
    ----------
    logprobs
        A table, or a response that has one: see :func:`deluge_nb.as_logprobs`; or a :class:`LogprobView`, with which
        the chart is linked then.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    """
    table = as_logprobs(logprobs)
    probabilities = table.prob
    rows = []
    for place, told in _groups(table):
        value = _mean(probabilities[place])
        rows.append({**told, "probability": value, "told": percent(math.nan if value is None else value)})
    return _over_tokens(
        rows,
        len(table),
        base=0,
        dots=True,
        y=alt.Y("probability:Q", title="Probability", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("probability:Q", scale=_SHADES, legend=None),
        tooltip=[alt.Tooltip("told:N", title="probability")],
        description=f"Probability of each of {len(table)} tokens",
        link=link_of(logprobs),
    )


def alternatives_chart(logprobs: Any, position: int = 0) -> alt.Chart:
    """What the model weighed at one token, the likeliest first, and what is left for all others.

    Parameters
    ----------
    logprobs
        A table, or a response that has one: see :func:`deluge_nb.as_logprobs`.
    position
        Which token; 0 is the first.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    SettingError
        When the completion has no such token.
    """
    table = as_logprobs(logprobs)
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < len(table):
        raise SettingError(
            f"position must be from 0 to {len(table) - 1}, for there are {len(table)} tokens, not {position!r}.",
            setting="position",
            value=position,
        )
    one = table[position : position + 1]
    rows: list[dict[str, Any]] = [
        {"token": _short(text), "probability": p, "told": percent(p), "kind": "chosen" if chosen else "alternative"}
        for text, p, chosen in _weighed(one)
    ]
    rows.sort(key=lambda row: -row["probability"])
    hidden = float(1 - one.top_mass()[0])
    hidden += math.fsum(row["probability"] for row in rows[_LABELLED:] if row["kind"] != "chosen")
    rows = [row for i, row in enumerate(rows) if i < _LABELLED or row["kind"] == "chosen"]
    if hidden > 5e-5:
        rows.append({"token": "other tokens", "probability": hidden, "told": percent(hidden), "kind": "not listed"})
    names = [f"{row['token']}  {row['told']}" for row in rows]
    placed = [{**row, "place": place} for place, row in enumerate(rows)]
    kinds = alt.Scale(domain=["chosen", "alternative", "not listed"], range=[HEAT, CALM, "#c5ccd3"])
    chart = OfflineChart(inline_data(placed), description=f"What was weighed at token {position}")
    return (
        chart.mark_bar()
        .encode(
            y=alt.Y("place:O", title=None, axis=alt.Axis(labelExpr=_naming(names), labelLimit=200, ticks=False)),
            x=alt.X("probability:Q", title="Probability", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("kind:N", title=None, scale=kinds, legend=alt.Legend(orient="top")),
            tooltip=[alt.Tooltip("token:N"), alt.Tooltip("told:N", title="probability"), alt.Tooltip("kind:N")],
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
    """Bars from `base` (a field or a value) in the order of the tokens; or dots, where bars would hide one another."""
    chart = OfflineChart(inline_data(rows), description=description)
    told = [alt.Tooltip("token:N", title="token"), alt.Tooltip("place:N", title="position"), *tooltip]
    foot = alt.Y2(base) if isinstance(base, str) else alt.Y2Datum(base)
    if count <= _LABELLED:
        names = list({row["position"]: row["token"] for row in rows}.values())
        axis = alt.Axis(labelExpr=_naming(names), labelAngle=-45, labelLimit=110, labelOverlap=False, ticks=False)
        chart = chart.mark_bar().encode(alt.X("position:O", title="Token", axis=axis), y, foot, color, tooltip=told)
        return link_to_view(chart.properties(width=min(count * _STEP, _WIDTH), height=_HEIGHT), link, INK)
    scale = alt.Scale(domain=[-0.5, count - 0.5], nice=False, zero=False)
    axis = alt.Axis(grid=False, format="d", tickMinStep=1)
    # Of one name for both marks, for a zoom is shared by name.
    x = alt.X("at:Q", title="Token", scale=scale, axis=axis)
    if dots and count > _WIDTH / 2:
        chart.data = inline_data([{**row, "at": (row["at"] + row["end"]) / 2} for row in rows])
        chart = chart.mark_circle(size=18, opacity=0.9, clip=True).encode(x, y, color, tooltip=told)
    else:  # as wide as their tokens, at any zoom
        edge = alt.Stroke(color["shorthand"], scale=color["scale"], legend=None)
        bars = chart.mark_rect(clip=True, strokeWidth=_HAIR)
        chart = bars.encode(x, alt.X2("end"), y, foot, color, edge, tooltip=told)
    chart = chart.properties(width=_WIDTH, height=_HEIGHT)
    # Zoomed along the tokens only: what is up and down is the measure.
    return link_to_view(chart.add_params(zoom_selection()), link) if link else chart.interactive(bind_y=False)


def _groups(table: Any) -> Iterator[tuple[slice, dict[str, Any]]]:
    """The tokens one by one, or in groups where there are very many."""
    count = len(table)
    size = 1 if count <= _SINGLE else -(-count // _GROUPS)
    octets = table.token_bytes
    for start in range(0, count, size):
        stop = min(start + size, count)
        text = "".join(label(raw) for raw in octets[start : min(stop, start + 8)])
        place = str(start) if size == 1 else f"{start}–{stop - 1}"
        edges = {"at": start - 0.5, "end": stop - 0.5}
        yield slice(start, stop), {"position": start, "last": stop - 1, **edges, "place": place, "token": _short(text)}


def _weighed(one: Any) -> Iterator[tuple[str, float, bool]]:
    """Text, probability and whether it was chosen, for all that is known at a position."""
    from ..logprobs.extract import candidates

    entry = one[0]
    own = one.token_bytes[0]
    for text, logprob, raw in candidates(entry):
        octets = bytes(raw) if raw is not None else text.encode()
        yield label(octets), math.exp(logprob), octets == own


def _naming(names: list[str]) -> str:
    """A Vega expression from a place to a name; JSON's texts are literals there."""
    return f"{json.dumps(names)}[datum.value]"


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
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
