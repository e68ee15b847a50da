"""The list of lessons, and copies of their notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import SettingError
from .lesson import Lesson
from .lessons import LESSONS

# The wheel has the notebooks inside the package; a checkout has them among its examples.
_PLACES = (Path(__file__).with_name("notebooks"), Path(__file__).parents[2] / "examples" / "notebooks" / "course")

# Longer numbers are no lesson, and Python refuses to read very long ones.
_DIGITS = 100


class Catalog:
    """The lessons of the course with their minutes, for display.

    Parameters
    ----------
    lessons
        The lessons to list.

    Examples
    --------
    >>> from deluge_nb.lab import Catalog
    >>> print(str(Catalog()).splitlines()[-1])
    Copy one into this folder: %deluge course 0
    """

    def __init__(self, lessons: Sequence[Lesson] = LESSONS) -> None:
        self._lessons = tuple(lessons)

    def __repr__(self) -> str:
        width = max(len(lesson.title) for lesson in self._lessons)
        rows = [
            f"{lesson.number:2}  {lesson.title:{width}}  {lesson.minutes} min  You can {lesson.learn}."
            for lesson in self._lessons
        ]
        return "\n".join([*rows, "", self._remark().replace("`", "")])

    def _repr_markdown_(self) -> str:
        rows = [f"| {lesson.number} | {lesson.title} | {lesson.minutes} | {lesson.learn} |" for lesson in self._lessons]
        return "\n".join(
            ["| Lesson | Title | Minutes | After it you can |", "| --- | --- | ---: | --- |", *rows, "", self._remark()]
        )

    def _remark(self) -> str:
        return f"Copy one into this folder: `%deluge course {self._lessons[0].number}`"


def read_number(words: Sequence[str]) -> int | None:
    """Return the number of a lesson that a user wrote, or None if the words are not one whole number."""
    text = words[0] if len(words) == 1 else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def find_lesson(number: int) -> Lesson:
    """Return a lesson by its number.

    Raises
    ------
    SettingError
        If there is none.
    """
    lesson = next((lesson for lesson in LESSONS if lesson.number == number), None)
    if lesson is None:
        numbers = ", ".join(str(lesson.number) for lesson in LESSONS)
        raise SettingError(f"There is no lesson {number}; the course has {numbers}.", setting="lesson", value=number)
    return lesson


def notebook_of(lesson: Lesson) -> Path:
    """Return the notebook of a lesson, as it was installed.

    Raises
    ------
    SettingError
        If the installation has no notebooks.
    """
    for place in _PLACES:
        if (path := place / f"{lesson.name}.ipynb").is_file():
            return path
    raise SettingError(
        f"The notebook {lesson.name}.ipynb is missing from this installation: install the package again.",
        setting="lesson",
        value=lesson.number,
    )


def copy_lesson(number: int, folder: str | Path = ".") -> Path:
    """Copy the notebook of a lesson into a folder, and never overwrite a file.

    Parameters
    ----------
    number
        The number of the lesson.
    folder
        The folder, which must exist.

    Returns
    -------
    Path
        The copy.

    Raises
    ------
    SettingError
        If there is no such lesson, or the folder has a file of that name.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from deluge_nb.lab import copy_lesson
    >>> with TemporaryDirectory() as folder:
    ...     copy_lesson(5, folder).name
    '05_how_surprised.ipynb'
    """
    source = notebook_of(find_lesson(number))
    target = Path(folder) / source.name
    try:
        with target.open("xb") as file:  # which fails if the file exists, also if it appears in this moment
            file.write(source.read_bytes())
    except FileExistsError:
        raise SettingError(
            f"{target} exists already, and your work in it stays as it is: open it, or move it away for a new copy.",
            setting="lesson",
            value=number,
        ) from None
    return target
