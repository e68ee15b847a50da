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
        self._left_out: dict[tuple[str, str], frozenset[str]] = {}
        self._renamed: dict[tuple[str, str], frozenset[str]] = {}
        self._no_stream: set[tuple[str, str, tuple[str, ...]]] = set()
        self._missing_routes: set[tuple[str, str, str]] = set()

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

    def record_refused_field(self, endpoint: Endpoint, model: str, field: str, *, renamed: bool) -> None:
        """Record that a server refuses a field; with ``renamed`` it knows the field by another name."""
        key = endpoint.base_url, model
        fields = self._renamed if renamed else self._left_out
        fields[key] = fields.get(key, frozenset()) | {field}

    def refused_fields(self, endpoint: Endpoint, model: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the fields that a server has refused, and those that it knows by another name."""
        key = endpoint.base_url, model
        return self._left_out.get(key, frozenset()), self._renamed.get(key, frozenset())

    @property
    def has_refused_fields(self) -> bool:
        """True if any server has refused a field or a stream."""
        return bool(self._left_out or self._renamed or self._no_stream)

    def record_refused_stream(self, endpoint: Endpoint, model: str, features: tuple[str, ...]) -> None:
        """Record that a server does not stream answers to requests with some features."""
        self._no_stream.add((endpoint.base_url, model, features))

    def refuses_stream(self, endpoint: Endpoint, model: str, features: tuple[str, ...]) -> bool:
        """Return True if a server has refused to stream such answers."""
        return (endpoint.base_url, model, features) in self._no_stream

    def record_missing_route(self, endpoint: Endpoint, model: str, path: str) -> None:
        """Record that a server does not have a route for a model, or does not let this user take it."""
        self._missing_routes.add((endpoint.base_url, model, path))

    def lacks_route(self, endpoint: Endpoint, model: str, path: str) -> bool:
        """Return True if a server has answered that it does not have a route."""
        return (endpoint.base_url, model, path) in self._missing_routes

    def clear(self) -> None:
        """Forget all outcomes."""
        self._outcomes.clear()
        self._boolean.clear()
        self._left_out.clear()
        self._renamed.clear()
        self._no_stream.clear()
        self._missing_routes.clear()
