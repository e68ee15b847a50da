"""How likely each answer of a set is, from the tokens that a model weighed: what is sure, and what may be on top."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import LogprobError, invalid_argument
from ..logprobs.values import SENTINELS
from ..text.matching import Labels, Reading
from .core.records import Result
from .core.truncated import listed
from .core.validation import Alternative, alternatives, between, count, logprobs, number
from .entropy import observe

LabelSet = Mapping[str, Sequence[str]] | Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class LabelDistribution(Result):
    """The probabilities of a set of answers.

    ``lower`` is what is settled on each answer, ``upper`` adds all that may still become it. ``matched_mass`` is the
    sum of ``lower``; ``partial_mass`` stands at tokens that only begin answers (or that two answers begin with),
    ``transparent_mass`` at white space and opening marks, ``other_mass`` at tokens that are none of the answers,
    ``tail_mass`` is not listed: the five add up to 1. ``normalized`` is ``lower`` made to add up to 1, with its own
    bounds (empty where nothing matched), ``entropy`` its entropy in nats. ``certified`` says that ``argmax`` beats
    every other answer whatever is hidden.
    """

    lower: dict[str, float]
    upper: dict[str, float]
    matched_mass: float
    partial_mass: float
    transparent_mass: float
    other_mass: float
    tail_mass: float
    normalized: dict[str, float]
    entropy: float | None
    argmax: str | None
    normalized_lower: dict[str, float]
    normalized_upper: dict[str, float]
    certified: bool


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
class LabelBounds(Result):
    """For each answer the least and the greatest probability that it can have."""

    lower: dict[str, float]
    upper: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityBounds(Result):
    """The least and the greatest value that a probability can have."""

    lower: float
    upper: float


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


class Tally:
    """Probability on its way to a set of answers."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.settled: list[list[float]] = [[] for _ in labels.names]
        self.open: list[tuple[frozenset[int], float]] = []
        self.anything: list[float] = []
        self.other: list[float] = []

    def add(self, reading: Reading, p: float) -> None:
        """Count a token."""
        if reading.label is not None:
            self.settled[reading.label].append(p)
        elif reading.open is None:
            self.anything.append(p)
        elif reading.open:
            self.open.append((reading.open, p))
        else:
            self.other.append(p)

    def settle(self, tail: float, tail_caps: Sequence[float]) -> LabelDistribution:
        """The distribution, given what is not listed and how much of it each answer can have."""
        names = self.labels.names
        lower = [math.fsum(parts) for parts in self.settled]
        transparent = math.fsum(self.anything)
        slack = [
            math.fsum([min(tail, cap), transparent, *(p for among, p in self.open if place in among)])
            for place, cap in enumerate(tail_caps)
        ]
        matched = math.fsum(lower)
        # Slack that an answer's rivals can take; what several of them can take counts once.
        rivals = [
            math.fsum(
                [
                    min(tail, math.fsum(cap for other, cap in enumerate(tail_caps) if other != place)),
                    transparent if len(names) > 1 else 0.0,
                    *(p for among, p in self.open if among - {place}),
                ]
            )
            for place in range(len(names))
        ]
        normalized: dict[str, float] = {}
        least: dict[str, float] = {}
        most: dict[str, float] = {}
        if matched > 0:
            normalized = {name: low / matched for name, low in zip(names, lower, strict=True)}
            least = {name: low / (matched + others) for name, low, others in zip(names, lower, rivals, strict=True)}
            most = {name: (low + own) / (matched + own) for name, low, own in zip(names, lower, slack, strict=True)}
        best = max(range(len(names)), key=lower.__getitem__) if matched > 0 else None
        upper = [min(low + own, 1.0) for low, own in zip(lower, slack, strict=True)]
        return LabelDistribution(
            lower=dict(zip(names, lower, strict=True)),
            upper=dict(zip(names, upper, strict=True)),
            matched_mass=matched,
            partial_mass=math.fsum(p for _, p in self.open),
            transparent_mass=transparent,
            other_mass=math.fsum(self.other),
            tail_mass=tail,
            normalized=normalized,
            entropy=math.fsum(-p * math.log(p) for p in normalized.values() if p > 0) + 0.0 if normalized else None,
            argmax=None if best is None else names[best],
            normalized_lower=least,
            normalized_upper=most,
            certified=best is not None and all(lower[best] > high for place, high in enumerate(upper) if place != best),
        )


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


