"""Likelihood and perplexity of a whole completion, and its bounds where values were withheld."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import LogprobError, invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.values import SENTINELS, SINGLE_PRECISION
from ..core.records import Result
from ..core.truncated import read_truncated
from ..core.validation import count, drop_sentinels, logprob_error, number, read_logprobs


@dataclass(frozen=True, slots=True, eq=False)
class SequenceStats(Result):
    """What the log-probabilities of a completion's tokens add up to.

    ``loglik``, ``mean_logprob`` and ``prefix_logprobs`` (after each token, shape (n,)) are in nats, ``total_bits`` in
    bits. Means are None for no tokens, ``bits_per_byte`` where no number of bytes was given, ``gnmt`` where no alpha.
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
    """The interval of a completion's log-likelihood (nats), and the positions whose value the provider withheld."""

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
    """Add up the log-probabilities of a completion's tokens: the chain rule.

    Parameters
    ----------
    logprobs
        The chosen tokens', in nats, shape (n,).
    n_bytes
        The length of the text in UTF-8, for bits per byte.
    alpha
        For the length penalty of Google's translation system: loglik / ((5 + n) / 6) ** alpha.
    sentinels
        Values that stand for "not told". They are refused here; :func:`sequence_bounds` takes them.

    Raises
    ------
    LogprobError
        When a number is no log-probability, or was withheld.

    References
    ----------
    Y. Wu et al., "Google's Neural Machine Translation System", 2016, equation 14.
    """
    values = read_logprobs(logprobs)
    withheld = np.flatnonzero(np.isin(values, sentinels))
    if len(withheld):
        at = int(withheld[0])
        raise LogprobError(
            f"logprobs[{at}] is {values[at]!r}, which providers send in place of a value that they do not tell: it "
            "must not be added up. sequence_bounds gives what is known.",
            position=at,
            value=float(values[at]),
        )
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


def exp_or_inf(value: float) -> float:
    """The exponential, infinite where a float cannot hold it."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def sequence_bounds(
    tokens: Iterable[Mapping[str, Any]], *, policy: str = "raise", sentinels: Sequence[float] = SENTINELS
) -> SequenceBounds:
    """The interval in which a completion's log-likelihood lies when some of its tokens' were not told.

    A token that is not among the alternatives is at most as likely as the least of them, and as all that they leave.

    Parameters
    ----------
    tokens
        One dict per token with ``logprob`` (nats) and ``top_logprobs``: numbers, or dicts with ``logprob``.
    policy
        What to do with a ``logprob`` that is None or NaN: ``"raise"``, or ``"skip"`` to count it as not told.
    sentinels
        Values that stand for "not told".

    Raises
    ------
    LogprobError
        When a number is no log-probability.
    """
    if policy not in ("raise", "skip"):
        raise invalid_argument("policy", policy, "'raise' or 'skip'")
    sure: list[float] = []
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
                    sure.append(float(read_logprobs([value])[0]))
                except LogprobError:
                    raise logprob_error(value, "tokens", position, entry.get("token")) from None
                continue
        censored.append(position)
        most.append(_largest_hidden_logprob(entry.get("top_logprobs"), position, sentinels))
    known = math.fsum(sure)
    if not censored:
        return SequenceBounds(known, known, ())
    return SequenceBounds(-math.inf, math.fsum([known, *most]), tuple(censored))


def _largest_hidden_logprob(top: Any, position: int, sentinels: Sequence[float]) -> float:
    """The greatest log-probability that a token outside a list can have."""
    values = [one.get("logprob") if isinstance(one, Mapping) else one for one in top or ()]
    seen = drop_sentinels(read_logprobs(values, f"tokens[{position}]['top_logprobs']"), sentinels)
    if not len(seen):
        return 0.0
    tail = read_truncated(seen, true_topk=False, where=f"tokens[{position}]['top_logprobs']").tail
    return min(float(seen.min()), math.log(max(tail, len(seen) * SINGLE_PRECISION)))
