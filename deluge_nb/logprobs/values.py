"""Single log-probabilities: sentinels, the allowance for rounding, and the logarithm of a sum.

Standard library only, so that a script that reads one number loads no numpy. :mod:`deluge_nb.logprobs.measures` applies
these constants to columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

SENTINEL = -9999.0
"""OpenAI's value (nats) for "not within the top 20". No real log-probability comes near it."""
SENTINELS: tuple[float, ...] = (SENTINEL,)
"""Values that mean "withheld". A few servers send others (-100, -1000), which `stats` takes by keyword."""
LOWEST = -3e38
"""Upper bound of sentinels near the lowest single-precision float, which some servers send for a probability of 0."""
ROUNDING = 1e-6
"""Excess (nats) over 0 that rounding explains: up to it, a log-probability means certainty."""
OTHER_TEXT = "These log-probabilities are those of another text than the answer's, whose own were not sent."
"""Reason why no probability of an answer is read from a table whose ``matches_text`` is False."""
SINGLE_PRECISION = 2.0**-24
"""Half the last bit of 1 in single precision: the relative error of a provider's probability."""


def is_known(logprob: float | None) -> bool:
    """Return whether a value is a log-probability: neither null, NaN nor a sentinel, and not above 0."""
    return logprob is not None and SENTINEL < logprob <= ROUNDING


def rank_key(logprob: object) -> float:
    """Return a number to sort log-probabilities by: ``-inf`` for null, NaN and anything that is no number."""
    return float(logprob) if isinstance(logprob, int | float) and logprob == logprob else -math.inf


def exp_or_inf(value: float) -> float:
    """Return the exponential, infinite where a float cannot hold it."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def log_sum(logprobs: Iterable[float]) -> float:
    """Return the logarithm of a sum of probabilities, given their logarithms.

    The largest is taken out of the sum, which keeps the digits near 1 and cannot overflow.

    Parameters
    ----------
    logprobs
        Natural logarithms; an iterable, or an array of shape (n,).

    Returns
    -------
    float
        The logarithm in nats; ``-inf`` for no values, or if all are ``-inf``.

    Examples
    --------
    >>> import math
    >>> from deluge_nb.logprobs.values import log_sum
    >>> round(math.exp(log_sum([math.log(0.25), math.log(0.5)])), 12)
    0.75
    >>> log_sum([0.0, -40.0])
    4.248354255291589e-18
    """
    values = logprobs.tolist() if hasattr(logprobs, "tolist") else list(logprobs)
    if not values:
        return -math.inf
    peak = max(values)
    if math.isinf(peak):
        return peak
    values.remove(peak)
    return peak + math.log1p(math.fsum([math.exp(value - peak) for value in values]))
