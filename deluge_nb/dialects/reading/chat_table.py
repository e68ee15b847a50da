"""Read the table of a chat reply: thousands of tokens, in C loops only.

A long table is read in pieces of some rows. The decoded objects of a piece are then still in the processor's cache when
they are read, and the next piece gets their memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from ...errors import MalformedResponseError
from ...logprobs.columns import UNREAD, Ints, RawBytes, Vocabulary, pack_numbers
from ...logprobs.table import Logprobs
from ...text.partial import may_hide_bytes
from .contradictions import REPEATED, find_contradiction
from .decode import decode
from .tables import table_from_columns
from .values import pieces, reported_bytes

# Bytes of a table that is worth reading in pieces.
_LONG = 1 << 18
_BEGINNING = re.compile(rb'\s*\{\s*"content"\s*:\s*\[')
_ENDING = re.compile(rb'\]\s*(?:,\s*"refusal"\s*:\s*null\s*)?\}\s*\Z')
_LONGEST_ENDING = 200
# Between two rows whose last field is a list of alternatives. Inside a text, it would leave a piece that is no JSON.
_BETWEEN_ROWS = re.compile(rb"\}\s*\]\s*\}\s*(,)")

_Octets = list[Annotated[int, msgspec.Meta(ge=0, le=255)]]


class _Alternative(msgspec.Struct, gc=False):
    # Without the bytes: nearly every text says what they are, and reading them would double the time.
    token: str
    logprob: float | None = None


class _Token(msgspec.Struct, gc=False):
    token: str
    logprob: float | None = None
    top_logprobs: list[_Alternative] | None = None


class _ExactAlternative(msgspec.Struct, gc=False):
    token: str
    # Raw, so that the bytes of a token are decoded once, however often it appears.
    bytes: msgspec.Raw = msgspec.Raw(b"")


class _ExactToken(msgspec.Struct, gc=False):
    token: str
    bytes: msgspec.Raw = msgspec.Raw(b"")
    top_logprobs: list[_ExactAlternative] | None = None


class _RawRows(msgspec.Struct):
    content: list[msgspec.Raw] | None = None
    refusal: list[msgspec.Raw] | None = None


class _Table(msgspec.Struct):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None
    tokens: msgspec.Raw = msgspec.Raw(b"")


_decode_rows = msgspec.json.Decoder(list[_Token]).decode


class _Rows(NamedTuple):
    """Rows of a table: indices in the vocabulary and packed numbers of the ``n`` chosen tokens, then of alternatives.

    ``counts`` are the numbers of alternatives.
    """

    n: int
    indices: Sequence[int] | Ints
    numbers: bytes
    counts: tuple[int, ...]

    @classmethod
    def joined(cls, parts: list[_Rows]) -> _Rows:
        """Return the rows of several parts as one."""
        numbers = [part.numbers[: 8 * part.n] for part in parts] + [part.numbers[8 * part.n :] for part in parts]
        packed = [np.array(part.indices, np.int32) for part in parts]
        indices = [rows[: part.n] for part, rows in zip(parts, packed, strict=True)]
        indices += [rows[part.n :] for part, rows in zip(parts, packed, strict=True)]
        counts = chain.from_iterable(part.counts for part in parts)
        n = sum(part.n for part in parts)
        return cls(n, np.concatenate(indices), b"".join(numbers), tuple(counts))


class ChatTableReader:
    """Reader of the tables of one dialect.

    Parameters
    ----------
    dialect, at
        Name of the dialect and path of the table in the reply, for errors.
    vocabulary, vocab_size
        As in :class:`Logprobs`; new tokens are added to the vocabulary. None for a vocabulary of the table's own.
    """

    def __init__(self, dialect: str, at: str, vocabulary: Vocabulary | None, vocab_size: int | None) -> None:
        self._dialect, self._at = dialect, at
        # Not `or`: an empty vocabulary is false, and yet the one to fill.
        self._vocabulary = Vocabulary() if vocabulary is None else vocabulary
        self._vocab_size = vocab_size

    def read(self, body: bytes, start: int, end: int, *, refused: bool, remarks: list[str]) -> Logprobs | None:
        """Return the table that stands between two offsets of a body; a copy of it would cost a part of the time.

        Parameters
        ----------
        body, start, end
            JSON of the table.
        refused
            True for a refusal, which has a table of its own.
        remarks
            Receives what is odd about a table.

        Raises
        ------
        MalformedResponseError
            When a part of the table does not fit.
        """
        rows = self._read_pieces(body, start, end) if end - start > _LONG else None
        if rows is None:
            part = memoryview(body)[start:end]
            lists = decode(part, _Table, self._dialect, at=self._at)
            if bytes(lists.tokens) not in (b"", b"null"):  # some servers send the columns of the completions API
                columns = decode(part, dict[str, Any], self._dialect)
                return _remark(table_from_columns(columns, self._dialect, remarks), remarks)
            is_refusal = (refused or not lists.content) and lists.refusal is not None
            tokens = lists.refusal if is_refusal else lists.content
            if tokens is None:
                return None
            rows = self._rows(tokens, body, start, end, "refusal" if is_refusal else "content")
        n, indices, numbers, counts = rows
        vocabulary, offsets = self._vocabulary, _offsets(counts)
        table = Logprobs.from_lists(vocabulary, indices, numbers, offsets, vocab_size=self._vocab_size)
        if len(table._alternative) < len(indices) - n:
            remarks.append(REPEATED)
        return _remark(table, remarks)

    def _read_pieces(self, body: bytes, start: int, end: int) -> _Rows | None:
        """Return the rows of a long table; None if the usual forms of a table do not describe it."""
        parts: list[_Rows] = []
        try:
            for piece in _row_lists(body, start, end):
                tokens = _decode_rows(piece)
                if not tokens:
                    return None
                parts.append(self._rows(tokens, piece, 0, len(piece), None))
        except (msgspec.DecodeError, UnicodeDecodeError, MalformedResponseError):
            return None
        return _Rows.joined(parts) if parts else None

    def _rows(self, tokens: list[_Token], body: bytes, start: int, end: int, name: str | None) -> _Rows:
        """Return decoded rows; ``name`` is that of their list, None if the JSON is the list itself."""
        vocabulary, n, tops = self._vocabulary, len(tokens), [token.top_logprobs or () for token in tokens]
        texts = [token.token for token in tokens]
        texts += [other.token for top in tops for other in top]
        logprobs = [token.logprob for token in tokens]
        logprobs += [other.logprob for top in tops for other in top]
        lists = n if all(tops) else sum(token.top_logprobs is not None for token in tokens)
        reported = reported_bytes(body, start, end, texts, lists)
        indices: Sequence[int]
        if reported is ...:  # a missing field becomes null for a chosen token and stays missing for an alternative
            indices = [*vocabulary.add_texts(texts[:n], None), *vocabulary.add_texts(texts[n:], ...)]
        elif reported is False:
            indices = [UNREAD] * len(texts)
        else:
            indices = vocabulary.add_texts(texts, reported)
        counts = tuple(map(len, tops))
        if reported is False or (vocabulary.has_unread and UNREAD in indices):
            part = memoryview(body)[start:end]
            if name is None:
                raw = decode(part, list[msgspec.Raw], self._dialect)
            else:
                raw = getattr(decode(part, _RawRows, self._dialect), name) or []
            indices = self._read_exactly(list(indices), counts, raw)
        return _Rows(n, indices, pack_numbers(logprobs), counts)

    def _read_exactly(self, indices: list[int], counts: tuple[int, ...], rows: list[msgspec.Raw]) -> list[int]:
        """Return the indices with those that are UNREAD read by the bytes of their tokens."""
        n, offsets = len(rows), _offsets(counts)
        unread = np.flatnonzero(np.array(indices) == UNREAD)
        in_row = np.where(unread < n, unread, np.searchsorted(offsets, unread - n, "right") - 1)
        for row in np.unique(in_row).tolist():
            token = decode(bytes(rows[row]), _ExactToken, self._dialect, at=f"{self._at}.content[{row}]")
            indices[row] = self._token_index(token.token, bytes(token.bytes) or b"null")
            start, stop = n + int(offsets[row]), n + int(offsets[row + 1])
            indices[start:stop] = [
                self._token_index(other.token, bytes(other.bytes)) for other in token.top_logprobs or ()
            ]
        return indices

    def _token_index(self, text: str, raw: bytes) -> int:
        vocabulary, key = self._vocabulary, (text, raw)
        known = vocabulary.spelt.get(key)
        if known is not None:
            return known
        octets: RawBytes = ... if raw == b"" else None
        if raw not in (b"", b"null"):
            octets = bytes(decode(raw, _Octets, self._dialect, at=f"{self._at}.content[…].bytes"))
            if not may_hide_bytes(text):
                octets = text.encode()
        index = vocabulary.spelt[key] = vocabulary.add(text, octets)
        return index


def _remark(table: Logprobs, remarks: list[str]) -> Logprobs:
    if contradiction := find_contradiction(table):
        remarks.append(contradiction)
    return table


def _row_lists(body: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield lists of some rows each, which together are the rows of a table; none if it is not of the usual form."""
    beginning = _BEGINNING.match(body, start, end)
    ending = _ENDING.search(body, max(start, end - _LONGEST_ENDING), end)
    if beginning is None or ending is None:
        return
    yield from pieces(body, beginning.end(), ending.start(), _BETWEEN_ROWS)


@lru_cache(256)
def _offsets(counts: tuple[int, ...]) -> Ints:
    """Return the start of each token's alternatives; cached, because answers of equal shape have equal offsets."""
    return np.array([0, *accumulate(counts)], np.int32)
