"""Models on the user's own machine: the embedded one, and any GGUF file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import SettingError
from ..models import catalogue, endpoints
from ..models.spec import ModelSpec
from . import weights
from .gguf import read_header
from .server import LlamaServer, server_for

_CONTEXT = 2048
_LONGEST = 1 << 20

# Held, so that it does not end between two clients of the registry's ``local``.
_default: LlamaServer | None = None


class LocalModel:
    """A model file served by llama.cpp in a child process of this one.

    Give it to :class:`deluge_nb.LLMClient` in place of a name. The server is started on first use and shared by all
    clients of the same file.

    Parameters
    ----------
    path
        A GGUF file; the embedded model if left out.
    name
        What responses call it; the file's name without its ending if left out.
    context
        Tokens that a prompt and its completion may have together.
    system
        The instruction used where a prompt brings none.
    defaults
        Fields of :class:`SamplingParams` used where the user leaves them open.

    Raises
    ------
    LocalModelError
        When the file is missing, truncated, or no GGUF.
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
        # A context of a token or two makes the runtime abort.
        if isinstance(context, bool) or not isinstance(context, int) or not 64 <= context <= _LONGEST:
            raise SettingError(
                f"context must be an integer from 64 to {_LONGEST:,}, not {context!r}.",
                setting="context",
                value=context,
            )
        self._path = None if path is None else Path(path).expanduser()
        self._context = context
        self._server: LlamaServer | None = None
        if self._path is not None:
            read_header(self._path)
        self.name = name or ("local" if self._path is None else self._path.stem)
        row = next(spec for spec in catalogue.BUILT_IN if spec.pattern == "local")
        own = self._path is not None
        self.spec: ModelSpec = replace(
            row,
            pattern=self.name.lower(),
            endpoint=replace(endpoints.LOCAL, launch=self._serve),
            aliases=(),
            shown_as="",
            system=system if own or system is not None else row.system,
            defaults={**({"max_new_tokens": 60} if own else row.defaults), **(defaults or {})},
        )

    def _serve(self) -> LlamaServer:
        # Held, for a server ends with the last who holds it.
        self._server = server_for(self._path or weights.locate(), self.name, self._context)
        return self._server

    def start(self) -> None:
        """Start the server now rather than on first use.

        Raises
        ------
        LocalModelError
            When it does not start; with the end of its log.
        """
        self._serve().address()

    def close(self) -> None:
        """End the server; it is started again when needed."""
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
    """The server of the model called ``local``; its weights are found or fetched.

    Raises
    ------
    LocalModelError
        When there are no weights to be had.
    """
    global _default
    _default = server_for(weights.locate(), "local", _CONTEXT)
    return _default
