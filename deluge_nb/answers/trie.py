"""Classify by a trie: expand likely beginnings of answers, one request each."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..errors import LogprobError
from ..prompts import Prompt
from ..stats.core.validation import Alternative
from ..stats.labels import LabelDistribution, walk_trie
from ..text.matching import Labels
from .first_token import NO_TOKENS, alternatives_at, request_alternatives, to_classification
from .results import Classification, failed_result

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..response import APIResponse

# Beginnings of lower probability are not worth a request; nor are answers, to see whether they end there.
_MIN_PROBABILITY = 1e-3
_MIN_ANSWER_PROBABILITY = 1e-2
_ROUNDS = 6


def by_trie(questions: list[tuple[Prompt, Labels]], client: LLMClient, progress: bool) -> list[Classification]:
    """Expand likely beginnings of answers, one request each, until none is worth a request."""
    prompts, answer_sets = [prompt for prompt, _ in questions], [labels for _, labels in questions]
    tries: list[dict[str, list[Alternative]]] = [{} for _ in prompts]
    responses_of: list[list[APIResponse]] = [[] for _ in prompts]
    reasons: list[str | None] = [None] * len(prompts)
    frontier = [(row, "") for row in range(len(prompts))]
    for turn in range(_ROUNDS):
        requests = [_with_prefix(prompts[row], prefix) for row, prefix in frontier]
        responses = request_alternatives(requests, client, 1, progress and turn == 0)
        for (row, prefix), response in zip(frontier, responses, strict=True):
            responses_of[row].append(response)
            table = response.logprobs
            alternatives = alternatives_at(table, 0) if table is not None and len(table) else []
            if alternatives:
                tries[row][prefix] = alternatives
            elif not prefix:
                reasons[row] = response.error_message or response.note or NO_TOKENS
        frontier = [
            (row, prefix)
            for row in range(len(prompts))
            if reasons[row] is None
            for prefix in _unexplored_prefixes(tries[row], answer_sets[row])
            if _can_continue(prompts[row], prefix)
        ]
        if not frontier:
            break
    results = []
    for row, reason in enumerate(reasons):
        try:
            if reason is None:
                results.append(to_classification(_distribution(tries[row], answer_sets[row]), responses_of[row]))
                continue
        except LogprobError as error:
            reason = str(error)
        results.append(failed_result(answer_sets[row].names, reason, responses_of[row]))
    return results


def _distribution(trie: dict[str, list[Alternative]], labels: Labels) -> LabelDistribution:
    """Return the distribution over answers of a trie.

    Probability of an answer that turned out to be another word or number ("1" of "15") is not counted for it. It stays
    in the upper bound: a method that does not look so far counts it.
    """
    ended, begun = walk_trie(trie, labels, to_the_end=True), walk_trie(trie, labels)
    return dataclasses.replace(
        ended,
        upper={name: max(high, begun.upper[name]) for name, high in ended.upper.items()},
        normalized_upper={
            name: max(high, begun.normalized_upper.get(name, high)) for name, high in ended.normalized_upper.items()
        },
        decided=ended.decided and begun.decided,
    )


def _unexplored_prefixes(trie: dict[str, list[Alternative]], labels: Labels) -> list[str]:
    """Return the beginnings and answers that may go on, are likely enough, and have no node in the trie yet."""
    best: dict[str, float] = {"": 0.0}
    prefixes = []
    for prefix in sorted(trie, key=len):
        for alternative in trie[prefix]:
            text, logprob = prefix + alternative.token, best.get(prefix, -math.inf) + alternative.logprob
            reading = labels.read(text)
            settled = reading.label is not None
            if not alternative.token or reading.ended or not (settled or reading.is_undecided):
                continue
            best[text] = max(best.get(text, -math.inf), logprob)
            least = _MIN_ANSWER_PROBABILITY if settled else _MIN_PROBABILITY
            if text not in trie and logprob > math.log(least) and text not in prefixes:
                prefixes.append(text)
    return prefixes


def _can_continue(prompt: Prompt, prefix: str) -> bool:
    """Return whether a model continues exactly this beginning: chat servers strip white space at its end."""
    return prompt.raw is not None or prefix == prefix.rstrip()


def _with_prefix(prompt: Prompt, prefix: str) -> Prompt:
    """Return the prompt with the beginning of its answer."""
    if not prefix:
        return prompt
    if prompt.raw is not None:
        return dataclasses.replace(prompt, raw=prompt.raw + prefix)
    return dataclasses.replace(prompt, prefill=(prompt.prefill or "") + prefix)
