"""The allowance for rounded log-probabilities, and what a hidden tail can be under it.

Servers send numbers in single precision or with a few decimals, so that the tail (1 minus what is listed) is known only
to within an allowance. All bounds of this package get theirs here, for one list or for many at once:

* ``rounding=None``: a listed number may be off by 2**-24 of its probability. A tail of less than 16 k 2**-24 (k numbers
  are listed) is known only to within k 2**-24; a larger one is taken as it is. What is left of a tail after whole
  multiples of the least listed probability may be nothing if it is below k 2**-24.
* a number x: every log-probability may be off by x nats.
* 0: the numbers are exact.

Nothing is hidden where the list has the whole vocabulary, or where it has a token of probability 0: no hidden token is
likelier than a listed one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import invalid_argument
from .columns import Floats
from .values import SINGLE_PRECISION

Bools = NDArray[np.bool_]

MASS_TOLERANCE = 1e-4
"""Excess over 1 of a sum of probabilities that counts as rounding, and is scaled away."""
# A tail below this many times its allowance may be rounding for the most part.
_MARGIN = 16
# A quotient below a whole number by no more than this share counts as that number, in double precision.
_GUARD = 1e-13
# A remainder below this share of its tail is an error of double precision.
_LEAST_REMAINDER = 1e-12
# Error of a sum of double-precision probabilities, each with an error of half its last bit.
_LAST_BIT = 2.0**-53
# Logarithms of about 50 are subtracted where a softmax is computed, and their last bits are this many times as large.
_LOGIT_BITS = 64


class TailLimits(NamedTuple):
    """Limits of the unlisted tokens of each list; float64 arrays of one shape.

    ``low`` and ``high`` limit their total probability. ``cap`` is the logarithm of the most that one of them can have.
    ``hidden`` is their number (infinite if unknown). A remainder of at most ``unsure`` may be nothing.
    """

    low: Floats
    high: Floats
    cap: Floats
    hidden: Floats
    unsure: Floats


def check_rounding(value: object) -> float | None:
    """Return the allowance that a caller passed.

    Raises
    ------
    SettingError
        When it is neither None nor a finite number from 0 on.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise _bad_rounding(value)
    number = float(value)
    if not 0 <= number < math.inf:
        raise _bad_rounding(value)
    return number


def _bad_rounding(value: object) -> Exception:
    return invalid_argument("rounding", value, "None, or the most that a log-probability may be off (nats, from 0 on)")


def coarser(left: float | None, right: float | None) -> float | None:
    """Return the larger of two allowances, which holds for the rows of both tables."""
    return max(left, right, key=lambda rounding: SINGLE_PRECISION if rounding is None else rounding)


def mass_tolerance(rounding: float | None) -> float:
    """Return the excess over 1 of a sum of probabilities that rounding explains."""
    return max(MASS_TOLERANCE, math.expm1(min(rounding or 0.0, 1.0)) * (1 + _LEAST_REMAINDER))


def tail_limits(
    tail: Floats, listed: NDArray[np.integer], cap: Floats, vocab_size: int | None, rounding: float | None
) -> TailLimits:
    """Return the limits of the unlisted probability of each list.

    Parameters
    ----------
    tail
        1 minus the listed probabilities as they were sent; negative where these exceed 1. Shape (n,).
    listed
        Number of listed tokens, shape (n,).
    cap
        Logarithm of the least listed probability: ``-inf`` where a token of probability 0 is listed, 0 where the list
        is not the top of its distribution. Shape (n,).
    vocab_size
        Number of tokens in the vocabulary, if known.
    rounding
        The allowance.
    """
    hidden = np.full(np.shape(tail), np.inf) if vocab_size is None else np.maximum(vocab_size - listed, 0.0)
    if rounding is None:
        unsure = np.asarray(listed * SINGLE_PRECISION, np.float64)
        near = np.where(tail < _MARGIN * unsure, unsure, 0.0)
        low, high = tail - near, tail + near
    else:
        unsure = np.zeros(np.shape(tail))
        low, high = tail - (1.0 - tail) * np.expm1(rounding), tail - (1.0 - tail) * np.expm1(-rounding)
        cap = np.minimum(cap + rounding, 0.0)
    most = room(cap, hidden)
    high = np.minimum(np.maximum(high, 0.0), most)
    low = np.minimum(np.maximum(low, 0.0), high)
    return TailLimits(low, high, cap, hidden, unsure)


