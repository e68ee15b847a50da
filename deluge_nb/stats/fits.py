"""Fits from scores to calibrated probabilities: temperature, logistic and isotonic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SettingError, invalid_argument
from ..extras import import_extra
from ..logprobs.columns import Floats, Ints
from ..warning import warn
from .core.records import Result
from .core.validation import check_paired, classes, matrix, outcomes, vector

# Temperatures beyond these make all probabilities 0 and 1, or equal: a fit there has no useful value.
COLDEST, HOTTEST = 0.01, 100.0
# Scores that differ by less than this share of the largest are equal: the rest is rounding.
_SPREAD = 1e-12

# A slope below this, in standard units of the scores, is rounding.
_FLAT = 1e-9

FitProblem = Literal["", "equal", "one outcome", "separate", "unrelated", "reversed"]
"""Reason why data do not determine a fit; empty where they do."""
_TEMPERATURE_WARNINGS: dict[FitProblem, str] = {
    "equal": "All logits are equal, so they say nothing about the outcomes: the temperature is set to 1.",
    "one outcome": "All outcomes are the same, so no temperature can be fitted: it is set to 1.",
    "separate": f"The logits separate the outcomes perfectly (or are too few): the temperature is set to {COLDEST:g}.",
    "reversed": f"The logits predict nothing, or the opposite of the outcomes: the temperature is set to {HOTTEST:g}.",
}
_PLATT_WARNINGS: dict[FitProblem, str] = {
    "equal": "All scores are equal, so they say nothing about the outcomes: the fit is the base rate.",
    "one outcome": "All outcomes are the same, so the scores cannot be compared with them: the fit is the base rate.",
    "separate": "The scores separate the outcomes perfectly, so no finite slope is best: use smooth=True.",
    "unrelated": "The scores say nothing about the outcomes: the fit is the base rate.",
    "reversed": "The scores order the outcomes the wrong way: the fitted line falls.",
}


@dataclass(frozen=True, slots=True, eq=False)
class TemperatureFit(Result):
    """The temperature that makes the outcomes most likely.

    ``nll_before`` and ``nll_after`` are the mean negative log-likelihood (nats) without and with it.
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
    """Return the temperature T for which 1 / (1 + exp(-z / T)) makes the outcomes most likely. Needs SciPy.

    Parameters
    ----------
    logits
        Log-odds of 1 in nats, shape (n,).
    y
        0 or 1, shape (n,).

    Returns
    -------
    TemperatureFit
        A temperature from 0.01 to 100. If the best one is outside (the logits separate the outcomes perfectly, or not
        at all), it is the end of that range. It is 1 if the data cannot say: all logits, or all outcomes, are equal.
        Each of these gives a RuntimeWarning.

    Raises
    ------
    MissingDependencyError
        If SciPy is not installed.
    ValueError
        If the lists are empty, differ in length, or hold other values.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.

    Examples
    --------
    >>> from deluge_nb.stats import fit_temperature_binary
    >>> fit = fit_temperature_binary([4.0, 4.0, 4.0, -4.0], [1, 1, 0, 0])
    >>> round(fit.temperature, 2), round(fit.nll_before, 2), round(fit.nll_after, 2)
    (3.64, 1.02, 0.56)
    """
    fit, problem = solve_temperature(logits, y)
    _warn(_TEMPERATURE_WARNINGS, problem)
    return fit


def solve_temperature(logits: ArrayLike, y: ArrayLike) -> tuple[TemperatureFit, FitProblem]:
    """Return the fit of :func:`fit_temperature_binary`, and why the data do not determine it."""
    z, outcome = vector(logits, "logits"), outcomes(y, "y")
    check_paired(z, outcome, ("logits", "y"))
    _check_finite(z, "logits")
    signed = np.where(outcome == 1, z, -z)

    def loss(beta: float) -> float:
        return math.fsum(np.logaddexp(0.0, -beta * signed).tolist()) / len(signed)

    def slope(beta: float) -> float:
        return math.fsum((-signed * _sigmoid(-beta * signed)).tolist()) / len(signed)

    return _fit_temperature(loss, slope, _find_problem(z, outcome))


