"""Check paths that users pass, with errors that name the parameter."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from .errors import SettingError, invalid_argument


def as_file(path: Any) -> Path:
    """Return the path of a file to write.

    Parameters
    ----------
    path
        The path as the user passed it; ``~`` is the home folder.

    Raises
    ------
    SettingError
        When it is no path, that of a folder, or in a folder that does not exist.
    """
    file = _as_path(path, "the path of a file to write")
    if file.is_dir():
        raise invalid_argument("path", path, "the path of a file, and this is a folder")
    if not file.parent.is_dir():
        raise invalid_argument("path", path, f"a file in a folder that exists ({str(file.parent)!r} is none)")
    return file


def as_source(path: Any) -> Path:
    """Return the path of a file to read.

    Parameters
    ----------
    path
        The path as the user passed it; ``~`` is the home folder.

    Raises
    ------
    SettingError
        When it is no path.
    """
    return _as_path(path, "the path of a file to read")


def is_endless(path: str | os.PathLike[str]) -> bool:
    """Return True for a pipe, a device or a socket: reading one may never end.

    Parameters
    ----------
    path
        The path; False if nothing is there.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def unreadable(path: Path, error: Exception) -> SettingError:
    """Return the error of a file that cannot be read.

    Parameters
    ----------
    path
        The file.
    error
        Why it cannot be read.
    """
    reason = getattr(error, "strerror", None) or str(error)
    return SettingError(f"path={str(path)!r} cannot be read: {reason}.", setting="path", value=str(path))


def write_file(path: Any, content: str | bytes) -> None:
    """Write a file, replacing one that exists.

    Parameters
    ----------
    path
        As for :func:`as_file`.
    content
        Text, which is written as UTF-8, or bytes.

    Raises
    ------
    SettingError
        As from :func:`as_file`, and when the file cannot be written.
    """
    file = as_file(path)
    try:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise SettingError(
            f"path={str(path)!r} cannot be written: {error.strerror}.", setting="path", value=str(path)
        ) from None


def _as_path(path: Any, requirement: str) -> Path:
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    if not isinstance(text, str) or not text or "\0" in text:
        raise invalid_argument("path", path, requirement)
    return Path(text).expanduser()
