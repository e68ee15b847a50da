"""Token log-probabilities of language models, in notebooks and in scripts.

>>> from deluge_nb import LLMClient, SamplingParams
>>> client = LLMClient("local", sampling_params=SamplingParams(logprobs=True, top_logprobs=5))
>>> response = client.process_prompts_sync(["What is the capital of France?"], show_progress=False)[0]
>>> response.logprobs[0]["token"]
'The'

In a notebook, ``%load_ext deluge_nb`` adds the magic ``%%deluge``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .extras import has_extra

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from . import lab, stats
    from .answers.classify import classify
    from .answers.extract_batch import extract_probs
    from .answers.responses import classify_responses
    from .answers.results import Classification, Classifications
    from .answers.score import score_llm
    from .attribution.influence import estimate_influence, influence
    from .attribution.result import Influence, PartInfluence
    from .calibration.report import CalibrationReport, Calibrator
    from .charts.offline import offline
    from .charts.probability.bayes import frequency_chart, posterior_chart
    from .charts.probability.groups import groups_chart
    from .charts.probability.outcomes import events_chart, label_bounds_chart, sampling_chart
    from .charts.probability.temperature import temperature_chart
    from .charts.tokens import alternatives_chart, confidence_chart, entropy_chart, surprisal_chart, token_chart
    from .client.cache.store import Cache
    from .client.calls.completed import Completed
    from .client.calls.estimates import DryRun, TokenCount
    from .client.client import LLMClient
    from .client.continuation import Branch
    from .client.interruption import PartialResponses
    from .client.stream import Stream
    from .comparisons.ask import compare_many
    from .comparisons.comparisons import Comparisons
    from .errors import (
        DelugeError,
        InconsistentTopKError,
        LocalModelError,
        LogprobError,
        LogprobsMissingError,
        LogprobsNotSupportedError,
        MalformedResponseError,
        MissingDependencyError,
        MissingKeyError,
        ProbabilityMassError,
        RequestError,
        SettingError,
        UnknownModelError,
    )
    from .estimators.classifier import LogprobClassifier
    from .interop.evaluations.inspect_log import read_inspect_log
    from .interop.evaluations.label_studio import to_label_studio
    from .interop.evaluations.lm_eval import read_lm_eval_samples
    from .interop.evaluations.samples import LoggedSample, LoggedSamples
    from .interop.readers import as_logprobs
    from .jobs.engines.batches import BatchScorer, score_batches
    from .jobs.job import Job
    from .jobs.score import classify_frame, score_frame
    from .local import LocalModel
    from .logprobs.entries import TokenLogprob, TopLogprob
    from .logprobs.extract import extract_prob
    from .logprobs.json_fields import FieldProb, FieldProbs
    from .logprobs.table import Logprobs
    from .models.registry import find_models, register_endpoint, register_model, support_table
    from .prompts import Conversation, Message, RawPrompt
    from .reading import next_token, read
    from .render.html import to_html
    from .render.picture.api import to_png, to_svg
    from .render.terminal import to_text
    from .response import APIResponse
    from .response.samples import Sample, Samples
    from .response.streamed_token import StreamedToken
    from .response.usage import Usage
    from .sampling import SamplingParams
    from .text.matching import is_match
    from .tools import Tool
    from .transport.throttle import Pace
    from .widget.compare import LogprobCompare
    from .widget.view import LogprobView

# Each name is imported from its module on first use, so that a script that only scores loads no notebook or chart
# library.
_MODULES = {
    "APIResponse": "response",
    "BatchScorer": "jobs.engines.batches",
    "Branch": "client.continuation",
    "Cache": "client.cache.store",
    "CalibrationReport": "calibration.report",
    "Calibrator": "calibration.report",
    "Classification": "answers.results",
    "Classifications": "answers.results",
    "Comparisons": "comparisons.comparisons",
    "Completed": "client.calls.completed",
    "Conversation": "prompts",
    "DelugeError": "errors",
    "DryRun": "client.calls.estimates",
    "FieldProb": "logprobs.json_fields",
    "FieldProbs": "logprobs.json_fields",
    "InconsistentTopKError": "errors",
    "Influence": "attribution.result",
    "Job": "jobs.job",
    "LLMClient": "client.client",
    "LocalModel": "local",
    "LocalModelError": "errors",
    "LogprobClassifier": "estimators.classifier",
    "LogprobCompare": "widget.compare",
    "LogprobError": "errors",
    "LogprobView": "widget.view",
    "LoggedSample": "interop.evaluations.samples",
    "LoggedSamples": "interop.evaluations.samples",
    "Logprobs": "logprobs.table",
    "LogprobsMissingError": "errors",
    "LogprobsNotSupportedError": "errors",
    "MalformedResponseError": "errors",
    "Message": "prompts",
    "MissingDependencyError": "errors",
    "MissingKeyError": "errors",
    "Pace": "transport.throttle",
    "PartInfluence": "attribution.result",
    "PartialResponses": "client.interruption",
    "ProbabilityMassError": "errors",
    "RawPrompt": "prompts",
    "RequestError": "errors",
    "Sample": "response.samples",
    "Samples": "response.samples",
    "SamplingParams": "sampling",
    "SettingError": "errors",
    "TokenCount": "client.calls.estimates",
    "TokenLogprob": "logprobs.entries",
    "Stream": "client.stream",
    "StreamedToken": "response.streamed_token",
    "Tool": "tools",
    "TopLogprob": "logprobs.entries",
    "UnknownModelError": "errors",
    "Usage": "response.usage",
    "alternatives_chart": "charts.tokens",
    "as_logprobs": "interop.readers",
    "classify": "answers.classify",
    "classify_frame": "jobs.score",
    "classify_responses": "answers.responses",
    "compare_many": "comparisons.ask",
    "confidence_chart": "charts.tokens",
    "entropy_chart": "charts.tokens",
    "estimate_influence": "attribution.influence",
    "events_chart": "charts.probability.outcomes",
    "extract_prob": "logprobs.extract",
    "extract_probs": "answers.extract_batch",
    "frequency_chart": "charts.probability.bayes",
    "groups_chart": "charts.probability.groups",
    "influence": "attribution.influence",
    "is_match": "text.matching",
    "find_models": "models.registry",
    "next_token": "reading",
    "label_bounds_chart": "charts.probability.outcomes",
    "offline": "charts.offline",
    "posterior_chart": "charts.probability.bayes",
    "read": "reading",
    "read_inspect_log": "interop.evaluations.inspect_log",
    "read_lm_eval_samples": "interop.evaluations.lm_eval",
    "register_endpoint": "models.registry",
    "register_model": "models.registry",
    "sampling_chart": "charts.probability.outcomes",
    "score_batches": "jobs.engines.batches",
    "score_frame": "jobs.score",
    "score_llm": "answers.score",
    "support_table": "models.registry",
    "surprisal_chart": "charts.tokens",
    "temperature_chart": "charts.probability.temperature",
    "to_html": "render.html",
    "to_label_studio": "interop.evaluations.label_studio",
    "to_png": "render.picture.api",
    "to_svg": "render.picture.api",
    "to_text": "render.terminal",
    "token_chart": "charts.tokens",
}

__all__ = [
    "APIResponse",
    "BatchScorer",
    "Branch",
    "Cache",
    "CalibrationReport",
    "Calibrator",
    "Classification",
    "Classifications",
    "Comparisons",
    "Completed",
    "Conversation",
    "DelugeError",
    "DryRun",
    "FieldProb",
    "FieldProbs",
    "InconsistentTopKError",
    "Influence",
    "Job",
    "LLMClient",
    "LocalModel",
    "LocalModelError",
    "LoggedSample",
    "LoggedSamples",
    "LogprobCompare",
    "LogprobError",
    "LogprobView",
    "Logprobs",
    "LogprobsMissingError",
    "LogprobsNotSupportedError",
    "MalformedResponseError",
    "Message",
    "MissingDependencyError",
    "MissingKeyError",
    "Pace",
    "PartInfluence",
    "PartialResponses",
    "ProbabilityMassError",
    "RawPrompt",
    "RequestError",
    "Sample",
    "Samples",
    "SamplingParams",
    "SettingError",
    "Stream",
    "StreamedToken",
    "TokenCount",
    "TokenLogprob",
    "Tool",
    "TopLogprob",
    "UnknownModelError",
    "Usage",
    "alternatives_chart",
    "as_logprobs",
    "classify",
    "classify_frame",
    "classify_responses",
    "compare_many",
    "confidence_chart",
    "entropy_chart",
    "estimate_influence",
    "events_chart",
    "extract_prob",
    "extract_probs",
    "find_models",
    "frequency_chart",
    "groups_chart",
    "influence",
    "is_match",
    "lab",
    "label_bounds_chart",
    "load_ipython_extension",
    "next_token",
    "offline",
    "posterior_chart",
    "read",
    "read_inspect_log",
    "read_lm_eval_samples",
    "register_endpoint",
    "register_model",
    "sampling_chart",
    "score_batches",
    "score_frame",
    "score_llm",
    "stats",
    "support_table",
    "surprisal_chart",
    "temperature_chart",
    "to_html",
    "to_label_studio",
    "to_png",
    "to_svg",
    "to_text",
    "token_chart",
    "unload_ipython_extension",
]
# Names that need an optional package are left out of `import *` where it is missing.
if has_extra("sklearn"):
    __all__ += ["LogprobClassifier"]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        if name in ("lab", "stats"):
            return import_module(f"{__name__}.{name}")
        if name == "__version__":
            from importlib.metadata import version

            return version("deluge-nb")
        from .elsewhere import PACKAGE

        remedy = f"; {PACKAGE[name]}." if name in PACKAGE else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{remedy}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%%deluge``; IPython calls this for ``%load_ext deluge_nb``.

    Parameters
    ----------
    shell
        The shell of the session.

    Examples
    --------
    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> from deluge_nb import load_ipython_extension
    >>> shell = InteractiveShell()
    >>> load_ipython_extension(shell)
    >>> "deluge" in shell.magics_manager.magics["cell"]
    True
    """
    from .magic.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove ``%%deluge`` and the display of responses; IPython calls this for ``%unload_ext deluge_nb``.

    Parameters
    ----------
    shell
        The shell of the session.

    Examples
    --------
    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> from deluge_nb import load_ipython_extension, unload_ipython_extension
    >>> shell = InteractiveShell()
    >>> load_ipython_extension(shell)
    >>> unload_ipython_extension(shell)
    >>> "deluge" in shell.magics_manager.magics["cell"]
    False
    """
    from .magic.extension import unload

    unload(shell)
