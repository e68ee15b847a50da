"""The static form of a widget, for pages on which the widget cannot run, and its form as a page of its own.

Jupyter shows one form of an output and prefers a widget even if its model no longer exists: a notebook opened again
says "model not found", although the same output has the coloured text. So there are two outputs. The first has the
static form and is hidden as soon as the widget is on the page (``js/src/host/fallback.ts``); the second is the widget.
"""

from __future__ import annotations

import html
import re
import secrets
import weakref
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import traitlets

from ..notebook import kernel_shell
from ..paths import as_file, write_file
from ..render.arguments import check_title
from ..render.assets import read_asset
from ..render.saved_page import saved_page

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

_WIDGET = "application/vnd.jupyter.widget-view+json"
# In a running Jupyter the widget follows after a moment: without a delay the static form would flash up. If there is no
# widget, Jupyter's message about it (in an output of class jupyter-widgets) is hidden. That rule names each level so it
# cannot match an output around this one. It leaves the page with the static form: each `:has()` slows a page down.
_STYLE = (
    "<style>@keyframes deluge-wait{from,to{max-height:0;overflow:hidden;visibility:hidden}}"
    ".jp-NotebookPanel .deluge-still{animation:deluge-wait 1.5s}"
    ".jp-OutputArea-child:has(>.jp-OutputArea-output>.deluge-still)"
    "+.jp-OutputArea-child:has(>.jp-OutputArea-output.jupyter-widgets)"
    "{display:none}</style>"
)


class FallbackWidget(anywidget.AnyWidget):
    """A widget with a static form, HTML or text, for pages on which it cannot run; it can be saved as a page."""

    link = traitlets.Unicode().tag(sync=True)
    """The name by which the page finds the widget's static form and the charts linked to it."""

    # As traits of the class: anywidget keeps every widget alive whose files it watches.
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    _script: ClassVar[str] = "view.js"
    """The widget's script."""

    _page_assets: ClassVar[tuple[str, str]] = ("page.js", "view.css")
    """The script of a saved page, and the stylesheet of both."""

    _is_freed = False

    @traitlets.default("_esm")
    def _read_script(self) -> str:
        return read_asset(self._script)

    @traitlets.default("_css")
    def _read_style(self) -> str:
        return read_asset(self._page_assets[1])

    @traitlets.default("link")
    def _random_link(self) -> str:
        return secrets.token_hex(4)

    @property
    def model_id(self) -> str:
        """The identifier of the widget's model; a widget that was freed gets its model back."""
        if self._is_freed:
            self._is_freed = False
            # Closing a widget hides its class's method.
            vars(self).pop("_repr_mimebundle_", None)
            if self.layout.comm is None:
                self.layout.open()
            self.open()
        return super().model_id

    def _free(self) -> None:
        """Remove the model from kernel and browser, until the widget is displayed again."""
        if not self._is_freed and self.comm is not None:
            self.close()
            self._is_freed = True
            # In the browser the model of the layout refers to the view's elements.
            if not any(getattr(other, "layout", None) is self.layout for other in _live_widgets()):
                self.layout.close()

    def save_html(self, path: str | Path, *, title: str | None = None) -> None:
        """Write the widget as one HTML page that needs neither kernel nor network.

        Parameters
        ----------
        path
            The file to write.
        title
            The title of the page; by default that of the widget.

        Raises
        ------
        OSError
            When the file cannot be written.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from deluge_nb import LogprobView
        >>> with TemporaryDirectory() as folder:
        ...     page = Path(folder, "answer.html")
        ...     LogprobView([{"token": "Paris", "logprob": -0.1}], title="Capitals").save_html(page)
        ...     "<title>Capitals</title>" in page.read_text(encoding="utf-8")
        True
        """
        as_file(path)  # raises before the page is made
        title = check_title(title)
        changed, text = self._page_state()
        state = {**own_state(self), **changed}
        widget: Any = self
        script, style = self._page_assets
        page = saved_page(state, title=title or widget.title, text=text, script=script, style=style)
        write_file(path, page)

    def _page_state(self) -> tuple[dict[str, Any], str]:
        """Return the traits that differ in a saved page, and the text that it shows without scripts."""
        raise NotImplementedError

    def _static_forms(self) -> dict[str, str]:
        """Return the static forms, keyed by MIME type."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = self._widget_bundle(**options)
        return bundle and ({**bundle[0], **self._static_forms()}, bundle[1])

    def _widget_bundle(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the MIME bundle of the widget alone, as its base class displays it; None if it has no view."""
        return super()._repr_mimebundle_(**options)

    def _ipython_display_(self) -> None:
        require_kernel()
        display_with_fallback(self)


