"""Pacing by an object of the user's own: what it raises is reported, and costs no answer."""

from __future__ import annotations

import inspect
from time import monotonic

from ...errors import RequestError, SettingError
from ...errors.tasks import ends_task
from ...transport.throttle import PaceLike
from ..interruption import describe

# Seconds without a turn after which a warning says so: an object that hands out no turns looks like a slow server.
_PATIENCE = 60.0


class CheckedPace:
    """Pace of the user's own, whose failures are sentences.

    Parameters
    ----------
    pace
        The object.

    Raises
    ------
    SettingError
        When ``charge`` or ``hold`` is a coroutine function, which would never run.
    """

    def __init__(self, pace: PaceLike) -> None:
        for name in ("charge", "hold"):
            if inspect.iscoroutinefunction(getattr(pace, name)):
                raise SettingError(
                    f"pace.{name}() of {type(pace).__name__} must be a plain function, not a coroutine function; "
                    "only turn() is awaited.",
                    setting="pace",
                    value=pace,
                )
        self._pace = pace
        self._trouble: str | None = None
        self._waiting: dict[int, float] = {}
        self._number = 0
        self._is_reported = False

    async def turn(self) -> None:
        """Wait until the next request may leave.

        Raises
        ------
        RequestError
            When the object fails.
        """
        self._number += 1
        number, self._waiting[self._number] = self._number, monotonic()
        try:
            await self._pace.turn()
        except BaseException as error:
            if ends_task(error):
                raise
            raise RequestError(f"pace.turn() failed, so the request was not sent: {describe(error)}") from None
        finally:
            del self._waiting[number]

    def charge(self, tokens: float) -> None:
        """Count the tokens that an answer used.

        Raises
        ------
        RuntimeError
            When the object fails.
        """
        try:
            self._pace.charge(tokens)
        except BaseException as error:
            raise RuntimeError(f"pace.charge() failed: {describe(error)}") from None

    def hold(self, seconds: float) -> None:
        """Let no request leave for some time; a failure is kept for :meth:`take_trouble`."""
        try:
            self._pace.hold(seconds)
        except BaseException as error:
            self._trouble = f"pace.hold({seconds:g}) failed, so the server's wish was not passed on: {describe(error)}"

    def take_trouble(self) -> str | None:
        """Return the last failure to hold, or that a request has waited long for its turn, once; else None."""
        trouble, self._trouble = self._trouble, None
        if trouble is None and not self._is_reported and self._longest_wait() > _PATIENCE:
            self._is_reported = True
            return (
                f"pace.turn() of {type(self._pace).__name__} has not returned for more than {_PATIENCE:g} seconds; "
                "interrupt the call if it never will."
            )
        return trouble

    def __repr__(self) -> str:
        return repr(self._pace)

    def _longest_wait(self) -> float:
        waiting = list(self._waiting.values())
        return monotonic() - min(waiting) if waiting else 0.0
