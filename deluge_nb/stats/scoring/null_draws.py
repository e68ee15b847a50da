"""Draws of outcomes, binned, and the test of calibration that they give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...logprobs.columns import Floats
from ..core.records import Result
from ..core.validation import count
from .calibration_error import bin_indices, ece
from .forecasts import read_forecasts

# Outcomes drawn one by one. With more of them, the number of hits in a bin is normal to all visible digits.
_DRAWS = 4_000_000
# Errors that differ by rounding only are equal.
_TIE_GUARD = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationTest(Result):
    """Calibration error ``ece``, its mean ``expected_ece`` if the confidences are true, and the ``p_value``."""

    ece: float
    expected_ece: float
    p_value: float


class BinnedOutcomes:
    """Repeated draws of outcomes, summed over bins, with the same random numbers for all probabilities.

    Parameters
    ----------
    bins
        The bin of each point, shape (n,).
    resamples
        Number of draws.
    seed
        Seed of the random numbers.
    most
        Number of outcomes that are drawn one by one. Beyond it, the sums over bins are drawn from normal distributions.
    """

    def __init__(self, bins: NDArray[np.intp], resamples: int, seed: int, most: int = _DRAWS) -> None:
        filled, self._bins = np.unique(bins, return_inverse=True)
        self.counts: Floats = np.bincount(self._bins).astype(np.float64)
        rng = np.random.default_rng(seed)
        one_by_one = len(bins) * resamples <= most
        # Sums over bins are a matrix product: whole numbers below 2^24, so single precision is exact.
        self._inside = (self._bins[:, None] == np.arange(len(filled))).astype(np.float32) if one_by_one else None
        shape = (resamples, len(bins) if one_by_one else len(self.counts))
        self._noise = rng.random(shape) if one_by_one else rng.standard_normal(shape)

    def sum(self, values: Floats) -> Floats:
        """Return the sum of values of points over each bin that has points."""
        return np.bincount(self._bins, values).astype(np.float64, copy=False)

    def draw(self, p: Floats) -> Floats:
        """Return the hits in each bin that has points, for the probability of each point; shape (resamples, bins)."""
        if self._inside is not None:
            return ((self._noise < p).astype(np.float32) @ self._inside).astype(np.float64)
        hits = self.sum(p) + self._noise * np.sqrt(self.sum(p * (1 - p)))
        return np.clip(hits, 0, self.counts)


def calibration_test(
    confidence: ArrayLike, correct: ArrayLike, *, n_bins: int = 10, resamples: int = 1000, seed: int = 0
) -> CalibrationTest:
    """Test whether the confidences are calibrated: compare their error with errors of outcomes drawn from them.

    Even true confidences have an expected calibration error above 0, because the outcomes of few points scatter. The
    p-value is the probability of an error as large as the observed one if each answer is right with the probability
    that its confidence says.

    Parameters
    ----------
    confidence
        Probabilities, shape (n,).
    correct
        0 or 1 (or booleans), shape (n,).
    n_bins
        The number of bins, as for :func:`ece`.
    resamples
        The number of times that outcomes are drawn.
    seed
        Seed of the draws.

    Returns
    -------
    CalibrationTest
        ``p_value`` is (1 + number of draws with an error at least as large) / (1 + ``resamples``): small where the
        confidences are not calibrated. A large one does not show that they are, if there are few points.

    Raises
    ------
    ValueError
        If the lists are empty, differ in length, or hold other values.

    References
    ----------
    J. Vaicenavicius et al., "Evaluating model calibration in classification", 2019; J. Broecker, L. Smith, "Increasing
    the Reliability of Reliability Diagrams", 2007.

    Examples
    --------
    >>> from deluge_nb.stats import calibration_test
    >>> test = calibration_test([0.9] * 20, [1] * 12 + [0] * 8)
    >>> round(test.ece, 2), test.expected_ece < 0.06, test.p_value < 0.01
    (0.3, True, True)
    """
    p, y = read_forecasts(confidence, correct, ("confidence", "correct"))
    error = ece(p, y, n_bins).ece
    draws = count(resamples, "resamples", 1)
    outcomes = BinnedOutcomes(bin_indices(p, count(n_bins, "n_bins", 1)), draws, count(seed, "seed"))
    errors = np.abs(outcomes.draw(p) - outcomes.sum(p)).sum(axis=1) / len(p)
    reached = int((errors >= error - _TIE_GUARD).sum())
    return CalibrationTest(error, float(errors.mean()), (1 + reached) / (1 + draws))