def own_state(widget: FallbackWidget) -> dict[str, Any]:
    """Return the values of the traits that a kind of widget shares with its script, without those of all widgets."""
    known: Any = widget
    return known.get_state(own_names(type(widget)))


def own_names(kind: type[FallbackWidget]) -> list[str]:
    """Return the names of the traits that a kind of widget shares with its script, without those of all widgets."""
    inherited = {*anywidget.AnyWidget.class_traits(), *FallbackWidget.class_traits()}
    return [name for name in kind.class_traits(sync=True) if name not in inherited and not name.startswith("_")]


def release(widget: FallbackWidget) -> None:
    """Remove the model of a widget from kernel and browser; displaying the widget brings it back."""
    widget._free()


def require_kernel() -> None:
    """Raise if there is no kernel, so that IPython chooses a form itself.

    Raises
    ------
    NotImplementedError
        When there is no kernel; IPython then tries the other forms.
    """
    if kernel_shell() is None:
        raise NotImplementedError


def display_with_fallback(widget: FallbackWidget) -> DisplayHandle:
    """Display a widget and, before it, its static form; return the handle of the static form."""
    from IPython.display import DisplayHandle, display

    _displays.add(widget)
    handle = DisplayHandle()
    handle.display(_fallback(widget), raw=True)
    if bundle := widget._widget_bundle():
        # Converters warn about an output in which they know no form; the empty HTML is a form they know.
        display({_WIDGET: bundle[0][_WIDGET], "text/html": ""}, raw=True, metadata=bundle[1])
    return handle


def update_fallback(widget: FallbackWidget, handle: DisplayHandle) -> None:
    """Replace the static form that was displayed by the current one."""
    handle.update(_fallback(widget), raw=True)


def _fallback(widget: FallbackWidget) -> dict[str, str]:
    forms = widget._static_forms()
    name = html.escape(str(widget.link), quote=True)
    page = f'<div class="deluge-still" data-link="{name}">{_STYLE}{_only_static(forms["text/html"])}</div>'
    return {**forms, "text/html": page}


def _only_static(form: str) -> str:
    """Return a static form whose stylesheet matches no element of a widget.

    Browsers style every element anew that a rule of a stylesheet matches which comes or goes, and each view brings the
    stylesheet of its static form. With rules that matched the widgets too, the two-hundredth view of a notebook took
    twice the first one's time.
    """
    return re.sub("(?s)(?<=<style>).*?(?=</style>)", lambda rules: for_static(rules[0]), form)


@cache
def for_static(rules: str) -> str:
    """Return the rules of a stylesheet for static forms only; what they say of the page's body stays about that."""
    rules = re.sub(r"(?<=[},])(body[^ ,{]*) (?=[.])", r"\1 & ", rules)
    # Most elements are tokens. Those of a widget have numbers, which is seen sooner than where they stand.
    rules = re.sub(r"\.deluge-(?:token|marked|unknown|h\d+)\b", r"\g<0>:where(:not([data-token]))", rules)
    return f".deluge-still{{{rules}}}"


class _Displays:
    """The widgets that each cell of a notebook displays. When a cell runs again, those of its last run are freed."""

    def __init__(self) -> None:
        self._by_cell: dict[str, weakref.WeakSet[FallbackWidget]] = {}
        self._shell: Any = None

    def add(self, widget: FallbackWidget) -> None:
        """Remember that the cell that runs displays a widget, if the host says which cell that is."""
        from IPython.core.getipython import get_ipython

        shell: Any = get_ipython()
        parent = getattr(shell, "get_parent", dict)() or {}
        cell = parent.get("metadata", {}).get("cellId")
        if not cell or _is_captured(parent["header"]["msg_id"]):
            return
        if self._shell is not shell:
            self._shell = shell
            shell.events.register("pre_run_cell", self._free_last_run)
        self._by_cell.setdefault(cell, weakref.WeakSet()).add(widget)

    def _free_last_run(self, info: Any) -> None:
        # Code that a cell runs by itself has no cell id.
        for widget in self._by_cell.pop(getattr(info, "cell_id", None) or "", ()):
            if not any(widget in others for others in self._by_cell.values()) and not _is_contained(widget):
                widget._free()


_displays = _Displays()


def _live_widgets() -> list[Any]:
    from ipywidgets.widgets import widget

    return list(getattr(widget, "_instances", {}).values())


def _is_captured(message: str) -> bool:
    """Return whether an ``Output`` widget takes what the message's code displays: running a cell may not clear that."""
    return any(getattr(other, "msg_id", "") == message for other in _live_widgets())


def _is_contained(widget: FallbackWidget) -> bool:
    return any(widget in getattr(other, "children", ()) for other in _live_widgets())
