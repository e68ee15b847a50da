"""Every list of alternatives of many answers at another temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...logprobs import measures
from ...logprobs.columns import Floats
from ...logprobs.values import SINGLE_PRECISION
from ..core.records import Result
from ..core.stacked import (
    Tables,
    check_policy,
    group_rows,
    invalid_lists,
    observe_lists,
    read_lists,
    stack_tables,
    table_starts,
    tables_of,
)
from ..core.validation import count, read_temperature


@dataclass(frozen=True, slots=True, eq=False)
class TemperatureTopKBatch(Result):
    """As :class:`~deluge_nb.stats.temperature.TemperatureTopK` for every token, with all alternatives end to end.

    The alternatives of token i are ``offsets[i]:offsets[i + 1]``.
    """

    conditional: Floats
    lower: Floats
    upper: Floats
    offsets: NDArray[np.intp]


def temperature_topk_batch(
    logprobs: Tables | Floats, temperature: float, vocab_size: int | None = None, *, policy: str = "raise"
) -> TemperatureTopKBatch:
    """Return every list at another temperature, as :func:`~deluge_nb.stats.temperature_topk` for one.

    Parameters
    ----------
    logprobs
        A table, responses or their tables (stacked end to end); or lists of log-probabilities in nats, such as an array
        of shape (n, k).
    temperature
        The new temperature.
    vocab_size
        The number of tokens in the model's vocabulary; by default that of each table, if known.
    policy
        Treatment of a list that cannot be the top of a distribution: ``"raise"``, or ``"skip"`` for NaN in its place.

    Returns
    -------
    TemperatureTopKBatch
        Probabilities of all alternatives, end to end.

    Raises
    ------
    LogprobError
        If a list is invalid and the policy is to raise.

    Examples
    --------
    >>> import numpy as np
    >>> from deluge_nb.stats import temperature_topk_batch
    >>> result = temperature_topk_batch(np.log([[0.6, 0.3], [0.8, 0.1]]), 0.5, vocab_size=50_000)
    >>> result.conditional.round(3).tolist(), result.offsets.tolist()
    ([0.8, 0.2, 0.985, 0.015], [0, 2, 4])
    """
    temperature = read_temperature(temperature)
    check_policy(policy)
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    lists = read_lists(logprobs)
    if lists is not None:
        (flat, offsets), seen = lists, observe_lists(lists)
        return TemperatureTopKBatch(*_rescale(seen, flat, offsets, temperature, size, policy), offsets=offsets)
    tables = tables_of(logprobs, lists=True)
    counts = np.concatenate([np.zeros(1, np.intp), *(table.top_counts for table in tables if table is not None)])
    offsets = np.cumsum(counts, dtype=np.intp)
    starts = table_starts(tables)
    columns = tuple(np.full(int(offsets[-1]), np.nan) for _ in range(3))
    for group in stack_tables(tables):
        own = tables[int(group.tables[0])]
        known_size = size if size is not None or own is None else own.vocab_size
        rows = np.arange(int(starts[-1]))[group_rows(group, starts)]
        shift = np.repeat(offsets[:-1][rows] - group.offsets[:-1], np.diff(group.offsets))
        positions = np.arange(len(group.alternative)) + shift
        seen = measures.observe(None, None, None, None, group.alternative_logprob, group.offsets)
        values = _rescale(seen, group.alternative_logprob, group.offsets, temperature, known_size, policy)
        for column, part in zip(columns, values, strict=True):
            column[positions] = part
    return TemperatureTopKBatch(*columns, offsets=offsets)


def _rescale(
    seen: measures.Observed, flat: Floats, offsets: NDArray[np.intp], temperature: float, size: int | None, policy: str
) -> tuple[Floats, Floats, Floats]:
    """Return conditional, lower and upper probability of every alternative."""
    wrong = invalid_lists(flat, offsets, seen, policy, size)
    columns = tuple(np.full(len(flat), np.nan) for _ in range(3))
    for rows, positions, length in measures.blocks(offsets):
        if not length:
            continue
        values = measures.clip_to_support(flat[positions].reshape(-1, length))
        tail, cap = np.maximum(seen.tail[rows], 0.0), seen.cap[rows]
        values = values - np.log1p(np.maximum(-seen.tail[rows], 0.0))[:, None]
        wrong_rows = wrong[rows] | (seen.first[rows] == -np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            blocks = _rescale_block(values, tail, cap, seen.known[rows], temperature, size)
        for column, block in zip(columns, blocks, strict=True):
            block[wrong_rows] = np.nan
            column[positions] = block.reshape(-1) if isinstance(positions, slice) else block
    return columns[0], columns[1], columns[2]


def _rescale_block(
    values: Floats, tail: Floats, cap: Floats, known: NDArray[np.integer], temperature: float, size: int | None
) -> tuple[Floats, Floats, Floats]:
    c = np.exp(cap)
    if temperature == 0:
        best = (values == values.max(axis=1)[:, None]).astype(np.float64)
        every = best.sum(axis=1)
        rivals = np.where(every == known, np.floor(tail / c * (1 + 1e-13)), 0.0)
        conditional = best / every[:, None]
        return conditional, best / (every + rivals)[:, None], conditional.copy()
    beta = 1 / temperature
    scaled = np.where(np.isfinite(values), values * beta, -np.inf)
    total = measures.log_sum_rows(scaled)
    conditional = np.exp(scaled - total[:, None])
    if temperature == 1:
        p = np.exp(values)
        return conditional, p, p.copy()
    unsure = known * SINGLE_PRECISION if beta < 1 else np.zeros(len(known))
    unsure = np.where(tail < 16 * unsure, unsure, 0.0)
    least = _power_sum_bounds(np.maximum(tail - unsure, 0.0), cap, c, known, beta, size)[0]
    most = _power_sum_bounds(tail + unsure, cap, c, known, beta, size)[1]
    return (
        conditional,
        np.exp(scaled - np.logaddexp(total, most)[:, None]),
        np.exp(scaled - np.logaddexp(total, least)[:, None]),
    )


def _power_sum_bounds(
    tail: Floats, cap: Floats, c: Floats, known: NDArray[np.integer], beta: float, size: int | None
) -> tuple[Floats, Floats]:
    """Return the logarithms of the least and the greatest sum of p^beta over the unlisted tokens."""
    full = np.floor(tail / c * (1 + 1e-13))
    rest = tail - full * c
    # A rest that is only rounding counts as zero: raised to a small power it would look like a token.
    rest = np.where(rest > 1e-12 * tail, rest, 0.0)
    narrow = np.logaddexp(
        np.where(full > 0, np.log(full) + beta * cap, -np.inf), np.where(rest > 0, beta * np.log(rest), -np.inf)
    )
    if size is None:
        open_end = np.full(len(tail), -np.inf if beta > 1 else np.inf)
        least, most = (open_end, narrow) if beta > 1 else (narrow, open_end)
    else:
        hidden = size - known
        even = np.log(hidden) + beta * np.log(tail / hidden)
        least, most = np.minimum(even, narrow), np.maximum(even, narrow)
        tail = np.where(hidden > 0, tail, 0.0)
    empty = tail <= 0
    return np.where(empty, -np.inf, least), np.where(empty, -np.inf, most)
