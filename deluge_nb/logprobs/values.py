"""Single log-probabilities: which values mean "not told", what rounding explains, and the logarithm of their sum.

Standard library only, so that a script that reads one number loads no numpy. :mod:`deluge_nb.logprobs.measures` does
the same for columns, with these constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

SENTINEL = -9999.0
"""OpenAI's value for "not within the top 20". No real log-probability comes near it."""
SENTINELS: tuple[float, ...] = (SENTINEL,)
"""Values that stand for "not told". A few servers send others (-100, -1000), which `stats` takes by keyword."""
LOWEST = -3e38
"""At or below this, a value is the lowest float of single precision, which some servers send for a probability of 0."""
ROUNDING = 1e-6
"""Providers round: a log-probability may exceed 0 by this much and still mean certainty."""
SINGLE_PRECISION = 2.0**-24
"""Half the last bit of 1 in single precision, relative: how far off a provider's probability may be."""


def is_known(logprob: float | None) -> bool:
    """Return whether a value is a log-probability: neither null, NaN nor a sentinel, and not above 0."""
    return logprob is not None and SENTINEL < logprob <= ROUNDING


def log_sum(logprobs: Iterable[float]) -> float:
    """Return the logarithm of a sum of probabilities, from their logarithms.

    The largest is taken out of the sum, so that digits near 1 are kept and nothing overflows.

    Parameters
    ----------
    logprobs
        Natural logarithms, also as an array of shape (n,).

    Returns
    -------
    float
        ``-inf`` for no values, or for nothing but ``-inf``.

    Examples
    --------
    >>> round(log_sum([math.log(0.25), math.log(0.5)]), 12) == round(math.log(0.75), 12)
    True
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
