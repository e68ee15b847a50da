"""Keep the last result of a function whose callers pass the same objects thousands of times."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from operator import is_
from typing import TypeVar

T = TypeVar("T")


def remember_last(function: Callable[..., T]) -> Callable[..., T]:
    """Return a function that keeps its last result, for the next call with the same objects.

    The settings of all prompts of a call are one object: what follows from them is worked out once. Objects are
    compared by identity, so a function whose arguments can change in place must not read what changes.

    Parameters
    ----------
    function
        Function of positional arguments, whose result the callers share and do not change.
    """
    last: tuple[tuple[object, ...], T] | None = None

    @wraps(function)
    def remembered(*arguments: object) -> T:
        nonlocal last
        # Read once: another thread may replace it.
        kept = last
        if kept is not None and len(kept[0]) == len(arguments) and all(map(is_, kept[0], arguments)):
            return kept[1]
        result = function(*arguments)
        last = arguments, result
        return result

    return remembered


__all__ = ["remember_last"]
