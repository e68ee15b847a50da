"""Entropy estimated from repeated samples: over outcomes, and over meanings."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ProbabilityMassError, SettingError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.rounding import MASS_TOLERANCE
from ...logprobs.values import log_sum
from ..core.records import Result
from ..core.validation import check_paired, matrix, probabilities, read_counts, read_logprobs


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


@dataclass(frozen=True, slots=True, eq=False)
class UncertaintySplit(Result):
    """The entropy (nats) of a mean distribution, in two parts that add up to it.

    ``total`` is the entropy of the mean. ``aleatoric`` is the mean of the entropies: the uncertainty within each
    distribution. ``epistemic`` is the rest: the disagreement between the distributions.
    """

    total: float
    aleatoric: float
    epistemic: float


def semantic_entropy(
    logliks: ArrayLike, cluster_ids: Sequence[Hashable], *, texts: Sequence[str] | None = None
) -> SemanticEntropy:
    """Return the uncertainty over meanings, from sampled answers that were clustered by meaning.

    Parameters
    ----------
    logliks
        The log-likelihood of each answer in nats, shape (n,); often divided by its length.
    cluster_ids
        The meaning of each answer: any labels, shape (n,).
    texts
        The text of each answer, shape (n,). With it, ``rao`` counts the likelihood of each distinct text once: the
        greatest, if equal texts have several. Without it, a text that was drawn three times counts three times,
        although its likelihood says already how often it comes.

    Returns
    -------
    SemanticEntropy
        Entropies in nats. ``discrete``, ``miller_madow`` and ``naive_mc`` are about samples, and count repeated texts
        each time.

    Raises
    ------
    ValueError
        If the lists are empty or differ in length, no answer has any likelihood, or equal texts are in two clusters.

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
    >>> repeated = semantic_entropy([-1.0, -1.0, -1.0], ["Paris", "Paris", "Rome"], texts=["Paris", "Paris", "Rome"])
    >>> round(repeated.rao, 3), round(repeated.discrete, 3)
    (0.693, 0.637)
    """
    values = read_logprobs(logliks, "logliks")
    names = list(cluster_ids)
    check_paired(values, np.zeros(len(names)), ("logliks", "cluster_ids"))
    groups: dict[Hashable, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(name, []).append(index)
    distinct = values if texts is None else _drop_repeats(values, names, texts)
    total = log_sum(distinct)
    if total == -math.inf:
        raise invalid_argument("logliks", logliks, "a list with at least one likelihood above 0")
    shares = [log_sum(distinct[indices]) - total for indices in groups.values()]
    counted = entropy_from_counts([len(indices) for indices in groups.values()])
    return SemanticEntropy(
        math.fsum(-math.exp(share) * share for share in shares if share > -math.inf) + 0.0,
        counted.plugin,
        counted.miller_madow,
        0.0 - math.fsum(values.tolist()) / len(values),
        len(groups),
    )


def _drop_repeats(logliks: Floats, clusters: Sequence[Hashable], texts: Sequence[str]) -> Floats:
    """Return the log-likelihoods with ``-inf`` for all but the likeliest of equal texts."""
    if isinstance(texts, str | bytes):
        raise invalid_argument("texts", texts, "a list of texts")
    listed = list(texts)
    check_paired(logliks, np.zeros(len(listed)), ("logliks", "texts"))
    result = logliks.copy()
    likeliest: dict[str, int] = {}
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise invalid_argument(f"texts[{index}]", text, "a text")
        other = likeliest.setdefault(text, index)
        if other == index:
            continue
        if clusters[other] != clusters[index]:
            raise SettingError(
                f"texts[{other}] and texts[{index}] are the same text, {text[:40]!r}, in the clusters "
                f"{clusters[other]!r} and {clusters[index]!r}: give equal texts one cluster.",
                setting="cluster_ids",
                value=clusters[index],
            )
        kept, dropped = (other, index) if result[other] >= result[index] else (index, other)
        likeliest[text] = kept
        result[dropped] = -np.inf
    return result


def uncertainty_split(probs: ArrayLike) -> UncertaintySplit:
    """Return how much of an average's uncertainty is within each distribution, and how much between them.

    The mean of several distributions (over prompts, samples or models) is flat for two reasons: each may be undecided,
    or they may disagree. The entropy of the mean alone does not show which.

    Parameters
    ----------
    probs
        One distribution per prompt, sample or model over the same answers, shape (m, k); each row adds up to 1.

    Returns
    -------
    UncertaintySplit
        Entropies in nats.

    Raises
    ------
    ValueError
        If there are no rows, a number is not a probability, or a row does not add up to 1.

    Notes
    -----
    ``epistemic`` is the mutual information of answer and row (the Jensen-Shannon divergence of the rows). It is at most
    ln m, and for few rows it is too small on average.

    References
    ----------
    S. Depeweg et al., "Decomposition of Uncertainty in Bayesian Deep Learning", 2018.

    Examples
    --------
    >>> from deluge_nb.stats import uncertainty_split
    >>> undecided = uncertainty_split([[0.5, 0.5], [0.5, 0.5]])
    >>> round(undecided.total, 3), round(undecided.aleatoric, 3), undecided.epistemic
    (0.693, 0.693, 0.0)
    >>> disagreeing = uncertainty_split([[1.0, 0.0], [0.0, 1.0]])
    >>> round(disagreeing.total, 3), disagreeing.aleatoric, round(disagreeing.epistemic, 3)
    (0.693, 0.0, 0.693)
    """
    rows = matrix(probs, "probs").copy()
    if not rows.size:
        raise invalid_argument("probs", probs, "at least one row of probabilities")
    for position, row in enumerate(rows):
        mass = math.fsum(probabilities(row, f"probs[{position}]").tolist())
        if abs(mass - 1) > MASS_TOLERANCE:
            raise ProbabilityMassError(
                f"probs[{position}] adds up to {mass:.6g} and not to 1: divide it by its sum, or add the rest as a "
                "last answer.",
                value=mass,
            )
        rows[position] = row / mass
    total = _entropy(np.array([math.fsum(column) / len(rows) for column in rows.T.tolist()]))
    aleatoric = math.fsum(_entropy(row) for row in rows) / len(rows)
    return UncertaintySplit(total, aleatoric, max(total - aleatoric, 0.0))


def _entropy(p: Floats) -> float:
    positive = p[p > 0]
    return math.fsum((-positive * np.log(positive)).tolist()) + 0.0


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
    plugin = _entropy(seen / total)
    return CountEntropy(plugin, plugin + (int((seen > 0).sum()) - 1) / (2 * total))
