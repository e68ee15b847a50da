"""Models on the user's own machine: the embedded model, and any GGUF file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import SettingError, invalid_argument
from ..models import catalogue, endpoints
from ..models.spec import ModelSpec
from . import weights
from .gguf import read_header
from .server import LlamaServer, server_for

_CONTEXT = 2048
_MAX_CONTEXT = 1 << 20

# Kept alive, so that the server does not end between two clients of the registry's ``local``.
_default: LlamaServer | None = None


class LocalModel:
    """Model file that llama.cpp serves in a child process.

    Pass it to :class:`deluge_nb.LLMClient` in place of a model's name. The server starts on first use; all clients of
    the same file share it.

    Parameters
    ----------
    path
        A GGUF file; the embedded model by default.
    name
        Name of the model in responses; by default the file's name without its ending.
    context
        Maximum number of tokens of a prompt and its completion together, from 64 to 1,048,576.
    system
        Instruction for prompts without one.
    defaults
        Values for settings of :class:`SamplingParams` that the user does not set.

    Raises
    ------
    LocalModelError
        When the file is missing, truncated, or not GGUF.
    SettingError
        When an argument has an invalid value.

    Examples
    --------
    >>> from deluge_nb import LocalModel
    >>> model = LocalModel(context=1024, system="Answer briefly.")
    >>> model.name, model.spec.system
    ('local', 'Answer briefly.')
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        context: int = _CONTEXT,
        system: str | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        # The runtime aborts if the context is only a few tokens long.
        if isinstance(context, bool) or not isinstance(context, int) or not 64 <= context <= _MAX_CONTEXT:
            raise SettingError(
                f"context must be an integer from 64 to {_MAX_CONTEXT:,}, not {context!r}.",
                setting="context",
                value=context,
            )
        if path is not None and (not isinstance(path, str | os.PathLike) or os.fspath(path) == "" or "\0" in str(path)):
            raise invalid_argument("path", path, "the path of a GGUF file, or None for the embedded model")
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise invalid_argument("name", name, "a text that is not empty, or None")
        if system is not None and not isinstance(system, str):
            raise invalid_argument("system", system, "a text or None")
        self._path = None if path is None else Path(path).expanduser()
        self._context = context
        self._server: LlamaServer | None = None
        self._given = {"name": name, "context": context, "system": system, "defaults": defaults}
        if self._path is not None:
            read_header(self._path)
        self.name = name or ("local" if self._path is None else self._path.stem)
        row = next(spec for spec in catalogue.BUILT_IN if spec.pattern == "local")
        is_own_file = self._path is not None
        self.spec: ModelSpec = replace(
            row,
            pattern=self.name.lower(),
            endpoint=replace(endpoints.LOCAL, launch=self._serve),
            aliases=(),
            shown_as="",
            system=system if is_own_file or system is not None else row.system,
            defaults={**({"max_new_tokens": 60} if is_own_file else row.defaults), **(defaults or {})},
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # The server of another process is another one.
        return partial(type(self), **self._given), (self._path,)

    def _serve(self) -> LlamaServer:
        # Kept alive: a server ends with the last reference to it.
        self._server = server_for(self._path or weights.locate(), self.name, self._context)
        return self._server

    def start(self) -> None:
        """Start the server now, not on first use.

        Raises
        ------
        LocalModelError
            When the server does not start; the message has the end of its log.
        """
        self._serve().address()

    def close(self) -> None:
        """Stop the server; it is started again when needed."""
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LocalModel({str(self._path)!r})" if self._path is not None else "LocalModel()"


def default_server() -> LlamaServer:
    """Return the server of the model ``local``; download its weights if they are not on this machine.

    Raises
    ------
    LocalModelError
        When the weights cannot be found, downloaded or verified.
    """
    global _default
    _default = server_for(weights.locate(), "local", _CONTEXT)
    return _default
