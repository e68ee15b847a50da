"""Choose the engine for the argument ``on``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from ...errors import SettingError, invalid_argument
from .base import Engine
from .here import Here

_ENGINES = {
    "dask": ("clusters.dask", "Dask"),
    "files": ("batch_files", "Files"),
    "ray": ("clusters.ray", "Ray"),
    "openai-batch": ("batch_files", "OpenAIBatch"),
}


def choose_engine(on: Any) -> Engine:
    """Return the engine for an argument: None for this process, the name of an engine, an engine, or a client of one.

    Raises
    ------
    SettingError
        When it is none.
    MissingDependencyError
        When the engine's package is not installed.
    """
    if on is None:
        return Here()
    if isinstance(on, str) and on in _ENGINES:
        return getattr(import_module(f".{_ENGINES[on][0]}", __package__), _ENGINES[on][1])()
    # What is not imported, nobody has an object of.
    distributed = sys.modules.get("distributed")
    if distributed is not None and isinstance(on, distributed.Client):
        return import_module(".clusters.dask", __package__).Dask(on)
    if distributed is not None and isinstance(on, distributed.deploy.Cluster):
        raise SettingError(
            f"on must be a client of dask.distributed, not {on!r}; pass on=cluster.get_client().",
            setting="on",
            value=on,
        )
    if callable(getattr(on, "run", None)) and not isinstance(on, type):
        return on
    raise invalid_argument("on", on, f"None for this process, one of {', '.join(map(repr, _ENGINES))}, or an engine")
