"""Keep keys and passwords secret: what counts as one, how it is hidden in a text, and which headers carry it.

A secret is a ``SecretStr`` until the call that sends it, so that no frame of a traceback has it in a local variable.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import unquote

from pydantic import SecretStr

from ..models.spec import Endpoint
from .address import read_address

HIDDEN = "[key]"
# Characters. A word that a guide tells people to write in place of a key, such as "ollama", is none.
_SHORTEST, _SHORTEST_WORD = 8, 20
_WORD = re.compile(r"[A-Za-z_-]*")
# Escaping doubles backslashes, four times at most. Without a limit the search of a text of backslashes would not end.
_SLASHES = r"\\{1,16}"
_NAMED_REFERENCES = {'"': "quot", "&": "amp", "<": "lt", ">": "gt", "'": "apos"}
# Characters. A part of a secret that is as long is hidden as well: some servers cut "sk-" off, or break lines.
_PIECE = 12
# Each part of this many characters is sought; every piece has one that begins at a multiple of it.
_BLOCK = 6
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}  # of the same length for every text
# A server's error may nest as deeply as it likes.
_DEEPEST = 50
# No secrets: media types, names of programs and dates of versions; an address, which people write in place of a key.
_PLAIN = re.compile(
    r"(?:application|text|image|audio|\*)/[\w.+*-]+|\d{4}-\d\d-\d\d|[A-Za-z-]+/[\d.]+|https?://[\w.:-]+/?"
)
# What a header says with a name: a cookie, a parameter of Digest. Base64 may end with signs of equality.
_NAMED = re.compile(r"[A-Za-z][\w.-]{0,30}[=:]([^=].*)")


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
        Keys and passwords; those that are no secrets are ignored.
    headers
        Values of headers, of which the parts are secrets as well.
    public
        Texts that every message may contain, such as the model's name. A value that one of them contains is no secret.
    """

    def __init__(
        self,
        values: Iterable[SecretStr | None],
        headers: Iterable[SecretStr] = (),
        public: Sequence[str] = (),
    ) -> None:
        parts = [value for value in values if value is not None]
        parts += [part for value in headers for part in _parts(value)]
        self._values = [part for part in parts if _must_hide(part.get_secret_value(), public)]
        self._public = public
        self._encoded = [form for value in self._values for form in _encodings(value)]

    def and_those_of(self, values: Iterable[SecretStr]) -> Secrets:
        """Return secrets that hide some more values as well."""
        more = Secrets(values)
        more._values = [*self._values, *(value for value in more._values if value not in self._values)]
        more._encoded = [*self._encoded, *more._encoded]
        more._public = self._public
        return more

    def are_in(self, content: bytes) -> bool:
        """Return whether a content has a secret as it is; for contents that are too long for :meth:`hide`."""
        return any(value.get_secret_value().encode("utf-8", "surrogatepass") in content for value in self._values)

    def hide(self, text: str) -> str:
        """Return a text without the secrets, as they are, in base64 or in hex, and without long parts of them."""
        for value in self._values:
            text = _hide(text, value)
        for value in (*self._values, *self._encoded):
            text = _hide_pieces(text, value, self._public)
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


def _must_hide(value: str, public: Sequence[str]) -> bool:
    """Return whether a part is a secret, and no text that messages contain for another reason."""
    return is_secret(value) and not _PLAIN.fullmatch(value) and not any(value in text for text in public)


def _parts(secret: SecretStr) -> list[SecretStr]:
    """Return the parts of a header that a server may quote alone: a token without its scheme, a cookie's value.

    A scheme is no part of the secret: "Bearer t" also begins what a server says of bearer tokens. Neither is the name
    before a value, nor an address, of which only the login and the parameters that are keys are secret.
    """
    value = secret.get_secret_value()
    if (token := re.fullmatch(r"[A-Za-z-]+ +(\S+)", value)) is not None:
        value = token[1]
    parts = [SecretStr(_password(value))] if secret.get_secret_value()[:6].lower() == "basic " else []
    for word in (value, *re.split(r"[\s;,]+", value)):
        address = read_address(word) if "://" in word else None
        named = _NAMED.fullmatch(word)
        if address is not None:
            parts += address.secrets
        else:
            parts.append(SecretStr((word if named is None else named[1]).strip("\"'")))
    return parts