def fit_temperature_multiclass(logits: ArrayLike, y: ArrayLike) -> TemperatureFit:
    """Return the temperature T for which softmax(z / T) makes the outcomes most likely. Needs SciPy.

    Parameters
    ----------
    logits
        Shape (n, k); log-probabilities work as well.
    y
        The index of the true class, from 0, shape (n,).

    Returns
    -------
    TemperatureFit
        As from :func:`fit_temperature_binary`.

    Raises
    ------
    MissingDependencyError
        If SciPy is not installed.
    ValueError
        If the shapes do not fit, or a number is NaN or infinite.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.

    Examples
    --------
    >>> from deluge_nb.stats import fit_temperature_multiclass
    >>> fit = fit_temperature_multiclass([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [3.0, 0.0, 0.0]], [0, 1, 2])
    >>> round(fit.temperature, 2)
    2.16
    """
    fit, problem = solve_temperature_multiclass(logits, y)
    _warn(_TEMPERATURE_WARNINGS, problem)
    return fit


def solve_temperature_multiclass(logits: ArrayLike, y: ArrayLike) -> tuple[TemperatureFit, FitProblem]:
    """Return the fit of :func:`fit_temperature_multiclass`, and why the data do not determine it."""
    rows = matrix(logits, "logits")
    true = classes(y, "y", rows.shape[1])
    check_paired(np.zeros(len(rows)), true.astype(np.float64), ("logits", "y"))
    _check_finite(rows.reshape(-1), "logits")
    # Differences to the true class keep their digits where the logits are large.
    lead = rows - rows[np.arange(len(rows)), true][:, None]

    def loss(beta: float) -> float:
        return math.fsum(np.logaddexp.reduce(beta * lead, axis=1).tolist()) / len(lead)

    def slope(beta: float) -> float:
        scaled = beta * lead
        weights = np.exp(scaled - np.logaddexp.reduce(scaled, axis=1)[:, None])
        return math.fsum((weights * lead).sum(axis=1).tolist()) / len(lead)

    # Rows that differ by a constant have the same softmax.
    centred = rows - rows.mean(axis=1, keepdims=True)
    return _fit_temperature(loss, slope, _find_problem(centred, true))


def _fit_temperature(
    loss: Callable[[float], float], slope: Callable[[float], float], problem: FitProblem
) -> tuple[TemperatureFit, FitProblem]:
    """Return the fit of a convex loss of the inverse temperature, from the root of its slope."""
    optimize = import_extra("scipy.optimize", "fitting a temperature")
    if problem:
        beta = 1.0
    elif slope(1 / COLDEST) <= 0:
        beta, problem = 1 / COLDEST, "separate"
    elif slope(1 / HOTTEST) >= 0:
        beta, problem = 1 / HOTTEST, "reversed"
    else:
        beta = optimize.brentq(slope, 1 / HOTTEST, 1 / COLDEST, xtol=1e-15, rtol=1e-14, maxiter=500)
    return TemperatureFit(1 / beta, loss(1.0), loss(beta)), problem


def _find_problem(scores: Floats, outcome: Floats | Ints) -> FitProblem:
    """Return why scores, or rows of scores, cannot be compared with outcomes."""
    if float(np.ptp(scores, axis=0).max(initial=0.0)) <= _SPREAD * float(np.abs(scores).max(initial=0.0)):
        return "equal"
    return "one outcome" if bool((outcome == outcome[0]).all()) else ""


def _warn(messages: dict[FitProblem, str], problem: FitProblem) -> None:
    """Warn the caller of a public function about a problem, if there is one."""
    if problem:
        warn(messages[problem], RuntimeWarning)


def fit_platt(scores: ArrayLike, y: ArrayLike, smooth: bool = True) -> PlattFit:
    """Return Platt's logistic fit of outcomes to scores. Needs SciPy.

    Parameters
    ----------
    scores
        Scores, shape (n,). Prefer log-odds: a slope of 1 then leaves them unchanged.
    y
        0 or 1, shape (n,).
    smooth
        Whether to fit Platt's targets, (N+ + 1) / (N+ + 2) and 1 / (N- + 2), instead of 1 and 0. They keep the line
        finite if the scores separate the outcomes perfectly.

    Returns
    -------
    PlattFit
        The slope ``a`` and the offset ``b`` of P(1) = 1 / (1 + exp(-(a score + b))). The slope is 0, and the fit is the
        mean target, if all scores or all outcomes are equal, or the scores say nothing about the outcomes. It is
        negative if the scores order the outcomes the wrong way. Each of these gives a RuntimeWarning.

    Raises
    ------
    MissingDependencyError
        If SciPy is not installed.
    ValueError
        If the lists are empty, differ in length, hold other values, or only one kind of outcome without ``smooth``.

    References
    ----------
    J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999; H.-T. Lin et al., "A note on Platt's
    probabilistic outputs", 2007, for the numerics.

    Examples
    --------
    >>> from deluge_nb.stats import fit_platt
    >>> fit = fit_platt([-2.0, -1.0, 0.0, 1.0], [0, 0, 1, 1])
    >>> round(fit.a, 3), round(fit.b, 3)
    (0.908, 0.454)
    """
    fit, problem = solve_platt(scores, y, smooth)
    _warn(_PLATT_WARNINGS, problem)
    return fit


