"""Exceptions of requests, and of the replies of servers."""

from __future__ import annotations

from .base import DelugeError


class LogprobsNotSupportedError(DelugeError, ValueError):
    """Request for log-probabilities that the model does not return, or not with these settings.

    Attributes
    ----------
    model : str
        The model's name.
    remedy : str
        The change that makes the request possible.
    alternative : str
        A model that returns log-probabilities.
    status_code : int or None
        HTTP status, if the server refused the request; None if it was refused before it was sent.
    body : object
        Body of the server's reply, or None.

    Examples
    --------
    >>> from deluge_nb import LLMClient, LogprobsNotSupportedError
    >>> try:
    ...     LLMClient("claude-sonnet-4-5", logprobs=True)
    ... except LogprobsNotSupportedError as error:
    ...     print(error.remedy, "/", error.alternative)
    leave out logprobs=True / gpt-4o-mini
    """

    def __init__(
        self,
        message: str,
        *,
        model: str = "",
        remedy: str = "",
        alternative: str = "",
        status_code: int | None = None,
        body: object = None,
    ) -> None:
        super().__init__(message)
        self.model = model
        self.remedy = remedy
        self.alternative = alternative
        self.status_code = status_code
        self.body = body


class RequestError(DelugeError):
    """Permanent failure of a request: the server refused it, or all attempts failed.

    Calls for many prompts do not raise it; each failed response has it as ``error``.

    Attributes
    ----------
    model : str
        The model's name.
    status_code : int or None
        HTTP status of the last reply, or None if there was none.
    body : object
        Body of the last reply.
    retry_after : float or None
        Seconds that the server asked to wait.

    Examples
    --------
    >>> import httpx
    >>> from deluge_nb import LLMClient, RequestError
    >>> server = httpx.MockTransport(lambda request: httpx.Response(401, json={"error": "wrong key"}))
    >>> client = LLMClient("gpt-4o-mini", api_key="sk-invalid", transport=server)
    >>> response = client.process_prompts_sync(["Hello"], show_progress=False)[0]
    >>> isinstance(response.error, RequestError), response.error.status_code
    (True, 401)
    """

    def __init__(
        self,
        message: str,
        *,
        model: str = "",
        status_code: int | None = None,
        body: object = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.model = model
        self.status_code = status_code
        self.body = body
        self.retry_after = retry_after


class MalformedResponseError(DelugeError):
    """Reply that does not fit the server's protocol.

    Calls for many prompts do not raise it; each failed response has it as ``error``.

    Attributes
    ----------
    dialect : str
        Name of the protocol.
    field : str
        Name of the field that is missing or wrong, if it is a single one.
    excerpt : str
        The beginning of the reply.
    body : object
        The reply, parsed if it is JSON, else as text.

    Examples
    --------
    >>> import httpx
    >>> from deluge_nb import LLMClient, MalformedResponseError
    >>> server = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>"))
    >>> client = LLMClient("gpt-4o-mini", api_key="sk-example", transport=server)
    >>> response = client.process_prompts_sync(["Hello"], show_progress=False)[0]
    >>> isinstance(response.error, MalformedResponseError), response.error.excerpt
    (True, '<html>')
    """

    def __init__(
        self, message: str, *, dialect: str = "", field: str = "", excerpt: str = "", body: object = None
    ) -> None:
        super().__init__(message)
        self.dialect = dialect
        self.field = field
        self.excerpt = excerpt
        self.body = body
