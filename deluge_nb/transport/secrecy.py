"""Keep keys and passwords secret: what counts as one, how it is hidden in a text, and which headers carry it.

A secret is a ``SecretStr`` until the call that sends it, so that no frame of a traceback has it in a local variable.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

from pydantic import SecretStr

from ..models.spec import Endpoint

HIDDEN = "[key]"
# Characters. A word that a guide tells people to write in place of a key, such as "ollama", is none.
_SHORTEST, _SHORTEST_WORD = 8, 20
_WORD = re.compile(r"[A-Za-z_-]*")
# A server's error may nest as deeply as it likes.
_DEEPEST = 50


def is_secret(value: str) -> bool:
    """Return whether a value is a secret, and not a word in place of one.

    No provider issues keys that are shorter than 8 characters, or made of fewer than 20 letters alone.
    """
    return len(value) >= (_SHORTEST_WORD if _WORD.fullmatch(value) else _SHORTEST)


class Secrets:
    """Hides secrets in texts and errors; a text that a server quotes may have been escaped, or cut short.

    Parameters
    ----------
    values
        Keys, passwords and values of headers; those that are no secrets are ignored.
    """

    def __init__(self, values: Iterable[SecretStr | None]) -> None:
        parts = [part for value in values if value is not None for part in _parts(value)]
        self._values = [part for part in parts if is_secret(part.get_secret_value())]

    def hide(self, text: str) -> str:
        """Return a text without the secrets, and without the first part of one that was cut."""
        for value in self._values:
            text = _hide(text, value)
        return text

    def hide_in(self, error: Exception) -> None:
        """Hide the secrets in the message, the notes and the fields of an error."""
        if not self._values:
            return
        error.args = tuple(self._hide_within(part) for part in error.args)
        for name, value in list(vars(error).items()):
            setattr(error, name, self._hide_within(value))

    def _hide_within(self, value: Any, depth: int = 0) -> Any:
        """Return a value of JSON without the secrets; its parts below a certain depth are left out."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, bytes):
            return self.hide(value.decode("utf-8", "replace")).encode()
        if isinstance(value, list | tuple | dict) and depth >= _DEEPEST:
            return "…"
        if isinstance(value, list | tuple):
            return type(value)([self._hide_within(item, depth + 1) for item in value])
        if isinstance(value, dict):
            return {
                self._hide_within(name, depth + 1): self._hide_within(item, depth + 1) for name, item in value.items()
            }
        return value


def _parts(secret: SecretStr) -> list[SecretStr]:
    """Return the value of a header with the parts that a server may quote alone: a token without its scheme, a cookie.

    A scheme is no part of the secret: "Bearer t" also begins what a server says of bearer tokens.
    """
    value = secret.get_secret_value()
    if (token := re.fullmatch(r"[A-Za-z-]+ +(\S+)", value)) is not None:
        return [SecretStr(token[1])]
    parts = [part.partition("=")[2] or part for part in re.split(r"[\s;,]+", value)]
    return [secret, *(SecretStr(part) for part in parts if part != value)]


def _hide(text: str, secret: SecretStr) -> str:
    """Replace each place where a secret, or its first eight characters and as much as follows of it, is written."""
    characters = secret.get_secret_value()
    head = re.compile("".join(_spelling(character).pattern for character in characters[:_SHORTEST]))
    parts: list[str] = []
    start = 0
    while (match := head.search(text, start)) is not None:
        end = match.end()
        for character in characters[_SHORTEST:]:
            following = _spelling(character).match(text, end)
            if following is None:
                break
            end = following.end()
        parts += [text[start : match.start()], HIDDEN]
        start = end
    return "".join(parts) + text[start:] if parts else text


@cache
def _spelling(character: str) -> re.Pattern[str]:
    """Return what matches a character as it is, or as JSON, Python, an address or a page writes it."""
    code = ord(character)
    octets = "".join(f"%{octet:02x}" for octet in character.encode("utf-8", "surrogatepass"))
    escaped = rf"\\+u{code:04x}|\\+x{code:02x}|{octets}|&\#x0*{code:x};|&\#0*{code};"
    slashed = r"|\\+" + re.escape(character) if not character.isalnum() else ""
    return re.compile(rf"(?:{re.escape(character)}|(?i:{escaped}){slashed})")


def basic(login: SecretStr) -> SecretStr:
    """Return the header of a login that stood in an address as ``user:password``, or as a user alone."""
    user, _, password = login.get_secret_value().partition(":")
    octets = f"{unquote(user)}:{unquote(password)}".encode()
    return SecretStr(f"Basic {base64.b64encode(octets).decode()}")


def key_headers(endpoint: Endpoint, key: SecretStr | None) -> dict[str, str]:
    """Return the header that carries a key, to be passed on and not kept."""
    if key is None:
        return {}
    if endpoint.key_header == "Authorization" or (
        endpoint.bearer_prefix and key.get_secret_value().startswith(endpoint.bearer_prefix)
    ):
        return {"Authorization": f"Bearer {key.get_secret_value()}"}
    return {endpoint.key_header: key.get_secret_value()}


def override(headers: Mapping[str, str], extra: Mapping[str, SecretStr]) -> dict[str, str]:
    """Return headers with the user's own in place of those of the same name, in any spelling."""
    if not extra:
        return dict(headers)
    own = {name.lower() for name in extra}
    kept = {name: value for name, value in headers.items() if name.lower() not in own}
    return kept | {name: value.get_secret_value() for name, value in extra.items()}


def forget_frames(error: BaseException) -> None:
    """Take the tracebacks off an error and all that led to it, where the error becomes a response.

    They would keep whole replies alive, their frames may hold what is secret, and they are of no use to the caller.
    """
    parts = (error.__cause__, error.__context__, *getattr(error, "exceptions", ()))
    error.__cause__ = error.__context__ = error.__traceback__ = None
    for part in parts:
        if part is not None:
            forget_frames(part)
