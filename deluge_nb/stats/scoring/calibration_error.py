"""Calibration error: the distance between confidence and accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...logprobs.columns import Floats
from ..core.records import Result
from ..core.validation import count
from .forecasts import read_forecasts
from .intervals import wilson_interval

# So many numbers at a time stay in a core's own cache.
_BLOCK = 1 << 15


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
    p, y = read_forecasts(confidence, correct, ("confidence", "correct"))
    bins = count(n_bins, "n_bins", 1)
    sums = np.zeros((3, bins))
    for start in range(0, len(p), _BLOCK):
        part = p[start : start + _BLOCK]
        at = _bin_indices(part, bins)
        sums[0] += np.bincount(at, minlength=bins)
        sums[1] += np.bincount(at, part, bins)
        sums[2] += np.bincount(at, y[start : start + _BLOCK], bins)
    return _calibration_error(sums, len(p))


def _bin_indices(p: Floats, bins: int) -> NDArray[np.intp]:
    """The bin (lo, hi] of each probability, the first closed at 0; its edges are the doubles nearest to i / bins."""
    scaled = p * bins
    at = np.maximum(np.ceil(scaled), 1.0).astype(np.intp) - 1
    # The product may be off by its last bit where a value is an edge, or next to one: there the edges decide.
    near = np.flatnonzero(np.abs(scaled - np.rint(scaled)) < 1e-9)
    if len(near):
        edges = np.arange(bins + 1) / bins
        at[near] = np.clip(np.searchsorted(edges, p[near], side="left") - 1, 0, bins - 1)
    return at


def _calibration_error(sums: Floats, n: int) -> CalibrationError:
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
    p, y = read_forecasts(confidence, correct, ("confidence", "correct"))
    bins = count(n_bins, "n_bins", 1)
    edges = np.unique(np.quantile(p, np.arange(bins + 1) / bins))
    at = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, max(len(edges) - 2, 0))
    gaps = np.bincount(at, y - p)
    return math.fsum(np.abs(gaps).tolist()) / len(p)
