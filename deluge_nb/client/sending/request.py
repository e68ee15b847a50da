"""The steps of one request: build it, look in the cache, send it, turn the completion or the failure into a response.

:class:`~deluge_nb.client.sending.batch.Batch` runs them in this order. Each step works alone; none knows of other
prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ...errors import DelugeError, RequestError
from ...memo import remember_last
from ...models import REGISTRY
from ...printable import printable
from ...prompts import Prompt
from ...response import APIResponse
from ...sampling import SamplingParams, requested_choices
from ...text.end_tokens import INTERRUPTED
from ...tools import OutputSchema, Tool
from ...transport.secrecy import forget_frames
from ..interruption import describe
from ..route import Route, greedy
from .diagnosis import (
    as_refusal,
    ending_notes,
    missing_notes,
    retry_differently,
    with_refused_fields,
    without_missing_routes,
)
from .refused_fields import PROMPT_FIELDS, exchange_without, first_body

if TYPE_CHECKING:
    from ...dialects.base import Ask, Completion, Dialect, Exchange
    from ...logprobs.columns import Vocabulary
    from ...models.spec import Endpoint
    from ...transport.http import Transport
    from ...transport.streaming import StreamListener

# A server may refuse several fields, one after the other.
_MAX_FORMS = 6


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt, its settings and the route to its model."""

    route: Route
    prompt: Prompt
    params: SamplingParams
    continuation: str | None = None
    ends: bool = False


@cache
def _protocols() -> Any:
    """Return what reads and writes requests, imported on first use: the statement costs 3 µs each time it runs."""
    from ...dialects import base
    from ...dialects.reading.thinking import completion

    return SimpleNamespace(base=base, completion=completion)


def build_ask(
    item: Item,
    *,
    tools: tuple[Tool, ...] = (),
    output_schema: OutputSchema | None = None,
    vocab_size: int | None = None,
    vocabulary: Vocabulary | None = None,
    stream: bool = False,
) -> Ask:
    """Return the request for an item, with its model's defaults and the form of ``logprobs`` its server takes."""
    route, endpoint = item.route, item.route.endpoint
    if endpoint.counted_logprobs and REGISTRY.observations.wants_boolean_logprobs(endpoint, route.model):
        endpoint = _uncounted(endpoint)
    return _protocols().base.Ask(
        model=route.model,
        endpoint=endpoint,
        prompt=item.prompt,
        params=route.with_defaults(item.params),
        system=route.target.spec.system,
        tools=tools,
        output_schema=output_schema,
        continuation=item.continuation,
        ends=item.ends,
        vocab_size=vocab_size,
        vocabulary=vocabulary,
        stream=stream,
    )


@remember_last
def _uncounted(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, counted_logprobs=False)


def check_request(item: Item, *, tools: tuple[Tool, ...], output_schema: OutputSchema | None) -> None:
    """Build and write the request for a prompt, so that one that cannot be sent is refused before any request.

    Raises
    ------
    SettingError
        When a part cannot be sent to the model, or a field cannot be written as JSON.
    """
    from ...transport.wire import encode_body

    ask = build_ask(item, tools=tools, output_schema=output_schema)
    body = first_body(_protocols().base.load(ask.endpoint.dialect).exchange(ask))
    if not item.prompt.has_parts:  # a text that cannot be written costs no other prompt
        body = {name: value for name, value in body.items() if name not in PROMPT_FIELDS}
    encode_body({**body, **(ask.params.extra_body or {})})


async def send(
    ask: Ask,
    transport: Transport,
    listener: StreamListener | None = None,
    on_request: Callable[[], None] | None = None,
) -> Completion:
    """Send a request and read the completion; retry in another form where the server's refusal names one.

    Raises
    ------
    DelugeError
        When the server refuses, cannot be reached, or sends a reply that cannot be read.
    """
    protocols = _protocols()
    ask, dialect, forms = with_refused_fields(ask), protocols.base.load(ask.endpoint.dialect), 0
    while True:
        exchange = open_exchange(ask)
        try:
            completion = await transport.carry(exchange, ask.model, listener, on_request)
        except DelugeError as error:
            if isinstance(error, protocols.base.PartialAnswer) and error.completion is not None:
                error.completion = protocols.completion.separate_thinking(error.completion, ask)
            forms += 1
            other = retry_differently(error, ask) if forms < _MAX_FORMS else None
            if other is None or other == ask:
                raise
            ask = other
        else:
            return protocols.completion.as_requested(completion, ask, dialect)


