"""Validate the values of widget traits; each error is one sentence that names the trait, the value and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..errors import SettingError
from ..stats.temperature import SAMPLER_ORDERS

if TYPE_CHECKING:
    from ..sampling import SamplingParams


def position(name: str, value: int | None, size: int) -> int | None:
    """Return a value that is None or the position of one of ``size`` tokens.

    Raises
    ------
    SettingError
        When there is no such token.
    """
    if value is not None and not 0 <= value < size:
        allowed = f"None or a position from 0 to {size - 1}" if size else "None, as there are no tokens"
        raise invalid(name, allowed, value)
    return value


def positions(name: str, values: Sequence[Any], size: int) -> list[int]:
    """Return a list of positions, each of one of ``size`` tokens.

    Raises
    ------
    SettingError
        When a value is not the position of a token.
    """
    if not all(isinstance(value, int) and 0 <= value < size for value in values):
        allowed = f"positions from 0 to {size - 1}" if size else "empty, as there are no tokens"
        raise invalid(name, allowed, list(values))
    return list(values)


def span(name: str, values: Sequence[Any], size: int) -> list[int]:
    """Return ``[start, stop]`` within ``size`` tokens, or an empty list.

    Raises
    ------
    SettingError
        When it is neither.
    """
    if len(values) and not _is_span(values, size):
        raise invalid(name, f"empty or [start, stop] with 0 <= start < stop <= {size}", list(values))
    return [int(value) for value in values]


def side_span(name: str, values: Sequence[Any], sizes: Sequence[int]) -> list[int]:
    """Return ``[response, start, stop]`` within one of several responses, or an empty list.

    Raises
    ------
    SettingError
        When it is neither.
    """
    if not len(values):
        return []
    if len(values) != 3 or not _is_index(values[0], len(sizes)) or not _is_span(values[1:], sizes[values[0]]):
        allowed = "empty or [response, start, stop] with 0 <= start < stop <= the number of its tokens"
        raise invalid(name, allowed, list(values))
    return [int(value) for value in values]


def side_positions(name: str, values: Sequence[Any], sizes: Sequence[int]) -> list[list[int]]:
    """Return pairs of a response and the position of one of its tokens.

    Raises
    ------
    SettingError
        When a value is no such pair.
    """
    pairs: list[list[int]] = []
    for value in values:
        pair = list(value) if isinstance(value, list | tuple) else []
        if len(pair) != 2 or not _is_index(pair[0], len(sizes)) or not _is_index(pair[1], sizes[pair[0]]):
            raise invalid(name, "a list of pairs of a response and the position of one of its tokens", list(values))
        pairs.append([int(number) for number in pair])
    return pairs


def _is_index(value: Any, size: int) -> bool:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_whole and bool(0 <= value < size)


def _is_span(values: Sequence[Any], size: int) -> bool:
    """Return whether values are the first and the end of a range within ``size`` tokens."""
    return len(values) == 2 and all(_is_index(value, size + 1) for value in values) and values[0] < values[1]


def limits(name: str, values: Sequence[Any]) -> list[float]:
    """Return two values in ascending order, or an empty list.

    Raises
    ------
    SettingError
        When it is neither.
    """
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        raise invalid(name, "empty or two numbers, the lower one first", values) from None
    if numbers and not (len(numbers) == 2 and numbers[0] <= numbers[1]):
        raise invalid(name, "empty or two values, the lower one first", numbers)
    return numbers


def between(name: str, value: float, low: float, high: float, allowed: str, *, open_low: bool = False) -> float:
    """Return a number that lies within an interval; ``open_low`` excludes the lower end.

    Raises
    ------
    SettingError
        When the number lies outside.
    """
    if not (low < value <= high if open_low else low <= value <= high):
        raise invalid(name, allowed, value)
    return value


_CUTS: dict[str, tuple[float, float, str]] = {
    "top_k": (1, np.inf, "None or a whole number from 1"),
    "top_p": (float(np.nextafter(0, 1)), 1, "None or a number above 0 and at most 1"),
    "min_p": (0, 1, "None or a number from 0 to 1"),
}


def cut(name: str, value: Any) -> Any:
    """Return a setting that cuts off tokens: None, or a number in its range.

    Raises
    ------
    SettingError
        When the number lies outside.
    """
    if value is None:
        return None
    low, high, allowed = _CUTS[name]
    if isinstance(value, bool):
        raise invalid(name, allowed, value)
    return between(name, value, low, high, allowed)


def sampler(params: SamplingParams | None, *, temperature: float | None, **cuts: Any) -> dict[str, Any]:
    """Return the settings of a sampler: those that were passed, else those that an answer was drawn with.

    Parameters
    ----------
    params
        Settings of the request, if they are known. Their temperature counts only if they cut off tokens as well: most
        answers are drawn at temperature 0, at which there is nothing to see.
    temperature
        The temperature that was passed.
    **cuts
        ``top_k``, ``top_p`` and ``min_p`` that were passed.
    """
    if temperature is None and params is not None and not any(value is not None for value in cuts.values()):
        known = {"top_p": params.top_p, **(params.extra_body or {})}
        cuts = {name: _cut_or_none(name, known.get(name)) for name in cuts}
        if any(value is not None for value in cuts.values()):
            temperature = params.temperature
    return {"temperature": 1.0 if temperature is None else temperature, **cuts}


def _cut_or_none(name: str, value: Any) -> Any:
    """Return a setting of a request, or None if it makes no cut, or is none."""
    wanted = int if name == "top_k" else (int, float)
    if not isinstance(value, wanted) or isinstance(value, bool):
        return None
    low, high, _ = _CUTS[name]
    keeps_all = value >= 1 if name == "top_p" else value <= 0
    return value if low <= value <= high and not keeps_all else None


def invalid(name: str, allowed: str, value: Any) -> SettingError:
    """Return the error for an invalid value of a trait."""
    return SettingError(f"{name} must be {allowed}, not {value!r}.", setting=name, value=value)


class SamplerTraits(traitlets.HasTraits):
    """The settings of the sampler whose draws the cards of a widget show."""

    temperature = traitlets.Float(1.0).tag(sync=True)
    top_k = traitlets.Int(None, allow_none=True).tag(sync=True)
    top_p = traitlets.Float(None, allow_none=True).tag(sync=True)
    min_p = traitlets.Float(None, allow_none=True).tag(sync=True)
    sampler_order = traitlets.Enum(list(SAMPLER_ORDERS), "vllm").tag(sync=True)

    @traitlets.validate("temperature")
    def _check_temperature(self, proposal: Mapping[str, Any]) -> float:
        return between("temperature", proposal["value"], 0, 100, "from 0 to 100")

    @traitlets.validate("top_k", "top_p", "min_p")
    def _check_cut(self, proposal: Mapping[str, Any]) -> float | None:
        return cut(proposal["trait"].name, proposal["value"])


class MeasureSettings(SamplerTraits):
    """The settings of a view that are numbers: which tokens stand out, and the sampler of the cards."""

    threshold = traitlets.Float(0.1).tag(sync=True)
    limits = traitlets.List(traitlets.Any()).tag(sync=True)

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: Mapping[str, Any]) -> float:
        allowed = "a probability above 0 and at most 1"
        return between("threshold", proposal["value"], 0, 1, allowed, open_low=True)

    @traitlets.validate("limits")
    def _check_limits(self, proposal: Mapping[str, Any]) -> list[float]:
        return limits("limits", proposal["value"])
