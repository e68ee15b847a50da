"""Vocabulary of distinct tokens, a builder that collects the columns of a table, and these columns in one block.

Code that reads a hundred thousand tables spends its time on memory access, and one block per table is faster than five.
A block has a header (the numbers of tokens and of alternatives, and the vocabulary's ``id``), both columns of
log-probabilities, the offsets, and both columns of indices.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count, islice, pairwise, repeat
from operator import itemgetter
from types import EllipsisType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..text.partial import exact_text, may_hide_bytes

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

RawBytes = bytes | EllipsisType | None
"""A token's bytes: ``...`` where the provider had no such field, None where it sent null."""

ReportedBytes = bool | EllipsisType | None
"""Bytes of a token as the server sent them: True for the UTF-8 of its text, else as in ``RawBytes``."""

Columns = tuple[Ints, Floats, Ints, Floats, Ints]
"""Chosen token, its logprob; alternative, its logprob; offsets of each token's alternatives."""

# Bytes. Packing a larger table would cost more than it saves.
_MOST_BYTES = 1 << 16
# Tokens. Indices into a vocabulary of at most this size are stored as uint16, which halves the memory of many answers.
_NARROW_VOCABULARY = 1 << 16
# A large odd number without a pattern in its bits.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
FEW = 100
"""Tokens and alternatives of a table for which plain Python is faster than array operations."""
UNREAD = -1
"""Index of a token that cannot be known without its bytes."""
_HEADER = np.dtype([("n", "<i4"), ("m", "<i4"), ("vocabulary", "<i8")])
_HEADER_STRUCT = struct.Struct("<iiq")


