"""Fits that turn scores into calibrated probabilities."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SettingError, invalid_argument
from ..extras import import_extra
from ..logprobs.columns import Floats
from .core.records import Result
from .core.validation import check_paired, classes, matrix, outcomes, vector

# Beyond these a fit says no more than "as sure as can be" and "as unsure as can be".
COLDEST, HOTTEST = 0.01, 100.0


@dataclass(frozen=True, slots=True, eq=False)
class TemperatureFit(Result):
    """The temperature that makes logits most likely, and the mean negative log-likelihood (nats) without and with
    it.
    """

    temperature: float
    nll_before: float
    nll_after: float


@dataclass(frozen=True, slots=True, eq=False)
class PlattFit(Result):
    """The line of a logistic fit: P(1) = 1 / (1 + exp(-(a score + b)))."""

    a: float
    b: float


def fit_temperature_binary(logits: ArrayLike, y: ArrayLike) -> TemperatureFit:
    """The temperature T for which 1 / (1 + exp(-z / T)) makes the outcomes most likely. Needs SciPy.

    Parameters
    ----------
    logits
        Log-odds of 1, nats, shape (n,).
    y
        0 or 1, shape (n,).

    Returns
    -------
    TemperatureFit
        The temperature lies from 0.01 to 100; where the best is beyond (the logits part the outcomes perfectly, or do
        not tell them apart at all) it is the end of that range, and a warning says so.

    Raises
    ------
    MissingDependencyError
        When SciPy is not installed.
    ValueError
        When the lists are empty, differ in length, or hold anything else.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """
    z, outcome = vector(logits, "logits"), outcomes(y, "y")
    check_paired(z, outcome, ("logits", "y"))
    _check_finite(z, "logits")
    signed = np.where(outcome == 1, z, -z)

    def loss(beta: float) -> float:
        return math.fsum(np.logaddexp(0.0, -beta * signed).tolist()) / len(signed)

    def slope(beta: float) -> float:
        return math.fsum((-signed * _sigmoid(-beta * signed)).tolist()) / len(signed)

    return _fit_temperature(loss, slope)


def fit_temperature_multiclass(logits: ArrayLike, y: ArrayLike) -> TemperatureFit:
    """The temperature T for which softmax(z / T) makes the outcomes most likely. Needs SciPy.

    Parameters
    ----------
    logits
        Shape (n, k); log-probabilities will do.
    y
        The class that came true, from 0, shape (n,).

    Returns
    -------
    TemperatureFit
        As from :func:`fit_temperature_binary`.

    Raises
    ------
    MissingDependencyError
        When SciPy is not installed.
    ValueError
        When the shapes do not fit, or a number is NaN or infinite.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """
    rows = matrix(logits, "logits")
    true = classes(y, "y", rows.shape[1])
    check_paired(np.zeros(len(rows)), true.astype(np.float64), ("logits", "y"))
    _check_finite(rows.reshape(-1), "logits")
    # The differences to the true class are all that matters, and keep their digits where the logits are large.
    lead = rows - rows[np.arange(len(rows)), true][:, None]

    def loss(beta: float) -> float:
        return math.fsum(np.logaddexp.reduce(beta * lead, axis=1).tolist()) / len(lead)

    def slope(beta: float) -> float:
        scaled = beta * lead
        weights = np.exp(scaled - np.logaddexp.reduce(scaled, axis=1)[:, None])
        return math.fsum((weights * lead).sum(axis=1).tolist()) / len(lead)

    return _fit_temperature(loss, slope)


def _fit_temperature(loss, slope) -> TemperatureFit:  # type: ignore[no-untyped-def]
    """The best inverse temperature of a convex loss: where its slope is 0."""
    optimize = import_extra("scipy.optimize", "fitting a temperature")
    if slope(1 / COLDEST) <= 0:
        beta = 1 / COLDEST
        told = f"The scores part the outcomes perfectly (or there are too few): the temperature is set to {COLDEST:g}."
    elif slope(1 / HOTTEST) >= 0:
        beta = 1 / HOTTEST
        told = f"The scores say nothing of the outcomes, or the opposite: the temperature is set to {HOTTEST:g}."
    else:
        beta, told = optimize.brentq(slope, 1 / HOTTEST, 1 / COLDEST, xtol=1e-15, rtol=1e-14, maxiter=500), ""
    if told:
        warnings.warn(told, RuntimeWarning, stacklevel=3)
    return TemperatureFit(1 / beta, loss(1.0), loss(beta))


def fit_platt(scores: ArrayLike, y: ArrayLike, smooth: bool = True) -> PlattFit:
    """Platt's logistic fit of outcomes to scores. Needs SciPy.

    Parameters
    ----------
    scores
        Best log-odds, for on those the line includes "leave it as it is"; shape (n,).
    y
        0 or 1, shape (n,).
    smooth
        Whether to aim at Platt's targets, (N+ + 1) / (N+ + 2) and 1 / (N- + 2), in place of 1 and 0: they keep the line
        finite where the scores part the outcomes perfectly.

    Raises
    ------
    MissingDependencyError
        When SciPy is not installed.
    ValueError
        When the lists are empty, differ in length, hold anything else, or only one kind of outcome without ``smooth``.

    References
    ----------
    J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999; H.-T. Lin et al., "A note on Platt's
    probabilistic outputs", 2007, for the numerics.
    """
    s, outcome = vector(scores, "scores"), outcomes(y, "y")
    check_paired(s, outcome, ("scores", "y"))
    _check_finite(s, "scores")
    hits = float(outcome.sum())
    misses = len(outcome) - hits
    if not smooth and not (hits and misses):
        raise SettingError(
            f"y holds only {'1' if hits else '0'}, to which no finite line fits: use smooth=True.",
            setting="y",
            value=hits,
        )
    target = np.where(outcome == 1, (hits + 1) / (hits + 2), 1 / (misses + 2)) if smooth else outcome
    # In standard units the two directions are alike, whatever the scores are measured in.
    centre, spread = float(s.mean()), float(s.std())
    spread = spread if spread > 0 else 1.0
    x = np.column_stack(((s - centre) / spread, np.ones(len(s))))

    def loss(w: Floats) -> float:
        z = x @ w
        return float((np.logaddexp(0.0, z) - target * z).mean())

    def gradient(w: Floats) -> Floats:
        return x.T @ (_sigmoid(x @ w) - target) / len(x)

    def hessian(w: Floats) -> Floats:
        p = _sigmoid(x @ w)
        return (x * (p * (1 - p))[:, None]).T @ x / len(x)

    optimize = import_extra("scipy.optimize", "fit_platt")
    start = np.array([0.0, math.log((hits + 1) / (misses + 1))])
    found = optimize.minimize(loss, start, jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-8})
    w = found.x
    # Newton's own steps end where the gradient is rounding.
    for _ in range(5):
        w = w - np.linalg.lstsq(hessian(w), gradient(w), rcond=None)[0]
    if not np.isfinite(w).all() or np.abs(w).max() > 1e3:
        w = found.x
        warnings.warn(
            "The scores part the outcomes perfectly, and the line is as steep as the fit went: use smooth=True.",
            RuntimeWarning,
            stacklevel=2,
        )
    a = float(w[0]) / spread
    return PlattFit(a, float(w[1]) - a * centre)


def fit_isotonic(x: ArrayLike, y: ArrayLike) -> Floats:
    """The non-decreasing steps that are nearest to the outcomes: pool adjacent violators. Needs SciPy.

    Points with the same x are pooled first, so that the order of the data makes no difference.

    Parameters
    ----------
    x
        Scores, shape (n,).
    y
        Outcomes: 0 and 1, or any numbers; shape (n,).

    Returns
    -------
    ndarray of float64, shape (n,)
        The fitted value of each point, in the order of the data.

    Raises
    ------
    MissingDependencyError
        When SciPy is not installed.
    ValueError
        When the lists are empty or differ in length, or a number is NaN.

    References
    ----------
    R. Barlow et al., "Statistical Inference under Order Restrictions", 1972.
    """
    at, fitted = isotonic_steps(x, y)[1:]
    return fitted[at]


def isotonic_steps(x: ArrayLike, y: ArrayLike) -> tuple[Floats, NDArray[np.intp], Floats]:
    """The distinct scores, each point's place among them, and the fitted value at each."""
    scores, outcome = vector(x, "x"), vector(y, "y")
    check_paired(scores, outcome, ("x", "y"))
    values, at, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(at, outcome) / counts
    optimize = import_extra("scipy.optimize", "fit_isotonic")
    fitted = optimize.isotonic_regression(means, weights=counts.astype(np.float64)).x
    return values, at, np.asarray(fitted, np.float64)


def _sigmoid(z: Floats) -> Floats:
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + small), small / (1 + small))


def _check_finite(values: Floats, name: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise invalid_argument(
            f"{name}[{wrong[0]}]", float(values[wrong[0]]), "finite: keep probabilities away from 0 and 1 first"
        )
