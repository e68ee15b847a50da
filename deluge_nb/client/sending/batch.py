"""The prompts of one call: checked and assigned to models, sent at most ``limit`` at a time, answered in order."""

from __future__ import annotations

import asyncio
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import DelugeError, MissingKeyError, SettingError
from ...models import REGISTRY
from ...models.observations import requested_features
from ...prompts import Prompt, PromptLike, RawPrompt, as_prompt
from ...response import APIResponse
from ...sampling import SamplingParams
from ...tools import OutputSchema, Tool
from ...transport import portal
from .. import credentials
from ..route import Route, with_prefill
from .request import (
    DrawCache,
    Item,
    as_failure,
    as_response,
    as_unsent,
    build_ask,
    continues_counting,
    is_cut_off,
    send,
)

if TYPE_CHECKING:
    from ...logprobs.columns import Vocabulary
    from ...transport.http import Transport
    from ...transport.streaming import StreamListener
    from ..cache.store import Cache

# Seconds between two looks at the progress of a batch.
_TICK = 0.1
_SEEDS = 2**63
# A wrong key, no permission, no such model: the next request would be refused, too.
_REFUSALS = frozenset({401, 403, 404})


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
    for prompt, continuation in prompts:
        turn = next_turn()
        params = settings[turn]
        REGISTRY.validate(routes[turn].target, params, prompt, features)
        if params.seed is not None and continuation is None:
            # Equal prompts with one seed would be the same draw again.
            question = (turn, repr(prompt))
            if repetitions[question]:
                params = params.replace(seed=(params.seed + repetitions[question]) % _SEEDS)
            repetitions[question] += 1
        items.append(Item(routes[turn], prompt, params, continuation, ends))
    in_use = _distinct_routes(items)
    for route in in_use:
        _check_key(route)
    limit = limit or max((route.endpoint.concurrency for route in in_use), default=1)
    return Batch(items, limit=limit, tools=tools, output_schema=output_schema, cache=cache)


