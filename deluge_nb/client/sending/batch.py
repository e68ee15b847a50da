"""The prompts of one call: checked and assigned to models, sent at most ``limit`` at a time, answered in order."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors.tasks import ends_task
from ...models import REGISTRY
from ...models.observations import requested_features
from ...prompts import Prompt
from ...response import APIResponse
from ...sampling import SamplingParams, requested_choices
from ...text.end_tokens import INTERRUPTED
from ...tools import OutputSchema, Tool
from ...transport import portal
from ...warning import warn, warn_of_rows
from ..cache.draws import DrawCache
from ..interruption import check_stop, describe
from ..route import Route
from .progress import ProgressBar
from .proof import prove_scoring
from .refusals import Refusals
from .request import (
    Item,
    as_failure,
    as_response,
    as_unbuilt,
    as_unsent,
    build_ask,
    check_request,
    is_cut_off,
    send,
)
from .summary import failure_warning, missing_warning

if TYPE_CHECKING:
    from ...dialects.base import Ask, Completion
    from ...logprobs.columns import Vocabulary
    from ...transport.http import Transport
    from ...transport.streaming import StreamListener
    from ..cache.store import Cache

T = TypeVar("T")

# Seconds between two looks at the progress of a batch.
_TICK = 0.1
_SEEDS = 2**63


def plan(
    prompts: Iterable[tuple[Prompt, str | None]],
    routes: Sequence[Route],
    settings: Sequence[SamplingParams],
    next_turn: Callable[[], int],
    *,
    limit: int | None,
    ends: bool = False,
    tools: tuple[Tool, ...] = (),
    output_schema: OutputSchema | None = None,
    cache: Cache | None = None,
    needs_keys: bool = True,
) -> Batch:
    """Assign prompts to models, and check each against what its model can do.

    Parameters
    ----------
    prompts
        Prompts, each with a text to score after it or None.
    routes, settings
        The models, and the settings of each.
    next_turn
        Returns the index of the model that gets the next prompt.
    limit
        Requests at a time; None for the largest number recommended for the models in use.
    ends
        Also score the token that ends the turn after each text.
    needs_keys
        False for requests that are not sent from here.

    Raises
    ------
    SettingError, LogprobsNotSupportedError
        When a model cannot do what is asked of it.
    MissingKeyError
        When a model in use needs a key and has none.
    """
    features = requested_features(tools=bool(tools), output_schema=output_schema is not None)
    items: list[Item] = []
    repetitions: Counter[tuple[int, str]] = Counter()
    checked: set[int] = set()
    for prompt, continuation in prompts:
        turn = next_turn()
        params = settings[turn]
        # What holds for one plain prompt of a turn holds for all.
        is_first = turn not in checked
        if is_first or not prompt.is_plain:
            REGISTRY.validate(routes[turn].target, params, prompt, features)
            checked.add(turn)
        if params.seed is not None and continuation is None:
            # Equal prompts with one seed would be the same draw again. Of several answers to a request, servers such as
            # vLLM draw the second with the next seed.
            question = (turn, repr(prompt))
            if repetitions[question]:
                params = params.replace(seed=(params.seed + repetitions[question]) % _SEEDS)
            repetitions[question] += requested_choices(params)
        item = Item(routes[turn], prompt, params, continuation, ends)
        has_fields = params.extra_body or tools or output_schema is not None
        if prompt.has_parts or (is_first and has_fields):
            check_request(item, tools=tools, output_schema=output_schema)
        items.append(item)
    in_use = _distinct_routes(items)
    for route in in_use if needs_keys else ():
        route.require_key()
    limit = limit or max((route.endpoint.concurrency for route in in_use), default=1)
    return Batch(items, limit=limit, tools=tools, output_schema=output_schema, cache=cache)


class Batch:
    """The items of one call and their responses, in the same order.

    Parameters
    ----------
    items
        The prompts, with their routes and settings.
    limit
        Requests at a time.
    tools, output_schema
        The same for all items.
    cache
        None keeps nothing.
    """

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
        self.requests = 0
        """Requests sent so far, tries included."""
        self.on_asked: Callable[[Batch], None] = lambda batch: None
        """Callback that may replace :attr:`responses`, on the portal's loop before the first request."""
        self.on_settled: Callable[[Batch], None] = lambda batch: None
        """Callback that counts the responses of the call, on the portal's loop after the last one."""
        self.on_stop: Callable[[portal.Work[Any]], object] = portal.end
        """Callback that ends the work of the call."""
        self.is_stopped = False
        """True once another call goes on with the prompts of this one."""
        self.on_response: Callable[[int, APIResponse], None] = lambda index, response: None
        """Callback that receives each response on the portal's loop, with the index of its prompt."""
        self.resumed: frozenset[int] = frozenset()
        """Prompts whose responses are those of an earlier call."""
        self._limit = limit
        self._tools = tools
        self._schema = output_schema
        self._draws = DrawCache(cache)
        self._vocab_sizes: dict[int, int | None] = {}
        self._transports: dict[int, Transport] = {}
        self._refusals = Refusals()
        self._unsent = 0
        self._done = 0
        # Of texts that are being read, and take several requests.
        self._shares: dict[int, float] = {}
        self._ending = self._settled = False
        self._work: portal.Work[Any] | None = None

    def run_sync(self, *, show_progress: bool) -> None:
        """Ask everything and wait, in any thread."""
        self._start_servers()
        bar = self._bar(show_progress)
        try:
            portal.complete(self.work(self._run), tick=lambda: self._tick(bar))
        except concurrent.futures.CancelledError:
            self.check_stopped()
            raise
        finally:
            bar.close()

    async def run_async(self, *, show_progress: bool) -> None:
        """Ask everything; may be awaited on any event loop. A call that is cancelled ends after its requests."""
        await portal.in_thread(self._start_servers)
        bar = self._bar(show_progress)
        work = self.work(self._run)
        try:
            work.start()
            while not await work.wait_async(_TICK):
                self._tick(bar)
            self.check_stopped()
            work.result()
        except asyncio.CancelledError:
            work.cancel()
            await portal.wait_for_end_async(work)
            raise
        except BaseException:
            portal.end(work)
            raise
        finally:
            bar.move(self._done + sum(list(self._shares.values())))
            bar.close()

    def work(self, function: Callable[[], Coroutine[Any, Any, T]]) -> portal.Work[T]:
        """Return the work of this call, to be started; :meth:`stop` ends it."""
        self._work = work = portal.Work(function)
        return work

    def stop(self) -> None:
        """End the call, because another one goes on with its prompts."""
        if self._work is not None:
            self.is_stopped = True
            self.on_stop(self._work)

    def check_stopped(self) -> None:
        """Raise an error if another call has ended this one.

        Raises
        ------
        RuntimeError
            If so.
        """
        if self.is_stopped:
            raise RuntimeError("This call was ended by a call with resume=client.interrupted, which asks the rest.")

    def resume(self, responses: Sequence[APIResponse | None]) -> None:
        """Take the whole responses of an earlier call, and ask the prompts that have none."""
        kept = {i: item for i, item in enumerate(responses) if item is not None and _is_whole(item)}
        self.responses = [kept.get(i) for i in range(len(self.items))]
        self.resumed, self._done = frozenset(kept), len(kept)

    async def run(self) -> None:
        """Ask everything, on the portal's loop."""
        await portal.in_thread(self._start_servers)
        await self._run()

    async def listen(self, listener: StreamListener, vocabulary: Vocabulary) -> APIResponse:
        """Ask the only item, and pass its answer to a listener as it arrives. Must run on the portal's loop."""
        await portal.in_thread(self._start_servers)
        self.on_asked(self)
        try:
            return await self._ask(0, vocabulary, listener)
        finally:
            self._settle()

    def _settle(self) -> None:
        """Take no further responses, and count those that arrived."""
        self._settled = True
        self.on_settled(self)

    def _start_servers(self) -> None:
        # Once per call, as the look for keys is: a server that does not start is an error of the call, not of a prompt.
        for route in _distinct_routes(self.items):
            served = route.served()
            self._vocab_sizes[id(route)] = None if served is None else served.address().vocab_size
            self._transports[id(route)] = route.transport()
        scored = [item for i, item in enumerate(self.items) if item.continuation and i not in self.resumed]
        prove_scoring(_distinct_routes(scored), self._count_request)

    async def _run(self) -> None:
        from ...logprobs.columns import Vocabulary

        waiting = iter([index for index in range(len(self.items)) if index not in self.resumed])
        vocabulary = Vocabulary()
        for index in sorted(self.resumed):  # equal prompts are draws of their own, also those of the earlier call
            item = self.items[index]
            self._draws.skip(lambda item=item: self._build(item, vocabulary), item.route)

        async def work() -> None:
            for index in waiting:
                if self._ending:
                    return
                await self._ask_or_refuse(index, vocabulary)
                self._shares.pop(index, None)
                self._done += 1

        self.on_asked(self)
        workers = [asyncio.create_task(work()) for _ in range(min(self._limit, len(self.items)))]
        try:
            if workers:
                await asyncio.wait(workers)
            for worker in workers:
                worker.result()
        finally:
            try:
                await self._end(workers)
            finally:
                self._settle()
                vocabulary.clear_spelling_cache()

    async def _end(self, workers: list[asyncio.Task[None]]) -> None:
        """Stop sending, give answers that have been sent already a moment to be read, and cancel the rest."""
        self._ending = True
        remaining = [worker for worker in workers if not worker.done()]
        if not remaining:
            return
        try:
            await asyncio.wait(remaining, timeout=portal.LAST_READ)
        finally:
            for worker in remaining:
                worker.cancel()
        await asyncio.wait(remaining)

    async def _ask_or_refuse(self, index: int, vocabulary: Vocabulary) -> None:
        server = id(self.items[index].route)
        refused = await self._refusals.before(server)
        if refused is not None:
            self._unsent += self._take(index, as_unsent(refused, self.items[index]))
            return
        response = None
        try:
            response = await self._ask(index, vocabulary)
        finally:
            self._refusals.after(server, response)

    def _build(self, item: Item, vocabulary: Vocabulary, *, stream: bool = False) -> Ask:
        return build_ask(
            item,
            tools=self._tools,
            output_schema=self._schema,
            vocab_size=self._vocab_sizes.get(id(item.route)),
            vocabulary=vocabulary,
            stream=stream,
        )

    async def _ask(self, index: int, vocabulary: Vocabulary, listener: StreamListener | None = None) -> APIResponse:
        """Answer one item from the cache or from its server; whatever fails, even a bug, becomes its response."""
        item = self.items[index]
        ask, key, completion = None, None, None
        try:
            ask = self._build(item, vocabulary, stream=listener is not None)
            key = self._draws.next_key(ask, item.route)
            cached = await self._draws.get(key, ask)
            if cached is not None:
                response = replace(as_response(ask, cached), from_cache=True)
            else:
                if item.continuation:
                    ask = replace(ask, report=lambda share: self._shares.update({index: share}))
                completion = await send(ask, self._transports[id(item.route)], listener, self._count_request)
                response = as_response(ask, completion, listener, _charge(item.route, completion))
        except BaseException as error:
            if ends_task(error):
                raise
            response = as_unbuilt(item, error) if ask is None else as_failure(ask, error, listener, completion)
        self._take(index, response)
        if ask is not None and completion is not None and not response.is_error and not is_cut_off(listener):
            await self._draws.put(key, ask, completion)
        return response

    def _bar(self, show: bool) -> ProgressBar:
        is_text = len(self.items) == 1 and bool(self.items[0].continuation)
        return ProgressBar(len(self.items), show=show, is_one_text=is_text)

    def _tick(self, bar: ProgressBar) -> None:
        bar.move(self._done + sum(list(self._shares.values())))
        if self._done < len(self.items):  # else nothing is left to stop
            check_stop()
        trouble = self._pace_trouble()
        if trouble is not None:
            warn(trouble)

    def _pace_trouble(self) -> str | None:
        return self.items[0].route.pace_trouble() if self.items else None

    def _count_request(self) -> None:
        self.requests += 1

    def _take(self, index: int, response: APIResponse) -> bool:
        """Record a response, unless the responses of the call have been counted."""
        if self._settled:
            return False
        self.responses[index] = response
        self.on_response(index, response)
        return True

    def collect(self) -> list[APIResponse]:
        """Return the responses once all are there; warn of failures, and of missing log-probabilities."""
        responses = [response for response in self.responses if response is not None]
        failed = failure_warning(responses, self._refusals.first, self._unsent)
        if failed is not None:
            warn_of_rows(failed)
        for message in (
            missing_warning(self.items, responses),
            self._draws.trouble(),
            self._pace_trouble(),
        ):
            if message is not None:
                warn(message)
        return responses


def _charge(route: Route, completion: Completion) -> list[str]:
    """Count an answer toward the limits of its route; return a note if that fails."""
    try:
        route.charge(completion)
    except Exception as error:
        return [f"its tokens could not be counted: {describe(error)}"]
    return []


def _is_whole(response: APIResponse) -> bool:
    """Return True unless a response failed, or is the part that arrived of a stream."""
    return not response.is_error and response.finish_reason != INTERRUPTED


def _distinct_routes(items: Iterable[Item]) -> list[Route]:
    return list({id(item.route): item.route for item in items}.values())
