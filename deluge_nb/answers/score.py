"""Questions asked of many inputs: a template, the inputs, a model, and a score for each."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from ..errors import DelugeError, LogprobsNotSupportedError, SettingError
from ..logprobs.extract import candidates, extract_prob
from ..logprobs.values import log_sum
from ..text.matching import Labels
from ..text.normalize import normalize

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..response import APIResponse
    from .results import Classifications

Input = str | Sequence[Any] | Mapping[str, Any]

_PLACEHOLDER = re.compile(r"\{(\d*|[A-Za-z_]\w*)\}")
_OPPOSITES = (("yes", "no"), ("true", "false"), ("correct", "incorrect"), ("right", "wrong"), ("positive", "negative"))
_YES, _NO = 0, 1


@overload
def score_llm(
    scoring_prompt_template: str,
    inputs: Sequence[Input],
    scoring_model: LLMClient,
    return_probabilities: bool,
    yes_token: str = ...,
    no_token: str | None = ...,
    show_progress: bool = ...,
    return_details: Literal[False] = ...,
) -> list[float | None] | list[bool | None]: ...
@overload
def score_llm(
    scoring_prompt_template: str,
    inputs: Sequence[Input],
    scoring_model: LLMClient,
    return_probabilities: bool,
    yes_token: str = ...,
    no_token: str | None = ...,
    show_progress: bool = ...,
    *,
    return_details: Literal[True],
) -> Classifications: ...
def score_llm(
    scoring_prompt_template: str,
    inputs: Sequence[Input],
    scoring_model: LLMClient,
    return_probabilities: bool,
    yes_token: str = "yes",
    no_token: str | None = None,
    show_progress: bool = True,
    return_details: bool = False,
) -> list[float | None] | list[bool | None] | Classifications:
    """Ask a yes/no question about every input.

    Parameters
    ----------
    scoring_prompt_template
        The question, with ``{0}``, ``{1}`` (or ``{}``, or ``{name}``) where an input's values go. Other braces are
        text.
    inputs
        For each question a tuple of values, a dict of named ones, or a lone text.
    scoring_model
        The client to ask.
    return_probabilities
        P(yes) for each input in place of a boolean; needs a client that asks for log-probabilities.
    yes_token
        How the model says yes.
    no_token
        How it says no; the opposite of ``yes_token`` where that has a usual one (yes/no, true/false, …).
    show_progress
        Whether to show a progress bar.
    return_details
        In place of numbers, a :class:`~deluge_nb.Classification` for each input: bounds of P(yes) and P(no), how much
        probability is settled on either (without which a share says little), and whether the answer is certain whatever
        is hidden. Needs a client that asks for log-probabilities.

    Returns
    -------
    list, or Classifications
        In the order of the inputs. Probabilities are ``P(yes) / (P(yes) + P(no))``, read from the alternatives at the
        first token that says something (white space and Markdown are passed over); without alternatives, P(yes) of
        the chosen token, or 1 minus the probability of a chosen no; None where the model weighed neither. Booleans are
        whether the first yes or no in the answer, as a whole word, is a yes. None where a request failed.

    Raises
    ------
    LogprobsNotSupportedError
        When ``return_probabilities`` is asked of a client without log-probabilities.
    SettingError
        When template and inputs do not fit together.
    """
    no_token = _opposite(yes_token) if no_token is None else no_token
    labels = Labels([yes_token, no_token] if no_token else [yes_token])
    asking = all(params.logprobs for params in scoring_model.sampling_params)
    if (return_probabilities or return_details) and not asking:
        wanted = "return_probabilities" if return_probabilities else "return_details"
        raise LogprobsNotSupportedError(
            f"{wanted}=True needs a client that asks for log-probabilities; this one ({scoring_model!r}) "
            "does not: make it with sampling_params=SamplingParams(logprobs=True, top_logprobs=20).",
            model=", ".join(scoring_model.models),
            remedy="SamplingParams(logprobs=True, top_logprobs=20)",
        )
    if isinstance(inputs, str | Mapping):
        raise SettingError(
            f"inputs must be a list with one entry for each question, not {type(inputs).__name__}.",
            setting="inputs",
            value=inputs,
        )
    prompts = [fill_template(scoring_prompt_template, values, f"inputs[{i}]") for i, values in enumerate(inputs)]
    responses = scoring_model.process_prompts_sync(prompts, show_progress=show_progress)
    if return_details:
        from .first_token import classify_response
        from .results import Classifications

        details = [classify_response(response, labels) for response in responses]
        return Classifications(details, list(inputs), labels.names, "first-token")
    if return_probabilities:
        return [_probability(response, yes_token, labels) for response in responses]
    return [_says_yes(response, labels) for response in responses]


def fill_template(template: str, values: Input, where: str = "inputs") -> str:
    """The template with an input's values in place of its placeholders; values are never read as templates.

    Raises
    ------
    SettingError
        When the template has no placeholder, or asks for a value that the input does not have.
    """
    if isinstance(values, str):
        values = (values,)
    if not isinstance(values, Mapping | Sequence):
        raise SettingError(
            f"{where} must be a text, a tuple or a dict, not {type(values).__name__}.", setting=where, value=values
        )
    given = dict(values) if isinstance(values, Mapping) else {str(i): value for i, value in enumerate(values)}
    turns = itertools.count()

    def put(found: re.Match[str]) -> str:
        name = found[1] or str(next(turns))
        if name in given:
            return str(given[name])
        if not name.isdigit() and not isinstance(values, Mapping):
            return found[0]
        has = ", ".join(map(repr, given)) if isinstance(values, Mapping) else f"{len(given)} values"
        raise SettingError(
            f"The template asks for {{{name}}}, and {where} has {has or 'none'}.", setting=where, value=values
        )

    text = _PLACEHOLDER.sub(put, template)
    if not any(found[1] in given or not found[1] for found in _PLACEHOLDER.finditer(template)):
        raise SettingError(
            "scoring_prompt_template has no placeholder such as {0}, so every question would be the same: "
            f"{template[:80]!r}.",
            setting="scoring_prompt_template",
            value=template,
        )
    return text


def _probability(response: APIResponse, yes: str, labels: Labels) -> float | None:
    """P(yes), with what only begins yes or only begins no counted for it; None where there is nothing to tell it by."""
    table = response.logprobs
    if table is None or not len(table):
        return None
    position = next((at for at, token in enumerate(table.tokens) if labels.read(token).open is not None), 0)
    entry = table[position]
    if len(labels) == 1:
        weighed = bool(entry["top_logprobs"])
        return extract_prob(yes, table, use_top_logprobs=weighed, token_index=position, use_complement=True)
    if not entry["top_logprobs"]:
        answer = labels.read(entry["token"]).only
        if answer is None:
            return None
        try:
            return extract_prob(yes, table, token_index=position, use_complement=answer == _NO)
        except DelugeError:
            return None
    sums = [
        log_sum([logprob for text, logprob, _ in candidates(entry) if labels.read(text).only == answer])
        for answer in (_YES, _NO)
    ]
    if max(sums) == -math.inf:
        return None
    return 0.0 if sums[_YES] == -math.inf else math.exp(sums[_YES] - log_sum(sums))


def _says_yes(response: APIResponse, labels: Labels) -> bool | None:
    if response.is_error or response.completion is None:
        return None
    return labels.find(response.completion) == _YES


def _opposite(yes: str) -> str | None:
    return (dict(_OPPOSITES) | {right: left for left, right in _OPPOSITES}).get(normalize(yes).answer)
