"""Warnings at the end of a call: failures, missing log-probabilities, answers that were not cached."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...response import APIResponse
    from .request import Item

# Numbers and identifiers, which differ between failures for the same reason.
_NUMBERED = re.compile(r"[\w-]*\d[\w-]*")


def failure_warning(responses: Sequence[APIResponse], refused: APIResponse | None, unsent: int) -> str | None:
    """Return a sentence about failed prompts: where a server refused all requests, or most prompts failed."""
    failed = [response for response in responses if response.is_error]
    size = len(responses)
    if size < 2:
        return None
    if refused is not None:
        left = f"and {unsent} of them were not sent, " if unsent else ""
        reason = f"because the server refused every request: {refused.error_message}"
        return f"{len(failed)} of {size} prompts failed, {left}{reason}"
    if 2 * len(failed) <= size:
        return None
    count, reason = _most_frequent(failed)
    which = "all" if count == len(failed) else f"{count} of them"
    return f"{len(failed)} of {size} prompts failed, {which} for this reason: {reason}"


def missing_warning(items: Sequence[Item], responses: Sequence[APIResponse]) -> str | None:
    """Return a sentence about answers without the log-probabilities that were asked for."""
    asked = [
        response
        for item, response in zip(items, responses, strict=True)
        if item.params.logprobs and not response.is_error
    ]
    missing = [response for response in asked if response.logprobs is None and not response.tool_calls]
    if not missing:
        return None
    return (
        f"{len(missing)} of {len(asked)} answers came without the log-probabilities that were asked for "
        f"({missing[0].note})"
    )


def _most_frequent(failed: Sequence[APIResponse]) -> tuple[int, str]:
    """Return how often the most frequent reason of failures occurs, and the first message with it."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for kind, reason in _kinds(failed):
        counts[kind] += 1
        first.setdefault(kind, reason)
    kind, count = counts.most_common(1)[0]
    return count, first[kind]


def _kinds(failed: Sequence[APIResponse]) -> Iterator[tuple[str, str]]:
    for response in failed:
        reason = response.error_message or ""
        yield _NUMBERED.sub("#", reason), reason


__all__ = ["failure_warning", "missing_warning"]
