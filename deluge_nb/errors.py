"""The exceptions of this package, as a tree.

.. code-block:: text

    DelugeError
    ├── SettingError(ValueError)                setting, value
    ├── UnknownModelError(ValueError)           model, suggestions
    ├── LogprobsNotSupportedError(ValueError)   model, remedy, alternative, status_code, body
    ├── MissingKeyError                         endpoint, variable
    ├── MissingDependencyError(ImportError)     package, extra
    ├── LogprobsMissingError(ValueError)        position
    ├── LogprobError(ValueError)                position, token, value
    │   ├── ProbabilityMassError            position, token, value
    │   └── InconsistentTopKError           position, token, value
    ├── LocalModelError                         path, searched
    ├── RequestError                            model, status_code, body, retry_after
    └── MalformedResponseError                  dialect, field, excerpt

Every error is one sentence for people and a set of fields for programs. All can be pickled, and none contains an API
key.
"""

from __future__ import annotations

from collections.abc import Sequence

from .printable import printable


class DelugeError(Exception):
    """Base class of all exceptions that this package raises on purpose.

    Subclasses take the message first and their fields by keyword, with defaults. Python can then pickle them: it calls
    the class with the message and restores the fields.

    Examples
    --------
    >>> from deluge_nb import DelugeError, SamplingParams
    >>> try:
    ...     SamplingParams(temperature=-1)
    ... except DelugeError as error:
    ...     print(error)
    temperature must be a number of at least 0, not -1.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class SettingError(DelugeError, ValueError):
    """Invalid value of a setting, prompt or argument.

    Attributes
    ----------
    setting : str
        Name of the setting or parameter.
    value : object
        The invalid value.

    Examples
    --------
    >>> from deluge_nb import SamplingParams, SettingError
    >>> try:
    ...     SamplingParams(top_logprobs=50, logprobs=True)
    ... except SettingError as error:
    ...     print(error.setting, error.value)
    top_logprobs 50
    """

    def __init__(self, message: str, *, setting: str = "", value: object = None) -> None:
        super().__init__(message)
        self.setting = setting
        self.value = value


class UnknownModelError(DelugeError, ValueError):
    """Model name that is not in the registry, without a ``base_url`` to send it to.

    Attributes
    ----------
    model : str
        The name.
    suggestions : tuple of str
        Similar names that are in the registry.

    Examples
    --------
    >>> from deluge_nb import LLMClient, UnknownModelError
    >>> try:
    ...     LLMClient("gtp-4o")
    ... except UnknownModelError as error:
    ...     print(error.suggestions[0])
    gpt-4o
    """

    def __init__(self, message: str, *, model: str = "", suggestions: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.model = model
        self.suggestions = tuple(suggestions)


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


class MissingKeyError(DelugeError):
    """Missing API key of a server that requires one.

    Attributes
    ----------
    endpoint : str
        Name of the server in the registry.
    variable : str
        Environment variable that can hold the key.

    Examples
    --------
    Without a key in the environment, in a ``.env`` file or in the keyring:

    >>> from deluge_nb import LLMClient, MissingKeyError
    >>> client = LLMClient("gpt-4o-mini")
    >>> try:
    ...     client.process_prompts_sync(["Hello"], show_progress=False)
    ... except MissingKeyError as error:
    ...     print(error.variable)
    OPENAI_API_KEY
    """

    def __init__(self, message: str, *, endpoint: str = "", variable: str = "") -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.variable = variable


class MissingDependencyError(DelugeError, ImportError):
    """Optional package that a feature needs and that is not installed.

    Attributes
    ----------
    package : str
        Name of the module to import.
    extra : str
        The extra of deluge-nb that installs it.

    Examples
    --------
    >>> import sys
    >>> from unittest.mock import patch
    >>> from deluge_nb import MissingDependencyError, as_logprobs
    >>> table = as_logprobs([{"token": "Yes", "logprob": -0.1}])
    >>> with patch.dict(sys.modules, pandas=None):  # as if pandas were not installed
    ...     try:
    ...         table.to_pandas()
    ...     except MissingDependencyError as error:
    ...         print(error.package, error.extra)
    pandas tables
    """

    def __init__(self, message: str, *, package: str = "", extra: str = "") -> None:
        super().__init__(message)
        self.package = package
        self.extra = extra


class LogprobsMissingError(DelugeError, ValueError):
    """Missing log-probabilities: a computation needs them and the response has none.

    Attributes
    ----------
    position : int or None
        Index of the token that has none, or None if the whole response has none.

    Examples
    --------
    >>> from deluge_nb import LogprobsMissingError, extract_prob
    >>> try:
    ...     extract_prob("yes", None)
    ... except LogprobsMissingError as error:
    ...     print(error.position)
    None
    """

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class LogprobError(DelugeError, ValueError):
    """Number that is no log-probability, or list of log-probabilities that is not consistent.

    Attributes
    ----------
    position : int or None
        Index in the list.
    token : str or None
        Text of the token.
    value : object
        The invalid number.

    Examples
    --------
    >>> from deluge_nb import LogprobError
    >>> from deluge_nb.stats import surprisal
    >>> try:
    ...     surprisal(0.5)
    ... except LogprobError as error:
    ...     print(error.position, error.value)
    0 0.5
    """

    def __init__(
        self, message: str, *, position: int | None = None, token: str | None = None, value: object = None
    ) -> None:
        super().__init__(message)
        self.position = position
        self.token = token
        self.value = value


class ProbabilityMassError(LogprobError):
    """Sum of probabilities above 1, or below 1 where the distribution should be complete.

    Attributes
    ----------
    position, token, value
        As in :class:`LogprobError`; ``value`` is the sum.

    Examples
    --------
    >>> import math
    >>> from deluge_nb import ProbabilityMassError
    >>> from deluge_nb.stats import entropy_bounds
    >>> try:
    ...     entropy_bounds([math.log(0.7), math.log(0.6)])
    ... except ProbabilityMassError as error:
    ...     print(round(error.value, 6))
    1.3
    """


class InconsistentTopKError(LogprobError):
    """List that cannot hold the likeliest tokens of a vocabulary of this size.

    The remaining probability does not fit into the tokens that are not listed, because none of them can be likelier
    than the last one of the list.

    Attributes
    ----------
    position, token, value
        As in :class:`LogprobError`; ``value`` is the probability that the list leaves out.

    Examples
    --------
    >>> import math
    >>> from deluge_nb import InconsistentTopKError
    >>> from deluge_nb.stats import entropy_bounds
    >>> try:
    ...     entropy_bounds([math.log(0.5), math.log(0.1)], vocab_size=3)
    ... except InconsistentTopKError as error:
    ...     print(round(error.value, 6))
    0.4
    """


class LocalModelError(DelugeError):
    """Failure to find, download, verify, start or keep running a local model.

    Attributes
    ----------
    path : str
        Path of the model file.
    searched : tuple of str
        Places that were searched for the file.

    Examples
    --------
    >>> from deluge_nb import LocalModel, LocalModelError
    >>> try:
    ...     LocalModel("missing.gguf")
    ... except LocalModelError as error:
    ...     print(error.path)
    missing.gguf
    """

    def __init__(self, message: str, *, path: str = "", searched: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.searched = tuple(searched)


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

    def __init__(self, message: str, *, dialect: str = "", field: str = "", excerpt: str = "") -> None:
        super().__init__(message)
        self.dialect = dialect
        self.field = field
        self.excerpt = excerpt


def invalid_argument(setting: str, value: object, requirement: str) -> SettingError:
    """Return the error for an argument with an invalid value; long values are cut to 80 characters.

    Parameters
    ----------
    setting
        Name of the parameter.
    value
        The invalid value.
    requirement
        End of the sentence "… must be", such as ``"a positive number"``.
    """
    excerpt = repr(value)
    excerpt = excerpt if len(excerpt) <= 80 else f"{excerpt[:79]}…"
    return SettingError(f"{setting} must be {requirement}, not {excerpt}.", setting=setting, value=value)
