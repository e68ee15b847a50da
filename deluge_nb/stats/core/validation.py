"""Reading what is handed in: one clear sentence for what cannot be meant, float64 arrays for the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...errors import LogprobError, ProbabilityMassError, SettingError, invalid_argument
from ...logprobs.columns import Floats, Ints
from ...logprobs.values import LOWEST, ROUNDING, SENTINELS

# A total of probabilities may exceed 1 by this much, for each of them is rounded.
MASS_TOLERANCE = 1e-4


class Alternative(NamedTuple):
    """A token that a model weighed, with its natural logarithm of probability and its bytes where those are known."""

    token: str
    logprob: float
    raw: bytes | None


def number(value: object, name: str, wanted: str = "a number") -> float:
    """One real number; NaN is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise invalid_argument(name, value, wanted)
    made = float(value)
    if math.isnan(made):
        raise invalid_argument(name, value, wanted)
    return made


def count(value: object, name: str, least: int = 0) -> int:
    """A whole number that is not too small."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise invalid_argument(name, value, f"a whole number from {least} on")
    return int(value)


def between(value: object, name: str, low: float, high: float, *, ends: bool = True) -> float:
    """A number in an interval, whose ends belong to it or not."""
    said = "from" if ends else "between"
    made = number(value, name, f"a number {said} {low:g} {'to' if ends else 'and'} {high:g}")
    if not (low <= made <= high if ends else low < made < high):
        raise invalid_argument(name, value, f"a number {said} {low:g} {'to' if ends else 'and'} {high:g}")
    return made


def log_base(base: float | None) -> float:
    """The natural logarithm of a base; 1 for None, which means nats."""
    if base is None:
        return 1.0
    made = number(base, "base", "a positive number other than 1 (2 for bits)")
    if not 0 < made < math.inf or made == 1:
        raise invalid_argument("base", base, "a positive number other than 1 (2 for bits)")
    return math.log(made)


def read_temperature(value: object) -> float:
    """A temperature: 0 or more, infinity included."""
    return between(value, "temperature", 0, math.inf)


def vector(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    """A flat float64 array of numbers, in which nothing is NaN."""
    made = _as_vector(values, name)
    _check_no_nan(made, name)
    return made


def matrix(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    """A float64 array of rows of the same length, in which nothing is NaN."""
    made = _as_array(values, name)
    if made.ndim == 1 and not made.size:
        made = made.reshape(0, 0)
    if made.ndim != 2:
        raise invalid_argument(name, values, "a list of rows of numbers of the same length")
    _check_no_nan(made.reshape(-1), name)
    return made


def probabilities(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    """A flat array of numbers from 0 to 1."""
    made = _as_vector(values, name)
    if not len(made) or (made.min() >= 0 and made.max() <= 1):  # NaN is neither
        return made
    _check_no_nan(made, name)
    wrong = np.flatnonzero((made < 0) | (made > 1))
    raise invalid_argument(f"{name}[{wrong[0]}]", float(made[wrong[0]]), "a probability from 0 to 1")


def outcomes(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    """A flat array of 0 and 1."""
    if isinstance(values, np.ndarray) and values.dtype == np.bool_ and values.ndim == 1:
        return values.astype(np.float64)
    made = vector(values, name)
    wrong = np.flatnonzero((made != 0) & (made != 1))
    if len(wrong):
        raise invalid_argument(f"{name}[{wrong[0]}]", float(made[wrong[0]]), "0 or 1 (or False or True)")
    return made


def check_paired(left: Floats, right: Floats, names: tuple[str, str]) -> None:
    """Refuse two lists that do not belong together, and empty ones."""
    if len(left) != len(right):
        raise SettingError(
            f"{names[0]} and {names[1]} must be of the same length, not {len(left)} and {len(right)}.",
            setting=names[1],
            value=len(right),
        )
    if not len(left):
        raise SettingError(f"{names[0]} must not be empty: there is nothing to measure.", setting=names[0], value=[])


def classes(values: ArrayLike | Iterable[Any], name: str, width: int) -> Ints:
    """A flat array of column numbers."""
    made = vector(values, name)
    wrong = np.flatnonzero((made != np.floor(made)) | (made < 0) | (made >= width))
    if len(wrong):
        raise invalid_argument(
            f"{name}[{wrong[0]}]", float(made[wrong[0]]), f"the number of a class, from 0 to {width - 1}"
        )
    return made.astype(np.int32)


def read_counts(values: ArrayLike, name: str) -> Floats:
    """A flat array of whole numbers from 0 on."""
    made = vector(values, name)
    wrong = np.flatnonzero((made < 0) | (made != np.floor(made)) | np.isinf(made))
    if len(wrong):
        raise invalid_argument(f"{name}[{wrong[0]}]", float(made[wrong[0]]), "a count: a whole number from 0 on")
    return made


def read_logprobs(values: ArrayLike | Iterable[Any], name: str = "logprobs") -> Floats:
    """A flat array of log-probabilities; ``-inf`` for a probability of 0.

    Raises
    ------
    LogprobError
        At the first that is NaN, None or above 0 by more than rounding explains.
    """
    made = _as_array(values, name)
    if made.ndim != 1:
        raise invalid_argument(name, values, "a flat list of log-probabilities")
    wrong = np.flatnonzero(~(made <= ROUNDING))
    if len(wrong):
        raise logprob_error(float(made[wrong[0]]), name, int(wrong[0]))
    return np.where(made <= LOWEST, -np.inf, np.minimum(made, 0.0))


def drop_sentinels(values: Floats, sentinels: Sequence[float] = SENTINELS) -> Floats:
    """Log-probabilities without the placeholders of those that were not told."""
    return values[~np.isin(values, sentinels)] if len(sentinels) else values


def logprob_error(value: float, name: str, position: int, token: str | None = None) -> LogprobError:
    """The error for a number, or no number, in the place of a log-probability."""
    of = f" (token {token!r})" if token is not None else ""
    shown = "missing (null or NaN)" if math.isnan(value) else f"{value!r}, and a log-probability is at most 0"
    return LogprobError(
        f"{name}[{position}]{of} is {shown}: leave such tokens out, or ask for the log-probabilities again.",
        position=position,
        token=token,
        value=value,
    )


def read_alternatives(
    values: Iterable[Any], name: str = "top_logprobs", sentinels: Sequence[float] = SENTINELS
) -> list[Alternative]:
    """The alternatives of one position: dicts with ``token`` and ``logprob``, pairs, or a dict from token to number."""
    if isinstance(values, Mapping):
        values = values.items()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise invalid_argument(name, values, "a list of alternatives, each with 'token' and 'logprob'")
    found = []
    for position, entry in enumerate(values):
        one = read_alternative(entry, f"{name}[{position}]", name, position)
        if one.logprob not in sentinels:
            found.append(one)
    return found


def read_alternative(entry: Any, where: str, name: str, position: int) -> Alternative:
    """One alternative out of a dict or a pair."""
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
    """The error for probabilities that add up to something impossible."""
    return ProbabilityMassError(
        f"The probabilities of {where} add up to {mass:.6g}, and should add up to at most 1: the list names a token "
        "twice, or the numbers were changed after the model gave them.",
        value=mass,
    )


def _as_array(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    if isinstance(values, str | bytes | Mapping):
        raise invalid_argument(name, values, "a list of numbers")
    if not hasattr(values, "__array__") and not isinstance(values, Sequence):
        values = list(values) if isinstance(values, Iterable) else [values]
    try:
        made = np.asarray(values)
        if made.dtype.kind in "USM" or made.dtype.kind == "c":
            raise TypeError
        return made.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise invalid_argument(name, values, "a list of numbers") from None


def _as_vector(values: ArrayLike | Iterable[Any], name: str) -> Floats:
    made = _as_array(values, name)
    if made.ndim != 1:
        raise invalid_argument(name, values, "a flat list of numbers")
    return made


def _check_no_nan(made: Floats, name: str) -> None:
    wrong = np.flatnonzero(np.isnan(made))
    if len(wrong):
        raise invalid_argument(f"{name}[{wrong[0]}]", float(made[wrong[0]]), "a number")
