"""Every list of alternatives of many answers at another temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...logprobs import measures
from ...logprobs.columns import Floats
from ...logprobs.rounding import TailLimits, check_rounding, excess_of, most_tokens, power_sums, tail_limits
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
from ..core.truncated import coldest_limits, rescaled_limits
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
    logprobs: Tables | Floats,
    temperature: float,
    vocab_size: int | None = None,
    *,
    policy: str = "raise",
    rounding: float | None = None,
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
    rounding
        As for :func:`~deluge_nb.stats.entropy_bounds`; by default that of each table.

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
    temperature, rounding = read_temperature(temperature), check_rounding(rounding)
    check_policy(policy)
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    lists = read_lists(logprobs)
    if lists is not None:
        offsets, seen = lists[1], observe_lists(lists)
        return TemperatureTopKBatch(*_rescale(seen, lists, temperature, size, policy, rounding), offsets=offsets)
    tables = tables_of(logprobs, lists=True)
    counts = np.concatenate([np.zeros(1, np.intp), *(table.top_counts for table in tables if table is not None)])
    offsets = np.cumsum(counts, dtype=np.intp)
    starts = table_starts(tables)
    columns = tuple(np.full(int(offsets[-1]), np.nan) for _ in range(3))
    for group in stack_tables(tables):
        known_size = group.vocab_size if size is None else size
        allowed = group.rounding if rounding is None else rounding
        rows = np.arange(int(starts[-1]))[group_rows(group, starts)]
        shift = np.repeat(offsets[:-1][rows] - group.offsets[:-1], np.diff(group.offsets))
        positions = np.arange(len(group.alternative)) + shift
        seen = observe_lists((group.alternative_logprob, group.offsets))
        columns_of_lists = group.alternative_logprob, group.offsets
        values = _rescale(seen, columns_of_lists, temperature, known_size, policy, allowed)
        for column, part in zip(columns, values, strict=True):
            column[positions] = part
    return TemperatureTopKBatch(*columns, offsets=offsets)


def _rescale(
    seen: measures.Observed,
    lists: tuple[Floats, NDArray[np.intp]],
    temperature: float,
    size: int | None,
    policy: str,
    rounding: float | None,
) -> tuple[Floats, Floats, Floats]:
    """Return conditional, lower and upper probability of every alternative."""
    flat, offsets = lists
    wrong = invalid_lists(flat, offsets, seen, policy, size, rounding)
    columns = tuple(np.full(len(flat), np.nan) for _ in range(3))
    for rows, positions, length in measures.blocks(offsets):
        if not length:
            continue
        values = measures.clip_to_support(flat[positions].reshape(-1, length))
        limits = tail_limits(seen.tail[rows], seen.known[rows], seen.cap[rows], size, rounding)
        excess = excess_of(seen.tail[rows], limits)
        values = values - excess[:, None]
        error = rounding + np.abs(excess) if rounding else np.zeros(len(values))
        wrong_rows = wrong[rows] | (seen.first[rows] == -np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            blocks = _rescale_block(values, limits, error, temperature)
        for column, block in zip(columns, blocks, strict=True):
            block[wrong_rows] = np.nan
            column[positions] = block.reshape(-1) if isinstance(positions, slice) else block
    return columns[0], columns[1], columns[2]


def _rescale_block(
    values: Floats, limits: TailLimits, error: Floats, temperature: float
) -> tuple[Floats, Floats, Floats]:
    if temperature == 0:
        peak = values.max(axis=1)
        best = values == peak[:, None]
        # Hidden tokens can tie with the likeliest only if the whole list does.
        least = values.min(axis=1)
        rivals = np.where(least == peak, most_tokens(limits, np.exp(least - error)), 0.0)
        low, high = coldest_limits(values, rivals, error, np.where(limits.high > 0, limits.cap, -np.inf))
        return best / best.sum(axis=1)[:, None], low.astype(np.float64), high.astype(np.float64)
    beta = 1 / temperature
    scaled = np.where(np.isfinite(values), values * beta, -np.inf)
    total = measures.log_sum_rows(scaled)
    conditional = np.exp(scaled - total[:, None])
    if temperature == 1:
        return conditional, np.exp(values - error[:, None]), np.exp(np.minimum(values + error[:, None], 0.0))
    low, high = rescaled_limits(scaled, total, *power_sums(limits, beta), error * beta)
    return conditional, low, high
