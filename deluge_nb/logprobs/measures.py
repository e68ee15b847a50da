"""Per-token measures of a table of log-probabilities, vectorised over its columns.

:func:`observe` reads a table once, in blocks of tokens with equally long lists that fit into the processor's cache, and
returns the summary (:class:`Observed`) from which every measure is computed. Results are one float64 per token, NaN
where nothing is known. A list of alternatives is the top of a distribution whose tail is hidden; the bounds hold
whatever that tail is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingError, invalid_argument
from .columns import Floats, Ints, Vocabulary
from .rounding import (
    entropy_error,
    excess_of,
    greatest_entropy,
    is_exact,
    least_entropy,
    misfits,
    room,
    tail_limits,
)
from .values import LOWEST, ROUNDING, SENTINEL

Bools = NDArray[np.bool_]

# Numbers per block: they and their exponentials stay in the cache of one core.
BLOCK = 49_152
# Tokens per block, where each has several numbers.
_ROWS = 16_384
_ULP = 2.0**-52


class Bounds(NamedTuple):
    """Interval per token: ``lower`` and ``upper`` are float64 arrays of shape (n,)."""

    lower: Floats
    upper: Floats


class Ranks(NamedTuple):
    """Least rank of each chosen token, NaN without a list, and whether it is the rank; each of shape (n,)."""

    at_least: Floats
    is_exact: Bools


@dataclass(frozen=True, slots=True)
class Observed:
    """Known part of each position's distribution; each array has shape (n,).

    ``counts`` is the length of the list. ``known`` counts the tokens of known probability: those of the list, and a
    chosen token outside it. ``first`` and ``second`` are the largest and second log-probability of the list, ``extra``
    that of a chosen token outside it (``-inf`` where the list contains it). ``cap`` is the least log-probability of the
    list, which no hidden token exceeds: ``-inf`` where the list has a token of probability 0, and 0 where nothing in it
    is known. ``plugin`` is the sum of -p ln p (nats) over the known tokens. ``tail`` is the probability of all others:
    exact where it is tiny, negative where the known probabilities add up to more than 1, and 0 where it is no more than
    the last bits of double precision.
    """

    counts: NDArray[np.integer]
    known: Ints
    first: Floats
    second: Floats
    cap: Floats
    extra: Floats
    plugin: Floats
    tail: Floats


def is_censored(logprob: Floats) -> Bools:
    """Return True where a value is null, a sentinel, or above 0 by more than rounding explains."""
    return ~((logprob > SENTINEL) & (logprob <= ROUNDING))


def mask_censored(logprob: Floats) -> Floats:
    """Return the column with NaN for censored values, and 0 for values that rounding put above it."""
    return np.where(is_censored(logprob), np.nan, np.minimum(logprob, 0.0))


def log_sum_rows(logprob: Floats) -> Floats:
    """Return :func:`~deluge_nb.logprobs.values.log_sum` of each row; shape (n, k) to (n,)."""
    if not logprob.shape[1]:
        return np.full(len(logprob), -np.inf)
    argmax = np.argmax(logprob, axis=1)[:, None]
    peak = np.take_along_axis(logprob, argmax, axis=1)
    rest = np.exp(logprob - np.where(np.isfinite(peak), peak, 0.0))
    np.put_along_axis(rest, argmax, 0.0, axis=1)
    return peak[:, 0] + np.log1p(rest.sum(axis=1))


def blocks(offsets: NDArray[np.integer]) -> Iterator[tuple[slice | NDArray[np.intp], slice | NDArray[np.intp], int]]:
    """Yield blocks of tokens with equally long lists, at most :data:`BLOCK` alternatives at a time.

    Each block is the rows of its tokens, the positions of their alternatives in the columns (a slice, or a matrix with
    a row per token), and the length of their lists.
    """
    counts = np.diff(offsets)
    if not len(counts):
        return
    length = int(counts[0])
    if (counts == length).all():
        step = max(1, BLOCK // max(length, 1))
        for start in range(0, len(counts), step):
            stop = min(start + step, len(counts))
            yield slice(start, stop), slice(int(offsets[start]), int(offsets[stop])), length
        return
    order = np.argsort(counts, kind="stable")
    lengths, firsts = np.unique(counts[order], return_index=True)
    for length, rows in zip(lengths.tolist(), np.split(order, firsts[1:]), strict=True):
        step = max(1, BLOCK // max(length, 1))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            yield part, offsets[part].astype(np.intp)[:, None] + np.arange(length), length


def clip_to_support(values: Floats) -> Floats:
    """Return a block with ``-inf`` for censored values, and 0 for values that rounding put above it."""
    # Two reductions show that nearly every block needs no change; NaN fails both comparisons.
    if not len(values) or not values.shape[-1] or (values.max() <= 0 and values.min() > SENTINEL):
        return values
    return np.where(is_censored(values), -np.inf, np.minimum(values, 0.0))


def descending(values: Floats) -> Floats:
    """Return a block with each list in descending order, as nearly all servers send it."""
    if values.shape[1] < 2:
        return values
    # One pass over the flat block is several times faster than a pass per list. Rises between lists are allowed.
    flat = values.reshape(-1)
    rises_between = np.count_nonzero(values[1:, 0] > values[:-1, -1])
    if np.count_nonzero(flat[1:] > flat[:-1]) == rises_between:
        return values
    return -np.sort(-values, axis=1)


def observe(
    vocabulary: Vocabulary | None,
    chosen: NDArray[np.integer] | None,
    chosen_logprob: Floats | None,
    alternative: NDArray[np.integer] | None,
    alternative_logprob: Floats,
    offsets: NDArray[np.integer],
    *,
    zeros: bool = False,
) -> Observed:
    """Return the summary of each list that the measures need.

    Without a vocabulary and chosen tokens, the columns are lists alone, and no chosen token adds to them. With
    ``zeros``, ``-inf`` and the lowest floats are probabilities of 0, as in :mod:`deluge_nb.stats`; else they are
    censored, as in a table.
    """
    n = len(offsets) - 1
    observed = Observed(np.diff(offsets), np.empty(n, np.int32), *(np.empty(n) for _ in range(6)))
    chosen_values = None if chosen_logprob is None else clip_to_support(np.asarray(chosen_logprob, np.float64))
    for rows, positions, length in blocks(offsets):
        size = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        unlisted = np.full(size, -np.inf) if chosen_values is None else chosen_values[rows]
        if length:
            raw = alternative_logprob[positions].reshape(-1, length)
            clipped = clip_to_support(raw)
            impossible = (raw <= LOWEST).sum(axis=1, dtype=np.int32) if zeros and clipped is not raw else None
            values = descending(clipped)
            if vocabulary is not None and chosen is not None and alternative is not None:
                ids = alternative[positions].reshape(-1, length)
                unlisted = np.where(contains_chosen(vocabulary, ids, chosen[rows]), -np.inf, unlisted)
        else:
            values, impossible = np.full((size, 1), -np.inf), None
        observed.first[rows] = values[:, 0]
        observed.second[rows] = values[:, 1] if length > 1 else -np.inf
        observed.extra[rows] = unlisted
        _summarize(observed, rows, values, unlisted, impossible)
    return observed


def _summarize(
    observed: Observed, rows: slice | NDArray[np.intp], values: Floats, unlisted: Floats, impossible: Ints | None
) -> None:
    """Fill in ``known``, ``cap``, ``plugin`` and ``tail`` of a block's rows.

    ``values`` are the lists in descending order, shape (n, k); ``unlisted`` is the log-probability of a chosen token
    outside its list, else ``-inf``, shape (n,). ``impossible`` counts the tokens of probability 0 in each list.
    """
    p = np.exp(values)
    cap = values[:, -1]
    if cap.min() > -np.inf:
        plugin = np.einsum("ij,ij->i", p, values)
        counts: Ints | int = values.shape[1]
    else:
        plugin = np.einsum("ij,ij->i", p, np.where(values > -np.inf, values, 0.0))
        counts = (values > -np.inf).sum(axis=1, dtype=np.int32)
        least = np.take_along_axis(values, np.maximum(counts - 1, 0)[:, None], axis=1)[:, 0]
        cap = np.where(counts > 0, least, 0.0)
        if impossible is not None and impossible.any():
            cap, counts = np.where(impossible > 0, -np.inf, cap), counts + impossible
    best = values[:, 0]
    rest = np.einsum("ij->i", p[:, 1:])
    if unlisted.max() > -np.inf:
        is_unlisted = unlisted > -np.inf
        q = np.exp(unlisted)
        plugin = plugin + q * np.where(is_unlisted, unlisted, 0.0)
        rest = rest + np.where(unlisted > best, p[:, 0], q)
        best = np.maximum(best, unlisted)
        counts = counts + is_unlisted.astype(np.int32)
    # 1 - p of the largest keeps the digits that a sum near 1 would lose.
    tail = -np.expm1(best) - rest
    if tail.min() < 1e-12:
        tail[np.abs(tail) <= _ULP * (rest - plugin)] = 0.0
    observed.known[rows] = counts
    observed.cap[rows] = cap
    observed.plugin[rows] = 0.0 - plugin
    observed.tail[rows] = tail


def surprisal(logprob: Floats, base: float) -> Floats:
    """Return minus the logarithm of each probability; NaN where censored."""
    return 0.0 - mask_censored(logprob) / log_of(base)


def observed_mass(observed: Observed) -> Floats:
    """Return the known probability at each position, at most 1."""
    return 1.0 - np.maximum(observed.tail, 0.0)


def margin(observed: Observed, vocab_size: int | None = None, rounding: float | None = None) -> Floats:
    """Return the lead of the likeliest token over the runner-up, as a difference of probabilities."""
    # Where one alternative is known, the runner-up is the chosen token, or hidden: it then holds at most the tail.
    best, unlisted = np.exp(observed.first), np.exp(observed.extra)
    tail = tail_limits(observed.tail, observed.known, observed.cap, vocab_size, rounding).high
    hidden = np.where(observed.second == -np.inf, np.minimum(tail, best), 0.0)
    runner_up = np.maximum(np.maximum(np.exp(observed.second), hidden), np.minimum(best, unlisted))
    lead = np.maximum(best, unlisted) - runner_up
    return np.where(observed.first == -np.inf, np.nan, lead)


def is_listed(
    vocabulary: Vocabulary, chosen: NDArray[np.integer], alternative: NDArray[np.integer], offsets: NDArray[np.integer]
) -> Bools:
    """Return True where the chosen token is in its list."""
    listed = np.zeros(len(chosen), np.bool_)
    for rows, positions, length in blocks(offsets):
        if length:
            ids = alternative[positions].reshape(-1, length)
            listed[rows] = contains_chosen(vocabulary, ids, chosen[rows])
    return listed


def ranks(
    vocabulary: Vocabulary,
    chosen: NDArray[np.integer],
    alternative: NDArray[np.integer],
    alternative_logprob: Floats,
    offsets: NDArray[np.integer],
) -> Ranks:
    """Return the rank of each chosen token in its list, from 1; one more than the length where it is not listed."""
    result = Ranks(np.full(len(chosen), np.nan), np.zeros(len(chosen), np.bool_))
    for rows, positions, length in blocks(offsets):
        if not length:
            continue
        values = clip_to_support(alternative_logprob[positions].reshape(-1, length))
        same = same_token(vocabulary, alternative[positions].reshape(-1, length), chosen[rows])
        # Several listed tokens may match the chosen one, as texts are not unique. The likeliest of them counts.
        matched = np.where(same, values, -np.inf).max(axis=1)
        above = (values > matched[:, None]).sum(axis=1)
        result.at_least[rows] = np.where(same.any(axis=1), above, length) + 1.0
        result.is_exact[rows] = matched > -np.inf
    return result


def lower_entropy(observed: Observed, vocab_size: int | None = None, rounding: float | None = None) -> Floats:
    """Return the least entropy (nats) that each position's list allows; see :mod:`~deluge_nb.logprobs.rounding`."""
    return _entropy_limits(observed, vocab_size, rounding, upper=False)[0]


