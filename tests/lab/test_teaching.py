"""The teacher's pages: one for each lesson, with all sections, the minutes of the lesson, and its true answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deluge_nb.lab.lesson import Lesson
from deluge_nb.lab.lessons import LESSONS
from tests.lab.answer_key import GUIDE, TEACHING, lessons_part, page_of, part_for, parts_in
from tests.lab.minutes import sections_of
from tests.lab.test_lessons import lesson_id
from tests.test_docs import assert_same

SECTIONS = [
    "Goals",
    "Before the lesson",
    "Minutes",
    "The misconception",
    "Guesses",
    "Answers",
    "A question for an exam",
    "Without computers",
    "With another model",
    "What may look odd",
]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def minutes_of(text: str) -> list[int]:
    """Return the minutes of all sections, as a page plans them."""
    part = text.partition("## Minutes")[2].partition("## ")[0]
    return [int(minutes) for minutes in re.findall(r"^\| .* \| (\d+) \|$", part, re.MULTILINE)]


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_every_lesson_has_a_page_for_teachers_with_all_sections(lesson: Lesson) -> None:
    text = text_of(page_of(lesson))
    assert text.startswith(f"# For teachers: {lesson.number} · {lesson.title}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert sum(minutes_of(text)) == lesson.minutes
    for section in re.split(r"^## .*\n", text, flags=re.MULTILINE)[1:]:
        assert section.strip()


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_a_plan_leaves_every_section_time_to_read_to_guess_and_to_play(lesson: Lesson) -> None:
    planned = minutes_of(text_of(page_of(lesson)))
    short = [
        (section.heading, round(section.minutes, 1), minutes)
        for section, minutes in zip(sections_of(lesson), planned, strict=True)
        if round(section.minutes) > minutes
    ]
    assert not short


@pytest.mark.model
@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_a_page_has_the_answers_and_mistakes_of_its_lesson(lesson: Lesson) -> None:
    page = page_of(lesson)
    parts = parts_in(page)
    assert list(parts) == ["guesses", "answers"]
    for name, part in parts.items():
        assert_same(part, part_for(page, name))


def test_every_lesson_is_listed_in_the_guide_and_in_the_overview_for_teachers() -> None:
    assert lessons_part(pages="teaching/") in text_of(GUIDE / "course.md")
    assert lessons_part(pages="") in text_of(TEACHING / "index.md")
    entries = [f"{lesson.number} · {lesson.title} <{page_of(lesson).stem}>" for lesson in LESSONS]
    assert "\n".join(entries) in text_of(TEACHING / "index.md")
