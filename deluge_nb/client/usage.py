"""What a client has used, summed over the spellings of its providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..response import APIResponse


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over the answers of a client.

    Parameters
    ----------
    answered, failed
        Prompts with an answer, and without.
    prompt_tokens, completion_tokens
        Tokens in and out, as the servers counted them.
    cached_tokens
        Those of the prompt that a server had kept, a part of ``prompt_tokens``.
    reasoning_tokens
        Those that a model thought, a part of ``completion_tokens``.
    from_cache
        Answers that had been kept; they are among ``answered`` and have used nothing.
    cost
        US dollars, of the answers whose server names it (OpenRouter does); 0 where none does.
    """

    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    from_cache: int = 0
    cost: float = 0.0

    @property
    def total_tokens(self) -> int:
        """Tokens in and out."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def total_usage(responses: Iterable[APIResponse | None]) -> Usage:
    """The sum over responses; None stands for a prompt that was not asked."""
    return sum((_of(one) for one in responses if one is not None), Usage())


def _of(response: APIResponse) -> Usage:
    if response.from_cache:
        return Usage(answered=1, from_cache=1)
    counts = response.usage or {}
    asked, answered = _in_and_out(counts)
    return Usage(
        answered=not response.is_error,
        failed=response.is_error,
        prompt_tokens=asked,
        completion_tokens=answered,
        cached_tokens=_count(counts.get("prompt_tokens_details"), "cached_tokens")
        or _count(counts, "prompt_cache_hit_tokens"),
        reasoning_tokens=_count(counts.get("completion_tokens_details"), "reasoning_tokens")
        or _count(counts, "reasoning_tokens"),
        cost=float(cost) if isinstance(cost := counts.get("cost"), int | float) else 0.0,
    )


def token_count(counts: Mapping[str, Any] | None) -> int:
    """Tokens in and out of one answer."""
    return sum(_in_and_out(counts or {}))


def _in_and_out(counts: Mapping[str, Any]) -> tuple[int, int]:
    return _count(counts, "prompt_tokens", "input_tokens"), _count(counts, "completion_tokens", "output_tokens")


def _count(counts: Any, *names: str) -> int:
    """The first of some counts that is there."""
    found = (counts.get(name) for name in names) if isinstance(counts, Mapping) else ()
    return next((int(value) for value in found if isinstance(value, int | float)), 0)
