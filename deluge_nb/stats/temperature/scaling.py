"""A distribution at another temperature, with bounds where only its top is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.rounding import MASS_TOLERANCE, power_sums
from ...logprobs.values import SENTINELS, log_sum
from ..core.records import Result
from ..core.truncated import coldest_limits, read_truncated, rescaled_limits
from ..core.validation import check_paired, drop_sentinels, number, read_logprobs, read_temperature
from ..entropy.logarithms import softmax


@dataclass(frozen=True, slots=True, eq=False)
class TemperatureTopK(Result):
    """The listed tokens at another temperature, shape (k,) each.

    ``conditional`` is the exact probability of each token among the listed ones. ``lower`` and ``upper`` bound its
    probability among all tokens.
    """

    conditional: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, eq=False)
class InferredTemperature(Result):
    """The temperature that leads from one list to another, and the largest deviation of a token from it (nats)."""

    temperature: float
    max_residual: float


def temperature_full(logprobs: ArrayLike, temperature: float) -> Floats:
    """Return a whole distribution at another temperature: p^(1/T) divided by its sum.

    Parameters
    ----------
    logprobs
        The log-probabilities of the whole vocabulary in nats, shape (V,).
    temperature
        0 gives everything to the likeliest token (ties share it); infinity gives all possible tokens the same.

    Returns
    -------
    ndarray of float64, shape (V,)
        Probabilities that add up to 1.

    Raises
    ------
    ProbabilityMassError
        If the list misses more than 1e-4 of 1; use :func:`temperature_topk` for the top of a distribution.
    ValueError
        If a number is not a log-probability, or the temperature is negative.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import temperature_full
    >>> temperature_full([log(0.8), log(0.2)], 2).round(3).tolist()
    [0.667, 0.333]
    """
    values = read_logprobs(logprobs)
    total = log_sum(values)
    if abs(math.expm1(total)) > MASS_TOLERANCE:
        raise ProbabilityMassError(
            f"logprobs add up to {math.exp(total):.6g} and not to 1: temperature_full needs the whole vocabulary; use "
            "temperature_topk for bounds from the top of it.",
            value=math.exp(total),
        )
    return softmax(values, temperature)


def temperature_topk(
    top_logprobs: ArrayLike,
    temperature: float,
    vocab_size: int | None = None,
    *,
    sentinels: Sequence[float] = SENTINELS,
    rounding: float | None = None,
) -> TemperatureTopK:
    """Return the top of a distribution at another temperature, with bounds.

    p_i(T) = p_i^b / (S + Z) with b = 1 / T, S the sum of p^b over the list and Z over the unlisted tokens. With tail r,
    least listed probability c and n unlisted tokens, Z lies between n (r / n)^b (the tail spread evenly) and
    floor(r / c) c^b + rest^b (the tail on as few tokens as c allows). T decides which of them is larger.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats at temperature 1, shape (k,).
    temperature
        The new temperature.
    vocab_size
        The number of tokens in the model's vocabulary. Without it, nothing bounds the tail above temperature 1.
    sentinels
        Values that stand for a withheld log-probability and are left out.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`.

    Returns
    -------
    TemperatureTopK
        Probabilities, shape (k,) each.

    Raises
    ------
    ValueError
        As :func:`deluge_nb.stats.entropy_bounds`, and for a negative temperature.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import temperature_topk
    >>> result = temperature_topk([log(0.6), log(0.3)], 0.5, vocab_size=50_000)
    >>> result.conditional.round(3).tolist(), result.lower.round(3).tolist(), result.upper.round(3).tolist()
    ([0.8, 0.2], [0.783, 0.196], [0.8, 0.2])
    """
    values = drop_sentinels(read_logprobs(top_logprobs, "top_logprobs"), sentinels)
    temperature = read_temperature(temperature)
    seen = read_truncated(values, vocab_size=vocab_size, rounding=rounding)
    conditional = softmax(seen.logprob, temperature)
    if temperature == 1:
        return TemperatureTopK(conditional, seen.least, seen.most)
    rows = seen.logprob[None]
    if temperature == 0:
        # Hidden tokens can tie with the likeliest only if the whole list does.
        tied = bool((seen.logprob == seen.logprob.max()).all())
        rivals = seen.most_tokens(float(seen.logprob.min())) if tied else 0.0
        cap = seen.limits.cap if seen.limits.high[0] > 0 else np.array([-math.inf])
        low, high = coldest_limits(rows, np.array([rivals]), np.array([seen.error]), cap)
        return TemperatureTopK(conditional, low[0].astype(np.float64), high[0].astype(np.float64))
    # In logarithms, because p^b underflows at low temperatures.
    scaled = np.where(np.isfinite(rows), np.where(np.isfinite(rows), rows, 0.0) / temperature, -np.inf)
    total = np.array([log_sum(scaled[0])])
    low, high = rescaled_limits(scaled, total, *power_sums(seen.limits, 1 / temperature), seen.error / temperature)
    return TemperatureTopK(conditional, low[0], high[0])


def infer_temperature(raw: ArrayLike, scaled: ArrayLike) -> InferredTemperature:
    """Return the temperature between two lists of the same tokens: ln p_i - ln p_j = T (ln q_i - ln q_j).

    Parameters
    ----------
    raw
        Log-probabilities before scaling in nats, shape (k,).
    scaled
        Log-probabilities of the same tokens after scaling in nats, shape (k,).

    Returns
    -------
    InferredTemperature
        The least-squares fit over all differences; ``max_residual`` is in nats of ``scaled``.

    Raises
    ------
    ValueError
        If there are fewer than two tokens, all are equally likely, or their order is reversed.

    Examples
    --------
    >>> from deluge_nb.stats import infer_temperature
    >>> infer_temperature([-1.0, -2.0, -3.0], [-1.5, -2.0, -2.5]).temperature
    2.0
    """
    before, after = read_logprobs(raw, "raw"), read_logprobs(scaled, "scaled")
    check_paired(before, after, ("raw", "scaled"))
    both = np.isfinite(before) & np.isfinite(after)
    before, after = before[both], after[both]
    if len(before) < 2 or not np.ptp(before):
        raise invalid_argument(
            "raw", raw, "at least two different log-probabilities: a temperature shows in their differences"
        )
    x, y = before - before.mean(), after - after.mean()
    across = math.fsum((x * y).tolist())
    if across < 0:
        raise invalid_argument("scaled", scaled, "in the order of raw: no temperature reverses the order of tokens")
    square = math.fsum((x * x).tolist())
    slope = across / square
    return InferredTemperature(1 / slope if slope else math.inf, float(np.abs(y - slope * x).max()))


def binary_temperature(log_odds: float, temperature: float) -> float:
    """Return the probability of the first of two answers at another temperature: 1 / (1 + exp(-log_odds / T)).

    The result is exact even if most of the distribution is unknown, because it needs only the ratio of two tokens.

    Parameters
    ----------
    log_odds
        ln(p / q) in nats; infinite if one of the two is impossible.
    temperature
        The new temperature; 0 decides for the likelier answer, infinity gives 0.5.

    Returns
    -------
    float
        A probability from 0 to 1.

    Raises
    ------
    ValueError
        If the temperature is negative, or it and the odds are both infinite.

    References
    ----------
    S. Kadavath et al., "Language Models (Mostly) Know What They Know", 2022, use T = 2.5 for P(True).

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import binary_temperature
    >>> round(binary_temperature(log(0.9 / 0.1), 2.5), 3)
    0.707
    """
    odds = number(log_odds, "log_odds")
    temperature = read_temperature(temperature)
    if math.isinf(temperature):
        if math.isinf(odds):
            raise invalid_argument("log_odds", log_odds, "finite where the temperature is infinite")
        return 0.5
    if temperature == 0:
        return 0.5 if odds == 0 else float(odds > 0)
    scaled = odds / temperature
    return 1 / (1 + math.exp(-scaled)) if scaled > -700 else math.exp(scaled)
