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
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any

import altair as alt

from ..errors import invalid_argument
from ..extras import has_extra
from ..render.picture import png
from .chart_link import with_named_views
from .page import escape_pages, guard_specs, is_page, page_settings, save_page, saved_format, with_notice
from .width import for_notebook, for_picture

# JupyterLab 4 includes Vega-Lite 5.6, so specifications must not use newer features.
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_VEGA_LITE = "application/vnd.vegalite.v5+json"
_PICTURE_SCALE = 2
_IS_NARROW = "containerSize()[0] < 560"
# Vega gives the two rectangles of a selection a role and no name: for screen readers they are images without a text.
# Vega-Lite names the marks of data itself, so a default of Vega, which Vega-Lite must not see, names only these two.
_NAMED_SELECTIONS = [{"op": "add", "path": "/config/rect", "value": {"description": "selection"}}]
# Axes, titles and legends have the ink of the host's theme, and the ground is the page's. The keys are those that
# Altair's themes set, so that a theme of the user replaces all of them.
_LIVE: dict[str, Any] = {
    "usermeta": {"embedOptions": {"patch": _NAMED_SELECTIONS}},
    "config": {
        "background": "transparent",
        # Numbers as in the view: 50 %. The other keys are Vega's own; it takes all or none.
        "locale": {
            "number": {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["$", ""], "percent": " %"}
        },
        "padding": 8,
        "view": {"stroke": None},
        "axis": {"labelFontSize": 12, "titleFontSize": 12, "gridOpacity": 0.35},
        # In a narrow chart long labels of one axis leave little room to the other, and to the legend above it: both
        # reach back over the labels. Not by the signal `width`, which changes after the height is settled.
        "axisX": {
            "labelBound": 6,
            "labelSeparation": 6,
            "titleAnchor": {"expr": f"{_IS_NARROW} ? 'end' : 'middle'"},
        },
        "title": {"anchor": "start", "frame": "bounds"},
        "legend": {
            "labelFontSize": 12,
            "titleFontSize": 12,
            "columns": {"expr": f"{_IS_NARROW} ? 1 : 4"},
            "layout": {"top": {"anchor": {"signal": f"{_IS_NARROW} ? 'end' : 'start'"}}},
        },
    },
}
# A picture is seen on any page, and cannot follow its theme.
_INK = "#3c444d"
_PICTURE: dict[str, Any] = {
    "config": {
        **_LIVE["config"],
        "background": "white",
        "axis": {**_LIVE["config"]["axis"], "domainColor": "#a0a8b0", "gridColor": "#a0a8b0", "tickColor": "#a0a8b0"},
        "title": {**_LIVE["config"]["title"], "color": _INK, "subtitleColor": _INK},
        "style": {"guide-label": {"fill": _INK}, "guide-title": {"fill": _INK}},
    },
}
# Elements have the ink of the page's text, also when its theme changes later. A canvas keeps that of its first drawing,
# but draws thousands of marks faster.
_TEXT = "currentColor"
_ELEMENTS: dict[str, Any] = {
    "usermeta": {"embedOptions": {"renderer": "svg"}},
    "config": {
        "axis": {
            "domainColor": _TEXT,
            "domainOpacity": 0.5,
            "gridColor": _TEXT,
            "gridOpacity": 0.12,
            "tickColor": _TEXT,
            "tickOpacity": 0.5,
        },
        "title": {"color": _TEXT, "subtitleColor": _TEXT},
        "style": {"guide-label": {"fill": _TEXT}, "guide-title": {"fill": _TEXT}},
    },
}
_MOST_ELEMENTS = 1500
# Conversions in a row that may fail for earlier charts.
_MOST_FAILURES = 50
_PICTURES = frozenset({"png", "svg", "pdf"})
_draws_picture: ContextVar[bool] = ContextVar("_draws_picture", default=False)


@contextmanager
def _as_picture() -> Iterator[None]:
    """Make the specifications of charts those of pictures: white ground, dark ink, and a width in pixels."""
    token = _draws_picture.set(True)
    try:
        yield
    finally:
        _draws_picture.reset(token)


class _Offline:
    """Mixin of charts that display offline, alone or concatenated with other charts."""

    def to_dict(self, *args: Any, **kwargs: Any) -> Any:
        spec = super().to_dict(*args, **kwargs)  # type: ignore[missing-attribute]
        if "vega-lite" not in spec.get("$schema", ""):  # part of another chart, and may not have a style
            return spec
        spec = with_named_views(spec)
        if _draws_picture.get():
            return alt.utils.update_nested(_PICTURE, for_picture(spec), copy=True)
        style = alt.utils.update_nested(_LIVE, _ELEMENTS, copy=True) if _count_rows(spec) <= _MOST_ELEMENTS else _LIVE
        return alt.utils.update_nested(style, spec, copy=True)

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        if alt.renderers.active == "jupyter":
            return _widget(self)
        if alt.renderers.active != "default":  # chosen by the user
            with _as_picture() if alt.renderers.active in _PICTURES else nullcontext():
                return super()._repr_mimebundle_(*args, **kwargs)  # type: ignore[missing-attribute]
        # marimo includes Vega, but prefers a picture to it.
        return _live(self.to_dict()) if _in_marimo() else _bundle(self)

    def to_html(self, *args: Any, **settings: Any) -> str:
        if not args:
            settings = page_settings(settings)
        page = super().to_html(*args, **settings)  # type: ignore[missing-attribute]
        return page if settings.get("inline") else with_notice(page, settings)

    def save(self, fp: Any, format: Any = None, *args: Any, **settings: Any) -> None:
        save = super().save  # type: ignore[missing-attribute]
        if args or not is_page(fp, format):
            with _as_picture() if saved_format(fp, format) in _PICTURES else nullcontext():
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


