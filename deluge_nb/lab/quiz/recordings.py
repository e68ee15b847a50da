"""Recorded answers of the embedded model: likelihoods of the options of questions, and texts that it wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import invalid_argument
from ...logprobs.columns import Floats
from ...stats import softmax
from .betting import Question

FOLDER = Path(__file__).parent
"""One file for each set, with a question, its options (the right one first) and their log-probabilities a line."""

SETS = ("capitals", "cloze", "reviews")


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The embedded model's answers to a set of questions.

    Parameters
    ----------
    name
        The name of the set.
    questions
        The questions; the right option of each comes first.
    logprobs
        The log-probability (nats) of each option as the end of its question, shape (n, k).

    Examples
    --------
    >>> from deluge_nb.lab import recording
    >>> capitals = recording("capitals")
    >>> capitals.questions[0].text, capitals.questions[0].options[0]
    ('The capital of France is', 'Paris')
    >>> capitals.shares.shape
    (100, 4)
    """

    name: str
    questions: tuple[Question, ...]
    logprobs: Floats = field(repr=False)

    @property
    def shares(self) -> Floats:
        """The share of each option, shape (n, k); rows add up to 1."""
        return np.array([softmax(row) for row in self.logprobs])

    @property
    def confidence(self) -> Floats:
        """The share of the option that the model chooses, shape (n,)."""
        return self.shares.max(axis=1)

    @property
    def correct(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """True where the model chooses the right option, shape (n,)."""
        return self.logprobs.argmax(axis=1) == 0

    def __len__(self) -> int:
        return len(self.questions)


def recording(name: str) -> Recording:
    """Return a recorded set of questions and answers of the embedded model.

    The questions were written for this project. :func:`option_shares` recomputes the shares.

    Parameters
    ----------
    name
        ``"capitals"`` (100 countries, four cities each), ``"cloze"`` (110 sentences, four words each) or ``"reviews"``
        (200 short reviews, positive or negative).

    Returns
    -------
    Recording
        The questions with the log-probabilities of their options.

    Raises
    ------
    SettingError
        If there is no such set.

    Examples
    --------
    >>> from deluge_nb.lab import recording
    >>> cloze = recording("cloze")
    >>> len(cloze), round(float(cloze.correct.mean()), 2)
    (110, 0.75)
    """
    if name not in SETS:
        raise invalid_argument("name", name, f"one of {', '.join(map(repr, SETS))}")
    return _read(name)


@lru_cache(maxsize=len(SETS))
def _read(name: str) -> Recording:
    lines = (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    questions = tuple(Question(row["text"], tuple(row["options"])) for row in rows)
    return Recording(name, questions, np.array([row["logprobs"] for row in rows]))


@lru_cache(maxsize=8)
def recorded_texts(lesson: str) -> dict[str, Any]:
    """Return the texts that the embedded model once wrote for a lesson, with the settings that it wrote them with."""
    return json.loads((FOLDER / f"{lesson}.json").read_text("utf-8"))


def write_recording(name: str, questions: Sequence[Question], logprobs: Sequence[Sequence[float]]) -> None:
    """Write the file of a set."""
    lines = [
        json.dumps({"text": question.text, "options": question.options, "logprobs": row}, ensure_ascii=False)
        for question, row in zip(questions, logprobs, strict=True)
    ]
    (FOLDER / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
