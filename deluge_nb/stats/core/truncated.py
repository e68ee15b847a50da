"""Truncated distributions: the listed probability of a top-k list, and limits of the unlisted rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...errors import InconsistentTopKError, LogprobError, SettingError
from ...logprobs.columns import Floats
from ...logprobs.values import log_sum
from .validation import MASS_TOLERANCE, count, mass_error

_ULP = 2.0**-52


@dataclass(frozen=True, slots=True)
class TruncatedDistribution:
    """The known part of one distribution.

    ``logprob`` are natural logarithms, rescaled if they exceeded 1 by no more than rounding. ``tail`` is the
    probability of all unlisted tokens. ``cap`` is the least listed probability, which no unlisted token exceeds; 1 if
    the list is not the top of the distribution.
    """

    logprob: Floats
    tail: float
    cap: float

    @property
    def p(self) -> Floats:
        """The listed probabilities."""
        return np.exp(self.logprob)

    @property
    def mass(self) -> float:
        """The total listed probability."""
        return 1.0 - self.tail

    @property
    def full(self) -> float:
        """The number of unlisted tokens that can be as likely as the cap."""
        return tokens_at_cap(self.tail, self.cap)

    @property
    def remainder(self) -> float:
        """The probability that these leave for one more token."""
        return max(self.tail - self.full * self.cap, 0.0)


def tokens_at_cap(tail: float, cap: float) -> float:
    """Return the number of times that a cap fits into a tail.

    A quotient just below a whole number because of rounding counts as that number.
    """
    return math.floor(tail / cap * (1 + 1e-13)) if cap > 0 else 0.0


def read_truncated(
    logprob: Floats,
    *,
    extra: float | None = None,
    vocab_size: int | None = None,
    true_topk: bool = True,
    where: str = "top_logprobs",
) -> TruncatedDistribution:
    """Return the distribution that a list is the top of; raise an error for a list that cannot be one.

    ``extra`` is the log-probability of a token outside the list: it is known, but not a cap of the others.
    """
    known = logprob if extra is None else np.append(logprob, extra)
    if not len(known):
        raise LogprobError(f"{where} is empty: nothing is known of this position.")
    total = log_sum(known)
    tail = -math.expm1(total)
    # A tail within the last bit of each number is rounding.
    finite = known[known > -np.inf]
    p = np.exp(finite)
    if abs(tail) <= _ULP * (float((p * -finite).sum()) + 1.0 - float(p.max(initial=0.0))):
        tail = 0.0
    if tail < -MASS_TOLERANCE:
        raise mass_error(math.exp(total), where)
    if tail < 0:
        known, tail = known - total, 0.0
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    hidden = math.inf if size is None else size - len(known)
    if hidden < 0:
        raise SettingError(
            f"vocab_size must be at least the number of listed tokens, {len(known)}, not {size}.",
            setting="vocab_size",
            value=size,
        )
    cap = math.exp(min(float(logprob.min()), 0.0)) if true_topk and len(logprob) else 1.0
    room = hidden * cap if cap > 0 else 0.0
    if tail > room:
        if tail > room + MASS_TOLERANCE:
            raise InconsistentTopKError(_misfit_message(where, tail, cap, hidden), value=tail)
        if hidden == 0 or cap == 0:
            known = known - total
            tail = 0.0
        else:
            tail = room
    return TruncatedDistribution(known, tail, cap)


def _misfit_message(where: str, tail: float, cap: float, hidden: float) -> str:
    if hidden == 0:
        return (
            f"{where} names the whole vocabulary, and its probabilities miss {tail:.6g} of 1: is vocab_size too small?"
        )
    unlisted = "the" if math.isinf(hidden) else f"{hidden:.0f}"
    return (
        f"{where} cannot be the likeliest tokens: they leave {tail:.6g} to {unlisted} unlisted "
        f"token{'' if hidden == 1 else 's'} of at most {cap:.6g} each. Is vocab_size too small, or the list cut (then "
        "pass top_is_true_topk=False)?"
    )
