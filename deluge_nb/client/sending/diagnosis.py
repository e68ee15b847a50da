"""Diagnose the reply to a request for log-probabilities: refused, silently dropped, degenerate, or fine.

Each case has its own message. The registry remembers it for the session.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ...dialects.reading.failures import is_filtered
from ...errors import DelugeError, LogprobsNotSupportedError, RequestError
from ...models import REGISTRY
from ...models.observations import Outcome, requested_features
from .refused_fields import (
    exchange_without,
    find_refused,
    first_body,
    is_refusal,
    refusal_text,
    refuses_streaming,
    with_field_named,
)

if TYPE_CHECKING:
    from ...dialects.base import Ask, Completion, Exchange
    from ...logprobs.table import Logprobs

# Some servers answer 403 to a request for log-probabilities although the key is valid.
_REFUSING = frozenset({400, 403, 404, 422})
_REFUSAL = re.compile(r"log[\s_-]?prob|top_n_tokens|n_probs|\b3051\b", re.IGNORECASE)
# "invalid type: integer `5`, expected a boolean"
_WANTS_BOOLEAN = re.compile(
    r"integer[^.]*expected[^.]*bool|must be[^.]*bool|bool[^.]*expected[^.]*integer", re.IGNORECASE
)
# A router that does not pass a route on answers one of these, whatever the request holds.
_NO_ROUTE = frozenset({401, 403, 404, 405, 501})
# One or two tokens may well be certain; from here on a probability of exactly 1 everywhere is suspicious.
_FEWEST_CERTAIN = 3


def as_refusal(error: DelugeError, ask: Ask) -> DelugeError:
    """Return a refusal of log-probabilities as the error for one; every other error unchanged."""
    if _has_answer(error):
        return error
    error = with_field_named(error)
    status = getattr(error, "status_code", None)
    body = getattr(error, "body", None)
    if not ask.params.logprobs or status not in _REFUSING or not _REFUSAL.search(refusal_text(error)):
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

    A field that the user did not set and that the refusal names is left out, or gets its other name; the answer to a
    refused stream comes at once; some models of a provider take ``logprobs`` as a number, others as a boolean. All of
    it is remembered for the session, so that the next request is accepted.
    """
    from ...dialects.base import load

    if not is_refusal(error) or _has_answer(error):
        return None
    observations = REGISTRY.observations
    body = first_body(exchange_without(load(ask.endpoint.dialect).exchange(ask), ask))
    refused = find_refused(error, ask, body)
    if refused is not None:
        field, is_renamed = refused
        observations.record_refused_field(ask.endpoint, ask.model, field, renamed=is_renamed)
        return with_refused_fields(ask)
    if ask.stream and refuses_streaming(error):
        observations.record_refused_stream(ask.endpoint, ask.model, _combination(ask))
        return replace(ask, stream=False)
    if not ask.params.logprobs or not ask.endpoint.counted_logprobs:
        return None
    if not _WANTS_BOOLEAN.search(refusal_text(error)):
        return None
    observations.record_boolean_logprobs(ask.endpoint, ask.model)
    return replace(ask, endpoint=replace(ask.endpoint, counted_logprobs=False))


def with_refused_fields(ask: Ask) -> Ask:
    """Return the request without the fields that its server has refused in this session."""
    if not REGISTRY.observations.has_refused_fields:
        return ask
    left_out, renamed = REGISTRY.observations.refused_fields(ask.endpoint, ask.model)
    stream = ask.stream and not REGISTRY.observations.refuses_stream(ask.endpoint, ask.model, _combination(ask))
    if not left_out and not renamed and stream == ask.stream:
        return ask
    return replace(ask, left_out=left_out, renamed=renamed, stream=stream)


def without_missing_routes(exchange: Exchange, ask: Ask) -> Exchange:
    """Return an exchange that does not send optional requests to routes that the server is known not to have."""
    from ...dialects.base import Request, advance

    observations, request = REGISTRY.observations, next(exchange)
    while True:
        reply: bytes | DelugeError
        if request.is_optional and observations.lacks_route(ask.endpoint, ask.model, request.path):
            reply = RequestError(f"{ask.endpoint.label} has no {request.path}", model=ask.model)
        else:
            try:
                reply = yield request
            except RequestError as error:
                reply = error
                if request.is_optional and error.status_code in _NO_ROUTE:
                    observations.record_missing_route(ask.endpoint, ask.model, request.path)
        result = advance(exchange, reply)
        if not isinstance(result, Request):
            return result
        request = result


def _combination(ask: Ask) -> tuple[str, ...]:
    """Return what a server may refuse to combine with a stream."""
    features = requested_features(tools=bool(ask.tools), output_schema=ask.output_schema is not None)
    return (*features, *["logprobs"] * ask.params.logprobs)


def missing_notes(completion: Completion, ask: Ask) -> list[str]:
    """Return what is wrong with the log-probabilities of an answer, as sentences for its note."""
    table = completion.logprobs
    if table is None and completion.tool_calls:
        return ["log-probabilities cover text, and this answer is a tool call"]
    if table is None and any("logprob" in note or "probabilities" in note for note in completion.notes):
        return []  # a note says which field did not fit
    if table is None:
        _record(ask, "dropped")
        return [f"{ask.model!r} sent none"]
    fault = _degenerate(table, completion, ask)
    _record(ask, "degenerate" if fault else "fine")
    return [fault] if fault else []


def ending_notes(completion: Completion) -> list[str]:
    """Return what is to be known of the way an answer ended, as sentences for its note."""
    if is_filtered(completion.finish_reason):
        return ["the provider's content filter cut the answer off"]
    return []


def _has_answer(error: DelugeError) -> bool:
    """Return whether an answer had begun before it failed: its body has fields of the same names, and refuses none."""
    return getattr(error, "completion", None) is not None


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
    if most <= 1 and len(table) >= _FEWEST_CERTAIN and not table.logprob.any():
        return f"{ask.model!r} gave every token a probability of exactly 1: these numbers say nothing"
    return None
