"""The table of a response's log-probabilities: columns, measures, conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .table import Logprobs, TokenLogprob, TopLogprob

__all__ = ["Logprobs", "TokenLogprob", "TopLogprob"]


def __getattr__(name: str) -> Any:
    # On first use: the table needs numpy, which most of a script that only scores does without.
    if name in __all__:
        from . import table

        return getattr(table, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
