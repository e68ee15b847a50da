"""Text of tokens that may end inside a character: join their bytes, and say what an unfinished character may become.

A byte that is not part of a whole character is kept as a lone surrogate (Python's ``surrogateescape``), so that such
texts are still strings. U+FFFD stands for bytes that the server did not report.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import cache, lru_cache

from .normalize import is_word, normalize

UNKNOWN = "\ufffd"
_LOST = UNKNOWN.encode()
# "\xf0\x9f" of OpenAI and DeepSeek, also beside whole characters (" \xf0"), and "<0xF0>" of sentencepiece. Whole
# characters of ASCII are never spelt as bytes.
_SPELT = re.compile(r"(?:\\x[89a-fA-F][0-9a-fA-F])+|(?:<0x[89a-fA-F][0-9a-fA-F]>)+")
_HEX = re.compile(r"x([0-9a-fA-F]{2})")
# Completion servers write it in front of a token that is not whole characters.
_BYTES = "bytes:"
_MARKS = (UNKNOWN, "?", "\\x", "<0x")
_UNFINISHED = re.compile("[\udc80-\udcff]+$")
# Blocks of characters that normalise to other ones; the blocks between them hold none.
_FOLDED = (
    range(0x80, 0x3400),
    range(0xA000, 0xAC00),
    range(0xF900, 0x10000),
    range(0x10400, 0x12000),
    range(0x16A00, 0x17000),
    range(0x1D400, 0x1F200),
    range(0x2F800, 0x2FA20),
)
# Bytes of a UTF-8 character by its first byte.
_LENGTHS = ((range(0xC2, 0xE0), 2), (range(0xE0, 0xF0), 3), (range(0xF0, 0xF5), 4))


def exact_text(text: str, raw: bytes | Iterable[int] | None = None) -> str:
    """Return the text of a token, with its bytes where it is not whole characters.

    Parameters
    ----------
    text
        The token as the server spells it.
    raw
        Its bytes, if the server reported them.

    Returns
    -------
    str
        The text; a byte of an unfinished character is a lone surrogate, an unknown one U+FFFD.

    Examples
    --------
    >>> from deluge_nb.text.partial import exact_text, join
    >>> ascii(exact_text("?", [0xF0, 0x9F, 0x91])), ascii(exact_text("<0xF0>"))
    ("'\\\\udcf0\\\\udc9f\\\\udc91'", "'\\\\udcf0'")
    >>> join(exact_text("?", [0xF0, 0x9F, 0x91]), exact_text("?", [0x8D]))
    '👍'
    """
    # Bytes first: some servers write "?" or another text of whole characters for half of one.
    if raw is not None:
        octets = raw if isinstance(raw, bytes) else bytes(raw)
        # Bytes that were made from the text say no more than it does.
        if octets and _LOST not in octets:
            return octets.decode("utf-8", "surrogateescape")
    if "\\x" not in text and "<0x" not in text:
        return text
    decoded = _SPELT.sub(_decode, text)
    if decoded != text and text.startswith(_BYTES):
        decoded = decoded.removeprefix(_BYTES)
    return decoded


def _decode(spelt: re.Match[str]) -> str:
    return bytes(int(pair, 16) for pair in _HEX.findall(spelt[0])).decode("utf-8", "surrogateescape")


def may_hide_bytes(text: str) -> bool:
    """Return whether the text of a token may stand for bytes other than its UTF-8.

    Servers write U+FFFD, "?" or nothing for a part of a character, or spell its bytes. Any other text says what its
    bytes are.
    """
    return not text or any(mark in text for mark in _MARKS)


def join(left: str, right: str) -> str:
    """Return two texts as one, with the characters whose halves they hold."""
    whole = left + right
    if whole.isascii() or not _UNFINISHED.search(left):
        return whole
    return whole.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def split_unfinished(text: str) -> tuple[str, bytes | None]:
    """Return the whole characters of a text, and the bytes of an unfinished one at its end.

    The bytes are empty where the text ends with a whole character, and None where they are unknown.
    """
    lost = text.find(UNKNOWN)
    if lost >= 0:
        return text[:lost], None
    unfinished = _UNFINISHED.search(text)
    if unfinished is None:
        return text, b""
    return text[: unfinished.start()], unfinished[0].encode("utf-8", "surrogateescape")


@lru_cache(maxsize=1 << 12)
def can_become(unfinished: bytes | None, character: str) -> bool:
    """Return whether the unfinished bytes may become a character that normalises to text beginning with this one."""
    if unfinished is None:
        return not character.isascii()
    return any(variant.encode().startswith(unfinished) for variant in _variants(character))


@lru_cache(maxsize=1 << 10)
def can_be_mark(unfinished: bytes | None) -> bool:
    """Return whether the unfinished bytes may become a character that is neither letter, mark nor digit."""
    if unfinished is None or len(unfinished) == 0:
        return True
    lead = unfinished[0]
    length = next((size for leads, size in _LENGTHS if lead in leads), 0)
    missing = length - len(unfinished)
    if missing <= 0:
        return False
    if missing == 3:
        return True
    for step in range(64**missing):
        rest = bytes(0x80 | (step >> 6 * place) & 0x3F for place in range(missing - 1, -1, -1))
        try:
            character = (unfinished + rest).decode()
        except UnicodeDecodeError:
            continue
        if unicodedata.category(character) != "Cn" and not is_word(character):
            return True
    return False


@cache
def _variants(character: str) -> tuple[str, ...]:
    """Return the characters whose normalised text begins with a character."""
    return (character, character.upper()[:1], character.title()[:1], *_by_normalized().get(character, ()))


@cache
def _by_normalized() -> dict[str, tuple[str, ...]]:
    variants: dict[str, list[str]] = defaultdict(list)
    for block in _FOLDED:
        for character in map(chr, block):
            if unicodedata.category(character) == "Cn":
                continue
            normalized = normalize(character).whole
            if normalized and normalized != character:
                variants[normalized[0]].append(character)
    return {first: tuple(characters) for first, characters in variants.items()}
