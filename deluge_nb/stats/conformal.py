"""Conformal prediction: sets of answers that contain the right one with a guaranteed frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import invalid_argument
from ..logprobs.columns import Floats
from .core.records import Result
from .core.validation import between, check_paired, classes, matrix, number, probabilities

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


def conformal_lac_quantile(true_label_probs: ArrayLike, alpha: float) -> ConformalQuantile:
    """Return the quantile for least ambiguous sets: the ceil((n + 1)(1 - alpha))-th smallest 1 - p.

    Parameters
    ----------
    true_label_probs
        The probability that was given to the right answer of each calibration example, shape (n,).
    alpha
        The frequency with which the sets may miss the right answer, between 0 and 1.

    Returns
    -------
    ConformalQuantile
        ``qhat`` is infinite if n is too small for the guarantee; every set then contains all answers.

    Raises
    ------
    ValueError
        If a number is not a probability.

    References
    ----------
    M. Sadinle et al., "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", 2019.

    Examples
    --------
    >>> from deluge_nb.stats import conformal_lac_quantile
    >>> quantile = conformal_lac_quantile([0.9, 0.8, 0.95, 0.6], alpha=0.25)
    >>> quantile.rank, round(quantile.qhat, 3)
    (4, 0.4)
    """
    p = probabilities(true_label_probs, "true_label_probs")
    return _quantile(1.0 - p, alpha)


def conformal_lac_sets(qhat: float, probs: ArrayLike) -> list[list[int]]:
    """Return for each row the answers whose 1 - p is at most ``qhat``. The guarantee allows a set to be empty.

    Parameters
    ----------
    qhat
        From :func:`conformal_lac_quantile`.
    probs
        The probability of each answer, shape (n, k).

    Returns
    -------
    list of lists
        The indices of the answers in each row's set, ascending.

    Raises
    ------
    ValueError
        If a number is not a probability.

    Examples
    --------
    >>> from deluge_nb.stats import conformal_lac_sets
    >>> conformal_lac_sets(0.6, [[0.7, 0.2, 0.1], [0.45, 0.5, 0.05]])
    [[0], [0, 1]]
    """
    cut = number(qhat, "qhat")
    rows = _read_rows(probs)
    return [np.flatnonzero(row).tolist() for row in 1.0 - rows <= cut + _SCORE_GUARD]


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
    order = np.argsort(-rows, axis=1, kind="stable")
    ranks = np.argmax(order == true[:, None], axis=1)
    reached = np.cumsum(np.take_along_axis(rows, order, axis=1), axis=1)[np.arange(n), ranks]
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


def _read_rows(probs: ArrayLike) -> Floats:
    rows = matrix(probs, "probs")
    for row, column in np.argwhere((rows < 0) | (rows > 1))[:1]:
        raise invalid_argument(f"probs[{row}][{column}]", float(rows[row, column]), "a probability from 0 to 1")
    return rows
