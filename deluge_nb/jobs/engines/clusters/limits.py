"""The limit per minute of a client whose requests leave from many processes.

One process hands out turns (:class:`Allowances`), such as the scheduler of a cluster. In the others, the client has a
:class:`SharedPace`, which asks for a few turns at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import uuid
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from ....client.calls.travel import has_one_server, pace_of, with_pace
from ....client.interruption import describe
from ....errors import RequestError
from ....transport.throttle import OwnPace, Pace, PaceOfProcesses, Schedule, limits_of, sleep_until

if TYPE_CHECKING:
    from ....client.client import LLMClient

# Seconds' worth of turns of all processes together in a block, and seconds before the end of one that the next is
# fetched. Less, and a slow answer of the scheduler costs turns; more, and a process that dies takes more with it.
_BLOCK = 0.1
# Seconds that a request may leave late without delaying others: what an event loop does meanwhile.
_SLACK = 0.05
# Turns at a time where only tokens are limited. Each is free, but a debt is only noticed with the next few.
_FREE_TURNS = 8
# Seconds that a turn may be ahead of its request, or behind it: others would not know that a server asks to wait.
_VALID = 1.0
# Seconds over which reports are gathered: of tokens that were used, and of servers that ask to wait.
_REPORT = 0.2


class Wish(NamedTuple):
    """A process's message to the one that hands out turns; plain values, so that any engine can carry it.

    Parameters
    ----------
    name, requests_per_minute, tokens_per_minute
        The limit.
    wants_turns
        Whether to reply with turns.
    tokens
        Tokens that were used since the last time.
    hold
        Seconds for which a server has asked to wait.
    """

    name: str
    requests_per_minute: float | None
    tokens_per_minute: float | None
    wants_turns: bool = False
    tokens: float = 0.0
    hold: float = 0.0


Ask = Callable[[Wish], Awaitable[Any]]
"""Function that carries a wish to :meth:`Allowances.reply`, and returns its reply."""


class Allowances:
    """The limits of all clients, in the process that hands out their turns."""

    def __init__(self) -> None:
        self._schedules: dict[str, Schedule] = {}

    def reply(self, wish: Wish, processes: int) -> tuple[int, float, float]:
        """Return a number of turns, the seconds until the first, and the seconds between two.

        Parameters
        ----------
        wish
            What a process wants.
        processes
            Number of processes that share the limit.
        """
        schedule = self._schedules.get(wish.name)
        if schedule is None:
            schedule = self._schedules[wish.name] = Schedule(wish.requests_per_minute, wish.tokens_per_minute)
        if wish.tokens:
            schedule.charge(wish.tokens)
        if wish.hold:
            schedule.hold(wish.hold)
        if not wish.wants_turns:
            return 0, 0.0, 0.0
        count = _FREE_TURNS
        if wish.requests_per_minute is not None:
            count = max(1, math.ceil(wish.requests_per_minute / 60 * _BLOCK / max(1, processes)))
        turns = schedule.reserve(count, _VALID)
        return turns.count, max(0.0, turns.departure - monotonic()), turns.gap


class SharedPace(PaceOfProcesses):
    """Pace of a client whose limit holds over several processes.

    A pickled one is the same limit. It works in a process that has called :func:`connect`.

    Parameters
    ----------
    name
        Name of the limit.
    requests_per_minute, tokens_per_minute
        As for :class:`~deluge_nb.Pace`.
    holds_all
        Whether all processes wait when a server asks one of them to.
    """

    def __init__(
        self, name: str, requests_per_minute: float | None, tokens_per_minute: float | None, holds_all: bool
    ) -> None:
        self._arguments = name, requests_per_minute, tokens_per_minute, holds_all
        self.name = name
        """Name of the limit."""
        self._limit = name, requests_per_minute, tokens_per_minute
        self._holds_all = holds_all
        self._lock = asyncio.Lock()
        self._turns, self._next, self._gap = 0, -math.inf, 0.0
        self._last = self._left = self._held = -math.inf
        self._tokens = 0.0
        self._is_reporting = False
        self._reports: set[asyncio.Task[None]] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    async def turn(self) -> None:
        """Wait until the next request may leave."""
        async with self._lock:
            while not self._turns or monotonic() - self._next > _VALID:
                await self._refill()
            departure = self._last = max(self._next, monotonic(), self._last + self._gap)
            self._next += self._gap
            self._turns -= 1
        gap = self._gap
        await sleep_until(departure, gap)
        # Requests that are late do not catch up: an event loop that was busy would send all of them at once.
        while (early := self._left - _SLACK - monotonic()) > 0:  # noqa: ASYNC110 - waits for a time, not for an event
            await asyncio.sleep(early)
        self._left = max(self._left, monotonic()) + gap

    def charge(self, tokens: float) -> None:
        """Count the tokens that an answer used.

        Parameters
        ----------
        tokens
            Tokens in and out.
        """
        if self._limit[2] is None or not tokens:
            return
        self._tokens += tokens
        if not self._is_reporting:
            self._is_reporting = True
            self._start(self._report())

    def hold(self, seconds: float) -> None:
        """Let no request leave for some time.

        Parameters
        ----------
        seconds
            Seconds from now.
        """
        until = monotonic() + seconds
        # Many requests are refused at once, and most say the same.
        if self._holds_all and seconds > 0 and until > self._held + _REPORT:
            self._held = until
            self._start(self._tell(hold=seconds))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._arguments}"

    async def _refill(self) -> None:
        # Turns that were fetched too early are lost to the others, if this process dies.
        await sleep_until(self._last - _BLOCK, 0.0)
        tokens, self._tokens = self._tokens, 0.0
        try:
            count, wait, gap = await self._ask(wants_turns=True, tokens=tokens)
        except (OSError, RuntimeError) as error:
            self._tokens += tokens
            raise RequestError(
                f"The request was not sent, for the cluster gave it no turn within the limit: {describe(error)}"
            ) from None
        if not count:
            await asyncio.sleep(wait)
        self._turns, self._next, self._gap = count, monotonic() + wait, gap

    async def _report(self) -> None:
        await asyncio.sleep(_REPORT)
        self._is_reporting = False
        tokens, self._tokens = self._tokens, 0.0
        await self._tell(tokens=tokens)

    async def _tell(self, **wish: Any) -> None:
        # A cluster that is gone ends the run in another way.
        with contextlib.suppress(OSError, RuntimeError):
            await self._ask(**wish)

    def _start(self, report: Any) -> None:
        task = asyncio.get_running_loop().create_task(report)
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _ask(self, **wish: Any) -> Any:
        return await _connections[self.name](Wish(*self._limit, **wish))


def is_limited(client: LLMClient) -> bool:
    """Return whether a client has a limit per minute that :func:`share_limit` can share.

    Parameters
    ----------
    client
        The client.
    """
    return isinstance(pace_of(client), Pace)


_names: WeakKeyDictionary[Pace, str] = WeakKeyDictionary()
_connections: dict[str, Ask] = {}


def share_limit(client: LLMClient) -> LLMClient:
    """Return a client whose limit per minute holds over all processes to which it is sent.

    A client without a limit is returned as it is, and so is one with a pace of the user's own.

    Parameters
    ----------
    client
        The client.
    """
    pace = pace_of(client)
    if not isinstance(pace, Pace):
        return client
    # Runs of one client, or of several that have one pace, share the limit.
    name = _names.setdefault(pace, uuid.uuid4().hex)
    holds_all = not isinstance(pace, OwnPace) or has_one_server(client)
    requests, tokens = limits_of(pace)
    return with_pace(client, SharedPace(name, requests, tokens, holds_all))


def connect(client: LLMClient, ask: Ask) -> None:
    """Let a client that has come to this process ask for its turns.

    Parameters
    ----------
    client
        The client.
    ask
        Function that carries wishes. It is called on the event loop of clients.
    """
    pace = pace_of(client)
    if isinstance(pace, SharedPace):
        _connections[pace.name] = ask