def room(cap: Floats, hidden: Floats) -> Floats:
    """Return the most that all unlisted tokens can have, if none exceeds exp(cap)."""
    is_open = (cap > -np.inf) & (hidden > 0)
    return np.where(is_open, np.exp(cap) * np.where(is_open, hidden, 1.0), 0.0)


def is_closed(cap: Floats, hidden: Floats) -> Bools:
    """Return True where no unlisted token can have any probability, so that the list is divided by its sum."""
    return (hidden <= 0) | (cap == -np.inf)


def excess_of(tail: Floats, limits: TailLimits) -> Floats:
    """Return the logarithm of the sum that each list is divided by: 0 where it needs no scaling.

    A sum above 1 is an error of the numbers, and so is one below 1 where nothing is hidden.
    """
    scaled = (tail < 0) | (is_closed(limits.cap, limits.hidden) & (tail < 1))
    return np.where(scaled, np.log1p(-np.where(scaled, tail, 0.0)), 0.0)


def misfits(tail: Floats, cap: Floats, hidden: Floats, rounding: float | None) -> Bools:
    """Return True where the tail is larger than all that the unlisted tokens can have, by more than rounding."""
    slack = rounding or 0.0
    low = tail - (1.0 - tail) * math.expm1(slack)
    return low > room(np.minimum(cap + slack, 0.0), hidden) + MASS_TOLERANCE


def is_whole(tail: float, limits: TailLimits, listed: int, temperature: float = 1.0) -> bool:
    """Return whether a list is known to be the whole distribution, as far as it matters at a temperature.

    Up to temperature 1, a tail within the allowance is smaller than the rounding of what is listed. Above 1, little
    probability on many tokens grows: then the sum must be 1 to the last bits of double precision.

    Parameters
    ----------
    tail
        1 minus the listed probabilities as they were sent.
    limits
        Limits of one list.
    listed
        Number of listed tokens.
    temperature
        The temperature.
    """
    if limits.high[0] == 0 or temperature <= 1:
        return bool(limits.low[0] == 0)
    return abs(tail) <= float(sum_error(listed))


def sum_error(listed: NDArray[np.integer] | int) -> Floats:
    """Return the error of the sum of a whole softmax in double precision, from its number of tokens."""
    return np.asarray((listed + _LOGIT_BITS) * _LAST_BIT, np.float64)


def is_exact(tail: Floats, listed: NDArray[np.integer], peak: Floats, rounding: float | None) -> Bools:
    """Return True where a list adds up to 1 to the last bits of double precision, as a whole softmax does.

    Not where its largest number, ``peak``, is 0: to that, any probability near 1 may have been rounded.
    """
    if rounding:
        return np.zeros(np.shape(tail), np.bool_)
    return (np.abs(tail) <= sum_error(listed)) & (peak < 0)


def least_entropy(limits: TailLimits) -> Floats:
    """Return the least sum of -q ln q (nats) over the unlisted tokens.

    It is least where as many of them as possible have the cap and one has the remainder: -q ln q is concave, so its sum
    is least at an extreme point.
    """
    least = _packed_entropy(limits.low, limits)
    # With tokens above 1 / e the sum falls while the tail grows to the next multiple of the cap.
    falls = (limits.high > limits.low) & (limits.cap > -1.0)
    if falls.any():
        c = np.exp(limits.cap)
        multiple = np.floor(limits.high / np.where(c > 0, c, 1.0)) * c
        others = np.minimum(
            _packed_entropy(limits.high, limits),
            np.where(multiple >= limits.low, _packed_entropy(multiple, limits), np.inf),
        )
        least = np.where(falls, np.minimum(least, others), least)
    return least


