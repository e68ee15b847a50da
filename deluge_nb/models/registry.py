"""Which models give log-probabilities, where they are served and how they speak: a declarative registry.

Three things are kept apart: what a model can do (:class:`LogprobSupport`), where it is served (:class:`Endpoint`) and
in which dialect (the name of a module in :mod:`deluge_nb.dialects`). :func:`validate` is the only place that says no.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..errors import LogprobsNotSupportedError, SettingError, UnknownModelError
from ..prompts import Prompt
from ..sampling import SamplingParams
from . import endpoints
from .catalogue import BUILT_IN, EXAMPLES, UNKNOWN_SUPPORT
from .endpoints import COMPATIBLE
from .spec import Endpoint, Kind, LogprobSupport, ModelSpec, ServedModel, Target

# Named in errors: one of a provider and one that needs none.
_DEFAULT_MODELS = ("gpt-4o-mini", "local")

# Each whole vocabulary weighs megabytes.
_LONGEST_WHOLE = 32

DIALECTS = ("openai", "responses", "completions", "gemini", "anthropic", "cohere", "ollama", "llamacpp")

Outcome = Literal["refused", "dropped", "degenerate", "fine"]

_registered: list[ModelSpec] = []
_observed: dict[tuple[str, str, str | None, tuple[str, ...]], Outcome] = {}
_endpoints_of_session: list[Endpoint] = []
flipped: set[tuple[str, str]] = set()
"""Endpoints and models that want ``logprobs`` as a yes where it was taken for a number."""


def specs() -> tuple[ModelSpec, ...]:
    """All rows, those registered by the user first."""
    return (*_registered, *BUILT_IN)


def register_model(
    pattern: str,
    *,
    endpoint: Endpoint = COMPATIBLE,
    logprobs: Kind = "full",
    max_top: int = 20,
    note: str = "",
    forbids: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
    system: str | None = None,
) -> ModelSpec:
    """Add a row for this session; it wins over built-in rows of the same pattern.

    Parameters
    ----------
    pattern
        A model's name; ``*`` stands for anything.
    endpoint
        Where it is served; any OpenAI-compatible server by default (give ``base_url=`` to the client).
    logprobs, max_top, note, forbids
        See :class:`LogprobSupport`.
    defaults, system
        See :class:`ModelSpec`.
    """
    support = LogprobSupport(logprobs, max_top=max_top, note=note, forbids=tuple(forbids), source="registered here")
    spec = ModelSpec(pattern.lower(), endpoint, support, defaults=defaults or {}, system=system)
    _registered.insert(0, spec)
    return spec


def register_endpoint(
    name: str,
    base_url: str,
    *,
    label: str | None = None,
    key_variable: str = "",
    url_variable: str = "",
    dialect: str = "openai",
    **more: Any,
) -> Endpoint:
    """Add a server for this session: ``name/model`` is asked there, and :func:`register_model` takes it.

    Parameters
    ----------
    name
        Stands before the slash; wins over a built-in endpoint of that name.
    base_url
        Such as ``http://127.0.0.1:8000/v1``.
    label
        What messages call it; its name if left out.
    key_variable, url_variable
        Environment variables with its key (needed, where this is given) and with an address that wins.
    dialect
        How it speaks: ``openai``, ``responses``, ``completions``, ``gemini``, ``anthropic``, ``cohere``, ``ollama`` or
        ``llamacpp``.
    **more
        Other fields of :class:`Endpoint`.

    Raises
    ------
    SettingError
        On a name with a slash, an unknown dialect or an unknown field.
    """
    if not name or "/" in name or name != name.strip():
        raise SettingError(
            f"An endpoint's name must be a word without a slash, not {name!r}.", setting="name", value=name
        )
    if dialect not in DIALECTS:
        raise SettingError(
            f"dialect must be one of {', '.join(DIALECTS)}, not {dialect!r}.", setting="dialect", value=dialect
        )
    more.setdefault("key_required", bool(key_variable))
    try:
        # What holds for a dialect holds here: how its key is sent, what it can do.
        made = replace(
            COMPATIBLE if dialect == "openai" else next(one for one in endpoints.BUILT_IN if one.dialect == dialect),
            name=name.lower(),
            label=label or name,
            base_url=base_url.rstrip("/"),
            key_variables=(key_variable,) if key_variable else (),
            url_variable=url_variable,
            **more,
        )
    except TypeError:
        known = ", ".join(Endpoint.__dataclass_fields__)
        raise SettingError(
            f"An endpoint has no field {next(iter(more))!r}; it has {known}.", setting="endpoint", value=more
        ) from None
    _endpoints_of_session.insert(0, made)
    return made


def endpoint_named(name: str) -> Endpoint | None:
    """The endpoint of a name, those registered by the user first."""
    known = (*_endpoints_of_session, *(spec.endpoint for spec in _registered), *endpoints.BUILT_IN)
    return next((one for one in known if one.name == name.lower()), None)


def find_models(*, logprobs: bool = True, provider: str | None = None) -> list[str]:
    """Names that can be asked, from the registry; for servers of many models their prefix, as ``vllm/…``.

    Parameters
    ----------
    logprobs
        Only those that give log-probabilities, as far as is known; with False, only those that give none.
    provider
        The name or label of an endpoint, such as ``"openai"``.

    Raises
    ------
    SettingError
        When there is no such provider.
    """
    labels = {word for spec in specs() for word in (spec.endpoint.name, spec.endpoint.label.lower())}
    if provider is not None and provider.lower() not in labels:
        close = difflib.get_close_matches(provider.lower(), sorted(labels), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(labels))}."
        raise SettingError(f"There is no provider {provider!r}; {hint}", setting="provider", value=provider)
    found: list[str] = []
    for spec in specs():
        if provider is not None and provider.lower() not in (spec.endpoint.name, spec.endpoint.label.lower()):
            continue
        if (spec.support.kind != "none") == logprobs:
            found += [f"{spec.endpoint.name}/…"] if spec.pattern == "*" and spec.prefixed else _examples(spec)
    return list(dict.fromkeys(found))


def resolve(model: str | ServedModel, *, base_url: str | None = None) -> Target:
    """Find what holds for a model. The row that spells out most of its name wins.

    Parameters
    ----------
    model
        A name, ``endpoint/name``, or an object such as a :class:`deluge_nb.LocalModel`.
    base_url
        A server of the user's own: with it, names that no row knows are tried.

    Raises
    ------
    UnknownModelError
        When no row knows the name and there is no server to ask; names what is close.
    """
    if not isinstance(model, str):
        if not isinstance(getattr(model, "spec", None), ModelSpec):
            raise SettingError(
                f"A model is a name or a LocalModel, not {type(model).__name__}.", setting="model", value=model
            )
        return Target(model.name, model.spec)
    name, rows = model.strip(), specs()
    prefix, slash, rest = name.partition("/")
    spelt = [spec for spec in rows if "/" in spec.pattern and spec.covers(name)]
    within = [spec for spec in rows if spec.endpoint.name == prefix.lower()] if slash and rest and not spelt else []
    rows = tuple(spec for spec in rows if not spec.prefixed)
    if within:
        name, rows = rest, tuple(within)
    found = max((spec for spec in rows if spec.covers(name)), key=lambda spec: spec.specificity, default=None)
    if found is not None:
        if found.endpoint.launch is not None and base_url is not None:
            raise SettingError(
                f"{model!r} runs on this machine; leave out base_url={base_url!r}.", setting="base_url", value=base_url
            )
        return Target(name, found)
    if base_url is not None:
        name = model.strip()
        return Target(name, ModelSpec(name, COMPATIBLE, UNKNOWN_SUPPORT))
    server = endpoint_named(prefix) if slash and rest else None
    # What is launched serves its own model and no other.
    if server is not None and server.launch is None:
        return Target(rest, ModelSpec(rest, server, UNKNOWN_SUPPORT))
    close = difflib.get_close_matches(name.lower(), known_names(), n=3, cutoff=0.5) or list(_DEFAULT_MODELS)
    raise UnknownModelError(
        f"There is no model {model!r} in the registry; did you mean {' or '.join(map(repr, close))}? For a server of "
        "your own, give base_url=.",
        model=model,
        suggestions=close,
    )


def known_names() -> list[str]:
    """Names to suggest and complete: one or more for each row."""
    names = [name for spec in specs() for name in _examples(spec)]
    return [name for name in dict.fromkeys(names) if "*" not in name]


def _examples(spec: ModelSpec) -> list[str]:
    return [*EXAMPLES.get(spec.pattern, [spec.pattern]), *spec.aliases]


def remember(
    endpoint: Endpoint, model: str, params: SamplingParams, outcome: Outcome, beside: tuple[str, ...] = ()
) -> None:
    """Keep what became of a request for log-probabilities, for the session."""
    _observed[endpoint.base_url, model, params.reasoning_effort, beside] = outcome


def observed(endpoint: Endpoint, model: str, params: SamplingParams, beside: tuple[str, ...] = ()) -> Outcome | None:
    """What became of the last such request; None where there was none."""
    return _observed.get((endpoint.base_url, model, params.reasoning_effort, beside))


def asked_beside(*, tools: bool, output_schema: bool) -> tuple[str, ...]:
    """What is asked for beside log-probabilities, and may not go together with them."""
    return ("tools",) * tools + ("output_schema",) * output_schema


def validate(
    target: Target, params: SamplingParams, prompt: Prompt | None = None, beside: tuple[str, ...] = ()
) -> None:
    """Say no to what a model cannot do, before any request; ``beside`` is as :func:`asked_beside` has it.

    Raises
    ------
    LogprobsNotSupportedError
        When log-probabilities are asked of a model that gives none, or with settings under which it gives none.
    SettingError
        When something else is asked that the model or its server does not have.
    """
    support, model, endpoint = target.spec.support, target.model, target.endpoint
    if params.logprobs and support.kind == "none":
        raise LogprobsNotSupportedError(
            f"{model!r} gives no log-probabilities ({support.note.rstrip('.') or 'so the registry says'}); use a model "
            f"that does, such as {_DEFAULT_MODELS[0]!r} or, on this machine, {_DEFAULT_MODELS[1]!r}.",
            model=model,
            remedy="leave out logprobs=True",
            alternative=_DEFAULT_MODELS[0],
        )
    refused = params.logprobs and observed(endpoint, model, params, beside) == "refused"
    excluded = [name for name in beside if params.logprobs and name in support.forbids]
    if excluded or (beside and refused):
        said = "which it refused earlier in this session" if not excluded else "which its provider refuses"
        raise LogprobsNotSupportedError(
            f"{model!r} gives no log-probabilities together with {' and '.join(excluded or beside)}, {said}; leave out "
            f"logprobs=True, or {' and '.join(excluded or beside)}.",
            model=model,
            remedy="leave out logprobs=True",
            alternative=_DEFAULT_MODELS[1],
        )
    if refused and support.kind == "unknown":
        raise LogprobsNotSupportedError(
            f"{model!r} refused log-probabilities earlier in this session; leave out logprobs=True, or use a model "
            f"that gives them, such as {_DEFAULT_MODELS[1]!r}.",
            model=model,
            remedy="leave out logprobs=True",
            alternative=_DEFAULT_MODELS[1],
        )
    for name, wanted in support.requires.items() if params.logprobs else ():
        value = getattr(params, name)
        if value not in (None, wanted):
            raise LogprobsNotSupportedError(
                f"{model!r} gives log-probabilities only with {name}={wanted!r}, not with {name}={value!r}.",
                model=model,
                remedy=f"{name}={wanted!r}",
                alternative=_DEFAULT_MODELS[0],
            )
    for name, wanted in support.body.items() if params.logprobs else ():
        value = (params.extra_body or {}).get(name, wanted)
        if value != wanted:
            raise LogprobsNotSupportedError(
                f"{model!r} gives log-probabilities only with {name}={wanted!r}, which extra_body sets to {value!r}.",
                model=model,
                remedy=f"extra_body={{{name!r}: {wanted!r}}}",
                alternative=_DEFAULT_MODELS[0],
            )
    if (params.top_logprobs or 0) > support.max_top:
        given = f"at most {support.max_top} alternatives" if support.max_top else "the chosen tokens only"
        raise SettingError(
            f"{model!r} gives {given}, so top_logprobs cannot be {params.top_logprobs}.",
            setting="top_logprobs",
            value=params.top_logprobs,
        )
    if params.full_vocab and not endpoint.full_vocab:
        raise SettingError(
            f"full_vocab=True is for models whose server gives the whole vocabulary, such as 'local'; {model!r} gives "
            f"at most top_logprobs={support.max_top}.",
            setting="full_vocab",
            value=True,
        )
    if params.full_vocab and (params.max_new_tokens or 1) > _LONGEST_WHOLE:
        raise SettingError(
            f"full_vocab=True gives {model!r}'s whole vocabulary at each token, for at most {_LONGEST_WHOLE} tokens; "
            f"max_new_tokens cannot be {params.max_new_tokens}.",
            setting="max_new_tokens",
            value=params.max_new_tokens,
        )
    if prompt is None:
        return
    if prompt.raw is not None and not endpoint.raw:
        raise SettingError(
            f"{model!r} is reached through a chat API and cannot continue raw text; send a chat prompt, or use "
            "'local'.",
            setting="prompt",
            value=prompt.raw,
        )
    if prompt.prefill is not None and endpoint.prefill is False:
        raise SettingError(
            f"{model!r} cannot continue the beginning of an answer: {endpoint.label} starts a new one; leave out the "
            "last assistant message, or use 'local'.",
            setting="prompt",
            value=prompt.prefill,
        )


@dataclass(frozen=True, slots=True)
class SupportTable:
    """Which models give log-probabilities, as rows of (provider, models, support, alternatives, notes)."""

    rows: tuple[tuple[str, str, str, str, str], ...]
    header: tuple[str, ...] = ("Provider", "Models", "Log-probabilities", "Alternatives", "Notes")

    def to_markdown(self) -> str:
        """A Markdown table."""
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        lines = [self.header[:4], *(row[:4] for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


def support_table() -> SupportTable:
    """The registry as a table for people, provider by provider; README and guide contain it."""
    labels = list(dict.fromkeys(spec.endpoint.label for spec in specs()))
    return SupportTable(
        tuple(
            (
                spec.endpoint.label,
                spec.shown_as or f"`{spec.pattern}`",
                "no" if spec.support.kind == "none" else spec.support.kind,
                "–" if spec.support.kind == "none" or not spec.support.max_top else f"up to {spec.support.max_top}",
                spec.support.note,
            )
            for spec in sorted(specs(), key=lambda spec: labels.index(spec.endpoint.label))
        )
    )