class OfflineConcatChart(_Offline, alt.ConcatChart):
    """Offline charts that flow into rows."""


class OfflineFacetChart(_Offline, alt.FacetChart):
    """One offline chart for each value of a field."""


class OfflineRepeatChart(_Offline, alt.RepeatChart):
    """One offline chart for each of several fields."""


_CLASSES: tuple[tuple[type, type], ...] = (
    (alt.Chart, OfflineChart),
    (alt.LayerChart, OfflineLayerChart),
    (alt.HConcatChart, OfflineHConcatChart),
    (alt.VConcatChart, OfflineVConcatChart),
    (alt.ConcatChart, OfflineConcatChart),
    (alt.FacetChart, OfflineFacetChart),
    (alt.RepeatChart, OfflineRepeatChart),
)


def offline(chart: Any) -> Any:
    """Return an Altair chart that is displayed without a network, as the charts of this package are.

    JupyterLab, Notebook and marimo draw it with the Vega that they include, on the ground of the page. A picture goes
    with it for pages that run no scripts, if the extra ``pictures`` is installed.

    Parameters
    ----------
    chart
        Any chart of Altair: single, layered, concatenated, faceted or repeated. It is not changed.

    Returns
    -------
    altair.TopLevelMixin
        The same chart, of a class that inherits from the chart's own in Altair.

    Raises
    ------
    SettingError
        When `chart` is not a chart of Altair, or loads its data from an address.

    Examples
    --------
    >>> import altair as alt
    >>> from deluge_nb import offline
    >>> points = alt.Chart(alt.InlineData(values=[{"x": 1}, {"x": 2}])).mark_point().encode(x="x:Q")
    >>> data, _ = offline(points)._repr_mimebundle_()
    >>> sorted(data)
    ['application/vnd.vegalite.v5+json', 'image/png', 'text/plain']
    """
    if isinstance(chart, _Offline):
        return chart
    kind = next((ours for theirs, ours in _CLASSES if isinstance(chart, theirs)), None)
    if kind is None:
        raise invalid_argument("chart", chart, "a chart of Altair")
    address = _address(chart.to_dict())
    if address is not None:
        raise invalid_argument("chart", address, "a chart that contains its data instead of loading them")
    copied = chart.copy(deep=False)
    object.__setattr__(copied, "__class__", kind)
    return copied


def _count_rows(part: Any) -> int:
    """Return the number of rows of data in a specification."""
    if isinstance(part, list):
        return sum(map(_count_rows, part))
    if not isinstance(part, dict):
        return 0
    rows = part["values"] if isinstance(part.get("values"), list) else ()
    datasets = part.get("datasets", {}).values() if isinstance(part.get("datasets"), dict) else ()
    inner = (_count_rows(value) for name, value in part.items() if name not in ("values", "datasets"))
    return len(rows) + sum(map(len, datasets)) + sum(inner)


def _address(part: Any) -> str | None:
    """Return the first address from which a specification loads data."""
    if isinstance(part, list):
        return next(filter(None, map(_address, part)), None)
    if not isinstance(part, dict):
        return None
    data = part.get("data")
    if isinstance(data, dict) and isinstance(data.get("url"), str) and not data["url"].startswith("data:"):
        return data["url"]
    return next(filter(None, (_address(value) for name, value in part.items() if name != "datasets")), None)


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
    return {_VEGA_LITE: {**for_notebook(spec), "$schema": _SCHEMA}}


def _bundle(chart: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the MIME bundle and its metadata: a specification for Vega, and a picture if the extra is installed."""
    spec = chart.to_dict()
    data = {**_live(spec), "text/plain": spec.get("description", "a chart")}
    if not has_extra("vl_convert"):
        return data, {}
    import vl_convert

    picture = None
    for _ in range(2):  # the first may fail for a chart that was drawn before
        with _as_picture():
            try:
                picture = png.smaller(vl_convert.vegalite_to_png(chart.to_dict(), scale=_PICTURE_SCALE))
                break
            except ValueError:
                _take_failures(vl_convert)
    if picture is None:  # such as one of a chart with a link that Vega refuses to follow
        return data, {}
    width, height = png.size(picture)
    data["image/png"] = base64.b64encode(picture).decode()
    # The size in CSS pixels; without it the picture would be shown twice as large.
    return data, {"image/png": {"width": width // _PICTURE_SCALE, "height": height // _PICTURE_SCALE}}


def _take_failures(vl_convert: Any) -> None:
    """Draw nothing until that succeeds: each failure of vl-convert is reported once more, by a conversion after it."""
    nothing: dict[str, Any] = {"$schema": _SCHEMA, "data": {"values": []}, "mark": "point"}
    for _ in range(_MOST_FAILURES):
        with suppress(ValueError):
            vl_convert.vegalite_to_svg(nothing)
            return