class Vocabulary:
    """Distinct tokens of one or more tables. It grows and never shrinks.

    A token is its text, its bytes and its id in the model's own vocabulary (None where unknown). Several tokens may
    have the same text: every half of an emoji reads U+FFFD.
    """

    __slots__ = (
        "_by_text",
        "_exact_texts",
        "_first_index",
        "_groups",
        "_index",
        "_indexed",
        "has_unread",
        "ids",
        "raw",
        "spelt",
        "texts",
    )

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.raw: list[RawBytes] = []
        self.ids: list[int | None] = []
        self.spelt: dict[tuple[str, bytes], int] = {}
        """Indices by token text and the JSON of its bytes, kept by dialects so that each is decoded only once."""
        self._index: dict[tuple[str, RawBytes, int | None], int] = {}
        self._indexed = 0
        # Indices by text alone of tokens without id, one dict for each form of `ReportedBytes`.
        self._by_text: dict[ReportedBytes, defaultdict[str, int]] = {
            reported: defaultdict() for reported in (True, None, ...)
        }
        self._first_index: dict[str, int] = {}
        self._groups: tuple[Ints, int] = (np.zeros(0, np.int32), 0)
        self._exact_texts: list[str] = []
        self.has_unread = False
        """True if some text of the tokens so far may stand for other bytes, so that ``add_texts`` may return UNREAD."""

    @classmethod
    def of(cls, entries: Iterable[tuple[str, RawBytes, int | None]]) -> Self:
        """Return a vocabulary of exactly these tokens (text, bytes, id), in this order."""
        vocabulary = cls()
        for text, raw, token_id in entries:
            vocabulary._append(text, raw, token_id)
        return vocabulary

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, text: str, raw: RawBytes = ..., token_id: int | None = None) -> int:
        """Return the index of a token, and append the token if it is new."""
        key = (text, raw, token_id)
        for index in range(self._indexed, len(self.texts)):
            self._index.setdefault(self.entry(index), index)
        self._indexed = len(self.texts)
        index = self._index.get(key)
        if index is None:
            index = self._index[key] = len(self.texts)
            self._append(replace_surrogates(text), raw, token_id)
            self._indexed = len(self.texts)
        return index

    def add_texts(self, texts: list[str], reported: ReportedBytes) -> Sequence[int]:
        """Return the indices of tokens without id, and append the new ones; all C loops, for thousands of tokens.

        Parameters
        ----------
        texts
            Text of each token, without lone surrogates.
        reported
            The bytes that the server reports for them.

        Returns
        -------
        sequence of int
            ``UNREAD`` for a token whose text may stand for other bytes, if ``reported`` is True.
        """
        by_text = self._by_text[reported]
        size, known = len(self.texts), len(by_text)
        by_text.default_factory = count(size).__next__
        indices = _look_up(by_text, texts)
        if len(by_text) == known:
            return indices
        new = list(islice(reversed(by_text), len(by_text) - known))
        new.reverse()
        if reported is True and (may_hide_bytes("\n".join(new)) or "" in new):
            readable = [text for text in new if not may_hide_bytes(text)]
            self.has_unread = True
            by_text.update(dict.fromkeys(new, UNREAD))
            by_text.update(zip(readable, count(size)))
            indices, new = _look_up(by_text, texts), readable
        self.texts += new
        self.raw += map(str.encode, new) if reported is True else [None if reported is None else ...] * len(new)
        self.ids += repeat(None, len(new))
        return indices

    def clear_spelling_cache(self) -> None:
        """Empty ``spelt``, which takes as much memory as the tokens themselves."""
        self.spelt.clear()

    def _append(self, text: str, raw: RawBytes, token_id: int | None) -> None:
        if token_id is None:
            reported = raw if not isinstance(raw, bytes) else raw == text.encode() and not may_hide_bytes(text)
            if reported is not False:
                self._by_text[reported].setdefault(text, len(self.texts))
        self.texts.append(text)
        self.raw.append(raw)
        self.ids.append(token_id)

    def _grouped(self) -> tuple[Ints, int]:
        """Return the index of the first token with the text of each, and the number of different texts."""
        # Extended rather than computed again: tables that share a vocabulary ask for this while it grows. Two threads
        # that extend it set the same values.
        groups, distinct = self._groups
        known, size = len(groups), len(self.ids)
        if known < size:
            setdefault = self._first_index.setdefault
            new = np.array(
                [setdefault(text, index) for index, text in enumerate(self.texts[known:size], known)], np.int32
            )
            distinct += int((new == np.arange(known, size)).sum())
            self._groups = groups, distinct = np.concatenate((groups, new)), distinct
        return groups, distinct

    @property
    def has_duplicate_texts(self) -> bool:
        """True if two tokens have the same text."""
        groups, distinct = self._grouped()
        return distinct < len(groups)

    @property
    def text_groups(self) -> Ints:
        """For each token, the index of the first token with the same text; shape (len(self),)."""
        return self._grouped()[0]

    def entry(self, index: int) -> tuple[str, RawBytes, int | None]:
        """Return a token's text, bytes and id."""
        return self.texts[index], self.raw[index], self.ids[index]

    @property
    def exact_texts(self) -> list[str]:
        """For each token, its text with the bytes of unfinished characters, as :meth:`exact_text` returns it."""
        known, count = len(self._exact_texts), len(self.texts)
        if known < count:
            # At once, so that a thread beside this one cannot append the same tokens.
            self._exact_texts[known:] = [self.exact_text(index) for index in range(known, count)]
        return self._exact_texts

    def exact_text(self, index: int) -> str:
        """Return a token's text; where it ends inside a character, with its bytes as lone surrogates."""
        raw = self.raw[index]
        return exact_text(self.texts[index], raw if isinstance(raw, bytes) else None)

    def true_bytes(self, index: int) -> bytes:
        """Return a token's bytes: the provider's where it sent them, else the text as UTF-8."""
        raw = self.raw[index]
        return raw if isinstance(raw, bytes) else self.texts[index].encode()


def _look_up(by_text: Mapping[str, int], texts: list[str]) -> Sequence[int]:
    # The fastest way through a dict for a thousand keys; of one key, it would return no sequence.
    return itemgetter(*texts)(by_text) if len(texts) > 1 else [by_text[text] for text in texts]


class Builder:
    """Collector of tokens, each followed by its alternatives."""

    __slots__ = ("_alternative", "_alternative_logprob", "_chosen", "_chosen_logprob", "_offsets", "vocabulary")

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        # Not `or`: an empty vocabulary is false, and yet the one to fill.
        self.vocabulary = Vocabulary() if vocabulary is None else vocabulary
        self._chosen: list[int] = []
        self._chosen_logprob: list[float | None] = []
        self._alternative: list[int] = []
        self._alternative_logprob: list[float | None] = []
        self._offsets: list[int] = []

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def alternatives(self) -> int:
        """Number of collected alternatives, repeated ones included."""
        return len(self._alternative)

    def add_token(self, text: str, logprob: float | None, raw: RawBytes = None, token_id: int | None = None) -> None:
        """Add a chosen token. Alternatives added next belong to it."""
        self._chosen.append(self.vocabulary.add(text, raw, token_id))
        self._chosen_logprob.append(logprob)
        self._offsets.append(len(self._alternative))

    def add_alternative(
        self, text: str, logprob: float | None, raw: RawBytes = ..., token_id: int | None = None
    ) -> None:
        """Add an alternative to the last token."""
        self._alternative.append(self.vocabulary.add(text, raw, token_id))
        self._alternative_logprob.append(logprob)

    def columns(self) -> Columns:
        """Return the collected tokens as arrays, with NaN for null, and each alternative of a token once."""
        offsets = np.array([*self._offsets, len(self._alternative)], np.int32)
        alternative, logprob = np.array(self._alternative, np.int32), np.array(self._alternative_logprob, np.float64)
        if has_repeats(alternative, logprob, offsets):
            kept, values, ends = drop_repeats(self._alternative, self._alternative_logprob, offsets.tolist())
            alternative, logprob = np.array(kept, np.int32), np.array(values, np.float64)
            offsets = np.array(ends, np.int32)
        chosen = np.array(self._chosen, np.int32), np.array(self._chosen_logprob, np.float64)
        return *chosen, alternative, logprob, offsets


