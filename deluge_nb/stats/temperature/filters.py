"""Sampling filters: top-k, top-p and min-p on a list of log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.values import SENTINELS
from ..core.records import Result
from ..core.truncated import read_truncated
from ..core.validation import between, count, read_logprobs, read_temperature
from ..entropy.logarithms import softmax

# Sums of probabilities meet a bound that they equal.
_GUARD = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Filtered(Result):
    """What a sampling filter keeps.

    ``kept`` are places in the list, likeliest first, ``kept_mass`` their probability before the filter, ``probs``
    theirs after it. Where ``complete`` is False, tokens that are not listed may be kept as well, and ``probs`` is None.
    """

    kept: tuple[int, ...]
    kept_mass: float
    complete: bool
    probs: Floats | None


def top_k(logprobs: ArrayLike, k: int, *, temperature: float = 1.0, sentinels: Sequence[float] = SENTINELS) -> Filtered:
    """Keep the k likeliest tokens. Exact from any list that has k of them.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats at temperature 1, shape (n,), in any order.
    k
        How many to keep.
    temperature
        What the kept ones are sampled with.
    sentinels
        Values that stand for "not told" and are left out.

    Raises
    ------
    ValueError
        When k is below 1, or a number is no log-probability.
    """
    wanted = count(k, "k", 1)
    ranking = _Ranking(logprobs, sentinels)
    return ranking.filtered(min(wanted, ranking.n), ranking.n >= wanted or ranking.seen.tail == 0, temperature)


def top_p(
    logprobs: ArrayLike,
    p: float,
    *,
    temperature: float = 1.0,
    temperature_first: bool = True,
    sentinels: Sequence[float] = SENTINELS,
) -> Filtered:
    """Keep the likeliest tokens up to a total probability, the one that reaches it included.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats at temperature 1, shape (n,), in any order.
    p
        The total, above 0 and at most 1.
    temperature
        What is sampled with.
    temperature_first
        Whether the filter sees the distribution at that temperature (Hugging Face, vLLM) or before it (llama.cpp's
        usual order). In the first case a list that leaves something out is never known to be complete, unless the
        temperature is 1.
    sentinels
        Values that stand for "not told" and are left out.

    Raises
    ------
    ValueError
        When p is not in its range, or a number is no log-probability.

    References
    ----------
    A. Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020.
    """
    wanted = between(p, "p", 0, 1)
    if wanted == 0:
        raise invalid_argument("p", p, "above 0")
    ranking = _Ranking(logprobs, sentinels)
    heat = read_temperature(temperature)
    early = temperature_first and heat != 1
    seen_p = softmax(ranking.ordered, heat) if early else np.exp(ranking.ordered)
    reached = np.cumsum(seen_p, dtype=np.longdouble) >= wanted - _GUARD
    crossing = int(np.argmax(reached)) + 1 if reached.any() else ranking.n
    complete = ranking.seen.tail == 0 or (bool(reached.any()) and not early)
    return ranking.filtered(crossing if complete else ranking.n, complete, heat)


def min_p(
    logprobs: ArrayLike,
    min_p: float,
    *,
    temperature: float = 1.0,
    temperature_first: bool = True,
    sentinels: Sequence[float] = SENTINELS,
) -> Filtered:
    """Keep the tokens that are at least a given share as likely as the likeliest one.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats at temperature 1, shape (n,), in any order.
    min_p
        The share, from 0 to 1.
    temperature
        What is sampled with.
    temperature_first
        Whether the filter sees the distribution at that temperature, or before it.
    sentinels
        Values that stand for "not told" and are left out.

    Returns
    -------
    Filtered
        Complete where the least likely token of the list is out, for then all that is not listed is too.

    Raises
    ------
    ValueError
        When the share is not in its range, or a number is no log-probability.

    References
    ----------
    N. Minh et al., "Turning Up the Heat: Min-p Sampling", 2024.
    """
    share = between(min_p, "min_p", 0, 1)
    ranking = _Ranking(logprobs, sentinels)
    heat = read_temperature(temperature)
    ordered = ranking.ordered / heat if temperature_first and 0 < heat < math.inf else ranking.ordered
    least = ordered[0] + math.log(share) - _GUARD if share else -math.inf
    kept = int((ordered >= least).sum())
    return ranking.filtered(kept, kept < ranking.n or ranking.seen.tail == 0, heat)


class _Ranking:
    """A list from the likeliest on, with its places."""

    def __init__(self, logprobs: ArrayLike, sentinels: Sequence[float]) -> None:
        values = read_logprobs(logprobs)
        places = np.flatnonzero(~np.isin(values, sentinels))
        self.seen = read_truncated(values[places], true_topk=False, where="logprobs")
        order = np.argsort(-self.seen.logprob, kind="stable")
        self.places = places[order]
        self.ordered = self.seen.logprob[order]
        self.n = len(order)

    def filtered(self, kept: int, complete: bool, temperature: float) -> Filtered:
        part = self.ordered[:kept]
        return Filtered(
            tuple(self.places[:kept].tolist()),
            math.fsum(np.exp(part).tolist()),
            complete,
            softmax(part, temperature) if complete else None,
        )
