"""Check the arguments that the functions of this package share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import invalid_argument


def check_title(title: Any) -> None:
    """Check that a title is a text or None.

    Raises
    ------
    SettingError
        When it is neither.
    """
    if title is not None and not isinstance(title, str):
        raise invalid_argument("title", title, "a text or None")


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


def as_file(path: Any) -> Path:
    """Return the path of a file to write.

    Raises
    ------
    SettingError
        When it is no path, or that of a folder.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise invalid_argument("path", path, "the path of a file to write")
    file = Path(path)
    if file.is_dir():
        raise invalid_argument("path", path, "the path of a file, and this is a folder")
    return file
