"""What can go wrong, as a tree.

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

Every error is one sentence for people and a set of fields for programs. All of them can be pickled, and none of them
ever holds a key.
"""

from __future__ import annotations

from collections.abc import Sequence


class DelugeError(Exception):
    """Anything this package refuses, or that a model's server or the user's machine did not let it do.

    Subclasses take the sentence first and their fields by keyword, with defaults: that is what lets Python pickle them
    (it calls the class with the sentence and then restores the fields).
    """


class SettingError(DelugeError, ValueError):
    """A setting, prompt or argument has a value it cannot have."""

    def __init__(self, message: str, *, setting: str = "", value: object = None) -> None:
        super().__init__(message)
        self.setting = setting
        self.value = value


class UnknownModelError(DelugeError, ValueError):
    """No row of the registry matches the model, and no server was named to ask instead."""

    def __init__(self, message: str, *, model: str = "", suggestions: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.model = model
        self.suggestions = tuple(suggestions)


class LogprobsNotSupportedError(DelugeError, ValueError):
    """Log-probabilities were asked of a model that does not give them (or not in this way).

    ``status_code`` and ``body`` are set where the server itself refused.
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
    """The endpoint wants an API key and none was found."""

    def __init__(self, message: str, *, endpoint: str = "", variable: str = "") -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.variable = variable


class MissingDependencyError(DelugeError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, message: str, *, package: str = "", extra: str = "") -> None:
        super().__init__(message)
        self.package = package
        self.extra = extra


class LogprobsMissingError(DelugeError, ValueError):
    """A question was asked that only log-probabilities can answer, and there are none to look at."""

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class LogprobError(DelugeError, ValueError):
    """A number cannot be a log-probability, or a list of them cannot be what it is said to be.

    ``position`` is where it stands in the list, ``token`` the text it belongs to.
    """

    def __init__(
        self, message: str, *, position: int | None = None, token: str | None = None, value: object = None
    ) -> None:
        super().__init__(message)
        self.position = position
        self.token = token
        self.value = value


class ProbabilityMassError(LogprobError):
    """Probabilities add up to more than 1, or a distribution that should be complete to less."""


class InconsistentTopKError(LogprobError):
    """A list cannot be the likeliest tokens of a vocabulary of that size: what it leaves out does not fit."""


class LocalModelError(DelugeError):
    """The embedded model could not be found, fetched, verified, started or kept running."""

    def __init__(self, message: str, *, path: str = "", searched: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.searched = tuple(searched)


class RequestError(DelugeError):
    """A request failed for good: refused by the server, or out of attempts."""

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
    """A server answered with something that does not fit its dialect."""

    def __init__(self, message: str, *, dialect: str = "", field: str = "", excerpt: str = "") -> None:
        super().__init__(message)
        self.dialect = dialect
        self.field = field
        self.excerpt = excerpt


def invalid_argument(setting: str, value: object, wanted: str) -> SettingError:
    """The error for an argument that cannot be meant."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
    return SettingError(f"{setting} must be {wanted}, not {shown}.", setting=setting, value=value)
