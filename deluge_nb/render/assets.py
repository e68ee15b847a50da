"""The built front end."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..errors import DelugeError

STATIC = Path(__file__).parents[1] / "static"


@cache
def built(name: str) -> str:
    """A file of the built front end.

    Raises
    ------
    DelugeError
        When it is not there.
    """
    try:
        return (STATIC / name).read_text(encoding="utf-8")
    except OSError:
        raise DelugeError(
            f"The front end's {name} is not there: it is built when the package is installed; install it again."
        ) from None
