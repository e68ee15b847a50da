"""The parts of a client that are the same for every kind of call: models, settings, limits, usage, running a batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from ..elsewhere import CLIENT
from ..errors import SettingError
from ..models import REGISTRY
from ..models.spec import ServedModel
from ..prompts import Prompt, PromptLike, as_prompts
from ..response import APIResponse
from ..response.usage import Usage
from ..sampling import SamplingParams
from ..tools import Tool, as_output_schema
from ..transport.throttle import PaceLike, Slots
from ..warning import warn
from . import credentials
from .calls.running import RunningCalls
from .credentials import Access
from .options import (
    Settings,
    as_cache,
    as_pace,
    as_settings_list,
    as_tools,
    check_counts,
    check_names,
    check_positive,
    check_transport,
    weighted_round_robin,
    with_shortcuts,
)
from .route import Route, greedy
from .sending.batch import Batch, plan
from .sending.proof import prove_continuing
from .sending.resume import Resume, resume_batch

if TYPE_CHECKING:
    import httpx

    from .cache.store import Cache

Model = str | ServedModel


class BaseClient(RunningCalls):
    """Models with their settings, and the batches that are sent to them; :class:`LLMClient` adds the calls."""

    _elsewhere = CLIENT

    def __init__(
        self,
        model_or_models: Model | Sequence[Model] = (),
        *,
        sampling_params: Settings | None = None,
        model_weights: Sequence[float] | Literal["uniform"] | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        max_concurrent_requests: int | None = None,
        max_requests_per_minute: float | None = None,
        max_tokens_per_minute: float | None = None,
        pace: PaceLike | None = None,
        max_attempts: int = 5,
        timeout: float = 120.0,
        continues: bool | None = None,
        extra_headers: Mapping[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        cache: bool | str | os.PathLike[str] | Cache | None = None,
        **settings: Any,
    ) -> None:
        access = Access.of(api_key, base_url, extra_headers, organization, project)
        api_key = base_url = extra_headers = None  # so that no traceback has them in this frame
        check_names(settings, BaseClient.__init__)
        access.check()
        several = isinstance(model_or_models, Sequence) and not isinstance(model_or_models, str)
        models: list[Model] = list(model_or_models) if several else [model_or_models]  # type: ignore[list-item]
        if not models:
            raise SettingError("Name at least one model, as in LLMClient('local').", setting="model", value=models)
        check_counts(max_concurrent_requests=max_concurrent_requests, max_attempts=max_attempts)
        check_positive(timeout=timeout)
        check_transport(transport)
        if continues is not None and not isinstance(continues, bool):
            raise SettingError(
                f"continues must be True, False or None, not {continues!r}.", setting="continues", value=continues
            )
        rates = {"max_requests_per_minute": max_requests_per_minute, "max_tokens_per_minute": max_tokens_per_minute}
        self._settings: dict[str, Any] = {
            "model_or_models": models,
            "model_weights": model_weights,
            "max_concurrent_requests": max_concurrent_requests,
            **rates,
            "pace": pace,
            "max_attempts": max_attempts,
            "timeout": timeout,
            "continues": continues,
            "organization": organization,
            "project": project,
            "transport": transport,
        }
        self._access = access
        pace = as_pace(pace, {name: rate for name, rate in rates.items() if rate is not None})
        self._turns = partial(weighted_round_robin, model_weights, len(models))
        self._turns()
        # By default, each server has its own limit.
        slots = Slots(max_concurrent_requests) if max_concurrent_requests is not None else None
        self._routes = [
            Route(
                model,
                access=access,
                attempts=max_attempts,
                timeout=timeout,
                transport=transport,
                pace=pace,
                slots=slots,
                continues=continues,
            )
            for model in models
        ]
        self._limit = max_concurrent_requests
        self._cache = as_cache(cache)
        self.sampling_params: list[SamplingParams] = with_shortcuts(as_settings_list(sampling_params), settings)
        """Settings of every request: one for all models, or one for each."""
        RunningCalls.__init__(self)
        self._settings_for(None)

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order given."""
        return [route.model for route in self._routes]

    @property
    def max_top_logprobs(self) -> int:
        """Largest ``top_logprobs`` that all models accept."""
        return min(route.target.spec.support.max_top for route in self._routes)

    def greedy_settings(self) -> list[SamplingParams]:
        """Return the settings of each model, with ``temperature=0`` where they leave it open.

        Results that are read from probabilities should not depend on the token that is drawn. Models that refuse a
        temperature, according to the registry, get none.

        Returns
        -------
        list of SamplingParams
            One for each model.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> LLMClient("local", logprobs=True).greedy_settings()
        [SamplingParams(logprobs=True, temperature=0.0)]
        """
        settings = self._settings_for(None)
        return [greedy(params, route.target) for route, params in zip(self._routes, settings, strict=True)]

    def describe_requests(self, sampling_params: Settings | None = None) -> list[dict[str, Any]]:
        """Return what decides the answers of each model: its name, its endpoint and the settings of a request.

        Two clients with equal descriptions ask the same questions, wherever the servers are and whatever the limits.

        Parameters
        ----------
        sampling_params
            Settings in place of the client's.

        Returns
        -------
        list of dict
            Plain JSON, one entry for each model. An embedded model also has the ``file`` of its weights.

        Raises
        ------
        SettingError, LogprobsNotSupportedError
            When a model does not take the settings.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> LLMClient("gpt-4o-mini", temperature=0).describe_requests()
        [{'model': 'gpt-4o-mini', 'endpoint': 'openai', 'settings': {'temperature': 0.0}}]
        """
        descriptions: list[dict[str, Any]] = []
        for route, params in zip(self._routes, self._settings_for(sampling_params), strict=True):
            served = route.served()
            file = {} if served is None else {"file": served.fingerprint}
            settings = route.with_defaults(params).model_dump(mode="json", exclude_none=True, exclude_unset=True)
            descriptions.append({"model": route.model, "endpoint": route.endpoint.name, **file, "settings": settings})
        return descriptions

    def require_continuing(self) -> None:
        """Check that the server of every model continues the beginning of an answer.

        Where that is not known, the server is asked once to continue a count from 1 to 6, and the client remembers
        whether it did.

        Raises
        ------
        SettingError
            If a server starts a new answer instead, or it cannot be found out.
        MissingKeyError
            If a server needs a key and has none.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> LLMClient("local").require_continuing()
        """
        for route in self._routes:
            self._prove_continuing(route)

    def close(self) -> None:
        """Close the connections; the client opens new ones when it is used again."""
        for route in self._routes:
            route.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if "sampling_params" not in vars(self):  # seen from within the constructor, as in a traceback with locals
            return "LLMClient(…)"
        names = self.models
        shown = repr(names[0]) if len(names) == 1 else repr(names)
        return f"LLMClient({shown}, sampling_params={self.sampling_params!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Secrets stay in this process: who reads a pickle in a queue or a file must not find them there.
        withheld = self._access.secrets_given()
        if withheld:
            variables = dict.fromkeys(name for route in self._routes for name in route.endpoint.key_variables)
            where = f" in {' or '.join(variables)}{credentials.key_sources().rstrip(',')}" if variables else ""
            warn(
                f"A pickled client carries no secrets: {' and '.join(withheld)} of {self!r} stay behind, and where it "
                f"arrives the key is looked up anew{where}."
            )
        return _arrive, (type(self), self._travelling())

    def __copy__(self) -> Self:
        """Return a client with equal settings, which keeps the secrets, for it stays in this process."""
        return self._copied()

    def _copied(self, **changes: Any) -> Self:
        """Return a client with some other arguments, which keeps the secrets."""
        with_secrets = type(self)(**self._travelling() | changes)
        with_secrets._access = self._access
        for route, own in zip(with_secrets._routes, self._routes, strict=True):
            route.take_access(own)
        return with_secrets

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def _travelling(self) -> dict[str, Any]:
        """Return the arguments that make an equal client, without secrets."""
        address = self._access.address
        base_url = None if address is None else address.without_secrets()
        return {
            **self._settings,
            "base_url": base_url,
            "sampling_params": self.sampling_params,
            "cache": self._cache,
        }

    def _settings_for(self, per_call: Settings | None) -> list[SamplingParams]:
        """Return the settings of each model, checked against what it can do."""
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
        next_turn: Callable[[], int] | None = None,
        resume: Resume = None,
    ) -> Batch:
        batch = plan(
            [(prompt, None) for prompt in as_prompts(prompts)],
            self._routes,
            self._settings_for(sampling_params),
            next_turn or self._turns(),
            limit=self._limit,
            tools=as_tools(tools),
            output_schema=None if output_schema is None else as_output_schema(output_schema),
            cache=self._cache if use_cache else None,
        )
        resume_batch(batch, resume)
        return batch

    def _scoring(
        self,
        pairs: list[tuple[Prompt, str | None]],
        params: SamplingParams,
        *,
        ends: bool = False,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> Batch:
        settings, cache = self._settings_for(params), self._cache if use_cache else None
        batch = plan(pairs, self._routes, settings, self._turns(), limit=self._limit, ends=ends, cache=cache)
        resume_batch(batch, resume)
        return batch

    def _continue(self, prompt: Prompt, params: SamplingParams, turn: int, *, use_cache: bool = True) -> APIResponse:
        """Ask the model of one turn for the rest of an answer."""
        route, cache = self._routes[turn], self._cache if use_cache else None
        # Token ids are continued by every server that takes them.
        if prompt.prefill is not None and not prompt.begun:
            self._prove_continuing(route)
        batch = plan([(prompt, None)], [route], [params], lambda: 0, limit=self._limit, cache=cache)
        return self._run(batch, show_progress=False)[0]

    def _prove_continuing(self, route: Route) -> None:
        prove_continuing(route, lambda: self._spending.add(Usage(requests=1)))


def _arrive(kind: type[BaseClient], arguments: dict[str, Any]) -> BaseClient:
    return kind(**arguments)
