"""What lets a client in: its key, its server's address, headers of its own, organisation and project.

All of it may be secret. :meth:`Access.of` cannot fail, so that a caller can forget its arguments before anything is
checked: an error's traceback then has no key in a local variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import SecretStr

from ..errors import SettingError
from ..transport.address import ServerAddress, mask, read_address

# Names of headers may be made of these characters; values and keys must be printable ASCII.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OPENAI = {"organization": ("OPENAI_ORG_ID", "OpenAI-Organization"), "project": ("OPENAI_PROJECT_ID", "OpenAI-Project")}


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
        """Return the arguments in this form; what is wrong with them is told by :meth:`check`."""
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
        return cls(
            as_key(key.get_secret_value() if isinstance(key, SecretStr) else key),
            None if base_url is None else read_address(base_url),
            None if base_url is None else mask(base_url),
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
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value.get_secret_value()):
                raise SettingError(
                    f"extra_headers[{name!r}] cannot be sent: names of headers are letters, digits and hyphens, and "
                    "values are printable ASCII.",
                    setting="extra_headers",
                    value=name,
                )

    def openai_headers(self) -> dict[str, SecretStr]:
        """Return the headers for organisation and project, as given or from the environment; for OpenAI only."""
        given = {"organization": self.organization, "project": self.project}
        values = {header: given[name] or os.environ.get(variable) for name, (variable, header) in _OPENAI.items()}
        return {header: SecretStr(value) for header, value in values.items() if value and _VALUE.fullmatch(value)}

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
