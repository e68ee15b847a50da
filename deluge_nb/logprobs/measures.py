"""Per-token measures of a table of log-probabilities, vectorised over its columns.

A table is gone through once, in blocks of tokens with equally long lists that fit into the processor's cache; what is
kept of each list (:class:`Observed`) is what every measure needs. Results are one float64 per token, NaN where nothing
is known. The list of alternatives is the top of a distribution whose rest is hidden: the bounds below say what that
allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingError
from .columns import Floats, Ints, Vocabulary
from .values import ROUNDING, SENTINEL

Bools = NDArray[np.bool_]

# So many numbers at a time: they and their exponentials stay in a core's own cache.
BLOCK = 49_152
# So many tokens, where there are several numbers for each.
_ROWS = 16_384
_ULP = 2.0**-52


class Bounds(NamedTuple):
    """An interval per token: ``lower`` and ``upper`` are float64 arrays."""

    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of each position's distribution; shape (n,) each.

    ``known`` counts the tokens of which it is, in the list or chosen from outside it. ``first``, ``second`` and ``cap``
    are the largest, second and least log-probability of the list, ``extra`` that of a chosen token outside it (``-inf``
    where there is none such). ``plugin`` is the sum of -p ln p over the known ones, ``tail`` the probability of all
    others: exact where it is tiny, negative where the known ones exceed 1 in total, 0 where it is no more than
    rounding.
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
    """Where a value is no log-probability: null, a sentinel, or above 0 by more than rounding explains."""
    return ~((logprob > SENTINEL) & (logprob <= ROUNDING))


def mask_censored(logprob: Floats) -> Floats:
    """The column with censored values as NaN and rounding above 0 taken off."""
    return np.where(is_censored(logprob), np.nan, np.minimum(logprob, 0.0))


def log_sum_rows(logprob: Floats) -> Floats:
    """:func:`~deluge_nb.logprobs.values.log_sum` of each row: shape (n, k) to (n,)."""
    if not logprob.shape[1]:
        return np.full(len(logprob), -np.inf)
    at = np.argmax(logprob, axis=1)[:, None]
    peak = np.take_along_axis(logprob, at, axis=1)
    rest = np.exp(logprob - np.where(np.isfinite(peak), peak, 0.0))
    np.put_along_axis(rest, at, 0.0, axis=1)
    return peak[:, 0] + np.log1p(rest.sum(axis=1))


def blocks(offsets: NDArray[np.integer]) -> Iterator[tuple[slice | NDArray[np.intp], slice | NDArray[np.intp], int]]:
    """Tokens with equally long lists, a few thousand numbers at a time.

    Yields the tokens' rows, where their alternatives are in the columns (a slice, or a matrix of places), and how many
    each has.
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
    """A block without what is no log-probability (``-inf`` in its place) and rounding above 0."""
    # Nearly always there is nothing to do, and two reductions tell; NaN fails both.
    if not len(values) or not values.shape[-1] or (values.max() <= 0 and values.min() > SENTINEL):
        return values
    return np.where(is_censored(values), -np.inf, np.minimum(values, 0.0))


def descending(values: Floats) -> Floats:
    """A block with each list from the likeliest on, as nearly all servers send it."""
    if values.shape[1] < 2:
        return values
    # Looked at end to end, which is several times faster: rises are then allowed between lists alone.
    flat = values.reshape(-1)
    between = np.count_nonzero(values[1:, 0] > values[:-1, -1])
    if np.count_nonzero(flat[1:] > flat[:-1]) == between:
        return values
    return -np.sort(-values, axis=1)


def observe(
    vocabulary: Vocabulary | None,
    chosen: NDArray[np.integer] | None,
    chosen_logprob: Floats | None,
    alternative: NDArray[np.integer] | None,
    alternative_logprob: Floats,
    offsets: NDArray[np.integer],
) -> Observed:
    """Go through a table's columns and keep of each list what the measures need.

    Without a vocabulary and tokens there are only lists: nothing is known of a chosen token.
    """
    n = len(offsets) - 1
    made = Observed(np.diff(offsets), np.empty(n, np.int32), *(np.empty(n) for _ in range(6)))
    outside = None if chosen_logprob is None else clip_to_support(np.asarray(chosen_logprob, np.float64))
    for rows, places, length in blocks(offsets):
        size = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        extra = np.full(size, -np.inf) if outside is None else outside[rows]
        if length:
            raw = alternative_logprob[places]
            values = descending(clip_to_support(raw.reshape(-1, length)))
            if vocabulary is not None and chosen is not None and alternative is not None:
                ids = alternative[places].reshape(-1, length)
                extra = np.where(contains_chosen(vocabulary, ids, chosen[rows]), -np.inf, extra)
        else:
            values = np.full((size, 1), -np.inf)
        made.first[rows] = values[:, 0]
        made.second[rows] = values[:, 1] if length > 1 else -np.inf
        made.extra[rows] = extra
        _weigh(made, rows, values, extra)
    return made


