"""The known tokens of one position: its list of alternatives and the token that was drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...logprobs.values import SENTINELS
from ..core.records import Result
from ..core.validation import Alternative, read_alternative, read_alternatives


@dataclass(frozen=True, slots=True, eq=False)
class ObservedSet(Result):
    """The known tokens of a position.

    ``n`` is their number and ``appended`` is True if the drawn token had to be added to the list. ``cap_logprob`` is
    the least log-probability of the list (nats), which no unlisted token exceeds; None for an empty list.
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
    """Return the number of known tokens at a position, without counting the drawn one twice.

    Parameters
    ----------
    sampled
        The token that was drawn, as a dict with ``token``, ``logprob`` and, if known, ``bytes``; None if unknown. Two
        tokens are the same if their bytes are, or their texts where one has no bytes.
    top_logprobs
        The list of alternatives, of the same form.
    sentinels
        Values that stand for a withheld log-probability; such tokens are left out.

    Returns
    -------
    ObservedSet
        The number of tokens, and the cap (nats) of all others.

    Raises
    ------
    ValueError
        If an entry has no text, or a number is not a log-probability.

    Examples
    --------
    >>> from deluge_nb.stats import observed_set
    >>> top = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]
    >>> observed_set({"token": "z", "logprob": -4.0}, top)
    ObservedSet(n=3, appended=True, cap_logprob=-1.5)
    """
    listed, extra = observe(sampled, top_logprobs, sentinels)
    cap = min((alternative.logprob for alternative in listed), default=None)
    return ObservedSet(len(listed) + (extra is not None), extra is not None, cap)


def observe(
    sampled: Mapping[str, Any] | None, top: Iterable[Any], sentinels: Sequence[float]
) -> tuple[list[Alternative], Alternative | None]:
    """Return the alternatives, and the drawn token if it is known and not among them."""
    listed = read_alternatives(top, sentinels=sentinels)
    if sampled is None:
        return listed, None
    drawn = read_alternative(sampled, "sampled", "sampled", 0)
    if drawn.logprob in sentinels or any(_is_same_token(drawn, alternative) for alternative in listed):
        return listed, None
    return listed, drawn


def _is_same_token(left: Alternative, right: Alternative) -> bool:
    if left.raw is not None and right.raw is not None:
        return left.raw == right.raw
    return left.token == right.token
