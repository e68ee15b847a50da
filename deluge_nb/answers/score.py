"""Ask one yes/no question about many inputs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Literal, overload

from ..client.recorder import Recorder
from ..errors import LogprobsNotSupportedError
from ..text.matching import Labels
from ..text.normalize import normalize
from .inputs import READ, RESUME, Input, check_client, fill_template, read_inputs

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..client.sending.resume import Resume
    from .results import Classifications

_OPPOSITES = (("yes", "no"), ("true", "false"), ("correct", "incorrect"), ("right", "wrong"), ("positive", "negative"))


@overload
def score_llm(
    scoring_prompt_template: str,
    inputs: Iterable[Input],
    scoring_model: LLMClient,
    return_probabilities: bool,
    yes_token: str = ...,
    no_token: str | None = ...,
    show_progress: bool = ...,
    return_details: Literal[False] = ...,
    *,
    resume: Resume = ...,
) -> list[float | None] | list[bool | None]: ...
@overload
def score_llm(
    scoring_prompt_template: str,
    inputs: Iterable[Input],
    scoring_model: LLMClient,
    return_probabilities: bool,
    yes_token: str = ...,
    no_token: str | None = ...,
    show_progress: bool = ...,
    *,
    return_details: Literal[True],
    resume: Resume = ...,
) -> Classifications: ...
def score_llm(
    scoring_prompt_template: str,
    inputs: Iterable[Input],
    scoring_model: LLMClient,
    return_probabilities: bool,
    yes_token: str = "yes",
    no_token: str | None = None,
    show_progress: bool = True,
    return_details: bool = False,
    *,
    resume: Resume = None,
) -> list[float | None] | list[bool | None] | Classifications:
    """Ask a yes/no question about every input.

    Parameters
    ----------
    scoring_prompt_template
        The question, with ``{0}``, ``{1}`` (or ``{}``, or ``{name}``) as placeholders for an input's values. Other
        braces are text.
    inputs
        One entry per question: a tuple of values, a dict of named values, or a text for ``{0}``. Any iterable will do;
        a Series keeps its index in the details. A data frame or a missing text is refused.
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
    resume
        ``scoring_model.interrupted`` of the same call that was interrupted: only questions without a response are
        asked.

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
        When an argument has a wrong type, or template and inputs do not fit together.
    KeyboardInterrupt
        If interrupted. As after any exception that ends the call early, ``scoring_model.interrupted`` has the responses
        that arrived, in the order of the inputs. Pass it to the same call as ``resume``; ``classify_responses`` reads
        it without asking.

    Examples
    --------
    >>> from deluge_nb import LLMClient, score_llm
    >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
    >>> reviews = ["I loved it.", "A waste of time."]
    >>> scores = score_llm("Did they like it? {0}", reviews, client, return_probabilities=True, show_progress=False)
    >>> scores[0] > scores[1]
    True
    """
    check_client(scoring_model, "scoring_model")
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
    values, index = read_inputs(inputs)
    prompts = [fill_template(scoring_prompt_template, value, f"inputs[{row}]") for row, value in enumerate(values)]
    settings = scoring_model.greedy_settings()
    recorder = Recorder(scoring_model, resume)
    try:
        responses = recorder.process(prompts, settings, show_progress)
        # Deferred: these modules load numpy.
        from .responses import read_binary, says_yes
        from .results import Classifications, warn_of_little_mass

        if return_details or return_probabilities:
            read = read_binary(responses, labels)
            columns = read.columns()
            warn_of_little_mass(columns.matched_mass)
            if return_details:
                return Classifications(read.results(), values, labels.names, "first-token", index=index)
            return columns.shares[yes_token]
        return list(map(partial(says_yes, labels=labels), responses))
    except BaseException as error:
        recorder.keep(error, RESUME + READ)
        raise


def _opposite(yes: str) -> str | None:
    return (dict(_OPPOSITES) | {right: left for left, right in _OPPOSITES}).get(normalize(yes).answer)
