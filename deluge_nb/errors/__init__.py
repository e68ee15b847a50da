"""The exceptions of this package, as a tree.

.. code-block:: text

    DelugeError
    ├── SettingError(ValueError)                setting, value
    ├── UnknownModelError(ValueError)           model, suggestions
    ├── MissingKeyError                         endpoint, variable
    ├── MissingDependencyError(ImportError)     package, extra
    ├── LocalModelError                         path, searched
    ├── LogprobsMissingError(ValueError)        position
    ├── LogprobError(ValueError)                position, token, value
    │   ├── ProbabilityMassError                position, token, value
    │   └── InconsistentTopKError               position, token, value
    ├── LogprobsNotSupportedError(ValueError)   model, remedy, alternative, status_code, body
    ├── RequestError                            model, status_code, body, retry_after
    └── MalformedResponseError                  dialect, field, excerpt, body

Every error is one sentence for people and a set of fields for programs. All can be pickled, and none contains an API
key.
"""

from __future__ import annotations

from .base import (
    DelugeError,
    LocalModelError,
    MissingDependencyError,
    MissingKeyError,
    SettingError,
    UnknownModelError,
    invalid_argument,
)
from .numbers import InconsistentTopKError, LogprobError, LogprobsMissingError, ProbabilityMassError
from .replies import LogprobsNotSupportedError, MalformedResponseError, RequestError

__all__ = [
    "DelugeError",
    "InconsistentTopKError",
    "LocalModelError",
    "LogprobError",
    "LogprobsMissingError",
    "LogprobsNotSupportedError",
    "MalformedResponseError",
    "MissingDependencyError",
    "MissingKeyError",
    "ProbabilityMassError",
    "RequestError",
    "SettingError",
    "UnknownModelError",
    "invalid_argument",
]
