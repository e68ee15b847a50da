"""Character offsets of tokens in the text that they form together."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import invalid_argument
from ..logprobs.columns import replace_surrogates
from .core.records import Result


@dataclass(frozen=True, slots=True, eq=False)
class DecodedTokens(Result):
    """A text with the start and end offset of each token.

    ``char_spans`` count characters, ``utf16_spans`` count UTF-16 units as JavaScript does. Tokens that share a
    character have the same span.
    """

    text: str
    char_spans: tuple[tuple[int, int], ...]
    utf16_spans: tuple[tuple[int, int], ...]


def decode_tokens(tokens: Iterable[Any]) -> DecodedTokens:
    """Return the text of tokens and their offsets in it, from their bytes: tokens may split a character.

    Parameters
    ----------
    tokens
        Dicts with ``token`` and, if known, ``bytes`` (integers from 0 to 255, or None); or texts.

    Returns
    -------
    DecodedTokens
        Bytes that are not UTF-8 become U+FFFD, one for each sequence that could have begun a character.

    Raises
    ------
    ValueError
        If a token has neither text nor bytes.

    Examples
    --------
    >>> from deluge_nb.stats import decode_tokens
    >>> decode_tokens([{"token": "caf", "bytes": None}, {"token": "?", "bytes": [195, 169]}, "!"])
    DecodedTokens(text='café!', char_spans=((0, 3), (3, 4), (4, 5)), utf16_spans=((0, 3), (3, 4), (4, 5)))
    """
    pieces = [_token_bytes(entry, position) for position, entry in enumerate(tokens)]
    raw = b"".join(pieces)
    text, begins = _decode(raw)
    # A character outside the basic plane takes two units.
    units = np.concatenate(([0], np.cumsum([2 if character > "\uffff" else 1 for character in text]))).astype(int)
    ends = np.cumsum([len(piece) for piece in pieces], dtype=int).tolist()
    chars: list[tuple[int, int]] = []
    utf16: list[tuple[int, int]] = []
    begun = np.cumsum(begins).tolist()  # the number of characters that begin up to and including each byte
    start = 0
    for end in ends:
        first = begun[start] - 1 if start < end else (begun[start - 1] if start else 0)
        last = begun[end - 1] if start < end else first
        chars.append((first, last))
        utf16.append((int(units[first]), int(units[last])))
        start = end
    return DecodedTokens(text, tuple(chars), tuple(utf16))


def _token_bytes(entry: Any, position: int) -> bytes:
    if isinstance(entry, str):
        return replace_surrogates(entry).encode()
    if not isinstance(entry, Mapping):
        raise invalid_argument(f"tokens[{position}]", entry, "a dict with 'token' and 'bytes', or a text")
    raw, token = entry.get("bytes"), entry.get("token")
    if raw is not None:
        try:
            return bytes(raw) if not isinstance(raw, int | str) else _raise_not_bytes(raw, position)
        except (TypeError, ValueError):
            return _raise_not_bytes(raw, position)
    if not isinstance(token, str):
        raise invalid_argument(f"tokens[{position}]['token']", token, "a text where there are no bytes")
    return replace_surrogates(token).encode()


def _raise_not_bytes(raw: object, position: int) -> bytes:
    raise invalid_argument(f"tokens[{position}]['bytes']", raw, "a list of integers from 0 to 255, or None")


def _decode(raw: bytes) -> tuple[str, np.ndarray]:
    """Return the text, and for each byte whether a character begins with it."""
    codes = np.frombuffer(raw, np.uint8)
    begins = (codes & 0xC0) != 0x80
    parts: list[str] = []
    done = 0
    decoder = codecs.getdecoder("utf-8")
    while done < len(raw):
        try:
            parts.append(decoder(raw[done:])[0])
            break
        except UnicodeDecodeError as error:
            wrong, end = done + error.start, done + error.end
            parts.append(raw[done:wrong].decode())
            parts.append("\ufffd")
            begins[wrong:end] = False
            begins[wrong] = True
            done = end
    return "".join(parts), begins
