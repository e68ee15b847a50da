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
    """As :class:`~deluge_nb.stats.sequences.SequenceStats` in nats, a row per answer, shape (m,); NaN in place of None.

    ``censored`` counts the tokens with a withheld log-probability. If there are any, ``loglik`` leaves them out and is
    an upper bound.
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
    """As :class:`~deluge_nb.stats.sequences.DeepConf`, one row per answer, shape (m,); NaN for one without tokens.

    ``token_confidence`` has all tokens end to end: those of the i-th answer are ``starts[i]:starts[i + 1]``.
    """

    token_confidence: Floats
    mean: Floats
    lowest_group: Floats
    bottom_mean: Floats
    tail_mean: Floats
    starts: NDArray[np.intp]


def sequence_stats_batch(logprobs: Tables, *, policy: str = "raise") -> SequenceStatsBatch:
    """Return the likelihood of every answer, as :func:`~deluge_nb.stats.sequence_stats` for one.

    Parameters
    ----------
    logprobs
        A table, or responses or their tables. Bits per byte count the bytes of the tokens.
    policy
        Treatment of a token without a log-probability: ``"raise"``, or ``"skip"`` to count it as withheld.

    Returns
    -------
    SequenceStatsBatch
        Arrays of shape (m,) for m answers; ``loglik`` is in nats.

    Raises
    ------
    LogprobError
        If a number is not a log-probability and the policy is to raise.

    Examples
    --------
    >>> from deluge_nb import Logprobs
    >>> from deluge_nb.stats import sequence_stats_batch
    >>> answers = [Logprobs.from_entries([{"token": "Hi", "logprob": -0.5}, {"token": "!", "logprob": -0.25}])]
    >>> result = sequence_stats_batch(answers)
    >>> result.loglik.tolist(), result.n.tolist(), result.perplexity.round(3).tolist()
    ([-0.75], [2], [1.455])
    """
    tables = tables_of(logprobs)
    size = len(tables)
    loglik, least = np.zeros(size), np.full(size, np.nan)
    n, censored, n_bytes = (np.zeros(size, np.intp) for _ in range(3))
    for group in stack_tables(tables):
        invalid_choices(group.chosen_logprob, policy)
        values = measures.mask_censored(group.chosen_logprob)
        hidden = np.isnan(values)
        firsts = group.starts[:-1]
        # In extended precision, so that the sum over thousands of tokens keeps its digits.
        loglik[group.tables] = np.add.reduceat(np.where(hidden, 0.0, values).astype(np.longdouble), firsts)
        least[group.tables] = np.minimum.reduceat(np.where(hidden, np.inf, values), firsts)
        n[group.tables] = np.diff(group.starts)
        censored[group.tables] = np.add.reduceat(hidden.astype(np.intp), firsts)
        lengths = np.zeros(len(group.vocabulary), np.intp)
        for index in np.unique(group.chosen).tolist():
            lengths[index] = len(group.vocabulary.true_bytes(index))
        n_bytes[group.tables] = np.add.reduceat(lengths[group.chosen], firsts)
    known = n - censored
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.where(known > 0, loglik / known, np.nan)
        bits = 0.0 - loglik / math.log(2)
        return SequenceStatsBatch(
            loglik,
            n,
            np.exp(loglik),
            mean,
            np.exp(-mean),
            np.exp(mean),
            np.where(known > 0, np.exp(least), np.nan),
            loglik / math.log(10),
            bits,
            np.where(n_bytes > 0, bits / n_bytes, np.nan),
            censored,
        )


def deepconf_batch(
    logprobs: Tables, window: int = 2048, tail: int = 2048, bottom_fraction: float = 0.1, *, policy: str = "raise"
) -> DeepConfBatch:
    """Return the confidence along every answer, as :func:`~deluge_nb.stats.deepconf` for one.

    Parameters
    ----------
    logprobs
        A table, or responses or their tables; or lists of log-probabilities in nats, which are one answer.
    window, tail, bottom_fraction
        As for :func:`~deluge_nb.stats.deepconf`.
    policy
        Treatment of a list that cannot be the top of a distribution: ``"raise"``, or ``"skip"`` to leave it out of all
        means.

    Returns
    -------
    DeepConfBatch
        Confidences in nats, shape (m,) for m answers.

    Raises
    ------
    LogprobError
        If a list is invalid and the policy is to raise.

    Examples
    --------
    >>> from deluge_nb.stats import deepconf_batch
    >>> result = deepconf_batch([[-0.5, -3.5], [-0.1, -5.9], [-1.0, -1.0]], window=2)
    >>> result.token_confidence.tolist(), result.lowest_group.tolist()
    ([2.0, 3.0, 1.0], [2.0])
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
    for group in stack_tables(tables):
        confidence[group_rows(group, starts)] = _confidences(group.alternative_logprob, group.offsets, policy)
    return _deepconf(confidence, starts, sizes, share)


def _confidences(flat: Floats, offsets: NDArray[np.intp], policy: str) -> Floats:
    """Return minus the mean log-probability of each list; NaN for an empty or wrong one."""
    wrong = invalid_lists(flat, offsets, observe_lists((flat, offsets)), policy)
    means = np.full(len(offsets) - 1, np.nan)
    for rows, positions, length in measures.blocks(offsets):
        if length:
            values = flat[positions].reshape(-1, length)
            known = ~measures.is_censored(values)
            sums = np.where(known, np.minimum(values, 0.0), 0.0).sum(axis=1)
            with np.errstate(invalid="ignore"):
                means[rows] = 0.0 - sums / known.sum(axis=1)
    return np.where(wrong, np.nan, means)


def _deepconf(confidence: Floats, starts: NDArray[np.intp], sizes: tuple[int, int], share: float) -> DeepConfBatch:
    rows: list[list[float]] = []
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        known = confidence[start:stop]
        known = known[~np.isnan(known)]
        conf = group_confidence(known, *sizes, share) if len(known) else None
        rows.append([np.nan] * 4 if conf is None else [conf.mean, conf.lowest_group, conf.bottom_mean, conf.tail_mean])
    columns = np.array(rows, np.float64).reshape(len(rows), 4).T
    return DeepConfBatch(confidence, columns[0], columns[1], columns[2], columns[3], starts)
