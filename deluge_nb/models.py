"""Which models give log-probabilities, where they are served and how they speak: a declarative registry.

Three things are kept apart: what a model can do (:class:`LogprobSupport`), where it is served (:class:`Endpoint`) and
in which dialect (the name of a module in :mod:`deluge_nb.wire`). :func:`validate` is the only place that says no.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal, Protocol

from .errors import LogprobsNotSupportedError, SettingError, UnknownModelError
from .prompts import Prompt
from .sampling import SamplingParams

Kind = Literal["full", "limited", "conditional", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class LogprobSupport:
    """What a model gives, under which condition, and who says so.

    Parameters
    ----------
    kind
        ``conditional`` depends on the request, as reasoning effort does; ``unknown`` is tried.
    max_top
        The longest list of alternatives.
    requires
        What a request for log-probabilities must also say; it is said unless the user set something else, which is
        refused.
    note
        One sentence for the support table and for errors.
    source, checked
        Where the row comes from and when it was last compared.
    """

    kind: Kind
    max_top: int = 20
    requires: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    source: str = ""
    checked: date | None = None


class Served(Protocol):
    """A server that is started on first use: where it listens and the key it wants."""

    def address(self) -> tuple[str, str]:
        """Base URL and key; starts the server, or starts it again if it died. May take seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where models are served.

    ``launch`` is a ``module:function`` (or a function) that gives a :class:`Served`; it is looked up on first use, so
    that the registry can name what lives above it. ``prefill`` is None where nobody has said whether the server
    continues a partial answer: it is tried.
    """

    name: str
    label: str
    base_url: str
    dialect: str = "openai"
    key_variables: tuple[str, ...] = ()
    url_variable: str = ""
    key_required: bool = True
    max_tokens_field: str = "max_tokens"
    prefill: bool | None = None
    raw: bool = False
    full_vocab: bool = False
    continuations: bool = False
    concurrency: int = 64
    launch: str | Callable[[], Served] | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A row of the registry: which names it covers and what holds for them.

    ``defaults`` are request settings used where the user leaves them open, ``system`` the instruction used where a
    prompt brings none.
    """

    pattern: str
    endpoint: Endpoint
    support: LogprobSupport
    shown_as: str = ""
    aliases: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None

    def covers(self, model: str) -> bool:
        """Whether a model's name falls under this row."""
        name = model.lower()
        return name in self.aliases or fnmatch.fnmatchcase(name, self.pattern)

    @property
    def specificity(self) -> int:
        """How much of a name the row spells out."""
        return len(self.pattern.replace("*", ""))


class ServedModel(Protocol):
    """An object that is a model: :class:`deluge_nb.LocalModel` is one."""

    @property
    def name(self) -> str:
        """What responses call it."""
        ...

    @property
    def spec(self) -> ModelSpec:
        """Its row."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A model as it will be asked: its name and what holds for it."""

    model: str
    spec: ModelSpec

    @property
    def endpoint(self) -> Endpoint:
        """Where it is served."""
        return self.spec.endpoint


OPENAI = Endpoint(
    "openai",
    "OpenAI",
    "https://api.openai.com/v1",
    key_variables=("OPENAI_API_KEY",),
    url_variable="OPENAI_BASE_URL",
    max_tokens_field="max_completion_tokens",
    prefill=False,
)
ANTHROPIC = Endpoint(
    "anthropic",
    "Anthropic",
    "https://api.anthropic.com/v1",
    key_variables=("ANTHROPIC_API_KEY",),
    url_variable="ANTHROPIC_BASE_URL",
)
GOOGLE = Endpoint(
    "google",
    "Google",
    "https://generativelanguage.googleapis.com/v1beta/openai",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    url_variable="GEMINI_BASE_URL",
)
MISTRAL = Endpoint(
    "mistral",
    "Mistral",
    "https://api.mistral.ai/v1",
    key_variables=("MISTRAL_API_KEY",),
    url_variable="MISTRAL_BASE_URL",
)
GROQ = Endpoint(
    "groq",
    "Groq",
    "https://api.groq.com/openai/v1",
    key_variables=("GROQ_API_KEY",),
    url_variable="GROQ_BASE_URL",
    prefill=True,
)
COMPATIBLE = Endpoint(
    "compatible",
    "OpenAI-compatible server",
    "",
    key_variables=("OPENAI_API_KEY",),
    key_required=False,
)
LOCAL = Endpoint(
    "local",
    "Embedded",
    "",
    dialect="llamacpp",
    key_required=False,
    prefill=True,
    raw=True,
    full_vocab=True,
    continuations=True,
    concurrency=4,
    launch="deluge_nb.local:default_server",
)

_CHECKED = date(2026, 11, 23)
_DEFAULT_MODELS = ("gpt-4o-mini", "local")

