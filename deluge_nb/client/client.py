"""The client: sends prompts, returns responses in the same order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from ..elsewhere import checked_call
from ..prompts import PromptLike, as_prompt
from ..response import APIResponse
from ..tools import Tool
from .calls.estimates import Estimates
from .calls.given import GivenTexts
from .calls.many import ManyResponses
from .options import Settings
from .sending.resume import Resume

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..models.spec import ServedModel
    from .stream import Stream


class LLMClient(ManyResponses, GivenTexts, Estimates):
    """A client for one or more language models.

    It works in a script and in a notebook cell. Transient failures are retried, and rate limits that a server reports
    are respected.

    Parameters
    ----------
    model_or_models
        A model's name, a :class:`deluge_nb.LocalModel`, or a list of them. The models of a list take turns.
    sampling_params
        Settings of every request, or a list with one for each model.
    model_weights
        One number for each model: its relative share of the prompts. By default, or with ``"uniform"``, all get the
        same share.
    base_url
        Address of your own server, which speaks the OpenAI chat API. Models that the registry does not know are asked
        there. It may have a login (``http://user:password@host``) and a query, as Azure's classic addresses do.
    api_key
        The key. By default, it is looked up in the endpoint's environment variable, in a ``.env`` file (needs
        python-dotenv), then in the system's keyring (needs keyring; service ``deluge_nb``).
    max_concurrent_requests
        Requests at a time, over all calls, threads and streams of this client. By default, the number recommended for
        the endpoint.
    max_requests_per_minute
        Requests that may be sent in a minute, retries included, evenly spread. By default, there is no limit.
    max_tokens_per_minute
        Tokens, in and out, that may be used in a minute. Usage is known only when a response arrives, so requests
        under way may exceed the limit; later requests are then delayed until usage is back under it.
    pace
        A :class:`Pace` that several clients share, or an object of your own with ``async turn()``, ``charge(tokens)``
        and ``hold(seconds)``; in place of the two limits per minute.
    max_attempts
        Attempts per request, the first included.
    timeout
        Longest silence in seconds; an attempt also ends after ten times this in all, headers included.
    continues
        Whether the server continues the beginning of an answer: True or False if you know it of your own server. By
        default the registry says so; for a server that it does not know, one request finds out when it is needed.
    extra_headers
        Headers of every request, in place of the client's own of the same names. Their values are kept secret.
    organization, project
        Sent to OpenAI only; by default from ``OPENAI_ORG_ID`` and ``OPENAI_PROJECT_ID``.
    transport
        An httpx transport that replaces the network, for tests and proxies of your own.
    cache
        Cache for answers: True for a file in your cache folder, a file's path, or a :class:`deluge_nb.Cache`. An answer
        with more alternatives also serves requests for fewer. The same prompt twice in one call is two draws, and both
        are cached.
    **settings
        Fields of :class:`SamplingParams`, used where ``sampling_params`` leaves them open.

    Raises
    ------
    LogprobsNotSupportedError
        If log-probabilities are requested from a model that does not return them.
    UnknownModelError
        If a name is not in the registry and no ``base_url`` is given.
    SettingError
        If a setting has an invalid value.

    Examples
    --------
    >>> from deluge_nb import LLMClient, SamplingParams
    >>> client = LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5))
    >>> client.max_top_logprobs
    20
    >>> LLMClient("gpt-4o-mini", temperature=0).sampling_params[0].temperature
    0.0
    """

    @overload
    def process_prompts_sync(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: Literal[False] = False,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[APIResponse]: ...
    @overload
    def process_prompts_sync(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: Literal[True],
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[str | None]: ...
    @checked_call
    def process_prompts_sync(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: bool = False,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[APIResponse] | list[str | None]:
        """Send all prompts and wait for the responses, in a script or in a cell.

        Parameters
        ----------
        prompts
            Texts, message lists, :class:`Conversation` or :class:`RawPrompt`.
        return_completions_only
            Return the texts alone; None for a prompt that failed.
        show_progress
            Show a progress bar.
        sampling_params
            Settings for this call, in place of the client's.
        tools
            Functions, or :class:`Tool`, that the model may call.
        output_schema
            Schema of the answers: a pydantic model, a type, or a JSON schema. See ``APIResponse.parsed``.
        use_cache
            False bypasses the client's cache: nothing is read from it or written to it.
        resume
            :attr:`interrupted` of the same call that was interrupted: only prompts without a response are asked.

        Returns
        -------
        list of APIResponse
            In the order of the prompts. The response of a prompt that failed has ``is_error`` set.

        Raises
        ------
        SettingError, LogprobsNotSupportedError, MissingKeyError, LocalModelError
            Before anything is sent, for an error that would affect every prompt.
        KeyboardInterrupt
            If interrupted; the responses that arrived are in :attr:`interrupted`. The same holds for any exception
            that ends the call after a request has been sent, such as a warning as an error.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> client = LLMClient("local", logprobs=True, temperature=0, max_new_tokens=4)
        >>> (response,) = client.process_prompts_sync(["Name a colour."], show_progress=False)
        >>> len(response.logprobs)
        4
        """
        batch = self._batch(prompts, sampling_params, tools, output_schema, use_cache, resume=resume)
        return self._run(batch, show_progress, _texts if return_completions_only else list)

    @overload
    async def process_prompts_async(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: Literal[False] = False,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[APIResponse]: ...
    @overload
    async def process_prompts_async(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: Literal[True],
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[str | None]: ...
    @checked_call
    async def process_prompts_async(
        self,
        prompts: Iterable[PromptLike],
        *,
        return_completions_only: bool = False,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[APIResponse] | list[str | None]:
        """Send all prompts and await the responses.

        Parameters
        ----------
        prompts, return_completions_only, show_progress, sampling_params, tools, output_schema, use_cache, resume
            As in :meth:`process_prompts_sync`.

        Returns
        -------
        list of APIResponse
            As from :meth:`process_prompts_sync`.

        Raises
        ------
        SettingError, LogprobsNotSupportedError, MissingKeyError, LocalModelError
            Before anything is sent, for an error that would affect every prompt.
        asyncio.CancelledError
            If cancelled; the responses that arrived are in :attr:`interrupted`.
        """
        batch = self._batch(prompts, sampling_params, tools, output_schema, use_cache, resume=resume)
        return await self._run_async(batch, show_progress, _texts if return_completions_only else list)

    @checked_call
    def stream(
        self,
        prompt: PromptLike,
        *,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
    ) -> Stream:
        """Send one prompt to the first model, and return its tokens as they arrive.

        Some servers cannot stream, or not with these settings; then all tokens arrive at once.

        Parameters
        ----------
        prompt
            A text, a message list, :class:`Conversation` or :class:`RawPrompt`.
        sampling_params, tools, output_schema, use_cache
            As in :meth:`process_prompts_sync`.

        Returns
        -------
        Stream
            To loop over with ``for`` or ``async for``. At the end its ``response`` is the whole answer.

        Raises
        ------
        SettingError, LogprobsNotSupportedError, MissingKeyError
            Before anything is sent, for a call that cannot work.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> client = LLMClient("local", logprobs=True, temperature=0, max_new_tokens=4)
        >>> with client.stream("Name a colour.") as stream:
        ...     probabilities = [token.probability for token in stream]
        >>> len(probabilities)
        4
        """
        from .stream import Stream

        as_prompt(prompt)  # its errors speak of one prompt, and those of a batch of a list
        batch = self._batch([prompt], sampling_params, tools, output_schema, use_cache)
        self._attend(batch)
        return Stream(batch, self._hide, self._keep)


@contextlib.contextmanager
def client_for(model: str | ServedModel | LLMClient) -> Iterator[LLMClient]:
    """Return a client for one call: the given one, or one for a model that is closed afterwards.

    Parameters
    ----------
    model
        A model's name, a :class:`deluge_nb.LocalModel`, or a client.
    """
    if isinstance(model, LLMClient):
        yield model
        return
    client = LLMClient(model)
    try:
        yield client
    finally:
        client.close()


def _texts(responses: list[APIResponse]) -> list[str | None]:
    return [response.completion for response in responses]
