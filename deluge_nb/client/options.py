"""Check the arguments of a client: names, counts, one setting for all models or one for each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from ..errors import SettingError, invalid_argument
from ..sampling import NAMES_ELSEWHERE, SamplingParams, hint
from ..tools import Tool
from ..transport.throttle import OwnPace, Pace, PaceLike, PaceOfProcesses, check_pace
from .sending.pacing import CheckedPace

if TYPE_CHECKING:
    from .cache.store import Cache

Settings = SamplingParams | Sequence[SamplingParams]

# Names that other clients use, and what to write here.
_ELSEWHERE = {
    **NAMES_ELSEWHERE,
    "max_tokens": "write max_new_tokens=.",
    **dict.fromkeys(
        ("model", "models", "model_name", "model_names"),
        "the models come first: LLMClient('gpt-4o-mini').",
    ),
    **dict.fromkeys(("api_base", "azure_endpoint", "endpoint", "url", "host"), "write base_url=."),
    **dict.fromkeys(
        ("key", "token", "api_token", "auth_token", "access_token", "bearer_token", "openai_api_key", "auth"),
        "write api_key=.",
    ),
    "azure_ad_token": "write extra_headers={'Authorization': 'Bearer …'}.",
    "api_version": "write it into the address: base_url='https://…?api-version=…'.",
    "request_timeout": "write timeout=.",
    "max_retries": "write max_attempts=, which counts the first attempt, too.",
    "default_headers": "write extra_headers=.",
    "headers": "write extra_headers=.",
    "default_query": "write the query into the address: base_url='https://…/v1?name=value'.",
    "http_client": "write transport=, which takes an httpx transport.",
    "system": "write the instruction into the prompts: Conversation().system(…).user(…).",
    "stream": "call client.stream(prompt).",
    **{name: f"pass {name}= to the call." for name in ("tools", "output_schema", "show_progress", "use_cache")},
    "progress": "pass show_progress= to the call.",
    "fallback_models": "ask another client for the prompts whose response.is_error is True.",
    "postprocess": "change the responses after the call.",
}


def check_counts(**given: int | None) -> None:
    """Check that each argument is an integer of at least 1, or None."""
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise SettingError(f"{name} must be an integer of at least 1, not {value!r}.", setting=name, value=value)


def check_positive(**given: Any) -> None:
    """Check that each argument is a number above 0."""
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
            raise SettingError(f"{name} must be a number above 0, not {value!r}.", setting=name, value=value)


def as_settings_list(settings: Settings | None) -> list[SamplingParams]:
    """Return one setting or several as a list."""
    given = [SamplingParams()] if settings is None else [settings] if isinstance(settings, SamplingParams) else settings
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise SettingError(
            f"sampling_params must be SamplingParams or a list of them, not {given!r}.",
            setting="sampling_params",
            value=given,
        )
    for params in given:
        if not isinstance(params, SamplingParams):
            raise SettingError(
                f"sampling_params must be SamplingParams or a list of them, not a list with {params!r}.",
                setting="sampling_params",
                value=params,
            )
    return list(given)


def with_shortcuts(all_params: list[SamplingParams], settings: dict[str, Any]) -> list[SamplingParams]:
    """Return the settings with the client's keyword arguments where they leave fields open."""
    for params in all_params:
        for name, value in settings.items():
            if name in params.model_fields_set and getattr(params, name) != value:
                raise SettingError(
                    f"{name}={value!r} contradicts {name}={getattr(params, name)!r} in sampling_params; give it once.",
                    setting=name,
                    value=value,
                )
    return [params.replace(**settings) for params in all_params] if settings else all_params


def as_pace(pace: PaceLike | None, rates: Mapping[str, float]) -> PaceLike | None:
    """Return what paces a client's requests: the object that was given, or the client's own limits per minute."""
    check_positive(**rates)
    if pace is None:
        return OwnPace(*map(rates.get, ("max_requests_per_minute", "max_tokens_per_minute"))) if rates else None
    check_pace(pace)
    if rates:
        name, rate = next(iter(rates.items()))
        raise SettingError(
            f"{name}={rate!r} and pace={pace!r} both limit the requests; give the limit once.", setting=name, value=rate
        )
    return pace if type(pace) is Pace or isinstance(pace, PaceOfProcesses) else CheckedPace(pace)


def check_transport(transport: object) -> None:
    """Check that an object can carry requests as an asynchronous httpx transport does."""
    if transport is not None and not callable(getattr(transport, "handle_async_request", None)):
        kind = type(transport).__name__
        raise SettingError(f"transport must be an httpx.AsyncBaseTransport, not {kind}.", setting="transport")


def as_cache(cache: Any) -> Cache | None:
    """Return the cache for the setting ``cache``."""
    if cache is None or cache is False:  # most clients have none, and need not import sqlite3
        return None
    from .cache.store import open_cache

    return open_cache(cache)


def weighted_round_robin(weights: Sequence[float] | Literal["uniform"] | None, count: int) -> Callable[[], int]:
    """Return a function that gives the index of the next model: in proportion to its weight, evenly spread.

    Raises
    ------
    SettingError
        If the weights are not one number of at least 0 for each model, or all of them are 0.
    """
    if isinstance(weights, str):
        given = [1.0] * count if weights == "uniform" else []
    else:
        given = [1.0] * count if weights is None else list(weights) if isinstance(weights, Sequence) else []
    valid = all(isinstance(item, int | float) and not isinstance(item, bool) and 0 <= item < inf for item in given)
    if len(given) != count or not valid or not sum(given) > 0:
        models = f"each of the {count} models" if count > 1 else "the model"
        raise SettingError(
            f"model_weights must be 'uniform', or one number for {models}, at least 0 and not all 0, not {weights!r}.",
            setting="model_weights",
            value=weights,
        )
    total, credit = sum(given), [0.0] * count

    def next_turn() -> int:
        for index, weight in enumerate(given):
            credit[index] += weight
        best = max(range(count), key=credit.__getitem__)
        credit[best] -= total
        return best

    return next_turn


def as_tools(tools: Any) -> tuple[Tool, ...]:
    """Return the tools that a call offers to the model.

    Raises
    ------
    SettingError
        If it is no list of functions and tools.
    """
    if tools is None:
        return ()
    if isinstance(tools, str | Tool) or callable(tools) or not isinstance(tools, Iterable):
        raise invalid_argument("tools", tools, "a list of functions")
    return tuple(tool if isinstance(tool, Tool) else Tool.from_function(tool) for tool in tools)


def check_names(settings: dict[str, Any], own: Callable[..., Any]) -> None:
    """Check that each keyword is a setting of a request; the error suggests the nearest name.

    Before an error is raised the settings are cleared: a value may be a key under a name of another client, and a
    traceback would have it in a local variable.
    """
    known = [*SamplingParams.model_fields, *list(inspect.signature(own).parameters)[1:-1]]
    for name in settings:
        if name not in SamplingParams.model_fields:
            settings.clear()
            advice = hint(name, known, "LLMClient", _ELSEWHERE)
            raise SettingError(f"LLMClient has no setting {name!r}; {advice}", setting=name)
