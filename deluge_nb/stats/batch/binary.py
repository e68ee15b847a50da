"""Probability of the first of two answers for many tokens or many responses at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...logprobs.columns import Floats
from ..core.records import Result
from ..core.stacked import Tables
from .labels import label_distribution_batch


@dataclass(frozen=True, slots=True, eq=False)
class BinaryProbabilityBatch(Result):
    """As :class:`~deluge_nb.stats.labels.BinaryProbability` for n tokens, shape (n,); NaN in place of None."""

    position: NDArray[np.intp]
    p_lower: Floats
    p_upper: Floats
    p_normalized: Floats
    log_odds: Floats


def binary_probability_batch(
    logprobs: Tables,
    positive: str | Sequence[str],
    negative: str | Sequence[str],
    *,
    position: int | None = None,
    policy: str = "raise",
    rounding: float | None = None,
) -> BinaryProbabilityBatch:
    """Return the probability of the first of two answers, as :func:`~deluge_nb.stats.binary_probability` for one token.

    Parameters
    ----------
    logprobs, position, policy, rounding
        As for :func:`label_distribution_batch`.
    positive, negative
        The two answers, or a list of spellings for each.

    Returns
    -------
    BinaryProbabilityBatch
        Arrays of shape (n,); ``log_odds`` is in nats.

    Raises
    ------
    ValueError
        As :func:`label_distribution_batch`.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import binary_probability_batch
    >>> tops = [[{"token": "Yes", "logprob": log(0.7)}], [{"token": "No", "logprob": log(0.9)}]]
    >>> result = binary_probability_batch(tops, "yes", "no")
    >>> result.p_lower.round(3).tolist(), result.p_upper.round(3).tolist()
    ([0.7, 0.0], [1.0, 0.1])
    """
    sides = {
        "positive": [positive] if isinstance(positive, str) else list(positive),
        "negative": [negative] if isinstance(negative, str) else list(negative),
    }
    result = label_distribution_batch(logprobs, sides, position=position, policy=policy, rounding=rounding)
    yes, no = result.lower.T
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.where((yes == 0) & (no == 0), np.nan, np.log(yes) - np.log(no))
        return BinaryProbabilityBatch(result.position, yes.copy(), 1.0 - no, yes / (yes + no), odds)
