"""Calibration error: the distance between confidence and accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...logprobs.columns import Floats
from ..core.records import Result
from ..core.validation import count
from .forecasts import read_class_forecasts, read_forecasts
from .intervals import wilson_interval

# Points per pass: so many numbers stay in the cache of one processor core.
_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationBin(Result):
    """One bin of a reliability diagram.

    ``bin`` is its number from 0 and ``count`` the number of points in it. ``accuracy`` is their mean outcome with its
    95 % Wilson interval, ``confidence`` their mean confidence.
    """

    bin: int
    count: int
    accuracy: float
    confidence: float
    wilson_low: float
    wilson_high: float


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationError(Result):
    """Expected (``ece``), maximum (``mce``) and root mean square (``rmsce``) calibration error, and the filled bins."""

    ece: float
    mce: float
    rmsce: float
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MulticlassCalibration(Result):
    """Calibration errors of forecasts over several classes.

    ``top_label`` is the error of each row's largest probability, ``per_class`` the error of each column as a forecast
    of its class, and ``classwise`` the mean of ``per_class``.
    """

    top_label: float
    per_class: tuple[float, ...]
    classwise: float


def ece(confidence: ArrayLike, correct: ArrayLike, n_bins: int = 10) -> CalibrationError:
    """Return the expected calibration error: the mean distance of confidence from accuracy, over bins of equal width.

    Bins are (low, high]; the first includes 0, so that no point is lost.

    Parameters
    ----------
    confidence
        Probabilities, shape (n,).
    correct
        0 or 1 (or booleans), shape (n,).
    n_bins
        The number of bins.

    Returns
    -------
    CalibrationError
        Errors between 0 and 1, and the bins that hold points.

    Raises
    ------
    ValueError
        If the lists are empty, differ in length, or hold other values.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3; E. B. Wilson, 1927, for the intervals.

    Examples
    --------
    >>> from deluge_nb.stats import ece
    >>> error = ece([0.9, 0.9, 0.9, 0.9, 0.6], [1, 1, 1, 0, 1])
    >>> round(error.ece, 3), round(error.mce, 3), [bin.count for bin in error.bins]
    (0.2, 0.4, [1, 4])
    """
    p, y = read_forecasts(confidence, correct, ("confidence", "correct"))
    bins = count(n_bins, "n_bins", 1)
    sums = np.zeros((3, bins))
    for start in range(0, len(p), _BLOCK):
        part = p[start : start + _BLOCK]
        index = bin_indices(part, bins)
        sums[0] += np.bincount(index, minlength=bins)
        sums[1] += np.bincount(index, part, bins)
        sums[2] += np.bincount(index, y[start : start + _BLOCK], bins)
    return _calibration_error(sums, len(p))


def bin_indices(p: Floats, bins: int) -> NDArray[np.intp]:
    """Return the bin (low, high] of each probability, the first closed at 0.

    Edges are the doubles nearest to i / bins.
    """
    scaled = p * bins
    index = np.maximum(np.ceil(scaled), 1.0).astype(np.intp) - 1
    # The product may be off by its last bit where a value is at an edge or next to one: there the edges decide.
    near = np.flatnonzero(np.abs(scaled - np.rint(scaled)) < 1e-9)
    if len(near):
        edges = np.arange(bins + 1) / bins
        index[near] = np.clip(np.searchsorted(edges, p[near], side="left") - 1, 0, bins - 1)
    return index


def _calibration_error(sums: Floats, n: int) -> CalibrationError:
    """Return the record from the count, the sum of confidence and the sum of outcomes of each bin, shape (3, bins)."""
    counts = sums[0]
    with np.errstate(invalid="ignore"):
        confidence, accuracy = sums[1] / counts, sums[2] / counts
    gap = np.abs(accuracy - confidence)
    share = counts / n
    table: list[CalibrationBin] = []
    for index in np.flatnonzero(counts).tolist():
        total, right = int(counts[index]), round(float(sums[2][index]))
        interval = wilson_interval(right, total)
        table.append(
            CalibrationBin(index, total, float(accuracy[index]), float(confidence[index]), interval.low, interval.high)
        )
    filled = counts > 0
    return CalibrationError(
        math.fsum((share * gap)[filled].tolist()),
        float(gap[filled].max()),
        math.sqrt(math.fsum((share * gap**2)[filled].tolist())),
        tuple(table),
    )


def adaptive_ece(confidence: ArrayLike, correct: ArrayLike, n_bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal number, at the quantiles of the confidences.

    Points of equal confidence share a bin, so the order of the data makes no difference.

    Parameters
    ----------
    confidence, correct, n_bins
        As for :func:`ece`.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        As :func:`ece`.

    References
    ----------
    K. Nguyen, B. O'Connor, "Posterior calibration and exploratory analysis for natural language processing models",
    2015.

    Examples
    --------
    >>> from deluge_nb.stats import adaptive_ece
    >>> round(adaptive_ece([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], n_bins=2), 3)
    0.15
    """
    p, y = read_forecasts(confidence, correct, ("confidence", "correct"))
    index = quantile_bin_indices(p, count(n_bins, "n_bins", 1))
    gaps = np.bincount(index, y - p)
    return math.fsum(np.abs(gaps).tolist()) / len(p)


def quantile_bin_indices(p: Floats, bins: int) -> NDArray[np.intp]:
    """Return the bin of each probability, between quantiles; equal probabilities share a bin."""
    edges = np.unique(np.quantile(p, np.arange(bins + 1) / bins))
    return np.clip(np.searchsorted(edges, p, side="left") - 1, 0, max(len(edges) - 2, 0))


def ece_multiclass(p: ArrayLike, y: ArrayLike, n_bins: int = 10) -> MulticlassCalibration:
    """Return the calibration errors over several classes: of the top label, of each class, and their mean.

    Parameters
    ----------
    p
        Probabilities, shape (n, k).
    y
        The index of the true class, from 0, shape (n,).
    n_bins
        The number of bins of equal width.

    Returns
    -------
    MulticlassCalibration
        Each error is that of :func:`ece`. The top label is the first of the likeliest classes.

    Raises
    ------
    ValueError
        If the shapes do not fit, a number is not a probability, or a row adds up to more than 1.

    References
    ----------
    M. Kull et al., "Beyond temperature scaling", 2019, for the classwise error.

    Examples
    --------
    >>> from deluge_nb.stats import ece_multiclass
    >>> error = ece_multiclass([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [0, 2])
    >>> round(error.top_label, 3), [round(value, 3) for value in error.per_class], round(error.classwise, 3)
    (0.55, [0.2, 0.5, 0.4], 0.367)
    """
    rows, true = read_class_forecasts(p, y)
    best = rows.argmax(axis=1)
    errors = [ece(column, true == name, n_bins).ece for name, column in enumerate(rows.T)]
    return MulticlassCalibration(
        ece(rows[np.arange(len(rows)), best], best == true, n_bins).ece,
        tuple(errors),
        math.fsum(errors) / len(errors),
    )
