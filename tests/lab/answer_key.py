"""Parts of the teacher's pages that the lessons decide: ``python -m tests.lab.answer_key`` writes them again.

The pages are read on GitHub as well, so the answers stand in the files. They are those of the embedded model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from deluge_nb.lab.catalog import find_lesson
from deluge_nb.lab.lesson import Key, Lesson, Mistake, Reveal, Truth, format_number
from deluge_nb.lab.lessons import LESSONS

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
TEACHING = GUIDE / "teaching"
PART = re.compile(r"(<!-- (\w+): .*? -->\n).*?(<!-- end -->)", re.DOTALL)
"""A part between two comments, of which the first names it."""


def page_of(lesson: Lesson) -> Path:
    """Return the teacher's page of a lesson."""
    return TEACHING / f"{lesson.name.replace('_', '-')}.md"


def guesses_part(lesson: Lesson) -> str:
    """Return the true values of all guesses, and what is said after them."""
    return "\n".join(_reveal_lines(lesson))


def answers_part(lesson: Lesson) -> str:
    """Return the answers of all exercises, with the wrong ones and their sentences."""
    return "\n".join(line for number, key in lesson.exercises.items() for line in _answer_lines(number, key()))


def lessons_part(*, pages: str) -> str:
    """Return the table of lessons with links to their teacher's pages, which are in a folder."""
    rows = [
        f"| {lesson.number} | {lesson.title} | {lesson.minutes} | {lesson.learn} | {link} |"
        for lesson in LESSONS
        for link in [f"[plan]({pages}{page_of(lesson).name})"]
    ]
    return "\n".join(
        [
            "| Lesson | Title | Minutes | After it you can | For teachers |",
            "| ---: | --- | ---: | --- | --- |",
            *rows,
            "",
        ]
    )


def _reveal_lines(lesson: Lesson) -> Iterator[str]:
    for number, reveal in lesson.reveals.items():
        yield f"**{number}**\n"
        yield "| Guess | True value |\n| --- | ---: |"
        for guess in reveal.guesses.values():
            unit = " bits" if guess.kind == "bits" else ""
            yield f"| {_cell(guess.label)} | {format_number(guess.truth())}{unit} |"
        yield f"\nThen it says: {reveal.after}\n"
        yield from _remark_lines(reveal)


def _remark_lines(reveal: Reveal) -> Iterator[str]:
    for guess in reveal.guesses.values():
        for mistake in guess.mistakes:
            yield f"- Guess {_value(mistake.value)}: {mistake.why}"
        if guess.mistakes:
            yield ""


def _answer_lines(number: str, key: Key) -> Iterator[str]:
    yield f"**{number}** Right: {_value(key.truth)}. {key.right}\n"
    yield "| Wrong answer | Then the check says |\n| --- | --- |"
    yield from (_mistake_line(mistake) for mistake in key.wrong)
    yield ""


def _mistake_line(mistake: Mistake) -> str:
    return f"| {_value(mistake.value)} | {_cell(mistake.why)} |"


def _value(value: Truth) -> str:
    if isinstance(value, str):
        return f"`{value}`"
    return ", ".join(map(format_number, value)) if isinstance(value, tuple) else format_number(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PARTS: dict[str, Callable[[Path], str]] = {
    "guesses": lambda page: guesses_part(_lesson_of(page)),
    "answers": lambda page: answers_part(_lesson_of(page)),
    "lessons": lambda page: lessons_part(pages="" if page.parent == TEACHING else "teaching/"),
}
"""The parts by their names, as functions of the page that they are in."""


def _lesson_of(page: Path) -> Lesson:
    return find_lesson(int(page.name[:2]))


def parts_in(page: Path) -> dict[str, str]:
    """Return the parts that stand in a page, by their names."""
    return {match[2]: match[0] for match in PART.finditer(page.read_text(encoding="utf-8"))}


def part_for(page: Path, name: str) -> str:
    """Return a part with its comments, as it should stand in a page."""
    opening = f"<!-- {name}: written by python -m tests.lab.answer_key -->\n"
    return f"{opening}\n{PARTS[name](page).strip()}\n\n<!-- end -->"


def write(page: Path) -> None:
    """Write the parts of a page again."""
    text = page.read_text(encoding="utf-8")
    page.write_text(PART.sub(lambda match: part_for(page, match[2]), text), encoding="utf-8")


if __name__ == "__main__":
    for page in [GUIDE / "course.md", *sorted(TEACHING.glob("*.md"))]:
        write(page)
