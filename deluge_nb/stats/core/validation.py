"""Argument checks: float64 arrays and numbers from user input, or an error that names the argument."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...errors import LogprobError, ProbabilityMassError, SettingError, invalid_argument
from ...logprobs.columns import Floats, Ints
from ...logprobs.measures import log_of
from ...logprobs.values import LOWEST, ROUNDING, SENTINELS


class Alternative(NamedTuple):
    """A token of a list of alternatives, with its log-probability (nats) and its bytes if they are known."""

    token: str
    logprob: float
    raw: bytes | None


def number(value: object, name: str, expected: str = "a number") -> float:
    """Return a real number other than NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise invalid_argument(name, value, expected)
    result = float(value)
    if math.isnan(result):
        raise invalid_argument(name, value, expected)
    return result


def count(value: object, name: str, least: int = 0) -> int:
    """Return a whole number of at least ``least``."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise invalid_argument(name, value, f"a whole number from {least} on")
    return int(value)


def between(value: object, name: str, low: float, high: float, *, ends: bool = True) -> float:
    """Return a number in an interval, closed or open at both ends."""
    expected = f"a number from {low:g} to {high:g}" if ends else f"a number between {low:g} and {high:g}"
    result = number(value, name, expected)
    if not (low <= result <= high if ends else low < result < high):
        raise invalid_argument(name, value, expected)
    return result


def log_base(base: float | None) -> float:
    """Return the natural logarithm of a base; 1 for None, which means nats."""
    return 1.0 if base is None else log_of(base)


def read_temperature(value: object) -> float:
    """Return a temperature: 0 or more, infinity included."""
    return between(value, "temperature", 0, math.inf)


def vector(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    """Return a flat float64 array of numbers without NaN."""
    array = _as_vector(values, name)
    _check_no_nan(array, name)
    return array


def matrix(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    """Return a float64 array of rows of the same length, without NaN."""
    array = _as_array(values, name)
    if array.ndim == 1 and not array.size:
        array = array.reshape(0, 0)
    if array.ndim != 2:
        raise invalid_argument(name, values, "a list of rows of numbers of the same length")
    _check_no_nan(array.reshape(-1), name)
    return array


def probabilities(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    """Return a flat array of numbers from 0 to 1."""
    array = _as_vector(values, name)
    if not len(array) or (array.min() >= 0 and array.max() <= 1):  # NaN fails both
        return array
    _check_no_nan(array, name)
    wrong = np.flatnonzero((array < 0) | (array > 1))
    raise invalid_argument(f"{name}[{wrong[0]}]", float(array[wrong[0]]), "a probability from 0 to 1")


def outcomes(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    """Return a flat array of 0 and 1."""
    if isinstance(values, np.ndarray) and values.dtype == np.bool_ and values.ndim == 1:
        return values.astype(np.float64)
    array = vector(values, name)
    wrong = np.flatnonzero((array != 0) & (array != 1))
    if len(wrong):
        raise invalid_argument(f"{name}[{wrong[0]}]", float(array[wrong[0]]), "0 or 1 (or False or True)")
    return array


def check_paired(left: Floats, right: Floats, names: tuple[str, str]) -> None:
    """Raise an error for two lists of different length, and for empty ones."""
    if len(left) != len(right):
        raise SettingError(
            f"{names[0]} and {names[1]} must be of the same length, not {len(left)} and {len(right)}.",
            setting=names[1],
            value=len(right),
        )
    if not len(left):
        raise SettingError(f"{names[0]} must not be empty: there is nothing to measure.", setting=names[0], value=[])


def classes(values: ArrayLike | Iterable[Any], name: str, width: int) -> Ints:
    """Return a flat array of column numbers below ``width``."""
    array = vector(values, name)
    wrong = np.flatnonzero((array != np.floor(array)) | (array < 0) | (array >= width))
    if len(wrong):
        raise invalid_argument(
            f"{name}[{wrong[0]}]", float(array[wrong[0]]), f"the number of a class, from 0 to {width - 1}"
        )
    return array.astype(np.int32)


def read_counts(values: ArrayLike, name: str) -> Floats:
    """Return a flat array of whole numbers of at least 0."""
    array = vector(values, name)
    wrong = np.flatnonzero((array < 0) | (array != np.floor(array)) | np.isinf(array))
    if len(wrong):
        raise invalid_argument(f"{name}[{wrong[0]}]", float(array[wrong[0]]), "a count: a whole number from 0 on")
    return array


def read_logprobs(values: ArrayLike | Iterable[Any], name: str = "logprobs") -> Floats:
    """Return a flat array of log-probabilities; ``-inf`` for a probability of 0.

    Raises
    ------
    LogprobError
        At the first value that is NaN, None or above 0 by more than rounding.
    """
    array = _as_array(values, name)
    if array.ndim != 1:
        raise invalid_argument(name, values, "a flat list of log-probabilities")
    wrong = np.flatnonzero(~(array <= ROUNDING))
    if len(wrong):
        raise logprob_error(float(array[wrong[0]]), name, int(wrong[0]))
    return np.where(array <= LOWEST, -np.inf, np.minimum(array, 0.0))


def drop_sentinels(values: Floats, sentinels: Sequence[float] = SENTINELS) -> Floats:
    """Return log-probabilities without the placeholders of withheld values."""
    return values[~np.isin(values, sentinels)] if len(sentinels) else values


def logprob_error(value: float, name: str, position: int, token: str | None = None) -> LogprobError:
    """Return the error for a value that is not a log-probability."""
    of = f" (token {token!r})" if token is not None else ""
    fault = "missing (null or NaN)" if math.isnan(value) else f"{value!r}, and a log-probability is at most 0"
    return LogprobError(
        f"{name}[{position}]{of} is {fault}: leave such tokens out, or ask for the log-probabilities again.",
        position=position,
        token=token,
        value=value,
    )


def read_alternatives(
    values: Iterable[Any], name: str = "top_logprobs", sentinels: Sequence[float] = SENTINELS
) -> list[Alternative]:
    """Return the alternatives of one position, without withheld ones.

    They are dicts with ``token`` and ``logprob``, pairs, or one dict from token to log-probability. Entries with equal
    text, bytes, id and log-probability are one token.
    """
    if isinstance(values, Mapping):
        values = values.items()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise invalid_argument(name, values, "a list of alternatives, each with 'token' and 'logprob'")
    result: dict[tuple[Alternative, Any], Alternative] = {}
    for position, entry in enumerate(values):
        alternative = read_alternative(entry, f"{name}[{position}]", name, position)
        if alternative.logprob not in sentinels:
            # Some servers list the drawn token twice: what is equal to the last digit is one token.
            token_id = entry.get("id") if isinstance(entry, Mapping) else None
            result.setdefault((alternative, token_id), alternative)
    return list(result.values())


def read_alternative(entry: Any, where: str, name: str, position: int) -> Alternative:
    """Return one alternative from a dict or a pair."""
    if isinstance(entry, Mapping):
        token, logprob, raw = entry.get("token"), entry.get("logprob"), entry.get("bytes")
    elif isinstance(entry, tuple | list) and len(entry) == 2:
        (token, logprob), raw = entry, None
    else:
        raise invalid_argument(where, entry, "a dict with 'token' and 'logprob'")
    if not isinstance(token, str):
        raise invalid_argument(f"{where}['token']", token, "a string")
    if logprob is None:
        logprob = math.nan
    if isinstance(logprob, bool) or not isinstance(logprob, int | float | np.integer | np.floating):
        raise invalid_argument(f"{where}['logprob']", logprob, "a number")
    value = float(logprob)
    if not value <= ROUNDING:
        raise logprob_error(value, name, position, token)
    value = -math.inf if value <= LOWEST else min(value, 0.0)
    return Alternative(token, value, bytes(raw) if raw is not None else None)


def mass_error(mass: float, where: str) -> ProbabilityMassError:
    """Return the error for probabilities that add up to more than 1."""
    return ProbabilityMassError(
        f"The probabilities of {where} add up to {mass:.6g}, and should add up to at most 1: the list names a token "
        "twice, or the numbers were changed after the model gave them.",
        value=mass,
    )


def _as_array(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    if values is None or isinstance(values, str | bytes | Mapping):
        raise invalid_argument(name, values, "a list of numbers")
    if not hasattr(values, "__array__") and not isinstance(values, Sequence):
        values = list(values) if isinstance(values, Iterable) else [values]
    try:
        array = np.asarray(values)
        if array.dtype.kind in "USM" or array.dtype.kind == "c":
            raise TypeError
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise invalid_argument(name, values, "a list of numbers") from None


def _as_vector(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    array = _as_array(values, name)
    if array.ndim != 1:
        raise invalid_argument(name, values, "a flat list of numbers")
    return array


def _check_no_nan(array: Floats, name: str) -> None:
    wrong = np.flatnonzero(np.isnan(array))
    if len(wrong):
        raise invalid_argument(f"{name}[{wrong[0]}]", float(array[wrong[0]]), "a number")
