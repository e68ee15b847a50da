"""Which models give log-probabilities, where they are served and how they speak: a declarative registry.

Three things are kept apart: what a model can do (:class:`LogprobSupport`), where it is served (:class:`Endpoint`) and
in which dialect (the name of a module in :mod:`deluge_nb.wire`). :func:`validate` is the only place that says no.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._rows import BUILT_IN, COMPATIBLE, OPENAI, UNKNOWN_SUPPORT
from ._specs import Address, Endpoint, Kind, LogprobSupport, ModelSpec, Served, ServedModel, Target
from .errors import LogprobsNotSupportedError, SettingError, UnknownModelError
from .prompts import Prompt
from .sampling import SamplingParams

__all__ = [
    "COMPATIBLE",
    "OPENAI",
    "Address",
    "Endpoint",
    "LogprobSupport",
    "ModelSpec",
    "Served",
    "ServedModel",
    "SupportTable",
    "Target",
    "register_model",
    "resolve",
    "support_table",
    "validate",
]

# Named in errors: one of a provider and one that needs none.
_DEFAULT_MODELS = ("gpt-4o-mini", "local")

# Each whole vocabulary weighs megabytes.
_LONGEST_WHOLE = 32

_registered: list[ModelSpec] = []


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
    logprobs, max_top, note
        See :class:`LogprobSupport`.
    defaults, system
        See :class:`ModelSpec`.
    """
    support = LogprobSupport(logprobs, max_top=max_top, note=note, source="registered here")
    spec = ModelSpec(pattern.lower(), endpoint, support, defaults=defaults or {}, system=system)
    _registered.insert(0, spec)
    return spec


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
    if within:
        name, rows = rest, within
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
    # What is launched serves its own model and no other.
    if within and within[0].endpoint.launch is None:
        return Target(name, ModelSpec(name, within[0].endpoint, UNKNOWN_SUPPORT))
    close = difflib.get_close_matches(name.lower(), known_names(), n=3, cutoff=0.5) or list(_DEFAULT_MODELS)
    raise UnknownModelError(
        f"There is no model {model!r} in the registry; did you mean {' or '.join(map(repr, close))}? For a server of "
        "your own, give base_url=.",
        model=model,
        suggestions=close,
    )


def known_names() -> list[str]:
    """Names to suggest and complete: one or more for each row."""
    examples = {
        "gpt-3.5*": ["gpt-3.5-turbo"],
        "gpt-4*": ["gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1", "gpt-4"],
        "gpt-5*": ["gpt-5", "gpt-5-mini"],
        "gpt-5.*": ["gpt-5.1"],
        "claude*": ["claude-sonnet-4-5"],
        "gemini-*": ["gemini-2.0-flash", "gemini-1.5-pro"],
        "mistral-large*": ["mistral-large-latest"],
        "mistral-medium*": ["mistral-medium-latest"],
        "llama-3*": ["llama-3.1-8b-instant", "llama-3.3-70b-versatile"],
        "llama3*": ["llama3-8b-8192"],
        "mixtral*": ["mixtral-8x7b-32768"],
    }
    names = [name for spec in specs() for name in (*examples.get(spec.pattern, [spec.pattern]), *spec.aliases)]
    return [name for name in dict.fromkeys(names) if "*" not in name]


def validate(target: Target, params: SamplingParams, prompt: Prompt | None = None) -> None:
    """Say no to what a model cannot do, before any request.

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
    for name, wanted in support.requires.items() if params.logprobs else ():
        value = getattr(params, name)
        if value not in (None, wanted):
            raise LogprobsNotSupportedError(
                f"{model!r} gives log-probabilities only with {name}={wanted!r}, not with {name}={value!r}.",
                model=model,
                remedy=f"{name}={wanted!r}",
                alternative=_DEFAULT_MODELS[0],
            )
    if (params.top_logprobs or 0) > support.max_top:
        raise SettingError(
            f"{model!r} gives at most {support.max_top} alternatives, so top_logprobs cannot be {params.top_logprobs}.",
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
    """The registry as a table for people; README and guide contain it."""
    return SupportTable(
        tuple(
            (
                spec.endpoint.label,
                spec.shown_as or f"`{spec.pattern}`",
                "no" if spec.support.kind == "none" else spec.support.kind,
                "–" if spec.support.kind == "none" else f"up to {spec.support.max_top}",
                spec.support.note,
            )
            for spec in specs()
        )
    )
