"""Classify by a trie: expand likely beginnings of answers, one request each."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..client.interruption import as_reason
from ..client.recorder import Recorder
from ..prompts import Prompt
from ..stats.core.validation import Alternative
from ..stats.labels import LabelDistribution, masses_of, walk_trie
from ..text.end_tokens import is_end_token
from ..text.matching import Labels
from ..text.partial import exact_text, join, split_unfinished
from .first_token import NO_TOKENS, alternatives_at, request_alternatives, to_classification
from .results import Classification, failed_result

if TYPE_CHECKING:
    from ..response import APIResponse

# Beginnings of lower probability are not worth a request; nor are answers, to see whether they end there.
_MIN_PROBABILITY = 1e-3
_MIN_ANSWER_PROBABILITY = 1e-2
_ROUNDS = 6
# Share of the probability: lists after different texts have little in common.
_MOST_SHARED = 0.9


def by_trie(questions: list[tuple[Prompt, Labels]], recorder: Recorder, progress: bool) -> list[Classification]:
    """Expand likely beginnings of answers, one request each, until none is worth a request.

    Raises
    ------
    SettingError
        When a chat server is not proven to continue the beginning of an answer; nothing is sent then.
    """
    if any(prompt.raw is None for prompt, _ in questions):
        recorder.client.require_continuing()
    prompts, answer_sets = [prompt for prompt, _ in questions], [labels for _, labels in questions]
    tries: list[dict[str, list[Alternative]]] = [{} for _ in prompts]
    responses_of: list[list[APIResponse]] = [[] for _ in prompts]
    reasons: list[str | None] = [None] * len(prompts)
    frontier = [(row, "") for row in range(len(prompts))]
    for turn in range(_ROUNDS):
        requests = [_with_prefix(prompts[row], prefix) for row, prefix in frontier]
        responses = request_alternatives(requests, recorder, 1, progress and turn == 0)
        for (row, prefix), response in zip(frontier, responses, strict=True):
            responses_of[row].append(response)
            try:
                reasons[row] = _add_node(tries[row], prefix, response, prompts[row]) or reasons[row]
            except Exception as error:  # one answer that cannot be read costs no other
                reasons[row] = as_reason(error)
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
                results.append(
                    to_classification(_distribution(tries[row], answer_sets[row], responses_of[row]), responses_of[row])
                )
                continue
        except Exception as error:  # one answer that cannot be read costs no other
            reason = as_reason(error)
        results.append(failed_result(answer_sets[row].names, reason, responses_of[row]))
    return results


def _add_node(trie: dict[str, list[Alternative]], prefix: str, response: APIResponse, prompt: Prompt) -> str | None:
    """Add the alternatives after a beginning; return the reason if the input can have no result."""
    table = response.logprobs
    alternatives = alternatives_at(table, 0) if table is not None and table.matches_text and len(table) else []
    if prefix and prompt.raw is None and alternatives and _restarts(trie[""], prefix, alternatives):
        return (
            f"After the beginning {prefix!r} the model gave the alternatives of the first token again: the server "
            "seems to start a new answer instead of continuing one. Use method='first-token'."
        )
    if alternatives:
        trie[prefix] = alternatives
    elif not prefix:
        return response.error_message or response.note or NO_TOKENS
    return None


def _distribution(
    trie: dict[str, list[Alternative]], labels: Labels, responses: list[APIResponse]
) -> LabelDistribution:
    """Return the distribution over answers of a trie.

    Probability of an answer that turned out to be another word or number ("1" of "15") is not counted for it. It stays
    in the upper bound: a method that does not look so far counts it.
    """
    rounding = next((response.logprobs.rounding for response in responses if response.logprobs), None)
    (masses,) = masses_of([(trie, rounding)])
    ended = walk_trie(trie, labels, to_the_end=True, masses=masses)
    begun = walk_trie(trie, labels, masses=masses)
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
            token = exact_text(alternative.token, alternative.raw)
            if not token or is_end_token(token):
                continue
            text, logprob = join(prefix, token), best.get(prefix, -math.inf) + alternative.logprob
            reading = labels.read(text)
            settled = reading.label is not None
            if reading.ended or not (settled or reading.is_undecided):
                continue
            best[text] = max(best.get(text, -math.inf), logprob)
            least = _MIN_ANSWER_PROBABILITY if settled else _MIN_PROBABILITY
            if text not in trie and logprob > math.log(least) and text not in prefixes:
                prefixes.append(text)
    return prefixes


def _restarts(first: list[Alternative], prefix: str, alternatives: list[Alternative]) -> bool:
    """Return whether the alternatives after a beginning look like those at the start of the answer.

    They do if they share most of the probability, and the token that began the answer is listed again.
    """
    start, here = _probabilities(first), _probabilities(alternatives)
    shared = math.fsum(min(p, here[token]) for token, p in start.items() if token in here)
    repeated = any(prefix.startswith(token) and token for token in here if token in start)
    return repeated and shared > _MOST_SHARED * min(sum(start.values()), sum(here.values()))


def _probabilities(alternatives: list[Alternative]) -> dict[str, float]:
    probabilities: dict[str, float] = {}
    for alternative in alternatives:
        token = exact_text(alternative.token, alternative.raw)
        probabilities[token] = probabilities.get(token, 0.0) + math.exp(alternative.logprob)
    return probabilities


def _can_continue(prompt: Prompt, prefix: str) -> bool:
    """Return whether a model continues exactly this beginning.

    No server takes a half character as text, and chat servers strip white space at the end.
    """
    return split_unfinished(prefix)[1] == b"" and (prompt.raw is not None or prefix == prefix.rstrip())


def _with_prefix(prompt: Prompt, prefix: str) -> Prompt:
    """Return the prompt with the beginning of its answer."""
    if not prefix:
        return prompt
    if prompt.raw is not None:
        return dataclasses.replace(prompt, raw=prompt.raw + prefix, given=None)
    return dataclasses.replace(prompt, prefill=(prompt.prefill or "") + prefix, given=None)
