"""Charts of outcomes: an event and its complement, a sample beside the truth, and the bounds of labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ...render.scale import percent
from ...stats.scoring.intervals import wilson_interval
from ..offline import OfflineLayerChart
from ..palette import colors_for
from .bars import (
    REST,
    as_floats,
    base_chart,
    in_words,
    mark_legend,
    outcome_rows,
    place_axis,
    read_names,
    read_shares,
    share_axis,
    share_field,
    sized,
)

_COLORS = colors_for()
# Less than this is not worth a bar.
_LEAST_REST = 5e-5


def events_chart(names: Sequence[str], probabilities: ArrayLike, event: Collection[str] = ()) -> alt.Chart:
    """Return a chart of outcomes with those of an event in another colour, and of everything that is not listed.

    Parameters
    ----------
    names
        The listed outcomes, such as the likeliest next tokens.
    probabilities
        Their probabilities, shape (n,). What they lack of 1 is the bar "everything else".
    event
        The names of the outcomes that form the event; ``"everything else"`` may be one of them.

    Returns
    -------
    altair.Chart
        A chart that works offline; its title is the probability of the event.

    Raises
    ------
    SettingError
        If the lists differ in length, the numbers are no probabilities, or the event has another name.

    Examples
    --------
    >>> from deluge_nb import events_chart
    >>> chart = events_chart(["heads", "tails"], [0.6, 0.2], event=["heads", "everything else"])
    >>> chart.title
    'P(event) = 80 %'
    """
    labels = read_names(names)
    shares = read_shares(probabilities, len(labels), "probabilities")
    chosen = [event] if isinstance(event, str) else list(event)
    known = {*names, REST}
    if unknown := [name for name in chosen if name not in known]:
        # The space before a word is easily forgotten.
        written = str(unknown[0]).strip().casefold()
        near = next((f", such as {name!r}," for name in known if str(name).strip().casefold() == written), "")
        raise invalid_argument("event", unknown[0], f"made of the outcomes in `names`{near} and {REST!r}")
    rows = outcome_rows(labels, shares)
    members = [name in chosen for name in names]
    if (rest := 1.0 - float(shares.sum())) > _LEAST_REST:
        rows += outcome_rows([REST], np.array([rest]))
        rows[-1]["place"] = len(labels)
        members.append(REST in chosen)
    for row, member in zip(rows, members, strict=True):
        row["part"] = "in the event" if member else "not in it"
    total = sum(row["probability"] for row, member in zip(rows, members, strict=True) if member)
    title = f"P(event) = {percent(total)}"
    color = alt.Color(
        "part:N",
        title=None,
        scale=alt.Scale(domain=["in the event", "not in it"], range=[_COLORS.line, _COLORS.sure]),
        legend=alt.Legend(orient="top") if chosen else None,
    )
    chart = base_chart(rows, f"{title}; {in_words(rows)}" if chosen else in_words(rows))
    chart = chart.mark_bar().encode(
        y=place_axis([f"{row['outcome']}: {row['percent']}" for row in rows]),
        x=share_axis(max(row["probability"] for row in rows)),
        color=color,
        tooltip=[alt.Tooltip("outcome:N"), alt.Tooltip("percent:N", title="probability"), alt.Tooltip("part:N")],
    )
    return sized(chart).properties(title=title) if chosen else sized(chart)


def sampling_chart(
    names: Sequence[str], probabilities: ArrayLike, counts: ArrayLike, *, total: int | None = None, level: float = 0.95
) -> alt.LayerChart:
    """Return a chart of the frequencies in a sample with Wilson's intervals, beside the true probabilities.

    Parameters
    ----------
    names
        The outcomes to show.
    probabilities
        Their true probabilities, shape (n,).
    counts
        The number of draws of each, shape (n,).
    total
        The number of all draws, also of outcomes that are not shown; by default the sum of `counts`.
    level
        The confidence level of the intervals.

    Returns
    -------
    altair.LayerChart
        A chart that works offline: bars are frequencies, lines are intervals, ticks are the truth.

    Raises
    ------
    SettingError
        If the lists differ in length, or are no probabilities and counts.

    Examples
    --------
    >>> from deluge_nb import sampling_chart
    >>> sampling_chart(["sons", "daughters"], [0.4, 0.22], [4, 4], total=10).description
    '10 draws: sons 40 % (truth 40 %), daughters 40 % (truth 22 %)'
    """
    labels = read_names(names)
    truth = read_shares(probabilities, len(labels), "probabilities")
    drawn = as_floats(counts, "counts")
    if drawn.shape != (len(labels),) or not np.all((drawn >= 0) & (drawn == np.floor(drawn))):
        raise invalid_argument("counts", counts, f"a list of {len(labels)} numbers of draws, one for each name")
    number = int(drawn.sum()) if total is None else total
    if not isinstance(number, int) or isinstance(number, bool) or number < max(int(drawn.sum()), 1):
        raise invalid_argument("total", total, "the number of all draws, at least one and the sum of `counts`")
    rows = outcome_rows(labels, drawn / number)
    for row, share, count in zip(rows, truth.tolist(), drawn.tolist(), strict=True):
        low, high = wilson_interval(int(count), number, level)
        row |= {"truth": share, "true": percent(share), "count": int(count), "low": low, "high": high}
    words = ", ".join(f"{row['outcome']} {row['percent']} (truth {row['true']})" for row in rows[:6])
    end = max(max(row["high"], row["truth"]) for row in rows)
    y = place_axis([f"{row['outcome']}: {row['count']:,}" for row in rows])
    tooltip = [
        alt.Tooltip("outcome:N"),
        alt.Tooltip("count:Q", title="draws"),
        alt.Tooltip("percent:N", title="frequency"),
        alt.Tooltip("low:Q", format=".1%", title="at least"),
        alt.Tooltip("high:Q", format=".1%", title="at most"),
        alt.Tooltip("true:N", title="truth"),
    ]
    bounds = f"{percent(level)} interval"
    scale = alt.Scale(domain=["drawn", bounds, "truth"], range=[_COLORS.sure, _COLORS.line, _COLORS.unsure])
    color = alt.Color("mark:N", scale=scale, legend=mark_legend())

    def layer(name: str) -> Any:
        return base_chart([{**row, "mark": name} for row in rows])

    bars = layer("drawn").mark_bar(height=12).encode(y=y, x=share_axis(end), color=color, tooltip=tooltip)
    spans = layer(bounds).mark_rule(strokeWidth=2)
    spans = spans.encode(y=y, x=share_field("low"), x2="high:Q", color=color, tooltip=tooltip)
    ticks = layer("truth").mark_tick(thickness=3, size=18, opacity=1)
    ticks = ticks.encode(y=y, x=share_field("truth"), color=color, tooltip=tooltip)
    chart = (bars + spans + ticks).properties(title=f"{number:,} {'draw' if number == 1 else 'draws'}")
    return sized(chart).properties(description=f"{chart.title}: {words}")


def label_bounds_chart(
    names: Sequence[str], low: ArrayLike, high: ArrayLike, *, share: ArrayLike | None = None
) -> alt.LayerChart:
    """Return a chart of the bounds between which the probability of each label lies.

    Where the least of one label is above the most of all others, it wins whatever the list hides; its bar is coloured.

    Parameters
    ----------
    names
        The labels.
    low, high
        The least and the most probability of each, shape (n,).
    share
        Shares of the labels to mark in the bars, shape (n,); None for none.

    Returns
    -------
    altair.LayerChart
        A chart that works offline.

    Raises
    ------
    SettingError
        If the lists differ in length, or a lower bound is above its upper one.

    Examples
    --------
    >>> from deluge_nb import label_bounds_chart
    >>> chart = label_bounds_chart(["yes", "no"], [0.05, 0.44], [0.14, 0.54])
    >>> chart.description
    'no wins whatever the list hides; yes 5 % to 14 %, no 44 % to 54 %'
    """
    labels = read_names(names)
    least = read_shares(low, len(labels), "low")
    most = read_shares(high, len(labels), "high", may_exceed=True)
    if np.any(least > most):
        raise invalid_argument("low", least, "at most `high`")
    rows = outcome_rows(labels, most)
    others = [float(np.delete(most, index).max(initial=0.0)) for index in range(len(labels))]
    winner = next((index for index, bound in enumerate(others) if least[index] > bound), None)
    for index, (row, bottom, top) in enumerate(zip(rows, least.tolist(), most.tolist(), strict=True)):
        row |= {"low": bottom, "high": top, "least": percent(bottom), "most": percent(top)}
        row["part"] = "open" if winner is None else "certain to win" if index == winner else "cannot win"
    verdict = "undecided" if winner is None else f"{labels[winner]} wins whatever the list hides"
    words = ", ".join(f"{row['outcome']} {row['least']} to {row['most']}" for row in rows)
    y = place_axis([f"{row['outcome']}: {row['least']} – {row['most']}" for row in rows])
    scale = alt.Scale(domain=[0, 1])
    kinds, shades = ["certain to win", "cannot win"], [_COLORS.line, _COLORS.sure]
    if winner is None:
        kinds, shades = ["open"], shades[1:]
    if share is not None:
        kinds, shades = [*kinds, "share"], [*shades, _COLORS.unsure]
    parts = alt.Scale(domain=kinds, range=shades)
    color = alt.Color("part:N", title=None, scale=parts, legend=mark_legend())
    tooltip = [alt.Tooltip("outcome:N"), alt.Tooltip("least:N"), alt.Tooltip("most:N")]
    x = alt.X("low:Q", title="Probability", scale=scale, axis=alt.Axis(format="~%"))
    # A stroke keeps an interval without width visible.
    edge = alt.Stroke("part:N", scale=parts, legend=None)
    bars = base_chart(rows).mark_bar(height=12, strokeWidth=2)
    bars = bars.encode(y=y, x=x, x2="high:Q", color=color, stroke=edge, tooltip=tooltip)
    layers: list[Any] = [bars]
    if share is not None:
        for row, value in zip(rows, read_shares(share, len(labels), "share").tolist(), strict=True):
            row |= {"share": value, "as_share": percent(value)}
        ticks = base_chart([{**row, "part": "share"} for row in rows]).mark_tick(thickness=3, size=18, opacity=1)
        marked = [*tooltip, alt.Tooltip("as_share:N", title="share")]
        layers.append(ticks.encode(y=y, x=share_field("share"), color=color, tooltip=marked))
    return sized(OfflineLayerChart(layer=layers)).properties(description=f"{verdict}; {words}")
