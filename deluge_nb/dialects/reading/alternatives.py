"""Ask for one alternative where a server takes 0 for no log-probabilities at all, and show what was wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...logprobs.splice import truncate_alternatives

if TYPE_CHECKING:
    from ...logprobs.table import Logprobs
    from ...models.spec import Endpoint
    from ...sampling import SamplingParams


def wants_none(params: SamplingParams, endpoint: Endpoint) -> bool:
    """Return whether a server of one's own is asked for chosen tokens without alternatives."""
    return bool(params.logprobs and not params.top_logprobs and not params.full_vocab and not endpoint.key_required)


def least_alternatives(params: SamplingParams, endpoint: Endpoint) -> int:
    """Return the number of alternatives to ask for, at least 1 from a server of one's own."""
    return 1 if wants_none(params, endpoint) else params.top_logprobs or 0


def without_alternatives(table: Logprobs | None) -> Logprobs | None:
    """Return a table of the chosen tokens alone."""
    return table if table is None else truncate_alternatives(table, 0)
