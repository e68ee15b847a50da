"""Tests of samples against predictions: posterior, divergence, goodness of fit and sample size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, SettingError, invalid_argument
from ...extras import import_extra
from ...logprobs.columns import Floats
from ...logprobs.values import log_sum
from ..core.records import Result
from ..core.truncated import read_truncated
from ..core.validation import (
    MASS_TOLERANCE,
    between,
    check_paired,
    matrix,
    probabilities,
    read_alternatives,
    read_counts,
    read_logprobs,
    vector,
)
from ..scoring.intervals import normal_quantile


@dataclass(frozen=True, slots=True, eq=False)
class Divergences(Result):
    """Lower bounds of the Kullback-Leibler divergence of p from q, of Jensen's and Shannon's (nats), and of the total
    variation distance (a probability).
    """

    kl_lower: float
    js_lower: float
    tv_lower: float


@dataclass(frozen=True, slots=True, eq=False)
class BayesPosterior(Result):
    """The probabilities of hypotheses after all tokens, shape (h,), and before the first and after each, (t + 1, h).

    ``log_bayes_factor`` is how much (nats) the tokens speak for the first hypothesis against the second; None where
    there are more than two.
    """

    posterior: Floats
    log_bayes_factor: float | None
    cumulative: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ChiSquare(Result):
    """Pearson's statistic, its degrees of freedom, and how often chance alone gives as large a one."""

    statistic: float
    dof: int
    p_value: float


def divergence_lower_bounds(p: Mapping[str, Any], q: Mapping[str, Any]) -> Divergences:
    """How different two distributions are at least, of which only the top is known.

    Both are reduced to the tokens that both lists name, and one for the rest: by the data processing inequality no
    divergence grows by that.

    Parameters
    ----------
    p, q
        From token to log-probability (nats).

    Raises
    ------
    ValueError
        When a list is empty or adds up to more than 1, or a number is no log-probability.

    References
    ----------
    T. Cover, J. Thomas, "Elements of Information Theory", 2006, section 2.8.
    """
    left, right = _read_distribution(p, "p"), _read_distribution(q, "q")
    shared = [token for token in left if token in right]
    first = _coarsen([left[token] for token in shared])
    second = _coarsen([right[token] for token in shared])
    middle = (first + second) / 2
    return Divergences(
        _kl_divergence(first, second),
        max((_kl_divergence(first, middle) + _kl_divergence(second, middle)) / 2, 0.0),
        math.fsum(np.abs(first - second).tolist()) / 2,
    )


def _read_distribution(values: Mapping[str, Any], name: str) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise invalid_argument(name, values, "a dict from token to log-probability")
    seen = read_alternatives(values, name)
    weighed = read_truncated(np.array([one.logprob for one in seen]), true_topk=False, where=name)
    return dict(zip((one.token for one in seen), weighed.p.tolist(), strict=True))


def _coarsen(p: Sequence[float]) -> Floats:
    return np.array([*p, max(math.fsum([1.0, *(-one for one in p)]), 0.0)])


def _kl_divergence(p: Floats, q: Floats) -> float:
    """Of Kullback and Leibler; infinite where q denies what p holds possible."""
    held = p > 0
    if (q[held] == 0).any():
        return math.inf
    return max(math.fsum((p[held] * np.log(p[held] / q[held])).tolist()), 0.0)


def bayes_posterior(log_prior: ArrayLike, token_logliks: ArrayLike) -> BayesPosterior:
    """The probabilities of hypotheses as a text unfolds under each of them.

    Parameters
    ----------
    log_prior
        The logarithm of each hypothesis's prior (nats), shape (h,); up to a constant.
    token_logliks
        The log-probability that each gives to each token, shape (h, t).

    Raises
    ------
    ValueError
        When the shapes do not fit, or after some token no hypothesis is possible.
    """
    prior = vector(log_prior, "log_prior")
    tokens = (
        np.asarray(token_logliks, np.float64) if _is_empty(token_logliks) else matrix(token_logliks, "token_logliks")
    )
    tokens = tokens.reshape(len(prior), -1) if not tokens.size else tokens
    check_paired(prior, tokens[:, 0] if tokens.shape[1] else np.zeros(len(tokens)), ("log_prior", "token_logliks"))
    for row, line in enumerate(tokens):
        read_logprobs(line, f"token_logliks[{row}]")
    if np.isposinf(prior).any():
        raise invalid_argument("log_prior", log_prior, "finite, or -inf for what is impossible")
    steps = np.column_stack((prior, tokens)).cumsum(axis=1).T
    totals = np.array([log_sum(step) for step in steps])
    if np.isneginf(totals).any():
        raise invalid_argument(
            "token_logliks", token_logliks, "such that one hypothesis stays possible after every token"
        )
    cumulative = np.exp(steps - totals[:, None])
    evidence = [math.fsum(line) for line in tokens.tolist()]
    factor = None
    if len(evidence) == 2 and not all(math.isinf(one) for one in evidence):
        factor = evidence[0] - evidence[1]
    return BayesPosterior(cumulative[-1].copy(), factor, cumulative)


def _is_empty(values: ArrayLike) -> bool:
    try:
        return np.asarray(values, np.float64).size == 0
    except (TypeError, ValueError):
        return False


def mc_required_samples(p: float, half_width: float, level: float = 0.95) -> int:
    """How many samples tell a probability to plus or minus ``half_width``: z^2 p (1 - p) / h^2, rounded up.

    Parameters
    ----------
    p
        The probability that is expected; 0.5 asks for the most.
    half_width
        Half the width of the interval, between 0 and 1.
    level
        Its confidence, between 0 and 1.

    Raises
    ------
    ValueError
        When a number is out of its range.
    """
    chance = between(p, "p", 0, 1)
    half = between(half_width, "half_width", 0, 1, ends=False)
    return math.ceil(normal_quantile(level) ** 2 * chance * (1 - chance) / half**2 - 1e-9)


def chi_square_gof(observed: ArrayLike, probs: ArrayLike) -> ChiSquare:
    """Pearson's test whether counted samples fit predicted probabilities. Needs SciPy.

    Parameters
    ----------
    observed
        How often each outcome came, shape (k,); the last may stand for all others.
    probs
        The probability of each, shape (k,); they add up to 1.

    Returns
    -------
    ChiSquare
        Outcomes of probability 0 count only where they came, and then the statistic is infinite.

    Raises
    ------
    MissingDependencyError
        When SciPy is not installed.
    ValueError
        When the lists differ in length, the probabilities do not add up to 1, or nothing was counted.

    References
    ----------
    K. Pearson, 1900. Expected counts below about 5 make the p-value rough.
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
