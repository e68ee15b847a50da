"""Read the answers to a yes/no question from responses."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..text.matching import Labels
from .first_token import classify_response
from .results import Classification

if TYPE_CHECKING:
    from ..response import APIResponse

_YES = 0


def read_binary(response: APIResponse, labels: Labels) -> Classification:
    """Return the probabilities of yes and no.

    As :func:`~.first_token.classify_response`, with two exceptions. Without alternatives the chosen answer has its own
    probability and the other one the rest, because there are two. A yes without a no has its own probability instead of
    a share.

    Parameters
    ----------
    response
        The response.
    labels
        Yes, or yes and no.

    Returns
    -------
    Classification
        With ``probabilities[yes]`` as ``score_llm`` returns it.
    """
    table = response.logprobs
    result = classify_response(response, table, labels, response.finish_reason)
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
    return labels.find(response.completion, is_complete=response.finish_reason != "length") == _YES
