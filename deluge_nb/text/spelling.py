"""Find the tokens that spell a text among more tokens, however a server writes tokens.

Tokens may have bytes, spellings of their vocabulary (``Ġ``, ``▁``, ``<0xC3>``, the letters of byte-level tokenizers),
or U+FFFD for a part of a character.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .end_tokens import is_end_token, is_mark
from .normalize import LEAKED_SPACES
from .partial import UNKNOWN, exact_text

Token = tuple[str, bytes | None]
"""Text of a token, and its bytes where they are known."""

_LOST = UNKNOWN.encode()
# Bytes of a character that one U+FFFD may stand for: a server may write it for a whole character or for a part.
_MAX_LOST = 4
_HEX_BYTES = re.compile(r"(?:<0x[0-9A-Fa-f]{2}>)+")
_SPACES = re.compile(rb"\s+")


def _byte_letters() -> dict[str, int]:
    """Return the byte of each letter of byte-level tokenizers: printable bytes are themselves, others follow U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + index): byte for index, byte in enumerate(others)}


BYTE_LETTERS = _byte_letters()
"""The byte that each letter of a byte-level tokenizer stands for."""


def find_tail(tokens: Sequence[Token], text: str, stops: Iterable[str] = ()) -> int | None:
    """Return the index of the first token of the shortest tail that spells a text; None if no tail does.

    White space at the beginning of the text may differ, and tokens that end an answer may follow it, as may white space
    and one of the strings that stopped the model. Where no tail spells the text, white space everywhere may differ:
    some servers remove it from tokens.

    Parameters
    ----------
    tokens
        The tokens.
    text
        The text.
    stops
        Strings at which the model had to stop; a server removes them from the text.

    Examples
    --------
    >>> from deluge_nb.text.spelling import find_tail
    >>> find_tail([("No", None), ("</think>", None), ("ĠYes", None), ("</s>", None)], "Yes")
    2
    """
    pieces = [spellings(*token) for token in tokens]
    whole = text.encode("utf-8", "replace")
    ends = _ends(tokens)
    stopped = [whole + stop.encode("utf-8", "replace") for stop in stops]
    for is_loose in (False, True) if any(_LOST in variants[0] for variants in pieces) else (False,):
        for target in (*([whole] if whole else []), *stopped):
            for end in ends:
                start = _match_back(pieces[:end], target, cut_last=target is not whole, is_loose=is_loose)
                if start is not None:
                    return start
    finished, cut = _without_unfinished(pieces), whole
    while cut.endswith(_LOST):
        cut = cut.removesuffix(_LOST)
    if finished is not pieces or cut is not whole:
        start = _match_back(finished, cut, is_loose=True) if cut.strip() else None
        if start is not None:
            return start
    if not cut.strip():
        silent = ends[-1]
        while silent and not finished[silent - 1][0].replace(_LOST, b"").strip():
            silent -= 1
        return silent
    squeezed = [tuple(_SPACES.sub(b"", piece) for piece in variants) for variants in pieces]
    for end in ends:
        start = _match_back(squeezed[:end], _SPACES.sub(b"", whole))
        if start is not None:
            return start
    return None


@lru_cache(maxsize=1 << 14)
def spellings(text: str, raw: bytes | None) -> tuple[bytes, ...]:
    """Return the bytes that a token may stand for, the likeliest first."""
    exact = exact_text(text, raw)
    variants = {exact.encode("utf-8", "surrogateescape"): None}
    if raw is None or not (text.isascii() or UNKNOWN in text):
        spelt = exact_text(text)
        variants[spelt.encode("utf-8", "surrogateescape")] = None
        variants[spelt.translate(LEAKED_SPACES).encode("utf-8", "surrogateescape")] = None
    if _HEX_BYTES.fullmatch(text):
        variants[bytes.fromhex(text.replace("<0x", "").replace(">", ""))] = None
    if not text.isascii() and all(character in BYTE_LETTERS for character in text):
        variants[bytes(BYTE_LETTERS[character] for character in text)] = None
    return tuple(variants)


