"""Attempts of a request: which failures are transient, how long to wait, and what the last error says."""

from __future__ import annotations

import contextlib
import email.utils
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

import tenacity

from ..errors import RequestError

# Statuses of transient failures: time-outs, conflicts, rate limits and server errors (Groq sends 498 and Anthropic 529
# for "no capacity").
_RETRY_STATUSES = frozenset({408, 409, 425, 429, 498, 500, 502, 503, 504, 529})
EXHAUSTED_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "enforced_spend_limit_reached",
        "billing_hard_limit_reached",
    }
)
"""Error codes of a 429 that waiting does not cure."""
# Google's message for a tier without quota, whose delay does not help, and those for a field that a server does not
# know: Python's, llama.cpp's, and others that have status 500, too.
_PERMANENT = re.compile(
    r"\blimit: 0\b(?!\.\d)|unexpected keyword argument|extra_forbidden"
    r"|(?i:un(?:supported|known|recogni[sz]ed) (?:param(?:eter)?|field|argument|property)s?\b)"
)
# Seconds, about a year: a longer wait is a mistake of the server.
_LONGEST_PLAUSIBLE_WAIT = 3e7


def is_transient(status: int | None, body: str) -> bool:
    """Return whether a failure with this status and body may be cured by waiting."""
    return status in _RETRY_STATUSES and not _PERMANENT.search(body)


class FailedAttempt(Exception):
    """Failure of one attempt.

    Parameters
    ----------
    error
        The error to raise if there is no further attempt.
    retry
        True for a transient failure.
    wait
        Seconds that the server asks to wait before the next attempt.
    billed
        True if the server may have worked on an answer, and may charge for it.
    """

    def __init__(self, error: RequestError, *, retry: bool, wait: float | None = None, billed: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry = retry
        self.wait = wait
        self.billed = billed
        self.timed_out = False
        """True if the server was silent for too long."""


async def with_retries(
    send: Callable[[], Awaitable[bytes]],
    max_attempts: int,
    on_request: Callable[[], None] | None = None,
    failures: list[FailedAttempt] | None = None,
) -> bytes:
    """Send a request until it succeeds, fails permanently or its attempts are used up.

    Parameters
    ----------
    send
        Makes one attempt and returns the reply's body, or raises :class:`FailedAttempt`.
    max_attempts
        Attempts, including the first.
    on_request
        Called before each attempt.
    failures
        Attempts of this request that have failed already; further ones are added.

    Raises
    ------
    RequestError
        With the number of attempts in its message, if there were several.
    """
    failed: list[FailedAttempt] = [] if failures is None else failures
    if not failed:
        try:
            if on_request is not None:
                on_request()
            return await send()
        except FailedAttempt as failure:
            failed.append(failure)
    # Built only after a failure: most requests succeed at once.
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, FailedAttempt) and error.retry),
        wait=_retry_delay,
        # The last failure so far is raised again, as the first of these attempts.
        stop=tenacity.stop_after_attempt(max_attempts - len(failed) + 1),
        reraise=True,
    )
    started = False

    async def attempt() -> bytes:
        nonlocal started
        if not started:
            started = True
            raise failed[-1]
        if on_request is not None:
            on_request()
        try:
            return await send()
        except FailedAttempt as failure:
            failed.append(failure)
            raise

    try:
        return await retrying(attempt)
    except FailedAttempt:
        error = _name_tries(failed)
        failed.clear()
    # Raised outside the handler, so that no httpx object, whose headers hold the key, becomes the error's context.
    raise error


def _name_tries(failures: list[FailedAttempt]) -> RequestError:
    """Return the last failure's error, with the number of tries in its message if there were several."""
    error = failures[-1].error
    if len(failures) > 1:
        cost = ", which may be billed" if any(failure.billed for failure in failures) else ""
        error.args = (f"{str(error).rstrip('.')} ({len(failures)} tries{cost})",)
    return error


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=20)


def _retry_delay(state: tenacity.RetryCallState) -> float:
    """Return the seconds before the next attempt: those that the server asked for, else exponential backoff."""
    error = state.outcome.exception() if state.outcome is not None else None
    wait = error.wait if isinstance(error, FailedAttempt) else None
    return _backoff(state) if wait is None else wait


def plausible_wait(waits: Iterable[float | None]) -> float | None:
    """Return the first of some waits that a server can have meant, in seconds; None if there is none."""
    return next((wait for wait in waits if wait is not None and 0 <= wait <= _LONGEST_PLAUSIBLE_WAIT), None)


def retry_after(header: Callable[[str], str | None]) -> float | None:
    """Return the seconds to wait, from ``retry-after-ms`` or ``Retry-After`` as a number or a date."""
    with contextlib.suppress(ValueError):
        return max(0.0, float(header("retry-after-ms") or "") / 1000)
    value = header("retry-after")
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    # A year of many digits raises OverflowError.
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return None
