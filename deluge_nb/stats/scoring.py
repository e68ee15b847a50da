"""How good probabilities were, once it is known what came true: calibration error, proper scores, intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ProbabilityMassError, SettingError, invalid_argument
from ..extras import import_extra
from ..logprobs.columns import Floats
from .core.records import Result
from .core.validation import (
    MASS_TOLERANCE,
    between,
    classes,
    count,
    matrix,
    outcomes,
    paired,
    probabilities,
    vector,
)

# So many numbers at a time stay in a core's own cache.
_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True, eq=False)
class Interval(Result):
    """The ends of a confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationBin(Result):
    """One bin of a reliability diagram: its number from 0, how many points, their mean outcome and mean confidence, and
    Wilson's 95 % interval of the outcome.
    """

    bin: int
    count: int
    accuracy: float
    confidence: float
    wilson_low: float
    wilson_high: float


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationError(Result):
    """Expected (``ece``), maximum (``mce``) and root mean square (``rmsce``) calibration error; the bins that have
    points.
    """

    ece: float
    mce: float
    rmsce: float
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BrierDecomposition(Result):
    """Murphy's partition: ``brier`` = ``reliability`` - ``resolution`` + ``uncertainty``."""

    reliability: float
    resolution: float
    uncertainty: float
    brier: float


def ece(confidence: ArrayLike, correct: ArrayLike, n_bins: int = 10) -> CalibrationError:
    """The expected calibration error: how far confidence is from accuracy, averaged over bins of equal width.

    Bins are (lo, hi], the first closed at 0, so that neither 0 nor 1 is lost.

    Parameters
    ----------
    confidence
        Probabilities, shape (n,).
    correct
        0 or 1 (or booleans), shape (n,).
    n_bins
        How many bins.

    Raises
    ------
    ValueError
        When the lists are empty, differ in length, or hold anything else.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3; E. B. Wilson, 1927, for the intervals.
    """
    p, y = _forecasts(confidence, correct, ("confidence", "correct"))
    bins = count(n_bins, "n_bins", 1)
    sums = np.zeros((3, bins))
    for start in range(0, len(p), _BLOCK):
        part = p[start : start + _BLOCK]
        at = _bins_of(part, bins)
        sums[0] += np.bincount(at, minlength=bins)
        sums[1] += np.bincount(at, part, bins)
        sums[2] += np.bincount(at, y[start : start + _BLOCK], bins)
    return _error(sums, len(p))


def _bins_of(p: Floats, bins: int) -> NDArray[np.intp]:
    """The bin (lo, hi] of each probability, the first closed at 0; its edges are the doubles nearest to i / bins."""
    scaled = p * bins
    at = np.maximum(np.ceil(scaled), 1.0).astype(np.intp) - 1
    # The product may be off by its last bit where a value is an edge, or next to one: there the edges decide.
    near = np.flatnonzero(np.abs(scaled - np.rint(scaled)) < 1e-9)
    if len(near):
        edges = np.arange(bins + 1) / bins
        at[near] = np.clip(np.searchsorted(edges, p[near], side="left") - 1, 0, bins - 1)
    return at


def _error(sums: Floats, n: int) -> CalibrationError:
    counts = sums[0]
    with np.errstate(invalid="ignore"):
        confidence, accuracy = sums[1] / counts, sums[2] / counts
    gap = np.abs(accuracy - confidence)
    share = counts / n
    table: list[CalibrationBin] = []
    for place in np.flatnonzero(counts).tolist():
        total, right = int(counts[place]), round(float(sums[2][place]))
        around = wilson_interval(right, total)
        table.append(
            CalibrationBin(place, total, float(accuracy[place]), float(confidence[place]), around.low, around.high)
        )
    filled = counts > 0
    return CalibrationError(
        math.fsum((share * gap)[filled].tolist()),
        float(gap[filled].max()),
        math.sqrt(math.fsum((share * gap**2)[filled].tolist())),
        tuple(table),
    )


def adaptive_ece(confidence: ArrayLike, correct: ArrayLike, n_bins: int = 10) -> float:
    """The expected calibration error over bins of equal number, at the quantiles of the confidences.

    Points of the same confidence are never parted, so that the order of the data makes no difference.

    Parameters
    ----------
    confidence, correct, n_bins
        As for :func:`ece`.

    Raises
    ------
    ValueError
        As :func:`ece`.

    References
    ----------
    K. Nguyen, B. O'Connor, "Posterior calibration and exploratory analysis for natural language processing models",
    2015.
    """
    p, y = _forecasts(confidence, correct, ("confidence", "correct"))
    bins = count(n_bins, "n_bins", 1)
    edges = np.unique(np.quantile(p, np.arange(bins + 1) / bins))
    at = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, max(len(edges) - 2, 0))
    gaps = np.bincount(at, y - p)
    return math.fsum(np.abs(gaps).tolist()) / len(p)


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
    forecast, outcome = _forecasts(p, y, ("p", "y"))
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
    paired(rows[:, 0] if k else np.zeros(n), true.astype(np.float64), ("p", "y"))
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
    forecast, outcome = _forecasts(p, y, ("p", "y"))
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
    forecast, outcome = _forecasts(p, y, ("p", "y"))
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
    paired(values, outcome, ("score", "y"))
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


def wilson_interval(k: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's confidence interval of a share: good for small numbers, close to its level on average.

    Parameters
    ----------
    k, n
        So many of so many.
    level
        The confidence, between 0 and 1.

    Raises
    ------
    ValueError
        When k is not from 0 to n, n is not at least 1, or the level no level.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    hits, total, z = _share(k, n, level)
    share = hits / total
    spread = z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return Interval(0.0 if hits == 0 else max(centre - half, 0.0), 1.0 if hits == total else min(centre + half, 1.0))


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """Clopper's and Pearson's confidence interval of a share: never below its level, hence wide. Needs SciPy.

    Parameters
    ----------
    k, n
        So many of so many.
    level
        The confidence, between 0 and 1.

    Raises
    ------
    MissingDependencyError
        When SciPy is not installed.
    ValueError
        When k is not from 0 to n, n is not at least 1, or the level no level.

    References
    ----------
    C. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", 1934.
    """
    hits, total, _ = _share(k, n, level)
    special = import_extra("scipy.special", "clopper_pearson")
    rest = (1 - level) / 2
    return Interval(
        0.0 if hits == 0 else float(special.betaincinv(hits, total - hits + 1, rest)),
        1.0 if hits == total else float(special.betainccinv(hits + 1, total - hits, rest)),
    )


def _share(k: int, n: int, level: float) -> tuple[int, int, float]:
    total = count(n, "n", 1)
    hits = count(k, "k")
    if hits > total:
        raise invalid_argument("k", k, f"at most n, {total}")
    return hits, total, normal_quantile(level)


def normal_quantile(level: float) -> float:
    """How many standard deviations hold that share of a normal distribution around its mean."""
    return NormalDist().inv_cdf(1 - (1 - between(level, "level", 0, 1, ends=False)) / 2)


def _forecasts(p: ArrayLike, y: ArrayLike, names: tuple[str, str]) -> tuple[Floats, Floats]:
    forecast, outcome = probabilities(p, names[0]), outcomes(y, names[1])
    paired(forecast, outcome, names)
    return forecast, outcome
