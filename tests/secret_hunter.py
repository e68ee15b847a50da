"""Search for a secret in all that can be reached from an object, as the most talkative of tools show it."""

from __future__ import annotations

import contextlib
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr


def errors_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error with its causes, its contexts and the members of groups."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def shown(value: Any) -> str:
    """Return every text form of an object: of errors also the locals of all frames and all that the fields reach."""
    parts = [repr(value), str(value)]
    if isinstance(value, BaseException):
        for error in errors_of(value):
            parts += [*traceback.format_exception(error), repr(error.args), *walk(vars(error)), *locals_of(error)]
    else:
        parts += walk(value)
    parts.append(repr(pickle.dumps(value)))
    return "\n".join(parts)


def locals_of(error: BaseException) -> Iterator[str]:
    """Yield the local variables of the frames of an error, as ``capture_locals`` shows them."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in frame.f_locals.values():
            # An object that is only half made may have no representation.
            with contextlib.suppress(Exception):
                yield repr(value)


def walk(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts within an object; a ``SecretStr`` is opaque."""
    if isinstance(value, SecretStr) or depth > 20:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, dict):
        for pair in value.items():
            for part in pair:
                yield from walk(part, depth + 1)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from walk(part, depth + 1)
    elif isinstance(value, BaseException):
        yield shown(value)
    else:
        names = [*getattr(value, "__dict__", {}), *getattr(type(value), "__slots__", ())]
        for name in names:
            yield from walk(getattr(value, name, None), depth + 1)