def _password(login: str) -> str:
    """Return the password of a login as Basic encodes it; an empty text where it is none."""
    try:
        return base64.b64decode(login, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _hide(text: str, secret: SecretStr) -> str:
    """Replace each place where a secret, or its first eight characters and as much as follows of it, is written."""
    characters = secret.get_secret_value()
    head = re.compile("".join(_spelling(character).pattern for character in characters[:_SHORTEST]))
    parts: list[str] = []
    start = 0
    while (match := head.search(text, start)) is not None:
        ends = {match.start()}
        for character in characters:
            following = set().union(*(_ends(character, text, end) for end in ends))
            if not following:
                break
            ends = following
        parts += [text[start : match.start()], HIDDEN]
        start = max(match.end(), *ends)
    return "".join(parts) + text[start:] if parts else text


def _hide_pieces(text: str, secret: SecretStr, public: Sequence[str]) -> str:
    """Replace each part of a secret that is long enough, in capital or small letters, and is no word."""
    characters, lower = secret.get_secret_value().translate(_LOWER), text.translate(_LOWER)
    parts: list[str] = []
    start = 0
    for low, high in sorted(_pieces(characters, lower)):
        piece = text[low:high]
        if low >= start and any(map(is_secret, piece.split())) and not any(piece in name for name in public):
            parts += [text[start:low], HIDDEN]
            start = high
    return "".join(parts) + text[start:] if parts else text


def _pieces(secret: str, text: str) -> set[tuple[int, int]]:
    """Return where a text has parts of a secret that are long enough; both are in small letters."""
    pieces: set[tuple[int, int]] = set()
    for begin in range(0, len(secret) - _BLOCK + 1, _BLOCK):
        block, at = secret[begin : begin + _BLOCK], -1
        while (at := text.find(block, at + 1)) >= 0:
            before = _common(secret[:begin][::-1], text[max(0, at - begin) : at][::-1])
            after = _common(secret[begin:], text[at : at + len(secret) - begin])
            if before + after >= _PIECE:
                pieces.add((at - before, at + after))
    return pieces


def _common(first: str, second: str) -> int:
    """Return the length of the beginning that two texts share."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(first), len(second)))


def _encodings(secret: SecretStr) -> list[SecretStr]:
    """Return a secret in hex and in base64, there without what depends on the characters around it."""
    octets = secret.get_secret_value().encode("utf-8", "surrogatepass")
    forms = [octets.hex()]
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + octets).decode()
        whole = encoded[-(-before * 8 // 6) : (before + len(octets)) * 8 // 6]
        forms += {whole, whole.replace("+", "-").replace("/", "_")}
    return [SecretStr(form) for form in forms]


def _ends(character: str, text: str, start: int) -> set[int]:
    """Return where a character may end that is written from a place on.

    Of several backslashes each may be the last of this character: the next one may begin with an escape of its own.
    """
    match = _spelling(character).match(text, start)
    if match is None:
        return set()
    least = start + 1 if text[start].lower() == character.lower() else match.end()
    return set(range(least, match.end() + 1)) if character == "\\" else {least, match.end()}


@cache
def _spelling(character: str) -> re.Pattern[str]:
    """Return what matches a character as it is, or as JSON, Python, an address or a page writes it.

    In capital or small letters: servers change them in names of headers, and in keys that are numbers in hex.
    """
    code = ord(character)
    octets = "".join(f"%(?:25){{,4}}{octet:02x}" for octet in character.encode("utf-8", "surrogatepass"))
    octal = f"|0?{code:03o}" if character.isascii() else ""
    by_number = rf"u{code:04x}|x{code:02x}|U{code:08x}|u\{{0{{,6}}{code:x}\}}{octal}"
    named = f"|{_NAMED_REFERENCES[character]}" if character in _NAMED_REFERENCES else ""
    in_page = rf"&(?:amp;){{,4}}(?:\#x0{{,8}}{code:x}|\#0{{,8}}{code}{named});"
    slashed = _SLASHES + re.escape(character) + "|" if not character.isalnum() else ""
    # As it is comes last: of an escaped backslash, the first character would match alone.
    return re.compile(rf"(?i:{_SLASHES}(?:{by_number})|{octets}|{in_page}|{slashed}{re.escape(character)})")


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
