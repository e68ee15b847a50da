"""Fit a function from the shares of all labels to calibrated shares, and apply it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SettingError
from ..logprobs.columns import Floats
from ..stats.core.records import Result
from ..stats.core.validation import matrix
from ..stats.fits import solve_temperature_multiclass
from ..warning import warn
from .calibrator import Calibrator, Kind, check_kind, fit_calibrator

# A share of 0 is one that is too small to be seen, as for confidences.
_LEAST = 1e-6
_PROBLEMS = {
    "equal": "All shares are equal, so they say nothing about the labels",
    "reversed": "The shares predict nothing, or the wrong labels",
}


@dataclass(frozen=True, slots=True, eq=False)
class ShareCalibrator(Result):
    """Fitted function from the shares of all labels to calibrated ones, which add up to 1.

    Parameters
    ----------
    kind
        ``"temperature"``, ``"platt"`` or ``"isotonic"``.
    calibrators
        One temperature for all labels; or a function for each label against the others, and for two labels only one,
        for the share of the second.
    """

    kind: str
    calibrators: tuple[Calibrator, ...]

    def transform(self, shares: ArrayLike) -> Floats:
        """Return calibrated shares.

        Parameters
        ----------
        shares
            Shape (n, number of labels); each row adds up to 1.

        Returns
        -------
        ndarray of float64
            The same shape. A temperature keeps the order of the labels; the other kinds may change it. If no label has
            anything left, all get the same.

        Raises
        ------
        SettingError
            When the number of labels is another one than that of the fit.

        Examples
        --------
        >>> from deluge_nb import Calibrator
        >>> from deluge_nb.calibration.shares import ShareCalibrator
        >>> softer = ShareCalibrator("temperature", (Calibrator("temperature", {"temperature": 2.0}),))
        >>> softer.transform([[0.8, 0.1, 0.1]]).round(2).tolist()
        [[0.59, 0.21, 0.21]]
        """
        rows = matrix(shares, "shares")
        if self.kind == "temperature":
            temperature = float(self.calibrators[0].parameters["temperature"])
            return rows.copy() if temperature == 1 else _soften(rows, temperature)
        expected = max(len(self.calibrators), 2)
        if rows.shape[1] != expected:
            raise SettingError(
                f"shares must have {expected} columns, one for each label of the fit, not {rows.shape[1]}.",
                setting="shares",
                value=rows.shape[1],
            )
        if expected == 2:
            second = self.calibrators[0].transform(rows[:, 1])
            return np.column_stack([1 - second, second])
        columns = np.column_stack([part.transform(rows[:, place]) for place, part in enumerate(self.calibrators)])
        sums = columns.sum(axis=1, keepdims=True)
        return np.divide(columns, sums, out=np.full_like(columns, 1 / expected), where=sums > 0)


def _soften(rows: Floats, temperature: float) -> Floats:
    scaled = np.log(np.maximum(rows, _LEAST)) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def fit_shares(shares: Floats, true: NDArray[np.intp], kind: Kind) -> ShareCalibrator:
    """Return the calibrator of a kind that fits shares to the labels that are right. Needs SciPy.

    A temperature is fitted to one more row: the one of median certainty, with its second label as the right one.
    Without it, a few rows that are all right would make the model certain of everything.

    Parameters
    ----------
    shares
        Shares of the labels, shape (n, number of labels), at least two labels.
    true
        The index of the right label of each row, shape (n,).
    kind
        ``"temperature"``, ``"platt"`` or ``"isotonic"``.

    Returns
    -------
    ShareCalibrator
        The fit. A RuntimeWarning says where the data do not determine it.

    Raises
    ------
    SettingError
        When ``kind`` is none of these.
    """
    if check_kind(kind) == "temperature":
        logs = np.log(np.maximum(shares, _LEAST))
        order = np.argsort(-logs, axis=1, kind="stable")
        rows = np.arange(len(logs))
        lead = logs[rows, order[:, 0]] - logs[rows, order[:, 1]]
        median = int(np.argsort(lead, kind="stable")[len(lead) // 2])
        fit, problem = solve_temperature_multiclass(
            np.vstack([logs, logs[median]]), np.append(true, order[median, 1]).astype(np.int64)
        )
        if problem:
            reason = _PROBLEMS.get(problem, "The shares say nothing about the labels")
            warn(f"{reason}: the temperature is {fit.temperature:g}.", RuntimeWarning)
        return ShareCalibrator(kind, (Calibrator("temperature", {"temperature": fit.temperature}),))
    labels = [1] if shares.shape[1] == 2 else range(shares.shape[1])
    parts = (fit_calibrator(shares[:, label], (true == label).astype(np.float64), kind) for label in labels)
    return ShareCalibrator(kind, tuple(parts))
