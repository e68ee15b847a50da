"""The first divergence of two responses, and bounds on the distance of their distributions at a position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import SettingError
from ..logprobs.alignment import Alignment, common_prefix_length, distribution_at, token_label
from ..logprobs.rounding import coarser
from ..stats.samples import Divergences, divergence_lower_bounds


@dataclass(frozen=True)
class FirstDivergence:
    """The position at which the texts of two responses begin to differ.

    Parameters
    ----------
    span
        The row in ``compare.spans``.
    a, b
        The positions of the first tokens that differ, in the first and in the other response.
    a_token, b_token
        The labels of these tokens; None past the end of a text.
    divergence
        Lower bounds on the distance of the two distributions there; None where the tokens before are not the same, or
        too little of the distributions is known.
    """

    span: int
    a: int
    b: int
    a_token: str | None
    b_token: str | None
    divergence: Divergences | None


def first_divergence(alignment: Alignment, other: int) -> FirstDivergence | None:
    """Return the first divergence of the first response and another; None where their texts are the same."""
    pair = alignment.pairs[other - 1]
    different = np.flatnonzero(~pair.common)
    if not len(different):
        return None
    row = int(different[0])
    a, b = int(pair.a_start[row]), int(pair.b_start[row])
    left, right = alignment.tables[0], alignment.tables[other]
    # A span begins at a whole word, whose first tokens may be the same in both.
    for ours, theirs in zip(left.token_bytes[a:], right.token_bytes[b:], strict=False):
        if ours != theirs:
            break
        a, b = a + 1, b + 1
    rows_before = sum(len(pair) for pair in alignment.pairs[: other - 1])
    divergence = _divergence_if_known(alignment, a, b, other)
    return FirstDivergence(rows_before + row, a, b, token_label(left, a), token_label(right, b), divergence)


def divergence_at(alignment: Alignment, position: int, other: int) -> Divergences:
    """Return lower bounds on the distance of two responses' distributions at a position.

    Raises
    ------
    SettingError
        When the tokens before the position are not the same in both, or one has no token there.
    """
    left, right = alignment.tables[0], alignment.tables[other]
    last = min(common_prefix_length(left, right), len(left) - 1, len(right) - 1)
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position <= last:
        raise SettingError(
            f"position must be from 0 to {last}, where both responses have a token after the same tokens, "
            f"not {position!r}.",
            setting="position",
            value=position,
        )
    rounding = coarser(left.rounding, right.rounding)
    return divergence_lower_bounds(distribution_at(left, position), distribution_at(right, position), rounding=rounding)


def _divergence_if_known(alignment: Alignment, a: int, b: int, other: int) -> Divergences | None:
    left, right = alignment.tables[0], alignment.tables[other]
    if a != b or common_prefix_length(left, right) < a or a >= min(len(left), len(right)):
        return None
    try:
        return divergence_at(alignment, a, other)
    except ValueError:  # The alternatives are not those of a distribution.
        return None
