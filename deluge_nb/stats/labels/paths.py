"""Probabilities along several tokens: a trie of the beginnings of answers, and the law of total probability."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import invalid_argument
from ...text.matching import Labels, shared_labels
from ...text.partial import exact_text, join
from ..core.records import Ends
from ..core.truncated import ListedMass, read_masses, read_truncated
from ..core.validation import Alternative, between, read_alternatives, read_logprobs
from .distribution import LabelDistribution, LabelMass, LabelSet

# Cached, because tokens repeat.
_exact_text = lru_cache(maxsize=1 << 14)(exact_text)


@dataclass(frozen=True, slots=True, eq=False)
class LabelBounds(Ends):
    """The least and the greatest probability that each answer can have; ``lower, upper = bounds`` unpacks them."""

    lower: dict[str, float]
    upper: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityBounds(Ends):
    """The least and the greatest value that a probability can have; ``lower, upper = bounds`` unpacks them."""

    lower: float
    upper: float


def trie_label_probability(nodes: Mapping[str, Any], labels: LabelSet, *, rounding: float | None = None) -> LabelBounds:
    """Return the probability of answers of several tokens, from the next-token lists after their beginnings.

    All ways to spell an answer are added up ("Neg" + "ative" and "Ne" + "gative"). Probability that a list leaves out,
    or that is on a beginning without a list of its own, may become any answer that continues from there.

    Parameters
    ----------
    nodes
        The log-probabilities (nats) of the next tokens after each beginning: a dict from token to number, or a list of
        dicts. ``""`` is the first beginning. A text that settles on an answer needs no list.
    labels
        The answers, or a dict from each answer to its spellings.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`.

    Returns
    -------
    LabelBounds
        Probabilities between 0 and 1, by answer.

    Raises
    ------
    SettingError
        If there is no list for ``""``, or the answers are not a set of answers.
    LogprobError
        If a list is empty or adds up to more than 1, or a number is not a log-probability.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import trie_label_probability
    >>> nodes = {"": {"Pos": log(0.5), "Neg": log(0.4)}, "Neg": {"ative": log(0.95)}}
    >>> bounds = trie_label_probability(nodes, ["positive", "negative"])
    >>> round(bounds.lower["negative"], 3), round(bounds.upper["negative"], 3)
    (0.38, 0.5)
    """
    reader = shared_labels(labels)
    if not isinstance(nodes, Mapping) or "" not in nodes:
        raise invalid_argument("nodes", nodes, "a dict with a list of next tokens for each beginning, '' among them")
    lists = {exact_text(prefix): read_alternatives(top, f"nodes[{prefix!r}]") for prefix, top in nodes.items()}
    result = walk_trie(lists, reader, rounding=rounding)
    return LabelBounds(result.lower, result.upper)


def walk_trie(
    lists: Mapping[str, Sequence[Alternative]],
    labels: Labels,
    *,
    to_the_end: bool = False,
    answers_end: Container[str] = (),
    rounding: float | None = None,
    masses: Mapping[str, ListedMass | Exception] | None = None,
) -> LabelDistribution:
    """Return the distribution over answers of several tokens, from the next-token lists after each beginning.

    Parameters
    ----------
    lists
        The alternatives after each beginning, ``""`` for the first; with the bytes of unfinished characters as lone
        surrogates.
    labels
        The answers.
    to_the_end
        Whether an answer that may still continue to another word or number is followed too, if there is a list after
        it.
    answers_end
        Beginnings after which a text that spells an answer is attributed to it, although another answer goes on from it
        ("1" of 1 and 10).
    rounding
        By how much a log-probability may be off; see :mod:`deluge_nb.logprobs.rounding`.
    masses
        Masses of the lists, as :func:`masses_of` returns them; None to call it here.

    Raises
    ------
    LogprobError
        If a list that is reached cannot be the likeliest tokens.
    """
    if masses is None:
        (masses,) = masses_of([(lists, rounding)])
    mass = LabelMass(labels)
    tail = most_open = 0.0
    waiting, has_more = [("", 1.0)], len(lists) > 1
    while waiting:
        prefix, reached = waiting.pop()
        node = lists[prefix]
        seen = masses[prefix]
        if isinstance(seen, Exception):
            raise seen
        attribute = prefix in answers_end
        if prefix:
            mass.add(labels.read(prefix), reached * seen.most_open, attribute_equal=attribute)
        else:
            tail, most_open = seen.open_mass, seen.most_open
        for alternative, p in zip(node, seen.least, strict=True):
            token, through = _exact_text(alternative.token, alternative.raw), reached * p
            reading = labels.read_after(prefix, token) if prefix else labels.read(token)
            if has_more and token and through > 0:
                follow = reading.is_undecided or (to_the_end and reading.label is not None and not reading.ended)
                text = join(prefix, token)
                if follow and text in lists:
                    waiting.append((text, through))
                    continue
            mass.add(reading, through, attribute_equal=attribute)
    return mass.to_distribution(tail, [math.inf] * len(labels), most_open=most_open)


def masses_of(
    tries: Sequence[tuple[Mapping[str, Sequence[Alternative]], float | None]],
) -> list[dict[str, ListedMass | Exception]]:
    """Return the masses of each list of several tries, or the error for a list that is the top of no distribution.

    All are read at once: lists are short, and thousands of them have the same length.

    Parameters
    ----------
    tries
        The lists of each trie by the beginnings before them, and by how much their numbers may be off.
    """
    entries = [(lists, prefix, rounding) for lists, rounding in tries for prefix in lists]
    found = iter(
        read_masses(
            [[alternative.logprob for alternative in lists[prefix]] for lists, prefix, _ in entries],
            [rounding for _, _, rounding in entries],
            [f"nodes[{prefix!r}]" for _, prefix, _ in entries],
        )
    )
    return [{prefix: next(found) for prefix in lists} for lists, _ in tries]


def total_probability(
    branches: Iterable[Mapping[str, Any]], unexplored: bool = True, *, rounding: float | None = None
) -> ProbabilityBounds:
    """Return the law of total probability over explored branches: the sum of P(x) P(y | x).

    Parameters
    ----------
    branches
        For each x a dict with its ``logprob`` (nats) and ``p_given``: P(y | x), or a pair with its lower and upper
        bound. The branches exclude each other.
    unexplored
        Whether other branches exist. If so, their probability counts towards the upper bound.
    rounding
        As for :func:`deluge_nb.stats.entropy_bounds`.

    Returns
    -------
    ProbabilityBounds
        The least and the greatest value of P(y).

    Raises
    ------
    ValueError
        If a number is not a probability or log-probability, or the branches add up to more than 1.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import total_probability
    >>> branches = [{"logprob": log(0.6), "p_given": 0.5}, {"logprob": log(0.3), "p_given": (0.8, 1.0)}]
    >>> bounds = total_probability(branches)
    >>> round(bounds.lower, 3), round(bounds.upper, 3)
    (0.54, 0.7)
    """
    weights: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for position, branch in enumerate(branches):
        where = f"branches[{position}]"
        if not isinstance(branch, Mapping) or "logprob" not in branch or "p_given" not in branch:
            raise invalid_argument(where, branch, "a dict with 'logprob' and 'p_given'")
        p_given = branch["p_given"]
        pair = p_given if isinstance(p_given, tuple | list) else (p_given, p_given)
        if len(pair) != 2:
            raise invalid_argument(
                f"{where}['p_given']", p_given, "a probability, or the lower and the upper bound of one"
            )
        least, most = (between(bound, f"{where}['p_given']", 0, 1) for bound in pair)
        if least > most:
            raise invalid_argument(
                f"{where}['p_given']", p_given, "the lower and then the upper bound of a probability"
            )
        weights.append(float(read_logprobs([branch["logprob"]], f"{where}['logprob']")[0]))
        low.append(least)
        high.append(most)
    if not weights:
        return ProbabilityBounds(0.0, 1.0 if unexplored else 0.0)
    seen = read_truncated(np.array(weights), true_topk=False, rounding=rounding, where="branches")
    most, rest = (seen.least, seen.most_open) if unexplored else (seen.most, 0.0)
    return ProbabilityBounds(
        math.fsum((seen.least * low).tolist()), min(math.fsum([*(most * high).tolist(), rest]), 1.0)
    )
