"""What a client is told, checked: names, counts, one setting for all models or one for each."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from ..sampling import SamplingParams

if TYPE_CHECKING:
    from .cache import Cache

Settings = SamplingParams | Sequence[SamplingParams]


def check_counts(**given: int | None) -> None:
    """Refuse what is no integer of at least 1."""
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise SettingError(f"{name} must be an integer of at least 1, not {value!r}.", setting=name, value=value)


def check_positive(**given: Any) -> None:
    """Refuse what is no number above 0."""
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
            raise SettingError(f"{name} must be a number above 0, not {value!r}.", setting=name, value=value)


def as_settings_list(settings: Settings | None) -> list[SamplingParams]:
    """One setting or several, as a list."""
    found = [SamplingParams()] if settings is None else [settings] if isinstance(settings, SamplingParams) else settings
    if isinstance(found, str) or not isinstance(found, Sequence) or not found:
        raise SettingError(
            f"sampling_params must be SamplingParams or a list of them, not {found!r}.",
            setting="sampling_params",
            value=found,
        )
    for params in found:
        if not isinstance(params, SamplingParams):
            raise SettingError(
                f"sampling_params must be SamplingParams or a list of them, not a list with {params!r}.",
                setting="sampling_params",
                value=params,
            )
    return list(found)


def with_shortcuts(listed: list[SamplingParams], settings: dict[str, Any]) -> list[SamplingParams]:
    """The settings with the shortcuts filled in where they leave them open."""
    for params in listed:
        for name, value in settings.items():
            if name in params.model_fields_set and getattr(params, name) != value:
                raise SettingError(
                    f"{name}={value!r} contradicts {name}={getattr(params, name)!r} in sampling_params; give it once.",
                    setting=name,
                    value=value,
                )
    return [params.replace(**settings) for params in listed] if settings else listed


def as_cache(cache: Any) -> Cache | None:
    """The cache that a setting means."""
    if cache is None or cache is False:  # most clients have none, and need not load what it takes
        return None
    from .cache import open_cache

    return open_cache(cache)


def weighted_round_robin(weights: Sequence[float] | None, count: int) -> Callable[[], int]:
    """Which of so many models is next: as often as its weight says, and as evenly spread as can be.

    Raises
    ------
    SettingError
        When the weights are not one number of at least 0 for each model, or all of them 0.
    """
    given = [1.0] * count if weights is None else list(weights) if isinstance(weights, Sequence) else []
    good = all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < inf for one in given)
    if isinstance(weights, str) or len(given) != count or not good or not sum(given) > 0:
        raise SettingError(
            f"model_weights must be one number for each of the {count} models, at least 0 and not all 0, not "
            f"{weights!r}.",
            setting="model_weights",
            value=weights,
        )
    total, credit = sum(given), [0.0] * count

    def following() -> int:
        for place, weight in enumerate(given):
            credit[place] += weight
        best = max(range(count), key=credit.__getitem__)
        credit[best] -= total
        return best

    return following


def check_names(settings: dict[str, Any], own: Callable[..., Any]) -> None:
    """Refuse what is no setting of a request, with the nearest name of one or of the client's own."""
    known = [*SamplingParams.model_fields, *list(inspect.signature(own).parameters)[1:-1]]
    for name in settings:
        if name not in SamplingParams.model_fields:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "see help(LLMClient)."
            raise SettingError(f"LLMClient has no setting {name!r}; {hint}", setting=name, value=settings[name])
