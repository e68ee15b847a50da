"""The steps of one request: build it, look in the cache, send it, turn the completion or the failure into a response.

:class:`~deluge_nb.client.sending.batch.Batch` runs them in this order. Each step works alone; none knows of other
prompts.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import DelugeError
from ...models import REGISTRY
from ...prompts import Prompt
from ...response import APIResponse
from ...sampling import SamplingParams
from ...tools import OutputSchema, Tool
from ..route import Route, greedy
from .diagnosis import as_refusal, missing_notes, retry_differently

if TYPE_CHECKING:
    from ...dialects.base import Ask, Completion
    from ...logprobs.columns import Vocabulary
    from ...transport.http import Transport
    from ...transport.streaming import StreamListener
    from ..cache.store import Cache


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt, its settings and the route to its model."""

    route: Route
    prompt: Prompt
    params: SamplingParams
    continuation: str | None = None
    ends: bool = False


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
    from ...dialects.base import Ask

    route, endpoint = item.route, item.route.endpoint
    if endpoint.counted_logprobs and REGISTRY.observations.wants_boolean_logprobs(endpoint, route.model):
        endpoint = replace(endpoint, counted_logprobs=False)
    return Ask(
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


class DrawCache:
    """The cache as one call uses it: the same request asked n times in a call is n draws, each with its own key.

    Parameters
    ----------
    cache
        None keeps nothing.
    """

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache
        self._draws: Counter[bytes] = Counter()

    def next_key(self, ask: Ask, route: Route) -> bytes | None:
        """Return the key of the next draw of a request; None without a cache."""
        if self._cache is None:
            return None
        from ..cache.store import cache_key

        served = route.served()
        address = served.fingerprint if served is not None else route.endpoint.base_url
        first = cache_key(ask, address, 0)
        draw = self._draws[first]
        self._draws[first] += 1
        return first if draw == 0 else cache_key(ask, address, draw)

    async def get(self, key: bytes | None, ask: Ask) -> Completion | None:
        """Return the cached completion of a key; None where there is none."""
        return None if self._cache is None or key is None else await self._cache.get(key, ask)

    async def put(self, key: bytes | None, ask: Ask, completion: Completion) -> None:
        """Cache a completion."""
        if self._cache is not None and key is not None:
            await self._cache.put(key, ask, completion)


async def send(ask: Ask, transport: Transport, listener: StreamListener | None = None) -> Completion:
    """Send a request and read the completion; retry once in another form where the server's refusal names one.

    Raises
    ------
    DelugeError
        When the server refuses, cannot be reached, or sends a reply that cannot be read.
    """
    from ...dialects.base import load

    dialect = load(ask.endpoint.dialect)
    try:
        return await transport.carry(dialect.exchange(ask), ask.model, listener)
    except DelugeError as error:
        other = retry_differently(error, ask)
        if other is None:
            raise
    return await transport.carry(dialect.exchange(other), ask.model, listener)


# Counting goes on in one way only. A server that starts again cannot reach the end of it in so few tokens.
_COUNTING = Prompt(({"role": "user", "content": "Count from 1 to 10, separated by commas."},), "1, 2, 3, 4, 5, 6,")
_COUNTING_TOKENS = 4
_NEXT_NUMBER = re.compile(r"\s*7(?!\d)")


async def continues_counting(route: Route, transport: Transport) -> bool:
    """Ask a server to continue the beginning of an answer, and return whether it did.

    Raises
    ------
    DelugeError
        When the server gave no answer.
    """
    params = greedy(SamplingParams(max_new_tokens=_COUNTING_TOKENS), route.target)
    completion = await send(build_ask(Item(route, _COUNTING, params)), transport)
    route.charge(completion)
    text = (completion.text or "").removeprefix(_COUNTING.prefill or "")
    return _NEXT_NUMBER.match(text) is not None


def is_cut_off(listener: StreamListener | None) -> bool:
    """Return whether a stream ended before its answer did."""
    return listener is not None and (listener.stopped or listener.error is not None)


def as_response(ask: Ask, completion: Completion, listener: StreamListener | None = None) -> APIResponse:
    """Return the response made of a completion: parsed by the schema, with notes on what is missing.

    The response of a stream that was stopped has the note ``interrupted``; that of a stream that broke off is an error
    and keeps what arrived.
    """
    notes = ["interrupted"] if listener is not None and listener.stopped else []
    notes += completion.notes
    if ask.params.logprobs:
        notes += missing_notes(completion, ask)
    # Token ids are continued by every server that takes them.
    if ask.prompt.prefill is not None and not ask.prompt.begun and ask.endpoint.prefill is None:
        notes.append(f"it is not known whether {ask.endpoint.label} continues an answer that was begun")
    if completion.refusal is not None:
        notes.append("the model refused to answer")
    parsed = None
    if ask.output_schema is not None and completion.text is not None and not completion.tool_calls:
        try:
            parsed = ask.output_schema.parse(completion.text)
        except ValueError as error:
            notes.append(f"the answer does not fit output_schema: {' '.join(str(error).split())[:200]}")
    response = APIResponse(
        ask.model,
        completion=completion.text,
        logprobs=completion.logprobs,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        status_code=200,
        tool_calls=completion.tool_calls,
        parsed=parsed,
        note="; ".join(notes) or None,
        served_model=completion.model,
        thinking=completion.thinking,
        thinking_logprobs=completion.thinking_logprobs,
        prompt=ask.prompt.as_asked,
        sampling_params=ask.params,
        _raw=completion.raw,
        _dialect=ask.endpoint.dialect,
    )
    if listener is None or listener.error is None or listener.stopped:
        return response
    failure = as_failure(ask, listener.error)
    return replace(response, is_error=True, error=failure.error, error_message=failure.error_message, status_code=None)


def as_unsent(refused: APIResponse, item: Item) -> APIResponse:
    """Return the response of a prompt that was not sent, because the server had refused all requests before it."""
    reason = (refused.error_message or "").rstrip(".")
    message = f"{reason}. Every request so far was refused, so this one was not sent."
    return replace(refused, error_message=message, prompt=item.prompt.as_asked, sampling_params=item.params)


def as_failure(ask: Ask, error: Exception, listener: StreamListener | None = None) -> APIResponse:
    """Return the response of a request that failed; one that a stream could not begin with has the stream's reason."""
    if listener is not None and listener.error is not None and isinstance(error, DelugeError):
        error = listener.error
    if isinstance(error, DelugeError):
        # The traceback would keep whole replies alive, and its frames are of no use to the caller.
        error = as_refusal(error, ask).with_traceback(None)
        error.__context__ = error.__cause__ = None
    message = str(error) if isinstance(error, DelugeError) else f"internal error: {type(error).__name__}: {error}"
    body = getattr(error, "body", None) or getattr(error, "excerpt", None) or None
    return APIResponse(
        ask.model,
        is_error=True,
        error_message=message,
        status_code=getattr(error, "status_code", None),
        error=error,
        prompt=ask.prompt.as_asked,
        sampling_params=ask.params,
        _raw=body,
        _dialect=ask.endpoint.dialect,
    )
