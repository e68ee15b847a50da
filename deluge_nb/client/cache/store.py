"""Cache of answers in one SQLite file, which several processes may use at the same time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cache_dir import CACHE_VARIABLE, cache_folder
from ...dialects.reading.failures import is_failure
from ...errors import SettingError, invalid_argument
from ...printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...dialects.base import Ask, Completion

FILE = "responses.sqlite3"
# Part of the table's name, so that versions with different formats can share a file.
_VERSION = 1
_PREFIX = "responses_v"
_TABLE = f"{_PREFIX}{_VERSION}"
# Seconds to wait for another process.
_LOCK_TIMEOUT = 30.0
# Answers between two checks of the size, because summing all sizes takes time.
_TRIM_INTERVAL = 100
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_NO_LOGPROBS, _FULL_VOCABULARY = -1, 1 << 30

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS {_TABLE} (
    key BLOB NOT NULL, top INTEGER NOT NULL, used REAL NOT NULL, size INTEGER NOT NULL, answer BLOB NOT NULL,
    PRIMARY KEY (key, top)
) WITHOUT ROWID
"""


class Cache:
    """A cache of answers in a file, keyed by the whole request.

    An answer with more alternatives also serves requests for fewer, or for none. Prompts are stored only as hashes;
    answers are stored in full, and API keys not at all.

    Parameters
    ----------
    path
        The file. It and its folder are created if missing.
    max_bytes
        Size of the answers in bytes above which the least recently used are dropped.

    Raises
    ------
    SettingError
        If the file cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> from deluge_nb import Cache, LLMClient
    >>> cache = Cache(tempfile.mkdtemp() + "/answers.sqlite3", max_bytes=100_000_000)
    >>> client = LLMClient("gpt-4o-mini", cache=cache)
    >>> len(cache)
    0
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> None:
        try:
            self.path = Path(path).expanduser()
        except (TypeError, RuntimeError) as error:
            raise _unusable(path, error) from None
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise invalid_argument("max_bytes", max_bytes, "an integer of at least 1")
        self._max_bytes = max_bytes
        self._puts = 0
        self._connection: sqlite3.Connection | None = None
        self._identity, self._waits = (0, 0), True
        self._process = 0
        self._thread: ThreadPoolExecutor | None = None
        self._trouble: str | None = None
        self._reported = False
        try:
            self._worker().submit(self._connect).result()
        except (OSError, sqlite3.Error, ValueError) as error:
            raise _unusable(self.path, error) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), max_bytes=self._max_bytes), (self.path,)

    async def get(self, key: bytes, ask: Ask) -> Completion | None:
        """Return the cached answer to a request.

        Parameters
        ----------
        key
            The request's :func:`cache_key`.
        ask
            The request.

        Returns
        -------
        Completion or None
            None if there is no answer with enough alternatives.
        """
        packed = await self._in_thread(self._read, key, _top(ask))
        if packed is None:
            return None
        from .codec import decode_completion

        try:
            answer = decode_completion(packed, ask)
        except Exception:  # a damaged answer can be requested again
            return None
        return answer if is_whole(answer) else None

    async def put(self, key: bytes, ask: Ask, answer: Completion) -> None:
        """Cache an answer, unless it failed or cannot be stored.

        If the file cannot be used any more, :meth:`take_trouble` says so, and there is no other effect.

        Parameters
        ----------
        key
            The request's :func:`cache_key`.
        ask
            The request.
        answer
            Its answer.
        """
        if not is_whole(answer) or (ask.params.logprobs and answer.logprobs is None and not answer.tool_calls):
            return
        from .codec import encode_completion

        try:
            packed = encode_completion(answer)
        except Exception:  # such as half a character, or a number of more than 64 bits
            return
        await self._in_thread(self._write, key, _top(ask), packed)

    def take_trouble(self) -> str | None:
        """Return why answers are not cached, as a sentence, the first time that it is asked for.

        Returns
        -------
        str or None
            None if answers are cached, or the sentence has been returned before.

        Examples
        --------
        >>> import tempfile
        >>> from deluge_nb import Cache
        >>> Cache(tempfile.mkdtemp() + "/answers.sqlite3").take_trouble() is None
        True
        """
        if self._trouble is None or self._reported:
            return None
        self._reported = True
        return self._trouble

    def clear(self) -> None:
        """Delete all answers."""
        self._worker().submit(self._clear).result()

    def __len__(self) -> int:
        count = self._worker().submit(lambda: self._connect().execute(f"SELECT count(*) FROM {_TABLE}").fetchone())
        return int(count.result()[0])

    def __repr__(self) -> str:
        return f"Cache({str(self.path)!r})"

    # In the cache's own thread ---------------------------------------------------------------------------------------

    def _worker(self) -> ThreadPoolExecutor:
        """Return the thread that uses the connection: waiting for other processes must not block the event loop."""
        if self._thread is None or self._process != os.getpid():  # a forked process inherits neither
            self._process, self._connection = os.getpid(), None
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="deluge-nb-cache")
        return self._thread

    async def _in_thread(self, act: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker(), act, *arguments)
        except Exception as error:  # no trouble with the file, or with its thread, may cost an answer
            self._note_trouble(error)
            return None

    def _note_trouble(self, error: Exception) -> None:
        # Reported by the call, at its end: as an error, a warning on this thread would cost an answer.
        self._trouble = self._trouble or f"Answers are not cached in {self.path}: {error}{_remedy(error)}."

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                # Only the user may read the answers.
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(self.path, timeout=_LOCK_TIMEOUT, isolation_level=None)
            try:
                _check_tables(connection)
                # With a write-ahead log, readers and a writer do not wait for each other.
                _enable_wal(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(_SCHEMA)
                connection.execute(f"SELECT key, top, used, size, answer FROM {_TABLE} LIMIT 0")
            except BaseException:
                connection.close()
                raise
            self._connection, self._waits = connection, True
            self._identity = _identity(self.path.stat())
        return self._connection

    def _check_file(self, *, writes: bool = True) -> None:
        """Check that the file is still there and, to write, may be written to; SQLite goes on with one that is gone.

        Raises
        ------
        OSError
            When it is not; a file that was deleted is made anew the next time.
        """
        try:
            state = self.path.stat()
        except FileNotFoundError:
            state = None
        if state is None or _identity(state) != self._identity:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()
            raise OSError("the file was deleted under way, and a new one has been begun")
        # An open file could still be written to.
        if writes and not state.st_mode & _WRITABLE:
            raise OSError("the file was made read-only under way")

    def _read(self, key: bytes, top: int) -> bytes | None:
        connection = self._connect()
        self._check_file(writes=False)
        row = connection.execute(
            f"SELECT top, answer FROM {_TABLE} WHERE key = ? AND top >= ? ORDER BY top LIMIT 1", (key, top)
        ).fetchone()
        if row is None:
            return None
        try:
            connection.execute(f"UPDATE {_TABLE} SET used = ? WHERE key = ? AND top = ?", (time.time(), key, row[0]))
        except sqlite3.Error as error:  # a full disk, or a file that is read-only by now, still holds this answer
            self._note_trouble(error)
            self._wait_for_locks(False)
        return bytes(row[1])

    def _write(self, key: bytes, top: int, answer: bytes) -> None:
        connection = self._connect()
        self._check_file()
        row = (key, top, time.time(), len(answer), answer)
        try:
            connection.execute(f"INSERT OR REPLACE INTO {_TABLE} VALUES (?, ?, ?, ?, ?)", row)
        except sqlite3.Error:
            self._wait_for_locks(False)
            raise
        self._wait_for_locks(True)
        # Answers with fewer alternatives are now superfluous.
        connection.execute(f"DELETE FROM {_TABLE} WHERE key = ? AND top < ?", (key, top))
        self._puts += 1
        if self._puts % _TRIM_INTERVAL == 1:
            self._trim(connection)

    def _wait_for_locks(self, waits: bool) -> None:
        """Wait for a lock of another program, or no more after one that is not released: each answer would wait."""
        if self._connection is not None and waits != self._waits:
            self._connection.execute(f"PRAGMA busy_timeout = {_LOCK_TIMEOUT * 1000 if waits else 0:.0f}")
            self._waits = waits

    def _trim(self, connection: sqlite3.Connection) -> None:
        excess = (connection.execute(f"SELECT sum(size) FROM {_TABLE}").fetchone()[0] or 0) - self._max_bytes
        if excess <= 0:
            return
        with closing(connection.execute(f"SELECT key, top, size FROM {_TABLE} ORDER BY used")) as oldest:
            dropped = []
            for key, top, size in oldest:
                dropped.append((key, top))
                excess -= size
                if excess <= 0:
                    break
        connection.executemany(f"DELETE FROM {_TABLE} WHERE key = ? AND top = ?", dropped)

    def _clear(self) -> None:
        connection = self._connect()
        connection.execute(f"DELETE FROM {_TABLE}")
        connection.execute("VACUUM")


def is_whole(answer: Completion) -> bool:
    """Return whether an answer came to its end; one that failed or was cut off must be asked for again."""
    has_failed = getattr(answer, "error", None) is not None  # one choice beside others
    return not has_failed and not is_failure(answer.finish_reason) and all(map(is_whole, answer.others))


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _unusable(path: object, error: Exception) -> SettingError:
    reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
    return SettingError(
        f"cache={str(path)!r} cannot be used as a cache: {reason}{_remedy(error)}.", setting="cache", value=path
    )


def _remedy(error: Exception) -> str:
    is_damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
    return "; it may be deleted, and a new one will be made" if is_damaged else ""


def _check_tables(connection: sqlite3.Connection) -> None:
    """Raise a ValueError for the database of another program, into which no answer may be written."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if tables and not any(name.startswith(_PREFIX) for name in tables):
        raise ValueError(
            f"it is a database of another program, with the table {printable(tables[0])!r}; name another file"
        )


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite itself does not wait for a lock here."""
    until = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def open_cache(cache: bool | str | os.PathLike[str] | Cache | None) -> Cache | None:
    """Return the cache for the setting ``cache``.

    Raises
    ------
    SettingError
        If the setting is invalid, or the file cannot be used.
    """
    if cache is None or cache is False:
        return None
    if isinstance(cache, Cache):
        return cache
    if cache is True:
        folder = cache_folder()
        if folder is None:
            raise SettingError(
                f"cache=True needs a home folder, and there is none; name a folder in {CACHE_VARIABLE}, or give "
                "cache='a file'.",
                setting="cache",
                value=cache,
            )
        return Cache(folder / FILE)
    if isinstance(cache, str | os.PathLike) and cache != "":
        return Cache(cache)
    raise SettingError(
        f"cache must be True, False, a file's path or a Cache, not {cache!r}.", setting="cache", value=cache
    )


def cache_key(ask: Ask, address: str, draw: int) -> bytes:
    """Return the hash of a request, which leaves out the number of alternatives it asks for.

    Parameters
    ----------
    ask
        The request.
    address
        Identifies the server.
    draw
        Number of equal requests before this one in the same call: ten equal requests are ten draws.
    """
    settings = ask.params.chosen()
    for name in ("logprobs", "top_logprobs", "full_vocab"):
        settings.pop(name, None)
    schema = ask.output_schema
    parts: dict[str, Any] = {
        "endpoint": [ask.endpoint.name, ask.endpoint.dialect, address],
        "model": ask.model,
        "prompt": [list(ask.prompt.messages), ask.prompt.prefill, ask.prompt.raw, ask.system, ask.continuation],
        "settings": settings,
        "tools": [[tool.name, tool.description, tool.parameters] for tool in ask.tools],
        "schema": None if schema is None else [schema.name, schema.schema],
        "turn": draw,
    }
    # Only where present, so that keys of older versions stay valid.
    if ask.prompt.begun:
        parts["begun"] = list(ask.prompt.begun)
    if ask.ends:
        parts["ends"] = True
    try:
        text = json.dumps(parts, sort_keys=True, default=str)
    except TypeError:  # keys of several types have no order until they are texts
        text = json.dumps(json.loads(json.dumps(parts, default=str)), sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _top(ask: Ask) -> int:
    params = ask.params
    if not params.logprobs:
        return _NO_LOGPROBS
    return _FULL_VOCABULARY if params.full_vocab else params.top_logprobs or 0


__all__ = ["Cache", "cache_key", "open_cache"]
