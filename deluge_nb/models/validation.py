"""Validation of requests against the model's capabilities: a table of rules, checked in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import DelugeError, LogprobsNotSupportedError, SettingError
from ..prompts import Prompt
from ..sampling import SamplingParams, requested_choices
from ..text.counts import pluralize
from .observations import Outcome
from .spec import Endpoint, LogprobSupport, Target

# Suggested in errors: a model of a provider, and the one on this machine.
PROVIDER_MODEL, LOCAL_MODEL = DEFAULT_MODELS = ("gpt-4o-mini", "local")
# Tokens; the whole vocabulary takes megabytes for each of them.
_MAX_TOKENS_WITH_FULL_VOCAB = 32
# Dialects whose requests have a number of answers.
_SEVERAL_ANSWERS = frozenset({"openai", "completions", "gemini"})


@dataclass(frozen=True, slots=True)
class Request:
    """Request to a model, with the outcome of the last request of this kind (None if there was none)."""

    target: Target
    params: SamplingParams
    prompt: Prompt | None
    features: tuple[str, ...]
    outcome: Outcome | None

    @property
    def model(self) -> str:
        """The model's name."""
        return self.target.model

    @property
    def endpoint(self) -> Endpoint:
        """Server of the model."""
        return self.target.endpoint

    @property
    def support(self) -> LogprobSupport:
        """The model's support for log-probabilities."""
        return self.target.spec.support

    def not_supported(
        self, message: str, remedy: str = "leave out logprobs=True", alternative: str = LOCAL_MODEL
    ) -> LogprobsNotSupportedError:
        """Return the error for a model that returns no log-probabilities for this request."""
        return LogprobsNotSupportedError(message, model=self.model, remedy=remedy, alternative=alternative)


Rule = Callable[[Request], DelugeError | None]


def _gives_logprobs(request: Request) -> DelugeError | None:
    if not request.params.logprobs or request.support.kind != "none":
        return None
    reason = request.support.note.rstrip(".") or "according to the registry"
    return request.not_supported(
        f"{request.model!r} gives no log-probabilities ({reason}); use a model that does, such as {PROVIDER_MODEL!r} "
        f"or, on this machine, {LOCAL_MODEL!r}.",
        alternative=PROVIDER_MODEL,
    )


def _combines_features(request: Request) -> DelugeError | None:
    if not request.params.logprobs or not request.features:
        return None
    excluded = [name for name in request.features if name in request.support.forbids]
    if not excluded and request.outcome != "refused":
        return None
    names = " and ".join(excluded or request.features)
    reason = "which its provider refuses" if excluded else "which it refused earlier in this session"
    return request.not_supported(
        f"{request.model!r} gives no log-probabilities together with {names}, {reason}; leave out logprobs=True, or "
        f"{names}."
    )


def _has_not_refused(request: Request) -> DelugeError | None:
    if not request.params.logprobs or request.outcome != "refused" or request.support.kind != "unknown":
        return None
    return request.not_supported(
        f"{request.model!r} refused log-probabilities earlier in this session; leave out logprobs=True, or use a model "
        f"that gives them, such as {LOCAL_MODEL!r}."
    )


def _has_required_settings(request: Request) -> DelugeError | None:
    for name, required in request.support.requires.items() if request.params.logprobs else ():
        value = getattr(request.params, name)
        if value not in (None, required):
            return request.not_supported(
                f"{request.model!r} gives log-probabilities only with {name}={required!r}, not with {name}={value!r}.",
                remedy=f"{name}={required!r}",
                alternative=PROVIDER_MODEL,
            )
    return None


def _has_required_body(request: Request) -> DelugeError | None:
    body = request.params.extra_body or {}
    for name, required in request.support.body.items() if request.params.logprobs else ():
        value = body.get(name, required)
        if value != required:
            return request.not_supported(
                f"{request.model!r} gives log-probabilities only with {name}={required!r}, which extra_body sets to "
                f"{value!r}.",
                remedy=f"extra_body={{{name!r}: {required!r}}}",
                alternative=PROVIDER_MODEL,
            )
    return None


def _gives_that_many_alternatives(request: Request) -> DelugeError | None:
    limit = request.support.max_top
    if (request.params.top_logprobs or 0) <= limit:
        return None
    returned = f"at most {pluralize(limit, 'alternative')}" if limit else "the chosen tokens only"
    return SettingError(
        f"{request.model!r} gives {returned}, so top_logprobs cannot be {request.params.top_logprobs}.",
        setting="top_logprobs",
        value=request.params.top_logprobs,
    )


def _gives_full_vocab(request: Request) -> DelugeError | None:
    if not request.params.full_vocab or request.endpoint.full_vocab:
        return None
    return SettingError(
        f"full_vocab=True is for models whose server gives the whole vocabulary, such as {LOCAL_MODEL!r}; "
        f"{request.model!r} gives at most top_logprobs={request.support.max_top}.",
        setting="full_vocab",
        value=True,
    )


def _limits_full_vocab(request: Request) -> DelugeError | None:
    tokens = request.params.max_new_tokens
    if not request.params.full_vocab or (tokens or 1) <= _MAX_TOKENS_WITH_FULL_VOCAB:
        return None
    return SettingError(
        f"full_vocab=True gives the whole vocabulary of {request.model!r} at each token, for at most "
        f"{_MAX_TOKENS_WITH_FULL_VOCAB} tokens; max_new_tokens cannot be {tokens}.",
        setting="max_new_tokens",
        value=tokens,
    )


def _gives_several_answers(request: Request) -> DelugeError | None:
    count = requested_choices(request.params)
    if count == 1 or request.endpoint.dialect in _SEVERAL_ANSWERS:
        return None
    return SettingError(
        f"{request.endpoint.label} gives {request.model!r} one answer per request, so n cannot be {count}; leave it "
        f"out and ask each prompt {count} times, as in [prompt] * {count}.",
        setting="n",
        value=count,
    )


def _continues_raw_text(request: Request) -> DelugeError | None:
    if request.prompt is None or request.prompt.raw is None or request.endpoint.raw:
        return None
    return SettingError(
        f"{request.model!r} is reached through a chat API and cannot continue raw text; send a chat prompt, or use "
        f"{LOCAL_MODEL!r}.",
        setting="prompt",
        value=request.prompt.raw,
    )


def _continues_prefilled_answers(request: Request) -> DelugeError | None:
    if request.prompt is None or request.prompt.prefill is None or request.endpoint.prefill is not False:
        return None
    return SettingError(
        f"{request.model!r} cannot continue the beginning of an answer: {request.endpoint.label} starts a new one; "
        f"leave out the last assistant message, use {LOCAL_MODEL!r}, or say that your own server continues it "
        "(continues=True).",
        setting="prompt",
        value=request.prompt.prefill,
    )


RULES: tuple[Rule, ...] = (
    _gives_logprobs,
    _combines_features,
    _has_not_refused,
    _has_required_settings,
    _has_required_body,
    _gives_that_many_alternatives,
    _gives_full_vocab,
    _limits_full_vocab,
    _gives_several_answers,
    _continues_raw_text,
    _continues_prefilled_answers,
)
"""Each rule returns an error for a request that breaks it, else None."""


def check(request: Request) -> None:
    """Raise the error of the first rule that a request breaks.

    Raises
    ------
    LogprobsNotSupportedError
        When log-probabilities are requested from a model that returns none, or none with these settings.
    SettingError
        When the request needs another feature that the model or its server does not have.
    """
    for rule in RULES:
        error = rule(request)
        if error is not None:
            raise error
