"""Altair charts that need no network to be seen: their classes, their colours, their MIME bundle.

They display themselves live in JupyterLab and Notebook, which bring Vega-Lite 5, and as a picture where there is no
Vega. (Altair's own default asks a server for Vega, and newer Altair names a version that JupyterLab does not know.)
"""

from __future__ import annotations

import base64
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import altair as alt

from ..extras import has_extra
from ..render.picture import png
from .chart_link import with_named_views

# JupyterLab 4 ships Vega-Lite 5.6: nothing newer may be used in a spec.
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_VEGA_LITE = "application/vnd.vegalite.v5+json"
_PICTURE_SCALE = 2
# Orange for what is uncertain, blue-grey for what is not, as in the widget; told apart by every kind of eye.
HEAT, PALE, CALM, INK = "#e07b1f", "#f6d3ad", "#6f8fb3", "#3c444d"
# On white, whatever the theme of the notebook: Vega draws dark text on nothing. The keys are those that Altair's themes
# set, so that a theme of the user's replaces them together.
_DRESS: dict[str, Any] = {
    "config": {
        "background": "white",
        "padding": 8,
        "view": {"stroke": None},
        "axis": {"domainColor": "#a0a8b0", "gridColor": "#e6e9ec", "tickColor": "#a0a8b0"},
        "title": {"color": INK, "subtitleColor": INK},
        "style": {"guide-label": {"fill": INK}, "guide-title": {"fill": INK}},
    }
}


class _Offline:
    """What needs no server to be seen, by itself or put together with other charts."""

    def to_dict(self, *args: Any, **kwargs: Any) -> Any:
        spec = super().to_dict(*args, **kwargs)  # type: ignore[missing-attribute]
        if "vega-lite" not in spec.get("$schema", ""):  # a part of another chart, which may not have a style of its own
            return spec
        return alt.utils.update_nested(_DRESS, with_named_views(spec), copy=True)

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        if alt.renderers.active != "default":  # the user has chosen another way
            return super()._repr_mimebundle_(*args, **kwargs)  # type: ignore[missing-attribute]
        spec = self.to_dict()
        # marimo shows a picture where there is one, and has a Vega of its own.
        return _live(spec) if _in_marimo() else _bundle(spec)

    def __and__(self, other: Any) -> Any:
        charts: list[Any] = [self, other]
        with _zooming_as_one():
            return OfflineVConcatChart(vconcat=charts)

    def __or__(self, other: Any) -> Any:
        charts: list[Any] = [self, other]
        with _zooming_as_one():
            return OfflineHConcatChart(hconcat=charts)


class OfflineChart(_Offline, alt.Chart):
    """An Altair chart that needs no server to be seen."""

    def __add__(self, other: Any) -> Any:
        charts: list[Any] = [self, other]
        return OfflineLayerChart(layer=charts)


class OfflineLayerChart(_Offline, alt.LayerChart):
    """Such charts, one over the other."""


class OfflineHConcatChart(_Offline, alt.HConcatChart):
    """Such charts, side by side."""

    def __or__(self, other: Any) -> Any:
        with _zooming_as_one():
            return alt.HConcatChart.__or__(self, other)  # one more at the side, not a row within a row


class OfflineVConcatChart(_Offline, alt.VConcatChart):
    """Such charts, one below the other."""

    def __and__(self, other: Any) -> Any:
        with _zooming_as_one():
            return alt.VConcatChart.__and__(self, other)


@contextmanager
def _zooming_as_one() -> Iterator[None]:
    """Altair warns that charts put together share their zoom: for charts of the same tokens that is what is wanted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Automatically deduplicated selection parameter")
        yield


def inline_data(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Rows as Altair's data, which it puts into a specification as they are.

    Altair holds all else that it is given against its schema, field by field: of thousands of rows for seconds.
    """
    with alt.utils.schemapi.debug_mode(False):
        return alt.InlineData(values=rows)


def _in_marimo() -> bool:
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


def _live(spec: dict[str, Any]) -> dict[str, Any]:
    return {_VEGA_LITE: {**spec, "$schema": _SCHEMA}}


def _bundle(spec: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A spec for the Vega that a notebook brings, and a picture for where there is none (with the extra for it)."""
    data = {**_live(spec), "text/plain": spec.get("description", "a chart")}
    if not has_extra("vl_convert"):
        return data, {}
    import vl_convert

    picture = png.smaller(vl_convert.vegalite_to_png(spec, scale=_PICTURE_SCALE))
    width, height = png.size(picture)
    data["image/png"] = base64.b64encode(picture).decode()
    # Without its size the picture would be shown twice as large.
    return data, {"image/png": {"width": width // _PICTURE_SCALE, "height": height // _PICTURE_SCALE}}
