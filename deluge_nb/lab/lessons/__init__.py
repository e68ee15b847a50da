"""The lessons of the course: what is revealed after the guesses, the answers, and the mistakes people make."""

from __future__ import annotations

from . import lesson1, lesson2, lesson3, lesson5

LESSONS = (lesson1.LESSON, lesson2.LESSON, lesson3.LESSON, lesson5.LESSON)
"""All lessons, in their order."""
