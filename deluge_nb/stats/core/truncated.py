"""Truncated distributions: the listed probability of a top-k list, and limits of the unlisted rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...errors import InconsistentTopKError, LogprobError, SettingError
from ...logprobs.columns import Floats
from ...logprobs.rounding import (
    Bools,
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
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    rows = logprob[None, :]
    known = rows if extra is None else np.append(rows, [[extra]], axis=1)
    if not known.size:
        raise LogprobError(f"{where} is empty: nothing is known of this position.")
    tails = _raw_tails(rows, extra)
    settled = _settled_tails(tails, known)
    tail = float(settled[0])
    if tail < -mass_tolerance(rounding):
        raise mass_error(math.exp(log_sum(known[0])), where)
    if size is not None and size < known.shape[1]:
        raise SettingError(
            f"vocab_size must be at least the number of listed tokens, {known.shape[1]}, not {size}.",
            setting="vocab_size",
            value=size,
        )
    cap = np.minimum(logprob.min(keepdims=True), 0.0) if true_topk and len(logprob) else np.zeros(1)
    seen = _measure(known, tails, settled, cap, size, rounding)
    if seen.misfits[0]:
        raise InconsistentTopKError(
            _misfit_message(where, tail, math.exp(float(cap[0])), float(seen.limits.hidden[0])), value=tail
        )
    return TruncatedDistribution(
        seen.logprob[0],
        float(seen.tail[0]),
        seen.limits,
        float(seen.error[0]),
        float(tails[0]),
        bool(seen.is_exact[0]),
    )


class ListedMass(NamedTuple):
    """Masses of a list of likeliest tokens: the least of each token, and the probability beyond their sum.

    ``most_open`` is the most that can be beyond their sum, because the numbers are rounded.
    """

    least: list[float]
    open_mass: float
    most_open: float


def read_masses(
    lists: Sequence[Sequence[float]], roundings: Sequence[float | None], names: Sequence[str]
) -> list[ListedMass | Exception]:
    """Return the masses of each list of likeliest tokens, as :func:`read_truncated` does for one.

    Parameters
    ----------
    lists
        Log-probabilities in nats. Lists of one length are read together.
    roundings
        By how much the numbers of each list may be off.
    names
        Name of each list in error messages.

    Returns
    -------
    list
        One entry for each list; an exception, which is not raised, for a list that is the top of no distribution.
    """
    results: list[ListedMass | Exception] = [LogprobError("unread")] * len(lists)
    groups: dict[tuple[int, float | None], list[int]] = {}
    for index, (values, rounding) in enumerate(zip(lists, roundings, strict=True)):
        groups.setdefault((len(values), rounding), []).append(index)
    for (length, rounding), members in groups.items():
        sound = np.zeros(len(members), np.bool_)
        least, opened, most = np.zeros((len(members), length)), np.zeros(len(members)), np.zeros(len(members))
        if length:
            known = np.array([lists[index] for index in members])
            tails = _raw_tails(known, None)
            settled = _settled_tails(tails, known)
            seen = _measure(known, tails, settled, np.minimum(known.min(axis=1), 0.0), None, rounding)
            sound = (settled >= -mass_tolerance(rounding)) & ~seen.misfits
            least = np.exp(seen.logprob - seen.error[:, None])
            opened = seen.tail
            if rounding:
                opened = np.array([max(1.0 - math.fsum(row), 0.0) for row in least.tolist()])
            most = np.where((seen.error > 0) | seen.is_exact, opened, seen.limits.high)
        columns = zip(members, sound.tolist(), least.tolist(), opened.tolist(), most.tolist(), strict=True)
        for index, is_sound, row, part, rest in columns:
            results[index] = ListedMass(row, part, rest) if is_sound else _fault(lists[index], rounding, names[index])
    return results


def _fault(values: Sequence[float], rounding: float | None, name: str) -> Exception:
    """Return the error for a list that is the top of no distribution."""
    try:
        read_truncated(np.array(values, np.float64), rounding=rounding, where=name)
    except (LogprobError, SettingError) as error:
        return error
    return LogprobError(f"{name} is no list of log-probabilities.")


class _Measured(NamedTuple):
    """Distributions of lists of one length, a row for each; as the fields of :class:`TruncatedDistribution`."""

    logprob: Floats
    tail: Floats
    limits: TailLimits
    error: Floats
    is_exact: Bools
    misfits: Bools


def _measure(
    known: Floats, raw_tails: Floats, tails: Floats, cap: Floats, size: int | None, rounding: float | None
) -> _Measured:
    """Return the distributions that lists, shape (n, k), are the top of; ``tails`` are the settled ones."""
    listed = np.full(len(known), known.shape[1])
    limits = tail_limits(tails, listed, cap, size, rounding)
    excess = excess_of(tails, limits)
    return _Measured(
        known - excess[:, None] if excess.any() else known,
        np.minimum(np.maximum(tails, 0.0), room(limits.cap, limits.hidden)),
        limits,
        rounding + np.abs(excess) if rounding else np.zeros(len(known)),
        is_exact(raw_tails, listed, known.max(axis=1), rounding),
        misfits(tails, cap, limits.hidden, rounding),
    )


def _raw_tails(logprob: Floats, extra: float | None) -> Floats:
    """Return 1 minus the listed probabilities, added up in the order of the batch functions to agree in every digit."""
    ordered = -np.sort(-logprob, axis=1)
    best = ordered[:, 0] if ordered.shape[1] else np.full(len(ordered), -np.inf)
    rest = np.einsum("ij->i", np.exp(ordered)[:, 1:]) if ordered.shape[1] else np.zeros(len(ordered))
    if extra is not None and extra > -math.inf:
        rest = rest + np.exp(np.minimum(best, extra))
        best = np.maximum(best, extra)
    # 1 - p of the largest keeps the digits that a sum near 1 would lose.
    return -np.expm1(best) - rest


def _settled_tails(tails: Floats, known: Floats) -> Floats:
    """Return the tails, 0 in place of one within the last bit of each number, which is rounding."""
    finite = np.where(known > -np.inf, known, 0.0)
    p = np.exp(known)
    return np.where(np.abs(tails) <= _ULP * ((p * -finite).sum(axis=1) + 1.0 - p.max(axis=1)), 0.0, tails)


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
