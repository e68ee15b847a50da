"""Comparison of samples and hypotheses: posterior, goodness of fit and sample size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, SettingError, invalid_argument
from ...extras import import_extra
from ...logprobs.columns import Floats
from ...logprobs.rounding import MASS_TOLERANCE
from ...logprobs.values import log_sum
from ..core.records import Result
from ..core.validation import (
    between,
    check_paired,
    matrix,
    probabilities,
    read_counts,
    read_logprobs,
    vector,
)
from ..scoring.intervals import normal_quantile


@dataclass(frozen=True, slots=True, eq=False)
class BayesPosterior(Result):
    """The probabilities of hypotheses after a text.

    ``posterior`` is after all tokens, shape (h,); ``cumulative`` is before the first and after each, shape (t + 1, h).
    ``log_bayes_factor`` is the evidence (nats) of the tokens for the first hypothesis against the second; None unless
    there are two.
    """

    posterior: Floats
    log_bayes_factor: float | None
    cumulative: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ChiSquare(Result):
    """Pearson's statistic, its degrees of freedom, and the probability that chance gives at least this value."""

    statistic: float
    dof: int
    p_value: float


def bayes_posterior(log_prior: ArrayLike, token_logliks: ArrayLike) -> BayesPosterior:
    """Return the probabilities of hypotheses after each token of a text.

    Parameters
    ----------
    log_prior
        The logarithm of each hypothesis's prior (nats), shape (h,), up to a constant.
    token_logliks
        The log-probability of each token under each hypothesis (nats), shape (h, t).

    Returns
    -------
    BayesPosterior
        Probabilities that add up to 1, and the logarithm of the Bayes factor of two hypotheses.

    Raises
    ------
    ValueError
        If the shapes do not fit, or no hypothesis is possible after some token.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import bayes_posterior
    >>> result = bayes_posterior([0.0, 0.0], [[log(0.5), log(0.9)], [log(0.5), log(0.3)]])
    >>> result.posterior.round(3).tolist(), round(result.log_bayes_factor, 3)
    ([0.75, 0.25], 1.099)
    """
    prior = vector(log_prior, "log_prior")
    tokens = (
        np.asarray(token_logliks, np.float64) if _is_empty(token_logliks) else matrix(token_logliks, "token_logliks")
    )
    tokens = tokens.reshape(len(prior), -1) if not tokens.size else tokens
    check_paired(prior, tokens[:, 0] if tokens.shape[1] else np.zeros(len(tokens)), ("log_prior", "token_logliks"))
    for row, values in enumerate(tokens):
        read_logprobs(values, f"token_logliks[{row}]")
    if np.isposinf(prior).any():
        raise invalid_argument("log_prior", log_prior, "finite, or -inf for an impossible hypothesis")
    steps = np.column_stack((prior, tokens)).cumsum(axis=1).T
    totals = np.array([log_sum(step) for step in steps])
    if np.isneginf(totals).any():
        raise invalid_argument(
            "token_logliks", token_logliks, "such that one hypothesis stays possible after every token"
        )
    cumulative = np.exp(steps - totals[:, None])
    evidence = [math.fsum(row) for row in tokens.tolist()]
    factor = None
    if len(evidence) == 2 and not all(math.isinf(loglik) for loglik in evidence):
        factor = evidence[0] - evidence[1]
    return BayesPosterior(cumulative[-1].copy(), factor, cumulative)


def _is_empty(values: ArrayLike) -> bool:
    try:
        return np.asarray(values, np.float64).size == 0
    except (TypeError, ValueError):
        return False


def mc_required_samples(p: float, half_width: float, level: float = 0.95) -> int:
    """Return the number of samples that estimate a probability to plus or minus ``half_width``.

    The number is z^2 p (1 - p) / h^2, rounded up.

    Parameters
    ----------
    p
        The expected probability; 0.5 needs the most samples.
    half_width
        Half the width of the confidence interval, between 0 and 1.
    level
        The confidence level, between 0 and 1.

    Returns
    -------
    int
        The number of samples.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> from deluge_nb.stats import mc_required_samples
    >>> mc_required_samples(0.5, 0.05)
    385
    """
    chance = between(p, "p", 0, 1)
    half = between(half_width, "half_width", 0, 1, ends=False)
    return math.ceil(normal_quantile(level) ** 2 * chance * (1 - chance) / half**2 - 1e-9)


def chi_square_gof(observed: ArrayLike, probs: ArrayLike) -> ChiSquare:
    """Return Pearson's test of counted samples against predicted probabilities. Needs SciPy.

    Parameters
    ----------
    observed
        The number of times that each outcome occurred, shape (k,); the last may stand for all others.
    probs
        The probability of each outcome, shape (k,); they add up to 1.

    Returns
    -------
    ChiSquare
        An outcome of probability 0 counts only if it occurred; the statistic is then infinite.

    Raises
    ------
    MissingDependencyError
        If SciPy is not installed.
    ValueError
        If the lists differ in length, the probabilities do not add up to 1, or nothing was counted.

    References
    ----------
    K. Pearson, 1900. Expected counts below about 5 make the p-value rough.

    Examples
    --------
    >>> from deluge_nb.stats import chi_square_gof
    >>> test = chi_square_gof([44, 31, 25], [0.5, 0.3, 0.2])
    >>> round(test.statistic, 3), test.dof, round(test.p_value, 3)
    (2.003, 2, 0.367)
    """
    counts, p = read_counts(observed, "observed"), probabilities(probs, "probs")
    check_paired(counts, p, ("observed", "probs"))
    total, mass = float(counts.sum()), math.fsum(p.tolist())
    if abs(mass - 1) > MASS_TOLERANCE:
        raise ProbabilityMassError(
            f"probs add up to {mass:.6g} and not to 1: add the rest as a last outcome, with its count.", value=mass
        )
    if total == 0:
        raise invalid_argument("observed", observed, "a list with at least one count above 0")
    possible = p > 0
    if possible.sum() < 2:
        raise SettingError(
            "probs leave only one outcome possible, so there is nothing to test.", setting="probs", value=1
        )
    dof = int(possible.sum()) - 1
    if counts[~possible].any():
        return ChiSquare(math.inf, dof, 0.0)
    expected = p[possible] * total
    statistic = math.fsum(((counts[possible] - expected) ** 2 / expected).tolist())
    special = import_extra("scipy.special", "chi_square_gof")
    return ChiSquare(statistic, dof, float(special.chdtrc(dof, statistic)))
