"""Charts that are linked with a view, in the browser alone: what is chosen in one is marked in the other.

Vega binds a signal to an element that has a ``value`` and tells of its changes by an event. Here that element is the
page's body, and the event has a name of the link's own: whoever knows the name takes part, whichever came first, with
no kernel and no script but Vega's and the view's. The other end is ``js/src/host/chart_link.ts``.
"""

from __future__ import annotations

import json
from typing import Any

import altair as alt

_BRUSH, _SIGNAL = "brush_", "picked_"
_HAIR = 0.6


def link_of(shown: Any) -> str:
    """The name of a view's link; empty for what is no view."""
    link = getattr(shown, "link", "")
    return link if isinstance(link, str) else ""


def zoom_selection() -> Any:
    """Zoom by the wheel and move with Alt held, for dragging alone chooses tokens."""
    moving = "[pointerdown[event.altKey], window:pointerup] > window:pointermove!"
    return alt.selection_interval(bind="scales", encodings=["x"], translate=moving)


def link_to_view(chart: Any, link: str, ink: str | None = None) -> Any:
    """A chart over tokens, of rows with ``position`` and ``last``, linked by a name; the same one where it is empty.

    What is selected has a thicker outline: of that ink, or, without one, of the marks' own colour.
    """
    if not link:
        return chart
    # A rectangle would stay where the view has chosen something else since; what is chosen is marked below.
    unseen = alt.BrushConfig(fillOpacity=0, strokeOpacity=0)
    dragging = "[pointerdown[!event.altKey], window:pointerup] > window:pointermove!"
    choosing = alt.selection_interval(
        name=f"{_BRUSH}{link}",
        encodings=["x"],
        mark=unseen,
        on=dragging,
        translate=False,
        zoom=False,
        clear="dblclick",
    )
    signal = f"{_SIGNAL}{link}"
    bound = alt.param(name=signal, bind=alt.BindDirect(element="body", event=f"deluge-{link}"))
    ours = f"isValid({signal}) && {signal}.link === {json.dumps(link)}"
    aside = f"{ours} && isValid({signal}.from) && !(datum.position < {signal}.to && datum.last >= {signal}.from)"
    here = f"{ours} && isValid({signal}.token) && datum.position <= {signal}.token && {signal}.token <= datum.last"
    marked = chart.add_params(choosing, bound).encode(
        opacity=alt.condition(aside, alt.value(0.25), alt.value(1)),
        strokeWidth=alt.condition(here, alt.value(3), alt.value(_HAIR)),
    )
    return marked.encode(stroke=alt.condition(here, alt.value(ink), alt.value("transparent"))) if ink else marked


def with_named_views(spec: Any) -> Any:
    """A whole spec, with what makes the signals of its links change: Vega-Lite has no word for it, and hands it on."""
    for param in spec.get("params", []):
        name = param.get("name", "")
        if not name.startswith(_SIGNAL):
            continue
        link = name.removeprefix(_SIGNAL)
        brush, told = f"{_BRUSH}{link}", json.dumps(link)
        places, numbers = (
            f"{{link: {told}, from: round(extent({ends})[0]), to: round(extent({ends})[1]) + 1}}"
            for ends in (f"{brush}.position", f"{brush}.at")
        )
        chosen = f"{brush}.position ? {places} : {brush}.at ? {numbers} : null"
        clicked = f"datum && isValid(datum.position) ? {{link: {told}, go: datum.position}} : {name}"
        param["on"] = [
            {"events": {"signal": brush}, "update": chosen},
            {"events": "click", "update": clicked},
        ]
    return spec
