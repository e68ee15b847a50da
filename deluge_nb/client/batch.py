"""The prompts of one call on their way: who is asked, at most how many at once, what has come back."""

from __future__ import annotations

import asyncio
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import DelugeError
from ..models import REGISTRY
from ..prompts import Prompt
from ..response import APIResponse
from ..sampling import SamplingParams
from ..tools import OutputSchema, Tool
from .diagnosis import as_refusal, missing_notes, retry_differently
from .route import Route, with_model_defaults

if TYPE_CHECKING:
    from ..dialects.base import Ask, Completion
    from ..logprobs.columns import Vocabulary
    from ..transport.http import Transport
    from ..transport.streaming import StreamListener
    from .cache import Cache


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt and where it goes."""

    route: Route
    prompt: Prompt
    params: SamplingParams
    continuation: str | None = None


class Batch:
    """Sends every item, at most ``limit`` at a time, and keeps what comes back in order."""

    def __init__(
        self,
        items: list[Item],
        *,
        limit: int,
        tools: tuple[Tool, ...] = (),
        output_schema: OutputSchema | None = None,
        cache: Cache | None = None,
    ) -> None:
        self.items = items
        self.responses: list[APIResponse | None] = [None] * len(items)
        self._limit = limit
        self._tools = tools
        self._schema = output_schema
        self._cache = cache
        self._asked: Counter[bytes] = Counter()
        self._vocab_sizes: dict[int, int | None] = {}
        self._transports: dict[int, Transport] = {}
        self._done = 0

    def start_servers(self) -> None:
        """Start what runs on this machine, so that a failure to do so is the call's and not every prompt's.

        Needed before anything is asked.
        """
        for route in {id(item.route): item.route for item in self.items}.values():
            served = route.served()
            self._vocab_sizes[id(route)] = None if served is None else served.address().vocab_size
            # Where its key is found is looked up here, once.
            self._transports[id(route)] = route.transport()

    async def run(self) -> None:
        """Ask everything. Must run on the portal's loop."""
        from ..logprobs.columns import Vocabulary

        waiting = iter(enumerate(self.items))
        vocabulary = Vocabulary()

        async def work() -> None:
            for index, item in waiting:
                self.responses[index] = await self._ask(item, vocabulary)
                self._done += 1

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._limit, len(self.items))):
                    group.create_task(work())
        finally:
            vocabulary.clear_spelling_cache()

    async def listen(self, listener: StreamListener, vocabulary: Vocabulary) -> APIResponse:
        """Ask the one item, whose answer is heard as it comes. Must run on the portal's loop."""
        await asyncio.to_thread(self.start_servers)
        self.responses[0] = response = await self._ask(self.items[0], vocabulary, listener)
        return response

    async def _ask(self, item: Item, vocabulary: Vocabulary, listener: StreamListener | None = None) -> APIResponse:
        from ..dialects.base import Ask, load

        spec, endpoint = item.route.target.spec, item.route.endpoint
        if endpoint.counted_logprobs and REGISTRY.observations.wants_boolean_logprobs(endpoint, item.route.model):
            endpoint = replace(endpoint, counted_logprobs=False)
        ask = Ask(
            model=item.route.model,
            endpoint=endpoint,
            prompt=item.prompt,
            params=with_model_defaults(item.params, item.route.target),
            system=spec.system,
            tools=self._tools,
            output_schema=self._schema,
            continuation=item.continuation,
            vocab_size=self._vocab_sizes.get(id(item.route)),
            vocabulary=vocabulary,
            stream=listener is not None,
        )
        key = None if self._cache is None else self._key(ask, item.route)
        try:
            if self._cache is not None and key is not None:
                kept = await self._cache.get(key, ask)
                if kept is not None:
                    return replace(_answered(ask, kept), from_cache=True)
            dialect, transport = load(endpoint.dialect), self._transports[id(item.route)]
            try:
                completion = await transport.carry(dialect.exchange(ask), ask.model, listener)
            except DelugeError as error:
                other = retry_differently(error, ask)
                if other is None:
                    raise
                completion = await transport.carry(dialect.exchange(other), ask.model, listener)
            item.route.charge(completion)
            cut_off = listener is not None and (listener.stopped or listener.broken is not None)
            if self._cache is not None and key is not None and not cut_off:
                await self._cache.put(key, ask, completion)
        except DelugeError as error:
            # Of a broken stream not even the beginning could be read; what broke it is the reason.
            why = error if listener is None or listener.broken is None else listener.broken
            return _failed(ask.model, as_refusal(why, ask), endpoint.dialect)
        except Exception as error:  # a fault of ours must not cost the answers that came before it
            return _failed(ask.model, error, endpoint.dialect)
        answer = _answered(ask, completion)
        if listener is not None and listener.stopped:
            return replace(answer, note="; ".join(filter(None, ("interrupted", answer.note))))
        if listener is None or listener.broken is None:
            return answer
        failed = _failed(ask.model, as_refusal(listener.broken, ask), endpoint.dialect)
        return replace(answer, is_error=True, error=failed.error, error_message=failed.error_message, status_code=None)

    def _key(self, ask: Ask, route: Route) -> bytes:
        from .cache import cache_key

        served = route.served()
        place = served.fingerprint if served is not None else route.endpoint.base_url
        first = cache_key(ask, place, 0)
        turn = self._asked[first]
        self._asked[first] += 1
        return first if turn == 0 else cache_key(ask, place, turn)

    def finished(self) -> list[APIResponse]:
        """The responses, once all are there; tells where log-probabilities were asked for and did not come."""
        responses = [response for response in self.responses if response is not None]
        asked = [
            response
            for item, response in zip(self.items, responses, strict=True)
            if item.params.logprobs and not response.is_error
        ]
        missing = [response for response in asked if response.logprobs is None and not response.tool_calls]
        if missing:
            warnings.warn(
                f"{len(missing)} of {len(asked)} answers came without the log-probabilities that were asked for "
                f"({missing[0].note})",
                stacklevel=4,  # the caller of the client
            )
        return responses

    @contextmanager
    def progress(self, show: bool) -> Iterator[Callable[[], None]]:
        """A bar, and the function that moves it; both belong to the calling thread."""
        if not show or not self.items:
            yield lambda: None
            return
        with warnings.catch_warnings():
            # Without ipywidgets in the front end tqdm falls back to text, and says so; the user need not care.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
        with tqdm(total=len(self.items), unit="prompt") as bar:

            def move() -> None:
                bar.update(self._done - bar.n)

            yield move


