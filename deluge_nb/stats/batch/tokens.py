"""The same for every token of one or many answers at once, column by column."""

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
    join,
    lists_of,
    observed,
    rows_of,
    seen_in,
    starts_of,
    tables_of,
    wrong_choices,
    wrong_lists,
)
from ..core.validation import between, count, log_base
from ..sequences import conf_of


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
        wrong_choices(values, policy)
        return 0.0 - np.where(np.isneginf(values), values, measures.mask_censored(values)) / scale
    tables = tables_of(logprobs)
    starts = starts_of(tables)
    made = np.full(int(starts[-1]), np.nan)
    for part in join(tables):
        wrong_choices(part.chosen_logprob, policy)
        made[rows_of(part, starts)] = 0.0 - measures.mask_censored(part.chosen_logprob) / scale
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
    lists = lists_of(logprobs)
    if lists is not None:
        (flat, offsets), seen = lists, seen_in(lists)
        wrong = wrong_lists(flat, offsets, seen, policy, size)
        starts = np.array([0, len(wrong)], np.intp)
        return EntropyBoundsBatch(*_entropies(seen, wrong, size, scale), starts=starts)
    tables = tables_of(logprobs, lists=True)
    starts = starts_of(tables)
    made = tuple(np.full(int(starts[-1]), np.nan) for _ in range(7))
    for part in join(tables):
        own = tables[int(part.which[0])]
        known_size = size if size is not None or own is None else own.vocab_size
        seen = observed(part)
        wrong = wrong_lists(part.alternative_logprob, part.offsets, seen, policy, known_size)
        rows = rows_of(part, starts)
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
    lists = lists_of(logprobs)
    if lists is not None:
        (flat, offsets), seen = lists, seen_in(lists)
        wrong = wrong_lists(flat, offsets, seen, policy)
        return MarginBatch(*_margins(seen, wrong), starts=np.array([0, len(wrong)], np.intp))
    tables = tables_of(logprobs, lists=True)
    starts = starts_of(tables)
    made = tuple(np.full(int(starts[-1]), np.nan) for _ in range(5))
    for part in join(tables):
        seen = observed(part)
        wrong = wrong_lists(part.alternative_logprob, part.offsets, seen, policy)
        rows = rows_of(part, starts)
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
    for part in join(tables):
        wrong_choices(part.chosen_logprob, policy)
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
    lists = lists_of(logprobs)
    if lists is not None:
        confidence = _confidences(*lists, policy)
        return _deepconf(confidence, np.array([0, len(confidence)], np.intp), sizes, share)
    tables = tables_of(logprobs, lists=True)
    starts = starts_of(tables)
    confidence = np.full(int(starts[-1]), np.nan)
    for part in join(tables):
        confidence[rows_of(part, starts)] = _confidences(part.alternative_logprob, part.offsets, policy)
    return _deepconf(confidence, starts, sizes, share)


def _confidences(flat: Floats, offsets: NDArray[np.intp], policy: str) -> Floats:
    """Minus the mean log-probability of each list; NaN where it is empty or wrong."""
    wrong = wrong_lists(flat, offsets, seen_in((flat, offsets)), policy)
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
        one = conf_of(known, *sizes, share) if len(known) else None
        found.append([np.nan] * 4 if one is None else [one.mean, one.lowest_group, one.bottom_mean, one.tail_mean])
    columns = np.array(found, np.float64).reshape(len(found), 4).T
    return DeepConfBatch(confidence, columns[0], columns[1], columns[2], columns[3], starts)
