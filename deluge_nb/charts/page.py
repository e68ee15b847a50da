"""Write charts as HTML pages: no text of a chart becomes markup, and the page works offline where it can.

Altair puts the specification into a script element and escapes nothing, so that a token ``</script>`` ends the script
and the text after it becomes markup. Altair serializes in one place, for saved pages and for all renderers that write
HTML. The rule is applied there, because it must also hold for compounds of Altair's own classes (``alt.vconcat``).
"""

from __future__ import annotations

import html
import io
import json
import re
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import altair as alt
import altair.utils.html

from ..extras import has_extra, install_command
from ..printable import printable
from .width import with_numeric_parts

# Settings of a page that loads Vega from a server which the user has chosen, or that is only part of a page.
_CHOSEN = frozenset({"base_url", "fullhtml", "requirejs", "inline", "template"})
_ROOM = re.compile(r'(<div id="[^"]*">)(?=</div>)')
_NEEDS = "This chart needs Vega from {server}, which could not be reached. After {install}, saved pages work offline."
# "View Source" in the menu of a chart writes the specification into a new page without escaping it, behind this head.
# No tag ends <plaintext>: everything after it is text. A policy alone would still let tokens make elements.
_SOURCE_HEAD = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'"><plaintext>'
_SAFE_SOURCE = {"usermeta": {"embedOptions": {"sourceHeader": _SOURCE_HEAD}}}
# The fields in which Altair's compounds hold their parts.
_PARTS = ("layer", "hconcat", "vconcat", "concat", "spec")


def _dumps(value: Any, **options: Any) -> str:
    """Return JSON that can stand in a script element, or in any other place of a page's script."""
    return json.dumps(value, **options).replace("<", "\\u003c")


def escape_pages() -> None:
    """Escape every specification that Altair writes into a page; the page draws the same chart."""
    vars(altair.utils.html)["json"] = SimpleNamespace(dumps=_dumps)


def guard_specs(kind: type) -> None:
    """Make the specifications of a class, and of all compounds that hold one of its charts, safe to show anywhere.

    "View Source" shows plain text. All texts have signs in place of control characters: where a text cannot stand in
    XML, the program that makes pictures aborts the whole process.

    Altair builds its own classes of compounds (``alt.vconcat``, ``chart.facet``), and its top-level mixin is the only
    code that they share.
    """
    mixin: Any = alt.TopLevelMixin
    to_dict = mixin.to_dict

    @wraps(to_dict)
    def guarded(self: Any, *args: Any, **settings: Any) -> Any:
        spec = to_dict(self, *args, **settings)
        is_whole = "$schema" in spec  # or else it is part of another chart
        if not (is_whole and _holds(self, kind)):
            return spec
        return alt.utils.update_nested(_SAFE_SOURCE, with_numeric_parts(_printable(spec)), copy=True)

    mixin.to_dict = guarded


def _printable(part: Any) -> Any:
    """Return a part of a specification with printable texts, its data included."""
    if isinstance(part, str):
        return printable(part)
    if isinstance(part, list):
        return [_printable(value) for value in part]
    if isinstance(part, dict):
        return {name: _printable(part[name]) for name in part}
    return part


def _holds(chart: Any, kind: type) -> bool:
    """Return whether a chart is of a class or holds a chart of it, at any depth."""
    if isinstance(chart, kind):
        return True
    if isinstance(chart, list):
        return any(_holds(part, kind) for part in chart)
    return isinstance(chart, alt.SchemaBase) and any(_holds(chart._get(name), kind) for name in _PARTS)


def page_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a page with Vega embedded, if it can be and the user chose nothing else."""
    embeds = not _CHOSEN & settings.keys() and has_extra("vl_convert")
    return {**settings, "inline": True} if embeds else settings


def with_notice(page: str, settings: dict[str, Any]) -> str:
    """Return a page that says what it needs, in the place of the chart until Vega draws it."""
    server = settings.get("base_url", "https://cdn.jsdelivr.net")
    notice = html.escape(_NEEDS.format(server=server, install=install_command("vl_convert")))
    return _ROOM.sub(lambda match: match[1] + notice, page, count=1)


def save_page(chart: Any, file: str | Path | IO[Any], settings: dict[str, Any]) -> None:
    """Save a chart as a page, by the ``save`` of its Altair class."""
    settings = page_settings(settings)
    written = io.StringIO()
    chart(written, format="html", **settings)
    page = written.getvalue() if settings.get("inline") else with_notice(written.getvalue(), settings)
    if isinstance(file, str | Path):
        Path(file).write_text(page, encoding=settings.get("encoding", "utf-8"))
    else:
        file.write(page)


def saved_format(file: Any, format: str | None) -> str:
    """Return the format in which a file is to be saved, by its argument or else by its name; empty if unknown."""
    return format or (Path(file).suffix.removeprefix(".") if isinstance(file, str | Path) else "")


def is_page(file: Any, format: str | None) -> bool:
    """Return True if a file is to be saved as HTML."""
    return saved_format(file, format) == "html"
