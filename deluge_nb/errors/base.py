"""The base of all exceptions, and those of settings, models, keys and packages."""

from __future__ import annotations

from collections.abc import Sequence

from ..printable import printable


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
    excerpt = " ".join(map(str.strip, repr(value).splitlines()))  # arrays and frames have several lines
    excerpt = excerpt if len(excerpt) <= 80 else f"{excerpt[:79]}…"
    return SettingError(f"{setting} must be {requirement}, not {excerpt}.", setting=setting, value=value)
