"""Sampling filters on a list of log-probabilities: top-k, top-p and min-p."""

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

# A sum of probabilities counts as reaching a limit that it misses by rounding alone.
_GUARD = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Filtered(Result):
    """The tokens that a sampling filter keeps.

    ``kept`` are indices into the list, likeliest first. ``kept_mass`` is their probability before the filter, ``probs``
    their probabilities after it. If ``complete`` is False, the filter may keep unlisted tokens as well, and ``probs``
    is None.
    """

    kept: tuple[int, ...]
    kept_mass: float
    complete: bool
    probs: Floats | None


def top_k(
    logprobs: ArrayLike,
    k: int,
    *,
    temperature: float = 1.0,
    sentinels: Sequence[float] = SENTINELS,
    vocab_size: int | None = None,
    rounding: float | None = None,
) -> Filtered:
    """Return the k likeliest tokens. Exact from any list of at least k tokens.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats at temperature 1, shape (n,), in any order.
    k
        The number of tokens to keep.
    temperature
        The temperature at which the kept tokens are sampled.
    sentinels
        Values that stand for a withheld log-probability and are left out.
    vocab_size, rounding
        As for :func:`top_p`.

    Returns
    -------
    Filtered
        Complete if the list has k tokens, or is the whole distribution.

    Raises
    ------
    ValueError
        If k is less than 1, or a number is not a log-probability.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import top_k
    >>> result = top_k([log(0.2), log(0.6), log(0.1)], 2)
    >>> result.kept, round(result.kept_mass, 3), result.probs.round(3).tolist()
    ((1, 0), 0.8, [0.75, 0.25])
    """
    size = count(k, "k", 1)
    temperature = read_temperature(temperature)
    ranking = _Ranking(logprobs, sentinels, vocab_size, rounding)
    return ranking.keep(min(size, ranking.n), ranking.n >= size or ranking.seen.is_whole(temperature), temperature)


def top_p(
    logprobs: ArrayLike,
    p: float,
    *,
    temperature: float = 1.0,
    temperature_first: bool = True,
    sentinels: Sequence[float] = SENTINELS,
    vocab_size: int | None = None,
    rounding: float | None = None,
) -> Filtered:
    """Return the likeliest tokens up to a total probability, including the one that reaches it.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats at temperature 1, shape (n,), in any order.
    p
        The total probability, above 0 and at most 1.
    temperature
        The temperature at which the kept tokens are sampled.
    temperature_first
        Whether the filter is applied after the temperature (Hugging Face, vLLM) or before it (the usual order of
        llama.cpp). If after, a list that leaves something out is never known to be complete, unless the temperature is
        1.
    sentinels
        Values that stand for a withheld log-probability and are left out.
    vocab_size
        The number of tokens in the model's vocabulary. A list of that length is the whole distribution.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`. A list whose tail is within it counts as the whole distribution,
        up to temperature 1. Above 1, tokens of little probability grow, so that a list is known to be whole only by
        ``vocab_size``, or by a sum of 1 to the last bits of double precision.

    Returns
    -------
    Filtered
        Complete if the list reaches the total, or is the whole distribution.

    Raises
    ------
    ValueError
        If p is not in its range, or a number is not a log-probability.

    References
    ----------
    A. Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import top_p
    >>> result = top_p([log(0.5), log(0.3), log(0.1)], 0.75)
    >>> result.kept, round(result.kept_mass, 3), result.complete
    ((0, 1), 0.8, True)
    """
    total = between(p, "p", 0, 1)
    if total == 0:
        raise invalid_argument("p", p, "above 0")
    ranking = _Ranking(logprobs, sentinels, vocab_size, rounding)
    temperature = read_temperature(temperature)
    early = temperature_first and temperature != 1
    listed_p = softmax(ranking.ordered, temperature) if early else np.exp(ranking.ordered)
    reached = np.cumsum(listed_p, dtype=np.longdouble) >= total - _GUARD
    crossing = int(np.argmax(reached)) + 1 if reached.any() else ranking.n
    complete = ranking.seen.is_whole(temperature) or (bool(reached.any()) and not early)
    return ranking.keep(crossing if complete else ranking.n, complete, temperature)


def min_p(
    logprobs: ArrayLike,
    min_p: float,
    *,
    temperature: float = 1.0,
    temperature_first: bool = True,
    sentinels: Sequence[float] = SENTINELS,
    vocab_size: int | None = None,
    rounding: float | None = None,
) -> Filtered:
    """Return the tokens whose probability is at least a given share of the likeliest token's.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats at temperature 1, shape (n,), in any order.
    min_p
        The share, from 0 to 1.
    temperature
        The temperature at which the kept tokens are sampled.
    temperature_first
        Whether the filter is applied after the temperature, or before it.
    sentinels
        Values that stand for a withheld log-probability and are left out.
    vocab_size, rounding
        As for :func:`top_p`.

    Returns
    -------
    Filtered
        Complete if the least likely listed token is dropped, because then every unlisted token is too.

    Raises
    ------
    ValueError
        If the share is not in its range, or a number is not a log-probability.

    References
    ----------
    N. Minh et al., "Turning Up the Heat: Min-p Sampling", 2024.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import min_p
    >>> result = min_p([log(0.6), log(0.3), log(0.05)], 0.1)
    >>> result.kept, result.complete, result.probs.round(3).tolist()
    ((0, 1), True, [0.667, 0.333])
    """
    share = between(min_p, "min_p", 0, 1)
    ranking = _Ranking(logprobs, sentinels, vocab_size, rounding)
    temperature = read_temperature(temperature)
    ordered = ranking.ordered / temperature if temperature_first and 0 < temperature < math.inf else ranking.ordered
    least = ordered[0] + math.log(share) - _GUARD if share else -math.inf
    size = int((ordered >= least).sum())
    return ranking.keep(size, size < ranking.n or ranking.seen.is_whole(temperature), temperature)


class _Ranking:
    """A list in descending order of probability, with the index of each token in the original list."""

    def __init__(
        self, logprobs: ArrayLike, sentinels: Sequence[float], vocab_size: int | None, rounding: float | None
    ) -> None:
        values = read_logprobs(logprobs)
        known = np.flatnonzero(~np.isin(values, sentinels))
        self.seen = read_truncated(
            values[known], vocab_size=vocab_size, true_topk=False, rounding=rounding, where="logprobs"
        )
        order = np.argsort(-self.seen.logprob, kind="stable")
        self.indices = known[order]
        self.ordered = self.seen.logprob[order]
        self.n = len(order)

    def keep(self, size: int, complete: bool, temperature: float) -> Filtered:
        """Return the first tokens as the result of a filter."""
        part = self.ordered[:size]
        return Filtered(
            tuple(self.indices[:size].tolist()),
            math.fsum(np.exp(part).tolist()),
            complete,
            softmax(part, temperature) if complete else None,
        )
