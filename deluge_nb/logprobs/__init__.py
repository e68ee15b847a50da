"""Table of a response's log-probabilities: columns, measures, conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .entries import TokenLogprob, TopLogprob
    from .table import Logprobs

__all__ = ["Logprobs", "TokenLogprob", "TopLogprob"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the table needs numpy, and a script that only asks a model does not.
    if name == "Logprobs":
        from .table import Logprobs

        return Logprobs
    if name in __all__:
        from . import entries

        return getattr(entries, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
