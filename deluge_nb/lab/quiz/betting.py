"""Questions of the betting game: sentences that may end in several ways, of which one is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ...client.client import client_for
from ...errors import invalid_argument
from ...prompts import RawPrompt
from ...stats import softmax
from ..model import current_model, until_another

if TYPE_CHECKING:
    from ...client.client import LLMClient
    from ...logprobs.columns import Floats
    from ...models.spec import ServedModel


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence without its end, and the words that may end it.

    Parameters
    ----------
    text
        The sentence without its end.
    options
        The ends, the right one first. The game shows them in another order.

    Examples
    --------
    >>> from deluge_nb.lab import Question
    >>> Question("A female sheep is called a", ("ewe", "mare", "hen", "cow")).options[0]
    'ewe'
    """

    text: str
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.options)) < 2 or len(set(self.options)) != len(self.options):
            raise invalid_argument("options", self.options, "two or more different words")


LESSON_5 = (
    Question("The teacher wrote on the", ("board", "river", "horse", "moon")),
    Question("He opened the door with a", ("key", "cloud", "poem", "whisper")),
    Question("The capital of Australia is", ("Canberra", "Sydney", "Melbourne", "Perth")),
    Question("The currency of India is the", ("rupee", "yen", "pound", "dinar")),
    Question("Silk is made by", ("worms", "spiders", "bees", "ants")),
)
_SETS = {5: LESSON_5}


def questions(lesson: int) -> tuple[Question, ...]:
    """Return the questions of a lesson's betting game.

    Parameters
    ----------
    lesson
        The number of the lesson.

    Returns
    -------
    tuple of Question
        The questions, in order.

    Raises
    ------
    SettingError
        If that lesson has no game.

    Examples
    --------
    >>> from deluge_nb.lab import questions
    >>> len(questions(5))
    5
    """
    if lesson not in _SETS:
        raise invalid_argument("lesson", lesson, f"one with a betting game: {', '.join(map(str, _SETS))}")
    return _SETS[lesson]


def option_shares(questions: Sequence[Question], *, model: str | ServedModel | LLMClient | None = None) -> list[Floats]:
    """Return the model's share of each option: its probability among the options of its question.

    Parameters
    ----------
    questions
        The questions.
    model
        The model; None for the lessons' model.

    Returns
    -------
    list of numpy.ndarray
        For each question the shares in the order of its options, which add up to 1.

    Raises
    ------
    DelugeError
        If the model cannot score given texts.

    Examples
    --------
    >>> from deluge_nb.lab import option_shares, questions
    >>> shares = option_shares(questions(5)[:1])
    >>> round(float(shares[0].sum()), 6)
    1.0
    """
    if model is None:
        return [row.copy() for row in _shares(tuple(questions))]
    with client_for(model) as client:
        return [softmax(row) for row in option_logprobs(questions, client)]


@until_another
@lru_cache(maxsize=16)
def _shares(questions: tuple[Question, ...]) -> list[Floats]:
    return option_shares(questions, model=current_model())


def option_logprobs(questions: Sequence[Question], client: LLMClient) -> list[list[float]]:
    """Return the log-probability of each option as the end of its question, in nats."""
    pairs = [(RawPrompt(question.text), f" {option}") for question in questions for option in question.options]
    totals = iter(_totals(client, pairs))
    return [[next(totals) for _ in question.options] for question in questions]


def _totals(client: LLMClient, pairs: list[tuple[RawPrompt, str]]) -> list[float]:
    """Return the log-probability of each end after its beginning."""
    totals = []
    for response in client.score_continuations_sync(pairs, show_progress=False):
        if response.error is not None:
            raise response.error
        table = response.logprobs
        totals.append(-math.inf if table is None else float(table.total_logprob))
    return totals
