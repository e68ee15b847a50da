"""The lessons of the course: what is revealed after the guesses, the answers, and the mistakes people make."""

from __future__ import annotations

from . import (
    finale,
    finale_author,
    finale_watermark,
    lesson0,
    lesson1,
    lesson2,
    lesson3,
    lesson4,
    lesson5,
    lesson6,
    lesson7,
    lesson8,
)

LESSONS = (
    lesson0.LESSON,
    lesson1.LESSON,
    lesson2.LESSON,
    lesson3.LESSON,
    lesson4.LESSON,
    lesson5.LESSON,
    lesson6.LESSON,
    lesson7.LESSON,
    lesson8.LESSON,
    finale.LESSON,
    finale_watermark.LESSON,
    finale_author.LESSON,
)
"""All lessons, in their order."""
