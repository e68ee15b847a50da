"""Surprisal, entropy and margin of every token of one or many tables at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...logprobs import measures
from ...logprobs.columns import Floats
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
    """As :class:`~deluge_nb.stats.entropy.Margin`, float64 of shape (n,) each; NaN in place of None."""

    prob_margin: Floats
    logit_margin: Floats
    min_entropy: Floats
    prob_margin_lower: Floats
    prob_margin_upper: Floats
    starts: NDArray[np.intp]


def surprisal_batch(logprobs: Tables | Floats, base: float | None = None, *, policy: str = "raise") -> Floats:
    """The surprisal of every chosen token.

    Parameters
    ----------
    logprobs
        A table, responses or their tables (laid end to end), or an array of log-probabilities, nats.
    base
        2 for bits; None for nats.
    policy
        ``"raise"`` where a token has no log-probability, or ``"skip"`` for NaN. What a provider withheld is NaN in any
        case.

    Raises
    ------
    LogprobError
        When a number is no log-probability and the policy is to raise.
    """
    scale = log_base(base)
    numbers = isinstance(logprobs, list | tuple) and logprobs and isinstance(logprobs[0], int | float | None)
    if isinstance(logprobs, np.ndarray) or numbers:
        values = np.asarray(logprobs, np.float64).reshape(-1)
        invalid_choices(values, policy)
        return 0.0 - np.where(np.isneginf(values), values, measures.mask_censored(values)) / scale
    tables = tables_of(logprobs)
    starts = table_starts(tables)
    made = np.full(int(starts[-1]), np.nan)
    for part in stack_tables(tables):
        invalid_choices(part.chosen_logprob, policy)
        made[group_rows(part, starts)] = 0.0 - measures.mask_censored(part.chosen_logprob) / scale
    return made


def entropy_bounds_batch(
    logprobs: Tables | Floats, vocab_size: int | None = None, *, base: float | None = None, policy: str = "raise"
) -> EntropyBoundsBatch:
    """Bounds of the entropy before every token, as :func:`~deluge_nb.stats.entropy_bounds` gives them for one.

    Parameters
    ----------
    logprobs
        A table, responses or their tables (laid end to end); or lists of log-probabilities in nats, such as an array
        of shape (n, k).
    vocab_size
        How many tokens the model can choose from; a table's own where it is left out.
    base
        2 for bits; None for nats.
    policy
        ``"raise"`` at a list that cannot be right, or ``"skip"`` for NaN in its place.

    Raises
    ------
    LogprobError
        When a list cannot be right and the policy is to raise; its ``position`` is the token.
    """
    scale = log_base(base)
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    lists = read_lists(logprobs)
    if lists is not None:
        (flat, offsets), seen = lists, observe_lists(lists)
        wrong = invalid_lists(flat, offsets, seen, policy, size)
        starts = np.array([0, len(wrong)], np.intp)
        return EntropyBoundsBatch(*_entropies(seen, wrong, size, scale), starts=starts)
    tables = tables_of(logprobs, lists=True)
    starts = table_starts(tables)
    made = tuple(np.full(int(starts[-1]), np.nan) for _ in range(7))
    for part in stack_tables(tables):
        own = tables[int(part.which[0])]
        known_size = size if size is not None or own is None else own.vocab_size
        seen = observe_columns(part)
        wrong = invalid_lists(part.alternative_logprob, part.offsets, seen, policy, known_size)
        rows = group_rows(part, starts)
        for column, values in zip(made, _entropies(seen, wrong, known_size, scale), strict=True):
            column[rows] = values
    return EntropyBoundsBatch(*made, starts=starts)


def _entropies(seen: measures.Observed, wrong: Bools, size: int | None, scale: float) -> tuple[Floats, ...]:
    lower, upper = measures.entropy_bounds(seen, size, math.e)
    tail = np.maximum(seen.tail, 0.0)
    mass = 1.0 - tail
    total = 1.0 - seen.tail
    with np.errstate(divide="ignore", invalid="ignore"):
        renormalized = seen.plugin / total + np.log(total)
        plugin = np.where(seen.tail < 0, renormalized, seen.plugin)
        bucket = plugin - np.where(tail > 0, tail * np.log(tail), 0.0)
    nats = [np.maximum(one, 0.0) / scale for one in (plugin, renormalized, bucket, lower, upper)]
    unknown = wrong | (seen.known == 0)
    if unknown.any():
        return tuple(np.where(unknown, np.nan, one) for one in (mass, tail, *nats))
    return (mass, tail, *nats)


def margin_batch(logprobs: Tables | Floats, *, policy: str = "raise") -> MarginBatch:
    """The lead of the likeliest token at every position, as :func:`~deluge_nb.stats.margin` gives it for one.

    Parameters
    ----------
    logprobs, policy
        As for :func:`entropy_bounds_batch`.

    Raises
    ------
    LogprobError
        When a list cannot be right and the policy is to raise.
    """
    lists = read_lists(logprobs)
    if lists is not None:
        (flat, offsets), seen = lists, observe_lists(lists)
        wrong = invalid_lists(flat, offsets, seen, policy)
        return MarginBatch(*_margins(seen, wrong), starts=np.array([0, len(wrong)], np.intp))
    tables = tables_of(logprobs, lists=True)
    starts = table_starts(tables)
    made = tuple(np.full(int(starts[-1]), np.nan) for _ in range(5))
    for part in stack_tables(tables):
        seen = observe_columns(part)
        wrong = invalid_lists(part.alternative_logprob, part.offsets, seen, policy)
        rows = group_rows(part, starts)
        for column, values in zip(made, _margins(seen, wrong), strict=True):
            column[rows] = values
    return MarginBatch(*made, starts=starts)


def _margins(seen: measures.Observed, wrong: Bools) -> tuple[Floats, ...]:
    # A list that exceeds 1 by no more than rounding is scaled, as everywhere.
    over = np.log1p(np.maximum(-seen.tail, 0.0))
    first, second = seen.first - over, seen.second - over
    alone = second == -np.inf
    p = np.exp(first)
    with np.errstate(invalid="ignore"):
        lead = -p * np.expm1(np.where(alone, -np.inf, second - first)) + 0.0
        gap = np.where(alone, np.inf, first - second)
    tail = np.maximum(seen.tail, 0.0)
    hidden = alone & (tail > 0)
    unknown = wrong | (first == -np.inf)
    least = np.where(hidden, p - np.minimum(tail, p), lead)
    columns = (np.where(hidden, np.nan, lead), np.where(hidden, np.nan, gap), 0.0 - first, least, lead)
    return tuple(np.where(unknown, np.nan, one) for one in columns)
