"""How fast requests may leave: what the user allows in a minute, and what a server has said."""

from __future__ import annotations

import asyncio
import random

# A burst may be this many seconds' worth of tokens.
_BURST = 1.0
# Those who waited for the same moment need not all come at once.
_SPREAD = 0.25


class Pace:
    """Lets requests leave one at a time, as many a minute as are allowed; used on the portal's loop only.

    Tokens are charged when they have been used, not before: nobody knows how long an answer will be, and a limit that
    sets the longest aside makes short ones wait for nothing. So a request may leave while there is no debt, and debts
    are paid off by the minute's allowance.

    Parameters
    ----------
    requests, tokens
        In a minute; those of all prompts, tries and threads together. None for as many as there are.
    """

    def __init__(self, requests: float | None = None, tokens: float | None = None) -> None:
        self._interval = 60.0 / requests if requests else 0.0
        self._next = float("-inf")
        self._rate = tokens / 60.0 if tokens else None
        self._saved = _BURST * (self._rate or 0.0)
        self._seen = float("-inf")

    async def turn(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        while (debt := self._debt(loop.time())) > 0:  # noqa: ASYNC110 - it is for a moment that is waited
            await asyncio.sleep(debt)
        now = loop.time()
        mine = max(now, self._next)
        self._next = mine + self._interval
        if mine > now:
            await asyncio.sleep(mine - now)

    def charge(self, tokens: float) -> None:
        """Count tokens that have been used."""
        self._saved -= tokens

    def _debt(self, now: float) -> float:
        """Seconds until it is paid off."""
        if self._rate is None:
            return 0.0
        elapsed = now - self._seen if self._seen > float("-inf") else 0.0
        self._seen = now
        self._saved = min(self._saved + elapsed * self._rate, _BURST * self._rate)
        return -self._saved / self._rate if self._saved < 0 else 0.0


class Pause:
    """Holds requests to one server back while it has nothing left; used on the portal's loop only."""

    def __init__(self) -> None:
        self._until = float("-inf")

    def hold(self, seconds: float) -> None:
        """Let nothing leave for so long."""
        self._until = max(self._until, asyncio.get_running_loop().time() + seconds)

    async def wait(self) -> None:
        """Wait until requests may leave again."""
        loop = asyncio.get_running_loop()
        while (left := self._until - loop.time()) > 0:  # noqa: ASYNC110 - it is for a moment that is waited
            await asyncio.sleep(left + random.uniform(0, _SPREAD * min(left, 1.0)))
