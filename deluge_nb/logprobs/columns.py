"""Vocabulary of distinct tokens, a builder that collects the columns of a table, and these columns in one block.

Code that reads a hundred thousand tables spends its time on memory access, and one block per table is faster than five.
A block has a header (the numbers of tokens and of alternatives, and the vocabulary's ``id``), both columns of
log-probabilities, the offsets, and both columns of indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from types import EllipsisType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..text.partial import exact_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

RawBytes = bytes | EllipsisType | None
"""A token's bytes: ``...`` where the provider had no such field, None where it sent null."""

Columns = tuple[Ints, Floats, Ints, Floats, Ints]
"""Chosen token, its logprob; alternative, its logprob; offsets of each token's alternatives."""

# Bytes. Packing a larger table would cost more than it saves.
_MOST_BYTES = 1 << 16
_HEADER = np.dtype([("n", "<i4"), ("m", "<i4"), ("vocabulary", "<i8")])


class Vocabulary:
    """Distinct tokens of one or more tables. It grows and never shrinks.

    A token is its text, its bytes and its id in the model's own vocabulary (None where unknown). Several tokens may
    have the same text: every half of an emoji reads U+FFFD.
    """

    __slots__ = ("_exact_texts", "_first_index", "_index", "_text_groups", "ids", "raw", "spelt", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.raw: list[RawBytes] = []
        self.ids: list[int | None] = []
        self.spelt: dict[tuple[str, bytes], int] = {}
        """Indices by token text and the JSON of its bytes, kept by dialects so that each is decoded only once."""
        self._index: dict[tuple[str, RawBytes, int | None], int] = {}
        self._first_index: dict[str, int] = {}
        self._text_groups = np.zeros(0, np.int32)
        self._exact_texts: list[str] = []

    @classmethod
    def of(cls, entries: Iterable[tuple[str, RawBytes, int | None]]) -> Self:
        """Return a vocabulary of exactly these tokens (text, bytes, id), in this order."""
        vocabulary = cls()
        for index, (text, raw, token_id) in enumerate(entries):
            vocabulary._index.setdefault((text, raw, token_id), index)
            vocabulary._append(text, raw, token_id)
        return vocabulary

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, text: str, raw: RawBytes = ..., token_id: int | None = None) -> int:
        """Return the index of a token, and append the token if it is new."""
        key = (text, raw, token_id)
        index = self._index.get(key)
        if index is None:
            index = self._index[key] = len(self.texts)
            self._append(replace_surrogates(text), raw, token_id)
        return index

    def clear_spelling_cache(self) -> None:
        """Empty ``spelt``, which takes as much memory as the tokens themselves."""
        self.spelt.clear()

    def _append(self, text: str, raw: RawBytes, token_id: int | None) -> None:
        self._first_index.setdefault(text, len(self.texts))
        self.texts.append(text)
        self.raw.append(raw)
        self.ids.append(token_id)

    @property
    def has_duplicate_texts(self) -> bool:
        """True if two tokens have the same text."""
        return len(self._first_index) < len(self.texts)

    @property
    def text_groups(self) -> Ints:
        """For each token, the index of the first token with the same text; shape (len(self),)."""
        # Extended rather than computed again: tables that share a vocabulary ask for this while it grows.
        known, count = len(self._text_groups), len(self.ids)
        if known < count:
            new = [self._first_index[text] for text in self.texts[known:count]]
            self._text_groups = np.concatenate((self._text_groups, np.array(new, np.int32)))
        return self._text_groups

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
        offsets = [*self._offsets, len(self._alternative)]
        alternative, logprob = self._alternative, self._alternative_logprob
        if has_repeats(alternative, offsets):
            alternative, logprob, offsets = drop_repeats(alternative, logprob, offsets)
        return (
            np.array(self._chosen, dtype=np.int32),
            np.array(self._chosen_logprob, dtype=np.float64),
            np.array(alternative, dtype=np.int32),
            np.array(logprob, dtype=np.float64),
            np.array(offsets, dtype=np.int32),
        )


def has_repeats(alternative: list[int], offsets: Sequence[int]) -> bool:
    """Return whether a list of alternatives, by their indices in a vocabulary, names one of them twice."""
    if len(set(alternative)) == len(alternative):
        return False
    return any(len(set(alternative[start:stop])) < stop - start for start, stop in pairwise(offsets))


def drop_repeats(
    alternative: list[int], logprob: list[float | None], offsets: Sequence[int]
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
    n, m = len(chosen), len(alternative)
    size = 8 * (n + m) + 4 * (n + 1) + 4 * (n + m)
    is_whole = len(offsets) == n + 1 and int(offsets[0]) == 0 and int(offsets[-1]) == m
    dtypes = chosen_logprob.dtype, alternative_logprob.dtype, offsets.dtype, alternative.dtype
    if size > _MOST_BYTES or not is_whole or dtypes != (np.float64, np.float64, np.int32, chosen.dtype):
        return None, (chosen, chosen_logprob, alternative, alternative_logprob, offsets)
    header = np.array((n, m, id(vocabulary)), _HEADER)
    parts = (header, chosen_logprob, alternative_logprob, offsets, chosen, alternative)
    block = b"".join([part.tobytes() for part in parts])
    logprobs = np.frombuffer(block, np.float64, n + m, _HEADER.itemsize)
    start = _HEADER.itemsize + 8 * (n + m)
    packed_offsets = np.frombuffer(block, np.int32, n + 1, start)
    indices = np.frombuffer(block, chosen.dtype, n + m, start + 4 * (n + 1))
    return block, (indices[:n], logprobs[:n], indices[n:], logprobs[n:], packed_offsets)


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
