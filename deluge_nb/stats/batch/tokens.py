"""Surprisal, entropy and margin of every token of one or many tables at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...logprobs import measures
from ...logprobs.columns import Floats
from ...logprobs.rounding import check_rounding, excess_of, room, tail_limits
from ..core.records import Result
from ..core.stacked import (
    Bools,
    Tables,
    group_rows,
    invalid_choices,
    invalid_lists,
    observe_columns,
    observe_lists,
    read_lists,
    stack_tables,
    table_starts,
    tables_of,
)
from ..core.validation import count, log_base


@dataclass(frozen=True, slots=True, eq=False)
class EntropyBoundsBatch(Result):
    """As :class:`~deluge_nb.stats.entropy.EntropyBounds`, float64 of shape (n,) each; NaN where nothing is known.

    The tokens of the i-th answer are ``starts[i]:starts[i + 1]``.
    """

    mass: Floats
    tail: Floats
    plugin: Floats
    renormalized: Floats
    bucket: Floats
    lower: Floats
    upper: Floats
    starts: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class MarginBatch(Result):
    """As :class:`~deluge_nb.stats.entropy.Margin` (nats), float64 of shape (n,) each; NaN in place of None.

    The tokens of the i-th answer are ``starts[i]:starts[i + 1]``.
    """

    prob_margin: Floats
    logit_margin: Floats
    min_entropy: Floats
    prob_margin_lower: Floats
    prob_margin_upper: Floats
    starts: NDArray[np.intp]


def surprisal_batch(logprobs: Tables | Floats, base: float | None = None, *, policy: str = "raise") -> Floats:
    """Return the surprisal of every chosen token.

    Parameters
    ----------
    logprobs
        A table, responses or their tables (stacked end to end), or an array of log-probabilities, nats.
    base
        2 for bits; None for nats.
    policy
        Treatment of a token without a log-probability: ``"raise"``, or ``"skip"`` for NaN. A withheld value is always
        NaN.

    Returns
    -------
    ndarray of float64, shape (n,)
        At least 0; infinite for a probability of 0.

    Raises
    ------
    LogprobError
        If a number is not a log-probability and the policy is to raise.

    Examples
    --------
    >>> import numpy as np
    >>> from deluge_nb.stats import surprisal_batch
    >>> surprisal_batch(np.log([0.5, 0.25]), base=2).tolist()
    [1.0, 2.0]
    """
    scale = log_base(base)
    numbers = isinstance(logprobs, list | tuple) and logprobs and isinstance(logprobs[0], int | float | None)
    if isinstance(logprobs, np.ndarray) or numbers:
        values = np.asarray(logprobs, np.float64).reshape(-1)
        invalid_choices(values, policy)
        return 0.0 - np.where(np.isneginf(values), values, measures.mask_censored(values)) / scale
    tables = tables_of(logprobs)
    starts = table_starts(tables)
    result = np.full(int(starts[-1]), np.nan)
    for group in stack_tables(tables):
        invalid_choices(group.chosen_logprob, policy)
        result[group_rows(group, starts)] = 0.0 - measures.mask_censored(group.chosen_logprob) / scale
    return result


def entropy_bounds_batch(
    logprobs: Tables | Floats,
    vocab_size: int | None = None,
    *,
    base: float | None = None,
    policy: str = "raise",
    rounding: float | None = None,
) -> EntropyBoundsBatch:
    """Return bounds of the entropy before every token, as :func:`~deluge_nb.stats.entropy_bounds` for one.

    Parameters
    ----------
    logprobs
        A table, responses or their tables (stacked end to end); or lists of log-probabilities in nats, such as an array
        of shape (n, k).
    vocab_size
        The number of tokens in the model's vocabulary; by default that of each table, if known.
    base
        2 for bits; None for nats.
    policy
        Treatment of a list that cannot be the top of a distribution: ``"raise"``, or ``"skip"`` for NaN in its place. A
        list that misses some of 1 and has a token of probability 0 is always NaN.
    rounding
        As for :func:`~deluge_nb.stats.entropy_bounds`; by default that of each table.

    Returns
    -------
    EntropyBoundsBatch
        Arrays of shape (n,) in nats, or in the base asked for.

    Raises
    ------
    LogprobError
        If a list is invalid and the policy is to raise; its ``position`` is the token.

    Examples
    --------
    >>> import numpy as np
    >>> from deluge_nb.stats import entropy_bounds_batch
    >>> bounds = entropy_bounds_batch(np.log([[0.5, 0.25], [0.9, 0.05]]), vocab_size=50_000, base=2)
    >>> bounds.lower.round(2).tolist(), bounds.upper.round(2).tolist()
    ([1.5, 0.57], [5.4, 1.35])
    """
    scale, rounding = log_base(base), check_rounding(rounding)
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    lists = read_lists(logprobs)
    if lists is not None:
        (flat, offsets), seen = lists, observe_lists(lists)
        wrong = invalid_lists(flat, offsets, seen, policy, size, rounding)
        starts = np.array([0, len(wrong)], np.intp)
        return EntropyBoundsBatch(*_entropies(seen, wrong, size, scale, rounding), starts=starts)
    tables = tables_of(logprobs, lists=True)
    starts = table_starts(tables)
    columns = tuple(np.full(int(starts[-1]), np.nan) for _ in range(7))
    for group in stack_tables(tables):
        known_size = group.vocab_size if size is None else size
        allowed = group.rounding if rounding is None else rounding
        seen = observe_columns(group)
        wrong = invalid_lists(group.alternative_logprob, group.offsets, seen, policy, known_size, allowed)
        rows = group_rows(group, starts)
        for column, values in zip(columns, _entropies(seen, wrong, known_size, scale, allowed), strict=True):
            column[rows] = values
    return EntropyBoundsBatch(*columns, starts=starts)


def _entropies(
    seen: measures.Observed, wrong: Bools, size: int | None, scale: float, rounding: float | None
) -> tuple[Floats, ...]:
    """Return the columns of the bounds, NaN where a list is wrong or nothing is known."""
    lower, upper = measures.entropy_bounds(seen, size, math.e, rounding)
    limits = tail_limits(seen.tail, seen.known, seen.cap, size, rounding)
    excess = excess_of(seen.tail, limits)
    tail = np.minimum(np.maximum(seen.tail, 0.0), room(limits.cap, limits.hidden))
    mass = 1.0 - tail
    total = 1.0 - seen.tail
    with np.errstate(divide="ignore", invalid="ignore"):
        renormalized = seen.plugin / total + np.log(total)
        plugin = np.where(excess == 0, seen.plugin, renormalized)
        bucket = plugin - np.where(tail > 0, tail * np.log(tail), 0.0)
    entropies = [np.maximum(entropy, 0.0) / scale for entropy in (plugin, renormalized, bucket, lower, upper)]
    unknown = wrong | (seen.known == 0)
    if unknown.any():
        return tuple(np.where(unknown, np.nan, column) for column in (mass, tail, *entropies))
    return (mass, tail, *entropies)


def margin_batch(logprobs: Tables | Floats, *, policy: str = "raise", rounding: float | None = None) -> MarginBatch:
    """Return the lead of the likeliest token at every position, as :func:`~deluge_nb.stats.margin` for one.

    Parameters
    ----------
    logprobs, policy, rounding
        As for :func:`entropy_bounds_batch`.

    Returns
    -------
    MarginBatch
        Arrays of shape (n,): differences of probabilities, and of log-probabilities in nats.

    Raises
    ------
    LogprobError
        If a list is invalid and the policy is to raise.

    Examples
    --------
    >>> import numpy as np
    >>> from deluge_nb.stats import margin_batch
    >>> margin_batch(np.log([[0.5, 0.25], [0.9, 0.05]])).prob_margin.round(3).tolist()
    [0.25, 0.85]
    """
    rounding = check_rounding(rounding)
    lists = read_lists(logprobs)
    if lists is not None:
        (flat, offsets), seen = lists, observe_lists(lists)
        wrong = invalid_lists(flat, offsets, seen, policy, None, rounding)
        return MarginBatch(*_margins(seen, wrong, None, rounding), starts=np.array([0, len(wrong)], np.intp))
    tables = tables_of(logprobs, lists=True)
    starts = table_starts(tables)
    columns = tuple(np.full(int(starts[-1]), np.nan) for _ in range(5))
    for group in stack_tables(tables):
        allowed = group.rounding if rounding is None else rounding
        seen = observe_columns(group)
        wrong = invalid_lists(group.alternative_logprob, group.offsets, seen, policy, None, allowed)
        rows = group_rows(group, starts)
        for column, values in zip(columns, _margins(seen, wrong, group.vocab_size, allowed), strict=True):
            column[rows] = values
    return MarginBatch(*columns, starts=starts)


def _margins(seen: measures.Observed, wrong: Bools, size: int | None, rounding: float | None) -> tuple[Floats, ...]:
    """Return the columns of the margins, NaN where a list is wrong or nothing is known."""
    limits = tail_limits(seen.tail, seen.known, seen.cap, size, rounding)
    # A list that exceeds 1 by no more than rounding is scaled, as everywhere.
    over = excess_of(seen.tail, limits)
    first, second = seen.first - over, seen.second - over
    error = rounding + np.abs(over) if rounding else np.zeros(len(over))
    alone = second == -np.inf
    with np.errstate(invalid="ignore"):
        lead, gap = _leads(first, second), np.where(alone, np.inf, first - second)
    least, most = (_leads(first - error, second + error), _leads(np.minimum(first + error, 0.0), second - error))
    hidden = alone & (limits.high > 0)
    least = np.where(hidden, np.maximum(least - limits.high, 0.0), least)
    unknown = wrong | (first == -np.inf)
    columns = (np.where(hidden, np.nan, lead), np.where(hidden, np.nan, gap), 0.0 - first, least, most)
    return tuple(np.where(unknown, np.nan, column) for column in columns)


def _leads(first: Floats, second: Floats) -> Floats:
    """Return differences of probabilities by their logarithms, 0 where the second is larger."""
    with np.errstate(invalid="ignore"):
        gap = np.where(second == -np.inf, -np.inf, np.minimum(second - first, 0.0))
        return -np.exp(first) * np.expm1(gap) + 0.0