def open_exchange(ask: Ask) -> Exchange:
    """Return the requests and replies of an ask."""
    return exchange_without(_exchange(_protocols().base.load(ask.endpoint.dialect), ask), ask)


def read_completion(ask: Ask, status: int, body: bytes) -> Completion:
    """Read the completion of a reply that came another way than by a connection.

    Parameters
    ----------
    ask
        What was asked, in one request.
    status
        Status of the reply.
    body
        Its body.

    Raises
    ------
    DelugeError
        When the reply is a refusal, reports a failure, or cannot be read.
    """
    protocols = _protocols()
    dialect = protocols.base.load(ask.endpoint.dialect)
    if not 200 <= status < 300:
        reason = dialect.parse_error(status, body)
        raise RequestError(
            f"{ask.model!r} at {ask.endpoint.label} answered {status}: {reason.message}",
            model=ask.model,
            status_code=status,
            body=reason.body,
        )
    exchange = open_exchange(ask)
    try:
        next(exchange)
        result = protocols.base.advance(exchange, body)
    finally:
        exchange.close()
    if isinstance(result, protocols.base.Request):
        reason = f"{ask.model!r}: the answer takes a second request, {result.path}, which was not sent"
        raise result.failure or RequestError(reason, model=ask.model)
    return protocols.completion.as_requested(result, ask, dialect)


def _exchange(dialect: Dialect, ask: Ask) -> Exchange:
    if ask.continuation is not None and ask.endpoint.scoring != "grammar":
        from ...dialects.given_text.exchange import exchange

        return without_missing_routes(exchange(ask), ask)
    count = requested_choices(ask.params)
    if count == 1:
        return dialect.exchange(ask)
    from .choices import exchange_several

    return exchange_several(dialect, ask, count)


# Counting goes on in one way only. A server that starts again cannot reach the end of it in so few tokens.
_COUNTING = Prompt(({"role": "user", "content": "Count from 1 to 10, separated by commas."},), "1, 2, 3, 4, 5, 6,")
_COUNTING_TOKENS = 4
_NEXT_NUMBER = re.compile(r"\s*7(?!\d)")


async def continues_counting(route: Route, transport: Transport, on_request: Callable[[], None]) -> bool:
    """Ask a server to continue the beginning of an answer, and return whether it did.

    Raises
    ------
    DelugeError
        When the server gave no answer.
    """
    params = greedy(SamplingParams(max_new_tokens=_COUNTING_TOKENS), route.target)
    completion = await send(build_ask(Item(route, _COUNTING, params)), transport, on_request=on_request)
    route.charge(completion)
    text = (completion.text or "").removeprefix(_COUNTING.prefill or "")
    return _NEXT_NUMBER.match(text) is not None


def is_cut_off(listener: StreamListener | None) -> bool:
    """Return whether a stream ended before its answer did."""
    return listener is not None and (listener.stopped or listener.error is not None)


def as_response(
    ask: Ask, completion: Completion, listener: StreamListener | None = None, notes: Iterable[str] = ()
) -> APIResponse:
    """Return the response made of a completion: parsed by the schema, with notes on what is missing.

    The response of a stream that was stopped has the note ``interrupted``; that of a stream that broke off is an error
    and keeps what arrived. No failure to check or parse an answer costs its text.
    """
    was_stopped = listener is not None and listener.stopped
    remarks = [INTERRUPTED] if was_stopped else []
    remarks += [*completion.notes, *notes]
    others = tuple(as_response(ask, other) for other in completion.others)
    failed = getattr(completion, "error", None)  # of one choice beside others
    if failed is not None:
        failure = as_failure(ask, failed, completion=completion)
        return replace(failure, note="; ".join(remarks) or None, _others=others)
    try:
        remarks += _missing(ask, completion)
    except Exception as error:
        remarks.append(f"the answer could not be checked: {describe(error)}")
    response = APIResponse(
        ask.model,
        completion=completion.text,
        logprobs=completion.logprobs,
        finish_reason=INTERRUPTED if was_stopped else completion.finish_reason,
        usage=completion.usage,
        status_code=200,
        tool_calls=completion.tool_calls,
        parsed=_parse(ask, completion, remarks),
        note=printable("; ".join(remarks)) if remarks else None,
        served_model=completion.model,
        thinking=completion.thinking,
        thinking_logprobs=completion.thinking_logprobs,
        prompt=ask.prompt.as_asked,
        sampling_params=ask.params,
        _others=others,
        _raw=completion.raw,
        _dialect=ask.endpoint.dialect,
    )
    if listener is None or listener.error is None or listener.stopped:
        return response
    failure = as_failure(ask, listener.error)
    return replace(
        response,
        is_error=True,
        error=failure.error,
        error_message=failure.error_message,
        status_code=failure.status_code,
    )


