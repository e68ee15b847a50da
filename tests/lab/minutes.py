"""Estimate the least minutes that a lesson takes, by section. Thinking takes more, as teachers judge."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deluge_nb.lab.lesson import Lesson
from tests.lab.notebooks import cells_of, numbers_in

# A learner whose first language is not English reads so many words of such a text, or lines of code, in a minute.
_WORDS, _LINES = 150, 10
# Minutes, at least, of a guess, of looking at what a cell shows, of playing, of an exercise, and of an explanation.
_GUESS, _LOOK, _PLAY, _EXERCISE, _EXPLAIN = 1.0, 0.5, 2.0, 1.5, 1.0
_HEADING = re.compile(r"^#+ (.*)\n", re.MULTILINE)


@dataclass(slots=True)
class Section:
    """A section of a notebook, and the minutes that it takes at least."""

    heading: str
    minutes: float = 0.0


def word_count(prose: str) -> int:
    """Return the number of words, without formulas."""
    return len(re.findall(r"[^\W\d_][\w’'-]*", re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", prose, flags=re.DOTALL)))


def sections_of(lesson: Lesson) -> list[Section]:
    """Return the sections of a notebook, without the books to read later, with the least minutes of each."""
    sections: list[Section] = []
    for cell in cells_of(lesson):
        if cell.kind == "code":
            sections[-1].minutes += _code_minutes(lesson, cell.source, cell.tags)
            continue
        first, *others = re.split(r"^(?=#+ )", cell.source, flags=re.MULTILINE)
        if first:
            sections[-1].minutes += word_count(first) / _WORDS
        for part in others:
            heading = _HEADING.match(part)
            assert heading
            explains = _EXPLAIN if heading[1].startswith("Explain") else 0.0
            sections.append(Section(heading[1], word_count(part) / _WORDS + explains))
    return [section for section in sections if section.heading != "Further"]


def _code_minutes(lesson: Lesson, source: str, tags: tuple[str, ...]) -> float:
    if "setup" in tags or "prediction" in tags:
        return 0.0
    if "exercise" in tags:
        return _EXERCISE
    if "reveal" in tags:
        reveals = [lesson.reveals[number] for number in numbers_in(source, "reveal")]
        guesses = sum(len(reveal.guesses) for reveal in reveals)
        return sum(word_count(reveal.after) for reveal in reveals) / _WORDS + guesses * _GUESS + _LOOK
    lines = sum(bool(line.strip()) for line in source.splitlines())
    return lines / _LINES + (_PLAY if "play" in tags else _LOOK)
