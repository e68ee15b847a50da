"""How much of a distribution a list accounts for, and what that says of the rest."""

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

    ``logprob`` are natural logarithms (rescaled where they exceeded 1 by no more than rounding), ``tail`` the
    probability of all that is not listed, ``cap`` the least probability of the list, which nothing outside it exceeds
    (1 where there is no such promise).
    """

    logprob: Floats
    tail: float
    cap: float
    clamped: bool

    @property
    def p(self) -> Floats:
        """The probabilities."""
        return np.exp(self.logprob)

    @property
    def mass(self) -> float:
        """The probability of all that is listed."""
        return 1.0 - self.tail

    @property
    def full(self) -> float:
        """How many tokens outside the list can be as likely as the least likely one in it."""
        return tokens_at_cap(self.tail, self.cap)

    @property
    def remainder(self) -> float:
        """What then remains for one more."""
        return max(self.tail - self.full * self.cap, 0.0)


def tokens_at_cap(tail: float, cap: float) -> float:
    """How many times a cap goes into a tail; a quotient that rounding left a hair below a whole number is that
    number.
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
    """Weigh a list of alternatives, and refuse one that cannot be what it is said to be.

    ``extra`` is the log-probability of a token outside the list; it counts, but caps nothing.
    """
    known = logprob if extra is None else np.append(logprob, extra)
    if not len(known):
        raise LogprobError(f"{where} is empty: nothing is known of this position.")
    total = log_sum(known)
    tail = -math.expm1(total)
    # What the last bit of each number amounts to is no probability.
    finite = known[known > -np.inf]
    p = np.exp(finite)
    if abs(tail) <= _ULP * (float((p * -finite).sum()) + 1.0 - float(p.max(initial=0.0))):
        tail = 0.0
    clamped = tail < 0
    if tail < -MASS_TOLERANCE:
        raise mass_error(math.exp(total), where)
    if clamped:
        known, tail = known - total, 0.0
    size = None if vocab_size is None else count(vocab_size, "vocab_size", 1)
    hidden = math.inf if size is None else size - len(known)
    if hidden < 0:
        raise SettingError(
            f"vocab_size must be at least the number of tokens that are listed, {len(known)}, not {size}.",
            setting="vocab_size",
            value=size,
        )
    cap = math.exp(min(float(logprob.min()), 0.0)) if true_topk and len(logprob) else 1.0
    room = hidden * cap if cap > 0 else 0.0
    if tail > room:
        if tail > room + MASS_TOLERANCE:
            raise InconsistentTopKError(_cannot_fit(where, tail, cap, hidden), value=tail)
        if hidden == 0 or cap == 0:
            known = known - total
            tail = 0.0
        else:
            tail = room
    return TruncatedDistribution(known, tail, cap, clamped)


def _cannot_fit(where: str, tail: float, cap: float, hidden: float) -> str:
    if hidden == 0:
        return (
            f"{where} names the whole vocabulary, and its probabilities miss {tail:.6g} of 1: is vocab_size too small?"
        )
    among = "the tokens" if math.isinf(hidden) else f"the {hidden:.0f} tokens"
    return (
        f"{where} cannot be the likeliest tokens: they leave {tail:.6g} to {among} that are not listed, none of which "
        f"may exceed {cap:.6g}. Is vocab_size too small, or the list cut (then say top_is_true_topk=False)?"
    )
