"""Sums, complements and surprisal on a log scale, and the softmax."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ...errors import LogprobError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.values import SENTINELS, log_sum
from ..core.validation import log_base, number, read_logprobs, read_temperature, vector


def logsumexp(logprobs: ArrayLike) -> float:
    """The logarithm of a sum of exponentials: ln of the sum of exp(l).

    Parameters
    ----------
    logprobs
        Natural logarithms, shape (n,). None of them: ``-inf``.

    Raises
    ------
    ValueError
        When one is NaN.
    """
    return log_sum(vector(logprobs, "logprobs"))


def log1mexp(logp: float) -> float:
    """The logarithm of the complement, ln(1 - exp(logp)), to the last digit at both ends.

    Parameters
    ----------
    logp
        A natural logarithm of a probability: at most 0.

    Raises
    ------
    ValueError
        When it is above 0 or NaN.

    References
    ----------
    M. Mächler, "Accurately computing ``log(1 - exp(-|a|))``", 2012.
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
    """How surprising something of that probability is: -ln p, or to another base.

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
        When ``logp`` is no log-probability (NaN, above 0, or a placeholder such as -9999), or the base no base.
    """
    value = float(read_logprobs([logp], "logp")[0])
    if value in SENTINELS:
        raise LogprobError(
            f"logp is {logp!r}, which providers send in place of a value that they do not tell.", value=logp
        )
    return 0.0 - value / log_base(base)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities out of logits: exp(z / T), made to add up to 1.

    Parameters
    ----------
    logits
        Shape (n,); ``-inf`` for what is impossible. Log-probabilities will do: a constant makes no difference.
    temperature
        0 gives everything to the largest (ties share it), infinity the same to all that is possible.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        When there are no logits, none is finite, one is NaN or infinite, or the temperature is negative.
    """
    values = vector(logits, "logits")
    heat = read_temperature(temperature)
    if not len(values) or np.isposinf(values).any() or np.isneginf(values).all():
        raise invalid_argument("logits", logits, "a list of numbers of which at least one is finite and none is +inf")
    if heat == 0:
        made = (values == values.max()).astype(np.float64)
    elif math.isinf(heat):
        made = np.isfinite(values).astype(np.float64)
    else:
        with np.errstate(over="ignore"):  # to -inf, whose exponential is the right 0
            made = np.exp((values - values.max()) / heat)
    return made / math.fsum(made.tolist())
