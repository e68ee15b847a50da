"""Altair charts that work offline: their classes, colours and MIME bundle.

They are live in JupyterLab and Notebook, which include Vega-Lite 5, and a picture where there is no Vega. (Altair's
default loads Vega from a server, and newer versions of Altair ask for a Vega-Lite that JupyterLab does not have.)
"""

from __future__ import annotations

import base64
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import altair as alt

from ..extras import has_extra
from ..render.picture import png
from .chart_link import with_named_views
from .page import escape_pages, guard_specs, is_page, page_settings, save_page, with_notice

# JupyterLab 4 includes Vega-Lite 5.6, so specifications must not use newer features.
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_VEGA_LITE = "application/vnd.vegalite.v5+json"
_PICTURE_SCALE = 2
# Orange for uncertain, blue-grey for certain, as in the widget; distinguishable with colour blindness too.
HEAT, PALE, CALM, INK = "#e07b1f", "#f6d3ad", "#6f8fb3", "#3c444d"
# White in every theme of the notebook, because Vega draws dark text on a transparent background. The keys are those
# that Altair's themes set, so that a theme of the user replaces all of them.
_STYLE: dict[str, Any] = {
    "config": {
        "background": "white",
        "padding": 8,
        "view": {"stroke": None},
        "axis": {"domainColor": "#a0a8b0", "gridColor": "#e6e9ec", "tickColor": "#a0a8b0"},
        "title": {"color": INK, "subtitleColor": INK},
        "style": {"guide-label": {"fill": INK}, "guide-title": {"fill": INK}},
    },
}


class _Offline:
    """Mixin of charts that display offline, alone or concatenated with other charts."""

    def to_dict(self, *args: Any, **kwargs: Any) -> Any:
        spec = super().to_dict(*args, **kwargs)  # type: ignore[missing-attribute]
        if "vega-lite" not in spec.get("$schema", ""):  # part of another chart, and may not have a style
            return spec
        return alt.utils.update_nested(_STYLE, with_named_views(spec), copy=True)

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        if alt.renderers.active == "jupyter":
            return _widget(self)
        if alt.renderers.active != "default":  # chosen by the user
            return super()._repr_mimebundle_(*args, **kwargs)  # type: ignore[missing-attribute]
        spec = self.to_dict()
        # marimo includes Vega, but prefers a picture to it.
        return _live(spec) if _in_marimo() else _bundle(spec)

    def to_html(self, *args: Any, **settings: Any) -> str:
        if not args:
            settings = page_settings(settings)
        page = super().to_html(*args, **settings)  # type: ignore[missing-attribute]
        return page if settings.get("inline") else with_notice(page, settings)

    def save(self, fp: Any, format: Any = None, *args: Any, **settings: Any) -> None:
        save = super().save  # type: ignore[missing-attribute]
        if args or not is_page(fp, format):
            save(fp, format, *args, **settings)
        else:
            save_page(save, fp, settings)

    def __and__(self, other: Any) -> Any:
        charts: list[Any] = [self, other]
        with _shared_zoom():
            return OfflineVConcatChart(vconcat=charts)

    def __or__(self, other: Any) -> Any:
        charts: list[Any] = [self, other]
        with _shared_zoom():
            return OfflineHConcatChart(hconcat=charts)


class OfflineChart(_Offline, alt.Chart):
    """Altair chart that works offline."""

    def __add__(self, other: Any) -> Any:
        charts: list[Any] = [self, other]
        return OfflineLayerChart(layer=charts)


class OfflineLayerChart(_Offline, alt.LayerChart):
    """Offline charts in layers."""


class OfflineHConcatChart(_Offline, alt.HConcatChart):
    """Offline charts side by side."""

    def __or__(self, other: Any) -> Any:
        with _shared_zoom():
            return alt.HConcatChart.__or__(self, other)  # a third chart extends the row


class OfflineVConcatChart(_Offline, alt.VConcatChart):
    """Offline charts one below the other."""

    def __and__(self, other: Any) -> Any:
        with _shared_zoom():
            return alt.VConcatChart.__and__(self, other)


escape_pages()
guard_specs(_Offline)


@contextmanager
def _shared_zoom() -> Iterator[None]:
    """Suppress Altair's warning that concatenated charts share their zoom, which charts of the same tokens should."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Automatically deduplicated selection parameter")
        yield


def inline_data(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Return rows as Altair's inline data, without validation.

    Altair would validate every field against its schema, which takes seconds for thousands of rows.
    """
    with alt.utils.schemapi.debug_mode(False):
        return alt.InlineData(values=rows)


def label_expr(names: Sequence[str]) -> str:
    """Return a Vega expression from an index to a name, in which JSON's texts are literals.

    The space before each literal is cut off again: Vega fails at literals such as "constructor", which are names of
    properties that every object of JavaScript has.
    """
    return f"slice({json.dumps([f' {name}' for name in names])}[datum.value], 1)"


def _in_marimo() -> bool:
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


def _widget(chart: Any) -> Any:
    """Return what Altair's renderer "jupyter" shows, without its validation: that refuses the signals of a link."""
    options = alt.renderers.options
    alt.JupyterChart.enable_offline(options.get("offline", False))
    return alt.JupyterChart(chart, embed_options=options.get("embed_options"))._repr_mimebundle_()


def _live(spec: dict[str, Any]) -> dict[str, Any]:
    return {_VEGA_LITE: {**spec, "$schema": _SCHEMA}}


def _bundle(spec: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the MIME bundle and its metadata: a specification for Vega, and a picture if the extra is installed."""
    data = {**_live(spec), "text/plain": spec.get("description", "a chart")}
    if not has_extra("vl_convert"):
        return data, {}
    import vl_convert

    picture = png.smaller(vl_convert.vegalite_to_png(spec, scale=_PICTURE_SCALE))
    width, height = png.size(picture)
    data["image/png"] = base64.b64encode(picture).decode()
    # The size in CSS pixels; without it the picture would be shown twice as large.
    return data, {"image/png": {"width": width // _PICTURE_SCALE, "height": height // _PICTURE_SCALE}}
