"""Conformal prediction: sets of answers that contain the right one with a guaranteed frequency."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SettingError, invalid_argument
from ..logprobs.columns import Floats
from .core.records import Result
from .core.validation import between, check_paired, classes, matrix, number, probabilities

Label = TypeVar("Label")

# Rounding may put (n + 1)(1 - alpha) just above a whole number, and a score just above its quantile.
_RANK_GUARD = 1e-9
_SCORE_GUARD = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class ConformalQuantile(Result):
    """The score ``qhat`` at which sets are cut, and its rank among the calibration scores.

    ``qhat`` is infinite if there are too few scores.
    """

    rank: int
    qhat: float


def conformal_lac_quantile(
    true_label_probs: ArrayLike | None = None, alpha: float = 0.1, *, scores: ArrayLike | None = None
) -> ConformalQuantile:
    """Return the quantile for least ambiguous sets, from probabilities of the right answers, not scores.

    It is the ceil((n + 1)(1 - alpha))-th smallest 1 - p. Where you have the scores 1 - p, as other packages pass them,
    name them: ``scores=``.

    Parameters
    ----------
    true_label_probs
        The probability that was given to the right answer of each calibration example, shape (n,).
    alpha
        The frequency with which the sets may miss the right answer, between 0 and 1.
    scores
        In place of ``true_label_probs``: 1 minus each of these probabilities, shape (n,).

    Returns
    -------
    ConformalQuantile
        ``qhat`` is infinite if n is too small for the guarantee; every set then contains all answers.

    Raises
    ------
    ValueError
        If a number is not from 0 to 1, or if both or none of ``true_label_probs`` and ``scores`` are given.

    References
    ----------
    M. Sadinle et al., "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", 2019.

    Examples
    --------
    >>> from deluge_nb.stats import conformal_lac_quantile
    >>> quantile = conformal_lac_quantile([0.9, 0.8, 0.95, 0.6], alpha=0.25)
    >>> quantile.rank, round(quantile.qhat, 3)
    (4, 0.4)
    >>> conformal_lac_quantile(scores=[0.1, 0.2, 0.05, 0.4], alpha=0.25).qhat
    0.4
    """
    if true_label_probs is not None and scores is None:
        return _quantile(1.0 - probabilities(true_label_probs, "true_label_probs"), alpha)
    if scores is not None and true_label_probs is None:
        return _quantile(probabilities(scores, "scores"), alpha)
    given = "neither was" if scores is None else "both were"
    raise SettingError(
        f"Pass either true_label_probs (the probabilities of the right answers) or scores= (1 - p): {given} given.",
        setting="scores",
        value=scores,
    )


@overload
def conformal_lac_sets(qhat: float, probs: ArrayLike, *, labels: None = None) -> list[list[int]]: ...
@overload
def conformal_lac_sets(qhat: float, probs: ArrayLike, *, labels: Iterable[Label]) -> list[list[Label]]: ...
def conformal_lac_sets(
    qhat: float, probs: ArrayLike, *, labels: Iterable[Label] | None = None
) -> list[list[int]] | list[list[Label]]:
    """Return for each row the answers whose 1 - p is at most ``qhat``. The guarantee allows a set to be empty.

    Parameters
    ----------
    qhat
        From :func:`conformal_lac_quantile`.
    probs
        The probability of each answer, shape (n, k).
    labels
        The k names of the answers, in the order of the columns; None for their numbers.

    Returns
    -------
    list of lists
        The answers in each row's set, in the order of the columns: their numbers from 0, or their names.

    Raises
    ------
    ValueError
        If a number is not a probability, or there is not one label per column.

    Examples
    --------
    >>> from deluge_nb.stats import conformal_lac_sets
    >>> conformal_lac_sets(0.6, [[0.7, 0.2, 0.1], [0.45, 0.5, 0.05]])
    [[0], [0, 1]]
    >>> conformal_lac_sets(0.6, [[0.7, 0.2, 0.1], [0.45, 0.5, 0.05]], labels=["yes", "no", "maybe"])
    [['yes'], ['yes', 'no']]
    """
    cut = number(qhat, "qhat")
    rows = _read_rows(probs)
    return _name_sets(1.0 - rows <= cut + _SCORE_GUARD, labels)


def conformal_aps_quantile(
    probs: ArrayLike, y: ArrayLike, alpha: float, randomized: bool = False, *, u: ArrayLike | None = None, seed: int = 0
) -> ConformalQuantile:
    """Return the quantile for adaptive prediction sets.

    The score of an example is the total probability of the answers from the likeliest down to the right one.

    Parameters
    ----------
    probs
        The probability of each answer, shape (n, k).
    y
        The index of each row's right answer, from 0, shape (n,).
    alpha
        The frequency with which the sets may miss the right answer, between 0 and 1.
    randomized
        Whether to subtract a random share of the right answer's own probability. Sets are then exact on average instead
        of slightly too large.
    u
        These shares, shape (n,); drawn with ``seed`` by default.
    seed
        Seed of the random shares.

    Returns
    -------
    ConformalQuantile
        ``qhat`` is infinite if n is too small for the guarantee.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a number is not a probability.

    References
    ----------
    Y. Romano et al., "Classification with Valid and Adaptive Coverage", 2020.

    Examples
    --------
    >>> from deluge_nb.stats import conformal_aps_quantile
    >>> quantile = conformal_aps_quantile([[0.7, 0.3], [0.4, 0.6], [0.8, 0.2]], [0, 0, 0], alpha=0.25)
    >>> quantile.rank, round(quantile.qhat, 3)
    (3, 1.0)
    """
    rows = _read_rows(probs)
    n, k = rows.shape
    true = classes(y, "y", k)
    check_paired(np.zeros(n), true.astype(np.float64), ("probs", "y"))
    reached = _cumulative(rows)[np.arange(n), true]
    if randomized:
        shares = np.random.default_rng(seed).random(n) if u is None else probabilities(u, "u")
        check_paired(reached, shares, ("probs", "u"))
        reached = reached - shares * rows[np.arange(n), true]
    elif u is not None:
        raise invalid_argument("u", u, "left out where randomized is False")
    return _quantile(reached, alpha)


@overload
def conformal_aps_sets(
    qhat: float, probs: ArrayLike, *, u: ArrayLike | None = None, labels: None = None
) -> list[list[int]]: ...
@overload
def conformal_aps_sets(
    qhat: float, probs: ArrayLike, *, u: ArrayLike | None = None, labels: Iterable[Label]
) -> list[list[Label]]: ...
def conformal_aps_sets(
    qhat: float, probs: ArrayLike, *, u: ArrayLike | None = None, labels: Iterable[Label] | None = None
) -> list[list[int]] | list[list[Label]]:
    """Return for each row the answers whose adaptive score is at most ``qhat``.

    The score of an answer is the total probability of the answers from the likeliest down to it, with ties in the order
    of the columns. The guarantee is about this score, and allows a set to be empty.

    Parameters
    ----------
    qhat
        From :func:`conformal_aps_quantile`.
    probs
        The probability of each answer, shape (n, k).
    u
        Random shares from 0 to 1, shape (n,): so much of an answer's own probability is subtracted from its score. Give
        them where the quantile was ``randomized``, and only there.
    labels
        The k names of the answers, in the order of the columns; None for their numbers.

    Returns
    -------
    list of lists
        The answers in each row's set, in the order of the columns: their numbers from 0, or their names. All of them
        where ``qhat`` is infinite.

    Raises
    ------
    ValueError
        If a number is not a probability, or there is not one label per column or one share per row.

    References
    ----------
    Y. Romano et al., "Classification with Valid and Adaptive Coverage", 2020.

    Examples
    --------
    >>> from deluge_nb.stats import conformal_aps_sets
    >>> conformal_aps_sets(0.9, [[0.7, 0.2, 0.1], [0.05, 0.45, 0.5]])
    [[0, 1], [2]]
    >>> conformal_aps_sets(0.9, [[0.7, 0.2, 0.1], [0.05, 0.45, 0.5]], u=[0.5, 0.5], labels=["a", "b", "c"])
    [['a', 'b'], ['b', 'c']]
    """
    cut = number(qhat, "qhat")
    rows = _read_rows(probs)
    scores = _cumulative(rows)
    if u is not None:
        shares = probabilities(u, "u")
        if len(shares) != len(rows):
            raise invalid_argument("u", u, f"one share for each of the {len(rows)} rows of probs")
        scores = scores - shares[:, None] * rows
    return _name_sets(scores <= cut + _SCORE_GUARD, labels)


def _quantile(scores: Floats, alpha: float) -> ConformalQuantile:
    share = between(alpha, "alpha", 0, 1, ends=False)
    rank = max(math.ceil((len(scores) + 1) * (1 - share) - _RANK_GUARD), 1)
    if rank > len(scores):
        return ConformalQuantile(rank, math.inf)
    return ConformalQuantile(rank, float(np.partition(scores, rank - 1)[rank - 1]))


def _read_rows(probs: ArrayLike) -> Floats:
    rows = matrix(probs, "probs")
    for row, column in np.argwhere((rows < 0) | (rows > 1))[:1]:
        raise invalid_argument(f"probs[{row}][{column}]", float(rows[row, column]), "a probability from 0 to 1")
    return rows


def _cumulative(rows: Floats) -> Floats:
    """Return for each answer the total probability of the answers from the likeliest of its row down to it."""
    order = np.argsort(-rows, axis=1, kind="stable")
    total = np.empty_like(rows)
    np.put_along_axis(total, order, np.cumsum(np.take_along_axis(rows, order, axis=1), axis=1), axis=1)
    return total


def _name_sets(inside: NDArray[np.bool_], labels: Iterable[Label] | None) -> list[list[int]] | list[list[Label]]:
    """Return the columns that are True in each row, by number or by name."""
    numbers = [np.flatnonzero(row).tolist() for row in inside]
    if labels is None:
        return numbers
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        raise invalid_argument("labels", labels, "a list of names")
    names = list(labels)
    if len(names) != inside.shape[1]:
        raise invalid_argument("labels", names, f"one name for each of the {inside.shape[1]} columns of probs")
    return [[names[column] for column in row] for row in numbers]
