"""Bounds of the entropy of a distribution whose top is listed, and the variance of surprisal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.rounding import MASS_TOLERANCE, entropy_error, greatest_entropy, least_entropy
from ...logprobs.values import SENTINELS, log_sum
from ..core.records import Result
from ..core.truncated import read_truncated
from ..core.validation import drop_sentinels, log_base, read_logprobs


@dataclass(frozen=True, slots=True, eq=False)
class EntropyBounds(Result):
    """Bounds and estimates of the entropy of a distribution whose top is listed.

    ``mass`` and ``tail`` are the listed and the unlisted probability; all other fields are in nats, or in the base
    asked for. The true entropy is at least ``lower`` and at most ``upper``. Three are common estimates: ``plugin`` sums
    over the list alone, ``renormalized`` divides the list by its sum first, and ``bucket`` counts the tail as one
    token. None of them exceeds ``lower`` by more than the allowance for rounding, where the list is the top of the
    distribution (``top_is_true_topk=True``); else only ``plugin`` and ``bucket`` stay below it.
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
    rounding: float | None = None,
) -> EntropyBounds:
    """Return bounds of the entropy of a distribution of which only the top is known.

    With listed probabilities p, tail r = 1 - sum(p), least listed probability c and n unlisted tokens, no unlisted
    token exceeds c. So the entropy is least where floor(r / c) unlisted tokens have c and one more has the remainder
    (-x ln x is concave, so its sum is least at an extreme point). It is greatest where r is spread evenly over all n.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats, shape (k,), in any order.
    vocab_size
        The number of tokens in the model's vocabulary. Without it, ``upper`` is infinite if any probability is
        unlisted.
    top_is_true_topk
        Whether no unlisted token is likelier than a listed one. Set it to False for a list that is not the top, such as
        the drawn token alone: then the tail counts as one token.
    sampled_logprob
        The log-probability of the drawn token, if the list does not contain it.
    base
        2 for bits; None for nats.
    sentinels
        Values that stand for a withheld log-probability and are left out.
    rounding
        By how much a listed log-probability may be off (nats), such as 5e-5 for four decimals. None: as single
        precision rounds, which leaves a tail of less than 16 k 2**-24 open by k 2**-24. 0: the numbers are exact.

    Returns
    -------
    EntropyBounds
        The bounds, and three common estimates.

    Raises
    ------
    LogprobError
        If nothing is listed, or a number is not a log-probability.
    ProbabilityMassError
        If the list adds up to more than 1 + 1e-4. A smaller excess counts as rounding and is scaled away.
    InconsistentTopKError
        If the tail does not fit into ``vocab_size - k`` tokens of at most c; a listed probability of 0 leaves no token
        to hold it.

    References
    ----------
    The bounds are the extreme points of the feasible set (majorisation: A. Marshall, I. Olkin, B. Arnold,
    "Inequalities: Theory of Majorization and Its Applications", 2011, chapter 3).

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import entropy_bounds
    >>> bounds = entropy_bounds([log(0.5), log(0.25), log(0.125)], vocab_size=50_000, base=2)
    >>> round(bounds.lower, 2), round(bounds.upper, 2), round(bounds.tail, 3)
    (1.75, 3.7, 0.125)
    """
    scale = log_base(base)
    known = drop_sentinels(read_logprobs(top_logprobs, "top_logprobs"), sentinels)
    extra = _read_sampled(sampled_logprob, sentinels)
    seen = read_truncated(known, extra=extra, vocab_size=vocab_size, true_topk=top_is_true_topk, rounding=rounding)
    plugin = math.fsum(_xlogx_array(seen.p, seen.logprob).tolist()) * -1.0
    tail, mass = seen.tail, seen.mass
    bucket = plugin - _xlogx(tail)
    # H(p / m): logarithms first, because a division would lose digits.
    total = log_sum(seen.logprob)
    renormalized = plugin / math.exp(total) + total if total > -math.inf else 0.0
    error = float(entropy_error(np.array(plugin), np.array(mass), seen.error))
    lower = plugin - error + float(least_entropy(seen.limits)[0])
    upper = plugin + error + (0.0 if seen.is_exact else float(greatest_entropy(seen.limits)[0]))
    entropies = (plugin, renormalized, bucket, lower, max(upper, lower))
    return EntropyBounds(mass, tail, *(max(entropy, 0.0) / scale for entropy in entropies))


def _read_sampled(logprob: float | None, sentinels: Sequence[float]) -> float | None:
    if logprob is None:
        return None
    value = float(read_logprobs([logprob], "sampled_logprob")[0])
    return None if value in sentinels else value


def varentropy(logprobs: ArrayLike, normalized: bool = False) -> Varentropy:
    """Return the mean and variance of the surprisal of a whole distribution.

    The variance over the top of a distribution says little about the variance over all of it. So a list that misses
    more than 1e-4 of 1 is an error, unless ``normalized=True`` asks for the variance of the list alone.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats, shape (n,).
    normalized
        Whether to divide the list by its sum and take it as the whole distribution.

    Returns
    -------
    Varentropy
        The entropy (nats) and the varentropy (nats squared).

    Raises
    ------
    ValueError
        If a number is not a log-probability, or the list is empty or does not add up to 1.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import varentropy
    >>> result = varentropy([log(0.75), log(0.25)])
    >>> round(result.entropy, 3), round(result.varentropy, 3)
    (0.562, 0.226)
    """
    values = read_logprobs(logprobs)
    total = log_sum(values)
    if total == -math.inf:
        raise invalid_argument("logprobs", logprobs, "a list with at least one probability above 0")
    if abs(math.expm1(total)) > MASS_TOLERANCE and not normalized:
        raise ProbabilityMassError(
            f"logprobs add up to {math.exp(total):.6g} and not to 1: varentropy needs the whole distribution "
            "(normalized=True divides the list by its sum).",
            value=math.exp(total),
        )
    surprise = total - values[values > -np.inf]
    p = np.exp(-surprise)
    mean = math.fsum((p * surprise).tolist())
    return Varentropy(mean + 0.0, math.fsum((p * (surprise - mean) ** 2).tolist()))


def _xlogx_array(p: Floats, logp: Floats) -> Floats:
    return np.where(p > 0, p * np.where(p > 0, logp, 0.0), 0.0)


def _xlogx(x: float) -> float:
    return x * math.log(x) if x > 0 else 0.0
