"""Classify by a trie: expand likely beginnings of answers, one request each."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..errors import LogprobError
from ..prompts import Prompt
from ..stats.core.validation import Alternative
from ..stats.labels import walk_trie
from ..text.matching import Labels
from .first_token import NO_TOKENS, alternatives_at, request_alternatives, to_classification
from .results import Classification, failed_result

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..response import APIResponse

# Beginnings of lower probability are not worth a request.
_MIN_PROBABILITY = 1e-3
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
                results.append(to_classification(walk_trie(tries[row], answer_sets[row]), responses_of[row]))
                continue
        except LogprobError as error:
            reason = str(error)
        results.append(failed_result(answer_sets[row].names, reason, responses_of[row]))
    return results


def _unexplored_prefixes(trie: dict[str, list[Alternative]], labels: Labels) -> list[str]:
    """Return the beginnings that leave answers open, are likely enough, and have no node in the trie yet."""
    best: dict[str, float] = {"": 0.0}
    prefixes = []
    for prefix in sorted(trie, key=len):
        for alternative in trie[prefix]:
            text, logprob = prefix + alternative.token, best.get(prefix, -math.inf) + alternative.logprob
            if not alternative.token or not labels.read(text).is_undecided:
                continue
            best[text] = max(best.get(text, -math.inf), logprob)
            if text not in trie and logprob > math.log(_MIN_PROBABILITY) and text not in prefixes:
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
