"""Per-token measures of a table of log-probabilities, vectorised over its columns.

Every function works on whole columns at once and returns one float64 per token, NaN where nothing is known. The list of
alternatives is the top of a distribution whose rest is hidden: the bounds below say what that allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._columns import Floats, Ints, Vocabulary
from .errors import SettingError

# "Not within the top 20", says OpenAI of -9999; other servers send the lowest float for a probability of 0. No model's
# real log-probabilities come near either.
_SENTINEL = -9999.0
# Providers round: a log-probability may exceed 0 by this much and still mean certainty.
_ROUNDING = 1e-6


class Bounds(NamedTuple):
    """An interval per token: ``lower`` and ``upper`` are float64 arrays."""

    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of each position's distribution.

    ``top`` holds the log-probabilities of all alternatives end to end (``-inf`` where censored), delimited by
    ``offsets``; ``extra`` the chosen token's where the list does not hold it (else ``-inf``); ``listed`` whether the
    list holds it, ``above`` how many alternatives are likelier than it.
    """

    offsets: Ints
    top: Floats
    extra: Floats
    listed: NDArray[np.bool_]
    above: Floats

    @property
    def counts(self) -> Ints:
        """The length of each list."""
        return np.diff(self.offsets)

    @property
    def known(self) -> Ints:
        """How many probabilities are known at each position."""
        listed = _reduce(np.add, np.isfinite(self.top).astype(np.float64), self.offsets, 0.0)
        return (listed + np.isfinite(self.extra)).astype(np.int32)


def is_censored(logprob: Floats) -> NDArray[np.bool_]:
    """Where a value is no log-probability: null, a sentinel, or above 0 by more than rounding explains."""
    return ~((logprob > _SENTINEL) & (logprob <= _ROUNDING))


def known(logprob: Floats) -> Floats:
    """The column with censored values as NaN and rounding above 0 taken off."""
    return np.where(is_censored(logprob), np.nan, np.minimum(logprob, 0.0))


def observe(
    vocabulary: Vocabulary,
    chosen: Ints,
    chosen_logprob: Floats,
    alternative: Ints,
    alternative_logprob: Floats,
    offsets: Ints,
) -> Observed:
    """Bring a table's columns into the form the measures work on."""
    span = slice(offsets[0], offsets[-1])
    alternative, offsets = alternative[span], offsets - offsets[0]
    top = _absent_as_zero(alternative_logprob[span])
    rows = np.repeat(np.arange(len(chosen)), np.diff(offsets))
    same = _same_token(vocabulary, alternative, chosen[rows])
    listed = _reduce(np.logical_or, same, offsets, False)
    extra = np.where(listed, -np.inf, _absent_as_zero(chosen_logprob))
    # Duplicates of the chosen token may be listed (as text, tokens are not unique): the likeliest is meant.
    its_own = _reduce(np.maximum, np.where(same, top, -np.inf), offsets, -np.inf)
    above = _reduce(np.add, (top > its_own[rows]).astype(np.float64), offsets, 0.0)
    return Observed(offsets, top, extra, listed, above)


def surprisal(logprob: Floats, base: float) -> Floats:
    """Minus the logarithm of each probability."""
    return 0.0 - known(logprob) / _log_of(base)


def mass(seen: Observed) -> Floats:
    """The probability that is accounted for at each position."""
    return 1.0 - np.maximum(_tail(seen), 0.0)


def rank(seen: Observed) -> Floats:
    """The chosen token's place among the alternatives; one past the end where it is not among them."""
    place = np.where(seen.listed, seen.above, seen.counts) + 1.0
    return np.where(seen.counts == 0, np.nan, place)


def margin(seen: Observed) -> Floats:
    """The lead of the likeliest token over the runner-up, as a difference of probabilities."""
    rows = np.repeat(np.arange(len(seen.counts)), seen.counts)
    best = _reduce(np.maximum, seen.top, seen.offsets, -np.inf)
    ties = _reduce(np.add, (seen.top == best[rows]).astype(np.float64), seen.offsets, 0.0)
    rest = np.where(seen.top == best[rows], -np.inf, seen.top)
    second = np.where(ties > 1, best, _reduce(np.maximum, rest, seen.offsets, -np.inf))
    # One known alternative: the runner-up is hidden and holds at most the rest, or it is the chosen token.
    hidden = np.where(second == -np.inf, np.minimum(np.maximum(_tail(seen), 0.0), np.exp(best)), 0.0)
    first = np.maximum(np.exp(best), np.exp(seen.extra))
    chosen = np.minimum(np.exp(best), np.exp(seen.extra))
    lead = first - np.maximum(np.maximum(np.exp(second), hidden), chosen)
    return np.where(best == -np.inf, np.nan, lead)


