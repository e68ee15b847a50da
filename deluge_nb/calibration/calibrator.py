"""Fit a function from confidences to calibrated confidences, and apply it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ..errors import invalid_argument
from ..logprobs.columns import Floats
from ..stats.core.records import Result
from ..stats.core.validation import check_paired, number, probabilities, vector
from ..stats.fits import COLDEST, HOTTEST, FitProblem, isotonic_steps, solve_platt, solve_temperature
from ..warning import warn

Kind = Literal["temperature", "platt", "isotonic"]

# A confidence of 0 or 1 has infinite log-odds, so confidences are clipped to this distance from both.
_EDGE = 1e-6
# Confidences that differ by less are equal: the rest is rounding.
_EQUAL = 1e-12
_PARAMETERS = {"temperature": ("temperature",), "platt": ("a", "b"), "isotonic": ("x", "y")}
_DATA_PROBLEMS: dict[FitProblem, str] = {
    "equal": "All confidences are equal, so they say nothing about which answers are right",
    "one outcome": "All answers are right, or all are wrong, so the confidences cannot be compared with the outcomes",
    "unrelated": "The confidences say nothing about which answers are right",
    "reversed": "The confidences order the answers the wrong way: wrong answers have the higher ones",
}
_SLOPELESS_PROBLEMS: dict[FitProblem, str] = {
    "separate": "The confidences separate right answers from wrong ones perfectly, or there are too few answers",
    "reversed": "The confidences say nothing about which answers are right, or order them the wrong way",
}


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

    Raises
    ------
    SettingError
        When ``kind`` is none of these, or a parameter is missing or impossible.

    Examples
    --------
    >>> from deluge_nb import Calibrator
    >>> halve_the_log_odds = Calibrator("temperature", {"temperature": 2.0})
    >>> halve_the_log_odds.transform([0.5, 0.9]).round(2)
    array([0.5 , 0.75])
    """

    kind: str
    parameters: dict[str, Any]

    def __post_init__(self) -> None:
        names = _PARAMETERS.get(check_kind(self.kind), ())
        if not isinstance(self.parameters, dict) or sorted(self.parameters) != sorted(names):
            wanted = " and ".join(repr(name) for name in names)
            raise invalid_argument("parameters", self.parameters, f"a dict with {wanted} for kind={self.kind!r}")
        if self.kind == "isotonic":
            x, y = (
                vector(self.parameters["x"], "parameters['x']"),
                probabilities(self.parameters["y"], "parameters['y']"),
            )
            check_paired(x, y, ("parameters['x']", "parameters['y']"))
            if (np.diff(x) <= 0).any():
                raise invalid_argument("parameters['x']", self.parameters["x"], "in ascending order, each value once")
            return
        for name in names:
            value = number(self.parameters[name], f"parameters[{name!r}]")
            if not math.isfinite(value) or (self.kind == "temperature" and value <= 0):
                above = "above 0, and finite" if self.kind == "temperature" else "finite"
                raise invalid_argument(f"parameters[{name!r}]", value, above)

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
        if self.kind == "temperature" and self.parameters["temperature"] == 1:
            return p.copy()
        z = _log_odds(p)
        if self.kind == "temperature":
            z = z / self.parameters["temperature"]
        else:
            z = self.parameters["a"] * z + self.parameters["b"]
        small = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + small), small / (1 + small))


def check_kind(kind: object) -> Kind:
    """Return the kind of a fit, or raise an error that lists the kinds."""
    for known in get_args(Kind):
        if kind == known:
            return known
    raise invalid_argument("kind", kind, "'temperature', 'platt' or 'isotonic'")


def fit_calibrator(confidence: Floats, correct: Floats, kind: Kind) -> Calibrator:
    """Return the calibrator of a kind that fits confidences to outcomes (0 or 1), both of shape (n,).

    Where the data do not determine it, one warning says why, and what the fit does instead.
    """
    if np.ptp(confidence) <= _EQUAL:
        confidence = np.full(len(confidence), np.median(confidence))
    if check_kind(kind) == "isotonic":
        x, _, y = isotonic_steps(confidence, correct)
        if y[0] == y[-1]:
            same = correct.min() == correct.max()
            problem: FitProblem = "equal" if len(x) == 1 else "one outcome" if same else "reversed"
            reason = (_DATA_PROBLEMS | _SLOPELESS_PROBLEMS)[problem]
            _warn(reason, f"the fit gives the base rate, {y[0]:.3f}, for every confidence")
        return Calibrator(kind, {"x": x, "y": y})
    z = _log_odds(confidence)
    if kind == "platt":
        line, problem = solve_platt(z, correct)
        calibrator = Calibrator(kind, {"a": line.a, "b": line.b})
        if problem == "reversed":
            _warn(_DATA_PROBLEMS[problem], "the fitted line falls, and turns the order round")
        elif problem:
            rate = float(calibrator.transform([0.5])[0])
            _warn(_DATA_PROBLEMS[problem], f"the fit gives the smoothed base rate, {rate:.3f}, for every confidence")
        return calibrator
    fit, problem = solve_temperature(z, correct)
    if problem:
        limit = {"separate": COLDEST, "reversed": HOTTEST}.get(problem, 1)
        reason = (_DATA_PROBLEMS | _SLOPELESS_PROBLEMS)[problem]
        _warn(reason, f"the temperature is {limit:g}" + (", which changes nothing" if limit == 1 else ""))
    return Calibrator(kind, {"temperature": fit.temperature})


def _warn(reason: str, effect: str) -> None:
    """Warn the caller of ``CalibrationReport.fit``."""
    warn(f"{reason}: {effect}.", RuntimeWarning)


def _log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(clipped) - np.log1p(-clipped)
