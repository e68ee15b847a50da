"""Conformal prediction: sets of answers that hold the right one as often as was promised."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import invalid_argument
from ..logprobs.columns import Floats
from .core.records import Result
from .core.validation import between, check_paired, classes, matrix, number, probabilities

# (n + 1)(1 - alpha) may land a hair above the whole number that it is, and a score a hair above its quantile.
_RANK_GUARD = 1e-9
_SCORE_GUARD = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class ConformalQuantile(Result):
    """The score that sets are cut at, and its place among the scores in order; infinite where there are too few."""

    rank: int
    qhat: float


def conformal_lac_quantile(true_label_probs: ArrayLike, alpha: float) -> ConformalQuantile:
    """The quantile for least ambiguous sets: the ceil((n + 1)(1 - alpha))-th smallest 1 - p.

    Parameters
    ----------
    true_label_probs
        The probability that each answer of a calibration set gave to what was right, shape (n,).
    alpha
        How often the sets may miss the right answer, between 0 and 1.

    Returns
    -------
    ConformalQuantile
        ``qhat`` is infinite where n is too small for the promise: then every set is that of all answers.

    Raises
    ------
    ValueError
        When a number is no probability.

    References
    ----------
    M. Sadinle et al., "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", 2019.
    """
    p = probabilities(true_label_probs, "true_label_probs")
    return _quantile(1.0 - p, alpha)


def conformal_lac_sets(qhat: float, probs: ArrayLike) -> list[list[int]]:
    """The answers whose 1 - p is at most ``qhat``, for each row. A set may be empty: that is what the promise allows.

    Parameters
    ----------
    qhat
        From :func:`conformal_lac_quantile`.
    probs
        The probability of each answer, shape (n, k).

    Returns
    -------
    list of lists
        For each row the numbers of the answers, in order.

    Raises
    ------
    ValueError
        When a number is no probability.
    """
    cut = number(qhat, "qhat")
    rows = _rows(probs)
    return [np.flatnonzero(row).tolist() for row in 1.0 - rows <= cut + _SCORE_GUARD]


def conformal_aps_quantile(
    probs: ArrayLike, y: ArrayLike, alpha: float, randomized: bool = False, *, u: ArrayLike | None = None, seed: int = 0
) -> ConformalQuantile:
    """The quantile for adaptive prediction sets: the score is the total probability up to the right answer.

    Parameters
    ----------
    probs
        The probability of each answer, shape (n, k).
    y
        The right answer of each row, from 0, shape (n,).
    alpha
        How often the sets may miss the right answer, between 0 and 1.
    randomized
        Whether to take a random share of the right answer's own probability off, which makes sets exact on average in
        place of a little too large.
    u
        Those shares, shape (n,); drawn from ``seed`` where left out.
    seed
        Of the draw.

    Raises
    ------
    ValueError
        When the shapes do not fit, or a number is no probability.

    References
    ----------
    Y. Romano et al., "Classification with Valid and Adaptive Coverage", 2020.
    """
    rows = _rows(probs)
    n, k = rows.shape
    true = classes(y, "y", k)
    check_paired(np.zeros(n), true.astype(np.float64), ("probs", "y"))
    order = np.argsort(-rows, axis=1, kind="stable")
    places = np.argmax(order == true[:, None], axis=1)
    reached = np.cumsum(np.take_along_axis(rows, order, axis=1), axis=1)[np.arange(n), places]
    if randomized:
        shares = np.random.default_rng(seed).random(n) if u is None else probabilities(u, "u")
        check_paired(reached, shares, ("probs", "u"))
        reached = reached - shares * rows[np.arange(n), true]
    elif u is not None:
        raise invalid_argument("u", u, "left out where randomized is False")
    return _quantile(reached, alpha)


def _quantile(scores: Floats, alpha: float) -> ConformalQuantile:
    share = between(alpha, "alpha", 0, 1, ends=False)
    rank = max(math.ceil((len(scores) + 1) * (1 - share) - _RANK_GUARD), 1)
    if rank > len(scores):
        return ConformalQuantile(rank, math.inf)
    return ConformalQuantile(rank, float(np.partition(scores, rank - 1)[rank - 1]))


def _rows(probs: ArrayLike) -> Floats:
    rows = matrix(probs, "probs")
    for row, column in np.argwhere((rows < 0) | (rows > 1))[:1]:
        raise invalid_argument(f"probs[{row}][{column}]", float(rows[row, column]), "a probability from 0 to 1")
    return rows