def _weigh(made: Observed, rows: slice | NDArray[np.intp], values: Floats, extra: Floats) -> None:
    p = np.exp(values)
    last = values[:, -1]
    if last.min() > -np.inf:
        plugin = np.einsum("ij,ij->i", p, values)
        counts: Ints | int = values.shape[1]
    else:
        plugin = np.einsum("ij,ij->i", p, np.where(values > -np.inf, values, 0.0))
        counts = (values > -np.inf).sum(axis=1, dtype=np.int32)
        last = np.take_along_axis(values, np.maximum(counts - 1, 0)[:, None], axis=1)[:, 0]
    best = values[:, 0]
    rest = np.einsum("ij->i", p[:, 1:])
    if extra.max() > -np.inf:
        outside = extra > -np.inf
        q = np.exp(extra)
        plugin = plugin + q * np.where(outside, extra, 0.0)
        rest = rest + np.where(extra > best, p[:, 0], q)
        best = np.maximum(best, extra)
        counts = counts + outside.astype(np.int32)
    # 1 - p of the largest keeps the digits that a sum near 1 would lose.
    tail = -np.expm1(best) - rest
    if tail.min() < 1e-12:
        tail[np.abs(tail) <= _ULP * (rest - plugin)] = 0.0
    made.known[rows] = counts
    made.cap[rows] = last
    made.plugin[rows] = 0.0 - plugin
    made.tail[rows] = tail


def surprisal(logprob: Floats, base: float) -> Floats:
    """Minus the logarithm of each probability."""
    return 0.0 - mask_censored(logprob) / log_of(base)


def observed_mass(seen: Observed) -> Floats:
    """The probability that is accounted for at each position."""
    return 1.0 - np.maximum(seen.tail, 0.0)


def margin(seen: Observed) -> Floats:
    """The lead of the likeliest token over the runner-up, as a difference of probabilities."""
    # One known alternative: the runner-up is hidden and holds at most the rest, or it is the chosen token.
    best, extra = np.exp(seen.first), np.exp(seen.extra)
    hidden = np.where(seen.second == -np.inf, np.minimum(np.maximum(seen.tail, 0.0), best), 0.0)
    lead = np.maximum(best, extra) - np.maximum(np.maximum(np.exp(seen.second), hidden), np.minimum(best, extra))
    return np.where(seen.first == -np.inf, np.nan, lead)


def is_listed(
    vocabulary: Vocabulary, chosen: NDArray[np.integer], alternative: NDArray[np.integer], offsets: NDArray[np.integer]
) -> Bools:
    """Whether each chosen token is in its list."""
    found = np.zeros(len(chosen), np.bool_)
    for rows, places, length in blocks(offsets):
        if length:
            ids = alternative[places].reshape(-1, length)
            found[rows] = contains_chosen(vocabulary, ids, chosen[rows])
    return found


def rank(
    vocabulary: Vocabulary,
    chosen: NDArray[np.integer],
    alternative: NDArray[np.integer],
    alternative_logprob: Floats,
    offsets: NDArray[np.integer],
) -> Floats:
    """The chosen token's place among the alternatives; one past the end where it is not among them."""
    place = np.full(len(chosen), np.nan)
    for rows, places, length in blocks(offsets):
        if not length:
            continue
        values = clip_to_support(alternative_logprob[places].reshape(-1, length))
        same = same_token(vocabulary, alternative[places].reshape(-1, length), chosen[rows])
        # Duplicates of the chosen token may be listed (as text, tokens are not unique): the likeliest is meant.
        own = np.where(same, values, -np.inf).max(axis=1)
        above = (values > own[:, None]).sum(axis=1)
        place[rows] = np.where(same.any(axis=1), above, length) + 1.0
    return place


