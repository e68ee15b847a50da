"""What a table of log-probabilities is made of: a vocabulary of distinct tokens, and columns being filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import EllipsisType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

RawBytes = bytes | EllipsisType | None
"""A token's bytes: ``...`` where the provider had no such field, None where it sent null."""

Columns = tuple[Ints, Floats, Ints, Floats, Ints]
"""Chosen token, its logprob; alternative, its logprob; offsets of each token's alternatives."""


class Vocabulary:
    """The distinct tokens of one or more tables; grows, never shrinks.

    A token is its text, its bytes and its id in the model's own vocabulary (None where unknown). Tokens of the same
    text may differ in the others: every half of an emoji reads U+FFFD.
    """

    __slots__ = ("_first", "_index", "_spellings", "ids", "raw", "spelt", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.raw: list[RawBytes] = []
        self.ids: list[int | None] = []
        self.spelt: dict[tuple[str, bytes], int] = {}
        """What a dialect has entered, by token and the JSON of its bytes: these need reading once only."""
        self._index: dict[tuple[str, RawBytes, int | None], int] = {}
        self._first: dict[str, int] = {}
        self._spellings = np.zeros(0, np.int32)

    @classmethod
    def of(cls, entries: Iterable[tuple[str, RawBytes, int | None]]) -> Self:
        """A vocabulary of exactly these tokens, in this order."""
        made = cls()
        for index, (text, raw, token_id) in enumerate(entries):
            made._index.setdefault((text, raw, token_id), index)
            made._enter(text, raw, token_id)
        return made

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, text: str, raw: RawBytes = ..., token_id: int | None = None) -> int:
        """The index of a token, which is entered if it is new."""
        key = (text, raw, token_id)
        found = self._index.get(key)
        if found is None:
            found = self._index[key] = len(self.texts)
            self._enter(scrub(text), raw, token_id)
        return found

    def let_go(self) -> None:
        """Drop what only finding tokens again takes: they are as many as the tokens themselves."""
        self.spelt.clear()

    def _enter(self, text: str, raw: RawBytes, token_id: int | None) -> None:
        self._first.setdefault(text, len(self.texts))
        self.texts.append(text)
        self.raw.append(raw)
        self.ids.append(token_id)

    @property
    def has_namesakes(self) -> bool:
        """Whether two tokens have the same text."""
        return len(self._first) < len(self.texts)

    @property
    def spellings(self) -> Ints:
        """For each token the first that has its text; grows with the vocabulary and is counted on only once."""
        known, count = len(self._spellings), len(self.ids)
        if known < count:
            fresh = [self._first[text] for text in self.texts[known:count]]
            self._spellings = np.concatenate((self._spellings, np.array(fresh, np.int32)))
        return self._spellings

    def entry(self, index: int) -> tuple[str, RawBytes, int | None]:
        """A token's text, bytes and id."""
        return self.texts[index], self.raw[index], self.ids[index]

    def true_bytes(self, index: int) -> bytes:
        """The bytes of a token: as the provider gave them, else its text as UTF-8."""
        raw = self.raw[index]
        return raw if isinstance(raw, bytes) else self.texts[index].encode()


# A table of more bytes than this is kept as it is.
_SMALL = 1 << 16
_HEAD = np.dtype([("n", "<i4"), ("m", "<i4"), ("vocabulary", "<i8")])


def together(
    vocabulary: Vocabulary,
    chosen: NDArray[np.integer],
    chosen_logprob: Floats,
    alternative: NDArray[np.integer],
    alternative_logprob: Floats,
    offsets: Ints,
) -> tuple[bytes | None, tuple[Any, ...]]:
    """A small table's columns in one piece of memory, and views of it; None, and the columns, for a large one.

    Whoever goes through a hundred thousand tables waits for memory more than for anything else, and then for one piece
    of it in place of five. The piece is: the numbers of tokens and of alternatives, as int32, and which vocabulary they
    are over; both columns of log-probabilities, the offsets, both columns of indices.
    """
    n, m = len(chosen), len(alternative)
    size = 8 * (n + m) + 4 * (n + 1) + 4 * (n + m)
    whole = len(offsets) == n + 1 and int(offsets[0]) == 0 and int(offsets[-1]) == m
    kinds = chosen_logprob.dtype, alternative_logprob.dtype, offsets.dtype, alternative.dtype
    if size > _SMALL or not whole or kinds != (np.float64, np.float64, np.int32, chosen.dtype):
        return None, (chosen, chosen_logprob, alternative, alternative_logprob, offsets)
    kind = chosen.dtype
    head = np.array((n, m, id(vocabulary)), _HEAD)
    parts = (head, chosen_logprob, alternative_logprob, offsets, chosen, alternative)
    piece = b"".join([part.tobytes() for part in parts])
    logs = np.frombuffer(piece, np.float64, n + m, _HEAD.itemsize)
    at = _HEAD.itemsize + 8 * (n + m)
    edges = np.frombuffer(piece, np.int32, n + 1, at)
    ids = np.frombuffer(piece, kind, n + m, at + 4 * (n + 1))
    return piece, (ids[:n], logs[:n], ids[n:], logs[n:], edges)


