"""Scores of forecasts: Brier score, log loss and area under the ROC curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, SettingError, invalid_argument
from ...logprobs.columns import Floats
from ..core.records import Result
from ..core.validation import MASS_TOLERANCE, between, check_paired, classes, matrix, outcomes, probabilities, vector


@dataclass(frozen=True, slots=True, eq=False)
class BrierDecomposition(Result):
    """Murphy's partition: ``brier`` = ``reliability`` - ``resolution`` + ``uncertainty``."""

    reliability: float
    resolution: float
    uncertainty: float
    brier: float


def brier(p: ArrayLike, y: ArrayLike) -> float:
    """The Brier score of a binary forecast: the mean of (p - y)^2, from 0 (best) to 1.

    Parameters
    ----------
    p
        Probabilities of 1, shape (n,).
    y
        0 or 1, shape (n,).

    Raises
    ------
    ValueError
        When the lists are empty, differ in length, or hold anything else.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", 1950, halved as is usual for two
    classes.
    """
    forecast, outcome = read_forecasts(p, y, ("p", "y"))
    return math.fsum(((forecast - outcome) ** 2).tolist()) / len(forecast)


def brier_multiclass(p: ArrayLike, y: ArrayLike) -> float:
    """The Brier score over several classes: the mean of the sum over classes of (p - [y])^2, from 0 (best) to 2.

    Parameters
    ----------
    p
        Probabilities, shape (n, k).
    y
        The class that came true, from 0, shape (n,).

    Raises
    ------
    ValueError
        When the shapes do not fit, a number is no probability, or a row adds up to more than 1.
    """
    rows = matrix(p, "p")
    n, k = rows.shape
    for row, column in np.argwhere((rows < 0) | (rows > 1))[:1]:
        raise invalid_argument(f"p[{row}][{column}]", float(rows[row, column]), "a probability from 0 to 1")
    heavy = np.flatnonzero(rows.sum(axis=1) > 1 + MASS_TOLERANCE)
    if len(heavy):
        total = float(rows[heavy[0]].sum())
        raise ProbabilityMassError(
            f"p[{heavy[0]}] adds up to {total:.6g}, and probabilities of classes that exclude each other to 1.",
            position=int(heavy[0]),
            value=total,
        )
    true = classes(y, "y", k)
    check_paired(rows[:, 0] if k else np.zeros(n), true.astype(np.float64), ("p", "y"))
    squares = rows**2
    own = rows[np.arange(n), true]
    return math.fsum([*(squares.sum(axis=1) - own**2 + (own - 1) ** 2).tolist()]) / n


def brier_decomposition(p: ArrayLike, y: ArrayLike) -> BrierDecomposition:
    """What the Brier score is made of: reliability, resolution, uncertainty.

    Points are grouped by their very forecast, so that the parts add up exactly.

    Parameters
    ----------
    p, y
        As for :func:`brier`.

    Raises
    ------
    ValueError
        As :func:`brier`.

    References
    ----------
    A. H. Murphy, "A new vector partition of the probability score", 1973.
    """
    forecast, outcome = read_forecasts(p, y, ("p", "y"))
    values, at, counts = np.unique(forecast, return_inverse=True, return_counts=True)
    rate = np.bincount(at, outcome) / counts
    base = math.fsum(outcome.tolist()) / len(outcome)
    share = counts / len(forecast)
    return BrierDecomposition(
        math.fsum((share * (values - rate) ** 2).tolist()),
        math.fsum((share * (rate - base) ** 2).tolist()),
        base * (1 - base),
        math.fsum(((forecast - outcome) ** 2).tolist()) / len(forecast),
    )


def log_loss(p: ArrayLike, y: ArrayLike, eps: float | None = None) -> float:
    """The mean surprisal (nats) of what came true; infinite where something impossible did.

    Parameters
    ----------
    p
        Probabilities of 1, shape (n,).
    y
        0 or 1, shape (n,).
    eps
        Keep probabilities this far from 0 and 1; None changes nothing.

    Raises
    ------
    ValueError
        When the lists are empty, differ in length, or hold anything else, or ``eps`` is not from 0 to 0.5.
    """
    forecast, outcome = read_forecasts(p, y, ("p", "y"))
    if eps is not None:
        edge = between(eps, "eps", 0, 0.5)
        forecast = np.clip(forecast, edge, 1 - edge)
    with np.errstate(divide="ignore"):
        losses = -np.where(outcome == 1, np.log(forecast), np.log1p(-forecast))
    return math.fsum(losses.tolist()) / len(losses) + 0.0


def auroc(score: ArrayLike, y: ArrayLike) -> float:
    """The area under the ROC curve: how often a 1 has a higher score than a 0, ties counting one half.

    Parameters
    ----------
    score
        Any numbers, infinite ones included, shape (n,): higher means "rather 1".
    y
        0 or 1, shape (n,).

    Raises
    ------
    ValueError
        When there are not both kinds of outcome, or the lists differ in length.

    References
    ----------
    J. Hanley, B. McNeil, "The meaning and use of the area under a ROC curve", 1982.
    """
    values, outcome = vector(score, "score"), outcomes(y, "y")
    check_paired(values, outcome, ("score", "y"))
    positive, negative = values[outcome == 1], np.sort(values[outcome == 0])
    if not len(positive) or not len(negative):
        raise SettingError(
            f"y holds only {'0' if not len(positive) else '1'}, and an area under the ROC curve compares both kinds.",
            setting="y",
            value=float(outcome[0]),
        )
    # Sorted as well, for a search in order runs through the cache once.
    positive = np.sort(positive)
    below = np.searchsorted(negative, positive, side="left").sum(dtype=np.int64)
    upto = np.searchsorted(negative, positive, side="right").sum(dtype=np.int64)
    return (int(below) + int(upto)) / (2 * len(positive) * len(negative))


def read_forecasts(p: ArrayLike, y: ArrayLike, names: tuple[str, str]) -> tuple[Floats, Floats]:
    """Return forecasts (probabilities of 1) and their outcomes (0 or 1) as arrays of the same length."""
    forecast, outcome = probabilities(p, names[0]), outcomes(y, names[1])
    check_paired(forecast, outcome, names)
    return forecast, outcome
