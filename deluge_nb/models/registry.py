"""The registry of models and servers: find, register, resolve and validate.

Three things are separate: the capabilities of a model (:class:`LogprobSupport`), its server (:class:`Endpoint`) and the
server's protocol (the name of a module in :mod:`deluge_nb.dialects`). :meth:`Registry.validate` is the only place that
refuses a request. The functions of this module are the methods of :data:`REGISTRY`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ..errors import SettingError, UnknownModelError, invalid_argument
from ..prompts import Prompt
from ..sampling import SamplingParams
from . import endpoints
from .catalogue import BUILT_IN, EXAMPLES, UNKNOWN_SUPPORT
from .endpoints import COMPATIBLE
from .fields import check_fields
from .observations import Observations
from .spec import Endpoint, Kind, LogprobSupport, ModelSpec, ServedModel, Target
from .support_table import SupportTable, table_of
from .validation import DEFAULT_MODELS, Request, check

P = ParamSpec("P")
T = TypeVar("T")

DIALECTS = ("openai", "responses", "completions", "gemini", "anthropic", "cohere", "ollama", "llamacpp")


class Registry:
    """Models and servers of a session, and observed outcomes of their requests.

    Rows that the user registers come before the built-in ones. The package uses :data:`REGISTRY`.

    Examples
    --------
    >>> from deluge_nb.models import Registry
    >>> registry = Registry()
    >>> registry.register_model("my-model*", max_top=5).support.max_top
    5
    >>> registry.resolve("my-model-7b").spec.pattern
    'my-model*'
    """

    def __init__(self) -> None:
        self.observations = Observations()
        self._specs: list[ModelSpec] = []
        self._endpoints: list[Endpoint] = []

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """All rows, beginning with those that the user registered."""
        return (*self._specs, *BUILT_IN)

    def reset(self) -> None:
        """Remove all registered rows and recorded observations."""
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
        """Add a model for this session; it wins over built-in models of the same pattern.

        Parameters
        ----------
        pattern
            A model's name; ``*`` matches anything.
        endpoint
            The server; by default any OpenAI-compatible server (pass ``base_url`` to the client).
        logprobs, max_top, note, forbids
            See :class:`~deluge_nb.models.LogprobSupport`; ``logprobs`` is its ``kind``.
        defaults, system
            See :class:`~deluge_nb.models.ModelSpec`.

        Returns
        -------
        ModelSpec
            The new row of the registry.

        Raises
        ------
        SettingError
            When a value does not fit its field, or a default is no setting.

        Examples
        --------
        >>> from deluge_nb import register_model
        >>> register_model("my-model*", max_top=5).support.max_top
        5
        """
        capabilities = {"kind": logprobs, "max_top": max_top, "note": note, "forbids": _as_tuple(forbids)}
        check_fields(LogprobSupport, capabilities, {"kind": "logprobs"})
        given: Any = {} if defaults is None else defaults
        fields = {"pattern": pattern, "endpoint": endpoint, "defaults": given, "system": system}
        check_fields(ModelSpec, fields)
        if not pattern.strip():
            raise invalid_argument("pattern", pattern, "a model's name")
        SamplingParams(**given)
        support = LogprobSupport(**capabilities, source="registered here")
        spec = ModelSpec(**{**fields, "pattern": pattern.lower()}, support=support)
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
        """Add a server for this session, for models called ``name/model`` and for :func:`register_model`.

        Parameters
        ----------
        name
            The word before the slash; it wins over a built-in server of that name.
        base_url
            The server's address, such as ``http://127.0.0.1:8000/v1``.
        label
            The server's name in messages; ``name`` by default.
        key_variable
            Environment variable with the server's key, which is then required.
        url_variable
            Environment variable with an address that replaces ``base_url``.
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
            For a name with a slash, an address with a login or a query, an unknown dialect or an unknown field.

        Examples
        --------
        >>> from deluge_nb import register_endpoint
        >>> register_endpoint("lab", "http://127.0.0.1:8000/v1").base_url
        'http://127.0.0.1:8000/v1'
        """
        given = {"label": label or "", "key_variable": key_variable, "url_variable": url_variable}
        for field, value in {"name": name, "base_url": base_url, "dialect": dialect, **given}.items():
            if not isinstance(value, str):
                raise invalid_argument(field, value, "a text")
        check_fields(Endpoint, more)
        if not name or "/" in name or name != name.strip():
            raise SettingError(
                f"An endpoint's name must be a word without a slash, not {name!r}.", setting="name", value=name
            )
        if dialect not in DIALECTS:
            raise SettingError(
                f"dialect must be one of {', '.join(DIALECTS)}, not {dialect!r}.", setting="dialect", value=dialect
            )
        if "?" in base_url or "@" in base_url.partition("://")[2].partition("/")[0]:
            base_url = ""  # so that no traceback has it in this frame
            reason = "base_url of an endpoint is shown in messages, and cannot have a login or a query; give them in "
            raise SettingError(f"{reason}LLMClient(base_url=…) or the variable of url_variable.", setting="base_url")
        more.setdefault("key_required", bool(key_variable))
        # Headers and capabilities default to those of a built-in server of the same dialect.
        built_in = (server for server in endpoints.BUILT_IN if server.dialect == dialect)
        template = COMPATIBLE if dialect == "openai" else next(built_in)
        named = {"name": name.lower(), "label": label or name, "base_url": base_url.rstrip("/")}
        keys = {"key_variables": (key_variable,) if key_variable else (), "url_variable": url_variable}
        fields: dict[str, Any] = {**named, **keys, **more}
        endpoint = replace(template, **fields)
        self._endpoints.insert(0, endpoint)
        return endpoint

    def endpoint_named(self, name: str) -> Endpoint | None:
        """Return the server with a name.

        Parameters
        ----------
        name
            The name, in upper or lower case.

        Returns
        -------
        Endpoint or None
            The server; None if there is none.
        """
        known = (*self._endpoints, *(spec.endpoint for spec in self._specs), *endpoints.BUILT_IN)
        return next((endpoint for endpoint in known if endpoint.name == name.lower()), None)

    def find_models(self, *, logprobs: bool = True, provider: str | None = None) -> list[str]:
        """List model names from the registry; a server of many models is listed as its prefix, such as ``vllm/…``.

        Parameters
        ----------
        logprobs
            True for models that return log-probabilities, as far as is known; False for those that do not.
        provider
            The name or label of a server, such as ``"openai"``; all by default.

        Returns
        -------
        list of str
            Names that a client accepts.

        Raises
        ------
        SettingError
            When there is no such provider.

        Examples
        --------
        >>> from deluge_nb import find_models
        >>> find_models(provider="mistral")
        ['mistral-large-latest', 'mistral-medium-latest']
        """
        if provider is not None and not isinstance(provider, str):
            raise invalid_argument("provider", provider, "the name of a server, such as 'openai', or None")
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
        """Return names for suggestions and completion: one or more for each row.

        Returns
        -------
        list of str
            Names without wildcards.
        """
        names = [name for spec in self.specs for name in _examples(spec)]
        return [name for name in dict.fromkeys(names) if "*" not in name]

    def resolve(self, model: str | ServedModel, *, base_url: str | None = None) -> Target:
        """Find the row of a model: of those that match, the one with the longest pattern.

        Parameters
        ----------
        model
            A name, ``endpoint/name``, or an object such as a :class:`deluge_nb.LocalModel`.
        base_url
            Address of the user's own server; names that match no row are then sent there.

        Returns
        -------
        Target
            The model's name and its row.

        Raises
        ------
        UnknownModelError
            When no row matches the name and there is no ``base_url``; it suggests similar names.
        SettingError
            When the model is neither a name nor a model object, or runs on this machine and ``base_url`` is given.

        Examples
        --------
        >>> from deluge_nb.models import resolve
        >>> resolve("gpt-4o-mini").spec.pattern
        'gpt-4*'
        >>> resolve("vllm/my-model").endpoint.base_url
        'http://127.0.0.1:8000/v1'
        """
        if not isinstance(model, str):
            if not isinstance(getattr(model, "spec", None), ModelSpec):
                raise SettingError(
                    f"A model must be a name or a LocalModel, not {type(model).__name__}.", setting="model", value=model
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
        # A server that the package launches serves only its own model.
        if server is not None and server.launch is None:
            return Target(name, ModelSpec(name, server, UNKNOWN_SUPPORT))
        raise self._unknown(model)

    def validate(
        self, target: Target, params: SamplingParams, prompt: Prompt | None = None, features: tuple[str, ...] = ()
    ) -> None:
        """Raise if a model cannot do what a request asks for, before anything is sent.

        Parameters
        ----------
        target, params, prompt
            The model, the request settings, and the prompt if it is known.
        features
            Other features of the request, as
            :func:`~deluge_nb.models.observations.requested_features` returns them.

        Raises
        ------
        LogprobsNotSupportedError
            When log-probabilities are requested from a model that returns none, or none with these settings.
        SettingError
            When the request needs another feature that the model or its server does not have.

        Examples
        --------
        >>> from deluge_nb import LogprobsNotSupportedError, SamplingParams
        >>> from deluge_nb.models import resolve, validate
        >>> try:
        ...     validate(resolve("o3"), SamplingParams(logprobs=True))
        ... except LogprobsNotSupportedError as error:
        ...     print(error.remedy)
        leave out logprobs=True
        """
        outcome = self.observations.outcome(target.endpoint, target.model, params, features)
        check(Request(target, params, prompt, features, outcome))

    def support_table(self) -> SupportTable:
        """Return the registry as a table for people, ordered by provider.

        Returns
        -------
        SupportTable
            A table that a notebook displays; its ``to_markdown()`` returns text.

        Examples
        --------
        >>> from deluge_nb import support_table
        >>> support_table().rows[0][:4]
        ('Embedded', '`local` (SmolLM2-135M-Instruct)', 'full', 'up to 20')
        """
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
            "server of your own, pass base_url=.",
            model=model,
            suggestions=suggestions,
        )


def _as_tuple(words: Any) -> Any:
    """Return a list as a tuple, and anything else unchanged."""
    return tuple(words) if isinstance(words, list) else words


def _provider_names(spec: ModelSpec) -> tuple[str, str]:
    return spec.endpoint.name, spec.endpoint.label.lower()


def _examples(spec: ModelSpec) -> list[str]:
    return [*EXAMPLES.get(spec.pattern, [spec.pattern]), *spec.aliases]


REGISTRY = Registry()


def _as_function(method: Callable[P, T]) -> Callable[P, T]:
    # Documentation tools take the first parameter of a bound method for `self`, and drop it.
    @wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> T:
        return method(*args, **kwargs)

    return function


register_model = _as_function(REGISTRY.register_model)
register_endpoint = _as_function(REGISTRY.register_endpoint)
find_models = _as_function(REGISTRY.find_models)
resolve = _as_function(REGISTRY.resolve)
validate = _as_function(REGISTRY.validate)
support_table = _as_function(REGISTRY.support_table)