def has_repeats(alternative: NDArray[np.integer], logprob: Floats, offsets: Ints) -> bool:
    """Return whether a list of alternatives, by their indices in a vocabulary, repeats one with its log-probability."""
    if len(alternative) <= FEW:
        few, ends = alternative.tolist(), offsets.tolist()
        if len(set(few)) == len(few) or all(
            len(set(few[start:stop])) == stop - start for start, stop in pairwise(ends)
        ):
            return False
        pairs = list(zip(few, _bits(logprob).tolist(), strict=True))
        return any(len(set(pairs[start:stop])) < stop - start for start, stop in pairwise(ends))
    # Numbers that fall from each alternative to the next, as they nearly always do, are different ones.
    inner = offsets[1:-1]
    if not len(inner) or 0 < inner[0] <= inner[-1] < len(logprob):
        falls = logprob[1:] < logprob[:-1]
        falls[inner - 1] = True
        if np.count_nonzero(falls) == len(falls):
            return False
    # One number for each row, token and log-probability. Different ones with equal numbers are all but impossible, and
    # cost time only.
    keys = alternative.astype(np.uint64)
    keys |= np.repeat(np.arange(len(offsets) - 1, dtype=np.uint64) << np.uint64(32), np.diff(offsets))
    keys *= _MULTIPLIER
    keys ^= _bits(logprob)
    keys.sort()
    return bool((keys[1:] == keys[:-1]).any())


def _bits(logprob: Floats) -> NDArray[np.uint64]:
    return (logprob + 0.0).view(np.uint64)  # no -0.0


def drop_repeats(
    alternative: Sequence[int], logprob: Sequence[float | None], offsets: Iterable[int]
) -> tuple[list[int], list[float | None], list[int]]:
    """Return the columns of alternatives without those that repeat a token of their list to the last digit.

    Some servers list the drawn token twice. Equal text, bytes and id (one index) with equal log-probability is one
    token; with different log-probabilities it is two that read alike.
    """
    kept: list[tuple[int, float | None]] = []
    ends = [0]
    for start, stop in pairwise(offsets):
        kept += dict.fromkeys(zip(alternative[start:stop], logprob[start:stop], strict=True))
        ends.append(len(kept))
    return [index for index, _ in kept], [value for _, value in kept], ends


def drop_list_repeats(indices: Sequence[int] | Ints, numbers: bytes, offsets: Ints) -> tuple[list[int], bytes, Ints]:
    """Return lists of all chosen tokens, then all alternatives, without what :func:`drop_repeats` removes."""
    n, indices = len(offsets) - 1, list(map(int, indices))
    logprobs = [None if value != value else value for value in np.frombuffer(numbers).tolist()]
    kept, values, ends = drop_repeats(indices[n:], logprobs[n:], offsets.tolist())
    return [*indices[:n], *kept], pack_numbers([*logprobs[:n], *values]), np.array(ends, np.int32)


