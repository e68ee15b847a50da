"""Where each token stands in the text that all of them make together."""

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
    """A text, and for each token where it begins and ends: in characters, and in UTF-16 units (JavaScript counts so).

    Tokens that share a character share its place.
    """

    text: str
    char_spans: tuple[tuple[int, int], ...]
    utf16_spans: tuple[tuple[int, int], ...]


def decode_tokens(tokens: Iterable[Any]) -> DecodedTokens:
    """Join tokens to a text by their bytes, for a character may be cut across several of them.

    Parameters
    ----------
    tokens
        Dicts with ``token`` and, where known, ``bytes`` (integers from 0 to 255, or None); or texts.

    Returns
    -------
    DecodedTokens
        Bytes that are no UTF-8 become U+FFFD, one for each stretch that could have begun a character.

    Raises
    ------
    ValueError
        When a token has neither text nor bytes.
    """
    pieces = [_token_bytes(entry, position) for position, entry in enumerate(tokens)]
    joined = b"".join(pieces)
    text, begins = _decode(joined)
    # A character outside the basic plane takes two units.
    units = np.concatenate(([0], np.cumsum([2 if character > "\uffff" else 1 for character in text]))).astype(int)
    ends = np.cumsum([len(piece) for piece in pieces], dtype=int).tolist()
    chars: list[tuple[int, int]] = []
    utf16: list[tuple[int, int]] = []
    at = np.cumsum(begins).tolist()  # how many characters have begun up to and with each byte
    start = 0
    for end in ends:
        first = at[start] - 1 if start < end else (at[start - 1] if start else 0)
        last = at[end - 1] if start < end else first
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
            return bytes(raw) if not isinstance(raw, int | str) else _not_bytes(raw, position)
        except (TypeError, ValueError):
            return _not_bytes(raw, position)
    if not isinstance(token, str):
        raise invalid_argument(f"tokens[{position}]['token']", token, "a text where there are no bytes")
    return replace_surrogates(token).encode()


def _not_bytes(raw: object, position: int) -> bytes:
    raise invalid_argument(f"tokens[{position}]['bytes']", raw, "a list of integers from 0 to 255, or None")


def _decode(joined: bytes) -> tuple[str, np.ndarray]:
    """The text, and for each byte whether a character begins with it."""
    codes = np.frombuffer(joined, np.uint8)
    begins = (codes & 0xC0) != 0x80
    parts: list[str] = []
    done = 0
    decoder = codecs.getdecoder("utf-8")
    while done < len(joined):
        try:
            parts.append(decoder(joined[done:])[0])
            break
        except UnicodeDecodeError as error:
            wrong, end = done + error.start, done + error.end
            parts.append(joined[done:wrong].decode())
            parts.append("\ufffd")
            begins[wrong:end] = False
            begins[wrong] = True
            done = end
    return "".join(parts), begins
