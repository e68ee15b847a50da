"""Every list of many answers at another temperature, column by column."""

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
    """As :class:`~deluge_nb.stats.temperature.TemperatureTopK` for each token: all alternatives end to end.

    Those of token i are ``offsets[i]:offsets[i + 1]``.
    """

    conditional: Floats
    lower: Floats
    upper: Floats
    offsets: NDArray[np.intp]


def temperature_topk_batch(
    logprobs: Tables | Floats, temperature: float, vocab_size: int | None = None, *, policy: str = "raise"
) -> TemperatureTopKBatch:
    """Every list at another temperature, as :func:`~deluge_nb.stats.temperature_topk` gives one.

    Parameters
    ----------
    logprobs
        A table, responses or their tables (laid end to end); or lists of log-probabilities in nats, such as an array
        of shape (n, k).
    temperature
        The one to go to.
    vocab_size
        How many tokens the model can choose from; a table's own where it is left out.
    policy
        ``"raise"`` at a list that cannot be right, or ``"skip"`` for NaN in its place.

    Raises
    ------
    LogprobError
        When a list cannot be right and the policy is to raise.
    """
    heat = read_temperature(temperature)
    check_policy(policy)
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    lists = read_lists(logprobs)
    if lists is not None:
        (flat, offsets), seen = lists, observe_lists(lists)
        return TemperatureTopKBatch(*_rescale(seen, flat, offsets, heat, size, policy), offsets=offsets)
    tables = tables_of(logprobs, lists=True)
    counts = np.concatenate([np.zeros(1, np.intp), *(table.top_counts for table in tables if table is not None)])
    offsets = np.cumsum(counts, dtype=np.intp)
    starts = table_starts(tables)
    made = tuple(np.full(int(offsets[-1]), np.nan) for _ in range(3))
    for part in stack_tables(tables):
        own = tables[int(part.which[0])]
        known_size = size if size is not None or own is None else own.vocab_size
        rows = np.arange(int(starts[-1]))[group_rows(part, starts)]
        lists = np.repeat(offsets[:-1][rows] - part.offsets[:-1], np.diff(part.offsets))
        places = np.arange(len(part.alternative)) + lists
        seen = measures.observe(None, None, None, None, part.alternative_logprob, part.offsets)
        values = _rescale(seen, part.alternative_logprob, part.offsets, heat, known_size, policy)
        for column, found in zip(made, values, strict=True):
            column[places] = found
    return TemperatureTopKBatch(*made, offsets=offsets)


def _rescale(
    seen: measures.Observed, flat: Floats, offsets: NDArray[np.intp], heat: float, size: int | None, policy: str
) -> tuple[Floats, Floats, Floats]:
    wrong = invalid_lists(flat, offsets, seen, policy, size)
    made = tuple(np.full(len(flat), np.nan) for _ in range(3))
    for rows, places, length in measures.blocks(offsets):
        if not length:
            continue
        values = measures.clip_to_support(flat[places].reshape(-1, length))
        tail, cap = np.maximum(seen.tail[rows], 0.0), seen.cap[rows]
        values = values - np.log1p(np.maximum(-seen.tail[rows], 0.0))[:, None]
        bad_rows = wrong[rows] | (seen.first[rows] == -np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = _rescale_block(values, tail, cap, seen.known[rows], heat, size)
        for column, block in zip(made, found, strict=True):
            block[bad_rows] = np.nan
            column[places] = block.reshape(-1) if isinstance(places, slice) else block
    return made[0], made[1], made[2]


def _rescale_block(
    values: Floats, tail: Floats, cap: Floats, known: NDArray[np.integer], heat: float, size: int | None
) -> tuple[Floats, Floats, Floats]:
    c = np.exp(cap)
    if heat == 0:
        best = (values == values.max(axis=1)[:, None]).astype(np.float64)
        every = best.sum(axis=1)
        rivals = np.where(every == known, np.floor(tail / c * (1 + 1e-13)), 0.0)
        conditional = best / every[:, None]
        return conditional, best / (every + rivals)[:, None], conditional.copy()
    beta = 1 / heat
    scaled = np.where(np.isfinite(values), values * beta, -np.inf)
    total = measures.log_sum_rows(scaled)
    conditional = np.exp(scaled - total[:, None])
    if heat == 1:
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
    """The logarithms of the least and the most that the hidden tokens' p^beta can add up to."""
    full = np.floor(tail / c * (1 + 1e-13))
    rest = tail - full * c
    # What rounding leaves over is nothing, and would count as something once it is raised to a small power.
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
    none = tail <= 0
    return np.where(none, -np.inf, least), np.where(none, -np.inf, most)
