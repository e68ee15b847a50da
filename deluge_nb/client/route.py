"""The way to one model: its address, its key, its connection, and the settings that it brings."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from ..errors import SettingError, UnknownModelError
from ..models import REGISTRY, endpoints
from ..models.spec import Endpoint, Served, ServedModel, Target
from ..sampling import SamplingParams
from . import credentials
from .usage import token_count

if TYPE_CHECKING:
    import httpx

    from ..dialects.base import Completion
    from ..transport.http import Transport
    from ..transport.throttle import Pace


class Route:
    """The way to one model: what holds for it, where it is, and the connection, opened on first use."""

    def __init__(
        self,
        model: str | ServedModel,
        *,
        base_url: str | None,
        api_key: str | None,
        attempts: int,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace
        self.target = _locate(model, base_url)
        self._given_key = SecretStr(api_key) if api_key else None
        self._attempts = attempts
        self._timeout = timeout
        self._transport = transport
        self._open: tuple[tuple[str, SecretStr | None], Transport] | None = None

    @property
    def model(self) -> str:
        """The model's name."""
        return self.target.model

    @property
    def endpoint(self) -> Endpoint:
        """Where it is served."""
        return self.target.endpoint

    @property
    def key(self) -> SecretStr | None:
        """The key as given, else as it is found now."""
        variables = self.endpoint.key_variables
        return self._given_key or (credentials.find_key(variables) if variables else None)

    @property
    def key_missing(self) -> bool:
        """Whether a key is wanted and there is none."""
        return self.endpoint.key_required and self.key is None

    def served(self) -> Served | None:
        """The server on this machine, where the model has one."""
        launch = self.endpoint.launch
        if launch is None:
            return None
        if isinstance(launch, str):
            module, _, name = launch.partition(":")
            launch = getattr(import_module(module), name)
        return launch()

    def transport(self) -> Transport:
        """The connection; a new one when the key has changed."""
        from ..transport.http import Transport

        key = self.key
        mark = (self.endpoint.base_url, key)
        if self._open is None or self._open[0] != mark:
            self.close()
            made = Transport(
                self.endpoint,
                key=key,
                served=self.served(),
                timeout=self._timeout,
                max_attempts=self._attempts,
                transport=self._transport,
                pace=self._pace,
            )
            self._open = (mark, made)
        return self._open[1]

    def charge(self, completion: Completion) -> None:
        """Count what an answer has used against the minute's tokens."""
        if self._pace is not None:
            self._pace.charge(token_count(completion.usage))

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _locate(model: str | ServedModel, base_url: str | None) -> Target:
    """The model at the address that wins: the one given, the environment's, the endpoint's own."""
    general = os.environ.get(endpoints.OPENAI.url_variable)
    try:
        target = REGISTRY.resolve(model, base_url=base_url)
    except UnknownModelError:
        if not general:
            raise
        target = REGISTRY.resolve(model, base_url=general)
    endpoint = target.endpoint
    # Only a server without an address of its own goes where OpenAI's variable points: a provider's key must not.
    named = os.environ.get(endpoint.url_variable) if endpoint.url_variable else None if endpoint.base_url else general
    url = base_url or named
    if not url and not endpoint.base_url and endpoint.url_variable:
        raise SettingError(
            f"{model!r} is served by {endpoint.label} at an address of your own: set {endpoint.url_variable} or give "
            "base_url=.",
            setting="base_url",
        )
    if endpoint.launch is not None or (not url and base_url is None):
        return target
    if not _is_address(url or ""):
        told = "base_url" if base_url is not None else endpoint.url_variable or endpoints.OPENAI.url_variable
        raise SettingError(
            f"{told} must be a server's address such as 'http://127.0.0.1:8000/v1', not {url!r}.",
            setting=told,
            value=url,
        )
    # Of these the registry knows how they speak, and the user where they are.
    own = not endpoint.key_required or not endpoint.base_url
    if base_url is not None and not own and endpoint.name != endpoints.OPENAI.name:
        # The provider's key is not for a server of the user's own.
        endpoint = endpoints.COMPATIBLE
    address = (url or "").rstrip("/").removesuffix(endpoint.no_suffix)
    endpoint = replace(endpoint, base_url=address, key_required=False)
    # A server of the user's own is asked by the name the user wrote: to a router, "openai/gpt-4o" is a name.
    name = model.strip() if base_url is not None and not own and isinstance(model, str) else target.model
    return replace(target, model=name, spec=replace(target.spec, endpoint=endpoint))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def with_model_defaults(params: SamplingParams, target: Target) -> SamplingParams:
    """The settings with the model's own defaults, and what its log-probabilities require."""
    defaults = {name: value for name, value in target.spec.defaults.items() if getattr(params, name) is None}
    if params.full_vocab:  # hundreds of kilobytes per token: how many is for the user to say
        defaults.pop("max_new_tokens", None)
    if params.logprobs:
        defaults |= target.spec.support.requires
        if target.spec.support.body:
            defaults["extra_body"] = {**target.spec.support.body, **(params.extra_body or {})}
    return params.replace(**defaults) if defaults else params
