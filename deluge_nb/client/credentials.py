"""Where a key is found: the argument, the environment, a ``.env`` file, the system's keyring; in this order.

Neither python-dotenv nor keyring is needed; where one is installed, it is asked. Nothing is ever written to the
environment, where every child process would see it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

SERVICE = "deluge_nb"
"""Under which name the keyring is asked, with the environment variable's name as the user."""


def find_key(variables: Iterable[str]) -> SecretStr | None:
    """The key that one of these variables holds, as things are now.

    Parameters
    ----------
    variables
        Names of environment variables; the first that is found anywhere wins.

    Returns
    -------
    SecretStr or None
        None where there is none.
    """
    names = tuple(variables)
    for name in names:
        if value := os.environ.get(name):
            return SecretStr(value)
    file = _file()
    told = _read(*file) if file is not None else {}
    value = next((told[name] for name in names if told.get(name)), None)
    return value or _from_keyring(names)


def key_places() -> str:
    """The places where a key may be put, besides the argument, for a sentence."""
    others = [*(["a .env file"] if _installed("dotenv") else []), *(["the keyring"] if _installed("keyring") else [])]
    return f", also in {' or '.join(others)}," if others else ""


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


def _file() -> tuple[str, int] | None:
    """The nearest ``.env`` from the working folder upwards, with the time of its last change."""
    if not _installed("dotenv"):
        return None
    try:
        here = Path.cwd()
    except OSError:  # the folder is gone
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
def _read(path: str, changed: int) -> dict[str, SecretStr]:
    from dotenv import dotenv_values

    try:
        return {name: SecretStr(value) for name, value in dotenv_values(path, encoding="utf-8").items() if value}
    except (OSError, UnicodeDecodeError):
        return {}


@cache
def _from_keyring(names: tuple[str, ...]) -> SecretStr | None:
    """Asked once: some keyrings want a password each time."""
    if not _installed("keyring"):
        return None
    import keyring

    for name in names:
        try:
            value = keyring.get_password(SERVICE, name)
        except Exception:  # no keyring on this system, or a locked one: there is no key there
            return None
        if value:
            return SecretStr(value)
    return None
