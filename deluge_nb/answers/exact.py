"""Classify by exact likelihood: score every spelling of every answer as a given text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..client.interruption import as_reason
from ..client.recorder import Recorder
from ..errors import LogprobsMissingError
from ..logprobs.values import log_sum
from ..prompts import Prompt
from ..stats.core.validation import Alternative
from ..stats.labels import LabelMass
from ..text.boundary import space_between
from ..text.end_tokens import is_end_token
from ..text.matching import Labels
from ..text.partial import exact_text
from .first_token import alternatives_at, to_classification
from .results import Classification, failed_result

if TYPE_CHECKING:
    from ..logprobs.table import Logprobs
    from ..response import APIResponse

# After a spelling: enough to see how it ends.
_ALTERNATIVES = 20

Tokens = tuple[tuple[int | None, str], ...]


def by_likelihood(questions: list[tuple[Prompt, Labels]], recorder: Recorder, progress: bool) -> list[Classification]:
    """Ask for the likelihood of every spelling of every answer, and for the tokens that may follow it."""
    requests = [
        (row, answer, _continuation(prompt, spelling))
        for row, (prompt, labels) in enumerate(questions)
        for answer, name in enumerate(labels.names)
        for spelling in labels.spellings[name]
    ]
    pairs: list[Any] = [(questions[row][0], text) for row, _, text in requests]
    alternatives = min(_ALTERNATIVES, recorder.client.max_top_logprobs)
    responses = recorder.score(pairs, ends=True, top_logprobs=alternatives, show_progress=progress)
    scored: list[list[tuple[int, str, APIResponse]]] = [[] for _ in questions]
    for (row, answer, text), response in zip(requests, responses, strict=True):
        scored[row].append((answer, text, response))
    return [_from_likelihoods(of_row, labels) for of_row, (_, labels) in zip(scored, questions, strict=True)]


def _continuation(prompt: Prompt, spelling: str) -> str:
    """Return a spelling as it follows the prompt; one that begins the model's turn is taken unchanged."""
    before = prompt.raw if prompt.raw is not None else (prompt.prefill or "") + prompt.gap
    return space_between(before, spelling) + spelling


@dataclass(frozen=True, slots=True)
class _Spelling:
    """Scored spelling of an answer: its text, its tokens, their log-probability, and the tokens that may follow.

    ``error`` is by how much the log-probability of the spelling and its end may be too high (nats).
    """

    answer: int
    text: str
    tokens: Tokens
    logprob: float
    next: list[Alternative]
    error: float

    def begins(self, other: _Spelling) -> bool:
        """Return whether another spelling continues the tokens of this one."""
        return len(other.tokens) > len(self.tokens) and other.tokens[: len(self.tokens)] == self.tokens


def _from_likelihoods(scored: list[tuple[int, str, APIResponse]], labels: Labels) -> Classification:
    """Return the result of the scored spellings of each answer."""
    responses = [response for _, _, response in scored]
    failed = next((response for response in responses if response.is_error or not response.logprobs), None)
    if failed is not None:
        return failed_result(
            labels.names, failed.error_message or failed.note or "There are no log-probabilities.", responses
        )
    try:
        return _combine(scored, labels)
    except Exception as error:  # one answer that cannot be read costs no other
        return failed_result(labels.names, as_reason(error), responses)


def _combine(scored: list[tuple[int, str, APIResponse]], labels: Labels) -> Classification:
    spellings: dict[Tokens, _Spelling] = {}
    shown: list[APIResponse] = []
    for answer, text, response in scored:
        table = response.logprobs
        assert table is not None
        shown.append(dataclasses.replace(response, logprobs=table[:-1]))
        spelling = _read_spelling(answer, text, table)
        spellings.setdefault(spelling.tokens, spelling)
    silent = next((spelling for spelling in spellings.values() if not spelling.next), None)
    if silent is not None:
        raise LogprobsMissingError(
            f"The server listed no tokens after {silent.text!r}, so it is not known whether the answer ends there."
        )
    mass = LabelMass(labels)
    likely: list[list[float]] = [[] for _ in labels.names]
    for spelling in spellings.values():
        others = [other for other in spellings.values() if spelling.begins(other)]
        endings = list(_endings(spelling, others, labels))
        settled = log_sum([logprob for logprob, ended in endings if ended])
        mass.per_label[spelling.answer].append(math.exp(spelling.logprob + settled - spelling.error))
        likely[spelling.answer].append(spelling.logprob + log_sum([logprob for logprob, _ in endings]))
    settled_mass = math.fsum(p for parts in mass.per_label for p in parts)
    distribution = mass.to_distribution(max(1.0 - settled_mass, 0.0), [math.inf] * len(labels))
    # In logarithms: probabilities that underflow to 0 can still be compared.
    logs = [log_sum(values) for values in likely]
    total = log_sum(logs)
    shares = {
        name: math.exp(value - total) for name, value in zip(labels.names, logs, strict=True) if total > -math.inf
    }
    matched = max(min(math.exp(total), 1.0), settled_mass)
    return dataclasses.replace(
        to_classification(distribution, shown, shares),
        matched_mass=matched,
        attributed_mass=matched - settled_mass,
        loglik=_logliks(list(spellings.values()), labels),
    )


def _read_spelling(answer: int, text: str, table: Logprobs) -> _Spelling:
    """Return a scored spelling; the last row of its table is the token after it.

    Raises
    ------
    LogprobsMissingError
        When the server withheld the log-probability of a token.
    """
    rows = table[:-1]
    if rows.censored.any():
        raise LogprobsMissingError(f"The server withheld a log-probability of {text!r}, so it cannot be compared.")
    return _Spelling(
        answer,
        text,
        tuple(zip(rows.token_ids, rows.tokens, strict=True)),
        float(rows.logprob.sum()),
        alternatives_at(table, len(rows)),
        (table.rounding or 0.0) * len(table),
    )


def _endings(spelling: _Spelling, longer: list[_Spelling], labels: Labels) -> Iterator[tuple[float, bool]]:
    """Yield the log-probabilities of the next tokens after which the text is this answer; True where it has ended.

    Text that has not ended ("1969,") may still become another number or word: it is attributed to the answer.
    """
    scored = {other.tokens[len(spelling.tokens)][1] for other in longer}
    for alternative in spelling.next:
        token = exact_text(alternative.token, alternative.raw)
        if not token or is_end_token(token):
            yield alternative.logprob, True
        elif alternative.token not in scored:
            reading = labels.read_after(spelling.text, token)
            if reading.only == spelling.answer:
                yield alternative.logprob, reading.label is not None and reading.ended


def _logliks(spellings: list[_Spelling], labels: Labels) -> dict[str, float]:
    """Return the log-likelihood of each answer's text; a spelling that continues another one is part of it."""
    return {
        name: log_sum(
            [
                spelling.logprob
                for spelling in spellings
                if spelling.answer == answer
                and not any(other.answer == answer and other.begins(spelling) for other in spellings)
            ]
        )
        for answer, name in enumerate(labels.names)
    }
