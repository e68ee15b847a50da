"""Check the arguments that the functions of this package share."""

from __future__ import annotations

from typing import Any

from ..errors import invalid_argument
from ..text.glyphs import passage

# Characters of a title. Browsers take seconds for a pile of many marks.
_TITLE = 1000


def check_title(title: Any) -> str:
    """Return a title as it is drawn: cut, without control characters, and empty for None.

    Raises
    ------
    SettingError
        When it is neither a text nor None.
    """
    if title is not None and not isinstance(title, str):
        raise invalid_argument("title", title, "a text or None")
    return passage(title or "", _TITLE)


def check_columns(width: Any, least: int, most: int | None = None) -> None:
    """Check that a width is a whole number of columns.

    Raises
    ------
    SettingError
        When it is none, or outside of the range.
    """
    whole = isinstance(width, int) and not isinstance(width, bool)
    if not whole or width < least or (most is not None and width > most):
        upper = "" if most is None else f" to {most}"
        raise invalid_argument("width", width, f"a number of columns from {least}{upper}")
