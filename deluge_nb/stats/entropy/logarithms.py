"""Logarithms of probabilities: sums, complements and surprisal; and the softmax of logits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ...errors import LogprobError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.values import SENTINELS, log_sum
from ..core.validation import log_base, number, read_logprobs, read_temperature, vector


def logsumexp(logprobs: ArrayLike) -> float:
    """Return the logarithm of a sum of exponentials: ln of the sum of exp(l).

    Parameters
    ----------
    logprobs
        Natural logarithms (nats), shape (n,).

    Returns
    -------
    float
        ``-inf`` for no values.

    Raises
    ------
    ValueError
        If a value is NaN.

    Examples
    --------
    >>> from math import exp, log
    >>> from deluge_nb.stats import logsumexp
    >>> round(exp(logsumexp([log(0.25), log(0.5)])), 6)
    0.75
    """
    return log_sum(vector(logprobs, "logprobs"))


def log1mexp(logp: float) -> float:
    """Return the logarithm of the complement, ln(1 - exp(logp)), exact to the last digit near 0 and near 1.

    Parameters
    ----------
    logp
        The natural logarithm of a probability (nats), at most 0.

    Returns
    -------
    float
        The natural logarithm of 1 minus the probability; ``-inf`` for a probability of 1.

    Raises
    ------
    ValueError
        If ``logp`` is above 0 or NaN.

    References
    ----------
    M. Mächler, "Accurately computing ``log(1 - exp(-|a|))``", 2012.

    Examples
    --------
    >>> from math import exp, log
    >>> from deluge_nb.stats import log1mexp
    >>> round(exp(log1mexp(log(0.2))), 6)
    0.8
    """
    value = number(logp, "logp", "at most 0")
    if value > 0:
        raise invalid_argument("logp", logp, "at most 0")
    if value == 0:
        return -math.inf
    if value > -math.log(2):
        return math.log(-math.expm1(value))
    return math.log1p(-math.exp(value))


def surprisal(logp: float, base: float | None = None) -> float:
    """Return the surprisal of one outcome: -ln p, or its logarithm to another base.

    Parameters
    ----------
    logp
        A log-probability in nats.
    base
        2 for bits; None for nats.

    Returns
    -------
    float
        At least 0; infinite for a probability of 0.

    Raises
    ------
    ValueError
        If ``logp`` is not a log-probability (NaN, above 0, or a placeholder such as -9999), or ``base`` is not a base
        of logarithms.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import surprisal
    >>> surprisal(log(0.25), base=2)
    2.0
    """
    value = float(read_logprobs([logp], "logp")[0])
    if value in SENTINELS:
        raise LogprobError(
            f"logp is {logp!r}, a placeholder that providers send for a withheld value: leave such tokens out.",
            value=logp,
        )
    return 0.0 - value / log_base(base)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Return probabilities from logits: exp(z / T) divided by its sum.

    Parameters
    ----------
    logits
        Shape (n,); ``-inf`` for an impossible outcome. Log-probabilities work as well: a constant makes no difference.
    temperature
        0 gives everything to the largest logit (ties share it); infinity gives all possible outcomes the same.

    Returns
    -------
    ndarray of float64, shape (n,)
        Probabilities that add up to 1.

    Raises
    ------
    ValueError
        If there are no logits, none is finite, one is NaN or infinite, or the temperature is negative.

    Examples
    --------
    >>> from deluge_nb.stats import softmax
    >>> softmax([2.0, 1.0, 0.0]).round(3).tolist()
    [0.665, 0.245, 0.09]
    >>> softmax([2.0, 1.0, 0.0], temperature=0).tolist()
    [1.0, 0.0, 0.0]
    """
    values = vector(logits, "logits")
    temperature = read_temperature(temperature)
    if not len(values) or np.isposinf(values).any() or np.isneginf(values).all():
        raise invalid_argument("logits", logits, "a list of numbers of which at least one is finite and none is +inf")
    if temperature == 0:
        weights = (values == values.max()).astype(np.float64)
    elif math.isinf(temperature):
        weights = np.isfinite(values).astype(np.float64)
    else:
        with np.errstate(over="ignore"):  # to -inf, whose exponential is the right 0
            weights = np.exp((values - values.max()) / temperature)
    return weights / math.fsum(weights.tolist())
