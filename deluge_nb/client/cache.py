"""Answers that are kept: one SQLite file, which any number of processes may use at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache_dir import CACHE_VARIABLE, cache_folder
from ..errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..dialects.base import Ask, Completion

FILE = "responses.sqlite3"
# Part of the table's name: a file that another version made is used beside its own.
_VERSION = 1
_TABLE = f"responses_v{_VERSION}"
# How long another process may be waited for.
_PATIENCE = 30.0
# Looked at once in so many answers, for counting them all is not free.
_TRIMMED_EVERY = 100
_NO_LOGPROBS, _FULL_VOCABULARY = -1, 1 << 30

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS {_TABLE} (
    key BLOB NOT NULL, top INTEGER NOT NULL, used REAL NOT NULL, size INTEGER NOT NULL, answer BLOB NOT NULL,
    PRIMARY KEY (key, top)
) WITHOUT ROWID
"""


class Cache:
    """Keeps answers in a file, by everything that was asked.

    An answer with more alternatives also answers a request for fewer, or for none. Prompts are kept as fingerprints
    only, answers as they are, and keys not at all.

    Parameters
    ----------
    path
        The file; it and its folder are made if they are missing.
    max_bytes
        The size beyond which the answers that were used longest ago are dropped.

    Raises
    ------
    SettingError
        When the file cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> None:
        self.path = Path(path).expanduser()
        self._max_bytes = max_bytes
        self._puts = 0
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._thread: ThreadPoolExecutor | None = None
        self._warned = False
        try:
            self._worker().submit(self._connected).result()
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SettingError(
                f"cache={str(path)!r} cannot be used to keep answers in: {reason}.", setting="cache", value=str(path)
            ) from None

    async def get(self, key: bytes, ask: Ask) -> Completion | None:
        """The answer to a request, if one is kept that has what it asks for."""
        found = await self._do(self._read, key, _top(ask))
        if found is None:
            return None
        from .cache_codec import decode_completion

        try:
            return decode_completion(found, ask)
        except Exception:  # whatever is wrong with it, it can be asked for again
            return None

    async def put(self, key: bytes, ask: Ask, answer: Completion) -> None:
        """Keep an answer; a failure to do so is told once and costs nothing else."""
        if ask.params.logprobs and answer.logprobs is None and not answer.tool_calls:
            return
        from .cache_codec import encode_completion

        await self._do(self._write, key, _top(ask), encode_completion(answer))

    def clear(self) -> None:
        """Forget all answers."""
        self._worker().submit(self._clear).result()

    def __len__(self) -> int:
        count = self._worker().submit(lambda: self._connected().execute(f"SELECT count(*) FROM {_TABLE}").fetchone())
        return int(count.result()[0])

    def __repr__(self) -> str:
        return f"Cache({str(self.path)!r})"

    # In the thread of its own -----------------------------------------------------------------------------------------

    def _worker(self) -> ThreadPoolExecutor:
        """SQLite waits for other processes, which the event loop must not; and a connection belongs to one thread."""
        if self._thread is None or self._process != os.getpid():  # neither goes along into a forked process
            self._process, self._connection = os.getpid(), None
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="deluge-nb-cache")
        return self._thread

    async def _do(self, act: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker(), act, *arguments)
        except (OSError, sqlite3.Error) as error:
            if not self._warned:
                self._warned = True
                warnings.warn(f"Answers are not kept in {self.path}: {error}", stacklevel=2)
            return None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                # Answers are the user's own business.
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
            # With a log beside the file, readers and a writer do not wait for each other.
            _logged(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
            self._connection = connection
        return self._connection

    def _read(self, key: bytes, top: int) -> bytes | None:
        connection = self._connected()
        found = connection.execute(
            f"SELECT top, answer FROM {_TABLE} WHERE key = ? AND top >= ? ORDER BY top LIMIT 1", (key, top)
        ).fetchone()
        if found is None:
            return None
        connection.execute(f"UPDATE {_TABLE} SET used = ? WHERE key = ? AND top = ?", (time.time(), key, found[0]))
        return bytes(found[1])

    def _write(self, key: bytes, top: int, answer: bytes) -> None:
        connection = self._connected()
        row = (key, top, time.time(), len(answer), answer)
        connection.execute(f"INSERT OR REPLACE INTO {_TABLE} VALUES (?, ?, ?, ?, ?)", row)
        # What answers less than this one is needed no more.
        connection.execute(f"DELETE FROM {_TABLE} WHERE key = ? AND top < ?", (key, top))
        self._puts += 1
        if self._puts % _TRIMMED_EVERY == 1:
            self._trim(connection)

    def _trim(self, connection: sqlite3.Connection) -> None:
        over = (connection.execute(f"SELECT sum(size) FROM {_TABLE}").fetchone()[0] or 0) - self._max_bytes
        if over <= 0:
            return
        with closing(connection.execute(f"SELECT key, top, size FROM {_TABLE} ORDER BY used")) as oldest:
            gone = []
            for key, top, size in oldest:
                gone.append((key, top))
                over -= size
                if over <= 0:
                    break
        connection.executemany(f"DELETE FROM {_TABLE} WHERE key = ? AND top = ?", gone)

    def _clear(self) -> None:
        connection = self._connected()
        connection.execute(f"DELETE FROM {_TABLE}")
        connection.execute("VACUUM")


def _logged(connection: sqlite3.Connection) -> None:
    """Turn the log on; the one thing for which SQLite does not wait by itself."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def open_cache(cache: bool | str | os.PathLike[str] | Cache | None) -> Cache | None:
    """The cache that a setting means.

    Raises
    ------
    SettingError
        When it means none, or one that cannot be used.
    """
    if cache is None or cache is False:
        return None
    if isinstance(cache, Cache):
        return cache
    if cache is True:
        folder = cache_folder()
        if folder is None:
            raise SettingError(
                f"cache=True has no home folder to keep answers in; name a folder in {CACHE_VARIABLE}, or give "
                "cache='a file'.",
                setting="cache",
                value=cache,
            )
        return Cache(folder / FILE)
    if isinstance(cache, str | os.PathLike) and os.fspath(cache):
        return Cache(cache)
    raise SettingError(
        f"cache must be True, False, a file's path or a Cache, not {cache!r}.", setting="cache", value=cache
    )


def cache_key(ask: Ask, place: str, turn: int) -> bytes:
    """The fingerprint of a request, without how many alternatives it asks for.

    Parameters
    ----------
    ask
        The request.
    place
        What tells the server from others.
    turn
        How often the call has asked the same before: who asks ten times wants ten draws, not one of them ten times.
    """
    settings = ask.params.chosen()
    for name in ("logprobs", "top_logprobs", "full_vocab"):
        settings.pop(name, None)
    schema = ask.output_schema
    parts: dict[str, Any] = {
        "endpoint": [ask.endpoint.name, ask.endpoint.dialect, place],
        "model": ask.model,
        "prompt": [list(ask.prompt.messages), ask.prompt.prefill, ask.prompt.raw, ask.system, ask.continuation],
        "settings": settings,
        "tools": [[tool.name, tool.description, tool.parameters] for tool in ask.tools],
        "schema": None if schema is None else [schema.name, schema.schema],
        "turn": turn,
    }
    if ask.prompt.begun:  # added where there are any: what was kept before there could be is still found
        parts["begun"] = list(ask.prompt.begun)
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).digest()


def _top(ask: Ask) -> int:
    params = ask.params
    if not params.logprobs:
        return _NO_LOGPROBS
    return _FULL_VOCABULARY if params.full_vocab else params.top_logprobs or 0


__all__ = ["Cache", "cache_key", "open_cache"]
