"""Rate-limit headers, in the spellings of all providers.

Header names differ, and so do the forms of a reset time: a duration such as ``6m0s`` or ``120ms``, seconds, an instant
of RFC 3339, or seconds since 1970. A negative number means unknown. A header that cannot be read is ignored: it is no
reason to fail.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime

_FAMILY = re.compile(r"(?:x-|anthropic-)?(?:ratelimit|tokenlimit)-(.+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": 2592000.0}
# Seconds; no reset is this far off, so larger numbers are seconds since 1970.
_EPOCH = 1e9


def seconds_until_reset(headers: Iterable[tuple[bytes, bytes]], now: datetime | None = None) -> float | None:
    """Return the time until every rate limit that a reply reports as exhausted is reset.

    Parameters
    ----------
    headers
        Names and values of the reply's headers, as raw bytes.
    now
        The current time; None for the clock's.

    Returns
    -------
    float or None
        Seconds, the longest where several limits are exhausted; None where none is, or no reset time is given.
    """
    limits: dict[str, dict[str, str]] = {}
    for raw, value in headers:
        if b"limit-" not in (name := raw.lower()):
            continue
        match = _FAMILY.fullmatch(name.decode("latin-1"))
        if match is None:
            continue
        # Providers order the words differently: "remaining-tokens-minute", "tokens-remaining".
        words = match[1].split("-")
        kind = next((word for word in words if word in ("remaining", "reset")), None)
        if kind is not None:
            resource = "-".join(word for word in words if word != kind) + name.partition(b"limit")[0].decode("latin-1")
            limits.setdefault(resource, {})[kind] = value.decode("latin-1").strip()
    if not limits:
        return None
    waits = [_seconds_to_wait(resource, fields, now or datetime.now(UTC)) for resource, fields in limits.items()]
    return max((wait for wait in waits if wait is not None), default=None)


def _seconds_to_wait(resource: str, fields: dict[str, str], now: datetime) -> float | None:
    """Return the seconds until one limit is reset, or None where it is not exhausted or gives no time."""
    with contextlib.suppress(ValueError):
        if float(fields.get("remaining", "nan")) != 0:
            return None
        if "reset" in fields:
            return seconds(fields["reset"], now)
        return next((length for window, length in _WINDOWS.items() if window in resource), None)
    return None


def seconds(text: str, now: datetime | None = None) -> float | None:
    """Return the seconds until the time that a header gives; None where it gives none, or says that it is unknown."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    now = now or datetime.now(UTC)
    with contextlib.suppress(ValueError):
        number = float(text)
        if not math.isfinite(number) or number < 0:
            return None
        return max(0.0, number - now.timestamp()) if number >= _EPOCH else number
    with contextlib.suppress(ValueError, OverflowError):
        instant = datetime.fromisoformat(text)
        return max(0.0, (instant.replace(tzinfo=instant.tzinfo or UTC) - now).total_seconds())
    return None
