"""Log-probabilities that a server returns for a given text, in the same form for all servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...logprobs.columns import Builder
from ...logprobs.table import Logprobs
from ...logprobs.values import rank_key
from ...text.end_tokens import is_end_token
from ..base import Ask
from ..reading.answer import failure
from ..reading.decode import parse_loosely
from ..reading.failures import reports_failure
from ..reading.fitting import as_number
from .boundary import Token


@dataclass(slots=True)
class Reading:
    """Tokens of a text, aligned with it, and those that the server generated after it."""

    tokens: list[Token]
    generated: list[Token]
    begin: int
    """Byte of the aligned text where the given text begins."""
    text: str
    """The aligned text."""
    usage: Mapping[str, Any] | None = None
    model: str | None = None
    notes: list[str] = field(default_factory=list)


def width_of(ask: Ask) -> int:
    """Return the number of alternatives to request; with 0 some servers return no log-probabilities at all."""
    return max(1, ask.params.top_logprobs or 0)


def reply_of(ask: Ask, body: bytes) -> dict[str, Any]:
    """Return the body of a reply as a dict.

    Raises
    ------
    FailedAnswer
        When the body is a failure.
    """
    try:
        reply = parse_loosely(body)
    except (ValueError, RecursionError):
        reply = None
    # SGLang answers a list to a list.
    reply = reply[0] if isinstance(reply, list) and len(reply) == 1 else reply
    if not isinstance(reply, dict) or reports_failure(reply):
        raise failure(ask.model, body)
    return reply


def first_of(value: Any) -> dict[str, Any]:
    """Return the first entry of a list of objects, or an empty dict."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}


def likeliest(alternatives: Sequence[Token], count: int) -> list[Token]:
    """Return the likeliest alternatives, in order: some servers add the text's own token to them."""
    return sorted(alternatives, key=lambda token: rank_key(token.logprob), reverse=True)[:count]


def number(value: Any) -> float | None:
    """Return a log-probability; None for null and for what is no number."""
    return as_number(value)


def without_first_number(tokens: list[Token]) -> list[Token]:
    """Return the tokens of a whole list of a server, without a number at the first: nothing stands before it.

    Some servers write 0 there, which would be a certain token.
    """
    if tokens and tokens[0].logprob == 0:
        tokens[0].logprob = None
        tokens[0].top.clear()
    return tokens


def add_counts(usage: Mapping[str, Any] | None, more: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the sums of the numbers of two counts of tokens."""
    counts = [value if isinstance(value, Mapping) else {} for value in (usage, more)]
    names = dict.fromkeys(name for count in counts for name in count)
    return {name: sum(n for count in counts if isinstance(n := count.get(name, 0), int)) for name in names}


def end_of(generated: Sequence[Token]) -> Token:
    """Return the row of the token that ends a text: the likeliest such token among the alternatives after the text.

    Its log-probability is None where no such token is listed.
    """
    top = generated[0].top if generated else []
    listed = [token for token in top if not token.text or is_end_token(token.text)]
    best = likeliest(listed, 1)
    return Token("", best[0].logprob if best else None, best[0].id if best else None, b"", top)


def build_table(ask: Ask, rows: Sequence[Token]) -> Logprobs:
    """Return the table of some tokens, with the requested number of alternatives."""
    builder = Builder(ask.vocabulary)
    width = ask.params.top_logprobs or 0
    for row in rows:
        raw = row.known
        text = raw.decode("utf-8", "replace") if isinstance(row.raw, bytes) and raw is not None else row.text
        builder.add_token(text, row.logprob, raw, row.id)
        for other in row.top[:width]:
            builder.add_alternative(other.text, other.logprob, other.known, other.id)
    return Logprobs(builder.vocabulary, *builder.columns(), vocab_size=ask.vocab_size)
