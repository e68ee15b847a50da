"""Usage of a client, which counts a response as soon as it has arrived."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ...response.usage import Usage, total_usage

if TYPE_CHECKING:
    from ...response import APIResponse


class _Call(Protocol):
    """Call whose responses arrive one by one."""

    requests: int
    responses: list[APIResponse | None]
    resumed: frozenset[int]


class Spending:
    """Usage of the calls of a client: of those that have ended, and of those that run.

    Both are one value, which a reader gets without a lock: an interrupt cannot leave one held.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: tuple[Usage, Sequence[_Call]] = Usage(), ()

    @property
    def usage(self) -> Usage:
        """Usage of all calls, as far as their responses have arrived."""
        ended, running = self._state
        return sum(map(_usage_of, running), ended)

    @usage.setter
    def usage(self, usage: Usage) -> None:
        with self._lock:
            self._state = usage, self._state[1]

    def begin(self, call: _Call) -> None:
        """Count the responses of a call as they arrive."""
        with self._lock:
            ended, running = self._state
            self._state = ended, (*running, call)

    def end(self, call: _Call) -> None:
        """Count the responses of a call that has ended; it is not needed any more."""
        with self._lock:
            ended, running = self._state
            self._state = ended + _usage_of(call), tuple(other for other in running if other is not call)

    def add(self, spent: Usage) -> None:
        """Count requests that belong to no call."""
        with self._lock:
            ended, running = self._state
            self._state = ended + spent, running


def _usage_of(call: _Call) -> Usage:
    asked = (response for index, response in enumerate(call.responses) if index not in call.resumed)
    return total_usage(asked) + Usage(requests=call.requests)


__all__ = ["Spending"]
