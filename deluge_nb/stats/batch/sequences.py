"""Likelihood and confidence of many completions at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...logprobs import measures
from ...logprobs.columns import Floats
from ..core.records import Result
from ..core.stacked import (
    Tables,
    group_rows,
    invalid_choices,
    invalid_lists,
    observe_lists,
    read_lists,
    stack_tables,
    table_starts,
    tables_of,
)
from ..core.validation import between, count
from ..sequences.confidence import group_confidence


@dataclass(frozen=True, slots=True, eq=False)
class SequenceStatsBatch(Result):
    """As :class:`~deluge_nb.stats.sequences.SequenceStats`, one row per answer, shape (m,); NaN in place of None.

    ``censored`` counts the tokens whose log-probability was not told: where there are any, ``loglik`` leaves them out,
    and lies above what it would be with them.
    """

    loglik: Floats
    n: NDArray[np.intp]
    prob: Floats
    mean_logprob: Floats
    perplexity: Floats
    geo_mean_prob: Floats
    min_prob: Floats
    log10_prob: Floats
    total_bits: Floats
    bits_per_byte: Floats
    censored: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class DeepConfBatch(Result):
    """As :class:`~deluge_nb.stats.sequences.DeepConf`, one row per answer, shape (m,), NaN for those without tokens.

    ``token_confidence`` has all tokens end to end: those of the i-th answer are ``starts[i]:starts[i + 1]``.
    """

    token_confidence: Floats
    mean: Floats
    lowest_group: Floats
    bottom_mean: Floats
    tail_mean: Floats
    starts: NDArray[np.intp]


def sequence_stats_batch(logprobs: Tables, *, policy: str = "raise") -> SequenceStatsBatch:
    """What the log-probabilities of every answer add up to, as :func:`~deluge_nb.stats.sequence_stats` for one.

    Parameters
    ----------
    logprobs
        A table, or responses or their tables; bits per byte are by the tokens' own bytes.
    policy
        ``"raise"`` where a token has no log-probability, or ``"skip"`` to count it as withheld.

    Raises
    ------
    LogprobError
        When a number is no log-probability and the policy is to raise.
    """
    tables = tables_of(logprobs)
    size = len(tables)
    loglik, least = np.zeros(size), np.full(size, np.nan)
    n, censored, n_bytes = (np.zeros(size, np.intp) for _ in range(3))
    for part in stack_tables(tables):
        invalid_choices(part.chosen_logprob, policy)
        values = measures.mask_censored(part.chosen_logprob)
        hidden = np.isnan(values)
        firsts = part.starts[:-1]
        # Sums of extended precision: a mean over thousands of tokens keeps its digits.
        loglik[part.which] = np.add.reduceat(np.where(hidden, 0.0, values).astype(np.longdouble), firsts)
        least[part.which] = np.minimum.reduceat(np.where(hidden, np.inf, values), firsts)
        n[part.which] = np.diff(part.starts)
        censored[part.which] = np.add.reduceat(hidden.astype(np.intp), firsts)
        lengths = np.zeros(len(part.vocabulary), np.intp)
        for index in np.unique(part.chosen).tolist():
            lengths[index] = len(part.vocabulary.true_bytes(index))
        n_bytes[part.which] = np.add.reduceat(lengths[part.chosen], firsts)
    told = n - censored
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.where(told > 0, loglik / told, np.nan)
        bits = 0.0 - loglik / math.log(2)
        return SequenceStatsBatch(
            loglik,
            n,
            np.exp(loglik),
            mean,
            np.exp(-mean),
            np.exp(mean),
            np.where(told > 0, np.exp(least), np.nan),
            loglik / math.log(10),
            bits,
            np.where(n_bytes > 0, bits / n_bytes, np.nan),
            censored,
        )


def deepconf_batch(
    logprobs: Tables, window: int = 2048, tail: int = 2048, bottom_fraction: float = 0.1, *, policy: str = "raise"
) -> DeepConfBatch:
    """Confidence along every answer, as :func:`~deluge_nb.stats.deepconf` gives it for one.

    Parameters
    ----------
    logprobs
        A table, or responses or their tables.
    window, tail, bottom_fraction
        As for :func:`~deluge_nb.stats.deepconf`.
    policy
        ``"raise"`` at a list that cannot be right, or ``"skip"`` to leave it out of all means.

    Raises
    ------
    LogprobError
        When a list cannot be right and the policy is to raise.
    """
    sizes = count(window, "window", 1), count(tail, "tail", 1)
    share = between(bottom_fraction, "bottom_fraction", 0, 1)
    lists = read_lists(logprobs)
    if lists is not None:
        confidence = _confidences(*lists, policy)
        return _deepconf(confidence, np.array([0, len(confidence)], np.intp), sizes, share)
    tables = tables_of(logprobs, lists=True)
    starts = table_starts(tables)
    confidence = np.full(int(starts[-1]), np.nan)
    for part in stack_tables(tables):
        confidence[group_rows(part, starts)] = _confidences(part.alternative_logprob, part.offsets, policy)
    return _deepconf(confidence, starts, sizes, share)


def _confidences(flat: Floats, offsets: NDArray[np.intp], policy: str) -> Floats:
    """Minus the mean log-probability of each list; NaN where it is empty or wrong."""
    wrong = invalid_lists(flat, offsets, observe_lists((flat, offsets)), policy)
    means = np.full(len(offsets) - 1, np.nan)
    for rows, places, length in measures.blocks(offsets):
        if length:
            values = flat[places].reshape(-1, length)
            told = ~measures.is_censored(values)
            sums = np.where(told, np.minimum(values, 0.0), 0.0).sum(axis=1)
            with np.errstate(invalid="ignore"):
                means[rows] = 0.0 - sums / told.sum(axis=1)
    return np.where(wrong, np.nan, means)


def _deepconf(confidence: Floats, starts: NDArray[np.intp], sizes: tuple[int, int], share: float) -> DeepConfBatch:
    found: list[list[float]] = []
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        known = confidence[start:stop]
        known = known[~np.isnan(known)]
        one = group_confidence(known, *sizes, share) if len(known) else None
        found.append([np.nan] * 4 if one is None else [one.mean, one.lowest_group, one.bottom_mean, one.tail_mean])
    columns = np.array(found, np.float64).reshape(len(found), 4).T
    return DeepConfBatch(confidence, columns[0], columns[1], columns[2], columns[3], starts)
