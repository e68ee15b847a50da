"""Likelihood and perplexity of a whole completion, with bounds where values were withheld."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import LogprobError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.rounding import check_rounding
from ...logprobs.values import SENTINELS, exp_or_inf
from ..core.records import Result
from ..core.truncated import read_truncated
from ..core.validation import between, count, drop_sentinels, logprob_error, number, read_logprobs


@dataclass(frozen=True, slots=True, eq=False)
class SequenceStats(Result):
    """Likelihood, perplexity and related measures of a completion.

    ``loglik``, ``mean_logprob`` and ``prefix_logprobs`` (the sum up to each token, shape (n,)) are in nats,
    ``total_bits`` in bits. Means are None for a completion without tokens, ``bits_per_byte`` is None without a number
    of bytes, and ``gnmt`` without an ``alpha``.
    """

    loglik: float
    n: int
    prob: float
    mean_logprob: float | None
    perplexity: float | None
    geo_mean_prob: float | None
    min_prob: float | None
    prefix_logprobs: Floats
    log10_prob: float
    total_bits: float
    bits_per_byte: float | None
    gnmt: float | None


@dataclass(frozen=True, slots=True, eq=False)
class SequenceBounds(Result):
    """Bounds of a completion's log-likelihood (nats), and the positions whose value the provider withheld."""

    loglik_lower: float
    loglik_upper: float
    censored: tuple[int, ...]


def sequence_stats(
    logprobs: ArrayLike,
    n_bytes: int | None = None,
    *,
    alpha: float | None = None,
    sentinels: Sequence[float] = SENTINELS,
) -> SequenceStats:
    """Return the likelihood of a completion and the measures that follow from it, by the chain rule.

    Parameters
    ----------
    logprobs
        Log-probabilities of the chosen tokens in nats, shape (n,).
    n_bytes
        The length of the text in UTF-8, for bits per byte.
    alpha
        The exponent of the length penalty of Google's translation system: loglik / ((5 + n) / 6) ** alpha.
    sentinels
        Values that stand for a withheld log-probability. They are an error here; :func:`sequence_bounds` accepts them.

    Returns
    -------
    SequenceStats
        Sums in nats and in bits, means and perplexity.

    Raises
    ------
    LogprobError
        If a number is not a log-probability, or was withheld.

    References
    ----------
    Y. Wu et al., "Google's Neural Machine Translation System", 2016, equation 14.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import sequence_stats
    >>> result = sequence_stats([log(0.5), log(0.25)], n_bytes=6)
    >>> round(result.prob, 3), round(result.perplexity, 3), round(result.bits_per_byte, 3)
    (0.125, 2.828, 0.5)
    """
    values = read_known(logprobs, sentinels)
    size = None if n_bytes is None else count(n_bytes, "n_bytes")
    n = len(values)
    loglik = math.fsum(values.tolist())
    mean = loglik / n if n else None
    bits = 0.0 - loglik / math.log(2)
    penalty = None if alpha is None else ((5 + n) / 6) ** number(alpha, "alpha")
    return SequenceStats(
        loglik=loglik,
        n=n,
        prob=math.exp(loglik),
        mean_logprob=mean,
        perplexity=None if mean is None else exp_or_inf(-mean),
        geo_mean_prob=None if mean is None else math.exp(mean),
        min_prob=float(np.exp(values.min())) if n else None,
        prefix_logprobs=np.cumsum(values, dtype=np.longdouble).astype(np.float64),
        log10_prob=loglik / math.log(10),
        total_bits=bits,
        bits_per_byte=bits / size if size else None,
        gnmt=None if penalty is None else loglik / penalty,
    )


def read_known(logprobs: ArrayLike, sentinels: Sequence[float] = SENTINELS) -> Floats:
    """Return log-probabilities of which none was withheld.

    Raises
    ------
    LogprobError
        At the first value that is not a log-probability, or a placeholder.
    """
    values = read_logprobs(logprobs)
    withheld = np.flatnonzero(np.isin(values, sentinels))
    if len(withheld):
        position, value = int(withheld[0]), float(values[withheld[0]])
        raise LogprobError(
            f"logprobs[{position}] is {value!r}, a placeholder that providers send for a withheld value: "
            "it must not be added up. sequence_bounds gives the bounds that remain.",
            position=position,
            value=value,
        )
    return values


