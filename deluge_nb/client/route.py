"""The route to one model: its endpoint, address, key, connection and default settings."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import MissingKeyError, SettingError, UnknownModelError
from ..memo import remember_last
from ..models import REGISTRY, endpoints
from ..models.spec import Endpoint, Served, ServedModel, Target
from ..response.usage import token_count
from ..sampling import SamplingParams
from ..transport.address import ServerAddress, mask_invalid, read_address
from . import credentials
from .credentials import Access, as_invalid_address
from .sending.pacing import CheckedPace

if TYPE_CHECKING:
    import httpx
    from pydantic import SecretStr

    from ..dialects.base import Completion
    from ..transport.http import Transport
    from ..transport.throttle import PaceLike, Slots


class Route:
    """The endpoint, address and key of one model, and the connection to it, which is opened on first use."""

    def __init__(
        self,
        model: str | ServedModel,
        *,
        access: Access,
        attempts: int,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None,
        pace: PaceLike | None = None,
        slots: Slots | None = None,
        continues: bool | None = None,
    ) -> None:
        self.pace = pace
        """Pace of the requests; None for no limit."""
        self._slots = slots
        self._access = access
        located, self._address, self._is_keyed = _locate(model, access)
        self.target = located if continues is None else with_prefill(located, continues)
        self.proof = threading.Lock()
        """Held while the server is asked whether it continues the beginning of an answer, or scores given text."""
        self.scores: str | None = None
        """Why the server's log-probabilities of given text cannot be used, empty if they can; None if not known."""
        self._attempts = attempts
        self._timeout = timeout
        self._transport = transport
        self._open: tuple[tuple[object, ...], Transport] | None = None
        self._complete = remember_last(_with_model_defaults)

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
        """Key as given, else as found in the environment now; none where the address has a login."""
        variables = self.endpoint.key_variables
        if self._access.key is not None or not variables or self._address.login is not None:
            return self._access.key
        return credentials.find_key(variables, in_keyring=self._is_keyed)

    @property
    def key_missing(self) -> bool:
        """True if the endpoint needs a key and there is none."""
        if not self.endpoint.key_required or self._access.carries_key(self.endpoint.key_header):
            return False
        return self.key is None

    def require_key(self) -> None:
        """Check that a server that wants a key gets one.

        Raises
        ------
        MissingKeyError
            When there is none.
        """
        if self.key_missing:
            variable = self.endpoint.key_variables[0]
            raise MissingKeyError(
                f"{self.model!r} is served by {self.endpoint.label}, which wants a key: set {variable}"
                f"{credentials.key_sources()} or give api_key=; the embedded model 'local' needs none.",
                endpoint=self.endpoint.name,
                variable=variable,
            )

    @property
    def shown_address(self) -> str:
        """Address with its query, in which secrets are masked; tells servers apart."""
        return self._address.shown

    def take_access(self, other: Route) -> None:
        """Use the key, the login and the headers of another route to the same model."""
        self._access, self._address, self._is_keyed = other._access, other._address, other._is_keyed

    def with_defaults(self, params: SamplingParams) -> SamplingParams:
        """Return the settings with the model's defaults; the same object for the same settings.

        The settings of thousands of prompts are one object, and their responses keep what this returns.
        """
        return self._complete(params, self.target)

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

        key, headers = self.key, self._headers()
        identity = (key, tuple(headers.items()))
        if self._open is None or self._open[0] != identity:
            self.close()
            opened = Transport(
                self.endpoint,
                key=key,
                address=self._address,
                headers=headers,
                served=self.served(),
                timeout=self._timeout,
                max_attempts=self._attempts,
                transport=self._transport,
                pace=self.pace,
                slots=self._slots,
                public=[self.model, self.target.model, *self._access.openai_names()],
            )
            self._open = (identity, opened)
        return self._open[1]

    def _headers(self) -> Mapping[str, SecretStr]:
        """Return the user's own headers, and for OpenAI those of organisation and project."""
        host = urlsplit(self.endpoint.base_url).hostname or ""
        if not (host == "openai.com" or host.endswith(".openai.com")):
            return self._access.headers
        return {**self._access.openai_headers(), **self._access.headers}

    def charge(self, completion: Completion) -> None:
        """Count the tokens of an answer toward the limit of tokens per minute."""
        if self.pace is not None:
            self.pace.charge(token_count(completion.usage))

    def pace_trouble(self) -> str | None:
        """Return what a pace of the user's own did wrong, as a sentence, once; else None."""
        return self.pace.take_trouble() if isinstance(self.pace, CheckedPace) else None

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _locate(model: str | ServedModel, access: Access) -> tuple[Target, ServerAddress, bool]:
    """Return the model, the address of its server and whether that wants a key.

    The address is ``base_url``, else the environment's, else the endpoint's own.
    """
    given = access.shown_address
    has_default = bool(os.environ.get(endpoints.OPENAI.url_variable))
    try:
        target = REGISTRY.resolve(model, base_url=given)
    except UnknownModelError:
        if not has_default:
            raise
        target = REGISTRY.resolve(model, base_url=endpoints.OPENAI.url_variable)
    endpoint = target.endpoint
    # OPENAI_BASE_URL applies only to endpoints without an address of their own, so that no other key goes there.
    variable = endpoint.url_variable or ("" if endpoint.base_url else endpoints.OPENAI.url_variable)
    is_set = bool(variable and os.environ.get(variable))
    if given is None and not is_set and not endpoint.base_url and endpoint.url_variable:
        raise SettingError(
            f"{model!r} is served by {endpoint.label} at an address you choose: set {endpoint.url_variable} or give "
            "base_url=.",
            setting="base_url",
        )
    if endpoint.launch is not None or (given is None and not is_set):
        return target, ServerAddress(endpoint.base_url), endpoint.key_required
    address = access.address if given is not None else read_address(os.environ[variable])
    if address is None:
        raise as_invalid_address(
            "base_url" if given is not None else variable, given or mask_invalid(os.environ[variable])
        )
    # The registry knows the dialect of these endpoints, and the user knows the address.
    is_own = not endpoint.key_required or not endpoint.base_url
    if given is not None and not is_own and endpoint.name != endpoints.OPENAI.name:
        # The provider's key must not go to another server.
        endpoint = endpoints.COMPATIBLE
    is_keyed = endpoint.key_required
    address = replace(address, base_url=address.base_url.removesuffix(endpoint.no_suffix))
    endpoint = replace(endpoint, base_url=address.base_url, key_required=False)
    if given is not None and endpoint.name == endpoints.OPENAI.name and "openai.com" not in address.base_url:
        # Another server that serves a model of this name: what the registry says of OpenAI's does not hold.
        endpoint = replace(endpoint, prefill=None)
    # The user's own server gets the name as written: for a router, "openai/gpt-4o" is the whole name.
    name = model.strip() if given is not None and not is_own and isinstance(model, str) else target.model
    return replace(target, model=name, spec=replace(target.spec, endpoint=endpoint)), address, is_keyed


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
    names: list[str] = []
    if params.logprobs and target.spec.support.body:
        given = params.extra_body or {}
        defaults["extra_body"] = {**target.spec.support.body, **given}
        names = [f"extra_body.{name}" for name in target.spec.support.body if name not in given]
    return params.fill(*names, **defaults) if defaults else params


def greedy(params: SamplingParams, target: Target) -> SamplingParams:
    """Return the settings with temperature 0, where they leave the temperature open and the model accepts one."""
    if params.temperature is not None or "temperature" in target.spec.refuses:
        return params
    # A model that may reason accepts a temperature only where it does not.
    effort = target.spec.support.requires.get("reasoning_effort")
    if effort is not None and not params.logprobs and params.reasoning_effort != effort:
        return params
    return params.fill(temperature=0)
