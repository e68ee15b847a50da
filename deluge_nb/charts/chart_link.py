"""Link charts with a view in the browser: a selection in one is marked in the other, without a kernel.

Vega can bind a signal to an element that has a ``value`` and reports changes by an event. Here that element is the
page's body, and the event is named after the link. Every chart and view of that name takes part, in any order of
loading, and no script but Vega's and the view's is needed. The other end is ``js/src/host/chart_link.ts``.
"""

from __future__ import annotations

import json
from typing import Any

import altair as alt

_BRUSH, _SIGNAL = "brush_", "picked_"
_HAIR = 0.6


def link_of(source: Any) -> str:
    """Return the name of a view's link; empty for anything but a view."""
    link = getattr(source, "link", "")
    return link if isinstance(link, str) else ""


def zoom_selection() -> Any:
    """Return a selection that zooms by the wheel and pans with Alt held; dragging alone selects tokens."""
    pan = "[pointerdown[event.altKey], window:pointerup] > window:pointermove!"
    return alt.selection_interval(bind="scales", encodings=["x"], translate=pan)


def link_to_view(chart: Any, link: str, ink: str | None = None) -> Any:
    """Return a chart of tokens linked under a name; unchanged if the name is empty.

    Parameters
    ----------
    chart
        Chart whose rows have ``position`` and ``last``, the first and last token of each mark.
    link
        Name of the link.
    ink
        Colour of the outline of selected marks; that of the marks if None.
    """
    if not link:
        return chart
    # Vega would keep the brush's rectangle after a later selection in the view. The marks show the selection instead.
    invisible = alt.BrushConfig(fillOpacity=0, strokeOpacity=0)
    drag = "[pointerdown[!event.altKey], window:pointerup] > window:pointermove!"
    brush = alt.selection_interval(
        name=f"{_BRUSH}{link}",
        encodings=["x"],
        mark=invisible,
        on=drag,
        translate=False,
        zoom=False,
        clear="dblclick",
    )
    signal = f"{_SIGNAL}{link}"
    bound = alt.param(name=signal, bind=alt.BindDirect(element="body", event=f"deluge-{link}"))
    is_linked = f"isValid({signal}) && {signal}.link === {json.dumps(link)}"
    is_outside = (
        f"{is_linked} && isValid({signal}.from) && !(datum.position < {signal}.to && datum.last >= {signal}.from)"
    )
    is_selected = (
        f"{is_linked} && isValid({signal}.token) && datum.position <= {signal}.token && {signal}.token <= datum.last"
    )
    marked = chart.add_params(brush, bound).encode(
        opacity=alt.condition(is_outside, alt.value(0.25), alt.value(1)),
        strokeWidth=alt.condition(is_selected, alt.value(3), alt.value(_HAIR)),
    )
    return marked.encode(stroke=alt.condition(is_selected, alt.value(ink), alt.value("transparent"))) if ink else marked


def with_named_views(spec: Any) -> Any:
    """Return a specification whose link signals follow brush and click, which Vega-Lite passes on to Vega unchecked."""
    for param in spec.get("params", []):
        name = param.get("name", "")
        if not name.startswith(_SIGNAL):
            continue
        link = name.removeprefix(_SIGNAL)
        brush, quoted = f"{_BRUSH}{link}", json.dumps(link)
        by_position, by_axis = (
            f"{{link: {quoted}, from: round(extent({ends})[0]), to: round(extent({ends})[1]) + 1}}"
            for ends in (f"{brush}.position", f"{brush}.at")
        )
        selected = f"{brush}.position ? {by_position} : {brush}.at ? {by_axis} : null"
        clicked = f"datum && isValid(datum.position) ? {{link: {quoted}, go: datum.position}} : {name}"
        param["on"] = [
            {"events": {"signal": brush}, "update": selected},
            {"events": "click", "update": clicked},
        ]
    return spec
