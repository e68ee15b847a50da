"""The tokens of one position whose probability is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...logprobs.values import SENTINELS
from ..core.records import Result
from ..core.validation import Alternative, read_alternative, read_alternatives


@dataclass(frozen=True, slots=True, eq=False)
class ObservedSet(Result):
    """How many tokens of a position are known (``n``), whether the sampled one had to be added to the list, and the
    least log-probability of the list (``cap_logprob``, nats; None for an empty list): nothing outside exceeds it.
    """

    n: int
    appended: bool
    cap_logprob: float | None


def observed_set(
    sampled: Mapping[str, Any] | None,
    top_logprobs: Iterable[Any],
    *,
    sentinels: Sequence[float] = SENTINELS,
) -> ObservedSet:
    """Which tokens of a position are known, without counting the sampled one twice.

    Parameters
    ----------
    sampled
        The token that was drawn, as a dict with ``token``, ``logprob`` and, where known, ``bytes``; None if unknown.
        Two tokens are the same when their bytes are, or where one has none, their text.
    top_logprobs
        The list of alternatives, of the same form.
    sentinels
        Values that stand for "not told"; such tokens are left out.

    Raises
    ------
    ValueError
        When an entry has no text, or a number that is no log-probability.
    """
    seen, extra = observe(sampled, top_logprobs, sentinels)
    cap = min((one.logprob for one in seen), default=None)
    return ObservedSet(len(seen) + (extra is not None), extra is not None, cap)


def observe(
    sampled: Mapping[str, Any] | None, top: Iterable[Any], sentinels: Sequence[float]
) -> tuple[list[Alternative], Alternative | None]:
    """The list, and the sampled token where it is known and not in it."""
    seen = read_alternatives(top, sentinels=sentinels)
    if sampled is None:
        return seen, None
    drawn = read_alternative(sampled, "sampled", "sampled", 0)
    if drawn.logprob in sentinels or any(_same(drawn, one) for one in seen):
        return seen, None
    return seen, drawn


def _same(left: Alternative, right: Alternative) -> bool:
    if left.raw is not None and right.raw is not None:
        return left.raw == right.raw
    return left.token == right.token
