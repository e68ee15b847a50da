"""Bars of outcomes, one below the other, and the checks of the arrays they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ...logprobs.columns import Floats
from ...render.scale import percent
from ...text.glyphs import label
from ..offline import OfflineChart, inline_data, label_expr
from ..token_axis import short_label
from ..width import CONTAINER

REST = "everything else"
"""The bar of all outcomes that are not listed."""

_TITLE = "Probability"
# About how many numbers an axis has: more collide in a narrow cell.
_TICKS = 6

# Sums of rounded probabilities may exceed 1 by this much.
_SLACK = 1e-6
# Outcomes on one axis. More bars cannot be read.
_MOST = 60


def read_names(names: Sequence[str], setting: str = "names") -> list[str]:
    """Return the names of outcomes as labels; outer spaces of tokens are marked.

    Raises
    ------
    SettingError
        If they are not a list of texts, or too many.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise invalid_argument(setting, names, "a list of texts")
    if not 1 <= len(names) <= _MOST:
        raise invalid_argument(setting, f"{len(names)} texts", f"a list of 1 to {_MOST} texts")
    return [as_label(name) for name in names]


def as_label(text: str) -> str:
    """Return a text as the label of an axis; outer spaces of tokens are marked."""
    return short_label(label(text.encode("utf-8", "replace")))


def as_floats(values: ArrayLike, setting: str) -> Floats:
    """Return numbers as an array; raise SettingError for texts and ragged lists."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise invalid_argument(setting, values, "an array of numbers") from None


def is_real(value: object) -> bool:
    """Return whether a value is one number, and no boolean."""
    return isinstance(value, Real) and not isinstance(value, bool)


def read_shares(values: ArrayLike, count: int, setting: str, *, may_exceed: bool = False) -> Floats:
    """Return probabilities, one for each of `count` names; their sum is at most 1 unless `may_exceed`.

    Raises
    ------
    SettingError
        If they are no such list.
    """
    shares = as_floats(values, setting)
    if shares.shape != (count,):
        raise invalid_argument(
            setting, f"an array of shape {shares.shape}", f"a list of {count} numbers, one for each name"
        )
    if not np.all((shares >= -_SLACK) & (shares <= 1 + _SLACK)):
        raise invalid_argument(setting, shares, "probabilities from 0 to 1")
    if not may_exceed and shares.sum() > 1 + _SLACK:
        raise invalid_argument(
            setting, f"numbers that add up to {shares.sum():.6g}", "probabilities that add up to at most 1"
        )
    return np.clip(shares, 0.0, 1.0)


def outcome_rows(names: Sequence[str], shares: Floats) -> list[dict[str, Any]]:
    """Return a row for each outcome."""
    return [
        {"place": place, "outcome": name, "probability": float(share), "percent": percent(float(share))}
        for place, (name, share) in enumerate(zip(names, shares, strict=True))
    ]


def place_axis(names: Sequence[str]) -> alt.Y:
    """Return the vertical axis of outcomes with their names."""
    axis = alt.Axis(labelExpr=label_expr(names), labelLimit=240, labelFontSize=12, ticks=False, grid=False)
    return alt.Y("place:O", title=None, axis=axis)


def share_axis(end: float = 1.0) -> alt.X:
    """Return the horizontal axis of probabilities from 0 to just above the largest."""
    return alt.X("probability:Q", title=_TITLE, scale=share_scale(end), axis=alt.Axis(format="~%", tickCount=_TICKS))


def share_field(field: str) -> alt.X:
    """Return another field on the axis of probabilities: with another title or none, the axis would have none."""
    return alt.X(f"{field}:Q", title=_TITLE)


def mark_legend() -> alt.Legend:
    """Return the legend of a chart whose layers are different marks."""
    return alt.Legend(title=None, orient="top", labelLimit=300, symbolType="square", symbolOpacity=1)


def share_scale(end: float) -> alt.Scale:
    """Return a scale of probabilities from 0 to just above `end`."""
    return alt.Scale(domain=[0, min(max(end, 1e-12) * 1.1, 1.0)], nice=False)


def base_chart(rows: list[dict[str, Any]], description: str = "") -> OfflineChart:
    """Return a chart of rows, described in words for screen readers."""
    return OfflineChart(inline_data(rows), description=description) if description else OfflineChart(inline_data(rows))


def sized(chart: Any) -> Any:
    """Return a chart of bars as wide as its cell."""
    return chart.properties(width=CONTAINER, height=alt.Step(20))


def in_words(rows: Sequence[dict[str, Any]], count: int = 6) -> str:
    """Return the first outcomes with their probabilities, as a sentence's part."""
    return ", ".join(f"{row['outcome']} {row['percent']}" for row in rows[:count])
