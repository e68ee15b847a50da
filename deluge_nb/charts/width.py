"""Set the width of charts: that of the cell where Vega-Lite can fit it, and a number elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

CONTAINER = "container"
# CSS pixels.
PICTURE_WIDTH = 900
# Hidden where a page forbids styles. A text field whose width is a percentage asks for the width of its letters, but
# takes less where there is less. `js/src/host/chart_width.ts` finds it by the name of its signal.
_FILLER = {
    "input": "text",
    "name": " ",
    "hidden": "",
    "size": "500",
    "style": "display:block;visibility:hidden;width:100%;height:0;min-height:0;margin:0;padding:0;border:0",
}
# The name of Vega's signal, but no field such as `datum.width`.
_SIGNAL = re.compile(r"(?<![.\w'\"])width(?![\w'\"(])")
_COLUMN_WIDTH, _LEAST_WIDTH = 640, 200
# What vertical axes with their titles take from the width of a chart.
_AXES = 140
ROOM = f"(containerSize()[0] > 0 ? containerSize()[0] - {_AXES} : width)"
"""Vega expression: the least width that the plot will have. At first, when the height of the chart is settled, the
signal `width` is that of the whole chart."""
# Vega-Lite hands parameters on to Vega, where the last one continues the signal `width`, which then becomes that of the
# plot. The box of a chart, `containerSize`, grows with the cell, but is never narrower than the chart in it. So a
# narrower window is taken to narrow the cell as much, and `cell_width` comes from a widget, if the page has one.
# A chart that is not yet on a page is drawn narrow, and grows.
_SCROLL_BAR = 20
_RESIZED = {"source": "window", "type": "resize"}
_CELL_WIDTH: list[dict[str, Any]] = [
    {
        "name": "chart_width",
        "init": f"containerSize()[0] === 0 ? {_LEAST_WIDTH} : containerSize()[0] || {_COLUMN_WIDTH}",
        "on": [
            {
                "events": {"type": "timer", "throttle": 500},
                "update": f"containerSize()[0] > chart_width + {_SCROLL_BAR} ? containerSize()[0] : chart_width",
            },
            {
                "events": _RESIZED,
                "update": (
                    "cell_width ? chart_width "
                    f": max(min(containerSize()[0], chart_width + windowSize()[0] - window_width), {_LEAST_WIDTH})"
                ),
            },
            {"events": {"signal": "cell_width"}, "update": "+cell_width || chart_width"},
        ],
    },
    {"name": "window_width", "init": "windowSize()[0]", "on": [{"events": _RESIZED, "update": "windowSize()[0]"}]},
    {"name": "width", "init": "chart_width", "on": [{"events": {"signal": "chart_width"}, "update": "chart_width"}]},
]


def with_numeric_parts(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a specification whose parts have numbers for widths, as Vega-Lite fits single charts only."""
    return _fixed(spec, None)


def for_picture(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the specification of a picture, which has no container."""
    if spec.get("width") != CONTAINER:
        return spec
    fitted = {**spec, "width": PICTURE_WIDTH, "autosize": {"type": "fit-x", "contains": "padding"}}
    return _replaced(fitted, lambda text: text.replace(ROOM, f"{PICTURE_WIDTH - _AXES}"))


def for_notebook(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the specification of a live chart whose container takes the width of the cell.

    In JupyterLab the container is as wide as its content, so a chart that fits it would have no width. Vega sets the
    attributes of a bound parameter on its input element. This one fills the width, and is unseen.

    JupyterLab draws the charts of a notebook that it opens before they are on the page, where they have no width, and
    nothing tells Vega-Lite's `container` when they get one. So the width is a signal that waits for one. It follows
    windows and cells, but not scroll bars: a new width ends what is being dragged.
    """
    if spec.get("width") != CONTAINER:
        return spec
    fillers = [{"name": "cell_width", "value": "", "bind": _FILLER}, *_CELL_WIDTH]
    fit = {"type": "fit-x", "contains": "padding"}
    # A signal, so that what depends on it changes with it.
    spec = _replaced(spec, lambda text: text.replace("containerSize()[0]", "chart_width"))
    # Vega draws an empty chart before its signals have values, and a wide one would widen its container.
    return {**spec, "width": _LEAST_WIDTH, "autosize": fit, "params": [*spec.get("params", []), *fillers]}


def _fixed(part: dict[str, Any], width: int | None) -> dict[str, Any]:
    """Return a part of a specification with a number for its width; None leaves the width of the whole chart."""
    fixed = dict(part)
    if width is not None and part.get("width") == CONTAINER:
        fixed["width"] = width
    if isinstance(fixed.get("width"), int | float):
        fixed = _without_signal(fixed, fixed["width"])
    available = width or _COLUMN_WIDTH
    for name in ("vconcat", "concat", "hconcat"):
        if name in part:
            count = len(part[name]) if name == "hconcat" else 1
            share = max(available // max(count, 1), _LEAST_WIDTH)
            fixed[name] = [_fixed(other, share) for other in part[name]]
    if "spec" in part:
        fixed["spec"] = _fixed(part["spec"], available)
    return fixed


def _without_signal(part: dict[str, Any], width: float) -> dict[str, Any]:
    """Return a part with its width in place of Vega's signal `width`, which in compounds is not that of the part."""
    return _replaced(part, lambda text: _SIGNAL.sub(f"{width}", text.replace(ROOM, f"{width}")))


def _replaced(part: Any, replace: Callable[[str], str]) -> Any:
    """Return a part with other expressions."""
    if isinstance(part, list):
        return [_replaced(value, replace) for value in part]
    if not isinstance(part, dict):
        return part
    for kind in ("expr", "signal"):
        if part.keys() == {kind} and isinstance(part[kind], str):
            return {kind: replace(part[kind])}
    return {name: value if name in ("data", "datasets") else _replaced(value, replace) for name, value in part.items()}
