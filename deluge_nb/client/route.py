"""The route to one model: its endpoint, address, key, connection and default settings."""

from __future__ import annotations

import os
import threading
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
    from ..transport.throttle import PaceLike, Slots


class Route:
    """The endpoint, address and key of one model, and the connection to it, which is opened on first use."""

    def __init__(
        self,
        model: str | ServedModel,
        *,
        base_url: str | None,
        api_key: str | None,
        attempts: int,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None,
        pace: PaceLike | None = None,
        slots: Slots | None = None,
        continues: bool | None = None,
    ) -> None:
        self._pace = pace
        self._slots = slots
        located = _locate(model, base_url)
        self.target = located if continues is None else with_prefill(located, continues)
        self.proof = threading.Lock()
        """Held while the server is asked whether it continues the beginning of an answer."""
        self._given_key = SecretStr(api_key) if api_key else None
        self._attempts = attempts
        self._timeout = timeout
        self._transport = transport
        self._open: tuple[tuple[str, SecretStr | None], Transport] | None = None
        self._completed: tuple[SamplingParams, Target, SamplingParams] | None = None

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.target.model

    @property
    def endpoint(self) -> Endpoint:
        """Endpoint that serves the model."""
        return self.target.endpoint

    @property
    def key(self) -> SecretStr | None:
        """Key as given, else as found in the environment now."""
        variables = self.endpoint.key_variables
        return self._given_key or (credentials.find_key(variables) if variables else None)

    @property
    def key_missing(self) -> bool:
        """True if the endpoint needs a key and there is none."""
        return self.endpoint.key_required and self.key is None

    def with_defaults(self, params: SamplingParams) -> SamplingParams:
        """Return the settings with the model's defaults; the same object for the same settings.

        The settings of thousands of prompts are one object, and their responses keep what this returns.
        """
        completed = self._completed
        if completed is None or completed[0] is not params or completed[1] is not self.target:
            completed = self._completed = (params, self.target, _with_model_defaults(params, self.target))
        return completed[2]

    def served(self) -> Served | None:
        """Return the server on this machine; None for a model that has none."""
        launch = self.endpoint.launch
        if launch is None:
            return None
        if isinstance(launch, str):
            module, _, name = launch.partition(":")
            launch = getattr(import_module(module), name)
        return launch()

    def transport(self) -> Transport:
        """Return the connection; a new one if the key or the address has changed."""
        from ..transport.http import Transport

        key = self.key
        identity = (self.endpoint.base_url, key)
        if self._open is None or self._open[0] != identity:
            self.close()
            opened = Transport(
                self.endpoint,
                key=key,
                served=self.served(),
                timeout=self._timeout,
                max_attempts=self._attempts,
                transport=self._transport,
                pace=self._pace,
                slots=self._slots,
            )
            self._open = (identity, opened)
        return self._open[1]

    def charge(self, completion: Completion) -> None:
        """Count the tokens of an answer toward the limit of tokens per minute."""
        if self._pace is not None:
            self._pace.charge(token_count(completion.usage))

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _locate(model: str | ServedModel, base_url: str | None) -> Target:
    """Return the model with its address: ``base_url``, else the environment's, else the endpoint's own."""
    default_url = os.environ.get(endpoints.OPENAI.url_variable)
    try:
        target = REGISTRY.resolve(model, base_url=base_url)
    except UnknownModelError:
        if not default_url:
            raise
        target = REGISTRY.resolve(model, base_url=default_url)
    endpoint = target.endpoint
    # OPENAI_BASE_URL applies only to endpoints without an address of their own, so that no other key goes there.
    from_env = (
        os.environ.get(endpoint.url_variable) if endpoint.url_variable else None if endpoint.base_url else default_url
    )
    url = base_url or from_env
    if not url and not endpoint.base_url and endpoint.url_variable:
        raise SettingError(
            f"{model!r} is served by {endpoint.label} at an address you choose: set {endpoint.url_variable} or give "
            "base_url=.",
            setting="base_url",
        )
    if endpoint.launch is not None or (not url and base_url is None):
        return target
    if not _is_address(url or ""):
        setting = "base_url" if base_url is not None else endpoint.url_variable or endpoints.OPENAI.url_variable
        raise SettingError(
            f"{setting} must be a server's address such as 'http://127.0.0.1:8000/v1', not {url!r}.",
            setting=setting,
            value=url,
        )
    # The registry knows the dialect of these endpoints, and the user knows the address.
    is_own = not endpoint.key_required or not endpoint.base_url
    if base_url is not None and not is_own and endpoint.name != endpoints.OPENAI.name:
        # The provider's key must not go to another server.
        endpoint = endpoints.COMPATIBLE
    address = (url or "").rstrip("/").removesuffix(endpoint.no_suffix)
    endpoint = replace(endpoint, base_url=address, key_required=False)
    if base_url is not None and endpoint.name == endpoints.OPENAI.name and "openai.com" not in address:
        # Another server that serves a model of this name: what the registry says of OpenAI's does not hold.
        endpoint = replace(endpoint, prefill=None)
    # The user's own server gets the name as written: for a router, "openai/gpt-4o" is the whole name.
    name = model.strip() if base_url is not None and not is_own and isinstance(model, str) else target.model
    return replace(target, model=name, spec=replace(target.spec, endpoint=endpoint))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def with_prefill(target: Target, continues: bool) -> Target:
    """Return a model with what is known of its server: whether it continues the beginning of an answer."""
    return replace(target, spec=replace(target.spec, endpoint=replace(target.endpoint, prefill=continues)))


def _with_model_defaults(params: SamplingParams, target: Target) -> SamplingParams:
    """Return the settings with the model's defaults and the settings its log-probabilities require."""
    defaults = {name: value for name, value in target.spec.defaults.items() if getattr(params, name) is None}
    if params.full_vocab:  # a token takes hundreds of kilobytes, so the user chooses how many
        defaults.pop("max_new_tokens", None)
    if params.logprobs:
        defaults |= target.spec.support.requires
        if target.spec.support.body:
            defaults["extra_body"] = {**target.spec.support.body, **(params.extra_body or {})}
    return params.replace(**defaults) if defaults else params


def greedy(params: SamplingParams, target: Target) -> SamplingParams:
    """Return the settings with temperature 0, where they leave the temperature open and the model accepts one."""
    if params.temperature is not None or "temperature" in target.spec.refuses:
        return params
    # A model that may reason accepts a temperature only where it does not.
    effort = target.spec.support.requires.get("reasoning_effort")
    if effort is not None and not params.logprobs and params.reasoning_effort != effort:
        return params
    return params.replace(temperature=0)
