"""Entropy estimated from repeated samples: over outcomes, and over meanings."""

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
    """Entropies (nats) over clusters of answers with the same meaning.

    ``rao`` weighs each answer by its likelihood, ``discrete`` counts answers, and ``miller_madow`` corrects that count
    for its bias. ``naive_mc`` is the entropy over texts, by averaging. ``clusters`` is the number of meanings.
    """

    rao: float
    discrete: float
    miller_madow: float
    naive_mc: float
    clusters: int


@dataclass(frozen=True, slots=True, eq=False)
class CountEntropy(Result):
    """The entropy (nats) of counted samples: ``plugin``, and ``miller_madow`` corrected for its bias."""

    plugin: float
    miller_madow: float


def semantic_entropy(logliks: ArrayLike, cluster_ids: Sequence[Hashable]) -> SemanticEntropy:
    """Return the uncertainty over meanings, from sampled answers that were clustered by meaning.

    Parameters
    ----------
    logliks
        The log-likelihood of each answer in nats, shape (n,); often divided by its length.
    cluster_ids
        The meaning of each answer: any labels, shape (n,).

    Returns
    -------
    SemanticEntropy
        Entropies in nats.

    Raises
    ------
    ValueError
        If the lists are empty or differ in length, or no answer has any likelihood.

    References
    ----------
    S. Farquhar et al., "Detecting hallucinations in large language models using semantic entropy", 2024; G. Miller,
    1955, for the correction (K - 1) / (2 n).

    Examples
    --------
    >>> from deluge_nb.stats import semantic_entropy
    >>> result = semantic_entropy([-1.0, -1.2, -3.0], ["Paris", "Paris", "Rome"])
    >>> round(result.rao, 3), round(result.discrete, 3), result.clusters
    (0.252, 0.637, 2)
    """
    values = read_logprobs(logliks, "logliks")
    names = list(cluster_ids)
    check_paired(values, np.zeros(len(names)), ("logliks", "cluster_ids"))
    groups: dict[Hashable, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(name, []).append(index)
    total = log_sum(values)
    if total == -math.inf:
        raise invalid_argument("logliks", logliks, "a list with at least one likelihood above 0")
    shares = [log_sum(values[indices]) - total for indices in groups.values()]
    counted = entropy_from_counts([len(indices) for indices in groups.values()])
    return SemanticEntropy(
        math.fsum(-math.exp(share) * share for share in shares if share > -math.inf) + 0.0,
        counted.plugin,
        counted.miller_madow,
        0.0 - math.fsum(values.tolist()) / len(values),
        len(groups),
    )


def entropy_from_counts(counts: ArrayLike) -> CountEntropy:
    """Return the entropy of a distribution from counted samples.

    The entropy of the counts is too small on average; the Miller-Madow correction adds (K - 1) / (2 n).

    Parameters
    ----------
    counts
        The number of times that each outcome occurred, shape (k,).

    Returns
    -------
    CountEntropy
        Entropies in nats, without and with the correction.

    Raises
    ------
    ValueError
        If a count is negative or not a whole number, or nothing was counted.

    References
    ----------
    G. Miller, "Note on the bias of information estimates", 1955.

    Examples
    --------
    >>> from deluge_nb.stats import entropy_from_counts
    >>> result = entropy_from_counts([6, 3, 1])
    >>> round(result.plugin, 3), round(result.miller_madow, 3)
    (0.898, 0.998)
    """
    seen = read_counts(counts, "counts")
    total = float(seen.sum())
    if total == 0:
        raise invalid_argument("counts", counts, "a list with at least one count above 0")
    share = seen[seen > 0] / total
    plugin = math.fsum((-share * np.log(share)).tolist()) + 0.0
    return CountEntropy(plugin, plugin + (len(share) - 1) / (2 * total))
