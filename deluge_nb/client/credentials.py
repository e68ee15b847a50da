"""Find API keys: in the environment, then in a ``.env`` file, then in the system's keyring.

python-dotenv and keyring are optional. Nothing is ever written to the environment, where every child process would see
it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ..extras import has_extra
from .access import as_key, check_key

SERVICE = "deluge_nb"
"""Service name in the keyring. The user name there is the name of the environment variable."""

# The keyring of each system, in order of preference.
_BACKENDS = {
    "linux": ("SecretService.Keyring", "libsecret.Keyring", "kwallet.DBusKeyring"),
    "darwin": ("macOS.Keyring",),
    "win32": ("Windows.WinVaultKeyring",),
}

# Cached, because every call of a client looks up its keys.
_has_extra = cache(has_extra)


def find_key(variables: Iterable[str], *, in_keyring: bool = True) -> SecretStr | None:
    """Return the key from the environment, a ``.env`` file or the keyring; None if there is none.

    Parameters
    ----------
    variables
        Names of environment variables in order of preference.
    in_keyring
        Whether to ask the keyring, which may ask the user for a password.

    Raises
    ------
    SettingError
        When a variable has a character that no header can hold.
    """
    names = tuple(variables)
    for name in names:
        if (key := as_key(os.environ.get(name))) is not None:
            check_key(key, name)
            return key
    file = _find_env_file()
    in_file = _read_env_file(*file) if file is not None else {}
    for name in names:
        if (key := in_file.get(name)) is not None:
            check_key(key, f"{name} in the .env file")
            return key
    return _from_keyring(names) if in_keyring else None


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
        keys = {name: as_key(value) for name, value in dotenv_values(path, encoding="utf-8").items()}
    except (OSError, ValueError):
        return {}
    return {name: key for name, key in keys.items() if key is not None}


@cache
def _from_keyring(names: tuple[str, ...]) -> SecretStr | None:
    """Return the key from the keyring; cached, because some keyrings ask for a password each time."""
    if not _has_extra("keyring"):
        return None
    try:
        ring = _system_keyring()
        keys = (as_key(ring.get_password(SERVICE, name)) for name in names)
        return next((key for key in keys if key is not None), None)
    except Exception:  # no keyring on this system, or a locked one
        return None


def _system_keyring() -> Any:
    """Return the keyring that the user chose, else this system's.

    The package's own search loads the backends of all systems, one of which starts a compiler.
    """
    from keyring import core

    chosen = vars(core).get("_keyring_backend") or core.load_env() or core.load_config()
    if chosen is not None:
        return chosen
    for name in _BACKENDS.get(sys.platform, _BACKENDS["linux"]):
        module, _, kind = name.rpartition(".")
        backend = getattr(import_module(f"keyring.backends.{module}"), kind)
        if backend.viable:
            return backend()
    return core.fail.Keyring()
