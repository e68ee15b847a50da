"""Entropy estimated from repeated samples."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ...logprobs.values import log_sum
from ..core.records import Result
from ..core.validation import check_paired, read_counts, read_logprobs


@dataclass(frozen=True, slots=True, eq=False)
class SemanticEntropy(Result):
    """Entropies (nats) over meanings: ``rao`` weighs each answer by its likelihood, ``discrete`` counts answers,
    ``miller_madow`` corrects the count for being too small; ``naive_mc`` is that over texts, by plain averaging.
    """

    rao: float
    discrete: float
    miller_madow: float
    naive_mc: float
    clusters: int


@dataclass(frozen=True, slots=True, eq=False)
class CountEntropy(Result):
    """The entropy (nats) of counted samples, as it is and corrected for being too small on average."""

    plugin: float
    miller_madow: float


def semantic_entropy(logliks: ArrayLike, cluster_ids: Sequence[Hashable]) -> SemanticEntropy:
    """The uncertainty over meanings, from answers that were sampled and sorted by meaning.

    Parameters
    ----------
    logliks
        The log-likelihood of each answer, nats, shape (n,); often divided by its length.
    cluster_ids
        Which meaning each has: any labels, shape (n,).

    Raises
    ------
    ValueError
        When the lists are empty or differ in length, or no answer has any likelihood.

    References
    ----------
    S. Farquhar et al., "Detecting hallucinations in large language models using semantic entropy", 2024; G. Miller,
    1955, for the correction (K - 1) / (2 n).
    """
    values = read_logprobs(logliks, "logliks")
    names = list(cluster_ids)
    check_paired(values, np.zeros(len(names)), ("logliks", "cluster_ids"))
    groups: dict[Hashable, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(name, []).append(place)
    total = log_sum(values)
    if total == -math.inf:
        raise invalid_argument("logliks", logliks, "a list with at least one likelihood above 0")
    shares = [log_sum(values[places]) - total for places in groups.values()]
    counted = entropy_from_counts([len(places) for places in groups.values()])
    return SemanticEntropy(
        math.fsum(-math.exp(share) * share for share in shares if share > -math.inf) + 0.0,
        counted.plugin,
        counted.miller_madow,
        0.0 - math.fsum(values.tolist()) / len(values),
        len(groups),
    )


def entropy_from_counts(counts: ArrayLike) -> CountEntropy:
    """The entropy of a distribution that was sampled.

    The entropy of the counts is too small on average; Miller's and Madow's correction adds (K - 1) / (2 n).

    Parameters
    ----------
    counts
        How often each outcome came, shape (k,).

    Raises
    ------
    ValueError
        When a count is negative or no whole number, or nothing was counted.

    References
    ----------
    G. Miller, "Note on the bias of information estimates", 1955.
    """
    seen = read_counts(counts, "counts")
    total = float(seen.sum())
    if total == 0:
        raise invalid_argument("counts", counts, "a list with at least one count above 0")
    share = seen[seen > 0] / total
    plugin = math.fsum((-share * np.log(share)).tolist()) + 0.0
    return CountEntropy(plugin, plugin + (len(share) - 1) / (2 * total))
