"""Divergence of two distributions of which only the top may be known, with bounds from both sides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...errors import SettingError, invalid_argument
from ...logprobs.rounding import sum_error
from ..core.records import Result
from ..core.truncated import TruncatedDistribution, read_truncated
from ..core.validation import read_alternatives


@dataclass(frozen=True, slots=True, eq=False)
class Divergences(Result):
    """Lower bounds of three divergences of p and q.

    ``kl_lower`` bounds the Kullback-Leibler divergence of p from q and ``js_lower`` the Jensen-Shannon divergence, both
    in nats. ``tv_lower`` bounds the total variation distance, from 0 to 1.
    """

    kl_lower: float
    js_lower: float
    tv_lower: float


@dataclass(frozen=True, slots=True, eq=False)
class DivergenceBounds(Result):
    """Bounds of three divergences of p and q.

    ``kl_lower`` and ``kl_upper`` are of the Kullback-Leibler divergence of p from q (nats), ``js_lower`` and
    ``js_upper`` of the Jensen-Shannon divergence (nats, at most ln 2), ``tv_lower`` and ``tv_upper`` of the total
    variation distance, from 0 to 1.
    """

    kl_lower: float
    kl_upper: float
    js_lower: float
    js_upper: float
    tv_lower: float
    tv_upper: float


class _Range(NamedTuple):
    """The least and the greatest probability that a cell can have."""

    low: float
    high: float


# A token, or several together: its probability under p and under q.
_Cell = tuple[_Range, _Range]


def divergence_lower_bounds(
    p: Mapping[str, Any], q: Mapping[str, Any], *, vocab_size: int | None = None, rounding: float | None = None
) -> Divergences:
    """Return lower bounds of the divergences of two distributions of which only the top is known.

    Both are reduced to the tokens that both lists name, and one token for the rest. By the data processing inequality,
    no divergence grows by that. :func:`divergence_bounds` gives upper bounds too.

    Parameters
    ----------
    p, q
        Dicts from token to log-probability (nats).
    vocab_size
        The number of tokens in the model's vocabulary. A list of that length is the whole distribution.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`.

    Returns
    -------
    Divergences
        Kullback-Leibler and Jensen-Shannon divergence in nats, and total variation distance. ``kl_lower`` is infinite
        only if p allows a token that q lists with ``-inf``.

    Raises
    ------
    ValueError
        If a list is empty or adds up to more than 1, or a number is not a log-probability.

    References
    ----------
    T. Cover, J. Thomas, "Elements of Information Theory", 2006, section 2.8.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import divergence_lower_bounds
    >>> p, q = {"a": log(0.7), "b": log(0.2)}, {"a": log(0.4), "b": log(0.5)}
    >>> bounds = divergence_lower_bounds(p, q)
    >>> round(bounds.kl_lower, 3), round(bounds.tv_lower, 3)
    (0.208, 0.3)
    """
    pair = _Pair(p, q, vocab_size, rounding)
    return Divergences(*_lower_bounds([*pair.shared, pair.rest]))


def divergence_bounds(
    p: Mapping[str, Any], q: Mapping[str, Any], *, vocab_size: int | None = None, rounding: float | None = None
) -> DivergenceBounds:
    """Return bounds of the divergences of two distributions; of whole distributions, their exact values.

    Parameters
    ----------
    p, q
        Dicts from token to log-probability (nats): whole distributions, or the top of each.
    vocab_size
        The number of tokens in the model's vocabulary. A list of that length is the whole distribution.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`.

    Returns
    -------
    DivergenceBounds
        Kullback-Leibler and Jensen-Shannon divergence in nats, and total variation distance. ``kl_upper`` is infinite
        unless p is whole and q lists all of its tokens: a hidden token may be impossible under q.

    Raises
    ------
    ValueError
        If a list is empty or adds up to more than 1, or a number is not a log-probability.

    Notes
    -----
    Tokens that only one list names, and those that none names, may lie apart. So the total variation is at most 1 minus
    the sum of min(p, q) over the shared tokens, and what is not shared adds at most ln 2 / 2 of its probability to the
    Jensen-Shannon divergence.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import divergence_bounds
    >>> p, q = {"a": log(0.75), "b": log(0.25)}, {"a": log(0.5), "b": log(0.5)}
    >>> bounds = divergence_bounds(p, q)
    >>> round(bounds.kl_lower, 4), round(bounds.kl_upper, 4), round(bounds.tv_lower, 3), round(bounds.tv_upper, 3)
    (0.1308, 0.1308, 0.25, 0.25)
    >>> top = divergence_bounds({"a": log(0.75)}, {"a": log(0.5)})
    >>> round(top.tv_lower, 3), round(top.tv_upper, 3), top.kl_upper
    (0.25, 0.5, inf)
    """
    pair = _Pair(p, q, vocab_size, rounding)
    coarse, fine = _lower_bounds([*pair.shared, pair.rest]), _lower_bounds([*pair.shared, *pair.apart])
    kl, js, tv = (max(lowers) for lowers in zip(coarse, fine, strict=True))
    left, right = pair.rest
    js_upper = math.fsum([*map(_most_js, pair.shared), math.log(2) * (left.high + right.high) / 2])
    tv_upper = 1.0 - math.fsum(min(a.low, b.low) for a, b in pair.shared)
    kl_upper = math.fsum(map(_most_kl, pair.shared)) if pair.q_lists_all_of_p else math.inf
    return DivergenceBounds(
        kl, max(kl_upper, kl), js, max(min(js_upper, math.log(2)), js), tv, max(min(tv_upper, 1.0), tv)
    )


class _Pair:
    """Two lists, as ranges of probability for each token and for the rest.

    ``shared`` are the tokens that both lists name, ``rest`` is everything else. ``apart`` divides the rest: tokens of p
    alone, tokens of q alone, and tokens that no list names.
    """

    def __init__(
        self, p: Mapping[str, Any], q: Mapping[str, Any], vocab_size: int | None, rounding: float | None
    ) -> None:
        left, right = _List(p, "p", vocab_size, rounding), _List(q, "q", vocab_size, rounding)
        union = len(left.ranges.keys() | right.ranges.keys())
        if vocab_size is not None and union > vocab_size:
            raise SettingError(
                f"vocab_size must be at least the number of tokens that p and q name, {union}, not {vocab_size}.",
                setting="vocab_size",
                value=vocab_size,
            )
        self.shared: list[_Cell] = [
            (left.ranges[token], right.ranges[token]) for token in left.ranges if token in right.ranges
        ]
        alone_p = _total(value for token, value in left.ranges.items() if token not in right.ranges)
        alone_q = _total(value for token, value in right.ranges.items() if token not in left.ranges)
        self.rest: _Cell = (_total((alone_p, left.tail)), _total((alone_q, right.tail)))
        # Where the unlisted part of one list lies is unknown: among the tokens of the other, or elsewhere.
        hidden_p, hidden_q = _Range(0.0, left.tail.high), _Range(0.0, right.tail.high)
        self.apart: list[_Cell] = [(alone_p, hidden_q), (hidden_p, alone_q), (hidden_p, hidden_q)]
        self.q_lists_all_of_p = alone_p.high == 0 and left.is_whole


class _List:
    """The tokens of a list, each with its range of probability, and the range of the rest."""

    def __init__(self, values: Mapping[str, Any], name: str, vocab_size: int | None, rounding: float | None) -> None:
        if not isinstance(values, Mapping):
            raise invalid_argument(name, values, "a dict from token to log-probability")
        alternatives = read_alternatives(values, name)
        logprob = np.array([alternative.logprob for alternative in alternatives])
        seen = read_truncated(logprob, vocab_size=vocab_size, true_topk=False, rounding=rounding, where=name)
        limits = map(_Range, seen.least.tolist(), seen.most.tolist())
        self.ranges = dict(zip((alternative.token for alternative in alternatives), limits, strict=True))
        # Where the vocabulary has more tokens, rounding may have hidden some of them.
        hides_none = vocab_size is None or seen.limits.hidden[0] == 0
        self.is_whole = seen.is_exact or (hides_none and seen.is_whole())
        self.tail = _tail_of(seen)


def _tail_of(seen: TruncatedDistribution) -> _Range:
    if seen.limits.hidden[0] == 0:
        return _Range(0.0, 0.0)
    # Exact numbers, too, may have lost a small rest in their last bits: it must not make a divergence infinite.
    high = 0.0 if seen.is_exact else float(seen.limits.high[0])
    return _Range(0.0 if seen.is_exact else float(seen.limits.low[0]), high + float(sum_error(len(seen.logprob))))


def _total(parts: Iterable[_Range]) -> _Range:
    ranges = list(parts)
    return _Range(min(math.fsum(part.low for part in ranges), 1.0), min(math.fsum(part.high for part in ranges), 1.0))


def _lower_bounds(cells: Sequence[_Cell]) -> tuple[float, float, float]:
    """Return lower bounds of the three divergences, from ranges of probability over a partition of the tokens."""
    measures: tuple[Callable[[_Cell], float], ...] = (_least_kl, _least_js, _least_tv)
    kl, js, tv = (max(math.fsum(map(measure, cells)), 0.0) for measure in measures)
    return kl, js, tv


def _kl(p: float, q: float) -> float:
    return 0.0 if p == 0 else math.inf if q == 0 else p * math.log(p / q)


def _least_kl(cell: _Cell) -> float:
    p, q = cell
    # p ln(p / q) falls in q; in p it is convex and least at q / e.
    return _kl(min(max(q.high / math.e, p.low), p.high), q.high)


def _most_kl(cell: _Cell) -> float:
    p, q = cell
    return max(_kl(p.low, q.low), _kl(p.high, q.low))


def _js(p: float, q: float) -> float:
    middle = (p + q) / 2
    return (_kl(p, middle) + _kl(q, middle)) / 2


def _least_js(cell: _Cell) -> float:
    return _js(*_nearest(cell))


def _most_js(cell: _Cell) -> float:
    p, q = cell
    return max(_js(p.high, q.low), _js(p.low, q.high))


def _least_tv(cell: _Cell) -> float:
    p, q = _nearest(cell)
    return abs(p - q) / 2


def _nearest(cell: _Cell) -> tuple[float, float]:
    """Return the two probabilities of a cell that are closest to each other."""
    p, q = cell
    if p.low > q.high:
        return p.low, q.high
    if q.low > p.high:
        return p.high, q.low
    return p.high, p.high  # the ranges meet: no difference is certain
