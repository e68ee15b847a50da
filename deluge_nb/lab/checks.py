"""``reveal`` and ``check``: show the truth after a guess, and name the mistake in an answer."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from ..errors import invalid_argument
from .answers.compare import answer_problem, describe_guess, describe_miss, find_mistake, guess_problem, is_equal
from .answers.form import as_number
from .feedback import Feedback
from .lessons import LESSONS

_GUESS_TOLERANCE = 0.005


def reveal(id: str, **guesses: Any) -> Feedback:
    """Show the true numbers beside the guesses, once all guesses are made.

    The truth is computed from the lesson's model, and is nowhere in the notebook.

    Parameters
    ----------
    id
        The number of the reveal in its lesson, such as ``"5.1"``.
    **guesses
        Your guesses, by the names that the lesson gives them. Three dots stand for a guess that is not made.

    Returns
    -------
    Feedback
        A sentence for each guess, and what there is to see; ``.ok`` is True once all guesses are made, and ``.truths``
        has the true numbers then.

    Raises
    ------
    SettingError
        If there is no such reveal, or it has other guesses.
    DelugeError
        If the model cannot be asked.

    Examples
    --------
    >>> from deluge_nb.lab import reveal
    >>> reveal("5.1", away=..., boils=0.5)
    To do. Guess first: put a number in place of the three dots, and run both cells again.
    """
    reveals = {name: part for lesson in LESSONS for name, part in lesson.reveals.items()}
    part = reveals.get(id) if isinstance(id, str) else None
    if part is None:
        raise _unknown("a reveal", id, list(reveals))
    if guesses.keys() != part.guesses.keys():
        names = ", ".join(f"{name}=…" for name in part.guesses)
        raise invalid_argument("guesses", ", ".join(guesses), f"those of the lesson: reveal({id!r}, {names})")
    if any(value is ... for value in guesses.values()):
        line = "Guess first: put a number in place of the three dots, and run both cells again."
        return Feedback(id, "reveal", "todo", (line,), _made(guesses))
    problems = [guess_problem(value, part.guesses[name]) for name, value in guesses.items()]
    if any(problems):
        return Feedback(id, "reveal", "todo", tuple(filter(None, problems)), _made(guesses))
    truths = {name: float(guess.truth()) for name, guess in part.guesses.items()}
    numbers = {name: number for name, value in guesses.items() if (number := as_number(value)) is not None}
    lines = []
    for name, guess in part.guesses.items():
        lines.append(describe_guess(numbers[name], truths[name], guess))
        if why := find_mistake(numbers[name], guess.mistakes, _GUESS_TOLERANCE):
            lines.append(why)
    return Feedback(id, "reveal", "shown", (*lines, part.after), guesses, truths, tuple(part.figures()))


def check(id: str, answer: Any) -> Feedback:
    """Check the answer to an exercise, and name the mistake if it is a known one.

    In a cell of otter or nbgrader, write ``assert check("5.3", answer_3).ok``.

    Parameters
    ----------
    id
        The number of the exercise in its lesson, such as ``"5.3"``.
    answer
        Your answer. Three dots stand for an answer that is not given yet.

    Returns
    -------
    Feedback
        One sentence; ``.ok`` is True if the answer is right.

    Raises
    ------
    SettingError
        If there is no such exercise.
    DelugeError
        If the model cannot be asked.

    Examples
    --------
    >>> from deluge_nb.lab import check
    >>> check("5.1", ...)
    To do. Put your answer in place of the three dots, and run the cell again.
    >>> check("5.1", -2).ok
    False
    """
    exercises = {name: key for lesson in LESSONS for name, key in lesson.exercises.items()}
    if not isinstance(id, str) or id not in exercises:
        raise _unknown("an exercise", id, list(exercises))
    if answer is ...:
        line = "Put your answer in place of the three dots, and run the cell again."
        return Feedback(id, "check", "todo", (line,))
    key = exercises[id]()
    given = {"answer": answer}
    if problem := answer_problem(answer, key):
        return Feedback(id, "check", "wrong", (problem,), given)
    if is_equal(answer, key.truth, key.tolerance, key.relative):
        return Feedback(id, "check", "right", (key.right,), given)
    why = find_mistake(answer, key.wrong, key.tolerance, key.relative) or describe_miss(answer, key)
    return Feedback(id, "check", "wrong", (why,), given)


def _made(guesses: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in guesses.items() if value is not ...}


def _unknown(kind: str, id: object, ids: list[str]) -> Exception:
    number = str(id).strip().partition(".")[0]
    near = [name for name in ids if name.partition(".")[0] == number]
    near = near or get_close_matches(str(id), ids, n=3, cutoff=0.0)
    return invalid_argument("id", id, f"the number of {kind}, such as {', '.join(map(repr, near))}")
