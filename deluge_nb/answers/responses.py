"""Read answers from responses, without asking a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import SettingError
from ..interop.readers import as_logprobs
from ..logprobs.table import Logprobs
from ..response import APIResponse
from ..text.end_tokens import is_complete
from ..text.matching import Labels
from .columns import Readings
from .first_token import Row, classify_rows
from .inputs import AnswerSet, read_answer_sets, read_inputs
from .results import Classification, Classifications

_YES = 0


def classify_responses(
    responses: Iterable[Any],
    labels: AnswerSet | Iterable[AnswerSet],
    *,
    inputs: Iterable[Any] | None = None,
    single_tokens: bool = False,
) -> Classifications:
    """Read which of a set of answers each response gives, as ``classify(method="first-token")`` does.

    Nothing is asked: use it for responses that you have, for example those of ``client.interrupted`` after an
    interrupt.

    Parameters
    ----------
    responses
        Responses, their ``logprobs``, documented lists of dicts, or None for a response that is missing.
    labels
        The answers, or a dict from each answer to its spellings; or a list of such sets, one for each response.
    inputs
        The inputs that the responses answer, for the table of results; the numbers of the responses by default.
    single_tokens
        Whether you know that every answer is one token of the vocabulary. Then a token that equals an answer is that
        answer and nothing more.

    Returns
    -------
    Classifications
        One result per response, in order; with ``error_message`` where there are no log-probabilities.

    Raises
    ------
    SettingError
        When labels or inputs do not fit the responses, or an entry is none of the forms above.

    Examples
    --------
    >>> from deluge_nb import classify_responses
    >>> yes, no = {"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -2.4}
    >>> response = [{**yes, "bytes": None, "top_logprobs": [yes, no]}]
    >>> result = classify_responses([response, None], ["yes", "no"])
    >>> result.labels, result[1].is_error
    (['yes', None], True)
    """
    rows = list(responses)
    answer_sets, names = read_answer_sets(labels, len(rows), single_tokens=single_tokens)
    values, index = (list(range(len(rows))), None) if inputs is None else read_inputs(inputs)
    if len(values) != len(rows):
        raise SettingError(
            f"inputs must have one entry for each response, {len(rows)} in all, not {len(values)}.",
            setting="inputs",
            value=len(values),
        )
    results = classify_rows([_as_row(row, answers) for row, answers in zip(rows, answer_sets, strict=True)])
    return Classifications(results, values, names, "first-token", index=index)


def _as_row(value: Any, labels: Labels) -> Row:
    if isinstance(value, APIResponse):
        return Row.of(value, labels)
    return Row(None, value if value is None or isinstance(value, Logprobs) else as_logprobs(value), labels, None)


def read_binary(responses: Sequence[APIResponse], labels: Labels) -> Readings:
    """Read the probabilities of yes and no in each response.

    As :func:`~.first_token.classify_rows`, with two exceptions. Without alternatives the chosen answer has its own
    probability and the other one the rest, because there are two. A yes without a no has its own probability instead of
    a share.

    Parameters
    ----------
    responses
        The responses.
    labels
        Yes, or yes and no.

    Returns
    -------
    Readings
        With the shares of yes as ``score_llm`` returns them.
    """

    def read(responses: Sequence[APIResponse]) -> list[Classification]:
        results = classify_rows([Row.of(response, labels) for response in responses])
        return [
            _as_binary(result, response.logprobs, labels) for result, response in zip(results, responses, strict=True)
        ]

    return Readings(responses, labels, read)


def read_responses(responses: Sequence[APIResponse], labels: Labels) -> Readings:
    """Read which of some answers each response gives, as :func:`classify_responses` does.

    Parameters
    ----------
    responses
        The responses.
    labels
        The answers.
    """
    return Readings(responses, labels, lambda some: classify_rows([Row.of(response, labels) for response in some]))


def _as_binary(result: Classification, table: Logprobs | None, labels: Labels) -> Classification:
    if result.is_error or table is None:
        return result
    has_alternatives = table.most_alternatives > 0
    mass, yes = result.matched_mass, labels.names[_YES]
    if len(labels) > 1:
        if has_alternatives or result.label is None:
            return result
        shares = dict.fromkeys(labels.names, 1.0 - mass) | {result.label: mass}
    elif has_alternatives or result.label is not None:
        shares = {yes: mass}
    else:
        # Any other text means no.
        shares = {yes: 1.0 - float(table.prob[0])}
    lower = {name: min(result.lower[name], share) for name, share in shares.items()}
    upper = {name: max(result.upper[name], share) for name, share in shares.items()}
    return dataclasses.replace(
        result,
        probability=None if result.label is None else shares[result.label],
        probabilities=shares,
        share_lower=lower,
        share_upper=upper,
        uncalibrated=shares,
    )


def says_yes(response: APIResponse, labels: Labels) -> bool | None:
    """Return whether the first yes or no in a response is a yes; None for a failed response.

    Parameters
    ----------
    response
        The response.
    labels
        Yes, or yes and no.
    """
    if response.is_error or response.completion is None:
        return None
    return labels.find(response.completion, is_complete=is_complete(response.finish_reason)) == _YES
