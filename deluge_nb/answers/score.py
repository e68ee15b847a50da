"""Ask one yes/no question about many inputs, and fill the templates of such questions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from ..errors import LogprobsNotSupportedError, SettingError
from ..text.counts import pluralize
from ..text.matching import Labels
from ..text.normalize import normalize

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from .results import Classifications

Input = str | Sequence[Any] | Mapping[str, Any]

_PLACEHOLDER = re.compile(r"\{(\d*|[A-Za-z_]\w*)\}")
_OPPOSITES = (("yes", "no"), ("true", "false"), ("correct", "incorrect"), ("right", "wrong"), ("positive", "negative"))
# Characters of a template that an error message shows: about one line.
_EXCERPT = 80


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
        The question, with ``{0}``, ``{1}`` (or ``{}``, or ``{name}``) as placeholders for an input's values. Other
        braces are text.
    inputs
        One entry per question: a tuple of values, a dict of named values, or a text for ``{0}``.
    scoring_model
        The client to ask.
    return_probabilities
        Return P(yes), from 0 to 1, instead of a boolean. Needs a client that asks for log-probabilities.
    yes_token
        The answer that means yes.
    no_token
        The answer that means no. By default the usual opposite of ``yes_token`` (yes/no, true/false, …), if it has one.
    show_progress
        Show a progress bar.
    return_details
        Return a :class:`~deluge_nb.Classification` for each input: bounds of P(yes) and P(no), the total probability on
        either answer (a share says little where it is small), and whether the answer is certain despite hidden
        tokens. Needs a client that asks for log-probabilities.

    Returns
    -------
    list, or Classifications
        One result per input, in order. A failed request gives None.

        A probability is ``P(yes) / (P(yes) + P(no))``, read from the alternatives along the answer, as ``classify``
        does. Without alternatives it is the probability of a chosen yes, or 1 minus that of a chosen no. It is None
        where the model weighed neither. A ``yes_token`` without opposite has its own probability instead of a share: 0
        if the model did not weigh it.

        A boolean is True where the first yes or no in the answer, as a whole word, is a yes.

    Raises
    ------
    LogprobsNotSupportedError
        When probabilities or details are asked of a client without log-probabilities.
    SettingError
        When template and inputs do not fit together.

    Examples
    --------
    >>> from deluge_nb import LLMClient, score_llm
    >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
    >>> reviews = ["I loved it.", "A waste of time."]
    >>> scores = score_llm("Did they like it? {0}", reviews, client, return_probabilities=True, show_progress=False)
    >>> scores[0] > scores[1]
    True
    """
    no_token = _opposite(yes_token) if no_token is None else no_token
    labels = Labels([yes_token, no_token] if no_token else [yes_token])
    asking = all(params.logprobs for params in scoring_model.sampling_params)
    if (return_probabilities or return_details) and not asking:
        parameter = "return_probabilities" if return_probabilities else "return_details"
        raise LogprobsNotSupportedError(
            f"{parameter}=True needs a client that asks for log-probabilities; this one ({scoring_model!r}) "
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
    # Deferred: these modules load numpy.
    from .binary import read_binary, says_yes
    from .results import Classifications

    if return_details or return_probabilities:
        details = [read_binary(response, labels) for response in responses]
        if return_details:
            return Classifications(details, list(inputs), labels.names, "first-token")
        return [result.probabilities.get(yes_token) for result in details]
    return [says_yes(response, labels) for response in responses]


def fill_template(template: str, values: Input, where: str = "inputs", setting: str = "scoring_prompt_template") -> str:
    """Replace the placeholders of a template by an input's values; values are never read as templates.

    Parameters
    ----------
    template
        The text with placeholders.
    values
        The values of one input.
    where, setting
        The input and the template in error messages, as the user passed them.

    Returns
    -------
    str
        The filled template.

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
    is_named = isinstance(values, Mapping)
    by_name = dict(values) if isinstance(values, Mapping) else {str(i): value for i, value in enumerate(values)}
    numbers = itertools.count()

    def fill(placeholder: re.Match[str]) -> str:
        name = placeholder[1] or str(next(numbers))
        if name in by_name:
            return str(by_name[name])
        if not name.isdigit() and not is_named:
            return placeholder[0]
        available = ", ".join(map(repr, by_name)) if is_named else pluralize(len(by_name), "value")
        raise SettingError(
            f"{setting} asks for {{{name}}}, and {where} has {available or 'none'}.", setting=where, value=values
        )

    text = _PLACEHOLDER.sub(fill, template)
    placeholders = list(_PLACEHOLDER.finditer(template))
    if not any(match[1] in by_name or not match[1] for match in placeholders):
        raise _without_placeholder(template, placeholders, where, setting)
    return text


def _without_placeholder(template: str, named: list[re.Match[str]], where: str, setting: str) -> SettingError:
    """Return the error of a template that takes no value; only a dict can fill the named placeholders it has."""
    if named:
        position, placeholder = named[0].start(), named[0][0]
        reason = f" for {where}: write {{0}} in place of {placeholder}, or pass a dict with {named[0][1]!r}"
    else:
        position, reason = max(template.find("{"), 0), ", so every question would be the same"
    return SettingError(
        f"{setting} has no placeholder such as {{0}}{reason}: {_excerpt(template, position)!r}.",
        setting=setting,
        value=template,
    )


def _excerpt(template: str, position: int) -> str:
    """Return a part of a template that shows the given position, with … where it is cut."""
    start = max(0, min(position - _EXCERPT // 2, len(template) - _EXCERPT))
    end = start + _EXCERPT
    return "…" * (start > 0) + template[start:end] + "…" * (end < len(template))


def _opposite(yes: str) -> str | None:
    return (dict(_OPPOSITES) | {right: left for left, right in _OPPOSITES}).get(normalize(yes).answer)
