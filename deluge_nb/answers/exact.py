"""Classify by exact likelihood: score every spelling of every answer as a given text."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..logprobs.values import log_sum
from ..prompts import Prompt
from ..stats.entropy import log1mexp
from ..stats.labels import LabelMass
from ..text.matching import Labels
from .first_token import to_classification
from .results import Classification, failed_result

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..response import APIResponse

Tokens = tuple[tuple[int | None, str], ...]


def by_likelihood(questions: list[tuple[Prompt, Labels]], client: LLMClient, progress: bool) -> list[Classification]:
    """Ask for the likelihood of every spelling of every answer."""
    requests = [
        (row, name, _continuation(prompt, spelling))
        for row, (prompt, labels) in enumerate(questions)
        for name in labels.names
        for spelling in labels.spellings[name]
    ]
    pairs: list[Any] = [(questions[row][0], text) for row, _, text in requests]
    responses = client.score_continuations_sync(pairs, show_progress=progress)
    scored: list[dict[str, list[APIResponse]]] = [{name: [] for name in labels.names} for _, labels in questions]
    for (row, name, _), response in zip(requests, responses, strict=True):
        scored[row][name].append(response)
    return [_from_likelihoods(of_label, labels) for of_label, (_, labels) in zip(scored, questions, strict=True)]


def _continuation(prompt: Prompt, spelling: str) -> str:
    """Return a spelling as it follows the prompt: with a space in front, unless it begins the model's turn."""
    begins_turn = prompt.raw is None and not prompt.prefill
    return spelling if begins_turn or spelling[:1].isspace() else " " + spelling


def _from_likelihoods(scored: dict[str, list[APIResponse]], labels: Labels) -> Classification:
    """Return the result of the scored spellings of each answer."""
    responses = [response for of_label in scored.values() for response in of_label]
    failed = next((response for response in responses if response.is_error or response.logprobs is None), None)
    if failed is not None:
        return failed_result(
            labels.names, failed.error_message or failed.note or "There are no log-probabilities.", responses
        )
    spelt = [
        (answer, tuple(zip(table.token_ids, table.tokens, strict=True)), float(table.logprob.sum()))
        for answer, of_label in enumerate(scored.values())
        for response in of_label
        if (table := response.logprobs) is not None
    ]
    logprob_of = {tokens: logprob for _, tokens, logprob in spelt}
    label_mass = LabelMass(labels)
    logliks: list[list[float]] = [[] for _ in labels.names]
    for answer, tokens, logprob in {spelling[1]: spelling for spelling in spelt}.values():
        complete = logprob + _log_complete_share(logprob, tokens, logprob_of)
        label_mass.per_label[answer].append(math.exp(complete))
        logliks[answer].append(complete)
    matched = math.fsum(p for parts in label_mass.per_label for p in parts)
    distribution = label_mass.to_distribution(max(1.0 - matched, 0.0), [math.inf] * len(labels))
    loglik = {name: log_sum(values) for name, values in zip(labels.names, logliks, strict=True)}
    # In logarithms: probabilities that underflow to 0 can still be compared.
    total = log_sum(list(loglik.values()))
    shares = {name: math.exp(value - total) for name, value in loglik.items()} if total > -math.inf else {}
    return dataclasses.replace(to_classification(distribution, responses, shares), loglik=loglik)


def _log_complete_share(logprob: float, tokens: Tokens, logprob_of: dict[Tokens, float]) -> float:
    """Return the logarithm of the share of a spelling that is not continued to a longer one ("1" to "10")."""
    longer = [other for other in logprob_of if len(other) > len(tokens) and other[: len(tokens)] == tokens]
    # A spelling that continues another of the longer ones is already part of that one.
    nearest = [
        spelling
        for spelling in longer
        if not any(len(other) < len(spelling) and spelling[: len(other)] == other for other in longer)
    ]
    continued = log_sum([logprob_of[spelling] for spelling in nearest]) - logprob
    return log1mexp(min(continued, 0.0))
