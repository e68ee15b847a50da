"""Throttling of requests: the user's limits, and the pauses that a server asks for."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from abc import ABC, abstractmethod
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Protocol

from ..errors import SettingError

# Seconds' worth of tokens that may be saved up for a burst.
_BURST = 1.0
# Seconds over which requests that waited for the same reset are spread, so that they do not all arrive at once.
_SPREAD = 0.25
# Seconds. Requests that leave closer together than this wake up together: a timer for each would cost more CPU than
# many a request. They leave later than their turn, never earlier.
_TICK = 0.01
# Seconds; a shorter wait is what rounding has left of a debt that is paid.
_SHORTEST = 1e-6


class PaceLike(Protocol):
    """Protocol of objects that pace requests, such as :class:`Pace` or the scheduler of a cluster.

    The methods are called on the event loop of the client, which runs in a thread of its own.

    Examples
    --------
    >>> from deluge_nb import LLMClient
    >>> class Counting:
    ...     requests = tokens = 0
    ...     async def turn(self) -> None:
    ...         self.requests += 1
    ...     def charge(self, tokens: float) -> None:
    ...         self.tokens += tokens
    ...     def hold(self, seconds: float) -> None:
    ...         print("the server asks to wait")
    >>> pace = Counting()
    >>> client = LLMClient("local", pace=pace, max_new_tokens=1)
    >>> _ = client.process_prompts_sync(["Hello?"], show_progress=False)
    >>> pace.requests > 0, pace.tokens > 0
    (True, True)
    """

    async def turn(self) -> None:
        """Wait until the next request may leave; awaited before each attempt."""
        ...

    def charge(self, tokens: float) -> None:
        """Count the tokens that an answer used.

        Parameters
        ----------
        tokens
            Tokens in and out, as the server counted them.
        """
        ...

    def hold(self, seconds: float) -> None:
        """Let no request leave for some time, because a server asks for it.

        Parameters
        ----------
        seconds
            Seconds from now.
        """
        ...


class Turns(NamedTuple):
    """Turns that were reserved.

    Parameters
    ----------
    count
        Number of turns; 0 while tokens are owed, or a server has asked to wait, or the next turn is too far away.
    departure
        Time of the first, or when to ask again, as :func:`time.monotonic` counts.
    gap
        Seconds between two of them.
    """

    count: int
    departure: float
    gap: float


class Schedule:
    """Allowance of requests and tokens per minute, as times at which requests may leave; nothing waits here.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute
        As for :class:`Pace`.
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self.limits = requests_per_minute, tokens_per_minute
        """Requests and tokens per minute."""
        self._interval = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next = self._held = self._updated = -math.inf
        self._rate = tokens_per_minute / 60.0 if tokens_per_minute else None
        self._allowance = _BURST * (self._rate or 0.0)
        # Clients share one loop; workers of your own may use the same allowance on other threads.
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def reserve(self, count: int = 1, within: float = math.inf) -> Turns:
        """Reserve the next turns.

        Parameters
        ----------
        count
            Number of turns.
        within
            Seconds from now in which the first must be.
        """
        with self._lock:
            now = monotonic()
            wait = max(self._debt(now), _with_spread(self._held - now))
            if wait > _SHORTEST:
                return Turns(0, now + wait, self._interval)
            departure = max(now, self._next)
            if departure - now > within:
                return Turns(0, departure - within, self._interval)
            self._next = departure + count * self._interval
            return Turns(count, departure, self._interval)

    def charge(self, tokens: float) -> None:
        """Count tokens that have been used.

        Parameters
        ----------
        tokens
            Tokens in and out.
        """
        with self._lock:
            self._allowance -= tokens

    def hold(self, seconds: float) -> None:
        """Let no request leave for some time.

        Parameters
        ----------
        seconds
            Seconds from now.
        """
        with self._lock:
            self._held = max(self._held, monotonic() + seconds)
            self._next = max(self._next, self._held)

    def is_held(self, departure: float) -> bool:
        """Return whether a server has asked to wait until after a time."""
        return self._held > departure

    def _debt(self, now: float) -> float:
        """Return the seconds until the tokens owed are paid off."""
        if self._rate is None:
            return 0.0
        elapsed = now - self._updated if self._updated > -math.inf else 0.0
        self._updated = now
        self._allowance = min(self._allowance + elapsed * self._rate, _BURST * self._rate)
        return -self._allowance / self._rate if self._allowance < 0 else 0.0


