"""Questions for the embedded model; README.md says how they were made."""

from __future__ import annotations

from pathlib import Path

from deluge_nb.lab import Question, recording

REVIEW = "Review: {0}\nSentiment:"
"""The form in which reviews are asked; the recording has each review in it."""

_PAIRS = Path(__file__).parent / "pairs.txt"


def cloze() -> list[Question]:
    """Sentences to complete."""
    return list(recording("cloze").questions)


def capitals() -> list[Question]:
    """Countries, each with its capital and three from the same region."""
    return list(recording("capitals").questions)


def pairs() -> list[tuple[str, str]]:
    """A sentence that is right, and one that is not."""
    lines = [line.split("|") for line in _PAIRS.read_text("utf-8").splitlines() if line]
    return [(good.strip(), wrong.strip()) for good, wrong in lines]


def reviews() -> list[tuple[str, bool]]:
    """A review, and whether it is a good one."""
    before, after = REVIEW.split("{0}")
    return [
        (question.text.removeprefix(before).removesuffix(after), question.options[0] == "positive")
        for question in recording("reviews").questions
    ]
