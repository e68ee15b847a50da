"""Probabilities of answers, and the mean of a score, at one token."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import LogprobError, invalid_argument
from ...logprobs.values import SENTINELS
from ...text.matching import Labels, shared_labels
from ...text.partial import exact_text
from ..core.records import Result
from ..core.truncated import read_truncated
from ..core.validation import count, number
from ..entropy.observed import observe
from .distribution import LabelDistribution, LabelMass, LabelSet


@dataclass(frozen=True, slots=True, eq=False)
class BinaryProbability(Result):
    """The probability of the first of two answers.

    ``p_lower`` and ``p_upper`` bound P(positive), ``p_normalized`` is its share of the two answers and ``log_odds`` is
    ln(p / q) in nats. The last two are None where neither answer is listed.
    """

    p_lower: float
    p_upper: float
    p_normalized: float | None
    log_odds: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedScore(Result):
    """The mean of a score over the settled answers, its variance and standard deviation.

    ``matched_mass`` is the probability of the settled answers, ``slack`` that of everything that may still become a
    score. Whatever the slack becomes, the mean lies from ``lower`` to ``upper``.
    """

    mean: float
    variance: float
    std: float
    matched_mass: float
    slack: float
    lower: float
    upper: float


def label_distribution(
    top_logprobs: Iterable[Any],
    labels: LabelSet,
    *,
    sampled: Mapping[str, Any] | None = None,
    forms_unseen: int | Mapping[str, int] | None = None,
    vocab_size: int | None = None,
    sentinels: Sequence[float] = SENTINELS,
    single_tokens: bool = False,
    rounding: float | None = None,
) -> LabelDistribution:
    """Return the probability of each answer at one token, with bounds for everything that is not listed.

    A token settles on an answer that it spells, or that it continues with something other than a letter or digit
    ("Yes.", "A)"). A token that begins answers leaves them open ("Polit" of "Politics"), and so does an answer that
    begins another ("1" of 1 and 10). White space and opening marks leave every answer open. Half a character leaves the
    answers open that its bytes may become.

    Parameters
    ----------
    top_logprobs
        Alternatives: dicts with ``token`` and ``logprob`` (nats). Two tokens that read alike count twice; entries that
        are equal in text, bytes, id and log-probability are one token.
    labels
        The answers, or a dict from each answer to its spellings. Case, white space and opening marks do not count.
    sampled
        The token that was drawn, as such a dict. It is added if the list does not contain it.
    forms_unseen
        How many unlisted tokens of the vocabulary can be, or begin, an answer: one number for all answers, or a dict
        with a number for each. No unlisted token is likelier than the least likely listed one, so this number bounds
        the share of the tail that an answer can have.
    vocab_size
        The number of tokens in the model's vocabulary, if known.
    sentinels
        Values that stand for a withheld log-probability; such tokens are left out.
    single_tokens
        Whether you know that every answer is one token of the vocabulary, as the numbers 0 to 999 are for OpenAI's
        models. Then a token that equals an answer is that answer and nothing more.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`. With a number, ``lower`` is what the answers have at least, and
        ``tail_mass`` holds what rounding may have taken from them.

    Returns
    -------
    LabelDistribution
        Probabilities between 0 and 1, by answer.

    Raises
    ------
    SettingError
        If there are no answers, an answer has no spelling, or two answers have the same spelling.
    LogprobError
        If nothing is listed, a number is not a log-probability, or the probabilities add up to more than 1.

    References
    ----------
    S. Wiegreffe et al., "Increasing Probability Mass on Answer Choices Does Not Always Improve Accuracy", 2023, bound
    the effect of competing surface forms by the matched probability mass.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import label_distribution
    >>> top = [{"token": "Yes", "logprob": log(0.7)}, {"token": "No", "logprob": log(0.2)}]
    >>> result = label_distribution(top, ["yes", "no"])
    >>> result.argmax, round(result.normalized["yes"], 3), round(result.upper["yes"], 3), result.certified
    ('yes', 0.778, 0.8, True)
    """
    return _read_token(
        top_logprobs,
        shared_labels(labels, single_tokens=single_tokens),
        sampled=sampled,
        forms_unseen=forms_unseen,
        vocab_size=vocab_size,
        sentinels=sentinels,
        rounding=rounding,
    )[0]


def _read_token(
    top_logprobs: Iterable[Any],
    reader: Labels,
    *,
    sampled: Mapping[str, Any] | None,
    forms_unseen: int | Mapping[str, int] | None = None,
    vocab_size: int | None,
    sentinels: Sequence[float],
    rounding: float | None,
) -> tuple[LabelDistribution, float]:
    """Return the distribution, and the most probability that can be on no listed token."""
    alternatives, extra = observe(sampled, top_logprobs, sentinels)
    seen = read_truncated(
        np.array([alternative.logprob for alternative in alternatives]),
        extra=None if extra is None else extra.logprob,
        vocab_size=vocab_size,
        rounding=rounding,
    )
    every = [*alternatives, extra] if extra is not None else alternatives
    mass = LabelMass(reader)
    for alternative, p in zip(every, seen.least.tolist(), strict=True):
        mass.add(reader.read(exact_text(alternative.token, alternative.raw)), p)
    caps = _hidden_caps(forms_unseen, reader, seen.cap)
    result = mass.to_distribution(seen.open_mass, caps, most_open=seen.most_open, error=seen.error)
    return result, seen.most_open


def _hidden_caps(forms: int | Mapping[str, int] | None, labels: Labels, cap: float) -> list[float]:
    """Return the greatest probability that the unlisted tokens of each answer can have."""
    if forms is None:
        return [math.inf] * len(labels)
    if isinstance(forms, Mapping):
        unknown = [name for name in forms if name not in labels.names]
        if unknown:
            raise invalid_argument("forms_unseen", unknown[0], f"about the labels {', '.join(map(repr, labels.names))}")
        return [
            count(forms[name], f"forms_unseen[{name!r}]") * cap if name in forms else math.inf for name in labels.names
        ]
    return [count(forms, "forms_unseen") * cap] * len(labels)


def binary_probability(
    top_logprobs: Iterable[Any],
    positive: str | Sequence[str],
    negative: str | Sequence[str],
    *,
    sampled: Mapping[str, Any] | None = None,
    vocab_size: int | None = None,
    sentinels: Sequence[float] = SENTINELS,
    rounding: float | None = None,
) -> BinaryProbability:
    """Return the probability of the first of two answers.

    Parameters
    ----------
    top_logprobs
        Alternatives: dicts with ``token`` and ``logprob`` (nats).
    positive, negative
        The two answers, or a list of spellings for each.
    sampled, vocab_size, sentinels, rounding
        As for :func:`label_distribution`.

    Returns
    -------
    BinaryProbability
        ``p_lower`` is the listed P(positive), ``p_upper`` is 1 minus the listed P(negative): all other tokens may still
        lead to either answer. ``p_normalized`` is P(positive) / (P(positive) + P(negative)); read it together with the
        mass that supports it.

    Raises
    ------
    ValueError
        As :func:`label_distribution`.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import binary_probability
    >>> top = [{"token": "Yes", "logprob": log(0.7)}, {"token": "No", "logprob": log(0.2)}]
    >>> result = binary_probability(top, "yes", "no")
    >>> round(result.p_lower, 3), round(result.p_upper, 3), round(result.p_normalized, 3)
    (0.7, 0.8, 0.778)
    """
    sides = {
        "positive": [positive] if isinstance(positive, str) else list(positive),
        "negative": [negative] if isinstance(negative, str) else list(negative),
    }
    result = label_distribution(
        top_logprobs, sides, sampled=sampled, vocab_size=vocab_size, sentinels=sentinels, rounding=rounding
    )
    yes, no = result.lower["positive"], result.lower["negative"]
    if yes == no == 0:
        return BinaryProbability(0.0, 1.0, None, None)
    odds = math.inf if no == 0 else -math.inf if yes == 0 else math.log(yes) - math.log(no)
    return BinaryProbability(yes, 1.0 - no, yes / (yes + no), odds)


def expected_score(
    top_logprobs: Iterable[Any],
    scores: Sequence[float] | Mapping[str, float],
    *,
    sampled: Mapping[str, Any] | None = None,
    vocab_size: int | None = None,
    sentinels: Sequence[float] = SENTINELS,
    single_tokens: bool = False,
    rounding: float | None = None,
) -> ExpectedScore:
    """Return the mean of a score that a model gives as a token, over all listed scores.

    Parameters
    ----------
    top_logprobs
        Alternatives: dicts with ``token`` and ``logprob`` (nats).
    scores
        The possible scores as numbers, or a dict from the text that the model writes to the number it means.
    sampled, vocab_size, sentinels, single_tokens, rounding
        As for :func:`label_distribution`.

    Returns
    -------
    ExpectedScore
        ``mean`` is over the settled scores. A token that may become several scores ("1" of 1 and 10) is slack, anywhere
        between the least and the greatest score.

    Raises
    ------
    LogprobError
        If none of the scores is among the alternatives, so that there is no mean.
    ValueError
        As :func:`label_distribution`.

    References
    ----------
    Y. Liu et al., "G-Eval", 2023, equation 1, without the bounds.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import expected_score
    >>> top = [{"token": "4", "logprob": log(0.6)}, {"token": "5", "logprob": log(0.3)}]
    >>> result = expected_score(top, range(1, 6))
    >>> round(result.mean, 3), round(result.lower, 3), round(result.upper, 3)
    (4.333, 4.0, 4.4)
    """
    values = (
        {text: number(score, f"scores[{text!r}]") for text, score in scores.items()}
        if isinstance(scores, Mapping)
        else {_score_text(score): score for score in (number(score, "scores") for score in scores)}
    )
    for text, score in values.items():
        if math.isinf(score):
            raise invalid_argument(f"scores[{text!r}]", score, "finite")
    result, most_open = _read_token(
        top_logprobs,
        shared_labels(list(values), single_tokens=single_tokens),
        sampled=sampled,
        vocab_size=vocab_size,
        sentinels=sentinels,
        rounding=rounding,
    )
    matched = result.matched_mass
    if matched == 0:
        raise LogprobError(
            f"None of the scores {', '.join(values)} is among the alternatives, so there is no expected score: look at "
            "another token, or ask for more top_logprobs."
        )
    p = np.array([result.lower[text] for text in values])
    s = np.array(list(values.values()))
    total = math.fsum((s * p).tolist())
    mean = total / matched
    variance = math.fsum((p * (s - mean) ** 2).tolist()) / matched
    slack = math.fsum((most_open, result.partial_mass, result.transparent_mass))
    return ExpectedScore(
        mean,
        variance,
        math.sqrt(variance),
        matched,
        slack,
        (total + float(s.min()) * slack) / (matched + slack),
        (total + float(s.max()) * slack) / (matched + slack),
    )


def _score_text(score: float) -> str:
    """Return a number as a model writes it: 4 rather than 4.0."""
    return str(int(score)) if float(score).is_integer() else repr(float(score))
