"""Find API keys: in the environment, then in a ``.env`` file, then in the system's keyring.

python-dotenv and keyring are optional. Nothing is ever written to the environment, where every child process would see
it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from ..extras import has_extra

SERVICE = "deluge_nb"
"""Service name in the keyring. The user name there is the name of the environment variable."""

# Cached, because every call of a client looks up its keys.
_has_extra = cache(has_extra)


def find_key(variables: Iterable[str]) -> SecretStr | None:
    """Return the key from the environment, a ``.env`` file or the keyring; None if there is none.

    Parameters
    ----------
    variables
        Names of environment variables in order of preference.
    """
    names = tuple(variables)
    for name in names:
        if value := os.environ.get(name):
            return SecretStr(value)
    file = _find_env_file()
    in_file = _read_env_file(*file) if file is not None else {}
    value = next((in_file[name] for name in names if name in in_file), None)
    return value or _from_keyring(names)


def key_sources() -> str:
    """Return the places for a key besides the environment, as a part of an error message."""
    places = [*(["a .env file"] if _has_extra("dotenv") else []), *(["the keyring"] if _has_extra("keyring") else [])]
    return f", also in {' or '.join(places)}," if places else ""


def _find_env_file() -> tuple[str, int] | None:
    """Return the nearest ``.env`` from the working folder upwards, with the time of its last change."""
    if not _has_extra("dotenv"):
        return None
    try:
        here = Path.cwd()
    except OSError:  # the working folder was deleted
        return None
    for folder in (here, *here.parents):
        try:
            path = folder / ".env"
            if path.is_file():
                return str(path), path.stat().st_mtime_ns
        except OSError:
            continue
    return None


@cache
def _read_env_file(path: str, changed: int) -> dict[str, SecretStr]:
    from dotenv import dotenv_values

    try:
        return {name: SecretStr(value) for name, value in dotenv_values(path, encoding="utf-8").items() if value}
    except (OSError, UnicodeDecodeError):
        return {}


@cache
def _from_keyring(names: tuple[str, ...]) -> SecretStr | None:
    """Return the key from the keyring; cached, because some keyrings ask for a password each time."""
    if not _has_extra("keyring"):
        return None
    import keyring

    for name in names:
        try:
            value = keyring.get_password(SERVICE, name)
        except Exception:  # no keyring on this system, or a locked one
            return None
        if value:
            return SecretStr(value)
    return None
