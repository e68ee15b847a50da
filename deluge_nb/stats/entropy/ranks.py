"""The lead of the likeliest token, and the rank of any token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InconsistentTopKError
from ...logprobs.rounding import check_rounding
from ...logprobs.values import ROUNDING, SENTINELS
from ..core.records import Ends, Result
from ..core.truncated import read_truncated
from ..core.validation import count, drop_sentinels, logprob_error, read_logprobs


@dataclass(frozen=True, slots=True, eq=False)
class Margin(Result):
    """The lead of the likeliest token over the runner-up.

    ``prob_margin`` is p1 - p2 and ``logit_margin`` is ln p1 - ln p2 (nats). Both are None where only one token is
    listed; ``prob_margin_lower`` and ``prob_margin_upper`` then bound the margin. ``min_entropy`` is -ln p1 (nats).
    """

    prob_margin: float | None
    logit_margin: float | None
    min_entropy: float
    prob_margin_lower: float
    prob_margin_upper: float


@dataclass(frozen=True, slots=True, eq=False)
class RankBounds(Ends):
    """Bounds of a token's rank in its distribution, 1 for the likeliest; ``upper`` may be infinite. They unpack."""

    lower: int
    upper: float


def margin(
    top_logprobs: ArrayLike,
    *,
    vocab_size: int | None = None,
    sentinels: Sequence[float] = SENTINELS,
    rounding: float | None = None,
) -> Margin:
    """Return the lead of the likeliest token over the runner-up.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats of the top of the distribution, shape (k,), in any order.
    vocab_size
        The number of tokens in the model's vocabulary, if known.
    sentinels
        Values that stand for a withheld log-probability and are left out.
    rounding
        As for :func:`entropy_bounds`. With a number, the bounds also hold what it changes in the listed probabilities.

    Returns
    -------
    Margin
        The lead as a difference of probabilities and of log-probabilities (nats).

    Raises
    ------
    ValueError
        As :func:`entropy_bounds`.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import margin
    >>> lead = margin([log(0.6), log(0.3), log(0.05)])
    >>> round(lead.prob_margin, 3), round(lead.logit_margin, 3)
    (0.3, 0.693)
    """
    known = drop_sentinels(read_logprobs(top_logprobs, "top_logprobs"), sentinels)
    seen = read_truncated(known, vocab_size=vocab_size, rounding=rounding)
    ordered = np.sort(seen.logprob)[::-1]
    first = float(ordered[0])
    if len(ordered) == 1:
        high = float(seen.limits.high[0])
        alone = high == 0
        least, most = float(seen.least[0]), float(seen.most[0])
        p = math.exp(first)
        return Margin(p if alone else None, math.inf if alone else None, 0.0 - first, max(least - high, 0.0), most)
    second = float(ordered[1])
    return Margin(
        _lead(first, second),
        first - second,
        0.0 - first,
        _lead(first - seen.error, second + seen.error),
        _lead(min(first + seen.error, 0.0), second - seen.error),
    )


def _lead(first: float, second: float) -> float:
    """Return the difference of two probabilities by their logarithms, 0 if the second is larger."""
    # One exponential of the difference: the difference of two would lose the digits in which close rivals differ.
    return max(-math.exp(first) * math.expm1(min(second - first, 0.0)), 0.0) if second > -math.inf else math.exp(first)


def rank_bounds(
    top_logprobs: ArrayLike,
    sampled_logprob: float,
    vocab_size: int | None = None,
    *,
    sentinels: Sequence[float] = SENTINELS,
    rounding: float | None = None,
) -> RankBounds:
    """Return bounds of a token's rank in its distribution.

    A token outside a list of k ranks below those k, and at most floor(rest / p) unlisted tokens can be likelier.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats, shape (k,), in any order.
    sampled_logprob
        The token's log-probability (nats): one of the list, or less than all of them.
    vocab_size
        The number of tokens in the model's vocabulary; no rank exceeds it.
    sentinels
        Values that stand for a withheld log-probability: such a token can have any rank below the list.
    rounding
        As for :func:`entropy_bounds`. With a number, listed tokens that it does not tell from the given one may rank
        above or below it.

    Returns
    -------
    RankBounds
        Ranks from 1 for the likeliest token.

    Raises
    ------
    InconsistentTopKError
        If the token is likelier than a listed one and is not in the list itself.
    ValueError
        As :func:`entropy_bounds`.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import rank_bounds
    >>> rank_bounds([log(0.5), log(0.3)], log(0.05))
    RankBounds(lower=3, upper=6)
    """
    known = drop_sentinels(read_logprobs(top_logprobs, "top_logprobs"), sentinels)
    size = math.inf if vocab_size is None else count(vocab_size, "vocab_size", max(len(known), 1))
    if sampled_logprob is None or math.isnan(sampled_logprob):
        raise logprob_error(math.nan, "sampled_logprob", 0)
    value = float(read_logprobs([sampled_logprob], "sampled_logprob")[0])
    slack = 2 * (check_rounding(rounding) or 0.0)
    if value in known or (slack and (np.abs(known - value) <= slack).any()):
        above, level = int((known > value + slack).sum()), int((known >= value - slack).sum())
        if not slack or value > known.min() + slack:
            return RankBounds(above + 1, level)
        # Within the rounding of the least listed token, unlisted ones may be likelier.
        more = read_truncated(known, vocab_size=vocab_size, rounding=rounding).most_tokens(value)
        return RankBounds(above + 1, min(int(level + more) if more < math.inf else more, size))
    lower = len(known) + 1
    if lower > size:
        raise InconsistentTopKError(
            f"top_logprobs lists all {len(known)} tokens of the vocabulary, but not one with sampled_logprob "
            f"{sampled_logprob!r}: is vocab_size too small?",
            value=sampled_logprob,
        )
    if value in sentinels or value == -math.inf:
        if len(known):
            read_truncated(known, vocab_size=vocab_size, rounding=rounding)
        return RankBounds(lower, size)
    if len(known) and value > known.min() + max(slack, ROUNDING):
        raise InconsistentTopKError(
            f"sampled_logprob, {value!r}, is not in top_logprobs and yet above their least, {float(known.min())!r}: "
            "the list is not the top of the distribution.",
            value=sampled_logprob,
        )
    seen = read_truncated(known, extra=value, vocab_size=vocab_size, rounding=rounding)
    more = seen.most_tokens(value)
    highest = int(lower + more) if more < math.inf else more
    return RankBounds(int((known > value + slack).sum()) + 1, min(highest, size))
