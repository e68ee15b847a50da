"""Truncated distributions: the listed probability of a top-k list, and limits of the unlisted rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...errors import InconsistentTopKError, LogprobError, SettingError
from ...logprobs.columns import Floats
from ...logprobs.rounding import (
    TailLimits,
    check_rounding,
    excess_of,
    is_exact,
    is_whole,
    mass_tolerance,
    misfits,
    most_tokens,
    room,
    tail_limits,
)
from ...logprobs.values import log_sum
from .validation import count, mass_error

_ULP = 2.0**-52


@dataclass(frozen=True, slots=True)
class TruncatedDistribution:
    """The known part of one distribution.

    ``logprob`` are natural logarithms, divided by their sum if that exceeded 1 by no more than rounding. ``tail`` is
    the probability of all unlisted tokens as the numbers have it, and ``limits`` what it can be (arrays of one number).
    Each log-probability may be off by ``error``, if the caller gave a number for rounding. ``raw_tail`` is the tail
    before any correction, and ``is_exact`` is True if the list adds up to 1 to the last bits of double precision.
    """

    logprob: Floats
    tail: float
    limits: TailLimits
    error: float
    raw_tail: float
    is_exact: bool

    @property
    def p(self) -> Floats:
        """The listed probabilities."""
        return np.exp(self.logprob)

    @property
    def least(self) -> Floats:
        """The least that the listed probabilities can be."""
        return np.exp(self.logprob - self.error)

    @property
    def most(self) -> Floats:
        """The most that the listed probabilities can be."""
        return np.exp(np.minimum(self.logprob + self.error, 0.0))

    @property
    def mass(self) -> float:
        """The total listed probability."""
        return 1.0 - self.tail

    @property
    def open_mass(self) -> float:
        """The part of the probability that is not in ``least``."""
        # Not 1 - mass: where a small vocabulary leaves less room than the tail, rounding took the rest from the list.
        return self.tail if not self.error else max(1.0 - math.fsum(self.least.tolist()), 0.0)

    @property
    def most_open(self) -> float:
        """The most probability that can be beyond ``least``."""
        return self.open_mass if self.error or self.is_exact else float(self.limits.high[0])

    @property
    def cap(self) -> float:
        """The most that one unlisted token can have; 1 if the list is not the top of its distribution."""
        return math.exp(float(self.limits.cap[0]))

    def most_tokens(self, logprob: float) -> float:
        """Return the most unlisted tokens that can be as likely as one of this log-probability."""
        return float(most_tokens(self.limits, np.exp([logprob - self.error]))[0])

    def is_whole(self, temperature: float = 1.0) -> bool:
        """Return whether the list is known to be the whole distribution; see the function of this name."""
        return is_whole(self.raw_tail, self.limits, len(self.logprob), temperature)


def read_truncated(
    logprob: Floats,
    *,
    extra: float | None = None,
    vocab_size: int | None = None,
    true_topk: bool = True,
    rounding: float | None = None,
    where: str = "top_logprobs",
) -> TruncatedDistribution:
    """Return the distribution that a list is the top of; raise an error for a list that cannot be one.

    ``extra`` is the log-probability of a token outside the list: it is known, but not a cap of the others.
    """
    rounding = check_rounding(rounding)
    known = logprob if extra is None else np.append(logprob, extra)
    if not len(known):
        raise LogprobError(f"{where} is empty: nothing is known of this position.")
    total = log_sum(known)
    raw_tail = tail = _tail_of(logprob, extra)
    # A tail within the last bit of each number is rounding.
    finite = known[known > -np.inf]
    p = np.exp(finite)
    if abs(tail) <= _ULP * (float((p * -finite).sum()) + 1.0 - float(p.max(initial=0.0))):
        tail = 0.0
    if tail < -mass_tolerance(rounding):
        raise mass_error(math.exp(total), where)
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    if size is not None and size < len(known):
        raise SettingError(
            f"vocab_size must be at least the number of listed tokens, {len(known)}, not {size}.",
            setting="vocab_size",
            value=size,
        )
    cap = np.array([min(float(logprob.min()), 0.0) if true_topk and len(logprob) else 0.0])
    tails = np.array([tail])
    limits = tail_limits(tails, np.array([len(known)]), cap, size, rounding)
    if misfits(tails, cap, limits.hidden, rounding)[0]:
        raise InconsistentTopKError(
            _misfit_message(where, tail, math.exp(float(cap[0])), float(limits.hidden[0])), value=tail
        )
    excess = float(excess_of(tails, limits)[0])
    tail = min(max(tail, 0.0), float(room(limits.cap, limits.hidden)[0]))
    error = rounding + abs(excess) if rounding else 0.0
    exact = is_exact(np.array([raw_tail]), np.array([len(known)]), np.array([float(known.max())]), rounding)
    scaled = known - excess if excess else known
    return TruncatedDistribution(scaled, tail, limits, error, raw_tail, bool(exact[0]))


def _tail_of(logprob: Floats, extra: float | None) -> float:
    """Return 1 minus the listed probabilities, added up in the order of the batch functions to agree in every digit."""
    ordered = -np.sort(-logprob)
    best = float(ordered[0]) if len(ordered) else -math.inf
    rest = float(np.einsum("ij->i", np.exp(ordered)[None, 1:])[0]) if len(ordered) else 0.0
    if extra is not None and extra > -math.inf:
        rest += math.exp(best if extra > best else extra)
        best = max(best, extra)
    # 1 - p of the largest keeps the digits that a sum near 1 would lose.
    return -math.expm1(best) - rest


def rescaled_limits(
    scaled: Floats, total: Floats, least: Floats, most: Floats, error: Floats | float
) -> tuple[Floats, Floats]:
    """Return bounds of each listed token's share of all tokens, listed and unlisted.

    Parameters
    ----------
    scaled
        Logarithms of the listed weights, shape (n, k).
    total
        Logarithms of their sums, shape (n,).
    least, most
        Logarithms of the least and the greatest sum of the unlisted weights, shape (n,).
    error
        The most that each of ``scaled`` can be off.
    """
    if not np.any(error):
        return (
            np.exp(scaled - np.logaddexp(total, most)[:, None]),
            np.exp(scaled - np.logaddexp(total, least)[:, None]),
        )
    shift = 2 * np.broadcast_to(error, total.shape)[:, None]
    with np.errstate(divide="ignore"):
        others = total[:, None] + np.log1p(-np.minimum(np.exp(scaled - total[:, None]), 1.0))
        hidden = np.broadcast_to(error, total.shape)[:, None]
        low = np.logaddexp(scaled, np.logaddexp(others + shift, most[:, None] + hidden))
        high = np.logaddexp(scaled, np.logaddexp(others - shift, least[:, None] - hidden))
    possible = scaled > -np.inf
    return (
        np.where(possible, np.exp(np.where(possible, scaled - low, 0.0)), 0.0),
        np.where(possible, np.exp(np.where(possible, scaled - high, 0.0)), 0.0),
    )


def coldest_limits(logprob: Floats, rivals: Floats, error: Floats, cap: Floats) -> tuple[Floats, Floats]:
    """Return bounds of each listed token's share at temperature 0, which the likeliest tokens have.

    Parameters
    ----------
    logprob
        Log-probabilities, shape (n, k).
    rivals
        Number of unlisted tokens that can be as likely as the likeliest, shape (n,).
    error
        The most that each log-probability can be off, shape (n,).
    cap
        Logarithm of the most that an unlisted token can have, shape (n,); ``-inf`` where nothing is hidden.
    """
    peak = logprob.max(axis=1)[:, None]
    best = logprob == peak
    low, high = best / (best.sum(axis=1) + rivals)[:, None], best / best.sum(axis=1)[:, None]
    doubtful = error > 0
    if doubtful.any():
        near = logprob >= peak - 2 * error[:, None]
        alone = (near.sum(axis=1) == 1) & (cap < peak[:, 0] - error)
        low = np.where(doubtful[:, None], best & alone[:, None], low)
        high = np.where(doubtful[:, None], near, high)
    return low, high


def _misfit_message(where: str, tail: float, cap: float, hidden: float) -> str:
    if hidden == 0:
        return (
            f"{where} names the whole vocabulary, and its probabilities miss {tail:.6g} of 1: is vocab_size too small?"
        )
    unlisted = "the" if math.isinf(hidden) else f"{hidden:.0f}"
    return (
        f"{where} cannot be the likeliest tokens: they leave {tail:.6g} to {unlisted} unlisted "
        f"token{'' if hidden == 1 else 's'} of at most {cap:.6g} each. Is vocab_size too small, or the list cut (then "
        "pass top_is_true_topk=False)?"
    )
