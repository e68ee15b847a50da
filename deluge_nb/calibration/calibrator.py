"""Fit a function from confidences to calibrated confidences, and apply it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..errors import invalid_argument
from ..logprobs.columns import Floats
from ..stats.core.records import Result
from ..stats.core.validation import probabilities
from ..stats.fits import fit_platt, fit_temperature_binary, isotonic_steps

Kind = Literal["temperature", "platt", "isotonic"]

# A confidence of 0 or 1 has infinite log-odds, so confidences are clipped to this distance from both.
_EDGE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Calibrator(Result):
    """Fitted function from confidences to calibrated ones; made by :meth:`CalibrationReport.fit`.

    Parameters
    ----------
    kind
        ``"temperature"``, ``"platt"`` or ``"isotonic"``.
    parameters
        ``temperature``; or ``a`` and ``b`` of Platt's line over the log-odds; or ``x`` and ``y``, the steps of an
        isotonic fit, with linear interpolation between them.

    Examples
    --------
    >>> from deluge_nb import Calibrator
    >>> halve_the_log_odds = Calibrator("temperature", {"temperature": 2.0})
    >>> halve_the_log_odds.transform([0.5, 0.9]).round(2)
    array([0.5 , 0.75])
    """

    kind: str
    parameters: dict[str, Any]

    def transform(self, confidence: ArrayLike) -> Floats:
        """Return calibrated confidences.

        Parameters
        ----------
        confidence
            Probabilities from 0 to 1, shape (n,).

        Returns
        -------
        ndarray of float64
            Probabilities from 0 to 1, shape (n,).

        Raises
        ------
        SettingError
            When a confidence is not a probability.
        """
        p = probabilities(confidence, "confidence")
        if self.kind == "isotonic":
            return np.interp(p, self.parameters["x"], self.parameters["y"])
        z = _log_odds(p)
        if self.kind == "temperature":
            z = z / self.parameters["temperature"]
        else:
            z = self.parameters["a"] * z + self.parameters["b"]
        small = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + small), small / (1 + small))


def fit_calibrator(confidence: Floats, correct: Floats, kind: Kind) -> Calibrator:
    """Return the calibrator of a kind that fits confidences to outcomes (0 or 1), both of shape (n,)."""
    if kind == "isotonic":
        x, _, y = isotonic_steps(confidence, correct)
        return Calibrator(kind, {"x": x, "y": y})
    z = _log_odds(confidence)
    if kind == "temperature":
        return Calibrator(kind, {"temperature": fit_temperature_binary(z, correct).temperature})
    if kind == "platt":
        line = fit_platt(z, correct)
        return Calibrator(kind, {"a": line.a, "b": line.b})
    raise invalid_argument("kind", kind, "'temperature', 'platt' or 'isotonic'")


def _log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(clipped) - np.log1p(-clipped)
