"""Confidence along a completion, from the alternatives of each of its tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import LogprobError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.values import SENTINELS
from ..core.records import Result
from ..core.validation import between, count, drop_sentinels, read_logprobs


@dataclass(frozen=True, slots=True, eq=False)
class DeepConf(Result):
    """Confidence along a completion: minus the mean log-probability (nats) of each position's alternatives.

    Higher is more confident. ``group`` are the means over a sliding window and ``lowest_group`` is the least of them.
    ``bottom_mean`` is the mean of the lowest share of groups, ``tail_mean`` that of the last tokens.
    """

    token_confidence: Floats
    mean: float
    group: Floats
    lowest_group: float
    bottom_mean: float
    tail_mean: float


def deepconf(
    top_logprobs: Iterable[ArrayLike],
    window: int = 2048,
    tail: int = 2048,
    bottom_fraction: float = 0.1,
    *,
    sentinels: Sequence[float] = SENTINELS,
) -> DeepConf:
    """Return the confidence along a completion, from the alternatives of each token.

    Parameters
    ----------
    top_logprobs
        The log-probabilities of the alternatives at each position, nats.
    window
        The number of tokens in a group; a shorter completion is one group.
    tail
        The number of last tokens in ``tail_mean``.
    bottom_fraction
        The share of groups in ``bottom_mean``, of which there is at least one.
    sentinels
        Values that stand for a withheld log-probability and are left out.

    Returns
    -------
    DeepConf
        Confidences in nats.

    Raises
    ------
    ValueError
        If there are no tokens, or a position has no alternatives.

    References
    ----------
    Y. Fu et al., "Deep Think with Confidence", 2025, section 3.

    Examples
    --------
    >>> from deluge_nb.stats import deepconf
    >>> result = deepconf([[-0.5, -3.5], [-0.1, -5.9], [-1.0, -1.0]], window=2)
    >>> result.token_confidence.tolist(), result.group.tolist(), result.lowest_group
    ([2.0, 3.0, 1.0], [2.5, 2.0], 2.0)
    """
    sizes = count(window, "window", 1), count(tail, "tail", 1)
    share = between(bottom_fraction, "bottom_fraction", 0, 1)
    confidence = []
    for position, values in enumerate(top_logprobs):
        listed = drop_sentinels(read_logprobs(values, f"top_logprobs[{position}]"), sentinels)
        if not len(listed):
            raise LogprobError(f"top_logprobs[{position}] is empty: its confidence is unknown.", position=position)
        confidence.append(0.0 - math.fsum(listed.tolist()) / len(listed))
    if not confidence:
        raise invalid_argument("top_logprobs", [], "the alternatives of at least one token")
    return group_confidence(np.array(confidence), *sizes, share)


def group_confidence(confidence: Floats, window: int, tail: int, bottom_fraction: float) -> DeepConf:
    """Return the record of a completion from the confidence of each token, shape (n,)."""
    window = min(window, len(confidence))
    if np.isinf(confidence).any():  # a difference of infinite sums would be NaN
        group = np.lib.stride_tricks.sliding_window_view(confidence, window).mean(axis=1)
    else:
        sums = np.concatenate(([0.0], np.cumsum(confidence, dtype=np.longdouble)))
        group = ((sums[window:] - sums[:-window]) / window).astype(np.float64)
    lowest = max(1, math.floor(bottom_fraction * len(group) + 1e-9))
    return DeepConf(
        confidence,
        math.fsum(confidence.tolist()) / len(confidence),
        group,
        float(group.min()),
        float(np.sort(group)[:lowest].mean()),
        float(confidence[-tail:].mean()),
    )
