"""Show the package's widgets live on pages of the site, without a kernel and without a network.

``examples/demo.py --refresh`` keeps the traits of each notebook's widgets in docs/live. Here they follow the static
output of the widget in the notebook's page, or an image that ``live_images`` in conf.py names. ``_static/live.js`` runs
them with the package's own bundle; where scripts are off, the static output or the image stays.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

import deluge_nb

STATES = Path(__file__).parents[1] / "live"
BUNDLES = Path(deluge_nb.__file__).parent / "static"
SOURCES = "deluge-bundles.js"

_LINK = re.compile(r'class="deluge-still" data-link="(\w+)"')


@cache
def states(notebook: str) -> dict[str, Any]:
    """Return the widgets of a notebook, in order, by the name their static outputs carry."""
    file = STATES / f"{notebook}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def write_bundles(app: Sphinx) -> None:
    """Write the bundles as a plain script: a page that is opened from a file may not load modules."""
    kinds = ("view", "compare")
    sources = {
        kind: [(BUNDLES / f"{kind}.{end}").read_text(encoding="utf-8") for end in ("js", "css")] for kind in kinds
    }
    folder = Path(app.outdir) / "_static"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SOURCES).write_text(f"window.delugeBundles = {json.dumps(sources)};\n", encoding="utf-8")


def add_widgets(app: Sphinx, document: nodes.document) -> None:
    """Put a widget behind each static output, and behind each image that has one."""
    page = app.env.docname
    if page.startswith("notebooks/"):
        notebook = page.removeprefix("notebooks/")
        app.env.note_dependency(str(STATES / f"{notebook}.json"))
        for output in list(document.findall(nodes.raw)):
            for link in _LINK.findall(output.astext()):
                if link in states(notebook):
                    _insert(output, states(notebook)[link])
    for image in list(document.findall(nodes.image)):
        name = Path(image["uri"]).name
        if name in app.config.live_images:
            notebook, position = app.config.live_images[name]
            app.env.note_dependency(str(STATES / f"{notebook}.json"))
            fallback = nodes.container("", classes=["deluge-live-fallback"])
            image.replace_self(fallback)
            fallback += image
            _insert(fallback, list(states(notebook).values())[position])


def _insert(before: nodes.Element, state: dict[str, Any]) -> None:
    data = json.dumps(state).replace("<", "\\u003c")
    html = f'<div class="deluge-live"><script type="application/json">{data}</script></div>'
    parent = before.parent
    parent.insert(parent.index(before) + 1, nodes.raw("", html, format="html"))


def add_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Load the scripts on pages that have a widget."""
    if 'class="deluge-live"' in context.get("body", ""):
        app.add_js_file(SOURCES, loading_method="defer")
        app.add_js_file("live.js", loading_method="defer")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to the build."""
    app.add_config_value("live_images", {}, "env", dict)
    app.connect("builder-inited", write_bundles)
    app.connect("doctree-read", add_widgets)
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
