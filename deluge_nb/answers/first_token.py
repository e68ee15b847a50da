"""What the tokens of one answer, and those that were weighed beside them, say of a set of answers."""

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


def classify_response(response: APIResponse, labels: Labels) -> Classification:
    """What the tokens of an answer settle, and what those beside them do.

    The alternatives at the first token, and, as long as what was said so far leaves answers open (white space, the
    first piece of a word, a word that may go on), those at the next: each weighed by the probability of what leads
    there.
    """
    table = response.logprobs
    if table is None or not len(table):
        reason = response.error_message or response.note or "The answer has no tokens to look at."
        return failed_result(labels.names, reason, [response])
    nodes: dict[str, list[Alternative]] = {}
    said = ""
    for position, token in enumerate(table.tokens):
        reading = labels.read(said)
        if said in nodes or reading.ended or reading.open == frozenset():
            break
        nodes[said] = alternatives_at(table, position)
        if not nodes[said]:
            del nodes[said]
            break
        said += token
    if not nodes:
        return failed_result(labels.names, "The provider withheld the log-probabilities of this answer.", [response])
    try:
        return to_classification(walk_trie(nodes, labels, to_the_end=True), [response])
    except LogprobError as error:
        return failed_result(labels.names, str(error), [response])


def alternatives_at(table: Logprobs, position: int) -> list[Alternative]:
    """The alternatives at a token, and the token itself where they do not hold it."""
    found = [
        Alternative(one["token"], float(one["logprob"]), None)
        for one, logprob in zip(table.top(position), table.top_logprob(position).tolist(), strict=True)
        if one["logprob"] is not None and not math.isnan(logprob)
    ]
    row = table[position : position + 1]
    if not row.is_listed[0] and not row.censored[0]:
        found.append(Alternative(row.tokens[0], float(row.logprob[0]), None))
    return found


def to_classification(
    found: LabelDistribution, responses: Sequence[APIResponse], shares: dict[str, float] | None = None
) -> Classification:
    """The result that a distribution over answers amounts to."""
    shares = dict(found.normalized) if shares is None else shares
    label = max(shares, key=shares.__getitem__) if shares else None
    return Classification(
        label,
        shares[label] if label is not None else None,
        shares,
        found.lower,
        found.upper,
        found.matched_mass,
        found.certified and label == found.argmax,
        shares,
        responses=tuple(responses),
    )
