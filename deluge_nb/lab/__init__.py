"""Calls in the order of a lesson: what stands first in the text comes first."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..reading import next_token
    from .texts import read

__all__ = ["next_token", "read"]


def __getattr__(name: str) -> Any:
    if name == "next_token":
        from ..reading import next_token

        return next_token
    if name == "read":
        from .texts import read

        return read
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
