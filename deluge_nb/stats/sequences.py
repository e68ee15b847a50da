"""Whole completions: likelihood, perplexity, confidence along the way; and choosing between whole continuations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import LogprobError, invalid_argument
from ..logprobs.columns import Floats
from ..logprobs.values import SENTINELS, SINGLE_PRECISION, log_sum
from .core.records import Result
from .core.truncated import listed
from .core.validation import between, count, matrix, not_a_logprob, number, paired, told, vector
from .core.validation import logprobs as read_logprobs


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


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceScores(Result):
    """Log-likelihoods of choices, for each character and each byte, and which choice is best by each.

    ``softmax`` are the likelihoods made to add up to 1: P(choice | one of the choices). ``per_token`` and its best are
    None where the numbers of tokens were not given.
    """

    per_char: Floats
    per_byte: Floats
    argmax: int
    argmax_per_char: int
    argmax_per_byte: int
    softmax: Floats
    per_token: Floats | None
    argmax_per_token: int | None


@dataclass(frozen=True, slots=True, eq=False)
class PmiScores(Result):
    """Pointwise mutual information of each choice with its context (nats), and the best choice."""

    scores: Floats
    argmax: int


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated(Result):
    """Probabilities divided by what the prompt alone prefers: as they come, made to add up to 1, and the best."""

    scores: Floats
    normalized: Floats
    argmax: int


@dataclass(frozen=True, slots=True, eq=False)
class DeepConf(Result):
    """Confidence along a completion: minus the mean log-probability (nats) of each position's alternatives.

    Higher is more confident. ``group`` are means over a sliding window, ``lowest_group`` the least of them,
    ``bottom_mean`` the mean of the lowest share, ``tail_mean`` that of the last tokens.
    """

    token_confidence: Floats
    mean: float
    group: Floats
    lowest_group: float
    bottom_mean: float
    tail_mean: float


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
            raise not_a_logprob(math.nan, "tokens", position, entry.get("token"))
        if not unknown:
            value = number(value, f"tokens[{position}]['logprob']")
            if value not in sentinels:
                try:
                    sure.append(float(read_logprobs([value])[0]))
                except LogprobError:
                    raise not_a_logprob(value, "tokens", position, entry.get("token")) from None
                continue
        censored.append(position)
        most.append(_most(entry.get("top_logprobs"), position, sentinels))
    known = math.fsum(sure)
    if not censored:
        return SequenceBounds(known, known, ())
    return SequenceBounds(-math.inf, math.fsum([known, *most]), tuple(censored))


def _most(top: Any, position: int, sentinels: Sequence[float]) -> float:
    """The greatest log-probability that a token outside a list can have."""
    values = [one.get("logprob") if isinstance(one, Mapping) else one for one in top or ()]
    seen = told(read_logprobs(values, f"tokens[{position}]['top_logprobs']"), sentinels)
    if not len(seen):
        return 0.0
    tail = listed(seen, true_topk=False, where=f"tokens[{position}]['top_logprobs']").tail
    return min(float(seen.min()), math.log(max(tail, len(seen) * SINGLE_PRECISION)))


def choice_scores(choices: Sequence[str], loglik: ArrayLike, n_tokens: ArrayLike | None = None) -> ChoiceScores:
    """Compare continuations by their log-likelihood: as it is, and for each character, byte or token.

    Parameters
    ----------
    choices
        The texts, as they were scored (a leading space counts).
    loglik
        The log-likelihood of each, nats, shape (n,).
    n_tokens
        How many tokens each has, shape (n,).

    Raises
    ------
    ValueError
        When there are no choices, one is empty, or the lists differ in length.

    References
    ----------
    The conventions ``acc``, ``acc_norm`` (characters) and ``acc_bytes`` of the Language Model Evaluation Harness.
    """
    if isinstance(choices, str):
        raise invalid_argument("choices", choices, "a list of texts")
    values = read_logprobs(loglik, "loglik")
    paired(np.zeros(len(choices)), values, ("choices", "loglik"))
    for position, text in enumerate(choices):
        if not isinstance(text, str) or not text:
            raise invalid_argument(f"choices[{position}]", text, "a text that is not empty")
    per_char = values / [len(text) for text in choices]
    per_byte = values / [len(text.encode("utf-8", "surrogatepass")) for text in choices]
    per_token = None
    if n_tokens is not None:
        lengths = vector(n_tokens, "n_tokens")
        paired(values, lengths, ("loglik", "n_tokens"))
        if (lengths < 1).any():
            raise invalid_argument("n_tokens", n_tokens, "the number of tokens of each choice, at least 1")
        per_token = values / lengths
    total = log_sum(values)
    if total == -math.inf:
        raise invalid_argument("loglik", loglik, "a list with at least one likelihood above 0")
    return ChoiceScores(
        per_char + 0.0,
        per_byte + 0.0,
        int(np.argmax(values)),
        int(np.argmax(per_char)),
        int(np.argmax(per_byte)),
        np.exp(values - total),
        None if per_token is None else per_token + 0.0,
        None if per_token is None else int(np.argmax(per_token)),
    )


def pmi_dc(cond_logprobs: ArrayLike, domain_logprobs: ArrayLike) -> PmiScores:
    """Domain-conditional pointwise mutual information: ln P(y | x) - ln P(y | domain).

    It asks how much the question makes an answer likelier than it is anyway.

    Parameters
    ----------
    cond_logprobs
        The log-likelihood of each answer after the question, nats, shape (n,).
    domain_logprobs
        The same after a text that says no more than what kind of answer is due.

    Raises
    ------
    ValueError
        When the lists differ in length or are empty, or an answer is impossible in the domain.

    References
    ----------
    A. Holtzman et al., "Surface Form Competition", 2021, section 3.
    """
    given = read_logprobs(cond_logprobs, "cond_logprobs")
    domain = read_logprobs(domain_logprobs, "domain_logprobs")
    paired(given, domain, ("cond_logprobs", "domain_logprobs"))
    never = np.flatnonzero(np.isneginf(domain))
    if len(never):
        raise invalid_argument(
            f"domain_logprobs[{never[0]}]", -math.inf, "above -inf: an answer that is impossible has no ratio"
        )
    scores = given - domain
    return PmiScores(scores, int(np.argmax(scores)))


def contextual_calibration(probs: ArrayLike, content_free: ArrayLike) -> Calibrated:
    """Divide the probabilities of answers by those that the prompt gives to them without any content.

    Parameters
    ----------
    probs
        The probability of each answer, shape (n,).
    content_free
        The same for an input that says nothing ("N/A"), shape (n,), or for several of them, shape (m, n): their mean is
        taken before it is made to add up to 1.

    Returns
    -------
    Calibrated
        ``scores`` are diag(p_cf)^-1 p, ``normalized`` those made to add up to 1.

    Raises
    ------
    ValueError
        When the lengths differ, a number is negative, or the prompt gives an answer no probability at all.

    References
    ----------
    T. Zhao et al., "Calibrate Before Use", 2021, section 5.
    """
    p = vector(probs, "probs")
    free = np.asarray(content_free, np.float64)
    free = vector(free, "content_free") if free.ndim == 1 else matrix(free, "content_free").mean(axis=0)
    paired(p, free, ("probs", "content_free"))
    for name, values in (("probs", p), ("content_free", free)):
        wrong = np.flatnonzero((values < 0) | np.isinf(values))
        if len(wrong):
            raise invalid_argument(f"{name}[{wrong[0]}]", float(values[wrong[0]]), "a probability")
    if (free == 0).any():
        raise invalid_argument("content_free", content_free, "above 0 for every answer, for it is divided by")
    scores = p / (free / math.fsum(free.tolist()))
    total = math.fsum(scores.tolist())
    if total == 0:
        raise invalid_argument("probs", probs, "a list with at least one probability above 0")
    return Calibrated(scores, scores / total, int(np.argmax(scores)))


def deepconf(
    top_logprobs: Iterable[ArrayLike],
    window: int = 2048,
    tail: int = 2048,
    bottom_fraction: float = 0.1,
    *,
    sentinels: Sequence[float] = SENTINELS,
) -> DeepConf:
    """Confidence along a completion, by the alternatives of each of its tokens.

    Parameters
    ----------
    top_logprobs
        The alternatives' log-probabilities at each position, nats.
    window
        How many tokens a group has; a shorter completion is one group.
    tail
        How many of the last tokens ``tail_mean`` looks at.
    bottom_fraction
        The share of groups that ``bottom_mean`` looks at; at least one.
    sentinels
        Values that stand for "not told" and are left out.

    Raises
    ------
    ValueError
        When there are no tokens, or a position has no alternatives.

    References
    ----------
    Y. Fu et al., "Deep Think with Confidence", 2025, section 3.
    """
    sizes = count(window, "window", 1), count(tail, "tail", 1)
    share = between(bottom_fraction, "bottom_fraction", 0, 1)
    confidence = []
    for position, values in enumerate(top_logprobs):
        seen = told(read_logprobs(values, f"top_logprobs[{position}]"), sentinels)
        if not len(seen):
            raise LogprobError(f"top_logprobs[{position}] is empty: its confidence is unknown.", position=position)
        confidence.append(0.0 - math.fsum(seen.tolist()) / len(seen))
    if not confidence:
        raise invalid_argument("top_logprobs", [], "the alternatives of at least one token")
    return conf_of(np.array(confidence), *sizes, share)


def conf_of(confidence: Floats, window: int, tail: int, bottom_fraction: float) -> DeepConf:
    """The groups of a completion whose tokens' confidence is known."""
    window = min(window, len(confidence))
    if np.isinf(confidence).any():  # a difference of sums would be none
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
