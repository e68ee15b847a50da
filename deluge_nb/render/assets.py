"""Read the built front end: scripts and stylesheets, for the widgets, saved pages and static forms."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..errors import DelugeError

STATIC = Path(__file__).parents[1] / "static"
VIEW_STYLESHEET = "view.css"
COMPARE_STYLESHEET = "compare.css"
ROOT_CLASSES = "deluge tex2jax_ignore mathjax_ignore"
"""Classes of every element with texts of a model. Jupyter typesets dollar signs in HTML as formulas without them."""


@cache
def read_asset(name: str) -> str:
    """Return the text of a file in the built front end.

    Raises
    ------
    DelugeError
        When the file is missing.
    """
    try:
        return (STATIC / name).read_text(encoding="utf-8")
    except OSError:
        raise DelugeError(
            f"The front end's {name} is missing: it is built when the package is installed; install the package again."
        ) from None