def _ends(tokens: Sequence[Token]) -> list[int]:
    """Return the positions at which the answer may end: before tokens without text of it."""
    end = len(tokens)
    ends = [end]
    while end and (is_end_token(tokens[end - 1][0]) or not tokens[end - 1][0].translate(LEAKED_SPACES).strip()):
        end -= 1
        ends.append(end)
    if len(ends) == 1 and end > 1 and is_mark(tokens[end - 1][0]):
        ends.append(end - 1)
    return ends


def _without_unfinished(pieces: list[tuple[bytes, ...]]) -> list[tuple[bytes, ...]]:
    """Return the tokens without the bytes at their end that begin a character and do not finish it."""
    unfinished = len(_unfinished(b"".join(variants[0] for variants in pieces[-_MAX_LOST:])))
    if not unfinished:
        return pieces
    finished = list(pieces)
    for index in range(len(pieces) - 1, -1, -1):
        piece = pieces[index][0]
        finished[index] = (piece[: max(0, len(piece) - unfinished)],)
        unfinished -= min(unfinished, len(piece))
        if not unfinished:
            break
    return finished


def _match_back(
    pieces: Sequence[tuple[bytes, ...]], target: bytes, *, cut_last: bool = False, is_loose: bool = False
) -> int | None:
    """Return where the shortest tail begins that spells the target, by reading both from the end.

    With ``cut_last``, the last token may go on beyond the target. With ``is_loose``, U+FFFD may stand for a whole
    character, or for nothing where the next token has the character.
    """
    if not target:
        return len(pieces)
    left = {len(target)}
    tolerant = exact = None
    for index in range(len(pieces) - 1, -1, -1):
        variants = pieces[index]
        if cut_last and index == len(pieces) - 1:
            variants = tuple(dict.fromkeys(piece[:size] for piece in variants for size in range(len(piece), 0, -1)))
        left = {rest for piece in variants for size in left for rest in _unread(piece, target, size, is_loose)}
        if exact is not None:
            # The parts of one character, of which the later alone may stand for all, and characters before it.
            if 0 in left and (pieces[index][0].endswith(_LOST) or (pieces[index][0] and not is_loose)):
                exact = index
                continue
            return exact
        if 0 in left:
            exact = index
            if not pieces[index][0].startswith(_LOST):
                return exact
        elif tolerant is None and any(not target[:size].strip() for size in left):
            tolerant = index
        if not left:
            break
    return exact if exact is not None else tolerant


def _unread(piece: bytes, target: bytes, size: int, is_loose: bool) -> Iterable[int]:
    """Return how much of the first ``size`` bytes of the target may remain before a token at their end."""
    if _LOST not in piece:
        if target.endswith(piece, 0, size):
            return (size - len(piece),)
        rest = len(piece) - size
        is_space_before = rest > 0 and size > 0 and piece.endswith(target[:size]) and not piece[:rest].strip()
        return (0,) if is_space_before else ()
    sizes = {size}
    first, *parts = re.split(b"(%b)" % _LOST, piece)
    for part in (*reversed(parts), first):
        if part != _LOST:
            # White space before the text, in the same token as its first character.
            is_before = part is first and not part.strip() and 0 in sizes
            sizes = {rest for known in sizes for rest in _unread(part, target, known, is_loose)} if part else sizes
            sizes |= {0} if is_before else set()
            continue
        sizes = {
            known - count
            for known in sizes
            for count in range(min(_MAX_LOST, known) + 1)
            if _may_be_lost(target[known - count : known], is_loose)
        }
    return sizes


def _may_be_lost(octets: bytes, is_loose: bool) -> bool:
    """Return whether one U+FFFD may stand for some bytes: for one that is not ASCII, or for a begun character."""
    if is_loose or len(octets) == 1:
        return all(byte >= 0x80 for byte in octets)
    return octets == _LOST or (len(octets) > 1 and len(_unfinished(octets)) == len(octets))


def _unfinished(octets: bytes) -> bytes:
    """Return the bytes at the end that begin a character and do not finish it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(octets)
    return decoder.getstate()[0]
