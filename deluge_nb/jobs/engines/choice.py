"""Choose the engine for the argument ``on``."""

from __future__ import annotations

from typing import Any

from ...errors import invalid_argument
from .base import Engine
from .here import Here


def choose_engine(on: Any) -> Engine:
    """Return the engine for an argument: None for this process, or an engine.

    Raises
    ------
    SettingError
        When it is none.
    """
    if on is None:
        return Here()
    if callable(getattr(on, "run", None)) and not isinstance(on, type):
        return on
    raise invalid_argument("on", on, "None for this process, or an engine with run(parts, worker)")
