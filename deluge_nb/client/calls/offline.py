"""Requests whose answers come another way than by a connection of the client, such as from a batch service.

The bodies are those that the client would send, and the answers are read as it reads its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import RequestError, SettingError
from ...errors.tasks import ends_task
from ...prompts import as_prompts
from ...response import APIResponse
from ...response.usage import Usage, total_usage
from ..sending.batch import plan
from ..sending.diagnosis import with_refused_fields
from ..sending.request import as_failure, as_response, build_ask, open_exchange, read_completion

if TYPE_CHECKING:
    from ...dialects.base import Ask, Request
    from ...prompts import PromptLike
    from ...sampling import SamplingParams
    from ..base import BaseClient
    from ..route import Route

# Dialects whose answers take one request, and which batch services take.
_DIALECTS = ("openai", "completions", "responses")


def offline_route(client: BaseClient, feature: str) -> Route:
    """Return the only route of a client whose requests can be answered elsewhere.

    Parameters
    ----------
    client
        The client.
    feature
        What needs it, as the subject of the error's sentence.

    Raises
    ------
    SettingError
        When it has several models, or one whose requests no batch service takes.
    """
    if len(client._routes) > 1:
        raise SettingError(
            f"{feature} asks one model, and the client has {len(client._routes)}; make a job for each.",
            setting="client",
            value=client.models,
        )
    (route,) = client._routes
    if route.endpoint.launch is not None or route.endpoint.dialect not in _DIALECTS:
        raise SettingError(
            f"{feature} needs a server with the API of OpenAI, and {route.model!r} is asked in another way; "
            "leave out on=.",
            setting="on",
            value=route.model,
        )
    return route


def check_keys(client: BaseClient) -> None:
    """Check that this process has a key for each server of a client that wants one.

    Raises
    ------
    MissingKeyError
        When one is missing.
    """
    for route in client._routes:
        route.require_key()


class Offline:
    """The requests of prompts, and the responses made of what a service has answered.

    Parameters
    ----------
    client
        A client with one model, see :func:`offline_route`.
    prompts
        The prompts.
    settings
        Settings of the requests.
    """

    def __init__(self, client: BaseClient, prompts: Sequence[PromptLike], settings: Sequence[SamplingParams]) -> None:
        # Deferred, as everywhere: it loads numpy.
        from ...logprobs.columns import Vocabulary

        self._client = client
        pairs, own = [(prompt, None) for prompt in as_prompts(prompts)], client._settings_for(list(settings))
        # Nothing is sent from here, and the service that answers has its own key.
        self._batch = plan(pairs, client._routes, own, lambda: 0, limit=None, needs_keys=False)
        self._vocabulary = Vocabulary()

    def request(self, index: int) -> Request:
        """Return the request of a prompt.

        Raises
        ------
        SettingError
            When it cannot be built.
        """
        exchange = open_exchange(self._ask(index))
        try:
            return next(exchange)
        finally:
            exchange.close()

    def response(self, index: int, status: int, body: bytes) -> APIResponse:
        """Return the response to a prompt, made of the reply of a server."""
        ask = self._ask(index)
        try:
            return as_response(ask, read_completion(ask, status, body))
        except BaseException as error:
            if ends_task(error):
                raise
            return self._failure(ask, error)

    def failure(self, index: int, reason: str, status: int | None = None) -> APIResponse:
        """Return the response to a prompt that has no reply."""
        ask = self._ask(index)
        return self._failure(ask, RequestError(f"{ask.model!r}: {reason}", model=ask.model, status_code=status))

    def collect(self, responses: Sequence[APIResponse]) -> list[APIResponse]:
        """Count the responses to all prompts as the client counts its own, and return them."""
        self._client._spending.add(total_usage(responses) + Usage(requests=len(responses)))
        return list(responses)

    def _failure(self, ask: Ask, error: BaseException) -> APIResponse:
        # A service may quote the key.
        (route,) = self._client._routes
        if isinstance(error, Exception):
            route.transport().secrets.hide_in(error)
        return as_failure(ask, error)

    def _ask(self, index: int) -> Ask:
        return with_refused_fields(build_ask(self._batch.items[index], vocabulary=self._vocabulary))
