"""Credentials of a client: keys, logins and headers as arguments, and the search for keys.

Keys are looked for in the environment, then in a ``.env`` file, then in the system's keyring. :meth:`Access.of` cannot
fail, so that a caller can forget its arguments before anything is checked: an error's traceback then has no key in a
local variable. python-dotenv and keyring are optional. Nothing is ever written to the environment, where every child
process would see it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from ..errors import SettingError
from ..extras import has_extra
from ..transport.address import ServerAddress, mask, mask_invalid, read_address

SERVICE = "deluge_nb"
"""Service name in the keyring. The user name there is the name of the environment variable."""

# The keyring of each system, in order of preference.
_BACKENDS = {
    "linux": ("SecretService.Keyring", "libsecret.Keyring", "kwallet.DBusKeyring"),
    "darwin": ("macOS.Keyring",),
    "win32": ("Windows.WinVaultKeyring",),
}

# Bytes. A longer file is no list of settings, and would be read in every folder below it.
_MAX_ENV_FILE = 1 << 20

# Names of headers may be made of these characters; values and keys must be printable ASCII.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
# Headers that say where a request ends; with another value the server would wait, or read another request.
_FRAMING = frozenset({"content-length", "transfer-encoding", "expect", "trailer", "upgrade"})
_OPENAI = {"organization": ("OPENAI_ORG_ID", "OpenAI-Organization"), "project": ("OPENAI_PROJECT_ID", "OpenAI-Project")}

# Cached, because every call of a client looks up its keys.
_has_extra = cache(has_extra)


@dataclass(frozen=True, slots=True)
class Access:
    """The arguments of a client that let it in, with secrets as ``SecretStr``.

    Parameters
    ----------
    key
        The key as given, without the white space around it.
    address
        The server's address; None if none was given, or what was given is no address.
    shown_address
        What was given as the address, masked; None if nothing was.
    headers
        The user's own headers.
    organization, project
        As OpenAI calls them.
    faults
        Arguments of a wrong type.
    """

    key: SecretStr | None = None
    address: ServerAddress | None = None
    shown_address: str | None = None
    headers: Mapping[str, SecretStr] = field(default_factory=dict)
    organization: str | None = None
    project: str | None = None
    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: Any, base_url: Any, headers: Any, organization: str | None, project: str | None) -> Self:
        """Return the arguments as credentials, unchecked; :meth:`check` raises the errors."""
        faults: list[str] = []
        if not isinstance(key, str | SecretStr | None):
            faults.append(f"api_key must be a text, not {type(key).__name__}.")
            key = None
        if not isinstance(base_url, str | None):
            faults.append(f"base_url must be a text, not {type(base_url).__name__}.")
            base_url = None
        pairs: list[tuple[Any, Any]] = list(headers.items()) if isinstance(headers, Mapping) else []
        if headers is not None and not isinstance(headers, Mapping):
            faults.append(f"extra_headers must be a dictionary of texts, not {type(headers).__name__}.")
        elif not all(isinstance(text, str) for pair in pairs for text in pair):
            faults.append("extra_headers must be a dictionary of texts; one of its names or values is none.")
            pairs = []
        for name, value in {"organization": organization, "project": project}.items():
            if value is not None and not (isinstance(value, str) and _VALUE.fullmatch(value)):
                faults.append(f"{name} must be a text of printable ASCII; the value given is none.")
                organization, project = (None, project) if name == "organization" else (organization, None)
        address = None if base_url is None else read_address(base_url)
        return cls(
            as_key(key.get_secret_value() if isinstance(key, SecretStr) else key),
            address,
            None if base_url is None else mask_invalid(base_url) if address is None else mask(base_url),
            {name: SecretStr(value.strip()) for name, value in pairs},
            organization,
            project,
            tuple(faults),
        )

    def check(self) -> None:
        """Raise an error for an argument that cannot be sent; none shows a secret."""
        for fault in self.faults:
            raise SettingError(fault, setting=fault.partition(" ")[0])
        if self.shown_address is not None and self.address is None:
            raise as_invalid_address("base_url", self.shown_address)
        check_key(self.key, "api_key")
        if self.key is not None and self.address is not None and self.address.login is not None:
            raise SettingError(
                f"base_url={self.shown_address!r} has a login, and api_key is given too; leave one of them out.",
                setting="base_url",
                value=self.shown_address,
            )
        for name, value in self.headers.items():
            if name.lower() in _FRAMING:
                raise SettingError(
                    f"extra_headers[{name!r}] is for the client to set: it says where a request ends; leave it out.",
                    setting="extra_headers",
                    value=name,
                )
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value.get_secret_value()):
                raise SettingError(
                    f"extra_headers[{name!r}] cannot be sent: names of headers are letters, digits and hyphens, and "
                    "values are printable ASCII.",
                    setting="extra_headers",
                    value=name,
                )

    def secrets_given(self) -> list[str]:
        """Return the names of the arguments that hold secrets."""
        given = {
            "api_key": self.key is not None,
            "the secrets in base_url": self.address is not None and bool(self.address.secrets),
            "extra_headers": bool(self.headers),
        }
        return [name for name, is_given in given.items() if is_given]

    def openai_headers(self) -> dict[str, SecretStr]:
        """Return the headers for organisation and project, as given or from the environment; for OpenAI only."""
        given = {"organization": self.organization, "project": self.project}
        values = {header: given[name] or os.environ.get(variable) for name, (variable, header) in _OPENAI.items()}
        return {header: SecretStr(value) for header, value in values.items() if value and _VALUE.fullmatch(value)}

    def openai_names(self) -> list[str]:
        """Return the organisation and the project, which OpenAI's errors may name."""
        return [value.get_secret_value() for value in self.openai_headers().values()]

    def carries_key(self, header: str) -> bool:
        """Return whether the user's own headers have one that carries the key."""
        return any(name.lower() in (header.lower(), "authorization") for name in self.headers)


def as_key(value: str | None) -> SecretStr | None:
    """Return a key without the white space around it; None where nothing is left."""
    return SecretStr(value.strip()) if value is not None and value.strip() else None


def check_key(key: SecretStr | None, name: str) -> None:
    """Raise an error for a key with a character that no header can hold; it names the setting, and not the key."""
    if key is None or _VALUE.fullmatch(key.get_secret_value()):
        return
    text = key.get_secret_value()
    place = next(index for index, character in enumerate(text) if not _VALUE.fullmatch(character))
    character = f"U+{ord(text[place]):04X}"
    del text
    raise SettingError(
        f"{name} cannot be a key: its character {place + 1} is {character}, which no header can hold; copy the key "
        "again.",
        setting=name,
    )


def as_invalid_address(setting: str, shown: str) -> SettingError:
    """Return the error for a text that is no address; the text must be masked already."""
    return SettingError(
        f"{setting} must be a server's address such as 'http://127.0.0.1:8000/v1', not {shown!r}.",
        setting=setting,
        value=shown,
    )


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
                state = path.stat()
                return (str(path), state.st_mtime_ns) if state.st_size <= _MAX_ENV_FILE else None
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
