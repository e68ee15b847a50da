"""Probabilities along several tokens: a trie of label spellings, and the law of total probability."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import invalid_argument
from ...text.matching import Labels
from ..core.records import Result
from ..core.truncated import listed
from ..core.validation import Alternative, alternatives, between, logprobs
from .distribution import LabelDistribution, LabelSet, Tally


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
