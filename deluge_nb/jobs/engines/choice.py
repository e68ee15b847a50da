"""Choose the engine for the argument ``on``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...errors import invalid_argument
from .base import Engine
from .here import Here

_ENGINES = {
    "files": ("batch_files", "Files"),
    "openai-batch": ("batch_files", "OpenAIBatch"),
}


def choose_engine(on: Any) -> Engine:
    """Return the engine for an argument: None for this process, the name of an engine, or an engine.

    Raises
    ------
    SettingError
        When it is none.
    """
    if on is None:
        return Here()
    if isinstance(on, str) and on in _ENGINES:
        return getattr(import_module(f".{_ENGINES[on][0]}", __package__), _ENGINES[on][1])()
    if callable(getattr(on, "run", None)) and not isinstance(on, type):
        return on
    raise invalid_argument("on", on, f"None for this process, one of {', '.join(map(repr, _ENGINES))}, or an engine")
