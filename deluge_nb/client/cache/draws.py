"""The cache as one call uses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors.tasks import ends_task
from ..interruption import is_from_signal

if TYPE_CHECKING:
    from ...dialects.base import Ask, Completion
    from ..route import Route
    from .store import Cache


class DrawCache:
    """Cache of one call: the same request asked n times is n draws, each with its own key.

    Whatever a cache of the user's own raises costs no answer.

    Parameters
    ----------
    cache
        None keeps nothing.
    """

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache
        self._draws: Counter[bytes] = Counter()

    def next_key(self, ask: Ask, route: Route) -> bytes | None:
        """Return the key of the next draw of a request; None without a cache."""
        if self._cache is None:
            return None
        from .store import cache_key

        served = route.served()
        address = served.fingerprint if served is not None else route.shown_address
        try:
            first = cache_key(ask, address, 0)
        except Exception:  # a request that has no key is sent, and its answer is not cached
            return None
        draw = self._draws[first]
        self._draws[first] += 1
        return first if draw == 0 else cache_key(ask, address, draw)

    def skip(self, build: Callable[[], Ask], route: Route) -> None:
        """Pass over a draw whose completion is known; without a cache, the request is not built."""
        if self._cache is not None:
            with suppress(Exception):
                self.next_key(build(), route)

    async def get(self, key: bytes | None, ask: Ask) -> Completion | None:
        """Return the cached completion of a key; None where there is none."""
        if self._cache is None or key is None:
            return None
        try:
            return await self._cache.get(key, ask)
        except BaseException as error:
            if ends_task(error):
                raise
            return None

    async def put(self, key: bytes | None, ask: Ask, completion: Completion) -> None:
        """Cache a completion."""
        if self._cache is None or key is None:
            return
        try:
            await self._cache.put(key, ask, completion)
        except BaseException as error:
            if ends_task(error):
                raise

    def trouble(self) -> str | None:
        """Return why answers are not cached, as a sentence, the first time that it is asked for; else None."""
        try:
            return None if self._cache is None else self._cache.take_trouble()
        except Exception as error:
            if is_from_signal(error):
                raise
            return None


__all__ = ["DrawCache"]