def trie_label_probability(nodes: Mapping[str, Any], labels: LabelSet) -> LabelBounds:
    """The probability of answers that take several tokens, from the next-token lists at the beginnings of them.

    All ways to spell an answer are added up ("Neg" + "ative" and "Ne" + "gative"). What a list leaves out, and what
    begins an answer without having been followed, may become any answer that goes on from there.

    Parameters
    ----------
    nodes
        From each beginning that was asked about (``""`` is the first) to the log-probabilities of the next tokens, in
        nats: a dict from token to number, or a list of dicts. Beginnings that are settled need none.
    labels
        The answers, or a dict from each to its spellings.

    Raises
    ------
    SettingError
        When there is no list for ``""``, or the answers are no set of answers.
    LogprobError
        When a list is empty or adds up to more than 1, or a number is no log-probability.
    """
    reader = Labels(labels)
    if not isinstance(nodes, Mapping) or "" not in nodes:
        raise invalid_argument("nodes", nodes, "a dict with a list of next tokens for each beginning, '' among them")
    lists = {prefix: alternatives(top, f"nodes[{prefix!r}]") for prefix, top in nodes.items()}
    found = walked(lists, reader)
    return LabelBounds(found.lower, found.upper)


def walked(
    lists: Mapping[str, Sequence[Alternative]], labels: Labels, *, to_the_end: bool = False
) -> LabelDistribution:
    """The distribution over answers of several tokens, from the next-token lists after each beginning.

    With ``to_the_end`` an answer that has not ended is followed like a beginning, where there is a list after it: it
    may go on to another word or number.
    """
    tally = Tally(labels)
    tail = 0.0
    waiting = [("", 1.0)]
    while waiting:
        prefix, reached = waiting.pop()
        node = lists[prefix]
        weighed = listed(np.array([one.logprob for one in node]), where=f"nodes[{prefix!r}]")
        if prefix:
            tally.add(labels.read(prefix), reached * weighed.tail)
        else:
            tail = weighed.tail
        for one, p in zip(node, weighed.p.tolist(), strict=True):
            text, through = prefix + one.token, reached * p
            reading = labels.read(text)
            follow = reading.is_undecided or (to_the_end and reading.label is not None and not reading.ended)
            if follow and text in lists and one.token and through > 0:
                waiting.append((text, through))
            else:
                tally.add(reading, through)
    return tally.settle(tail, [math.inf] * len(labels))


def total_probability(branches: Iterable[Mapping[str, Any]], unexplored: bool = True) -> ProbabilityBounds:
    """The law of total probability over the branches that were looked at: the sum of P(x) P(y | x).

    Parameters
    ----------
    branches
        For each x a dict with its ``logprob`` (nats) and ``p_given``, the probability of y after it, or the pair of its
        bounds. The branches exclude each other.
    unexplored
        Whether other branches exist: all that these leave then counts towards the upper bound.

    Raises
    ------
    ValueError
        When a number is none of its kind, or the branches add up to more than 1.
    """
    weights: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for position, branch in enumerate(branches):
        where = f"branches[{position}]"
        if not isinstance(branch, Mapping) or "logprob" not in branch or "p_given" not in branch:
            raise invalid_argument(where, branch, "a dict with 'logprob' and 'p_given'")
        given = branch["p_given"]
        pair = given if isinstance(given, tuple | list) else (given, given)
        if len(pair) != 2:
            raise invalid_argument(
                f"{where}['p_given']", given, "a probability, or the lower and the upper bound of one"
            )
        least, most = (between(one, f"{where}['p_given']", 0, 1) for one in pair)
        if least > most:
            raise invalid_argument(f"{where}['p_given']", given, "the lower and then the upper bound of a probability")
        weights.append(float(logprobs([branch["logprob"]], f"{where}['logprob']")[0]))
        low.append(least)
        high.append(most)
    if not weights:
        return ProbabilityBounds(0.0, 1.0 if unexplored else 0.0)
    weighed = listed(np.array(weights), true_topk=False, where="branches")
    p = weighed.p
    rest = weighed.tail if unexplored else 0.0
    return ProbabilityBounds(math.fsum((p * low).tolist()), min(math.fsum([*(p * high).tolist(), rest]), 1.0))


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
