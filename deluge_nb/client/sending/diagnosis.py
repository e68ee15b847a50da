"""Diagnose the reply to a request for log-probabilities: refused, silently dropped, degenerate, or fine.

Each case has its own message. The registry remembers it for the session.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import DelugeError, LogprobsNotSupportedError
from ...models import REGISTRY
from ...models.observations import Outcome, requested_features

if TYPE_CHECKING:
    from ...dialects.base import Ask, Completion
    from ...logprobs.table import Logprobs

# Some servers answer 403 to a request for log-probabilities although the key is valid.
_REFUSING = frozenset({400, 403, 404, 422})
_REFUSAL = re.compile(r"log[\s_-]?prob|top_n_tokens|n_probs|\b3051\b", re.IGNORECASE)
# "invalid type: integer `5`, expected a boolean"
_WANTS_BOOLEAN = re.compile(
    r"integer[^.]*expected[^.]*bool|must be[^.]*bool|bool[^.]*expected[^.]*integer", re.IGNORECASE
)
# "logprobs is not supported with tools + stream"
_NO_STREAM = re.compile(r"not (?:supported|available|allowed)[^.]*stream", re.IGNORECASE)
# One or two tokens may well be certain; from here on a probability of exactly 1 everywhere is suspicious.
_FEWEST_CERTAIN = 3


def as_refusal(error: DelugeError, ask: Ask) -> DelugeError:
    """Return a refusal of log-probabilities as the error for one; every other error unchanged."""
    status = getattr(error, "status_code", None)
    body = getattr(error, "body", None)
    if not ask.params.logprobs or status not in _REFUSING or not _REFUSAL.search(f"{error} {body}"):
        return error
    _record(ask, "refused")
    return LogprobsNotSupportedError(
        f"{str(error).rstrip('.')}. It refuses log-probabilities here: leave out logprobs=True, or use a model that "
        "gives them, such as 'local'.",
        model=ask.model,
        remedy="leave out logprobs=True",
        alternative="local",
        status_code=status,
        body=body,
    )


def retry_differently(error: DelugeError, ask: Ask) -> Ask | None:
    """Return the request in a form that the server accepts, if its refusal says which; else None.

    Some servers combine log-probabilities with tools, but not in a stream. Some models of a provider take ``logprobs``
    as a number, others as a boolean; that is remembered for the session.
    """
    if not ask.params.logprobs or getattr(error, "status_code", None) != 400:
        return None
    refusal = f"{error} {getattr(error, 'body', None)}"
    if ask.stream and _NO_STREAM.search(refusal):
        return replace(ask, stream=False)
    if not ask.endpoint.counted_logprobs or not _WANTS_BOOLEAN.search(refusal):
        return None
    REGISTRY.observations.record_boolean_logprobs(ask.endpoint, ask.model)
    return replace(ask, endpoint=replace(ask.endpoint, counted_logprobs=False))


def missing_notes(completion: Completion, ask: Ask) -> list[str]:
    """Return what is wrong with the log-probabilities of an answer, as sentences for its note."""
    table = completion.logprobs
    if table is None and completion.tool_calls:
        return ["log-probabilities cover text, and this answer is a tool call"]
    if table is None:
        _record(ask, "dropped")
        return [f"{ask.model!r} sent none"]
    fault = _degenerate(table, completion, ask)
    _record(ask, "degenerate" if fault else "fine")
    return [fault] if fault else []


def _record(ask: Ask, outcome: Outcome) -> None:
    features = requested_features(tools=bool(ask.tools), output_schema=ask.output_schema is not None)
    REGISTRY.observations.record(ask.endpoint, ask.model, ask.params, outcome, features)


def _degenerate(table: Logprobs, completion: Completion, ask: Ask) -> str | None:
    if not len(table):
        return f"{ask.model!r} sent an empty list of log-probabilities" if completion.text else None
    requested, most = ask.params.top_logprobs or 0, table.most_alternatives
    if requested > 1 and most <= 1:
        few = "one alternative" if most else "no alternatives"
        return f"{ask.model!r} gave {few} per token where {requested} were requested"
    if len(table) >= _FEWEST_CERTAIN and not table.logprob.any() and most <= 1:
        return f"{ask.model!r} gave every token a probability of exactly 1: these numbers say nothing"
    return None