def entropy_bounds(observed: Observed, vocab_size: int | None, base: float, rounding: float | None = None) -> Bounds:
    """Return the interval that contains each position's entropy; NaN where nothing is known, or a list is impossible.

    Raises
    ------
    SettingError
        When the size is not a whole number, or the vocabulary is smaller than a list.
    """
    most = int(observed.known.max(initial=0))
    if isinstance(vocab_size, bool) or not isinstance(vocab_size, int | np.integer | None):
        raise invalid_argument("vocab_size", vocab_size, "a whole number, or None where it is unknown")
    if vocab_size is not None and vocab_size < most:
        raise SettingError(
            f"vocab_size must be at least the number of alternatives, {most}, not {vocab_size!r}.",
            setting="vocab_size",
            value=vocab_size,
        )
    scale = log_of(base)
    lower, upper = _entropy_limits(observed, vocab_size, rounding)
    return Bounds(lower / scale, upper / scale)


def _entropy_limits(
    observed: Observed, vocab_size: int | None, rounding: float | None, *, upper: bool = True
) -> tuple[Floats, Floats]:
    lowest, highest = np.empty(len(observed.tail)), np.empty(len(observed.tail) if upper else 0)
    for start in range(0, len(lowest), _ROWS):
        rows = slice(start, start + _ROWS)
        tail, cap, known = observed.tail[rows], observed.cap[rows], observed.known[rows]
        limits = tail_limits(tail, known, cap, vocab_size, rounding)
        plugin, excess = observed.plugin[rows], excess_of(tail, limits)
        if excess.any():
            plugin = plugin / np.exp(excess) + excess
        error = 0.0
        if rounding:
            mass = 1.0 - np.minimum(np.maximum(tail, 0.0), room(limits.cap, limits.hidden))
            error = entropy_error(plugin, mass, rounding + np.abs(excess))
        unknown = known == 0
        if limits.cap.min() == -np.inf:
            unknown |= (cap == -np.inf) & misfits(tail, cap, limits.hidden, rounding)
        low = np.maximum(plugin - error + least_entropy(limits), 0.0)
        lowest[rows] = np.where(unknown, np.nan, low)
        if upper:
            exact = is_exact(tail, known, np.maximum(observed.first[rows], observed.extra[rows]), rounding)
            high = np.maximum(plugin + error + np.where(exact, 0.0, greatest_entropy(limits)), low)
            highest[rows] = np.where(unknown, np.nan, high)
    return lowest, highest


