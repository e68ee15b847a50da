"""Tokens that a sampler can draw: temperature, top-k, top-p and min-p together, with bounds where needed.

js/src/data/cuts.ts does the same in the browser; both are tested by tests/fixtures/sampling_vectors.json.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.rounding import Bools, power_sums
from ...logprobs.values import SENTINELS
from ..core.records import Result
from ..core.truncated import TruncatedDistribution, read_truncated
from ..core.validation import between, count, drop_sentinels, number, read_logprobs, read_temperature

SamplerOrder = Literal["vllm", "llama.cpp"]
SAMPLER_ORDERS: tuple[SamplerOrder, ...] = get_args(SamplerOrder)

# A sum of probabilities counts as reaching a limit that it misses by rounding alone.
_GUARD = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class SamplingBounds(Result):
    """The listed tokens after temperature and cuts, shape (k,) each.

    A token that is ``certain`` is kept, and one that is not ``possible`` is cut, whatever the list leaves out.
    ``lower`` and ``upper`` bound the probability with which it is drawn. ``rest`` bounds that of all unlisted tokens
    together.
    """

    certain: Bools
    possible: Bools
    lower: Floats
    upper: Floats
    rest: tuple[float, float]


def sampling_bounds(
    logprobs: ArrayLike,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    order: SamplerOrder = "vllm",
    unlisted: float | None = None,
    sentinels: Sequence[float] = SENTINELS,
    vocab_size: int | None = None,
    rounding: float | None = None,
) -> SamplingBounds:
    """Return which of the likeliest tokens a sampler keeps, and with which probability it draws each.

    top-p adds up probabilities of the tokens that the cuts before it have kept, divided by their sum. Of tokens of
    equal probability the earlier one is kept first.

    Parameters
    ----------
    logprobs
        Log-probabilities in nats at temperature 1, shape (k,): the likeliest tokens, in any order.
    temperature
        The temperature, finite; at 0 the likeliest token is drawn, and no cut matters.
    top_k
        The number of tokens to keep; None for all.
    top_p
        The total probability to keep, above 0 and at most 1; None for all.
    min_p
        The share of the likeliest token's probability that a token must have, from 0 to 1; None for no limit.
    order
        ``"vllm"``: temperature, min-p, top-k, top-p. ``"llama.cpp"``: top-k, top-p, min-p, temperature, which is the
        default of that server.
    unlisted
        The log-probability of a token that is not in the list, such as the one that was drawn. It is the last in the
        result.
    sentinels
        Values that stand for a withheld log-probability and are left out.
    vocab_size
        The number of tokens in the model's vocabulary. Without it, nothing bounds the unlisted tokens above
        temperature 1.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`.

    Returns
    -------
    SamplingBounds
        Exact where the cuts leave only listed tokens, or the list is the whole distribution.

    Raises
    ------
    ValueError
        As :func:`deluge_nb.stats.temperature_topk`, and for a setting that is out of its range.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import sampling_bounds
    >>> result = sampling_bounds([log(0.5), log(0.3), log(0.1)], top_p=0.75)
    >>> result.possible.tolist(), result.lower.round(3).tolist()
    ([True, True, False], [0.625, 0.375, 0.0])

    Top-k of five keeps two tokens that the list does not name, each of at most 0.1:

    >>> result = sampling_bounds([log(0.5), log(0.3), log(0.1)], top_k=5)
    >>> result.lower.round(3).tolist(), result.upper.round(3).tolist()
    ([0.5, 0.3, 0.1], [0.556, 0.333, 0.111])
    """
    settings = _Settings(
        read_temperature(temperature),
        math.inf if top_k is None else count(top_k, "top_k", 1),
        1.0 if top_p is None else between(top_p, "top_p", 0, 1),
        0.0 if min_p is None else between(min_p, "min_p", 0, 1),
        order == "vllm",
    )
    if math.isinf(settings.temperature):
        raise invalid_argument("temperature", temperature, "finite")
    if settings.top_p == 0:
        raise invalid_argument("top_p", top_p, "above 0")
    if order not in SAMPLER_ORDERS:
        raise invalid_argument("order", order, f"one of {', '.join(map(repr, SAMPLER_ORDERS))}")
    values = drop_sentinels(read_logprobs(logprobs), sentinels)
    extra = None if unlisted is None else number(unlisted, "unlisted")
    seen = read_truncated(values, extra=extra, vocab_size=vocab_size, rounding=rounding, where="logprobs")
    size = len(values)
    ranking = np.argsort(-seen.logprob[:size], kind="stable")
    drawn = _draw(_Ranked(seen, ranking, size), settings)
    places = np.argsort(np.concatenate([ranking, np.arange(size, len(seen.logprob))]))
    return SamplingBounds(
        drawn.certain[places], drawn.possible[places], drawn.lower[places], drawn.upper[places], drawn.rest
    )


class _Settings(NamedTuple):
    temperature: float
    top_k: float
    top_p: float
    min_p: float
    temperature_first: bool


class _Weights(NamedTuple):
    """Powers of the probabilities, divided by that of the likeliest token.

    ``sums`` are running sums of the listed ones, with 0 first; ``extra`` is that of the unlisted token, and ``least``
    and ``most`` limit the sum over all hidden ones.
    """

    listed: Floats
    sums: Floats
    extra: float
    least: float
    most: float


class _Ranked:
    """A list in descending order of probability."""

    def __init__(self, seen: TruncatedDistribution, ranking: np.ndarray, size: int) -> None:
        self.logprob = seen.logprob[:size][ranking]
        self.extra = seen.logprob[size:]
        self.limits = seen.limits

    def weights(self, beta: float) -> _Weights:
        peak = self.logprob[0] * beta
        listed = np.exp(self.logprob * beta - peak)
        extra = float(np.exp(self.extra * beta - peak).sum())
        if beta == 1:
            least, most = (float(bound[0] / np.exp(peak)) for bound in (self.limits.low, self.limits.high))
        else:
            with np.errstate(over="ignore"):
                least, most = (float(np.exp(bound[0] - peak)) for bound in power_sums(self.limits, beta))
        return _Weights(listed, np.concatenate([[0.0], np.cumsum(listed)]), extra, least, most)


class _Candidates(NamedTuple):
    """Tokens that a cut has kept: the first ``size`` of the list, and hidden ones unless it is closed.

    ``least`` and ``most`` limit the total weight beyond the listed tokens.
    """

    size: int
    is_closed: bool
    least: float
    most: float


def _draw(ranked: _Ranked, settings: _Settings) -> SamplingBounds:
    n, others = len(ranked.logprob), len(ranked.extra)
    if settings.temperature == 0:
        every = np.concatenate([ranked.logprob, ranked.extra])
        best = every == every.max()
        shares = best / best.sum()
        return SamplingBounds(best, best, shares, shares, (0.0, 0.0))
    beta = 1 / settings.temperature
    drawn = ranked.weights(beta)
    early = drawn if settings.temperature_first else ranked.weights(1.0)
    passing = int((early.listed >= settings.min_p * (1 - _GUARD)).sum())
    extra_passes = early.extra >= settings.min_p * (1 - _GUARD)
    min_p_first = passing if settings.temperature_first else n
    kept = _cut_by_number(early, settings, min_p_first, n, extra_passes)
    # The sum that top-p compares with, and how many listed tokens stay below its share.
    low, high = (early.sums[kept.size] + bound for bound in (kept.least, kept.most))
    before = early.sums[:-1][: kept.size]
    has_top_p = settings.top_p < 1
    least = kept.size if not has_top_p else int((before < settings.top_p * low * (1 - _GUARD)).sum())
    most = kept.size if not has_top_p else int((before < settings.top_p * high * (1 - _GUARD)).sum())
    total = early.sums[n]
    is_open = not kept.is_closed and kept.most > 0
    beyond = is_open and (not has_top_p or total < settings.top_p * high * (1 - _GUARD))
    surely_beyond = is_open and (not has_top_p or total < settings.top_p * low * (1 - _GUARD))
    if not settings.temperature_first and passing < n:
        least, most, beyond, surely_beyond = min(least, passing), min(most, passing), False, False
    floor, ceiling = drawn.sums[least], drawn.sums[most]
    if beyond:
        ceiling = drawn.sums[n] + _most_beyond(kept, drawn, settings, n)
        if has_top_p and settings.temperature_first:
            ceiling = min(ceiling, max(drawn.sums[n], settings.top_p * high) + drawn.listed[-1])
    if surely_beyond and settings.temperature_first:
        floor = max(floor, settings.top_p * low) if has_top_p else drawn.sums[n] + kept.least
    elif surely_beyond and math.isinf(settings.top_k) and not settings.min_p and not has_top_p:
        floor = drawn.sums[n] + drawn.extra + drawn.least
    extra_possible = beyond and extra_passes and others > 0
    has_cut = has_top_p or not math.isinf(settings.top_k)
    extra_certain = extra_possible and not has_cut
    possible = np.concatenate([np.arange(n) < most, np.full(others, extra_possible)])
    certain = np.concatenate([np.arange(n) < least, np.full(others, extra_certain)])
    weights = np.concatenate([drawn.listed, np.full(others, drawn.extra)])
    upto = np.concatenate([drawn.sums[1:], np.full(others, drawn.sums[n] + drawn.extra)])
    lower = np.where(certain, weights / ceiling, 0.0)
    upper = np.where(possible, weights / np.maximum(floor, np.where(certain, 0.0, upto)), 0.0)
    known = drawn.sums[n] + drawn.extra
    rest = (
        max(0.0, 1 - known / floor) if surely_beyond else 0.0,
        max(0.0, 1 - (drawn.sums[n] + (drawn.extra if extra_certain else 0.0)) / ceiling) if beyond else 0.0,
    )
    return SamplingBounds(certain, possible, lower, upper, rest)


def _cut_by_number(early: _Weights, settings: _Settings, passing: int, n: int, extra_passes: bool) -> _Candidates:
    """Apply top-k, and min-p if it comes before: both keep the first tokens, whatever they add up to."""
    size = min(settings.top_k, passing) if passing < n else settings.top_k
    if size <= n:
        return _Candidates(int(size), True, 0.0, 0.0)
    has_min_p = settings.min_p > 0 and settings.temperature_first
    most = early.most + (early.extra if extra_passes or not has_min_p else 0.0)
    if not math.isinf(settings.top_k):
        return _Candidates(n, False, 0.0, min(most, (settings.top_k - n) * float(early.listed[-1])))
    if has_min_p:
        return _Candidates(n, False, early.extra if extra_passes else 0.0, most)
    return _Candidates(n, False, early.extra + early.least, most)


def _most_beyond(kept: _Candidates, drawn: _Weights, settings: _Settings, n: int) -> float:
    """Return the most weight that kept tokens beyond the list can have when one is drawn."""
    if settings.temperature_first:
        return kept.most
    most = drawn.extra + drawn.most
    return most if math.isinf(settings.top_k) else min(most, (settings.top_k - n) * float(drawn.listed[-1]))
