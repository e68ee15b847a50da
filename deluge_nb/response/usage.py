"""Usage of a client: prompts, tokens and cost, read from the fields of every provider."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from .counts import count, dollars, tokens_in, tokens_out

if TYPE_CHECKING:
    from .api_response import APIResponse


@dataclass(frozen=True, slots=True)
class Usage:
    """Prompts, tokens and cost, summed over the answers of a client.

    Parameters
    ----------
    answered, failed
        Prompts with an answer, and prompts that failed.
    prompt_tokens, completion_tokens
        Tokens in and out, as counted by the servers.
    cached_tokens
        Prompt tokens that the server took from its own cache; included in ``prompt_tokens``.
    reasoning_tokens
        Tokens of the model's reasoning; included in ``completion_tokens``.
    from_cache
        Answers from the client's cache; included in ``answered``. They use no tokens.
    cost
        In US dollars, summed over the answers whose server reports it (as OpenRouter does); None if none does.
    requests
        Requests that were sent, tries included; each may be billed.

    Examples
    --------
    >>> from deluge_nb import Usage
    >>> total = Usage(answered=1, prompt_tokens=12, completion_tokens=3) + Usage(failed=1)
    >>> total.answered, total.failed, total.total_tokens
    (1, 1, 15)
    """

    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    from_cache: int = 0
    cost: float | None = None
    requests: int = 0

    @property
    def total_tokens(self) -> int:
        """Sum of ``prompt_tokens`` and ``completion_tokens``."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        costs = [usage.cost for usage in (self, other) if usage.cost is not None]
        counts = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name != "cost"
        }
        return Usage(**counts, cost=sum(costs) if costs else None)


def total_usage(responses: Iterable[APIResponse | None]) -> Usage:
    """Return the usage of responses; None stands for a prompt that was not sent."""
    totals: Counter[str] = Counter()
    costs: list[float] = []
    for response in responses:
        if response is None:
            continue
        totals["failed" if response.is_error else "answered"] += 1
        if response.from_cache:
            totals["from_cache"] += 1
            continue
        counts = response.usage or {}
        totals["prompt_tokens"] += tokens_in(counts) or 0
        totals["completion_tokens"] += tokens_out(counts) or 0
        totals["cached_tokens"] += (
            count(_details(counts, "prompt_tokens_details"), "cached_tokens")
            or count(counts, "prompt_cache_hit_tokens")
            or 0
        )
        totals["reasoning_tokens"] += (
            count(_details(counts, "completion_tokens_details"), "reasoning_tokens")
            or count(counts, "reasoning_tokens")
            or 0
        )
        cost = dollars(counts)
        if cost is not None:
            costs.append(cost)
    return Usage(**totals, cost=math.fsum(costs) if costs else None)


def token_count(counts: Mapping[str, Any] | None) -> int:
    """Return the tokens in and out of one answer."""
    return (tokens_in(counts) or 0) + (tokens_out(counts) or 0)


def _details(counts: object, name: str) -> object:
    return counts.get(name) if isinstance(counts, (dict, Mapping)) else None