def apart(pieces: list[Any]) -> NDArray[np.void] | None:
    """Many such pieces as the rows of a structured array, with fields named as the columns.

    None where one is missing, or they differ in shape or vocabulary: tables that are alive have the same one if it has
    the same id. No piece is asked for its length, for that would mean waiting for its memory twice. The first that has
    other numbers in its head stands where a head is looked for; and if none has, only the width of an index can differ,
    which a vocabulary outgrows once: then the whole is too long, or too short.
    """
    try:
        whole = b"".join(pieces)
    except TypeError:
        return None
    if len(whole) != len(pieces) * len(pieces[0]):
        return None
    head = np.frombuffer(pieces[0], _HEAD, 1)[0]
    n, m = int(head["n"]), int(head["m"])
    if not n + m:
        return None
    width = (len(pieces[0]) - _HEAD.itemsize - 8 * (n + m) - 4 * (n + 1)) // (n + m)
    kind = f"<u{width}" if width == 2 else f"<i{width}"
    fields = [
        ("head", _HEAD),
        ("chosen_logprob", "<f8", (n,)),
        ("alternative_logprob", "<f8", (m,)),
        ("offsets", "<i4", (n + 1,)),
        ("chosen", kind, (n,)),
        ("alternative", kind, (m,)),
    ]
    rows = np.frombuffer(whole, np.dtype(fields))
    heads = rows["head"]
    alike = all((heads[name] == head[name]).all() for name in ("n", "m", "vocabulary"))
    return rows if alike else None


class Builder:
    """Collects tokens one after the other, each followed by its alternatives."""

    __slots__ = ("_alternative", "_alternative_logprob", "_chosen", "_chosen_logprob", "_offsets", "vocabulary")

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        # An empty vocabulary is false, and is the one to be filled.
        self.vocabulary = Vocabulary() if vocabulary is None else vocabulary
        self._chosen: list[int] = []
        self._chosen_logprob: list[float | None] = []
        self._alternative: list[int] = []
        self._alternative_logprob: list[float | None] = []
        self._offsets: list[int] = []

    def __len__(self) -> int:
        return len(self._chosen)

    def token(self, text: str, logprob: float | None, raw: RawBytes = None, token_id: int | None = None) -> None:
        """Add a chosen token; the alternatives that follow are its own."""
        self._chosen.append(self.vocabulary.add(text, raw, token_id))
        self._chosen_logprob.append(logprob)
        self._offsets.append(len(self._alternative))

    def alternative(self, text: str, logprob: float | None, raw: RawBytes = ..., token_id: int | None = None) -> None:
        """Add an alternative to the last token."""
        self._alternative.append(self.vocabulary.add(text, raw, token_id))
        self._alternative_logprob.append(logprob)

    def columns(self) -> Columns:
        """What has been collected, as arrays; null becomes NaN."""
        return (
            np.array(self._chosen, dtype=np.int32),
            np.array(self._chosen_logprob, dtype=np.float64),
            np.array(self._alternative, dtype=np.int32),
            np.array(self._alternative_logprob, dtype=np.float64),
            np.array([*self._offsets, len(self._alternative)], dtype=np.int32),
        )


def scrub(text: str) -> str:
    """The text with lone surrogates, which no encoder takes, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def fill(builder: Builder, entries: Iterable[Mapping[str, Any]]) -> None:
    """Read the documented list of dicts into a builder."""
    for position, entry in enumerate(entries):
        where = f"logprobs[{position}]"
        token, logprob, raw, token_id = _read(entry, where)
        builder.token(token, logprob, None if raw is ... else raw, token_id)
        for rank, alternative in enumerate(_alternatives(entry, where)):
            builder.alternative(*_read(alternative, f"{where}['top_logprobs'][{rank}]"))


def _alternatives(entry: Mapping[str, Any], where: str) -> Iterator[Mapping[str, Any]]:
    found = entry.get("top_logprobs")
    if found is None:
        return iter(())
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise _bad(f"{where}['top_logprobs']", found, "a list of alternatives")
    return iter(found)


def _read(entry: Mapping[str, Any], where: str) -> tuple[str, float | None, RawBytes, int | None]:
    if not isinstance(entry, Mapping):
        raise _bad(where, entry, "a dict with 'token' and 'logprob'")
    token, logprob, raw = entry.get("token"), entry.get("logprob"), entry.get("bytes", ...)
    if not isinstance(token, str):
        raise _bad(f"{where}['token']", token, "a string")
    try:
        number = None if logprob is None else _number(logprob)
    except (TypeError, OverflowError):
        raise _bad(f"{where}['logprob']", logprob, "a number or None") from None
    if raw is not None and raw is not ...:
        try:
            raw = bytes(iter(raw))
        except (TypeError, ValueError):
            raise _bad(f"{where}['bytes']", raw, "a list of integers from 0 to 255, or None") from None
    token_id = entry.get("id")
    return token, number, raw, token_id if isinstance(token_id, int) else None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int | np.integer | np.floating):
        raise TypeError
    return float(value)


def _bad(where: str, value: object, wanted: str) -> SettingError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
    return SettingError(f"{where} must be {wanted}, not {shown}.", setting=where, value=value)
