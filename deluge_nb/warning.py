"""Warn the caller of this package, through however many of its own functions."""

from __future__ import annotations

import sys
import warnings

# A context manager of the package is entered by way of contextlib.
_SKIPPED = (__name__.partition(".")[0], "contextlib")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that names the line of the caller's code that led to it.

    Python's filters, such as once for each line, then work as users expect.

    Parameters
    ----------
    message
        One sentence.
    category
        Class of the warning.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _SKIPPED:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
