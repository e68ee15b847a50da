"""Find tables that contradict themselves: their numbers cannot all be right."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...logprobs.columns import Floats, Ints
from ...logprobs.table import Logprobs
from ...logprobs.values import ROUNDING

REPEATED = "the server listed some tokens twice; each is counted once"
"""Note on a table from whose lists repeated tokens were removed."""

# A sum of probabilities may exceed 1 by as much as the rounding of coarse servers explains.
_MOST = 1.01


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
    chosen, chosen_logprob, alternative, alternative_logprob, offsets = table.columns
    if not len(alternative) or _is_plausible(chosen, chosen_logprob, alternative, alternative_logprob, offsets):
        return None
    texts, own, listed = table.vocabulary.texts, _known(chosen_logprob), _known(alternative_logprob)
    for row, (start, stop) in enumerate(pairwise(offsets.tolist())):
        total = float(listed[start:stop].sum())
        text = texts[chosen[row]]
        if stop > start and all(texts[other] != text for other in alternative[start:stop]):
            total += float(own[row])
        if total > _MOST:
            return f"the known probabilities of token {row} add up to {total:.2f}: its list cannot be right"
    return None


def _is_plausible(
    chosen: Ints, chosen_logprob: Floats, alternative: Ints, alternative_logprob: Floats, offsets: Ints
) -> bool:
    """Return True where a quick look at the columns of many replies finds nothing that needs a search."""
    starts = offsets[:-1]
    if starts[-1] == offsets[-1]:
        return False
    with np.errstate(over="ignore"):
        # An empty list gets the first number of the next one, which a search then puts right.
        sums = np.add.reduceat(np.exp(alternative_logprob), starts)
        # Nearly always the chosen token is the first of its list.
        is_other = chosen != alternative[starts]
        if is_other.any():
            sums[is_other] += np.exp(chosen_logprob[is_other])
    return bool((sums <= _MOST).all())  # False for NaN


def _known(logprobs: Floats) -> Floats:
    """Return probabilities, 0 where they are not known."""
    probabilities = np.exp(np.minimum(logprobs, 1.0))
    probabilities[~(probabilities <= 1 + ROUNDING)] = 0.0  # also NaN
    return probabilities
