"""Which models give log-probabilities, where they are served and how they speak: the registry.

Three things are kept apart: what a model can do (:class:`LogprobSupport`), where it is served (:class:`Endpoint`) and
in which dialect (the name of a module in :mod:`deluge_nb.dialects`). :meth:`Registry.validate` is the only place that
refuses a request.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import SettingError, UnknownModelError
from ..prompts import Prompt
from ..sampling import SamplingParams
from . import endpoints
from .catalogue import BUILT_IN, EXAMPLES, UNKNOWN_SUPPORT
from .endpoints import COMPATIBLE
from .observations import Observations
from .spec import Endpoint, Kind, LogprobSupport, ModelSpec, ServedModel, Target
from .support_table import SupportTable, table_of
from .validation import DEFAULT_MODELS, Request, check

DIALECTS = ("openai", "responses", "completions", "gemini", "anthropic", "cohere", "ollama", "llamacpp")


class Registry:
    """The models and servers that are known in this session, and what was observed of them.

    Rows that the user registers come before the built-in ones. :data:`REGISTRY` is the one that the package uses.
    """

    def __init__(self) -> None:
        self.observations = Observations()
        self._specs: list[ModelSpec] = []
        self._endpoints: list[Endpoint] = []

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """All rows, those registered by the user first."""
        return (*self._specs, *BUILT_IN)

    def reset(self) -> None:
        """Forget what was registered and observed in this session."""
        self._specs.clear()
        self._endpoints.clear()
        self.observations.clear()

    def register_model(
        self,
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
        """See :func:`register_model`."""
        support = LogprobSupport(logprobs, max_top=max_top, note=note, forbids=tuple(forbids), source="registered here")
        spec = ModelSpec(pattern.lower(), endpoint, support, defaults=defaults or {}, system=system)
        self._specs.insert(0, spec)
        return spec

    def register_endpoint(
        self,
        name: str,
        base_url: str,
        *,
        label: str | None = None,
        key_variable: str = "",
        url_variable: str = "",
        dialect: str = "openai",
        **more: Any,
    ) -> Endpoint:
        """See :func:`register_endpoint`."""
        if not name or "/" in name or name != name.strip():
            raise SettingError(
                f"An endpoint's name must be a word without a slash, not {name!r}.", setting="name", value=name
            )
        if dialect not in DIALECTS:
            raise SettingError(
                f"dialect must be one of {', '.join(DIALECTS)}, not {dialect!r}.", setting="dialect", value=dialect
            )
        more.setdefault("key_required", bool(key_variable))
        # The new server sends its key, and can do, what others of its dialect do.
        model = COMPATIBLE if dialect == "openai" else next(one for one in endpoints.BUILT_IN if one.dialect == dialect)
        try:
            endpoint = replace(
                model,
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
        self._endpoints.insert(0, endpoint)
        return endpoint

    def endpoint_named(self, name: str) -> Endpoint | None:
        """Return the server of a name, or None."""
        known = (*self._endpoints, *(spec.endpoint for spec in self._specs), *endpoints.BUILT_IN)
        return next((endpoint for endpoint in known if endpoint.name == name.lower()), None)

    def find_models(self, *, logprobs: bool = True, provider: str | None = None) -> list[str]:
        """See :func:`find_models`."""
        labels = {word for spec in self.specs for word in _provider_names(spec)}
        if provider is not None and provider.lower() not in labels:
            close = difflib.get_close_matches(provider.lower(), sorted(labels), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(labels))}."
            raise SettingError(f"There is no provider {provider!r}; {hint}", setting="provider", value=provider)
        names: list[str] = []
        for spec in self.specs:
            if provider is not None and provider.lower() not in _provider_names(spec):
                continue
            if (spec.support.kind != "none") == logprobs:
                is_prefix = spec.pattern == "*" and spec.prefixed
                names += [f"{spec.endpoint.name}/…"] if is_prefix else _examples(spec)
        return list(dict.fromkeys(names))

    def known_names(self) -> list[str]:
        """Return names to suggest and complete: one or more for each row."""
        names = [name for spec in self.specs for name in _examples(spec)]
        return [name for name in dict.fromkeys(names) if "*" not in name]

    def resolve(self, model: str | ServedModel, *, base_url: str | None = None) -> Target:
        """Find the row of a model: the one that spells out most of its name. See :func:`resolve`."""
        if not isinstance(model, str):
            if not isinstance(getattr(model, "spec", None), ModelSpec):
                raise SettingError(
                    f"A model is a name or a LocalModel, not {type(model).__name__}.", setting="model", value=model
                )
            return Target(model.name, model.spec)
        target = self._row_of(model.strip())
        if target is not None:
            if target.endpoint.launch is not None and base_url is not None:
                raise SettingError(
                    f"{model!r} runs on this machine; leave out base_url={base_url!r}.",
                    setting="base_url",
                    value=base_url,
                )
            return target
        if base_url is not None:
            return Target(model.strip(), ModelSpec(model.strip(), COMPATIBLE, UNKNOWN_SUPPORT))
        prefix, slash, name = model.strip().partition("/")
        server = self.endpoint_named(prefix) if slash and name else None
        # A server that is launched serves its own model and no other.
        if server is not None and server.launch is None:
            return Target(name, ModelSpec(name, server, UNKNOWN_SUPPORT))
        raise self._unknown(model)

    def validate(
        self, target: Target, params: SamplingParams, prompt: Prompt | None = None, features: tuple[str, ...] = ()
    ) -> None:
        """Refuse what a model cannot do, before any request. See :func:`validate`."""
        outcome = self.observations.outcome(target.endpoint, target.model, params, features)
        check(Request(target, params, prompt, features, outcome))

    def support_table(self) -> SupportTable:
        """Return the registry as a table for people, provider by provider. See :func:`support_table`."""
        return table_of(self.specs)

    def _row_of(self, name: str) -> Target | None:
        rows: Sequence[ModelSpec] = self.specs
        prefix, slash, rest = name.partition("/")
        has_slash = any("/" in spec.pattern and spec.covers(name) for spec in rows)
        served = [spec for spec in rows if spec.endpoint.name == prefix.lower()] if slash and rest else []
        if served and not has_slash:
            name, rows = rest, served
        else:
            rows = [spec for spec in rows if not spec.prefixed]
        best = max((spec for spec in rows if spec.covers(name)), key=lambda spec: spec.specificity, default=None)
        return None if best is None else Target(name, best)

    def _unknown(self, model: str) -> UnknownModelError:
        close = difflib.get_close_matches(model.strip().lower(), self.known_names(), n=3, cutoff=0.5)
        suggestions = close or list(DEFAULT_MODELS)
        return UnknownModelError(
            f"There is no model {model!r} in the registry; did you mean {' or '.join(map(repr, suggestions))}? For a "
            "server of your own, give base_url=.",
            model=model,
            suggestions=suggestions,
        )


def _provider_names(spec: ModelSpec) -> tuple[str, str]:
    return spec.endpoint.name, spec.endpoint.label.lower()


def _examples(spec: ModelSpec) -> list[str]:
    return [*EXAMPLES.get(spec.pattern, [spec.pattern]), *spec.aliases]


REGISTRY = Registry()
"""The registry of this session."""


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
    """Add a model for this session; it wins over built-in models of the same pattern.

    Parameters
    ----------
    pattern
        A model's name; ``*`` stands for anything.
    endpoint
        Where the model is served; by default any OpenAI-compatible server (give ``base_url=`` to the client).
    logprobs, max_top, note, forbids
        See :class:`~deluge_nb.models.LogprobSupport`.
    defaults, system
        See :class:`~deluge_nb.models.ModelSpec`.

    Returns
    -------
    ModelSpec
        The new row of the registry.

    Examples
    --------
    >>> register_model("my-model*", max_top=5).support.max_top
    5
    """
    return REGISTRY.register_model(
        pattern,
        endpoint=endpoint,
        logprobs=logprobs,
        max_top=max_top,
        note=note,
        forbids=forbids,
        defaults=defaults,
        system=system,
    )


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
        The word before the slash; it wins over a built-in server of that name.
    base_url
        The server's address, such as ``http://127.0.0.1:8000/v1``.
    label
        The server's name in messages; ``name`` by default.
    key_variable, url_variable
        Environment variables with the server's key (required if given) and with an address that wins.
    dialect
        The server's protocol: ``openai``, ``responses``, ``completions``, ``gemini``, ``anthropic``, ``cohere``,
        ``ollama`` or ``llamacpp``.
    **more
        Other fields of :class:`~deluge_nb.models.Endpoint`.

    Returns
    -------
    Endpoint
        The new server.

    Raises
    ------
    SettingError
        For a name with a slash, an unknown dialect or an unknown field.

    Examples
    --------
    >>> register_endpoint("lab", "http://127.0.0.1:8000/v1").base_url
    'http://127.0.0.1:8000/v1'
    """
    return REGISTRY.register_endpoint(
        name, base_url, label=label, key_variable=key_variable, url_variable=url_variable, dialect=dialect, **more
    )


