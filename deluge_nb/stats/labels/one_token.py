"""The probabilities of labels, and the mean of a score, at one token."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import LogprobError, invalid_argument
from ...logprobs.values import SENTINELS
from ...text.matching import Labels
from ..core.records import Result
from ..core.truncated import listed
from ..core.validation import Alternative, count, number
from ..entropy.observed import observe
from .distribution import LabelDistribution, LabelSet, Tally


@dataclass(frozen=True, slots=True, eq=False)
class BinaryProbability(Result):
    """P(positive): its bounds, its share of the two answers, and ln(p / q); the last two None where neither is
    listed.
    """

    p_lower: float
    p_upper: float
    p_normalized: float | None
    log_odds: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedScore(Result):
    """The mean of a score over the answers that are settled, its variance and standard deviation.

    ``matched_mass`` is their probability, ``slack`` that of all that may still become a score; with it the mean lies
    from ``lower`` to ``upper``.
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
) -> LabelDistribution:
    """The probability of each answer at one token, with what the list leaves open.

    A token settles on an answer when it is spelt like it, or goes on with something that is neither letter nor digit
    ("Yes.", "A)"). It leaves open all answers that it begins ("Polit" of "Politics"), and so does a token that is one
    answer while another goes on from it ("1" of 1 and 10). White space and opening marks leave everything open.

    Parameters
    ----------
    top_logprobs
        The alternatives: dicts with ``token`` and ``logprob`` (nats). Tokens that are listed twice count twice.
    labels
        The answers, or a dict from each to its spellings. Case, white space and opening marks do not count.
    sampled
        The token that was drawn, which is added where the list does not hold it.
    forms_unseen
        How many tokens of the vocabulary that are not listed can be, or begin, an answer: one number for all, or one
        for each. As none is likelier than the least of the list, this bounds their share of the tail.
    vocab_size
        How many tokens the model can choose from, if that is known.
    sentinels
        Values that stand for "not told"; such tokens are left out.

    Raises
    ------
    SettingError
        When there are no answers, one has no spelling, or two cannot be told apart.
    LogprobError
        When nothing is listed, or a number is no log-probability, or all add up to more than 1.

    References
    ----------
    S. Wiegreffe et al., "Increasing Probability Mass on Answer Choices Does Not Always Improve Accuracy", 2023, bound
    the effect of competing surface forms by the mass that matched.
    """
    reader = Labels(labels)
    seen, extra = observe(sampled, top_logprobs, sentinels)
    return distribution_of(seen, extra, reader, forms_unseen, vocab_size)


def distribution_of(
    seen: Sequence[Alternative],
    extra: Alternative | None,
    labels: Labels,
    forms_unseen: int | Mapping[str, int] | None = None,
    vocab_size: int | None = None,
) -> LabelDistribution:
    """The distribution out of alternatives that have been read already."""
    weighed = listed(
        np.array([one.logprob for one in seen]),
        extra=None if extra is None else extra.logprob,
        vocab_size=vocab_size,
    )
    every = [*seen, extra] if extra is not None else seen
    tally = Tally(labels)
    for one, p in zip(every, weighed.p.tolist(), strict=True):
        tally.add(labels.read(one.token), p)
    return tally.settle(weighed.tail, _unseen(forms_unseen, labels, weighed.cap))


def _unseen(forms: int | Mapping[str, int] | None, labels: Labels, cap: float) -> list[float]:
    """The greatest probability that each answer's hidden tokens can have."""
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
) -> BinaryProbability:
    """The probability of the first of two answers.

    Parameters
    ----------
    top_logprobs
        The alternatives: dicts with ``token`` and ``logprob`` (nats).
    positive, negative
        The answers, or the spellings of each.
    sampled, vocab_size, sentinels
        As for :func:`label_distribution`.

    Returns
    -------
    BinaryProbability
        ``p_lower`` is P(positive) as listed and ``p_upper`` 1 - P(negative) as listed: the bounds of "the answer is the
        positive one" if what is neither may still lead to either. ``p_normalized`` is P(positive) / (P(positive) +
        P(negative)): read it together with the mass that supports it.

    Raises
    ------
    ValueError
        As :func:`label_distribution`.
    """
    sides = {
        "positive": [positive] if isinstance(positive, str) else list(positive),
        "negative": [negative] if isinstance(negative, str) else list(negative),
    }
    found = label_distribution(top_logprobs, sides, sampled=sampled, vocab_size=vocab_size, sentinels=sentinels)
    return binary_of(found.lower["positive"], found.lower["negative"])


def binary_of(yes: float, no: float) -> BinaryProbability:
    """The record for two answers of which this much is listed."""
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
) -> ExpectedScore:
    """The mean of a score that a model gives as a token, over all the scores that it weighed.

    Parameters
    ----------
    top_logprobs
        The alternatives: dicts with ``token`` and ``logprob`` (nats).
    scores
        The scores as numbers, or a dict from what the model writes to the number that it means.
    sampled, vocab_size, sentinels
        As for :func:`label_distribution`.

    Returns
    -------
    ExpectedScore
        ``mean`` is over the scores that are settled. Where a token may become several ("1" of 1 and 10) it counts as
        slack, between the least and the greatest score.

    Raises
    ------
    LogprobError
        When none of the scores is among the alternatives: there is then no mean.
    ValueError
        As :func:`label_distribution`.

    References
    ----------
    Y. Liu et al., "G-Eval", 2023, equation 1, without the bounds.
    """
    values = (
        {text: number(score, f"scores[{text!r}]") for text, score in scores.items()}
        if isinstance(scores, Mapping)
        else {_written(score): score for score in (number(one, "scores") for one in scores)}
    )
    for text, score in values.items():
        if math.isinf(score):
            raise invalid_argument(f"scores[{text!r}]", score, "finite")
    found = label_distribution(top_logprobs, list(values), sampled=sampled, vocab_size=vocab_size, sentinels=sentinels)
    matched = found.matched_mass
    if matched == 0:
        raise LogprobError(
            f"None of the scores {', '.join(values)} is among the alternatives, so there is no expected score: look at "
            "another token, or ask for more top_logprobs."
        )
    p = np.array([found.lower[text] for text in values])
    s = np.array(list(values.values()))
    total = math.fsum((s * p).tolist())
    mean = total / matched
    variance = math.fsum((p * (s - mean) ** 2).tolist()) / matched
    slack = math.fsum((found.tail_mass, found.partial_mass, found.transparent_mass))
    return ExpectedScore(
        mean,
        variance,
        math.sqrt(variance),
        matched,
        slack,
        (total + float(s.min()) * slack) / (matched + slack),
        (total + float(s.max()) * slack) / (matched + slack),
    )


def _written(score: float) -> str:
    """A number as a model writes it: 4, not 4.0."""
    return str(int(score)) if float(score).is_integer() else repr(float(score))