def _missing(ask: Ask, completion: Completion) -> list[str]:
    """Return notes on what was requested and is missing from an answer."""
    notes = ending_notes(completion)
    if ask.params.logprobs:
        notes += missing_notes(completion, ask)
    # Token ids are continued by every server that takes them.
    if ask.prompt.prefill is not None and not ask.prompt.begun and ask.endpoint.prefill is None:
        notes.append(f"it is not known whether {ask.endpoint.label} continues an answer that was begun")
    if completion.refusal is not None:
        notes.append("the model refused to answer")
    return notes


def _parse(ask: Ask, completion: Completion, notes: list[str]) -> Any:
    """Return the answer as an object of the schema's type; None and a note if it does not fit."""
    if ask.output_schema is None or completion.text is None or completion.tool_calls:
        return None
    try:
        return ask.output_schema.parse(completion.text)
    except BaseException as error:  # validators are the user's code, and no interrupt arrives on the portal's thread
        notes.append(f"the answer does not fit output_schema: {describe(error)}")
    return None


def as_unsent(refused: APIResponse, item: Item) -> APIResponse:
    """Return the response of a prompt that was not sent, because the server had refused all requests before it."""
    reason = (refused.error_message or "").rstrip(".")
    message = f"{reason}. Every request so far was refused, so this one was not sent."
    return replace(refused, error_message=message, prompt=item.prompt.as_asked, sampling_params=item.params)


def as_unbuilt(item: Item, error: BaseException) -> APIResponse:
    """Return the response of a prompt whose request could not be built."""
    return _failure(item.route.model, item.route.endpoint.dialect, item.prompt, item.params, error)


def as_failure(
    ask: Ask, error: BaseException, listener: StreamListener | None = None, completion: Completion | None = None
) -> APIResponse:
    """Return the response of a request that failed; one that a stream could not begin with has the stream's reason.

    With a completion, the failure came after the answer, whose text, table and usage are kept.
    """
    if listener is not None and listener.error is not None and isinstance(error, DelugeError):
        error = listener.error
    if isinstance(error, DelugeError):
        error = as_refusal(error, ask)
    failure = _failure(ask.model, ask.endpoint.dialect, ask.prompt, ask.params, error)
    # What a server sent before it reported a failure, or before its answer could not be used.
    completion = completion or getattr(error, "completion", None)
    if completion is None:
        return failure
    return replace(
        failure,
        completion=completion.text,
        logprobs=completion.logprobs,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        tool_calls=completion.tool_calls,
        note=printable("; ".join(completion.notes)) or None,
        served_model=completion.model,
        thinking=completion.thinking,
        thinking_logprobs=completion.thinking_logprobs,
        _others=tuple(as_failure(ask, getattr(it, "error", None) or error, None, it) for it in completion.others),
        _raw=failure._raw or completion.raw,
    )


def _failure(model: str, dialect: str, prompt: Prompt, params: SamplingParams, error: BaseException) -> APIResponse:
    forget_frames(error)
    body = getattr(error, "body", None)
    return APIResponse(
        model,
        is_error=True,
        error_message=str(error) if isinstance(error, DelugeError) else f"internal error: {describe(error)}",
        status_code=getattr(error, "status_code", None),
        # An interrupt or an exit that a user's transport raises concerns this prompt alone.
        error=error if isinstance(error, Exception) else RuntimeError(describe(error)),
        prompt=prompt.as_asked,
        sampling_params=params,
        _raw=body if body is not None else getattr(error, "excerpt", None) or None,
        _dialect=dialect,
    )
