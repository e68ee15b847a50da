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
from ..offline import OfflineHConcatChart
from ..palette import colors_for
from .bars import REST, base_chart, in_words, outcome_rows, place_axis, read_names, share_scale

_COLORS = colors_for()
_WIDTH, _STEP = 300, 20


def temperature_chart(
    names: Sequence[str], logprobs: ArrayLike, temperature: float, *, listed: int = 20, end: float | None = None
) -> alt.HConcatChart:
    """Return two panels of a distribution at a temperature: the whole vocabulary, and what a list allows.

    The left panel has the exact probabilities, the right one the bounds that follow from the `listed` likeliest tokens,
    and as a tick the number that tools show which make the list add up to 1.

    Parameters
    ----------
    names
        The tokens to show, the likeliest first.
    logprobs
        The log-probabilities of the whole vocabulary at temperature 1, in nats, likeliest first, shape (V,).
    temperature
        The temperature, above 0.
    listed
        The number of tokens that are known for the right panel.
    end
        The end of both axes; by default just above the largest probability. Give one number to compare temperatures.

    Returns
    -------
    altair.HConcatChart
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
    >>> temperature_chart(["a", "b"], [log(0.6), log(0.3), log(0.1)], 2, listed=2).description
    'At temperature 2: a 47.3 %, b 33.4 %, everything else 19.3 %'
    """
    labels = read_names(names)
    values = np.asarray(logprobs, dtype=np.float64).ravel()
    if len(values) < len(labels):
        raise invalid_argument(
            "logprobs", f"{len(values)} numbers", f"at least one for each of the {len(labels)} names"
        )
    if np.any(np.diff(values[: max(listed, len(labels))]) > 1e-9):
        raise invalid_argument("logprobs", values[: len(labels)], "in order, the likeliest first")
    if isinstance(temperature, bool) or not temperature > 0:
        raise invalid_argument("temperature", temperature, "a number above 0")
    if isinstance(listed, bool) or not isinstance(listed, int) or not len(labels) <= listed <= len(values):
        raise invalid_argument("listed", listed, f"a number from {len(labels)} to {len(values)}")
    exact = temperature_full(values, temperature)
    known = temperature_topk(values[:listed], temperature, vocab_size=len(values))
    rows = _rows(labels, exact)
    bounds = outcome_rows(labels, known.upper[: len(labels)])
    for row, low, share in zip(bounds, known.lower.tolist(), known.conditional.tolist(), strict=False):
        row |= {"low": low, "high": row["probability"], "share": share, "as_share": percent(share)}
        row |= {"least": percent(low), "most": row["percent"]}
    largest = max(max(row["probability"] for row in [*rows, *bounds]), max(row["share"] for row in bounds))
    scale = share_scale(largest) if end is None else alt.Scale(domain=[0, end], clamp=True)
    names_left = [f"{row['outcome']}  {row['percent']}" for row in rows]
    names_right = [f"{row['least']} – {row['most']}" for row in bounds]
    left = _exact_panel(rows, names_left, scale, len(values))
    right = _listed_panel(bounds, names_right, scale, listed)
    description = f"At temperature {temperature:g}: {in_words([*rows[:5], rows[-1]] if len(rows) > 6 else rows)}"
    return OfflineHConcatChart(hconcat=[left, right], description=description)


def _rows(labels: Sequence[str], exact: Floats) -> list[dict[str, Any]]:
    rows = outcome_rows(labels, exact[: len(labels)])
    rest = float(exact[len(labels) :].sum())
    return [*rows, {"place": len(labels), "outcome": REST, "probability": rest, "percent": percent(rest)}]


def _exact_panel(rows: list[dict[str, Any]], names: list[str], scale: alt.Scale, count: int) -> Any:
    x = alt.X("probability:Q", title="Probability", scale=scale, axis=alt.Axis(format="~%", tickCount=5))
    chart = (
        base_chart(rows)
        .mark_bar(color=_COLORS.line)
        .encode(
            y=place_axis(names), x=x, tooltip=[alt.Tooltip("outcome:N"), alt.Tooltip("percent:N", title="probability")]
        )
    )
    return chart.properties(width=_WIDTH, height=alt.Step(_STEP), title=f"All {count:,} tokens")


def _listed_panel(rows: list[dict[str, Any]], names: list[str], scale: alt.Scale, listed: int) -> Any:
    tooltip = [
        alt.Tooltip("outcome:N"),
        alt.Tooltip("least:N", title="at least"),
        alt.Tooltip("most:N", title="at most"),
        alt.Tooltip("as_share:N", title="made to add up to 1"),
    ]
    axis = alt.Axis(format="~%", tickCount=5)
    bars = (
        base_chart(rows)
        .mark_bar(color=_COLORS.sure, height=12)
        .encode(
            y=place_axis(names),
            x=alt.X("low:Q", title="Probability", scale=scale, axis=axis),
            x2="high:Q",
            tooltip=tooltip,
        )
    )
    ticks = base_chart(rows).mark_tick(color=_COLORS.unsure, thickness=3, size=16)
    ticks = ticks.encode(y=place_axis(names), x=alt.X("share:Q", scale=scale), tooltip=tooltip)
    title = f"What {listed} tokens allow; tick: made to add up to 1"
    return (bars + ticks).properties(width=_WIDTH, height=alt.Step(_STEP), title=title)
