"""Scores of forecasts against outcomes: Brier score, log loss and area under the ROC curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, SettingError, invalid_argument
from ...logprobs.columns import Floats, Ints
from ...logprobs.rounding import MASS_TOLERANCE
from ..core.records import Result
from ..core.validation import between, check_paired, classes, matrix, outcomes, probabilities, vector


@dataclass(frozen=True, slots=True, eq=False)
class BrierDecomposition(Result):
    """Murphy's partition: ``brier`` = ``reliability`` - ``resolution`` + ``uncertainty``."""

    reliability: float
    resolution: float
    uncertainty: float
    brier: float


def brier(p: ArrayLike, y: ArrayLike) -> float:
    """Return the Brier score of a binary forecast: the mean of (p - y)^2.

    Parameters
    ----------
    p
        Probabilities of 1, shape (n,).
    y
        0 or 1, shape (n,).

    Returns
    -------
    float
        From 0 (best) to 1.

    Raises
    ------
    ValueError
        If the lists are empty, differ in length, or hold other values.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", 1950, halved as is usual for two
    classes.

    Examples
    --------
    >>> from deluge_nb.stats import brier
    >>> round(brier([0.9, 0.2, 0.6], [1, 0, 0]), 4)
    0.1367
    """
    forecast, outcome = read_forecasts(p, y, ("p", "y"))
    return math.fsum(((forecast - outcome) ** 2).tolist()) / len(forecast)


def brier_multiclass(p: ArrayLike, y: ArrayLike) -> float:
    """Return the Brier score over several classes: the mean over rows of the sum over classes of (p - [y])^2.

    Parameters
    ----------
    p
        Probabilities, shape (n, k).
    y
        The index of the true class, from 0, shape (n,).

    Returns
    -------
    float
        From 0 (best) to 2.

    Raises
    ------
    ValueError
        If the shapes do not fit, a number is not a probability, or a row adds up to more than 1.

    Examples
    --------
    >>> from deluge_nb.stats import brier_multiclass
    >>> round(brier_multiclass([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [0, 1]), 3)
    0.1
    """
    rows, true = read_class_forecasts(p, y)
    squares = rows**2
    own = rows[np.arange(len(rows)), true]
    return math.fsum((squares.sum(axis=1) - own**2 + (own - 1) ** 2).tolist()) / len(rows)


def brier_decomposition(p: ArrayLike, y: ArrayLike) -> BrierDecomposition:
    """Return the parts of the Brier score: reliability, resolution and uncertainty.

    Points are grouped by their exact forecast, so that the parts add up exactly.

    Parameters
    ----------
    p, y
        As for :func:`brier`.

    Returns
    -------
    BrierDecomposition
        ``brier`` = ``reliability`` - ``resolution`` + ``uncertainty``.

    Raises
    ------
    ValueError
        As :func:`brier`.

    References
    ----------
    A. H. Murphy, "A new vector partition of the probability score", 1973.

    Examples
    --------
    >>> from deluge_nb.stats import brier_decomposition
    >>> parts = brier_decomposition([0.8, 0.8, 0.2, 0.2], [1, 1, 0, 1])
    >>> round(parts.reliability, 4), round(parts.resolution, 4), round(parts.uncertainty, 4), round(parts.brier, 4)
    (0.065, 0.0625, 0.1875, 0.19)
    """
    forecast, outcome = read_forecasts(p, y, ("p", "y"))
    values, index, counts = np.unique(forecast, return_inverse=True, return_counts=True)
    rate = np.bincount(index, outcome) / counts
    base = math.fsum(outcome.tolist()) / len(outcome)
    share = counts / len(forecast)
    return BrierDecomposition(
        math.fsum((share * (values - rate) ** 2).tolist()),
        math.fsum((share * (rate - base) ** 2).tolist()),
        base * (1 - base),
        math.fsum(((forecast - outcome) ** 2).tolist()) / len(forecast),
    )


def log_loss(p: ArrayLike, y: ArrayLike, eps: float | None = None) -> float:
    """Return the mean surprisal (nats) of the outcomes; infinite if one was forecast as impossible.

    Parameters
    ----------
    p
        Probabilities of 1, shape (n,).
    y
        0 or 1, shape (n,).
    eps
        Keep probabilities this far from 0 and 1; None changes nothing.

    Returns
    -------
    float
        Nats, at least 0.

    Raises
    ------
    ValueError
        If the lists are empty, differ in length, or hold other values, or ``eps`` is not from 0 to 0.5.

    Examples
    --------
    >>> from deluge_nb.stats import log_loss
    >>> round(log_loss([0.9, 0.2, 0.6], [1, 0, 0]), 4)
    0.4149
    """
    forecast, outcome = read_forecasts(p, y, ("p", "y"))
    if eps is not None:
        edge = between(eps, "eps", 0, 0.5)
        forecast = np.clip(forecast, edge, 1 - edge)
    with np.errstate(divide="ignore"):
        losses = -np.where(outcome == 1, np.log(forecast), np.log1p(-forecast))
    return math.fsum(losses.tolist()) / len(losses) + 0.0


