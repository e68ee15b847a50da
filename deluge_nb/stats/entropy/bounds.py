"""Bounds of the entropy of a distribution of which only the top is known, and the variance of surprisal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.values import SENTINELS, log_sum
from ..core.records import Result
from ..core.truncated import read_truncated
from ..core.validation import MASS_TOLERANCE, drop_sentinels, log_base, read_logprobs


@dataclass(frozen=True, slots=True, eq=False)
class EntropyBounds(Result):
    """What a list of alternatives says of the entropy of its distribution.

    ``mass`` and ``tail`` are probabilities; the rest is in nats, or in the base asked for. The true entropy is at least
    ``lower`` and at most ``upper``. ``plugin`` sums over the list alone, ``renormalized`` makes the list add up to 1,
    ``bucket`` counts the tail as one token: none of them exceeds ``lower``.
    """

    mass: float
    tail: float
    plugin: float
    renormalized: float
    bucket: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, eq=False)
class Varentropy(Result):
    """The mean (``entropy``, nats) and the variance (``varentropy``, nats squared) of the surprisal."""

    entropy: float
    varentropy: float


def entropy_bounds(
    top_logprobs: ArrayLike,
    vocab_size: int | None = None,
    top_is_true_topk: bool = True,
    *,
    sampled_logprob: float | None = None,
    base: float | None = None,
    sentinels: Sequence[float] = SENTINELS,
) -> EntropyBounds:
    """The interval in which the entropy of a distribution lies of which only the top is known.

    With listed probabilities p, tail r = 1 - sum(p), least listed probability c and n tokens that are not listed: no
    hidden token exceeds c, so that the entropy is least where floor(r / c) of them have c and one the remainder
    (-x ln x is concave, its sum least at an extreme point), and greatest where r is spread evenly over all n.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats, shape (k,), in any order.
    vocab_size
        How many tokens the model can choose from. Without it ``upper`` is infinite wherever something is not listed.
    top_is_true_topk
        Whether nothing outside the list is likelier than anything in it. False where the list is no more than, say, the
        token that was drawn: then the tail counts as one token.
    sampled_logprob
        The log-probability of the token drawn, where the list does not hold it.
    base
        2 for bits; None for nats.
    sentinels
        Values that stand for "not told" and are left out.

    Raises
    ------
    LogprobError
        When nothing is listed, or a number is no log-probability.
    ProbabilityMassError
        When the list adds up to more than 1 by over 1e-4. A smaller excess is rounding, and scaled away.
    InconsistentTopKError
        When the tail does not fit into ``vocab_size - k`` tokens of at most c.

    References
    ----------
    The bounds are the extreme points of the feasible set (majorisation: A. Marshall, I. Olkin, B. Arnold,
    "Inequalities: Theory of Majorization and Its Applications", 2011, chapter 3).
    """
    scale = log_base(base)
    known = drop_sentinels(read_logprobs(top_logprobs, "top_logprobs"), sentinels)
    seen = read_truncated(
        known, extra=_read_sampled(sampled_logprob, sentinels), vocab_size=vocab_size, true_topk=top_is_true_topk
    )
    plugin = math.fsum(_xlogx(seen.p, seen.logprob).tolist()) * -1.0
    tail, mass = seen.tail, seen.mass
    bucket = plugin - _x_log_x(tail)
    # H(p / m), with the logarithms taken before anything is divided.
    total = log_sum(seen.logprob)
    renormalized = plugin / math.exp(total) + total if total > -math.inf else 0.0
    lower = bucket
    if top_is_true_topk and len(known) and tail > seen.cap:
        lower = plugin - seen.full * _x_log_x(seen.cap) - _x_log_x(seen.remainder)
    if tail == 0:
        upper = plugin
    elif vocab_size is None:
        upper = math.inf
    else:
        upper = plugin - _x_log_x(tail) + tail * math.log(vocab_size - len(seen.logprob))
    numbers = (plugin, renormalized, bucket, lower, max(upper, lower))
    return EntropyBounds(mass, tail, *(max(one, 0.0) / scale for one in numbers))


def _read_sampled(logprob: float | None, sentinels: Sequence[float]) -> float | None:
    if logprob is None:
        return None
    value = float(read_logprobs([logprob], "sampled_logprob")[0])
    return None if value in sentinels else value


def varentropy(logprobs: ArrayLike, normalized: bool = False) -> Varentropy:
    """Mean and variance of the surprisal of a whole distribution.

    The variance of a list that is only the top of a distribution says little of the distribution's: a list that misses
    more than 1e-4 of 1 is refused, unless ``normalized=True`` asks for that of the list itself, made to add up to 1.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats, shape (n,).
    normalized
        Whether to take the list as the whole distribution, whatever it adds up to.

    Raises
    ------
    ValueError
        When a number is no log-probability, or the list is empty or does not add up to 1.
    """
    values = read_logprobs(logprobs)
    total = log_sum(values)
    if total == -math.inf:
        raise invalid_argument("logprobs", logprobs, "a list with at least one probability above 0")
    if abs(math.expm1(total)) > MASS_TOLERANCE and not normalized:
        raise ProbabilityMassError(
            f"logprobs add up to {math.exp(total):.6g} and not to 1: varentropy needs the whole distribution "
            "(normalized=True takes the list as if it were one).",
            value=math.exp(total),
        )
    surprise = total - values[values > -np.inf]
    p = np.exp(-surprise)
    mean = math.fsum((p * surprise).tolist())
    return Varentropy(mean + 0.0, math.fsum((p * (surprise - mean) ** 2).tolist()))


def _xlogx(p: Floats, logp: Floats) -> Floats:
    return np.where(p > 0, p * np.where(p > 0, logp, 0.0), 0.0)


def _x_log_x(x: float) -> float:
    return x * math.log(x) if x > 0 else 0.0