def as_scoring_pairs(
    pairs: Iterable[tuple[PromptLike, str]], routes: Sequence[Route]
) -> list[tuple[Prompt, str | None]]:
    """Return prompts with the texts to score after them.

    Raises
    ------
    SettingError
        When a model cannot score given texts, or a pair is not a prompt and a text.
    """
    for route in routes:
        if not route.endpoint.continuations:
            raise SettingError(
                f"{route.model!r} cannot be asked for the log-likelihood of a given text; the embedded model 'local' "
                "can.",
                setting="model",
                value=route.model,
            )
    checked: list[tuple[Prompt, str | None]] = []
    for i, pair in enumerate(pairs):
        if isinstance(pair, str) or len(pair) != 2 or not isinstance(pair[1], str) or not pair[1]:
            raise SettingError(
                f"pairs[{i}] must be a prompt and a text that is not empty, not {pair!r}.", setting="pairs", value=pair
            )
        # The likelihood of a whole text is that after an empty prompt, which nothing could answer.
        whole_text = isinstance(pair[0], RawPrompt) and pair[0].text == ""
        prompt = Prompt(raw="") if whole_text else as_prompt(pair[0], f"pairs[{i}][0]")
        checked.append((prompt, prompt.gap + pair[1]))
    return checked


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
        self._limit = limit
        self._tools = tools
        self._schema = output_schema
        self._draws = DrawCache(cache)
        self._vocab_sizes: dict[int, int | None] = {}
        self._transports: dict[int, Transport] = {}
        self._refusals: dict[int, APIResponse | None] = {}
        self._unsent = 0
        self._done = 0

    def run_sync(self, *, show_progress: bool) -> None:
        """Ask everything and wait, in any thread."""
        self._start_servers()
        with self._progress(show_progress) as tick:
            portal.run(self._run(), tick=tick)

    async def run_async(self, *, show_progress: bool) -> None:
        """Ask everything; may be awaited on any event loop."""
        await asyncio.to_thread(self._start_servers)
        with self._progress(show_progress) as tick:
            running = asyncio.wrap_future(portal.submit(self._run()))
            try:
                while not (await asyncio.wait((running,), timeout=_TICK))[0]:
                    tick()
                await running
            except asyncio.CancelledError:
                running.cancel()
                raise
            tick()

    async def listen(self, listener: StreamListener, vocabulary: Vocabulary) -> APIResponse:
        """Ask the only item, and pass its answer to a listener as it arrives. Must run on the portal's loop."""
        await asyncio.to_thread(self._start_servers)
        self.responses[0] = response = await self._ask(self.items[0], vocabulary, listener)
        return response

    def _start_servers(self) -> None:
        # Before anything is asked: a server that does not start is an error of the call, not of every prompt.
        for route in _distinct_routes(self.items):
            served = route.served()
            self._vocab_sizes[id(route)] = None if served is None else served.address().vocab_size
            # The key is looked up here, once per call.
            self._transports[id(route)] = route.transport()

    async def _run(self) -> None:
        from ...logprobs.columns import Vocabulary

        waiting = iter(enumerate(self.items))
        vocabulary = Vocabulary()

        async def work() -> None:
            for index, item in waiting:
                refused = self._refusals.get(id(item.route))
                if refused is not None:
                    self.responses[index] = as_unsent(refused, item)
                    self._unsent += 1
                else:
                    self.responses[index] = response = await self._ask(item, vocabulary)
                    self._record(item.route, response)
                self._done += 1

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._limit, len(self.items))):
                    group.create_task(work())
        finally:
            vocabulary.clear_spelling_cache()

    def _record(self, route: Route, response: APIResponse) -> None:
        """Remember whether a server has refused every request so far; answers from the cache are no requests."""
        if response.is_error and response.status_code in _REFUSALS:
            self._refusals.setdefault(id(route), response)
        elif not response.from_cache:
            self._refusals[id(route)] = None

    async def _ask(self, item: Item, vocabulary: Vocabulary, listener: StreamListener | None = None) -> APIResponse:
        """Answer one item from the cache or from its server; a failure becomes a response, too."""
        ask = build_ask(
            item,
            tools=self._tools,
            output_schema=self._schema,
            vocab_size=self._vocab_sizes.get(id(item.route)),
            vocabulary=vocabulary,
            stream=listener is not None,
        )
        try:
            key = self._draws.next_key(ask, item.route)
            cached = await self._draws.get(key, ask)
            if cached is not None:
                return replace(as_response(ask, cached), from_cache=True)
            completion = await send(ask, self._transports[id(item.route)], listener)
            item.route.charge(completion)
            if not is_cut_off(listener):
                await self._draws.put(key, ask, completion)
        except Exception as error:  # an error of this prompt, even a bug, must not cost the other answers
            return as_failure(ask, error, listener)
        return as_response(ask, completion, listener)

    def collect(self) -> list[APIResponse]:
        """Return the responses once all are there; warn of refused requests and of missing log-probabilities."""
        responses = [response for response in self.responses if response is not None]
        refused = next((response for response in self._refusals.values() if response is not None), None)
        if refused is not None and len(responses) > 1:
            failed = sum(response.is_error for response in responses)
            warnings.warn(
                f"{failed} of {len(responses)} prompts failed, and {self._unsent} of them were not sent, because the "
                f"server refused every request: {refused.error_message}",
                stacklevel=4,  # the caller of the client
            )
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
    def _progress(self, show: bool) -> Iterator[Callable[[], None]]:
        """Show a progress bar, and yield the function that moves it; both belong to the calling thread."""
        if not show or not self.items:
            yield lambda: None
            return
        with warnings.catch_warnings():
            # Without ipywidgets tqdm falls back to text with a warning that is of no use here.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
        with tqdm(total=len(self.items), unit="prompt") as bar:

            def move() -> None:
                bar.update(self._done - bar.n)

            yield move


def _distinct_routes(items: Iterable[Item]) -> list[Route]:
    return list({id(item.route): item.route for item in items}.values())


def prove_continuing(route: Route) -> None:
    """Check that a server continues the beginning of an answer; if that is not known, ask it once, and remember.

    Raises
    ------
    SettingError
        If the server starts a new answer, or it cannot be found out.
    MissingKeyError
        If it needs a key and has none.
    """
    with route.proof:
        continues, reason = route.endpoint.prefill, f"{route.endpoint.label} starts a new one"
        if continues is None:
            _check_key(route)
            try:
                continues = portal.run(continues_counting(route, route.transport()))
            except DelugeError as error:
                refused = getattr(error, "status_code", None) in (400, 422)
                continues = False if refused else None
                reason = f"asked to continue one, it failed ({str(error).rstrip('.')})"
            if continues is not None:
                route.target = with_prefill(route.target, continues)
    if not continues:
        raise SettingError(
            f"{route.model!r} is not proven to continue the beginning of an answer: {reason}. If you know that it "
            f"does, give LLMClient(…, continues=True) or name its server, as in 'vllm/{route.model}'; the embedded "
            "model 'local' does.",
            setting="continues",
            value=route.model,
        )


def _check_key(route: Route) -> None:
    if route.key_missing:
        variable = route.endpoint.key_variables[0]
        raise MissingKeyError(
            f"{route.model!r} is served by {route.endpoint.label}, which wants a key: set {variable}"
            f"{credentials.key_sources()} or give api_key=; the embedded model 'local' needs none.",
            endpoint=route.endpoint.name,
            variable=variable,
        )