LOCAL_SUPPORT = LogprobSupport(
    "full",
    note="A toy model on your own machine: no key, no network, and the whole vocabulary where asked.",
    source="measured",
    checked=_CHECKED,
)
UNKNOWN_SUPPORT = LogprobSupport("unknown", note="Not in the registry: log-probabilities are asked for and looked at.")

_BUILT_IN = (
    ModelSpec(
        "local",
        LOCAL,
        LOCAL_SUPPORT,
        shown_as="`local` (SmolLM2-135M-Instruct)",
        aliases=("smollm2-135m",),
        # Greedy decoding of a model this small repeats itself; truncation (top-k, top-p) would hide what it weighed.
        defaults={"temperature": 0.7, "max_new_tokens": 60},
        # The template's own default introduces "SmolLM, trained by Hugging Face", which makes the first token a toss-up.
        system="You are a helpful assistant.",
    ),
    ModelSpec("gpt-3.5*", OPENAI, LogprobSupport("full", source="provider", checked=_CHECKED), shown_as="GPT-3.5"),
    ModelSpec("gpt-4*", OPENAI, LogprobSupport("full", source="provider", checked=_CHECKED), shown_as="GPT-4, GPT-4o, GPT-4.1"),
    ModelSpec(
        "gpt-5*",
        OPENAI,
        LogprobSupport(
            "conditional",
            note="OpenAI answers 403 for gpt-5, gpt-5-mini and gpt-5-nano; the request is made and its answer shown.",
            source="measured by others",
            checked=_CHECKED,
        ),
        shown_as="GPT-5",
    ),
    ModelSpec(
        "gpt-5.*",
        OPENAI,
        LogprobSupport(
            "conditional",
            requires={"reasoning_effort": "none"},
            note="Only with reasoning_effort='none', and then often fewer alternatives than asked for.",
            source="provider",
            checked=_CHECKED,
        ),
        shown_as="GPT-5.1 and later",
    ),
    ModelSpec(
        "claude*",
        ANTHROPIC,
        LogprobSupport("none", note="Anthropic's API has no log-probabilities.", source="provider", checked=_CHECKED),
        shown_as="Claude",
    ),
    ModelSpec(
        "gemini-*",
        GOOGLE,
        LogprobSupport(
            "limited",
            note="Google lists them for 1.5 and 2.0; most models in service refuse the request.",
            source="provider",
            checked=_CHECKED,
        ),
        shown_as="Gemini 1.5+, Gemini 2.0",
    ),
    *(
        ModelSpec(
            pattern,
            MISTRAL,
            LogprobSupport(
                "full",
                note="Promised for these models; La Plateforme has been seen to refuse (code 3051).",
                source="documentation",
                checked=_CHECKED,
            ),
            shown_as=shown_as,
        )
        for pattern, shown_as in (("mistral-large*", "Mistral Large"), ("mistral-medium*", "Mistral Medium"))
    ),
    *(
        ModelSpec(
            pattern,
            GROQ,
            LogprobSupport(
                "full",
                note="Promised for these models; Groq's own documentation says it answers 400.",
                source="documentation",
                checked=_CHECKED,
            ),
            shown_as=shown_as,
        )
        for pattern, shown_as in (("llama-3*", "Llama 3"), ("llama3*", "Llama 3 (short names)"), ("mixtral*", "Mixtral"))
    ),
)

_registered: list[ModelSpec] = []


def specs() -> tuple[ModelSpec, ...]:
    """All rows, those registered by the user first."""
    return (*_registered, *_BUILT_IN)


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
    within = [spec for spec in rows if spec.endpoint.name == prefix.lower()] if slash else []
    if within:
        name, rows = rest, within
    found = max((spec for spec in rows if spec.covers(name)), key=lambda spec: spec.specificity, default=None)
    if found is not None:
        if found.endpoint.launch is not None and base_url is not None:
            raise SettingError(
                f"{model!r} runs on this machine; leave out base_url={base_url!r}.", setting="base_url", value=base_url
            )
        return Target(name, found)
    if within:
        return Target(name, ModelSpec(name, within[0].endpoint, UNKNOWN_SUPPORT))
    if base_url is not None:
        return Target(name, ModelSpec(name, COMPATIBLE, UNKNOWN_SUPPORT))
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
    if prompt is None:
        return
    if prompt.raw is not None and not endpoint.raw:
        raise SettingError(
            f"{model!r} is reached through a chat API and cannot continue raw text; send a chat prompt, or use 'local'.",
            setting="prompt",
            value=prompt.raw,
        )
    if prompt.prefill is not None and endpoint.prefill is False:
        raise SettingError(
            f"{model!r} cannot continue the beginning of an answer: {endpoint.label} starts a new one; leave out the last "
            "assistant message, or use 'local'.",
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


def at(endpoint: Endpoint, base_url: str | None) -> Endpoint:
    """The endpoint at another address."""
    return endpoint if base_url is None else replace(endpoint, base_url=base_url.rstrip("/"))


def names_of(targets: Sequence[Target]) -> str:
    """Model names for a message."""
    return ", ".join(target.model for target in targets)
