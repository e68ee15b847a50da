"""Words and codes by which a server reports a failure inside a successful reply."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

# Words in the finish reason of an answer that failed, as in "upstream_error" and "ERROR_TOXIC".
_FAILED = frozenset(
    {
        "abort",
        "aborted",
        "canceled",
        "cancelled",
        "error",
        "errored",
        "fail",
        "failed",
        "failure",
        "timeout",
    }
)
_FAILED_PHRASES = frozenset({"insufficient_system_resource", "timed_out"})
_NO_LETTER = re.compile(r"[^a-z]+")
# Words and phrases in the finish reason of an answer that a filter cut off.
_FILTERED = frozenset({"blocked", "blocklist", "filter", "filtered", "guardrail", "recitation", "safety", "spii"})
_FILTERED_PHRASES = frozenset({"contentfilter", "prohibited_content", "sensitive"})

# Statuses that the words of providers stand for.
_STATUSES = {
    "api_error": 500,
    "bad_gateway": 502,
    "deadline_exceeded": 504,
    "insufficient_system_resource": 503,
    "internal": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "network_error": 502,
    "overloaded_error": 529,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "server_error": 500,
    "service_unavailable": 503,
    "timeout": 504,
    "timeout_error": 504,
    "too_many_requests": 429,
    "unavailable": 503,
}
_CODE_FIELDS = ("status_code", "http_status", "statusCode", "code", "status", "type", "error_code")
# Fields that hold the failure of the server behind, or the list of what was wrong.
_CAUSE_FIELDS = ("error", "errors", "detail", "fault")
REASON_FIELDS = (
    *("error", "message", "Message", "faultstring", "detail", "msg", "error_msg", "error_message", "errorMessage"),
    *("status_msg", "errors", "base_resp", "fault", "title"),
)
"""Fields that hold the reason of a failure, or another object that does."""
# Of these, the ones that also other events may have.
_TEXT_FIELDS = ("message", "Message", "msg", "error_msg", "error_message", "errorMessage", "status_msg")
# Fields that hold an answer, a part of it, or its beginning.
_ANSWER_FIELDS = (
    *("choices", "candidates", "output", "content", "content_block", "delta", "response", "text"),
    "generated_text",
)
_LABELS = ("type", "object", "event", "status", "state")
# An error may hold the error of the server behind it, which may hold another.
_MOST_LEVELS = 8


@lru_cache(maxsize=64)
def is_failure(finish_reason: str | None) -> bool:
    """Return whether a finish reason says that the answer failed.

    Examples
    --------
    >>> from deluge_nb.dialects.reading.failures import is_failure
    >>> [is_failure(reason) for reason in ("error", "UPSTREAM_ERROR", "stop", "content_filter", None)]
    [True, True, False, False, False]
    """
    word = (finish_reason or "").lower()
    return word in _FAILED_PHRASES or not _FAILED.isdisjoint(_NO_LETTER.split(word))


@lru_cache(maxsize=64)
def is_filtered(finish_reason: str | None) -> bool:
    """Return whether a finish reason says that a filter cut the answer off; that is no failure.

    Examples
    --------
    >>> from deluge_nb.dialects.reading.failures import is_filtered
    >>> [is_filtered(reason) for reason in ("content_filter", "SAFETY", "stop", None)]
    [True, True, False, False]
    """
    word = (finish_reason or "").lower()
    return word in _FILTERED_PHRASES or not _FILTERED.isdisjoint(_NO_LETTER.split(word))


def status_of(error: Any, finish_reason: str | None = None) -> int | None:
    """Return the HTTP status that an error names, as a number, in digits or in a word; None if it names none.

    Parameters
    ----------
    error
        Parsed JSON of the error.
    finish_reason
        Reason for the end of the text.

    Examples
    --------
    >>> from deluge_nb.dialects.reading.failures import status_of
    >>> status_of({"code": "502"}), status_of({"type": "overloaded_error"}), status_of("gone")
    (502, 529, None)
    """
    codes = [*_codes(error, _MOST_LEVELS), finish_reason]
    numbers = (int(text) for code in codes if (text := _plain(code)).isascii() and text.isdigit() and len(text) == 3)
    number = next((number for number in numbers if 400 <= number < 600), None)
    if number is not None:
        return number
    return next((_STATUSES[text] for code in codes if (text := _plain(code)) in _STATUSES), None)


def reports_failure(value: Any) -> bool:
    """Return whether a parsed reply, or an event of a stream, holds no part of an answer and the reason of a failure.

    Examples
    --------
    >>> from deluge_nb.dialects.reading.failures import reports_failure
    >>> reports_failure({"message": "slow down", "code": 429}), reports_failure({"detail": "model is busy"})
    (True, True)
    >>> reports_failure({"type": "ping", "message": "still here"}), reports_failure({"choices": [], "usage": {}})
    (False, False)
    """
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return False
    if value.get("error"):
        return True
    if any(value.get(name) for name in _ANSWER_FIELDS) or isinstance(value.get("message"), dict):
        return False
    labels = [_plain(value[name]) for name in _LABELS if isinstance(value.get(name), str)]
    if any(is_failure(label) or label in _STATUSES for label in labels) or status_of(value) is not None:
        return True
    if value.get("success") is False or any(value.get(name) for name in _CAUSE_FIELDS):
        return True
    base = value.get("base_resp")
    fields = base if isinstance(base, dict) else value
    if not any(isinstance(fields.get(name), str) and fields[name] for name in _TEXT_FIELDS):
        return False
    # A number says whether the text is a failure; a word that names none says that it is something else.
    codes = [text for name in _CODE_FIELDS if (text := _plain(fields.get(name))).lstrip("-").isdigit()]
    return any(int(code) != 0 and not 200 <= int(code) < 300 for code in codes) if codes else not labels


def _codes(error: Any, levels: int) -> Iterator[Any]:
    if isinstance(error, list) and error:
        error = error[0]
    if not isinstance(error, dict) or not levels:
        return
    yield from (error[name] for name in _CODE_FIELDS if name in error)
    for name in _CAUSE_FIELDS:
        yield from _codes(error.get(name), levels - 1)


def _plain(code: Any) -> str:
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    return "" if isinstance(code, bool) or not isinstance(code, int | str) else str(code).strip().lower()
