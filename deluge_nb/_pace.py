"""How fast requests may leave: evenly spread over the minute, whoever sends them."""

from __future__ import annotations

import asyncio


class Pace:
    """Lets one request leave at a time, so many a minute; used on the portal's loop only.

    Parameters
    ----------
    per_minute
        Requests in a minute; those of all prompts, tries and threads together.
    """

    def __init__(self, per_minute: float) -> None:
        self._interval = 60.0 / per_minute
        self._next = float("-inf")

    async def turn(self) -> None:
        """Wait for one's turn."""
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._interval
        if mine > now:
            await asyncio.sleep(mine - now)
