"""Classify by the first tokens of a response and their alternatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import LogprobError, LogprobsNotSupportedError
from ..prompts import Prompt
from ..stats.core.validation import Alternative
from ..stats.labels import LabelDistribution, walk_trie
from ..text.matching import Labels
from .results import Classification, failed_result

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..logprobs.table import Logprobs
    from ..response import APIResponse

# Enough for white space and Markdown before an answer, and for the tokens of most answers.
_ANSWER_TOKENS = 4
_ALTERNATIVES = 20
NO_TOKENS = "The response has no tokens."


def by_first_token(questions: list[tuple[Prompt, Labels]], client: LLMClient, progress: bool) -> list[Classification]:
    """Ask for the first tokens of each answer, and classify the responses."""
    responses = request_alternatives([prompt for prompt, _ in questions], client, _ANSWER_TOKENS, progress)
    return [classify_response(response, labels) for response, (_, labels) in zip(responses, questions, strict=True)]


def request_alternatives(prompts: Sequence[Any], client: LLMClient, tokens: int, progress: bool) -> list[APIResponse]:
    """Ask for at most ``tokens`` tokens per prompt, with as many alternatives as the model gives."""
    limit = client.max_top_logprobs
    if limit < 1:
        raise LogprobsNotSupportedError(
            f"classify needs alternatives, and {', '.join(client.models)} gives the chosen tokens only; use "
            "method='exact' with a server that scores given texts.",
            model=", ".join(client.models),
            remedy="method='exact'",
        )
    settings = []
    for params in client.sampling_params:
        if not params.full_vocab:
            params = params.replace(logprobs=True, top_logprobs=min(params.top_logprobs or _ALTERNATIVES, limit))
        settings.append(params.replace(max_new_tokens=min(tokens, params.max_new_tokens or tokens)))
    return client.process_prompts_sync(list(prompts), sampling_params=settings, show_progress=progress)


def classify_response(response: APIResponse, labels: Labels) -> Classification:
    """Return the probability of each answer, from the alternatives along a response.

    The alternatives at the first token are read; and while the text so far leaves answers open (white space, the first
    piece of a word, a word that may go on), those at the next token, weighted by the probability of the text so far.
    """
    table = response.logprobs
    if table is None or not len(table):
        reason = response.error_message or response.note or NO_TOKENS
        return failed_result(labels.names, reason, [response])
    trie: dict[str, list[Alternative]] = {}
    prefix = ""
    for position, token in enumerate(table.tokens):
        reading = labels.read(prefix)
        if prefix in trie or reading.ended or reading.open == frozenset():
            break
        alternatives = alternatives_at(table, position)
        if not alternatives:
            break
        trie[prefix] = alternatives
        prefix += token
    if not trie:
        return failed_result(labels.names, "The provider withheld the log-probabilities of this answer.", [response])
    try:
        return to_classification(walk_trie(trie, labels, to_the_end=True), [response])
    except LogprobError as error:
        return failed_result(labels.names, str(error), [response])


def alternatives_at(table: Logprobs, position: int) -> list[Alternative]:
    """Return the alternatives at a token, with the chosen token if it is not among them."""
    alternatives = [
        Alternative(entry["token"], float(entry["logprob"]), None)
        for entry, logprob in zip(table.top(position), table.top_logprob(position).tolist(), strict=True)
        if entry["logprob"] is not None and not math.isnan(logprob)
    ]
    row = table[position : position + 1]
    if not row.is_listed[0] and not row.censored[0]:
        alternatives.append(Alternative(row.tokens[0], float(row.logprob[0]), None))
    return alternatives


def to_classification(
    distribution: LabelDistribution, responses: Sequence[APIResponse], shares: dict[str, float] | None = None
) -> Classification:
    """Return the result for a distribution over answers; ``shares`` replace its normalised probabilities."""
    shares = dict(distribution.normalized) if shares is None else shares
    label = max(shares, key=shares.__getitem__) if shares else None
    return Classification(
        label,
        shares[label] if label is not None else None,
        shares,
        distribution.normalized_lower,
        distribution.normalized_upper,
        distribution.lower,
        distribution.upper,
        distribution.matched_mass,
        0.0,
        distribution.decided and label == distribution.argmax,
        shares,
        responses=tuple(responses),
    )