def min_k(logprobs: ArrayLike, k: float = 0.2) -> float:
    """Return the mean log-probability (nats) of the least likely tokens of a text: Min-K % Prob.

    A text that a model was trained on has few very unlikely tokens. Compare texts of one model and one kind only: the
    number has no scale of its own.

    Parameters
    ----------
    logprobs
        Log-probabilities of the text's tokens in nats, shape (n,).
    k
        The share of tokens to average, from 0 to 1: of n tokens the k * n least likely, rounded down, and at least one.

    Returns
    -------
    float
        The mean in nats, at most 0.

    Raises
    ------
    LogprobError
        If a number is not a log-probability, or was withheld.
    ValueError
        If there are no tokens, or ``k`` is not from 0 to 1.

    References
    ----------
    W. Shi et al., "Detecting Pretraining Data from Large Language Models", 2024.

    Examples
    --------
    >>> from deluge_nb.stats import min_k
    >>> min_k([-0.5, -4.0, -1.0, -6.0, -0.1], k=0.4)
    -5.0
    """
    share = between(k, "k", 0, 1)
    values = read_known(logprobs)
    if not len(values):
        raise invalid_argument("logprobs", [], "the log-probabilities of at least one token")
    # 1e-9: 0.29 of 100 tokens is a little less than 29 in binary.
    size = max(1, math.floor(share * len(values) + 1e-9))
    return math.fsum(np.sort(values)[:size].tolist()) / size


def sequence_bounds(
    tokens: Iterable[Mapping[str, Any]],
    *,
    policy: str = "raise",
    sentinels: Sequence[float] = SENTINELS,
    rounding: float | None = None,
) -> SequenceBounds:
    """Return bounds of a completion's log-likelihood where some log-probabilities were withheld.

    A token that is not among the alternatives is at most as likely as the least of them, and as the probability that
    they leave.

    Parameters
    ----------
    tokens
        One dict per token with ``logprob`` (nats) and ``top_logprobs``: numbers, or dicts with ``logprob``.
    policy
        Treatment of a ``logprob`` that is None or NaN: ``"raise"``, or ``"skip"`` to count it as withheld.
    sentinels
        Values that stand for a withheld log-probability.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`.

    Returns
    -------
    SequenceBounds
        The bounds are equal if nothing was withheld and no number was given for rounding. The lower one is ``-inf`` if
        something was withheld.

    Raises
    ------
    LogprobError
        If a number is not a log-probability.

    Examples
    --------
    >>> from deluge_nb.stats import sequence_bounds
    >>> tokens = [{"logprob": -0.5}, {"logprob": -9999.0, "top_logprobs": [-0.25, -2.0]}]
    >>> bounds = sequence_bounds(tokens)
    >>> bounds.loglik_lower, round(bounds.loglik_upper, 2), bounds.censored
    (-inf, -2.95, (1,))
    """
    if policy not in ("raise", "skip"):
        raise invalid_argument("policy", policy, "'raise' or 'skip'")
    error = check_rounding(rounding) or 0.0
    known: list[float] = []
    most: list[float] = []
    censored: list[int] = []
    for position, entry in enumerate(tokens):
        if not isinstance(entry, Mapping):
            raise invalid_argument(f"tokens[{position}]", entry, "a dict with 'logprob' and 'top_logprobs'")
        value = entry.get("logprob")
        unknown = value is None or (isinstance(value, float) and math.isnan(value))
        if unknown and policy == "raise":
            raise logprob_error(math.nan, "tokens", position, entry.get("token"))
        if not unknown:
            value = number(value, f"tokens[{position}]['logprob']")
            if value not in sentinels:
                try:
                    known.append(float(read_logprobs([value])[0]))
                except LogprobError:
                    raise logprob_error(value, "tokens", position, entry.get("token")) from None
                continue
        censored.append(position)
        most.append(_largest_hidden_logprob(entry.get("top_logprobs"), position, sentinels, rounding))
    total = math.fsum(known)
    if not censored:
        return SequenceBounds(total - len(known) * error, _sum_of_most(known, error), ())
    return SequenceBounds(-math.inf, math.fsum([_sum_of_most(known, error), *most]), tuple(censored))


def _sum_of_most(logprobs: Sequence[float], error: float) -> float:
    return math.fsum(min(logprob + error, 0.0) for logprob in logprobs)


def _largest_hidden_logprob(top: Any, position: int, sentinels: Sequence[float], rounding: float | None) -> float:
    """Return the greatest log-probability that a token outside a list can have."""
    values = [entry.get("logprob") if isinstance(entry, Mapping) else entry for entry in top or ()]
    listed = drop_sentinels(read_logprobs(values, f"tokens[{position}]['top_logprobs']"), sentinels)
    if not len(listed):
        return 0.0
    seen = read_truncated(listed, true_topk=False, rounding=rounding, where=f"tokens[{position}]['top_logprobs']")
    high = float(seen.limits.high[0])
    return min(float(listed.min()) + seen.error, math.log(high)) if high > 0 else -math.inf
