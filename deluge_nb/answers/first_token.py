"""Classify by the first tokens of a response and their alternatives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..client.interruption import as_reason
from ..client.recorder import Recorder
from ..errors import LogprobsNotSupportedError
from ..logprobs.extract import alternatives_of
from ..logprobs.values import OTHER_TEXT, is_known
from ..prompts import Prompt
from ..stats.core.truncated import ListedMass
from ..stats.core.validation import Alternative
from ..stats.labels import LabelDistribution, masses_of, walk_trie
from ..text.matching import Labels
from ..text.partial import join
from .results import Classification, failed_result

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..logprobs.table import Logprobs
    from ..response import APIResponse
    from ..sampling import SamplingParams

# Enough for white space and Markdown before an answer, and for the tokens of most answers.
_ANSWER_TOKENS = 4
_ALTERNATIVES = 20
NO_TOKENS = "The response has no tokens."


def by_first_token(questions: list[tuple[Prompt, Labels]], recorder: Recorder, progress: bool) -> list[Classification]:
    """Ask for the first tokens of each answer, and classify the responses."""
    if any(prompt.prefill is not None for prompt, _ in questions):
        # A new answer would be read as the rest of the begun one.
        recorder.client.require_continuing()
    responses = request_alternatives([prompt for prompt, _ in questions], recorder, _ANSWER_TOKENS, progress)
    rows = zip(responses, questions, strict=True)
    return classify_rows([Row.of(response, labels) for response, (_, labels) in rows])


def request_alternatives(prompts: Sequence[Any], recorder: Recorder, tokens: int, progress: bool) -> list[APIResponse]:
    """Ask for at most ``tokens`` tokens per prompt, with as many alternatives as the model gives."""
    client = recorder.client
    check_alternatives(client)
    return recorder.process(prompts, answer_settings(client, tokens), progress)


def check_alternatives(client: LLMClient) -> None:
    """Raise an error if the models of a client give no alternatives.

    Parameters
    ----------
    client
        The client.

    Raises
    ------
    LogprobsNotSupportedError
        When one gives the chosen tokens only.
    """
    if client.max_top_logprobs < 1:
        raise LogprobsNotSupportedError(
            f"classify needs alternatives, and {', '.join(client.models)} gives the chosen tokens only; use "
            "method='exact' with a server that scores given texts.",
            model=", ".join(client.models),
            remedy="method='exact'",
        )


def answer_settings(
    client: LLMClient, tokens: int = _ANSWER_TOKENS, *, may_write_more: bool = False
) -> list[SamplingParams]:
    """Return the settings of each model to read an answer from its first tokens.

    Parameters
    ----------
    client
        The client; its temperature counts, or 0 where it leaves that open, and its number of alternatives.
    tokens
        The most tokens of an answer.
    may_write_more
        Whether the client's own ``max_new_tokens`` holds where it is larger: the text is wanted, too.
    """
    settings = []
    for params in alternative_settings(client):
        own = params.max_new_tokens or tokens
        settings.append(params.replace(max_new_tokens=own if may_write_more else min(tokens, own)))
    return settings


def alternative_settings(client: LLMClient) -> list[SamplingParams]:
    """Return the settings of each model to get alternatives: as many as the client asks for, or as there are."""
    limit = client.max_top_logprobs
    return [
        params
        if params.full_vocab
        else params.replace(logprobs=True, top_logprobs=min(params.top_logprobs or _ALTERNATIVES, limit) or None)
        for params in client.greedy_settings()
    ]


class Row(NamedTuple):
    """A response to classify: its table, the answers, and why it ended; the response is None for a table alone."""

    response: APIResponse | None
    table: Logprobs | None
    labels: Labels
    finish_reason: str | None

    @classmethod
    def of(cls, response: APIResponse, labels: Labels) -> Row:
        """Return the row of a response."""
        return cls(response, response.logprobs, labels, response.finish_reason)


def classify_rows(rows: Sequence[Row]) -> list[Classification]:
    """Return the probability of each answer, from the alternatives along each response.

    The alternatives at the first token are read; and while the text so far leaves answers open (white space, the first
    piece of a word, a word that may go on), those at the next token, weighted by the probability of the text so far.
    """
    walks = [_walk_or_reason(row) for row in rows]
    pairs = list(zip(rows, walks, strict=True))
    # The lists of all rows are read at once.
    masses = iter(
        masses_of([(walk.lists, row.table.rounding) for row, walk in pairs if isinstance(walk, _Walk) and row.table])
    )
    return [
        _classify(row, walk, next(masses))
        if isinstance(walk, _Walk)
        else failed_result(row.labels.names, walk, _responses(row))
        for row, walk in pairs
    ]


def _responses(row: Row) -> list[APIResponse]:
    return [] if row.response is None else [row.response]


def _walk_or_reason(row: Row) -> _Walk | str:
    """Return the alternatives along a response, or why it has no result."""
    response, table = row.response, row.table
    if table is None or not len(table):
        reason = (response.error_message or response.note) if response is not None else None
        return reason or NO_TOKENS
    if not table.matches_text:
        return OTHER_TEXT
    try:
        walk = _walk(table, row.labels, row.finish_reason)
    except Exception as error:  # one answer that cannot be read costs no other
        return as_reason(error)
    return walk if walk.lists else "The provider withheld the log-probabilities of this answer."


def _classify(row: Row, walk: _Walk, masses: Mapping[str, ListedMass | Exception]) -> Classification:
    try:
        distribution = walk_trie(walk.lists, row.labels, to_the_end=True, answers_end=walk.answers_end, masses=masses)
        return to_classification(distribution, _responses(row))
    except Exception as error:  # one answer that cannot be read costs no other
        return failed_result(row.labels.names, as_reason(error), _responses(row))


class _Walk(NamedTuple):
    """Alternatives along a response by the text before them, and the texts after which an answer has ended."""

    lists: dict[str, list[Alternative]]
    answers_end: set[str]


def _walk(table: Logprobs, labels: Labels, finish_reason: str | None) -> _Walk:
    lists: dict[str, list[Alternative]] = {}
    answers_end: set[str] = set()
    prefix = previous = ""
    for position, index in enumerate(table.chosen.tolist()):
        reading = labels.read(prefix)
        if reading.ended or reading.open == frozenset():
            return _Walk(lists, answers_end)
        token = table.vocabulary.exact_text(index)
        alternatives = None if prefix in lists else alternatives_at(table, position)
        if not alternatives:
            # The text that follows may still show that the answer before it has ended.
            if reading.equal is None or labels.read_after(prefix, token).label != reading.equal:
                answers_end.discard(previous)
            return _Walk(lists, answers_end)
        lists[prefix] = alternatives
        answers_end.add(prefix)
        previous, prefix = prefix, join(prefix, token)
    if finish_reason != "stop":
        answers_end.discard(previous)
    return _Walk(lists, answers_end)


def alternatives_at(table: Logprobs, position: int) -> list[Alternative]:
    """Return the alternatives at a token, with the chosen token if it is not among them."""
    indices, logprobs = alternatives_of(table, position)
    texts, raw = table.vocabulary.texts, table.vocabulary.raw
    alternatives = [
        Alternative(texts[index], logprob, octets if isinstance(octets := raw[index], bytes) else None)
        for index, logprob in zip(indices, logprobs, strict=True)
        if is_known(logprob)
    ]
    # Mostly it is the likeliest; another index may still be the same token.
    if int(table.chosen[position]) in indices[:1]:
        return alternatives
    row = table[position : position + 1]
    if not row.is_listed[0] and not row.censored[0]:
        octets = row[0]["bytes"]
        token = Alternative(row.tokens[0], float(row.logprob[0]), None if octets is None else bytes(octets))
        alternatives.append(token)
    return alternatives


def to_classification(
    distribution: LabelDistribution, responses: Sequence[APIResponse], shares: dict[str, float] | None = None
) -> Classification:
    """Return the result for a distribution over answers; ``shares`` replace its normalised probabilities."""
    names = list(distribution.lower)
    attributed_mass = math.fsum(distribution.attributed.values())
    if shares is None:
        masses = {name: distribution.lower[name] + distribution.attributed[name] for name in names}
        total = math.fsum(masses.values())
        shares = {name: mass / total for name, mass in masses.items()} if total > 0 else {}
        label = distribution.likeliest
    else:
        label = max(shares, key=shares.__getitem__) if shares else None
    # Where nothing is settled, the hidden probability may give an answer any share.
    least = distribution.normalized_lower or dict.fromkeys(shares, 0.0)
    most = distribution.normalized_upper or {name: float(distribution.upper[name] > 0) for name in shares}
    least = {name: min(least[name], share) for name, share in shares.items()}
    most = {name: max(most[name], share) for name, share in shares.items()}
    return Classification(
        label,
        shares[label] if label is not None else None,
        shares,
        least,
        most,
        distribution.lower,
        distribution.upper,
        distribution.matched_mass + attributed_mass,
        attributed_mass,
        distribution.decided and label == distribution.argmax,
        shares,
        responses=tuple(responses),
    )
