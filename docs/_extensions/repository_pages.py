"""Show files of the repository that lie outside docs/ as pages, and keep relative links right on GitHub and here.

The example notebooks, the changelog and the contributor's guide are copied below docs/ when a build begins (git ignores
the copies). A link to a file that is no page of the site becomes plain text, and so does a link to a page of the host:
the changelog's comparisons of versions.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePosixPath

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

ROOT = Path(__file__).parents[2]
PAGES = {
    "examples/notebooks/01_first_look.ipynb": "notebooks/01_first_look.ipynb",
    "examples/notebooks/02_reading_an_answer.ipynb": "notebooks/02_reading_an_answer.ipynb",
    "examples/notebooks/03_four_hundred_tickets.ipynb": "notebooks/03_four_hundred_tickets.ipynb",
    "examples/notebooks/04_fifty_thousand_rows.ipynb": "notebooks/04_fifty_thousand_rows.ipynb",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
}
"""Files of the repository, and the place of each below docs/."""

# `[name]: target` on a line of its own.
_DEFINITION = re.compile(r"^\[([^\]]+)\]: (?!\w+:)\S+$\n?", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?\)")


def copy_pages(app: Sphinx) -> None:
    """Copy the files that have changed since they were last copied."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        target = Path(app.srcdir) / page
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")


def rewrite_links(app: Sphinx, page: str, content: list[str]) -> None:
    """Point the links of a page to pages of the site."""
    copied = {target: source for source, target in PAGES.items()}
    path = app.env.doc2path(page, base=False)
    origin = PurePosixPath(copied.get(str(path), f"docs/{path}"))
    if origin.suffix == ".ipynb":
        notebook = json.loads(content[0])
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = _rewritten("".join(cell["source"]), origin)
        content[0] = json.dumps(notebook)
    elif origin.suffix == ".md":
        content[0] = _rewritten(content[0], origin)


def _rewritten(text: str, origin: PurePosixPath) -> str:
    def link(match: re.Match[str]) -> str:
        target = os.path.normpath(origin.parent / match[2]).replace(os.sep, "/")
        page = PAGES.get(target) or ("index.md" if target == "README.md" else target.removeprefix("docs/"))
        inside = target in PAGES or target == "README.md" or target.startswith("docs/")
        return f"[{match[1]}](/{page}{match[3] or ''})" if inside else match[1]

    for name in _DEFINITION.findall(text):
        text = _DEFINITION.sub("", text).replace(f"[{name}]", name)
    return _LINK.sub(link, text)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Copy before pages are looked for; rewrite as each is read."""
    app.connect("builder-inited", copy_pages)
    app.connect("source-read", rewrite_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
