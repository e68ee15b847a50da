"""The columns of a table of log-probabilities: how they are stored, sliced, copied and pickled.

This is Arrow's layout for a list of structs with dictionary-encoded tokens: a vocabulary of the distinct tokens, an
index and a float64 per chosen token, the same two columns for all alternatives end to end, and int32 offsets (the
alternatives of token ``i`` are ``offsets[i]:offsets[i + 1]``).
"""

from __future__ import annotations

import operator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .columns import Columns, Floats, Ints, RawBytes, Vocabulary
from .packed import pack_columns

# Indices into a vocabulary of at most this size are stored as uint16: they are most bytes of thousands of answers.
_NARROW_VOCABULARY = 1 << 16


class TokenColumns:
    """Immutable columns of tokens and their alternatives over a vocabulary.

    Parameters
    ----------
    vocabulary
        The distinct tokens; other tables may have the same.
    chosen, chosen_logprob
        Shape (n,): each chosen token's index in the vocabulary, and its log-probability in nats.
    alternative, alternative_logprob
        Shape (m,): the same of all alternatives, end to end.
    offsets
        Shape (n + 1,): the alternatives of token ``i`` are ``offsets[i]:offsets[i + 1]``.
    vocab_size
        How many tokens the model can choose from, where that is known.
    """

    __slots__ = (
        "_alternative",
        "_alternative_logprob",
        "_chosen",
        "_chosen_logprob",
        "_offsets",
        "_vocabulary",
        "packed",
        "vocab_size",
    )

    packed: bytes | None
    """The columns in one block, for code that reads very many tables; None for a long table."""
    vocab_size: int | None
    """How many tokens the model can choose from, where that is known. It closes the entropy bounds."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        chosen: NDArray[np.integer],
        chosen_logprob: Floats,
        alternative: NDArray[np.integer],
        alternative_logprob: Floats,
        offsets: Ints,
        *,
        vocab_size: int | None = None,
    ) -> None:
        if len(vocabulary) <= _NARROW_VOCABULARY:
            chosen, alternative = chosen.astype(np.uint16, copy=False), alternative.astype(np.uint16, copy=False)
        self.packed, columns = pack_columns(
            vocabulary, chosen, chosen_logprob, alternative, alternative_logprob, offsets
        )
        for column in columns:
            column.flags.writeable = False
        self._chosen, self._chosen_logprob, self._alternative, self._alternative_logprob, self._offsets = columns
        self._vocabulary = vocabulary
        self.vocab_size = vocab_size

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def vocabulary(self) -> Vocabulary:
        """The distinct tokens that the columns refer to. Other tables may have the same."""
        return self._vocabulary

    @property
    def chosen(self) -> NDArray[np.integer]:
        """The index of each chosen token in the vocabulary, shape (n,)."""
        return self._chosen

    @property
    def columns(self) -> Columns:
        """Read-only columns as they were sent: chosen, its logprob, alternatives, their logprobs, offsets from 0."""
        start, stop = int(self._offsets[0]), int(self._offsets[-1])
        return (
            _read_only(self._chosen.astype(np.int32)),
            self._chosen_logprob,
            _read_only(self._alternative[start:stop].astype(np.int32)),
            self._alternative_logprob[start:stop],
            self._offsets - self._offsets[0],
        )

    @property
    def top_counts(self) -> Ints:
        """The number of alternatives of each token, shape (n,)."""
        return np.diff(self._offsets)

    @property
    def most_alternatives(self) -> int:
        """The length of the longest list of alternatives."""
        return int(self.top_counts.max(initial=0))

    def compact(self) -> Self:
        """Return an equal table over a vocabulary of its own, with only the tokens that it uses."""
        chosen, chosen_logprob, alternative, alternative_logprob, offsets = self.columns
        used, local = np.unique(np.concatenate((chosen, alternative)), return_inverse=True)
        entries = [self._vocabulary.entry(index) for index in used.tolist()]
        local = local.astype(np.int32)
        return type(self)(
            Vocabulary.of(entries),
            local[: len(self)],
            chosen_logprob,
            local[len(self) :],
            alternative_logprob,
            offsets,
            vocab_size=self.vocab_size,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Compact, because thousands of responses may have the same vocabulary.
        own = self.compact()
        entries = [own._vocabulary.entry(index) for index in range(len(own._vocabulary))]
        return _restore, (type(self), entries, tuple(np.array(column) for column in own.columns), self.vocab_size)

    def _row(self, index: int) -> int:
        """Return the row of an index, which may count from the end."""
        row = operator.index(index)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(f"There is no token {index} in a completion of {len(self)} tokens.")
        return row

    def _slice(self, index: slice) -> Self:
        """Return the rows of a slice; contiguous rows are views of the same memory."""
        start, stop, step = index.indices(len(self))
        if step == 1:
            stop = max(start, stop)
            return self._like(
                self._chosen[start:stop],
                self._chosen_logprob[start:stop],
                self._alternative,
                self._alternative_logprob,
                self._offsets[start : stop + 1],
            )
        rows = np.arange(start, stop, step)
        parts = [np.arange(self._offsets[row], self._offsets[row + 1]) for row in rows]
        places = np.concatenate(parts) if parts else np.zeros(0, np.intp)
        return self._like(
            self._chosen[rows],
            self._chosen_logprob[rows],
            self._alternative[places],
            self._alternative_logprob[places],
            np.concatenate(([0], np.cumsum(self.top_counts[rows]))).astype(np.int32),
        )

    def _like(self, *columns: Any) -> Self:
        return type(self)(self._vocabulary, *columns, vocab_size=self.vocab_size)


def _restore(
    table_class: type[TokenColumns],
    entries: list[tuple[str, RawBytes, int | None]],
    columns: Columns,
    vocab_size: int | None,
) -> TokenColumns:
    return table_class(Vocabulary.of(entries), *columns, vocab_size=vocab_size)


def _read_only(column: Ints) -> Ints:
    column.flags.writeable = False
    return column
