"""The lessons of the course: what is revealed after the guesses, the answers, and the mistakes people make."""

from __future__ import annotations

from .lesson5 import LESSON as LESSON_5

LESSONS = (LESSON_5,)
"""All lessons, in their order."""
