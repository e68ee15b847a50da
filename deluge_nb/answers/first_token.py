"""Classify one response by its tokens and their alternatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import LogprobError
from ..stats.core.validation import Alternative
from ..stats.labels import LabelDistribution, walk_trie
from ..text.matching import Labels
from .results import Classification, failed_result

if TYPE_CHECKING:
    from ..logprobs.table import Logprobs
    from ..response import APIResponse

NO_TOKENS = "The response has no tokens."


def classify_response(response: APIResponse, labels: Labels) -> Classification:
    """Return the probability of each answer, from the alternatives along a response.

    The alternatives at the first token are read; and while the text so far leaves answers open (white space, the first
    piece of a word, a word that may go on), those at the next token, weighted by the probability of the text so far.
    """
    table = response.logprobs
    if table is None or not len(table):
        reason = response.error_message or response.note or NO_TOKENS
        return failed_result(labels.names, reason, [response])
    trie: dict[str, list[Alternative]] = {}
    prefix = ""
    for position, token in enumerate(table.tokens):
        reading = labels.read(prefix)
        if prefix in trie or reading.ended or reading.open == frozenset():
            break
        alternatives = alternatives_at(table, position)
        if not alternatives:
            break
        trie[prefix] = alternatives
        prefix += token
    if not trie:
        return failed_result(labels.names, "The provider withheld the log-probabilities of this answer.", [response])
    try:
        return to_classification(walk_trie(trie, labels, to_the_end=True), [response])
    except LogprobError as error:
        return failed_result(labels.names, str(error), [response])


def alternatives_at(table: Logprobs, position: int) -> list[Alternative]:
    """Return the alternatives at a token, with the chosen token if it is not among them."""
    alternatives = [
        Alternative(entry["token"], float(entry["logprob"]), None)
        for entry, logprob in zip(table.top(position), table.top_logprob(position).tolist(), strict=True)
        if entry["logprob"] is not None and not math.isnan(logprob)
    ]
    row = table[position : position + 1]
    if not row.is_listed[0] and not row.censored[0]:
        alternatives.append(Alternative(row.tokens[0], float(row.logprob[0]), None))
    return alternatives


def to_classification(
    distribution: LabelDistribution, responses: Sequence[APIResponse], shares: dict[str, float] | None = None
) -> Classification:
    """Return the result for a distribution over answers; ``shares`` replace its normalised probabilities."""
    shares = dict(distribution.normalized) if shares is None else shares
    label = max(shares, key=shares.__getitem__) if shares else None
    return Classification(
        label,
        shares[label] if label is not None else None,
        shares,
        distribution.lower,
        distribution.upper,
        distribution.matched_mass,
        distribution.certified and label == distribution.argmax,
        shares,
        responses=tuple(responses),
    )
