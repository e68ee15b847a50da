"""Questions asked of many inputs: a template, the inputs, a model, and a score for each."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from ..errors import DelugeError, LogprobsNotSupportedError, SettingError
from ..logprobs.extract import candidates, extract_prob, log_sum
from ..text.matching import is_match, normalized

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..logprobs.table import Logprobs
    from ..response import APIResponse
    from .results import Classifications

Input = str | Sequence[Any] | Mapping[str, Any]

_PLACEHOLDER = re.compile(r"\{(\d*|[A-Za-z_]\w*)\}")
_OPPOSITES = (("yes", "no"), ("true", "false"), ("correct", "incorrect"), ("right", "wrong"), ("positive", "negative"))


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
    prompts = [filled(scoring_prompt_template, values, f"inputs[{i}]") for i, values in enumerate(inputs)]
    responses = scoring_model.process_prompts_sync(prompts, show_progress=show_progress)
    if return_details:
        from ..text.matching import Labels
        from .first_token import along
        from .results import Classifications

        answers = Labels([yes_token] if no_token is None else [yes_token, no_token])
        details = [along(response, answers) for response in responses]
        return Classifications(details, list(inputs), answers.names, "first-token")
    if return_probabilities:
        return [_probability(response, yes_token, no_token) for response in responses]
    return [_says_yes(response, yes_token, no_token) for response in responses]


def filled(template: str, values: Input, where: str = "inputs") -> str:
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


def _probability(response: APIResponse, yes: str, no: str | None) -> float | None:
    if response.logprobs is None or not len(response.logprobs):
        return None
    position = _first_telling(response.logprobs)
    entry = response.logprobs[position]
    if no is None:
        return extract_prob(
            yes,
            response.logprobs,
            use_top_logprobs=bool(entry["top_logprobs"]),
            token_index=position,
            use_complement=True,
        )
    if not entry["top_logprobs"]:
        try:
            if is_match(entry["token"], yes):
                return extract_prob(yes, response.logprobs, token_index=position)
            if is_match(entry["token"], no):
                return extract_prob(yes, response.logprobs, token_index=position, use_complement=True)
        except DelugeError:
            pass
        return None
    weighed = candidates(entry)
    for_yes = log_sum([logprob for text, logprob, _ in weighed if _only(text, yes, no)])
    for_no = log_sum([logprob for text, logprob, _ in weighed if _only(text, no, yes)])
    if for_yes == for_no == -math.inf:
        return None
    return 0.0 if for_yes == -math.inf else math.exp(for_yes - log_sum([for_yes, for_no]))


def _only(text: str, label: str, other: str) -> bool:
    """Whether a token begins one answer and not the other: the "in" of "incorrect", not what both start with."""
    if not is_match(text, label):
        return False
    return not is_match(text, other) or normalized(text) == normalized(label)


def _first_telling(logprobs: Logprobs) -> int:
    """The first token that is more than white space and opening marks; the first of all if there is none."""
    return next((i for i, token in enumerate(logprobs.tokens) if normalized(token)), 0)


def _says_yes(response: APIResponse, yes: str, no: str | None) -> bool | None:
    if response.is_error or response.completion is None:
        return None
    said = [label for label in (yes, no) if label]
    words = "|".join(re.escape(label.casefold()) for label in sorted(said, key=len, reverse=True))
    found = re.search(rf"(?<!\w)(?:{words})(?!\w)", response.completion.casefold())
    if found is None:
        return False
    return found[0] == yes.casefold()


def _opposite(yes: str) -> str | None:
    wanted = normalized(yes)
    pairs = dict(_OPPOSITES) | {right: left for left, right in _OPPOSITES}
    return pairs.get(wanted)
