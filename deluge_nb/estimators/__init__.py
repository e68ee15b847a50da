"""Classify texts with a language model through scikit-learn's interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classifier import LogprobClassifier

__all__ = ["LogprobClassifier"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the class needs scikit-learn, which is optional.
    if name in __all__:
        from .classifier import LogprobClassifier

        return LogprobClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
