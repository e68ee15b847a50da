"""One answer of a comparison: its text, its log-probabilities and what the table shows of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..client.interruption import as_reason
from ..errors import LogprobsMissingError
from ..interop.readers import as_logprobs
from ..logprobs.table import Logprobs
from ..render.comparison import likelihood_of, table_facts
from ..response import APIResponse

_MISSING = "the call was interrupted"


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of one variant to one input.

    Parameters
    ----------
    text
        The text; None where there is none.
    table
        The log-probabilities; None without any.
    mean_logprob
        Mean log-probability of its tokens in nats; NaN without any.
    error
        The reason why there is no answer, or None.
    facts
        What its tokens add up to, or why there are no log-probabilities.
    """

    text: str | None = None
    table: Logprobs | None = None
    mean_logprob: float = math.nan
    error: str | None = None
    facts: str = ""


def read_answer(response: Any) -> Answer:
    """Return the answer in a response of this or another library, in a table, or None for one that is missing."""
    if response is None:
        return Answer(error=_MISSING)
    if isinstance(response, APIResponse):
        if response.is_error:
            return Answer(error=response.error_message or "failed")
        if response.logprobs is None:
            return Answer(response.completion or "", facts=response.note or "no log-probabilities")
        return _measure(response.completion, response.logprobs)
    if isinstance(response, str):
        return Answer(response, facts="no log-probabilities")
    try:
        return _measure(None, as_logprobs(response))
    except LogprobsMissingError as error:
        return Answer(error=as_reason(error))


def _measure(text: str | None, table: Logprobs) -> Answer:
    mean = likelihood_of(table).mean_logprob
    shown = table.text if text is None else text
    return Answer(shown, table, math.nan if mean is None else mean, facts=table_facts(table))