def find_models(*, logprobs: bool = True, provider: str | None = None) -> list[str]:
    """List model names from the registry; a server of many models is listed as its prefix, such as ``vllm/…``.

    Parameters
    ----------
    logprobs
        True for models that give log-probabilities, as far as is known; False for those that give none.
    provider
        The name or label of a server, such as ``"openai"``; all by default.

    Returns
    -------
    list of str
        Names that a client takes.

    Raises
    ------
    SettingError
        When there is no such provider.

    Examples
    --------
    >>> find_models(provider="mistral")
    ['mistral-large-latest', 'mistral-medium-latest']
    """
    return REGISTRY.find_models(logprobs=logprobs, provider=provider)


def resolve(model: str | ServedModel, *, base_url: str | None = None) -> Target:
    """Find the row of a model: the one that spells out most of its name.

    Parameters
    ----------
    model
        A name, ``endpoint/name``, or an object such as a :class:`deluge_nb.LocalModel`.
    base_url
        The user's own server: with it, names that no row knows are tried there.

    Raises
    ------
    UnknownModelError
        When no row knows the name and there is no server to ask; it suggests close names.
    """
    return REGISTRY.resolve(model, base_url=base_url)


def validate(
    target: Target, params: SamplingParams, prompt: Prompt | None = None, features: tuple[str, ...] = ()
) -> None:
    """Refuse what a model cannot do, before any request.

    Parameters
    ----------
    target, params, prompt
        The model, the request settings, and the prompt if it is known.
    features
        What else is requested: see :func:`~deluge_nb.models.observations.requested_features`.

    Raises
    ------
    LogprobsNotSupportedError
        When log-probabilities are asked of a model that gives none, or with settings under which it gives none.
    SettingError
        When something else is asked that the model or its server does not have.
    """
    REGISTRY.validate(target, params, prompt, features)


def support_table() -> SupportTable:
    """Return the registry as a table for people, provider by provider.

    Returns
    -------
    SupportTable
        It displays itself in a notebook; ``to_markdown()`` gives the text.

    Examples
    --------
    >>> support_table().rows[0][:4]
    ('Embedded', '`local` (SmolLM2-135M-Instruct)', 'full', 'up to 20')
    """
    return REGISTRY.support_table()
