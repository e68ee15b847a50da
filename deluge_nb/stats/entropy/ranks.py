"""The lead of the likeliest token, and the rank of any token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InconsistentTopKError
from ...logprobs.values import ROUNDING, SENTINELS
from ..core.records import Result
from ..core.truncated import read_truncated
from ..core.validation import count, drop_sentinels, logprob_error, read_logprobs


@dataclass(frozen=True, slots=True, eq=False)
class Margin(Result):
    """The lead of the likeliest token.

    ``prob_margin`` is p1 - p2 and ``logit_margin`` ln p1 - ln p2, None where only one token is listed; the margin of
    probabilities is then known to lie from ``prob_margin_lower`` to ``prob_margin_upper``. ``min_entropy`` is -ln p1.
    """

    prob_margin: float | None
    logit_margin: float | None
    min_entropy: float
    prob_margin_lower: float
    prob_margin_upper: float


@dataclass(frozen=True, slots=True, eq=False)
class RankBounds(Result):
    """The places that a token can have in its distribution, 1 for the likeliest; ``upper`` may be infinite."""

    lower: int
    upper: float


def margin(top_logprobs: ArrayLike, *, vocab_size: int | None = None, sentinels: Sequence[float] = SENTINELS) -> Margin:
    """The lead of the likeliest token over the runner-up.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats, shape (k,), in any order; the top of the distribution.
    vocab_size
        How many tokens the model can choose from, if that is known.
    sentinels
        Values that stand for "not told" and are left out.

    Raises
    ------
    ValueError
        As :func:`entropy_bounds`.
    """
    known = drop_sentinels(read_logprobs(top_logprobs, "top_logprobs"), sentinels)
    seen = read_truncated(known, vocab_size=vocab_size)
    ordered = np.sort(seen.logprob)[::-1]
    first = float(ordered[0])
    if len(ordered) == 1:
        p = math.exp(first)
        alone = seen.tail == 0
        return Margin(p if alone else None, math.inf if alone else None, 0.0 - first, p - min(seen.tail, p), p)
    second = float(ordered[1])
    # One exponential of the difference, or close rivals lose the digits that tell them apart.
    lead = -math.exp(first) * math.expm1(second - first) if second > -math.inf else math.exp(first)
    return Margin(lead + 0.0, first - second, 0.0 - first, lead + 0.0, lead + 0.0)


def rank_bounds(
    top_logprobs: ArrayLike,
    sampled_logprob: float,
    vocab_size: int | None = None,
    *,
    sentinels: Sequence[float] = SENTINELS,
) -> RankBounds:
    """The places that a token can have in its distribution.

    A token outside a list of k comes after those k, and at most floor(rest / p) others can be likelier than it.

    Parameters
    ----------
    top_logprobs
        Log-probabilities in nats, shape (k,), in any order.
    sampled_logprob
        The token's; one of the list's, or less than all of them.
    vocab_size
        How many tokens the model can choose from; no token's place exceeds it.
    sentinels
        Values that stand for "not told": such a token can be anywhere after the list.

    Raises
    ------
    InconsistentTopKError
        When the token is likelier than one of the list and not itself in it.
    ValueError
        As :func:`entropy_bounds`.
    """
    known = drop_sentinels(read_logprobs(top_logprobs, "top_logprobs"), sentinels)
    size = math.inf if vocab_size is None else count(vocab_size, "vocab_size", max(len(known), 1))
    if sampled_logprob is None or math.isnan(sampled_logprob):
        raise logprob_error(math.nan, "sampled_logprob", 0)
    value = float(read_logprobs([sampled_logprob], "sampled_logprob")[0])
    if value in known:
        return RankBounds(int((known > value).sum()) + 1, int((known >= value).sum()))
    lower = len(known) + 1
    if lower > size:
        raise InconsistentTopKError(
            f"The list names all {len(known)} tokens of the vocabulary, and the sampled one is none of them.",
            value=sampled_logprob,
        )
    if value in sentinels or value == -math.inf:
        if len(known):
            read_truncated(known, vocab_size=vocab_size)
        return RankBounds(lower, size)
    if len(known) and value > known.min() + ROUNDING:
        raise InconsistentTopKError(
            f"sampled_logprob, {value!r}, is not in the list and yet above its least, {float(known.min())!r}: the list "
            "is not the top of the distribution.",
            value=sampled_logprob,
        )
    seen = read_truncated(known, extra=value, vocab_size=vocab_size)
    # A bound allows for the last bits of what it is computed from.
    rest = seen.tail + 2.0**-50 if seen.tail > 0 else 0.0
    more = math.floor(rest / math.exp(value) * (1 + 1e-12))
    return RankBounds(lower, min(lower + more, size))
