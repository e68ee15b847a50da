"""Files that appear whole, and the lock of a folder."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import SettingError
from ...paths import is_endless

# Names that files of a job have until they are whole; out= may be a folder that has other files.
_UNFINISHED = re.compile(
    r"(job\.json|batch\.json|input\.parquet|part-\d+\.parquet|probe\.tmp|[\w-]+\.jsonl)\.[0-9a-f]{12}\.tmp"
)
# Seconds between two attempts to get the lock.
_LOCK_TICK = 0.1
# Seconds of waiting for the lock after which a message says why.
_PATIENCE = 1.0


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file that appears whole or not at all, under its name, also if the machine loses its power.

    Parameters
    ----------
    path
        The file, which is replaced if it exists. A link stays, and the file that it names is replaced.
    write
        Writes the content to an open file.

    Raises
    ------
    SettingError
        When the file cannot be written, as in a folder without permission or on a full disk, or is a pipe or a device.
    """
    path = path.resolve()
    if is_endless(path):  # a file would take the place of the device, for all users of the machine
        raise SettingError(f"{path} is a pipe or a device; name a file.", setting="out", value=str(path))
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError) and error.strerror:
            raise _unwritable(path, error) from None
        raise
    _sync_folder(path.parent)


def _unwritable(path: Path, error: OSError) -> SettingError:
    return SettingError(
        f"{path} cannot be written ({error.strerror}); mend that, or choose another folder.",
        setting="out",
        value=str(path),
    )


def _sync_folder(folder: Path) -> None:
    # Elsewhere than on POSIX a folder cannot be opened, and need not be.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder, and no other file."""
    for path in folder.glob("*.tmp"):
        if _UNFINISHED.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


@contextlib.contextmanager
def locked(folder: Path, notify: Callable[[str], object] = lambda message: None) -> Iterator[bool]:
    """Hold the lock of a folder: one process at a time works on a job, so that none pays for the rows of another.

    The system gives the lock back when its process ends, however it ends. Where a file system has no locks, nothing is
    locked: two drivers are then harmless, and rows may be asked twice. Nor is a folder that cannot be written to.

    Parameters
    ----------
    folder
        The folder.
    notify
        Receives a sentence if another process has the lock.

    Yields
    ------
    bool
        False where there are no locks.
    """
    try:
        file = (folder / "lock").open("a+")
    except OSError:  # a finished job can still be read there, and what writes to it says why it cannot
        yield False
        return
    with file:
        begin, is_said = time.monotonic(), False
        while (is_locked := _try_lock(file)) is False:
            if not is_said and time.monotonic() - begin > _PATIENCE:
                is_said = True
                notify(f"{_holder(folder)} works on {folder}; this run waits, and then asks what is missing.")
            time.sleep(_LOCK_TICK)
        with contextlib.suppress(OSError):
            (folder / "lock.holder").write_text(f"Process {os.getpid()} on {socket.gethostname()}")
        try:
            yield is_locked is True
        finally:
            if is_locked:
                # Also where a forked child has the file open.
                _unlock(file)


def _holder(folder: Path) -> str:
    try:
        return (folder / "lock.holder").read_text()[:200] or "Another process"
    except OSError:
        return "Another process"


def _unlock(file: Any) -> None:
    module = importlib.import_module("msvcrt" if os.name == "nt" else "fcntl")
    with contextlib.suppress(OSError):
        if os.name == "nt":
            file.seek(0)
            module.locking(file.fileno(), module.LK_UNLCK, 1)
        else:
            module.flock(file, module.LOCK_UN)


def _try_lock(file: Any) -> bool | None:
    """Return whether the lock was free; None where there are no locks."""
    try:
        module = importlib.import_module("msvcrt" if os.name == "nt" else "fcntl")
    except ImportError:
        return None
    try:
        if os.name == "nt":
            file.seek(0)
            module.locking(file.fileno(), module.LK_NBLCK, 1)
        else:
            module.flock(file, module.LOCK_EX | module.LOCK_NB)
    except OSError as error:
        return False if isinstance(error, BlockingIOError | PermissionError) else None
    return True