def lower_entropy(seen: Observed) -> Floats:
    """The least entropy (nats) that each position's list allows.

    No hidden token exceeds the list's least probability c, so that the entropy is least where floor(r / c) hidden
    tokens have c and one the remainder of the tail r (``-x ln x`` is concave, and its sum least at an extreme point).
    """
    made = np.empty(len(seen.tail))
    for start in range(0, len(made), _ROWS):
        part = slice(start, start + _ROWS)
        tail, cap, plugin = seen.tail[part], seen.cap[part], seen.plugin[part]
        c = np.exp(cap)
        left = np.maximum(tail, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            full = np.floor(left / c * (1 + 1e-13))
            # Where nothing is listed, nothing caps the tail.
            full = np.where(c > 0, full, 0.0)
            left = np.maximum(left - full * c, 0.0)
            low = plugin - np.where(left > 0, left * np.log(left), 0.0)
            low -= np.where(full > 0, full * c * cap, 0.0)
        if (tail < 0).any():
            low = np.where(tail < 0, _relative(plugin, tail), low)
        made[part] = np.where(seen.known[part] > 0, np.maximum(low, 0.0), np.nan)
    return made


def entropy_bounds(seen: Observed, vocab_size: int | None, base: float) -> Bounds:
    """The interval each position's entropy lies in; greatest where the tail is spread evenly over all hidden tokens."""
    scale = log_of(base)
    lower = lower_entropy(seen)
    tail = np.maximum(seen.tail, 0.0)
    if vocab_size is None:
        upper = np.where(tail > 0, np.inf, lower)
    else:
        most = int(seen.known.max(initial=0))
        if vocab_size < most:
            raise SettingError(
                f"vocab_size must be at least the number of alternatives, {most}, not {vocab_size!r}.",
                setting="vocab_size",
                value=vocab_size,
            )
        # A complete list that misses 1: the numbers are to be read relatively.
        complete = seen.known == vocab_size
        if complete.any():
            lower = np.where(complete, np.maximum(_relative(seen.plugin, seen.tail), 0.0), lower)
            tail = np.where(complete, 0.0, tail)
        hidden = np.maximum(vocab_size - seen.known, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = seen.plugin - np.where(tail > 0, tail * np.log(tail / hidden), 0.0)
        upper = np.where(tail > 0, np.maximum(spread, lower), lower)
    upper = np.where(seen.known > 0, upper, np.nan)
    return Bounds(lower / scale, upper / scale)


def _relative(plugin: Floats, tail: Floats) -> Floats:
    """The entropy of lists that are made to add up to 1."""
    total = 1.0 - tail
    with np.errstate(divide="ignore", invalid="ignore"):
        return plugin / total + np.log(total)


def contains_chosen(vocabulary: Vocabulary, listed: NDArray[np.integer], chosen: NDArray[np.integer]) -> Bools:
    """Whether lists, shape (n, k), hold their chosen token, shape (n,)."""
    # Most tokens are the likeliest of their list, which stands first.
    found = listed[:, 0] == chosen
    others = np.flatnonzero(~found)
    if len(others):
        found[others] = same_token(vocabulary, listed[others], chosen[others]).any(axis=1)
    return found


def same_token(vocabulary: Vocabulary, listed: NDArray[np.integer], chosen: NDArray[np.integer]) -> Bools:
    """Where lists, shape (n, k), hold their chosen token, shape (n,): by bytes where both are known, else by text."""
    same = listed == chosen[:, None]
    if not vocabulary.has_namesakes:
        return same
    spelling = vocabulary.spellings
    for row, column in np.argwhere(~same & (spelling[listed] == spelling[chosen][:, None])):
        a, b = int(listed[row, column]), int(chosen[row])
        ids = vocabulary.ids[a], vocabulary.ids[b]
        raws = vocabulary.raw[a], vocabulary.raw[b]
        if None not in ids:
            same[row, column] = ids[0] == ids[1]
        else:
            same[row, column] = raws[0] == raws[1] or not all(isinstance(raw, bytes) for raw in raws)
    return same


def log_of(base: float) -> float:
    """The natural logarithm of a base.

    Raises
    ------
    SettingError
        When it is no base.
    """
    if not base > 0 or base == 1 or math.isinf(base):
        raise SettingError(
            f"base must be a positive number other than 1 (2 for bits), not {base!r}.",
            setting="base",
            value=base,
        )
    return math.log(base)