def contains_chosen(vocabulary: Vocabulary, listed: NDArray[np.integer], chosen: NDArray[np.integer]) -> Bools:
    """Return True where a list, shape (n, k), contains the chosen token, shape (n,)."""
    # Most chosen tokens are the likeliest, which is first in the list.
    contained = listed[:, 0] == chosen
    others = np.flatnonzero(~contained)
    if len(others):
        contained[others] = same_token(vocabulary, listed[others], chosen[others]).any(axis=1)
    return contained


def same_token(vocabulary: Vocabulary, listed: NDArray[np.integer], chosen: NDArray[np.integer]) -> Bools:
    """Return True where a listed token, shape (n, k), is the chosen one, shape (n,).

    Tokens of one text are compared by id where both ids are known, else by bytes where both are known.
    """
    same = listed == chosen[:, None]
    if not vocabulary.has_duplicate_texts:
        return same
    group = vocabulary.text_groups
    for row, column in np.argwhere(~same & (group[listed] == group[chosen][:, None])):
        a, b = int(listed[row, column]), int(chosen[row])
        ids = vocabulary.ids[a], vocabulary.ids[b]
        raws = vocabulary.raw[a], vocabulary.raw[b]
        if None not in ids:
            same[row, column] = ids[0] == ids[1]
        else:
            same[row, column] = raws[0] == raws[1] or not all(isinstance(raw, bytes) for raw in raws)
    return same


def log_of(base: float) -> float:
    """Return the natural logarithm of a base.

    Raises
    ------
    SettingError
        When the base is not a positive finite number other than 1.
    """
    is_number = isinstance(base, int | float | np.integer | np.floating)
    # A bool is 0 or 1, and NaN fails both comparisons.
    if not is_number or not 0 < base < math.inf or base == 1:
        raise invalid_argument("base", base, "a positive number other than 1 (2 for bits)")
    return math.log(base)
