"""Bounds of the probability that an answer begins with a text, from the alternatives at its tokens.

All ways to spell the text count. A token that holds the rest of the text settles it. A token that is a part of the rest
leaves it open, as do the tokens that a server does not list: they count in the upper bound only, unless the answer goes
on with this token, whose own alternatives then decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import LogprobsMissingError
from ..logprobs.extract import alternatives_of
from ..logprobs.values import OTHER_TEXT, is_known, log_sum
from ..stats.core.truncated import ListedMass, read_masses
from ..text.end_tokens import is_end_token
from ..text.partial import UNKNOWN

if TYPE_CHECKING:
    from ..logprobs.table import Logprobs
    from ..response import APIResponse

_ALREADY_DRAWN = (
    "The server gives the first token a probability of exactly 1 and lists no other, as servers do whose numbers are "
    "those after temperature 0; they say nothing about another answer."
)
_CERTAIN = ListedMass([], 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Log-probability of an answer in nats: what the numbers say, and the least and the most that it can be.

    ``value`` is NaN where they say nothing.
    """

    value: float
    low: float
    high: float

    def minus(self, other: Likelihood) -> Likelihood:
        """Return the difference from another likelihood, with the least and the most that it can be."""
        return Likelihood(self.value - other.value, _minus(self.low, other.high), _minus(self.high, other.low))


def _minus(left: float, right: float) -> float:
    # Where both are impossible, anything may be said of their ratio.
    return left - right if left > -math.inf or right > -math.inf else math.nan


@dataclass(slots=True)
class _Sums:
    """Logarithms of the probabilities that add up to each number."""

    value: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def add(self, part: str, path: float, probability: float) -> None:
        """Add a probability after a path of tokens to one of the sums."""
        if probability > 0:
            getattr(self, part).append(path + math.log(probability))


def likelihood_of_beginning(response: APIResponse, text: str) -> Likelihood:
    """Return the log-probability that the answer to a prompt begins with a text.

    Parameters
    ----------
    response
        An answer to the prompt, with the alternatives at its tokens.
    text
        The text.

    Raises
    ------
    LogprobsMissingError
        When the response has no log-probabilities that are about this.
    LogprobError
        When a list of alternatives is the top of no distribution.
    """
    table = response.logprobs
    if table is None or not len(table):
        raise LogprobsMissingError(response.note or "The response has no log-probabilities.")
    if not table.matches_text:
        raise LogprobsMissingError(OTHER_TEXT)
    if response.thinking is not None or response.thinking_logprobs is not None:
        raise LogprobsMissingError(
            "The model reasons before it answers, so its numbers are about the answer after one of many reasonings."
        )
    sums = _sum_along(table, text.encode("utf-8", "surrogatepass"))
    value, low, high = (log_sum(terms) for terms in (sums.value, sums.low, sums.high))
    return Likelihood(value if value > -math.inf else math.nan, min(low, 0.0), min(high, 0.0))


def _sum_along(table: Logprobs, rest: bytes) -> _Sums:
    """Return the sums along the tokens of an answer, as long as they spell a text."""
    sums, off = _Sums(), table.rounding or 0.0
    value = low = high = 0.0
    # Once the answer follows a token beyond the list, what is hidden there has been counted.
    is_counted = False
    for row, chosen in enumerate(table.chosen.tolist()):
        listed = [pair for pair in zip(*alternatives_of(table, row), strict=True) if is_known(pair[1])]
        drawn = float(table.logprob[row])
        own = _place(table, row, [token for token, _ in listed])
        if drawn == 0.0 and not any(math.exp(pair[1]) for place, pair in enumerate(listed) if place != own):
            # At temperature 0 some servers report numbers of a distribution that is already this one token.
            if row == 0:
                raise LogprobsMissingError(_ALREADY_DRAWN)
            break
        masses = _masses(table, [logprob for _, logprob in listed], row)
        goes_on = drawn == drawn and _fit(table, chosen, rest) == "open" and bool(_spelling(table, chosen))
        is_hidden = own is None and drawn == drawn and not table.is_listed[row]
        for place, ((token, logprob), least) in enumerate(zip(listed, masses.least, strict=True)):
            fit = _fit(table, token, rest)
            if fit == "settled":
                sums.add("value", value, math.exp(logprob))
                sums.add("low", low, least)
            if fit is not None and not is_counted and not (place == own and goes_on):
                sums.add("high", high, least)
        hidden = masses.most_open
        if is_hidden and _fit(table, chosen, rest) == "settled":
            sums.add("value", value, math.exp(drawn))
            sums.add("low", low, math.exp(drawn - off))
        elif is_hidden and _fit(table, chosen, rest) is None:
            hidden -= math.exp(drawn - off)
        if not is_counted:
            sums.add("high", high, hidden)
        is_counted = is_counted or is_hidden
        if not goes_on:
            return sums
        rest = rest[len(_spelling(table, chosen)) :]
        value, low, high = value + drawn, low + drawn - off, high + min(drawn + off, 0.0)
    if not is_counted:
        sums.add("high", high, 1.0)
    return sums


def _place(table: Logprobs, row: int, tokens: list[int]) -> int | None:
    """Return the place of the drawn token in the list of alternatives; None where it is not there."""
    chosen = int(table.chosen[row])
    if chosen in tokens or not table.is_listed[row]:
        return tokens.index(chosen) if chosen in tokens else None
    text = table.vocabulary.exact_text(chosen)  # another entry of the vocabulary may still be the same token
    return next((place for place, token in enumerate(tokens) if table.vocabulary.exact_text(token) == text), None)


def _masses(table: Logprobs, logprobs: list[float], row: int) -> ListedMass:
    if not logprobs:
        return _CERTAIN
    (masses,) = read_masses([logprobs], [table.rounding], [f"The list of alternatives at token {row}"])
    if isinstance(masses, Exception):
        raise masses
    return masses


def _spelling(table: Logprobs, token: int) -> bytes:
    """Return the bytes of a token; empty where they are not known."""
    text = table.vocabulary.exact_text(token)
    return b"" if UNKNOWN in text else text.encode("utf-8", "surrogateescape")


def _fit(table: Logprobs, token: int, rest: bytes) -> str | None:
    """Return whether a token settles that the rest of a text follows, leaves it open, or excludes it (None)."""
    if is_end_token(table.vocabulary.texts[token]):
        return None
    spelling = _spelling(table, token)
    if spelling.startswith(rest):
        return "settled"
    return "open" if rest.startswith(spelling) else None
