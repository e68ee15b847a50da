"""``%deluge course``: the lessons, and a copy of one of them."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError

from ..errors import DelugeError


class Copied:
    """The copy of a lesson's notebook that was just made, for display."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"{self._name} is in this folder now: open it in the file browser."


def course(words: list[str]) -> Any:
    """Return the list of lessons, or copy the lesson whose number is given into the working folder.

    Raises
    ------
    UsageError
        When there is no such lesson, or the folder has a file of its name or cannot be written.
    """
    from ..lab.catalog import Catalog, copy_lesson, read_number

    if not words:
        return Catalog()
    number = read_number(words)
    if number is None:
        given = " ".join(words)
        raise UsageError(f"%deluge course takes the number of a lesson, as in %deluge course 5, not {given!r}.")
    try:
        return Copied(copy_lesson(number).name)
    except DelugeError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"The lesson cannot be copied into this folder ({error.strerror}).") from None