def _failed(model: str, error: Exception, dialect: str) -> APIResponse:
    if isinstance(error, DelugeError):
        # Where it was raised tells nobody anything, and would keep what was there: whole replies.
        error = error.with_traceback(None)
        error.__context__ = error.__cause__ = None
    message = str(error) if isinstance(error, DelugeError) else f"internal error: {type(error).__name__}: {error}"
    body = getattr(error, "body", None) or getattr(error, "excerpt", None) or None
    return APIResponse(
        model,
        is_error=True,
        error_message=message,
        status_code=getattr(error, "status_code", None),
        error=error,
        _raw=body,
        _dialect=dialect,
    )


def _answered(ask: Ask, completion: Completion) -> APIResponse:
    notes: list[str] = []
    parsed = None
    if ask.params.logprobs:
        notes += missing_notes(completion, ask)
    if completion.refusal is not None:
        notes.append("the model refused to answer")
    if ask.output_schema is not None and completion.text is not None and not completion.tool_calls:
        try:
            parsed = ask.output_schema.parse(completion.text)
        except ValueError as error:
            notes.append(f"the answer does not fit output_schema: {' '.join(str(error).split())[:200]}")
    return APIResponse(
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
        _raw=completion.raw,
        _dialect=ask.endpoint.dialect,
    )