def replace_surrogates(text: str) -> str:
    """Return the text with U+FFFD for each lone surrogate, which no encoding can represent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def pack_columns(
    vocabulary: Vocabulary,
    chosen: NDArray[np.integer],
    chosen_logprob: Floats,
    alternative: NDArray[np.integer],
    alternative_logprob: Floats,
    offsets: Ints,
) -> tuple[bytes | None, tuple[Any, ...]]:
    """Return a small table's columns as one block and as views of it; for a large table, None and the columns."""
    if len(vocabulary) <= _NARROW_VOCABULARY:
        chosen, alternative = chosen.astype(np.uint16, copy=False), alternative.astype(np.uint16, copy=False)
    n, m = len(chosen), len(alternative)
    size = 8 * (n + m) + 4 * (n + 1) + 4 * (n + m)
    is_whole = len(offsets) == n + 1 and int(offsets[0]) == 0 and int(offsets[-1]) == m
    dtypes = chosen_logprob.dtype, alternative_logprob.dtype, offsets.dtype, alternative.dtype
    if size > _MOST_BYTES or not is_whole or dtypes != (np.float64, np.float64, np.int32, chosen.dtype):
        return None, (chosen, chosen_logprob, alternative, alternative_logprob, offsets)
    parts = (chosen_logprob, alternative_logprob, offsets, chosen, alternative)
    block = b"".join([_HEADER_STRUCT.pack(n, m, id(vocabulary)), *[part.tobytes() for part in parts]])
    return block, _views(block, n, m, chosen.dtype)


def pack_numbers(logprobs: Sequence[float | None]) -> bytes:
    """Return log-probabilities as float64 end to end, NaN for null."""
    try:
        return struct.pack(f"{len(logprobs)}d", *logprobs)
    except struct.error:  # a null
        return np.array(logprobs, np.float64).tobytes()


def pack_lists(
    vocabulary: Vocabulary, indices: Sequence[int] | Ints, numbers: bytes, offsets: Ints
) -> tuple[bytes | None, tuple[Any, ...]]:
    """Return the columns of lists, as :func:`pack_columns` does; chosen tokens come first, then all alternatives."""
    n, total = len(offsets) - 1, len(indices)
    width = "H" if len(vocabulary) <= _NARROW_VOCABULARY else "i"
    is_array = isinstance(indices, np.ndarray)
    ids = indices.astype(width).tobytes() if is_array else struct.pack(f"{total}{width}", *indices)
    if len(numbers) + len(ids) + 4 * (n + 1) <= _MOST_BYTES:
        header = _HEADER_STRUCT.pack(n, total - n, id(vocabulary))
        block = b"".join((header, numbers, offsets.tobytes(), ids))
        return block, _views(block, n, total - n, np.dtype(width))
    columns, values = np.frombuffer(ids, width), np.frombuffer(numbers, np.float64)
    return None, (columns[:n], values[:n], columns[n:], values[n:], offsets)


def _views(block: bytes, n: int, m: int, index_type: np.dtype[Any]) -> tuple[Any, ...]:
    logprobs = np.frombuffer(block, np.float64, n + m, _HEADER.itemsize)
    start = _HEADER.itemsize + 8 * (n + m)
    offsets = np.frombuffer(block, np.int32, n + 1, start)
    indices = np.frombuffer(block, index_type, n + m, start + 4 * (n + 1))
    return indices[:n], logprobs[:n], indices[n:], logprobs[n:], offsets


def stack_packed(blocks: list[Any]) -> NDArray[np.void] | None:
    """Return many blocks as the rows of a structured array, with fields named like the columns.

    Return None if a block is missing (None), or if shapes or vocabularies differ. Equal ``id`` means the same
    vocabulary, because all tables are alive. The lengths of the blocks are not compared one by one, which would access
    their memory twice. Equal headers and a total length that fits are enough: with equal headers only the width of an
    index can differ, and would make the total too long or too short.
    """
    try:
        data = b"".join(blocks)
    except TypeError:
        return None
    if len(data) != len(blocks) * len(blocks[0]):
        return None
    header = np.frombuffer(blocks[0], _HEADER, 1)[0]
    n, m = int(header["n"]), int(header["m"])
    if not n + m:
        return None
    width = (len(blocks[0]) - _HEADER.itemsize - 8 * (n + m) - 4 * (n + 1)) // (n + m)
    index_type = f"<u{width}" if width == 2 else f"<i{width}"
    fields = [
        ("header", _HEADER),
        ("chosen_logprob", "<f8", (n,)),
        ("alternative_logprob", "<f8", (m,)),
        ("offsets", "<i4", (n + 1,)),
        ("chosen", index_type, (n,)),
        ("alternative", index_type, (m,)),
    ]
    rows = np.frombuffer(data, np.dtype(fields))
    headers = rows["header"]
    are_equal = all((headers[name] == header[name]).all() for name in ("n", "m", "vocabulary"))
    return rows if are_equal else None


def read_only(column: Ints) -> Ints:
    """Return a column after making it read-only."""
    column.flags.writeable = False
    return column