def entropy_bounds(seen: Observed, vocab_size: int | None, base: float) -> Bounds:
    """The interval each position's entropy lies in.

    With tail ``r``, smallest listed probability ``c`` and plug-in sum ``h``: no hidden token exceeds ``c``, so the
    entropy is least when ``floor(r / c)`` hidden tokens have ``c`` and one the remainder (``-x ln x`` is concave, and
    its sum least at an extreme point). It is greatest when the tail is spread evenly over all hidden tokens.
    """
    count = seen.known
    scale = _log_of(base)
    if vocab_size is not None and len(count) and vocab_size < count.max():
        raise SettingError(
            f"vocab_size must be at least the number of alternatives, {count.max()}, not {vocab_size!r}.",
            setting="vocab_size",
            value=vocab_size,
        )
    p = np.exp(seen.top)
    plugin = _reduce(np.add, -_xlogx(p, seen.top), seen.offsets, 0.0)
    plugin = plugin - _xlogx(np.exp(seen.extra), seen.extra)
    tail = _tail(seen)
    # A total above 1 (servers add in float32), or a complete list that misses 1: the numbers are to be read relatively.
    complete = count == vocab_size if vocab_size is not None else np.zeros(len(count), bool)
    relative = (tail < 0) | complete
    total = np.where(relative, 1.0 - tail, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        plugin = plugin / total + np.log(total)
        tail = np.where(relative, 0.0, tail)
        finite = np.isfinite(seen.top)
        floor = np.exp(_reduce(np.minimum, np.where(finite, seen.top, np.inf), seen.offsets, np.inf))
        capped = (floor > 0) & (floor < np.inf)
        full = np.where(capped, np.floor(tail / floor), 0.0)
        left = np.maximum(tail - np.where(capped, full * floor, 0.0), 0.0)
        lower = plugin - _xlogx(left)
        lower = lower - np.where(capped, full * _xlogx(floor), 0.0)
        if vocab_size is None:
            upper = np.where(tail > 0, np.inf, plugin)
        else:
            hidden = np.maximum(vocab_size - count, 1)
            upper = plugin - _xlogx(tail) + tail * np.log(hidden)
    lower = np.where(count == 0, np.nan, np.maximum(lower, 0.0))
    upper = np.where(count == 0, np.nan, np.maximum(upper, lower))
    return Bounds(lower / scale, upper / scale)


def _tail(seen: Observed) -> Floats:
    """The probability that is not listed: exact where it is tiny, negative where the listed ones exceed 1 in total."""
    rows = np.repeat(np.arange(len(seen.counts)), seen.counts)
    peak = np.maximum(_reduce(np.maximum, seen.top, seen.offsets, -np.inf), seen.extra)
    with np.errstate(invalid="ignore"):
        # Relative to the peak, peaks count 1 each; taking one of them out exactly keeps the digits of a small rest.
        relative = np.exp(seen.top - peak[rows])
        is_peak = seen.top == peak[rows]
        extra_is_peak = seen.extra == peak
        peaks = _reduce(np.add, is_peak.astype(np.float64), seen.offsets, 0.0) + extra_is_peak
        rest = _reduce(np.add, np.where(is_peak, 0.0, relative), seen.offsets, 0.0)
        rest = rest + np.where(extra_is_peak, 0.0, np.exp(seen.extra - peak))
        total = peak + np.log1p(rest + (peaks - 1.0))
    return np.where(peak == -np.inf, 1.0, -np.expm1(total))


def _same_token(vocabulary: Vocabulary, left: Ints, right: Ints) -> NDArray[np.bool_]:
    """Where two columns mean the same token: by bytes where both are known, else by text."""
    same = left == right
    spelling = vocabulary.spellings
    for place in np.flatnonzero(~same & (spelling[left] == spelling[right])):
        a, b = int(left[place]), int(right[place])
        ids = vocabulary.ids[a], vocabulary.ids[b]
        raws = vocabulary.raw[a], vocabulary.raw[b]
        if None not in ids:
            same[place] = ids[0] == ids[1]
        else:
            same[place] = raws[0] == raws[1] or not all(isinstance(raw, bytes) for raw in raws)
    return same


def _absent_as_zero(logprob: Floats) -> Floats:
    """Censored probabilities count as nothing known: the log of 0."""
    return np.where(is_censored(logprob), -np.inf, np.minimum(logprob, 0.0))


def _reduce(ufunc: np.ufunc, values: NDArray, offsets: Ints, empty: float | bool) -> NDArray:
    """Reduce each row of a ragged column; ``empty`` for rows without values."""
    starts, ends = offsets[:-1], offsets[1:]
    filled = ends > starts
    result = np.full(len(starts), empty, dtype=values.dtype if len(values) else type(empty))
    if filled.any():
        result[filled] = ufunc.reduceat(values, starts[filled])
    return result


def _xlogx(p: Floats, logp: Floats | None = None) -> Floats:
    """``p ln p``, 0 at 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * (np.log(p) if logp is None else logp), 0.0)


def _log_of(base: float) -> float:
    if not base > 0 or base == 1 or math.isinf(base):
        raise SettingError(
            f"base must be a positive number other than 1 (2 for bits), not {base!r}.",
            setting="base",
            value=base,
        )
    return math.log(base)
