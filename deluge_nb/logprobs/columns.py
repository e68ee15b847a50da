"""What a table of log-probabilities is made of: a vocabulary of distinct tokens, and columns being filled."""

from __future__ import annotations

from collections.abc import Iterable
from types import EllipsisType
from typing import Self

import numpy as np
from numpy.typing import NDArray

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
            self._enter(replace_surrogates(text), raw, token_id)
        return found

    def clear_spelling_cache(self) -> None:
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


def replace_surrogates(text: str) -> str:
    """The text with lone surrogates, which no encoder takes, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
