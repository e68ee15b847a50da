"""Find tables that contradict themselves: their numbers cannot all be right."""

from __future__ import annotations

from itertools import pairwise
from math import exp

import numpy as np

from ...logprobs.columns import FEW, Floats
from ...logprobs.table import Logprobs
from ...logprobs.values import ROUNDING

REPEATED = "the server listed some tokens twice; each is counted once"
"""Note on a table from whose lists repeated tokens were removed."""

# A sum of probabilities may exceed 1 by as much as the rounding of coarse servers explains.
_MOST = 1.01
# More than single precision rounds such a sum.
_SINGLE = 1e-4


def find_contradiction(table: Logprobs) -> str | None:
    """Return a sentence on the first token whose known probabilities add up to more than 1; None if there is none.

    These are the probabilities of the listed alternatives, and that of the chosen token where it is not among them.

    Examples
    --------
    >>> from deluge_nb import as_logprobs
    >>> from deluge_nb.dialects.reading.contradictions import find_contradiction
    >>> top = [{"token": "A", "logprob": -0.3}, {"token": "B", "logprob": -1.5}]
    >>> rows = [{"token": token, "logprob": -0.3, "top_logprobs": top} for token in ("A", "C")]
    >>> find_contradiction(as_logprobs(rows))
    'the known probabilities of token 1 add up to 1.70: its list cannot be right'
    """
    if _is_plausible(table):
        return None
    chosen, chosen_logprob, alternative, alternative_logprob, offsets = table.columns
    texts, own, listed = table.vocabulary.texts, _known(chosen_logprob), _known(alternative_logprob)
    for row, (start, stop) in enumerate(pairwise(offsets.tolist())):
        total = float(listed[start:stop].sum())
        text = texts[chosen[row]]
        if stop > start and all(texts[other] != text for other in alternative[start:stop]):
            total += float(own[row])
        if total > _MOST:
            return f"the known probabilities of token {row} add up to {total:.2f}: its list cannot be right"
    return None


def _is_plausible(table: Logprobs) -> bool:
    """Return True where a quick look at the columns of many replies finds nothing that needs a search."""
    # As stored, because this runs for every reply.
    chosen, alternative, logprob, offsets = (
        table._chosen,
        table._alternative,
        table._alternative_logprob,
        table._offsets,
    )
    first, last = int(offsets[0]), int(offsets[-1])
    if first == last:
        return True
    if last - first <= FEW:
        few, indices = logprob.tolist(), alternative.tolist()
        for index, own, (start, stop) in zip(
            chosen.tolist(), table._chosen_logprob.tolist(), pairwise(offsets.tolist()), strict=True
        ):
            if not _adds_up(few[start:stop], index in indices[start:stop], own):
                return False
        return True
    starts = offsets[:-1]
    if starts[-1] == last:
        return False
    with np.errstate(over="ignore"):
        # An empty list gets the first number of the next one, which a search then puts right.
        # Single precision is enough, and fast.
        sums = np.add.reduceat(np.exp(logprob[:last].astype(np.float32)), starts)
        # Nearly always the chosen token is the first of its list.
        is_other = chosen != alternative[starts]
        if np.count_nonzero(is_other):
            sums[is_other] += np.exp(table._chosen_logprob[is_other])
    return bool(sums.max() <= _MOST - _SINGLE)  # False for NaN


def _adds_up(listed: list[float], is_listed: bool, own: float) -> bool:
    if not listed:
        return True
    try:
        return sum(map(exp, listed)) + (0.0 if is_listed else exp(own)) <= _MOST  # False for NaN
    except OverflowError:
        return False


def _known(logprobs: Floats) -> Floats:
    """Return probabilities, 0 where they are not known."""
    probabilities = np.exp(np.minimum(logprobs, 1.0))
    probabilities[~(probabilities <= 1 + ROUNDING)] = 0.0  # also NaN
    return probabilities
