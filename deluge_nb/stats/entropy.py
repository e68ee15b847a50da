"""Entropy, and what else one position's list of alternatives says of the distribution it was cut from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InconsistentTopKError, LogprobError, ProbabilityMassError, invalid_argument
from ..logprobs.columns import Floats
from ..logprobs.values import ROUNDING, SENTINELS, log_sum
from .core.records import Result
from .core.truncated import listed
from .core.validation import (
    MASS_TOLERANCE,
    Alternative,
    alternative,
    alternatives,
    count,
    log_base,
    logprobs,
    not_a_logprob,
    number,
    temperature_of,
    told,
    vector,
)


@dataclass(frozen=True, slots=True, eq=False)
class ObservedSet(Result):
    """How many tokens of a position are known (``n``), whether the sampled one had to be added to the list, and the
    least log-probability of the list (``cap_logprob``, nats; None for an empty list): nothing outside exceeds it.
    """

    n: int
    appended: bool
    cap_logprob: float | None


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


@dataclass(frozen=True, slots=True, eq=False)
class Margin(Result):
    """The lead of the likeliest token.

    ``prob_margin`` is p1 - p2 and ``logit_margin`` ln p1 - ln p2, None where only one token is listed; the margin of
    probabilities is then known to lie from ``prob_margin_lower`` to ``prob_margin_upper``. ``min_entropy`` is -ln p1.
    """

    prob_margin: float | None
    logit_margin: float | None
    min_entropy: float
    prob_margin_lower: float
    prob_margin_upper: float


@dataclass(frozen=True, slots=True, eq=False)
class RankBounds(Result):
    """The places that a token can have in its distribution, 1 for the likeliest; ``upper`` may be infinite."""

    lower: int
    upper: float


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
    value = float(logprobs([logp], "logp")[0])
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
    heat = temperature_of(temperature)
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


def observed_set(
    sampled: Mapping[str, Any] | None,
    top_logprobs: Iterable[Any],
    *,
    sentinels: Sequence[float] = SENTINELS,
) -> ObservedSet:
    """Which tokens of a position are known, without counting the sampled one twice.

    Parameters
    ----------
    sampled
        The token that was drawn, as a dict with ``token``, ``logprob`` and, where known, ``bytes``; None if unknown.
        Two tokens are the same when their bytes are, or where one has none, their text.
    top_logprobs
        The list of alternatives, of the same form.
    sentinels
        Values that stand for "not told"; such tokens are left out.

    Raises
    ------
    ValueError
        When an entry has no text, or a number that is no log-probability.
    """
    seen, extra = observe(sampled, top_logprobs, sentinels)
    cap = min((one.logprob for one in seen), default=None)
    return ObservedSet(len(seen) + (extra is not None), extra is not None, cap)


def observe(
    sampled: Mapping[str, Any] | None, top: Iterable[Any], sentinels: Sequence[float]
) -> tuple[list[Alternative], Alternative | None]:
    """The list, and the sampled token where it is known and not in it."""
    seen = alternatives(top, sentinels=sentinels)
    if sampled is None:
        return seen, None
    drawn = alternative(sampled, "sampled", "sampled", 0)
    if drawn.logprob in sentinels or any(_same(drawn, one) for one in seen):
        return seen, None
    return seen, drawn


def _same(left: Alternative, right: Alternative) -> bool:
    if left.raw is not None and right.raw is not None:
        return left.raw == right.raw
    return left.token == right.token


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
    known = told(logprobs(top_logprobs, "top_logprobs"), sentinels)
    seen = listed(known, extra=_drawn(sampled_logprob, sentinels), vocab_size=vocab_size, true_topk=top_is_true_topk)
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


def _drawn(logprob: float | None, sentinels: Sequence[float]) -> float | None:
    if logprob is None:
        return None
    value = float(logprobs([logprob], "sampled_logprob")[0])
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
    values = _logprobs(logprobs)
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


def margin(top_logprobs: ArrayLike, *, vocab_size: int | None = None, sentinels: Sequence[float] = SENTINELS) -> Margin:
    """The lead of the likeliest token over the runner-up.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats, shape (k,), in any order; the top of the distribution.
    vocab_size
        How many tokens the model can choose from, if that is known.
    sentinels
        Values that stand for "not told" and are left out.

    Raises
    ------
    ValueError
        As :func:`entropy_bounds`.
    """
    known = told(logprobs(top_logprobs, "top_logprobs"), sentinels)
    seen = listed(known, vocab_size=vocab_size)
    ordered = np.sort(seen.logprob)[::-1]
    first = float(ordered[0])
    if len(ordered) == 1:
        p = math.exp(first)
        alone = seen.tail == 0
        return Margin(p if alone else None, math.inf if alone else None, 0.0 - first, p - min(seen.tail, p), p)
    second = float(ordered[1])
    # One exponential of the difference, or close rivals lose the digits that tell them apart.
    lead = -math.exp(first) * math.expm1(second - first) if second > -math.inf else math.exp(first)
    return Margin(lead + 0.0, first - second, 0.0 - first, lead + 0.0, lead + 0.0)


def rank_bounds(
    top_logprobs: ArrayLike,
    sampled_logprob: float,
    vocab_size: int | None = None,
    *,
    sentinels: Sequence[float] = SENTINELS,
) -> RankBounds:
    """The places that a token can have in its distribution.

    A token outside a list of k comes after those k, and at most floor(rest / p) others can be likelier than it.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats, shape (k,), in any order.
    sampled_logprob
        The token's; one of the list's, or less than all of them.
    vocab_size
        How many tokens the model can choose from; no token's place exceeds it.
    sentinels
        Values that stand for "not told": such a token can be anywhere after the list.

    Raises
    ------
    InconsistentTopKError
        When the token is likelier than one of the list and not itself in it.
    ValueError
        As :func:`entropy_bounds`.
    """
    known = told(logprobs(top_logprobs, "top_logprobs"), sentinels)
    size = math.inf if vocab_size is None else count(vocab_size, "vocab_size", max(len(known), 1))
    if sampled_logprob is None or math.isnan(sampled_logprob):
        raise not_a_logprob(math.nan, "sampled_logprob", 0)
    value = float(logprobs([sampled_logprob], "sampled_logprob")[0])
    if value in known:
        return RankBounds(int((known > value).sum()) + 1, int((known >= value).sum()))
    lower = len(known) + 1
    if lower > size:
        raise InconsistentTopKError(
            f"The list names all {len(known)} tokens of the vocabulary, and the sampled one is none of them.",
            value=sampled_logprob,
        )
    if value in sentinels or value == -math.inf:
        if len(known):
            listed(known, vocab_size=vocab_size)
        return RankBounds(lower, size)
    if len(known) and value > known.min() + ROUNDING:
        raise InconsistentTopKError(
            f"sampled_logprob, {value!r}, is not in the list and yet above its least, {float(known.min())!r}: the list "
            "is not the top of the distribution.",
            value=sampled_logprob,
        )
    seen = listed(known, extra=value, vocab_size=vocab_size)
    # A bound allows for the last bits of what it is computed from.
    rest = seen.tail + 2.0**-50 if seen.tail > 0 else 0.0
    more = math.floor(rest / math.exp(value) * (1 + 1e-12))
    return RankBounds(lower, min(lower + more, size))


def _xlogx(p: Floats, logp: Floats) -> Floats:
    return np.where(p > 0, p * np.where(p > 0, logp, 0.0), 0.0)


def _x_log_x(x: float) -> float:
    return x * math.log(x) if x > 0 else 0.0


# The parameters of two functions have the name of the reader.
_logprobs = logprobs