class Pace:
    """Allowance of requests and tokens per minute, for one client or shared by several.

    Requests are spread evenly over the minute. Tokens are charged after they have been used, because the length of an
    answer is not known in advance: a request may leave while no tokens are owed, and the allowance pays off the debt.
    When a server asks one client to wait, all clients that share the allowance wait.

    Parameters
    ----------
    requests_per_minute
        Requests, retries included, of all clients together; None for no limit.
    tokens_per_minute
        Tokens, in and out, of all clients together; None for no limit.

    Raises
    ------
    SettingError
        When a limit is no number above 0.

    Examples
    --------
    >>> from deluge_nb import LLMClient, Pace
    >>> pace = Pace(requests_per_minute=600, tokens_per_minute=90_000)
    >>> writer, judge = LLMClient("gpt-4o-mini", pace=pace), LLMClient("gpt-4o", pace=pace)
    >>> pace
    Pace(requests_per_minute=600, tokens_per_minute=90000)
    """

    def __init__(self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None) -> None:
        for name, rate in {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}.items():
            is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
            if rate is not None and not (is_number and 0 < rate < math.inf):
                raise SettingError(f"{name} must be a number above 0, not {rate!r}.", setting=name, value=rate)
        self._schedule = Schedule(requests_per_minute, tokens_per_minute)

    async def turn(self) -> None:
        """Wait until the next request may leave."""
        while True:
            turns = self._schedule.reserve()
            await sleep_until(turns.departure, turns.gap if turns.count else 0.0)
            if turns.count and not self._schedule.is_held(turns.departure):  # else a server asked to wait meanwhile
                return

    def charge(self, tokens: float) -> None:
        """Count tokens that have been used.

        Parameters
        ----------
        tokens
            Tokens in and out.
        """
        self._schedule.charge(tokens)

    def hold(self, seconds: float) -> None:
        """Let no request leave for some time.

        Parameters
        ----------
        seconds
            Seconds from now.
        """
        self._schedule.hold(seconds)

    def __repr__(self) -> str:
        names = ("requests_per_minute", "tokens_per_minute")
        given = [
            f"{name}={limit!r}" for name, limit in zip(names, self._schedule.limits, strict=True) if limit is not None
        ]
        return f"{type(self).__name__}({', '.join(given)})"


class PaceOfProcesses(ABC):
    """Base class of the paces of this package whose turns come from another process.

    They report their own failures, and their turns may take as long as the limit wants.
    """

    @abstractmethod
    async def turn(self) -> None:
        """Wait until the next request may leave."""

    @abstractmethod
    def charge(self, tokens: float) -> None:
        """Count the tokens that an answer used."""

    @abstractmethod
    def hold(self, seconds: float) -> None:
        """Let no request leave for some time."""


class OwnPace(Pace):
    """Allowance of one client whose models may have several servers: a pause concerns only the server that asks."""

    def hold(self, seconds: float) -> None:
        """Do nothing: the connection to the server holds its requests back itself."""


class Pause:
    """Delay of requests while a server's rate limit is exhausted; used on the portal's loop only.

    Parameters
    ----------
    pace
        Pacing that is told of each pause.
    """

    def __init__(self, pace: PaceLike | None = None) -> None:
        self._until = -math.inf
        self._pace = pace

    def hold(self, seconds: float) -> None:
        """Delay all requests by at least this many seconds from now."""
        self._until = max(self._until, asyncio.get_running_loop().time() + seconds)
        if self._pace is not None:
            self._pace.hold(seconds)

    @property
    def is_on(self) -> bool:
        """True if requests must wait; nearly always, none must."""
        return self._until > -math.inf and self._until > asyncio.get_running_loop().time()

    async def wait(self) -> None:
        """Wait until requests may leave again."""
        loop = asyncio.get_running_loop()
        while (left := self._until - loop.time()) > 0:  # noqa: ASYNC110 - waits for a time, not for an event
            await asyncio.sleep(_with_spread(left))


class Slots:
    """Places for the requests of one client, over all its calls, threads and streams.

    An asynchronous context manager, which takes a place or waits for one. Used on the portal's loop only: a forked
    process has a loop of its own, and places of its own.

    Parameters
    ----------
    count
        Requests at a time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._semaphore = asyncio.Semaphore(count)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._semaphore = loop, asyncio.Semaphore(self._count)
        await self._semaphore.acquire()

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._semaphore.release()


def check_pace(pace: object) -> None:
    """Check that an object can pace requests.

    Raises
    ------
    SettingError
        When it lacks one of the three methods.
    """
    missing = [name for name in ("turn", "charge", "hold") if not callable(getattr(pace, name, None))]
    if missing or isinstance(pace, type):
        what = f"it has no {missing[0]}()" if missing else "it is a class, not an object"
        raise SettingError(
            f"pace must be a Pace, or an object with async turn(), charge(tokens) and hold(seconds), not {pace!r}: "
            f"{what}.",
            setting="pace",
            value=pace,
        )


def limits_of(pace: Pace) -> tuple[float | None, float | None]:
    """Return the requests and the tokens per minute of an allowance."""
    return pace._schedule.limits


async def sleep_until(departure: float, gap: float) -> None:
    """Wait for the time of a turn, together with those that are close to it.

    Parameters
    ----------
    departure
        The time.
    gap
        Seconds between two turns.
    """
    now = monotonic()
    if departure > now:
        rounded = math.ceil(departure / _TICK) * _TICK if 0 < gap < _TICK else departure
        await asyncio.sleep(rounded - now)


def _with_spread(left: float) -> float:
    return left + random.uniform(0, _SPREAD * min(left, 1.0)) if left > 0 else 0.0
