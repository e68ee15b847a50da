"""Charts as pictures for the widgets of the course: in the ink of the page, with their words for screen readers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ...charts.offline import offline
from ...charts.width import PICTURE_WIDTH
from ...extras import import_extra

# Python lays letters out, and the page draws them: these fonts have one width, and every desktop system has one of them.
_FONT = "'DejaVu Sans', Verdana, sans-serif"
# The page's own ink, so that one picture serves light and dark pages.
_INK = "currentColor"
_CONFIG = {
    "font": _FONT,
    "axis": {"domainColor": "#888", "gridColor": "#888", "tickColor": "#888"},
    "title": {"color": _INK, "subtitleColor": _INK},
    "style": {"guide-label": {"fill": _INK}, "guide-title": {"fill": _INK}},
}
# Pixels; a dial is read beside its text, and need not be as wide as a whole cell.
_WIDTH = 640


def draw(chart: Any) -> dict[str, str]:
    """Return a chart as an SVG picture, and its description in words.

    Raises
    ------
    SettingError
        If it is no chart of Altair, or loads its data from an address.
    MissingDependencyError
        If the extra ``pictures`` is not installed.
    """
    from altair.utils import update_nested

    vl_convert = import_extra("vl_convert", "The picture of a chart")
    spec: Any = update_nested(offline(chart).to_dict(), {"config": _CONFIG}, copy=True)
    if spec.get("width") == "container":
        spec["width"] = min(_WIDTH, PICTURE_WIDTH)
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return {"svg": _svg(vl_convert.vegalite_to_svg, json.dumps(spec)), "text": spec.get("description", "")}


@lru_cache(maxsize=256)
def _svg(convert: Callable[[str], str], spec: str) -> str:
    """Return the picture of a specification. A cell with a dial is run again and again, and each picture takes long."""
    return convert(spec)
