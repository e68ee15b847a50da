"""Ask for one alternative where a server takes 0 for no log-probabilities at all, and show what was wanted."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ...logprobs.splice import truncate_alternatives

if TYPE_CHECKING:
    from ...logprobs.table import Logprobs
    from ..base import Ask, Completion, Dialect


def wants_none(ask: Ask) -> bool:
    """Return whether a server of one's own is asked for chosen tokens without alternatives."""
    params = ask.params
    return bool(params.logprobs and not params.top_logprobs and not params.full_vocab and not ask.endpoint.key_required)


def least_alternatives(ask: Ask) -> int:
    """Return the number of alternatives to ask for, at least 1 from a server of one's own."""
    return 1 if wants_none(ask) else ask.params.top_logprobs or 0


def without_unwanted(table: Logprobs | None, ask: Ask) -> Logprobs | None:
    """Return a table without the alternative that was not wanted."""
    return truncate_alternatives(table, 0) if table is not None and wants_none(ask) else table


def trim(completion: Completion, ask: Ask, dialect: Dialect) -> Completion:
    """Return a completion without the alternatives that were not wanted; its body keeps them."""
    tables = [table for table in (completion.thinking_logprobs, completion.logprobs) if table is not None]
    if not any(table.most_alternatives for table in tables):
        return completion
    raw = completion.raw
    body = json.loads(raw.decode("utf-8", "replace")) if isinstance(raw, bytes) else raw
    return replace(
        completion,
        raw=dialect.with_entries(body, [entry for table in tables for entry in table]),
        logprobs=without_unwanted(completion.logprobs, ask),
        thinking_logprobs=without_unwanted(completion.thinking_logprobs, ask),
        others=tuple(trim(other, ask, dialect) for other in completion.others),
    )