def auroc(score: ArrayLike, y: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that a 1 scores higher than a 0, with ties as one half.

    Parameters
    ----------
    score
        Numbers, also infinite ones, shape (n,): higher means more likely 1.
    y
        0 or 1, shape (n,).

    Returns
    -------
    float
        From 0 to 1; 0.5 for scores without information.

    Raises
    ------
    ValueError
        If one kind of outcome is missing, or the lists differ in length.

    References
    ----------
    J. Hanley, B. McNeil, "The meaning and use of the area under a ROC curve", 1982.

    Examples
    --------
    >>> from deluge_nb.stats import auroc
    >>> auroc([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])
    0.75
    """
    values, outcome = vector(score, "score"), outcomes(y, "y")
    check_paired(values, outcome, ("score", "y"))
    positive, negative = values[outcome == 1], np.sort(values[outcome == 0])
    if not len(positive) or not len(negative):
        raise SettingError(
            f"y holds only {'0' if not len(positive) else '1'}; the area under the ROC curve needs both outcomes.",
            setting="y",
            value=float(outcome[0]),
        )
    # Sorted, too, because a search in ascending order runs through the cache once.
    positive = np.sort(positive)
    below = np.searchsorted(negative, positive, side="left").sum(dtype=np.int64)
    upto = np.searchsorted(negative, positive, side="right").sum(dtype=np.int64)
    return (int(below) + int(upto)) / (2 * len(positive) * len(negative))


def average_precision(score: ArrayLike, y: ArrayLike) -> float:
    """Return the area under the precision-recall curve: the mean precision at each 1, from the highest score down.

    The curve has steps, and equal scores are one step, so the order of the data makes no difference.

    Parameters
    ----------
    score
        Numbers, also infinite ones, shape (n,): higher means more likely 1.
    y
        0 or 1, shape (n,).

    Returns
    -------
    float
        From 0 to 1. Scores without information have the share of 1 in ``y``.

    Raises
    ------
    ValueError
        If ``y`` has no 1, or the lists are empty, differ in length, or hold other values.

    Notes
    -----
    The sum over thresholds of the precision times the increase in recall, as in scikit-learn's
    ``average_precision_score``.

    Examples
    --------
    >>> from deluge_nb.stats import average_precision
    >>> round(average_precision([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]), 4)
    0.8333
    """
    values, outcome = vector(score, "score"), outcomes(y, "y")
    check_paired(values, outcome, ("score", "y"))
    if not outcome.any():
        raise SettingError("y holds only 0; the area under the precision-recall curve needs a 1.", setting="y", value=0)
    _, index, counts = np.unique(-values, return_inverse=True, return_counts=True)
    hits = np.bincount(index, outcome)
    found = np.cumsum(hits)
    return math.fsum((hits * found / np.cumsum(counts)).tolist()) / float(found[-1])


def read_forecasts(p: ArrayLike, y: ArrayLike, names: tuple[str, str]) -> tuple[Floats, Floats]:
    """Return forecasts (probabilities of 1) and their outcomes (0 or 1) as arrays of the same length."""
    forecast, outcome = probabilities(p, names[0]), outcomes(y, names[1])
    check_paired(forecast, outcome, names)
    return forecast, outcome


def read_class_forecasts(p: ArrayLike, y: ArrayLike) -> tuple[Floats, Ints]:
    """Return forecasts of classes, shape (n, k), and the index of each row's true class."""
    rows = matrix(p, "p")
    n, k = rows.shape
    for row, column in np.argwhere((rows < 0) | (rows > 1))[:1]:
        raise invalid_argument(f"p[{row}][{column}]", float(rows[row, column]), "a probability from 0 to 1")
    heavy = np.flatnonzero(rows.sum(axis=1) > 1 + MASS_TOLERANCE)
    if len(heavy):
        total = float(rows[heavy[0]].sum())
        raise ProbabilityMassError(
            f"p[{heavy[0]}] adds up to {total:.6g}; probabilities of classes that exclude each other must add up to 1.",
            position=int(heavy[0]),
            value=total,
        )
    true = classes(y, "y", k)
    check_paired(rows[:, 0] if k else np.zeros(n), true.astype(np.float64), ("p", "y"))
    return rows, true
