"""What stands in for a widget where there is none, in an output of its own before the widget's.

Jupyter shows one form of an output, and a widget rather than any other, even where the widget is not there: a saved
notebook that is opened again says "model not found" over the coloured text that lies beside it. Hence two outputs. The
first has the text, and goes as soon as the widget is on the page (``js/src/host/fallback.ts``); the second is the
widget.
"""

from __future__ import annotations

import html
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import traitlets

from ..render.saved_page import page

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

_WIDGET = "application/vnd.jupyter.widget-view+json"
# In a running Jupyter the widget is there after a moment, and the text would only flash up. Where the widget is not to
# be had, what Jupyter says of it (in an output of class jupyter-widgets) has nothing to add to what stands above it.
_STYLE = (
    "<style>@keyframes deluge-wait{from,to{max-height:0;overflow:hidden;visibility:hidden}}"
    ".jp-NotebookPanel .deluge-still{animation:deluge-wait 1.5s}"
    ".jp-OutputArea-child:has(.deluge-still)+.jp-OutputArea-child:has(>.jp-OutputArea-output.jupyter-widgets)"
    "{display:none}</style>"
)


class Beside(traitlets.HasTraits):
    """A widget with static forms; to be put before the widget's own class."""

    link = traitlets.Unicode().tag(sync=True)
    """The name by which a page finds what belongs to the widget: what stands in for it, and linked charts."""

    @traitlets.default("link")
    def _any_name(self) -> str:
        return secrets.token_hex(4)

    _page: ClassVar[tuple[str, str]] = ("page.js", "view.css")
    """The script and the stylesheet of a saved page."""

    def save_html(self, path: str | Path, *, title: str | None = None) -> None:
        """Write one page that shows all this does, and needs no kernel and no network.

        Parameters
        ----------
        path
            Where to write it.
        title
            The page's title; by default that of the widget.

        Raises
        ------
        OSError
            When the file cannot be written.
        """
        inherited = {*anywidget.AnyWidget.class_traits(), *Beside.class_traits()}
        own = [name for name in self.class_traits(sync=True) if name not in inherited and not name.startswith("_")]
        changed, text = self._saved()
        widget: Any = self
        state = {**widget.get_state(own), **changed}
        script, style = self._page
        whole = page(state, title=title or widget.title, text=text, script=script, style=style)
        Path(path).write_text(whole, encoding="utf-8")

    def _saved(self) -> tuple[dict[str, Any], str]:
        """The traits that are others on a page by itself, and the text that stands there where scripts are not run."""
        raise NotImplementedError

    def _static(self) -> dict[str, str]:
        """The static forms by their MIME types."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> Any:
        found = self._bare(**options)
        return found and ({**found[0], **self._static()}, found[1])

    def _bare(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The widget as its own class displays it; None where it has no view."""
        return super()._repr_mimebundle_(**options)  # type: ignore[missing-attribute]

    def _ipython_display_(self) -> None:
        only_in_a_kernel()
        show(self)


def only_in_a_kernel() -> None:
    """Leave the choice of a form to IPython, where there is no kernel.

    Raises
    ------
    NotImplementedError
        Which is how IPython is told.
    """
    from IPython.core.getipython import get_ipython

    if not hasattr(get_ipython(), "kernel"):
        raise NotImplementedError


def show(widget: Beside) -> DisplayHandle:
    """Display a widget, and what stands in for it; gives the handle of the latter."""
    from IPython.display import DisplayHandle, display

    handle = DisplayHandle()
    handle.display(_still(widget), raw=True)
    if found := widget._bare():
        # Converters complain of an output of which they can show nothing; this is nothing that they can show.
        display({_WIDGET: found[0][_WIDGET], "text/html": ""}, raw=True, metadata=found[1])
    return handle


def show_again(widget: Beside, handle: DisplayHandle) -> None:
    """Put what stands in for a widget in the place of what stood there."""
    handle.update(_still(widget), raw=True)


def _still(widget: Beside) -> dict[str, str]:
    forms = widget._static()
    name = html.escape(str(widget.link), quote=True)
    shown = f'<div class="deluge-still" data-link="{name}">{_STYLE}{forms["text/html"]}</div>'
    return {**forms, "text/html": shown}