def solve_platt(scores: ArrayLike, y: ArrayLike, smooth: bool = True) -> tuple[PlattFit, FitProblem]:
    """Return the fit of :func:`fit_platt`, and why the data do not determine it."""
    s, outcome = vector(scores, "scores"), outcomes(y, "y")
    check_paired(s, outcome, ("scores", "y"))
    _check_finite(s, "scores")
    hits = float(outcome.sum())
    misses = len(outcome) - hits
    if not smooth and not (hits and misses):
        raise SettingError(
            f"y holds only {'1' if hits else '0'}, and no finite line fits that: use smooth=True.",
            setting="y",
            value=hits,
        )
    target = np.where(outcome == 1, (hits + 1) / (hits + 2), 1 / (misses + 2)) if smooth else outcome
    optimize = import_extra("scipy.optimize", "fit_platt")
    problem = _find_problem(s, outcome)
    if problem:
        rate = math.fsum(target.tolist()) / len(target)
        return PlattFit(0.0, math.log(rate / (1 - rate))), problem
    # In standard units the fit does not depend on the unit of the scores.
    centre, spread = float(s.mean()), float(s.std())
    x = np.column_stack(((s - centre) / spread, np.ones(len(s))))

    def loss(w: Floats) -> float:
        z = x @ w
        return float((np.logaddexp(0.0, z) - target * z).mean())

    def gradient(w: Floats) -> Floats:
        return x.T @ (_sigmoid(x @ w) - target) / len(x)

    def hessian(w: Floats) -> Floats:
        p = _sigmoid(x @ w)
        return (x * (p * (1 - p))[:, None]).T @ x / len(x)

    start = np.array([0.0, math.log((hits + 1) / (misses + 1))])
    solution = optimize.minimize(loss, start, jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-8})
    w = solution.x
    # The solver stops early; Newton steps continue until the gradient is only rounding.
    for _ in range(5):
        w = w - np.linalg.lstsq(hessian(w), gradient(w), rcond=None)[0]
    if not np.isfinite(w).all() or np.abs(w).max() > 1e3:
        w, problem = solution.x, "separate"
    elif abs(w[0]) < _FLAT:
        w, problem = np.array([0.0, w[1]]), "unrelated"
    elif w[0] < 0:
        problem = "reversed"
    a = float(w[0]) / spread
    return PlattFit(a, float(w[1]) - a * centre), problem


def fit_isotonic(x: ArrayLike, y: ArrayLike) -> Floats:
    """Return the non-decreasing step function nearest to the outcomes (pool adjacent violators). Needs SciPy.

    Points with the same x are pooled first, so the order of the data makes no difference.

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
        If SciPy is not installed.
    ValueError
        If the lists are empty or differ in length, or a number is NaN.

    References
    ----------
    R. Barlow et al., "Statistical Inference under Order Restrictions", 1972.

    Examples
    --------
    >>> from deluge_nb.stats import fit_isotonic
    >>> fit_isotonic([0.1, 0.4, 0.6, 0.9], [0, 1, 0, 1]).tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    index, fitted = isotonic_steps(x, y)[1:]
    return fitted[index]


def isotonic_steps(x: ArrayLike, y: ArrayLike) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return the distinct scores, each point's index among them, and the fitted value at each distinct score."""
    scores, outcome = vector(x, "x"), vector(y, "y")
    check_paired(scores, outcome, ("x", "y"))
    values, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(index, outcome) / counts
    optimize = import_extra("scipy.optimize", "fit_isotonic")
    fitted = optimize.isotonic_regression(means, weights=counts.astype(np.float64)).x
    return values, index, np.asarray(fitted, np.float64)


def _sigmoid(z: Floats) -> Floats:
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + small), small / (1 + small))


def _check_finite(values: Floats, name: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise invalid_argument(
            f"{name}[{wrong[0]}]", float(values[wrong[0]]), "finite: clip probabilities away from 0 and 1 first"
        )