def _packed_entropy(tail: Floats, limits: TailLimits) -> Floats:
    full, rest = _pack(tail, limits, limits.unsure)
    low = -_xlogx(rest)
    if full.any():
        low -= np.where(full > 0, full * np.exp(limits.cap) * np.where(full > 0, limits.cap, 0.0), 0.0)
    return low


def greatest_entropy(limits: TailLimits) -> Floats:
    """Return the greatest sum of -q ln q (nats) over the unlisted tokens: that of an even spread."""
    with np.errstate(divide="ignore", invalid="ignore"):
        # -t ln(t / n) grows up to t = n / e, which only a tail on one or two tokens can exceed.
        tail = np.clip(limits.hidden / math.e, limits.low, limits.high)
        spread = -tail * np.log(tail / np.where(limits.hidden > 0, limits.hidden, 1.0))
        return np.where(limits.high > 0, np.where(np.isinf(limits.hidden), np.inf, spread), 0.0)


def power_sums(limits: TailLimits, beta: float) -> tuple[Floats, Floats]:
    """Return the logarithms of the least and of the greatest sum of q**beta over the unlisted tokens."""
    if beta < 1:
        least, most = _packed_power(limits.low, limits, beta, limits.unsure), _even_power(limits.high, limits, beta)
    else:
        least, most = _even_power(limits.low, limits, beta), _packed_power(limits.high, limits, beta, 0.0)
    return least, np.maximum(least, most)


def _packed_power(tail: Floats, limits: TailLimits, beta: float, unsure: Floats | float) -> Floats:
    full, rest = _pack(tail, limits, unsure)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.logaddexp(
            np.where(full > 0, np.log(full) + beta * limits.cap, -np.inf),
            np.where(rest > 0, beta * np.log(np.where(rest > 0, rest, 1.0)), -np.inf),
        )


def _even_power(tail: Floats, limits: TailLimits, beta: float) -> Floats:
    unbounded = np.isinf(limits.hidden)
    hidden = np.where(unbounded | (limits.hidden <= 0), 1.0, limits.hidden)
    even = np.log(hidden) + beta * np.log(np.where(tail > 0, tail, 1.0) / hidden)
    # Spread over any number of tokens, the sum is without limit above temperature 1, and as small as one likes below.
    return np.where(tail > 0, np.where(unbounded, -np.inf if beta > 1 else np.inf, even), -np.inf)


def _pack(tail: Floats, limits: TailLimits, unsure: Floats | float) -> tuple[Floats, Floats]:
    """Return how many tokens of the cap fit into a tail, and what is left for one more."""
    c = np.exp(limits.cap)
    is_open = c > 0
    full = np.where(is_open, np.floor(tail / np.where(is_open, c, 1.0) * (1 + _GUARD)), 0.0)
    rest = np.maximum(tail - full * c, 0.0)
    return full, np.where(rest > np.maximum(unsure, _LEAST_REMAINDER * tail), rest, 0.0)


def most_tokens(limits: TailLimits, unit: Floats) -> Floats:
    """Return the most unlisted tokens that can have a probability of at least ``unit``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        # The unit is the exponential of a number of single precision, too, if the others are.
        off = np.where(limits.unsure > 0, np.abs(np.log(unit)) * SINGLE_PRECISION, 0.0)
        most = np.floor((limits.high + limits.unsure + 2.0**-50) / unit * (1 + _LEAST_REMAINDER + off))
    return np.where(limits.high > 0, np.minimum(most, limits.hidden), 0.0)


def entropy_error(plugin: Floats, mass: Floats, error: Floats | float) -> Floats:
    """Return by how much the sum of -p ln p (nats) over a list can be off.

    The derivative of -p ln p by ln p is -p (ln p + 1), in absolute value at most p (1 - ln p).

    Parameters
    ----------
    plugin, mass
        The sums of -p ln p and of p.
    error
        The most that each log-probability can be off.
    """
    return error * np.exp(error) * (plugin + mass * (1.0 + error))


def _xlogx(x: Floats) -> Floats:
    return x * np.log(np.where(x > 0, x, 1.0))
