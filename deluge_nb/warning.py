"""Warn the caller of this package, through however many of its own functions."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

# A context manager of the package is entered by way of contextlib.
_SKIPPED = (__name__.partition(".")[0], "contextlib")

_is_part = ContextVar("is_part", default=False)


@contextlib.contextmanager
def in_part() -> Iterator[None]:
    """Leave warnings that count rows to the caller, which asks its rows in parts and counts them all."""
    token = _is_part.set(True)
    try:
        yield
    finally:
        _is_part.reset(token)


def warn_of_rows(message: str) -> None:
    """Issue a warning that counts the rows of a call, as :func:`warn` does; nothing within :func:`in_part`.

    Parameters
    ----------
    message
        One sentence.
    """
    if not _is_part.get():
        warn(message)


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
