"""Outcomes of requests for log-probabilities in this session, so that a known failure is not repeated."""

from __future__ import annotations

from typing import Literal

from ..sampling import SamplingParams
from .spec import Endpoint

Outcome = Literal["refused", "dropped", "degenerate", "fine"]
"""Log-probabilities were refused, silently dropped, returned without meaning, or fine."""


def requested_features(*, tools: bool, output_schema: bool) -> tuple[str, ...]:
    """Return the names of requested features that a server may refuse to combine with log-probabilities."""
    return ("tools",) * tools + ("output_schema",) * output_schema


class Observations:
    """Outcomes of requests for log-probabilities, by server, model, reasoning effort and requested features."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str, str | None, tuple[str, ...]], Outcome] = {}
        self._boolean: set[tuple[str, str]] = set()

    def record(
        self, endpoint: Endpoint, model: str, params: SamplingParams, outcome: Outcome, features: tuple[str, ...] = ()
    ) -> None:
        """Record the outcome of a request; ``features`` is as :func:`requested_features` returns it."""
        self._outcomes[endpoint.base_url, model, params.reasoning_effort, features] = outcome

    def outcome(
        self, endpoint: Endpoint, model: str, params: SamplingParams, features: tuple[str, ...] = ()
    ) -> Outcome | None:
        """Return the outcome of the last such request, or None."""
        return self._outcomes.get((endpoint.base_url, model, params.reasoning_effort, features))

    def record_boolean_logprobs(self, endpoint: Endpoint, model: str) -> None:
        """Record that a server wants ``logprobs`` as a boolean where the registry says that it is a number."""
        self._boolean.add((endpoint.name, model))

    def wants_boolean_logprobs(self, endpoint: Endpoint, model: str) -> bool:
        """Return True if a server has refused ``logprobs`` as a number."""
        return (endpoint.name, model) in self._boolean

    def clear(self) -> None:
        """Forget all outcomes."""
        self._outcomes.clear()
        self._boolean.clear()
