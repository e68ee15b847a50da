"""A distribution at another temperature, and bounds where only its top is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.values import SENTINELS, SINGLE_PRECISION, log_sum
from ..core.records import Result
from ..core.truncated import TruncatedDistribution, read_truncated, tokens_at_cap
from ..core.validation import MASS_TOLERANCE, check_paired, drop_sentinels, number, read_logprobs, read_temperature
from ..entropy.logarithms import softmax


@dataclass(frozen=True, slots=True, eq=False)
class TemperatureTopK(Result):
    """The listed tokens at another temperature: shape (k,) each.

    ``conditional`` is the probability of each among the listed ones, which is exact; ``lower`` and ``upper`` bound its
    probability among all tokens.
    """

    conditional: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, eq=False)
class InferredTemperature(Result):
    """The temperature that leads from one list to another, and how far (nats) the worst token is from it."""

    temperature: float
    max_residual: float


def temperature_full(logprobs: ArrayLike, temperature: float) -> Floats:
    """A whole distribution at another temperature: p^(1/T), made to add up to 1.

    Parameters
    ----------
    logprobs
        The log-probabilities of the whole vocabulary in nats, shape (V,).
    temperature
        0 gives everything to the likeliest (ties share it), infinity the same to all that is possible.

    Raises
    ------
    ProbabilityMassError
        When the list misses more than 1e-4 of 1: :func:`temperature_topk` is for the top of a distribution.
    ValueError
        When a number is no log-probability, or the temperature is negative.
    """
    values = read_logprobs(logprobs)
    total = log_sum(values)
    if abs(math.expm1(total)) > MASS_TOLERANCE:
        raise ProbabilityMassError(
            f"logprobs add up to {math.exp(total):.6g} and not to 1: temperature_full needs the whole vocabulary; "
            "temperature_topk bounds what the top of it allows to know.",
            value=math.exp(total),
        )
    return softmax(values, temperature)


def temperature_topk(
    top_logprobs: ArrayLike,
    temperature: float,
    vocab_size: int | None = None,
    *,
    sentinels: Sequence[float] = SENTINELS,
) -> TemperatureTopK:
    """The top of a distribution at another temperature.

    p_i(T) = p_i^b / (S + Z) with b = 1 / T, S the sum of p^b over the list and Z over what is not listed. With tail r,
    least listed probability c and n tokens that are not listed, Z lies between n (r / n)^b and floor(r / c) c^b +
    rest^b: the one is the tail spread evenly, the other as narrowly as c allows (which of them is the larger depends
    on T).

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats at temperature 1, shape (k,).
    temperature
        The one to go to.
    vocab_size
        How many tokens the model can choose from. Without it, nothing bounds the tail above temperature 1.
    sentinels
        Values that stand for "not told" and are left out.

    Raises
    ------
    ValueError
        As :func:`deluge_nb.stats.entropy_bounds`, and for a negative temperature.
    """
    values = drop_sentinels(read_logprobs(top_logprobs, "top_logprobs"), sentinels)
    heat = read_temperature(temperature)
    seen = read_truncated(values, vocab_size=vocab_size)
    conditional = softmax(seen.logprob, heat)
    if heat == 1:
        return TemperatureTopK(conditional, seen.p, seen.p)
    if heat == 0:
        best = seen.logprob == seen.logprob.max()
        # Hidden tokens can tie with the likeliest only where the whole list does.
        rivals = seen.full if bool(best.all()) and seen.cap > 0 else 0.0
        return TemperatureTopK(conditional, best / (best.sum() + rivals), conditional.copy())
    least, most = _hidden_power_sums(seen, 1 / heat, vocab_size)
    # In logarithms, for p^b underflows at low temperatures.
    scaled = seen.logprob / heat
    total = log_sum(scaled)
    return TemperatureTopK(
        conditional,
        np.exp(scaled - np.logaddexp(total, most)),
        np.exp(scaled - np.logaddexp(total, least)),
    )


def _hidden_power_sums(seen: TruncatedDistribution, beta: float, vocab_size: int | None) -> tuple[float, float]:
    """The logarithms of the least and the most that the hidden tokens' p^beta can add up to."""
    hidden = math.inf if vocab_size is None else vocab_size - len(seen.logprob)
    if hidden == 0:
        return -math.inf, -math.inf
    # A tail of the size of rounding may be none or twice that, and above temperature 1 a little goes a long way.
    unsure = len(seen.logprob) * SINGLE_PRECISION if beta < 1 else 0.0
    unsure = unsure if seen.tail < 16 * unsure else 0.0
    least, most = _power_sum_bounds(max(seen.tail - unsure, 0.0), seen.cap, hidden, beta)
    return least, _power_sum_bounds(seen.tail + unsure, seen.cap, hidden, beta)[1] if unsure else most


def _power_sum_bounds(tail: float, cap: float, hidden: float, beta: float) -> tuple[float, float]:
    if tail <= 0:
        return -math.inf, -math.inf
    full = tokens_at_cap(tail, cap)
    rest = tail - full * cap
    # What rounding leaves over is nothing, and would count as something once it is raised to a small power.
    rest = rest if rest > 1e-12 * tail else 0.0
    parts = [math.log(full) + beta * math.log(cap)] if full else []
    narrow = log_sum([*parts, beta * math.log(rest)] if rest > 0 else parts)
    if math.isinf(hidden):
        return (-math.inf, narrow) if beta > 1 else (narrow, math.inf)
    even = math.log(hidden) + beta * math.log(tail / hidden)
    return (min(even, narrow), max(even, narrow))


def infer_temperature(raw: ArrayLike, scaled: ArrayLike) -> InferredTemperature:
    """The temperature between two lists of the same tokens: ln p_i - ln p_j = T (ln q_i - ln q_j).

    Parameters
    ----------
    raw
        Log-probabilities before, nats, shape (k,).
    scaled
        Those of the same tokens after, shape (k,).

    Returns
    -------
    InferredTemperature
        By least squares over all differences; ``max_residual`` is in nats of ``scaled``.

    Raises
    ------
    ValueError
        With fewer than two tokens, tokens that are all alike, or an order that turned round.
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
        raise invalid_argument(
            "scaled", scaled, "in the order of raw: no temperature makes a likelier token the less likely one"
        )
    square = math.fsum((x * x).tolist())
    slope = across / square
    return InferredTemperature(1 / slope if slope else math.inf, float(np.abs(y - slope * x).max()))


def binary_temperature(log_odds: float, temperature: float) -> float:
    """P of the first of two answers at another temperature: 1 / (1 + exp(-log_odds / T)).

    It is exact however much of the distribution is unknown, for the ratio of two tokens' probabilities is.

    Parameters
    ----------
    log_odds
        ln(p / q), nats; infinite where one of the two is impossible.
    temperature
        The one to go to; 0 decides, infinity gives 0.5.

    Raises
    ------
    ValueError
        When the temperature is negative, or it and the odds are both infinite.

    References
    ----------
    S. Kadavath et al., "Language Models (Mostly) Know What They Know", 2022, use T = 2.5 for P(True).
    """
    odds = number(log_odds, "log_odds")
    heat = read_temperature(temperature)
    if math.isinf(heat):
        if math.isinf(odds):
            raise invalid_argument("log_odds", log_odds, "finite where the temperature is not")
        return 0.5
    if heat == 0:
        return 0.5 if odds == 0 else float(odds > 0)
    scaled = odds / heat
    return 1 / (1 + math.exp(-scaled)) if scaled > -700 else math.exp(scaled)
