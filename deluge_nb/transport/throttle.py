"""Throttling of requests: the user's limits per minute, and the pauses that a server asks for."""

from __future__ import annotations

import asyncio
import random

# Seconds' worth of tokens that may be saved up for a burst.
_BURST = 1.0
# Seconds over which requests that waited for the same reset are spread, so that they do not all arrive at once.
_SPREAD = 0.25


class Pace:
    """Rate limiter for requests and tokens; used on the portal's loop only.

    Tokens are charged after they have been used. The length of an answer is not known in advance, and a limiter that
    reserves the longest possible answer would delay short ones for nothing. So a request may leave while no tokens are
    owed, and the allowance per minute pays off the debt.

    Parameters
    ----------
    requests, tokens
        Limits per minute, over all prompts, attempts and threads; None for no limit.
    """

    def __init__(self, requests: float | None = None, tokens: float | None = None) -> None:
        self._interval = 60.0 / requests if requests else 0.0
        self._next = float("-inf")
        self._rate = tokens / 60.0 if tokens else None
        self._allowance = _BURST * (self._rate or 0.0)
        self._updated = float("-inf")

    async def turn(self) -> None:
        """Wait until the next request may leave."""
        loop = asyncio.get_running_loop()
        while (debt := self._debt(loop.time())) > 0:  # noqa: ASYNC110 - waits for a time, not for an event
            await asyncio.sleep(debt)
        now = loop.time()
        departure = max(now, self._next)
        self._next = departure + self._interval
        if departure > now:
            await asyncio.sleep(departure - now)

    def charge(self, tokens: float) -> None:
        """Count tokens that have been used."""
        self._allowance -= tokens

    def _debt(self, now: float) -> float:
        """Return the seconds until the tokens owed are paid off."""
        if self._rate is None:
            return 0.0
        elapsed = now - self._updated if self._updated > float("-inf") else 0.0
        self._updated = now
        self._allowance = min(self._allowance + elapsed * self._rate, _BURST * self._rate)
        return -self._allowance / self._rate if self._allowance < 0 else 0.0


class Pause:
    """Delay of requests while a server's rate limit is exhausted; used on the portal's loop only."""

    def __init__(self) -> None:
        self._until = float("-inf")

    def hold(self, seconds: float) -> None:
        """Delay all requests by at least this many seconds from now."""
        self._until = max(self._until, asyncio.get_running_loop().time() + seconds)

    async def wait(self) -> None:
        """Wait until requests may leave again."""
        loop = asyncio.get_running_loop()
        while (left := self._until - loop.time()) > 0:  # noqa: ASYNC110 - waits for a time, not for an event
            await asyncio.sleep(left + random.uniform(0, _SPREAD * min(left, 1.0)))
