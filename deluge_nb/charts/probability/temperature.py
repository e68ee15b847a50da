"""A distribution at another temperature: from the whole vocabulary, and as far as a list of alternatives tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ...logprobs.columns import Floats
from ...render.scale import percent
from ...stats.temperature.scaling import temperature_full, temperature_topk
from ..offline import OfflineLayerChart
from ..palette import colors_for
from .bars import (
    REST,
    as_floats,
    base_chart,
    in_words,
    is_real,
    mark_legend,
    outcome_rows,
    place_axis,
    read_names,
    share_axis,
    share_field,
    sized,
)

_COLORS = colors_for()
_LISTED = 20
# The names of the marks, in the legend.
_MADE = "made to add up to 1"


def temperature_chart(
    names: Sequence[str],
    logprobs: ArrayLike,
    temperature: float,
    *,
    listed: int | None = None,
    end: float | None = None,
) -> alt.LayerChart:
    """Return a chart of a distribution at a temperature: from the whole vocabulary, and what a list allows.

    Narrow bars are the exact probabilities, wide ones the bounds that follow from the `listed` likeliest tokens. Ticks
    are the numbers of tools that make the list add up to 1.

    Parameters
    ----------
    names
        The tokens to show, the likeliest first.
    logprobs
        The log-probabilities of the whole vocabulary at temperature 1, in nats, likeliest first, shape (V,).
    temperature
        The temperature, above 0.
    listed
        The number of likeliest tokens that are known; by default 20, or all if there are fewer.
    end
        The largest number for which the axis has room; by default that of this chart. Give one to compare temperatures.

    Returns
    -------
    altair.LayerChart
        A chart that works offline.

    Raises
    ------
    SettingError
        If there are fewer log-probabilities than names, they are not in order, or the temperature is not above 0.
    ProbabilityMassError
        If the log-probabilities are not those of a whole vocabulary.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb import temperature_chart
    >>> temperature_chart(["a", "b"], [log(p) for p in (0.6, 0.2, 0.1, 0.1)], 2, listed=2).description
    'At temperature 2: a 41.8 %, b 24.1 %, everything else 34.1 %; 2 tokens allow 41.8 % to 46.4 % for a'
    """
    labels = read_names(names)
    values = as_floats(logprobs, "logprobs").ravel()
    if len(values) < len(labels):
        raise invalid_argument(
            "logprobs", f"{len(values)} numbers", f"at least one for each of the {len(labels)} names"
        )
    listed = min(max(_LISTED, len(labels)), len(values)) if listed is None else listed
    if isinstance(listed, bool) or not isinstance(listed, int) or not len(labels) <= listed <= len(values):
        raise invalid_argument("listed", listed, f"a number from {len(labels)} to {len(values)}")
    if np.any(np.diff(values[: max(listed, len(labels))]) > 1e-9):
        raise invalid_argument("logprobs", values[: len(labels)], "in order, the likeliest first")
    if not is_real(temperature) or not temperature > 0:
        raise invalid_argument("temperature", temperature, "a number above 0")
    exact = temperature_full(values, temperature)
    known = temperature_topk(values[:listed], temperature, vocab_size=len(values))
    rows = _rows(labels, exact)
    for row, low, high, share in zip(
        rows, known.lower.tolist(), known.upper.tolist(), known.conditional.tolist(), strict=False
    ):
        row |= {"low": low, "high": high, "share": share, "as_share": percent(share)}
        row |= {"least": percent(low), "most": percent(high)}
    bounded = rows[: len(labels)]
    largest = max(max(row["probability"] for row in rows), *(max(row["high"], row["share"]) for row in bounded))
    whole, allowed = f"all {len(values):,} tokens", f"what {listed} tokens allow"
    scale = alt.Scale(domain=[whole, allowed, _MADE], range=[_COLORS.line, _COLORS.sure, _COLORS.unsure])
    y = place_axis([f"{row['outcome']}: {row['percent']}" for row in rows])
    exact_tooltip = [alt.Tooltip("outcome:N"), alt.Tooltip("percent:N", title="probability")]
    tooltip = [
        *exact_tooltip,
        alt.Tooltip("least:N", title="at least"),
        alt.Tooltip("most:N", title="at most"),
        alt.Tooltip("as_share:N", title=_MADE),
    ]

    color = alt.Color("mark:N", scale=scale, legend=mark_legend())

    def layer(part: list[dict[str, Any]], name: str) -> Any:
        return base_chart([{**row, "mark": name} for row in part])

    edge = alt.Stroke("mark:N", scale=scale, legend=None)
    bounds = layer(bounded, allowed).mark_bar(height=16, fillOpacity=0.55, strokeWidth=1)
    bounds = bounds.encode(y=y, x=share_field("low"), x2="high:Q", color=color, stroke=edge, tooltip=tooltip)
    bars = layer(rows, whole).mark_bar(height=7)
    bars = bars.encode(y=y, x=share_axis(largest if end is None else end), color=color, tooltip=exact_tooltip)
    ticks = layer(bounded, _MADE).mark_tick(thickness=3, size=18, opacity=1)
    ticks = ticks.encode(y=y, x=share_field("share"), color=color, tooltip=tooltip)
    first = rows[0]
    description = (
        f"At temperature {temperature:g}: {in_words([*rows[:5], rows[-1]] if len(rows) > 6 else rows)}; "
        f"{listed} tokens allow {first['least']} to {first['most']} for {first['outcome']}"
    )
    return sized(OfflineLayerChart(layer=[bounds, bars, ticks])).properties(description=description)


def _rows(labels: Sequence[str], exact: Floats) -> list[dict[str, Any]]:
    rows = outcome_rows(labels, exact[: len(labels)])
    rest = float(exact[len(labels) :].sum())
    return [*rows, {"place": len(labels), "outcome": REST, "probability": rest, "percent": percent(rest)}]
