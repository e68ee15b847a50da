"""Questions for the embedded model; README.md says how they were made."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Question(NamedTuple):
    """The beginning of a sentence, and four ends of it, of which the first is right."""

    text: str
    options: tuple[str, ...]


def cloze() -> list[Question]:
    """Sentences to complete."""
    return [Question(parts[0], tuple(parts[1:])) for parts in _lines("cloze.txt")]


def capitals() -> list[Question]:
    """Countries, each with its capital and three from the same region."""
    found: list[Question] = []
    for _, lines in groupby(_lines("capitals.txt"), key=lambda parts: parts[0]):
        region = [(country, capital) for _, country, capital in lines]
        for place, (country, _) in enumerate(region):
            near = [region[(place + step) % len(region)][1] for step in range(4)]
            found.append(Question(f"The capital of {country} is", tuple(near)))
    return found


def pairs() -> list[tuple[str, str]]:
    """A sentence that is right, and one that is not."""
    return [(good, wrong) for good, wrong in _lines("pairs.txt")]


def reviews() -> list[tuple[str, bool]]:
    """A review, and whether it is a good one."""
    lines = (HERE / "reviews.txt").read_text("utf-8").splitlines()
    return [(line[2:], line[0] == "+") for line in lines]


def _lines(name: str) -> list[list[str]]:
    return [
        [part.strip() for part in line.split("|")] for line in (HERE / name).read_text("utf-8").splitlines() if line
    ]
