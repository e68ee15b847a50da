"""The client: many prompts in, responses in order out."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from ..errors import MissingKeyError, SettingError
from ..models import REGISTRY
from ..models.observations import requested_features
from ..models.spec import ServedModel
from ..prompts import Prompt, PromptLike, as_prompt, as_prompts
from ..response import APIResponse
from ..sampling import SamplingParams
from ..tools import Tool, as_output_schema
from ..transport import portal
from ..transport.throttle import Pace
from . import credentials
from .batch import Batch, Item
from .options import (
    Settings,
    as_cache,
    as_settings_list,
    check_counts,
    check_names,
    check_positive,
    weighted_round_robin,
    with_shortcuts,
)
from .route import Route
from .usage import Usage, total_usage

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from .cache import Cache
    from .stream import Stream

Model = str | ServedModel


class LLMClient:
    """Asks one or more models.

    Parameters
    ----------
    model_or_models
        A model's name, a :class:`deluge_nb.LocalModel`, or a list of them; prompts go to the models of a list in turn.
    model_weights
        Numbers, one for each model, that say how large a share of the prompts it gets; the same for all if left out.
    sampling_params
        Settings of each request, or one for each model.
    base_url
        A server of your own that speaks the OpenAI chat API; names that the registry does not know are tried there.
    api_key
        Wins over the endpoint's variable in the environment, in a ``.env`` file (with python-dotenv) and in the keyring
        (with keyring, under the service ``deluge_nb``).
    max_concurrent_requests
        How many requests are under way at once; the endpoint's own recommendation if left out.
    max_requests_per_minute
        How many requests may leave in a minute, tries included and evenly spread; as many as there are if left out.
    max_tokens_per_minute
        How many tokens, in and out, may be used in a minute. They are counted when an answer tells what it used, so
        that what is under way at once may go beyond it, and is waited for afterwards.
    max_attempts
        Tries per request, the first included.
    timeout
        Seconds without a byte before a try is given up.
    transport
        Any httpx transport in place of the network.
    cache
        Keep answers and use those that were kept: True for a file in this user's cache folder, a file's path, or a
        :class:`deluge_nb.Cache`. An
        answer with more alternatives also answers for fewer. The same prompt asked twice in a call is two draws, and
        kept as two.
    **settings
        Fields of :class:`SamplingParams`, filled in where ``sampling_params`` leaves them open.

    Raises
    ------
    LogprobsNotSupportedError
        When log-probabilities are asked of a model that gives none.
    UnknownModelError
        When a name is not in the registry and no ``base_url`` is given.
    SettingError
        When a setting has a value it cannot have.

    Examples
    --------
    >>> client = LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5))
    >>> client.sampling_params[0].logprobs
    True
    """

    def __init__(
        self,
        model_or_models: Model | Sequence[Model],
        *,
        sampling_params: Settings | None = None,
        model_weights: Sequence[float] | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        max_concurrent_requests: int | None = None,
        max_requests_per_minute: float | None = None,
        max_tokens_per_minute: float | None = None,
        max_attempts: int = 5,
        timeout: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
        cache: bool | str | os.PathLike[str] | Cache | None = None,
        **settings: Any,
    ) -> None:
        check_names(settings, LLMClient.__init__)
        several = isinstance(model_or_models, Sequence) and not isinstance(model_or_models, str)
        wanted: list[Model] = list(model_or_models) if several else [model_or_models]  # type: ignore[list-item]
        if not wanted:
            raise SettingError("The list of models is empty; name at least one.", setting="model", value=wanted)
        check_counts(max_concurrent_requests=max_concurrent_requests, max_attempts=max_attempts)
        check_positive(timeout=timeout)
        rates = {"max_requests_per_minute": max_requests_per_minute, "max_tokens_per_minute": max_tokens_per_minute}
        check_positive(**{name: rate for name, rate in rates.items() if rate is not None})
        pace = Pace(*rates.values()) if any(rates.values()) else None
        self._turns = partial(weighted_round_robin, model_weights, len(wanted))
        self._turns()
        self._routes = [
            Route(
                model,
                base_url=base_url,
                api_key=api_key,
                attempts=max_attempts,
                timeout=timeout,
                transport=transport,
                pace=pace,
            )
            for model in wanted
        ]
        self._limit = max_concurrent_requests
        self._cache = as_cache(cache)
        self.sampling_params: list[SamplingParams] = with_shortcuts(as_settings_list(sampling_params), settings)
        """The settings of each request: one for all models, or one for each."""
        self.interrupted: list[APIResponse | None] = []
        """What had arrived when the last call was interrupted, in the order of its prompts; None where nothing had."""
        self.usage = Usage()
        """What all calls so far have used: prompts, tokens in and out, cached ones, and the cost where it was told."""
        self._counting = threading.Lock()
        self._settings_for(None)

    @property
    def models(self) -> list[str]:
        """The names of the models, in turn."""
        return [route.model for route in self._routes]

    @property
    def routes(self) -> list[Route]:
        """The ways to the models, in turn; for this package."""
        return self._routes

    @property
    def max_top_logprobs(self) -> int:
        """How many alternatives a request may ask for: the least of its models."""
        return min(route.target.spec.support.max_top for route in self._routes)

    @overload
    def process_prompts_sync(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: Literal[False] = False,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
    ) -> list[APIResponse]: ...
    @overload
    def process_prompts_sync(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: Literal[True],
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
    ) -> list[str | None]: ...
    def process_prompts_sync(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: bool = False,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
    ) -> list[APIResponse] | list[str | None]:
        """Ask all prompts and wait, in a script or in a cell.

        Parameters
        ----------
        prompts
            A list of texts, message lists, :class:`Conversation` or :class:`RawPrompt`.
        return_completions_only
            Give the texts alone, None where a prompt failed.
        show_progress
            Whether to show a progress bar.
        sampling_params
            Settings for this call in place of the client's.
        tools
            Functions, or :class:`Tool`, the model may ask to have called.
        output_schema
            The shape answers must have: a pydantic model, a type, or a JSON schema. See ``APIResponse.parsed``.
        use_cache
            False asks anew and keeps nothing, whatever the client's ``cache``.

        Returns
        -------
        list of APIResponse
            In the order of the prompts. A prompt that failed has ``is_error`` set; the others are not affected.

        Raises
        ------
        SettingError, LogprobsNotSupportedError, MissingKeyError, LocalModelError
            Before anything is sent, when the call as a whole cannot work.
        KeyboardInterrupt
            When interrupted; what has arrived is in :attr:`interrupted`.
        """
        batch = self._batch(prompts, sampling_params, tools, output_schema, use_cache)
        return _given(self._run(batch, show_progress), return_completions_only)

    async def process_prompts_async(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: bool = False,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
    ) -> list[Any]:
        """As :meth:`process_prompts_sync`, to be awaited."""
        batch = self._batch(prompts, sampling_params, tools, output_schema, use_cache)
        return _given(await self._run_async(batch, show_progress), return_completions_only)

    def stream(
        self,
        prompt: PromptLike,
        *,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
    ) -> Stream:
        """Ask one prompt, and have its tokens as they come; the first model is asked.

        Some servers cannot send an answer in pieces, or not with what is asked of them; all tokens come at once then.

        Parameters
        ----------
        prompt
            A text, a message list, :class:`Conversation` or :class:`RawPrompt`.
        sampling_params, tools, output_schema, use_cache
            As in :meth:`process_prompts_sync`.

        Returns
        -------
        Stream
            To loop over with ``for`` or ``async for``; its ``response`` is the whole answer in the end.

        Raises
        ------
        SettingError, LogprobsNotSupportedError, MissingKeyError
            Before anything is sent, when the call cannot work.

        Examples
        --------
        >>> with LLMClient("local", logprobs=True).stream("Say hello.") as stream:  # doctest: +SKIP
        ...     for token in stream:
        ...         print(token.text, token.probability)
        """
        from .stream import Stream

        return Stream(self._batch([prompt], sampling_params, tools, output_schema, use_cache), self._streamed)

    def score_continuations_sync(
        self,
        pairs: Iterable[tuple[PromptLike, str]],
        *,
        top_logprobs: int = 0,
        show_progress: bool = True,
    ) -> list[APIResponse]:
        """The log-likelihood of given texts: how probable the model finds each, token for token, after its prompt.

        Parameters
        ----------
        pairs
            Prompts, each with the text that is to follow it.
        top_logprobs
            How many alternatives to show at each token.
        show_progress
            Whether to show a progress bar.

        Returns
        -------
        list of APIResponse
            ``logprobs`` covers the tokens of the given text; ``logprobs.total_logprob`` is its log-likelihood in nats.

        Raises
        ------
        SettingError
            When a model's server cannot do this; the embedded model's can.
        """
        return self._run(self._scoring(pairs, top_logprobs), show_progress)

    async def score_continuations_async(
        self,
        pairs: Iterable[tuple[PromptLike, str]],
        *,
        top_logprobs: int = 0,
        show_progress: bool = True,
    ) -> list[APIResponse]:
        """As :meth:`score_continuations_sync`, to be awaited."""
        return await self._run_async(self._scoring(pairs, top_logprobs), show_progress)

    def close(self) -> None:
        """Close the connections; the client can be used again."""
        for route in self._routes:
            route.close()

    def __repr__(self) -> str:
        names = self.models
        shown = repr(names[0]) if len(names) == 1 else repr(names)
        return f"LLMClient({shown}, sampling_params={self.sampling_params!r})"

    # Preparing --------------------------------------------------------------------------------------------------------

    def _settings_for(self, per_call: Settings | None) -> list[SamplingParams]:
        """The settings of each model, checked against what it can do."""
        settings = as_settings_list(self.sampling_params if per_call is None else per_call)
        if len(settings) == 1:
            settings = settings * len(self._routes)
        if len(settings) != len(self._routes):
            raise SettingError(
                f"sampling_params must be one setting for all models or one for each of the {len(self._routes)}, not "
                f"{len(settings)}.",
                setting="sampling_params",
                value=settings,
            )
        for route, params in zip(self._routes, settings, strict=True):
            REGISTRY.validate(route.target, params)
        return settings

    def _batch(
        self,
        prompts: Iterable[PromptLike],
        sampling_params: Settings | None,
        tools: Sequence[Tool | Callable[..., Any]] | None,
        output_schema: Any,
        use_cache: bool,
    ) -> Batch:
        offered = tuple(tool if isinstance(tool, Tool) else Tool.from_function(tool) for tool in tools or ())
        schema = None if output_schema is None else as_output_schema(output_schema)
        read = as_prompts(prompts)
        asked: list[tuple[Prompt, str | None]] = [(prompt, None) for prompt in read]
        cache = self._cache if use_cache else None
        return self._items(asked, self._settings_for(sampling_params), offered, schema, cache=cache)

    def _scoring(self, pairs: Iterable[tuple[PromptLike, str]], top_logprobs: int) -> Batch:
        params = SamplingParams(logprobs=True, top_logprobs=top_logprobs)
        for route in self._routes:
            if not route.endpoint.continuations:
                raise SettingError(
                    f"{route.model!r} cannot be asked for the log-likelihood of a given text; the embedded model "
                    "'local' can.",
                    setting="model",
                    value=route.model,
                )
        read: list[tuple[Prompt, str | None]] = []
        for i, pair in enumerate(pairs):
            if isinstance(pair, str) or len(pair) != 2 or not isinstance(pair[1], str) or not pair[1]:
                raise SettingError(
                    f"pairs[{i}] must be a prompt and a text that is not empty, not {pair!r}.",
                    setting="pairs",
                    value=pair,
                )
            read.append((as_prompt(pair[0], f"pairs[{i}][0]"), pair[1]))
        return self._items(read, self._settings_for(params), cache=self._cache)

    def _items(
        self,
        asked: Iterable[tuple[Prompt, str | None]],
        settings: list[SamplingParams],
        tools: tuple[Tool, ...] = (),
        schema: Any = None,
        *,
        cache: Cache | None,
        only: int | None = None,
    ) -> Batch:
        items: list[Item] = []
        following = self._turns() if only is None else lambda: only
        features = requested_features(tools=bool(tools), output_schema=schema is not None)
        for prompt, continuation in asked:
            turn = following()
            REGISTRY.validate(self._routes[turn].target, settings[turn], prompt, features)
            items.append(Item(self._routes[turn], prompt, settings[turn], continuation))
        used = {id(item.route): item.route for item in items}.values()
        for route in used:
            if route.key_missing:
                variable = route.endpoint.key_variables[0]
                raise MissingKeyError(
                    f"{route.model!r} is served by {route.endpoint.label}, which wants a key: set {variable}"
                    f"{credentials.key_places()} or give api_key=; the embedded model 'local' needs none.",
                    endpoint=route.endpoint.name,
                    variable=variable,
                )
        limit = self._limit or max((route.endpoint.concurrency for route in used), default=1)
        return Batch(items, limit=limit, tools=tools, output_schema=schema, cache=cache)

    def go_on(self, prompt: Prompt, params: SamplingParams, turn: int, *, use_cache: bool = True) -> APIResponse:
        """Ask one of the models, by its turn, for the rest of an answer; for branches."""
        settings = [params] * len(self._routes)
        cache = self._cache if use_cache else None
        return self._run(self._items([(prompt, None)], settings, cache=cache, only=turn), False)[0]

    # Running ----------------------------------------------------------------------------------------------------------

    def _run(self, batch: Batch, show_progress: bool) -> list[APIResponse]:
        batch.start_servers()
        with batch.progress(show_progress) as tick:
            try:
                portal.run(batch.run(), tick=tick)
            except KeyboardInterrupt:
                self.interrupted = list(batch.responses)
                raise
            finally:
                self._count(batch)
        return batch.finished()

    async def _run_async(self, batch: Batch, show_progress: bool) -> list[APIResponse]:
        await asyncio.to_thread(batch.start_servers)
        with batch.progress(show_progress) as tick:
            running = asyncio.wrap_future(portal.submit(batch.run()))
            try:
                while not (await asyncio.wait((running,), timeout=0.1))[0]:
                    tick()
                await running
            except asyncio.CancelledError:
                running.cancel()
                self.interrupted = list(batch.responses)
                raise
            finally:
                self._count(batch)
            tick()
        return batch.finished()

    def _streamed(self, response: APIResponse) -> None:
        with self._counting:
            self.usage += total_usage([response])
        if response.note is not None and response.note.startswith("interrupted"):
            self.interrupted = [response]

    def _count(self, batch: Batch) -> None:
        spent = total_usage(batch.responses)
        with self._counting:
            self.usage += spent


def _given(responses: list[APIResponse], completions_only: bool) -> list[Any]:
    return [response.completion for response in responses] if completions_only else responses
