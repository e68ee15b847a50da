"""Draw the charts of a calibration report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from ..logprobs.columns import Floats
from ..stats.scoring import CalibrationBin
from ..stats.selective import RiskCoverage
from .offline import OfflineChart, inline_data
from .palette import colors_for

_WIDTH, _HEIGHT = 320, 300
_COLORS = colors_for()
# Answers. The accuracy of a bin with fewer is uncertain, and its point is drawn hollow.
_FEW = 10
# Points of a curve. More than there are pixels make the notebook larger and the curve no finer.
_POINTS = 2000
_SHARE = alt.Scale(domain=[0, 1])
_PERCENT = alt.Axis(format=".0%")


def reliability_chart(bins: Sequence[CalibrationBin], n_bins: int, ece: object) -> alt.VConcatChart:
    """Return a chart of accuracy against confidence with Wilson's intervals, above the number of answers in each bin.

    On the dashed line, confidence equals accuracy. Bins of fewer than ten answers are hollow, as they are uncertain.
    """
    rows = [
        {
            "confidence": row.confidence,
            "accuracy": row.accuracy,
            "low": row.wilson_low,
            "high": row.wilson_high,
            "count": row.count,
            "from": row.bin / n_bins,
            "to": (row.bin + 1) / n_bins,
            "points": f"fewer than {_FEW}" if row.count < _FEW else f"{_FEW} or more",
        }
        for row in bins
    ]
    tooltip = [
        alt.Tooltip("confidence:Q", format=".1%", title="mean confidence"),
        alt.Tooltip("accuracy:Q", format=".1%"),
        alt.Tooltip("low:Q", format=".1%", title="at least"),
        alt.Tooltip("high:Q", format=".1%", title="at most"),
        alt.Tooltip("count:Q", title="answers"),
    ]
    x = alt.X("confidence:Q", scale=_SHARE, axis=_PERCENT, title=None)
    ideal = _chart([{"x": 0, "y": 0}, {"x": 1, "y": 1}]).mark_line(color=_COLORS.sure, strokeDash=[4, 4], strokeWidth=1)
    ideal = ideal.encode(x=alt.X("x:Q", scale=_SHARE), y=alt.Y("y:Q", scale=_SHARE))
    spans = (
        _chart(rows)
        .mark_rule(color=_COLORS.line, strokeWidth=2)
        .encode(x=x, y=alt.Y("low:Q", scale=_SHARE, axis=_PERCENT, title="accuracy"), y2="high:Q", tooltip=tooltip)
    )
    points = (
        _chart(rows)
        .mark_point(size=70, strokeWidth=2, opacity=1)
        .encode(
            x=x,
            y=alt.Y("accuracy:Q", scale=_SHARE),
            stroke=alt.value(_COLORS.line),
            fill=alt.Fill(
                "points:N",
                scale=alt.Scale(domain=[f"{_FEW} or more", f"fewer than {_FEW}"], range=[_COLORS.line, "transparent"]),
                legend=alt.Legend(title="answers in a bin", orient="top", symbolStrokeColor=_COLORS.line),
            ),
            tooltip=tooltip,
        )
    )
    upper = (ideal + spans + points).properties(width=_WIDTH, height=_HEIGHT, title=f"Reliability: ECE {ece}")
    lower = (
        _chart(rows)
        .mark_bar(color=_COLORS.line)
        .encode(
            x=alt.X("from:Q", bin="binned", scale=_SHARE, axis=_PERCENT, title="confidence"),
            x2="to:Q",
            y=alt.Y("count:Q", stack="zero", title="answers", axis=alt.Axis(tickCount=3)),
            tooltip=tooltip,
        )
    )
    return upper & lower.properties(width=_WIDTH, height=70)


def risk_coverage_chart(risk_coverage: RiskCoverage, accuracy: float) -> alt.LayerChart:
    """Return a chart of the share of wrong answers against the share of questions answered, most confident first.

    The dashed line is that of a perfect ranking of the same answers.
    """
    curve = risk_coverage.curve
    points = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _POINTS)).astype(int))
    rows = [
        {"coverage": float(curve.coverage[i]), "risk": float(curve.risk[i]), "threshold": float(curve.threshold[i])}
        for i in points
    ]
    best = [{"coverage": 0.0, "risk": 0.0}]
    best += [
        {"coverage": share, "risk": max(share - accuracy, 0.0) / share} for share in np.linspace(0.01, 1, 100).tolist()
    ]
    x = alt.X("coverage:Q", scale=_SHARE, axis=_PERCENT, title="answered")
    y = alt.Y("risk:Q", axis=alt.Axis(format=".2~%"), title="wrong among the answered")
    line = _chart(rows).mark_line(
        color=_COLORS.unsure, point={"color": _COLORS.unsure, "size": 18} if len(rows) <= 60 else False
    )
    line = line.encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("threshold:Q", format=".3f", title="from confidence"),
            alt.Tooltip("coverage:Q", format=".1%", title="answered"),
            alt.Tooltip("risk:Q", format=".1%", title="wrong"),
        ],
    )
    oracle = _chart(best).mark_line(color=_COLORS.sure, strokeDash=[4, 4], strokeWidth=1).encode(x=x, y=y)
    return (oracle + line).properties(
        width=_WIDTH,
        height=_HEIGHT,
        title=f"Risk and coverage: area {risk_coverage.aurc:.3f}, best {risk_coverage.oracle:.3f}",
    )


def histogram_chart(confidence: Floats, correct: Floats, n_bins: int) -> alt.Chart:
    """Return a histogram of confidences, with right and wrong answers in different colours."""
    edges = np.linspace(0, 1, 2 * n_bins + 1)
    rows: list[dict[str, Any]] = []
    for name, value in (("right", 1.0), ("wrong", 0.0)):
        counts = np.histogram(confidence[correct == value], edges)[0]
        rows += [
            {"from": low, "to": high, "count": int(number), "answer": name}
            for low, high, number in zip(edges[:-1].tolist(), edges[1:].tolist(), counts, strict=True)
            if number
        ]
    return (
        _chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("from:Q", bin="binned", scale=_SHARE, axis=_PERCENT, title="confidence"),
            x2="to:Q",
            y=alt.Y("count:Q", stack="zero", title="answers"),
            color=alt.Color(
                "answer:N",
                scale=alt.Scale(domain=["right", "wrong"], range=[_COLORS.line, _COLORS.unsure]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=[
                alt.Tooltip("answer:N"),
                alt.Tooltip("count:Q", title="answers"),
                alt.Tooltip("from:Q", format=".0%"),
                alt.Tooltip("to:Q", format=".0%"),
            ],
        )
        .properties(width=_WIDTH, height=_HEIGHT // 2, title="Confidence of right and wrong answers")
    )


def _chart(rows: list[dict[str, Any]]) -> OfflineChart:
    return OfflineChart(inline_data(rows))
