"""Store, slice, copy and pickle the columns of a table of log-probabilities.

This is Arrow's layout for a list of structs with dictionary-encoded tokens: a vocabulary of the distinct tokens, an
index and a float64 per chosen token, the same two columns for all alternatives end to end, and int32 offsets (the
alternatives of token ``i`` are ``offsets[i]:offsets[i + 1]``).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import LogprobsMissingError
from ..text.counts import pluralize
from ..warning import warn
from . import measures
from .columns import (
    Columns,
    Floats,
    Ints,
    RawBytes,
    Vocabulary,
    drop_list_repeats,
    has_repeats,
    pack_columns,
    pack_lists,
    read_only,
)
from .rounding import check_rounding
from .values import exp_or_inf


class TokenColumns:
    """Immutable columns of tokens and their alternatives over a vocabulary.

    Parameters
    ----------
    vocabulary
        Distinct tokens, which other tables may share.
    chosen, chosen_logprob
        Index of each chosen token in the vocabulary, and its log-probability in nats; shape (n,).
    alternative, alternative_logprob
        The same for all alternatives, end to end; shape (m,).
    offsets
        The alternatives of token ``i`` are ``offsets[i]:offsets[i + 1]``; shape (n + 1,).
    vocab_size
        Number of tokens that the model can choose from, if known.
    rounding
        By how much a log-probability may be off (nats); see :attr:`rounding`.
    matches_text
        False for the tokens of another text than that of their response; see :attr:`matches_text`.
    """

    __slots__ = (
        "_alternative",
        "_alternative_logprob",
        "_chosen",
        "_chosen_logprob",
        "_observed",
        "_offsets",
        "_vocabulary",
        "before",
        "matches_text",
        "note",
        "packed",
        "rounding",
        "vocab_size",
    )

    packed: bytes | None
    """Columns in one block, for code that reads thousands of tables; None for a table that is not read with others."""
    matches_text: bool
    """False where a server sent the tokens of another text than that of its answer, so that nothing is known of the
    answer's own: no probability of an answer is read from such a table."""
    before: str | None
    """Text before the first token, where :func:`deluge_nb.read` was given one; a slice does not keep it."""
    note: str | None
    """Condition under which the numbers hold, such as the windows in which a long text was read; slices keep it."""
    vocab_size: int | None
    """Number of tokens that the model can choose from, if known. It makes the upper entropy bound finite."""
    rounding: float | None
    """By how much a listed log-probability may be off (nats), which all bounds allow for. None means as much as single
    precision rounds; 0 means that the numbers are exact. See :mod:`deluge_nb.logprobs.rounding`."""

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
        rounding: float | None = None,
        matches_text: bool = True,
    ) -> None:
        packed = pack_columns(vocabulary, chosen, chosen_logprob, alternative, alternative_logprob, offsets)
        self._fill(vocabulary, packed, vocab_size, check_rounding(rounding))
        if not matches_text:
            self.matches_text = False
            self.packed = None

    @classmethod
    def from_lists(
        cls,
        vocabulary: Vocabulary,
        indices: Sequence[int] | Ints,
        numbers: bytes,
        offsets: Ints,
        *,
        vocab_size: int | None = None,
    ) -> Self:
        """Return a table of lists: all chosen tokens, then all alternatives. The fastest way from a reply to a table.

        Parameters
        ----------
        vocabulary
            Distinct tokens.
        indices, numbers
            Index of each token in the vocabulary, and its log-probability in nats as :func:`pack_numbers` returns
            them. An alternative that is listed twice with one log-probability is kept once.
        offsets
            The alternatives of token ``i`` are ``offsets[i]:offsets[i + 1]``; shape (n + 1,).
        vocab_size
            Number of tokens that the model can choose from, if known.

        Returns
        -------
        Logprobs
            The table.
        """
        table = cls.__new__(cls)
        table._fill(vocabulary, pack_lists(vocabulary, indices, numbers, offsets), vocab_size, None)
        if has_repeats(table._alternative, table._alternative_logprob, offsets):
            lists = drop_list_repeats(indices, numbers, offsets)
            table._fill(vocabulary, pack_lists(vocabulary, *lists), vocab_size, None)
        return table

    def _fill(
        self,
        vocabulary: Vocabulary,
        packed: tuple[bytes | None, tuple[Any, ...]],
        vocab_size: int | None,
        rounding: float | None,
    ) -> None:
        self.packed, columns = packed
        self._chosen, self._chosen_logprob, self._alternative, self._alternative_logprob, self._offsets = columns
        if self.packed is None:  # else the columns are views of bytes
            for column in columns:
                column.flags.writeable = False
        self._vocabulary = vocabulary
        self.vocab_size = vocab_size
        self.rounding = rounding
        self.matches_text = True
        self.before = self.note = None
        self._observed: measures.Observed | None = None

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def vocabulary(self) -> Vocabulary:
        """Distinct tokens that the columns refer to. Other tables may share them."""
        return self._vocabulary

    @property
    def chosen(self) -> NDArray[np.integer]:
        """Index of each chosen token in the vocabulary; shape (n,)."""
        return self._chosen

    @property
    def columns(self) -> Columns:
        """Read-only columns: chosen tokens, their logprobs, alternatives, their logprobs, offsets from 0.

        Log-probabilities are in nats and as the provider sent them, sentinels included.
        """
        start, stop = int(self._offsets[0]), int(self._offsets[-1])
        return (
            read_only(self._chosen.astype(np.int32)),
            self._chosen_logprob,
            read_only(self._alternative[start:stop].astype(np.int32)),
            self._alternative_logprob[start:stop],
            self._offsets - self._offsets[0],
        )

    @property
    def top_counts(self) -> Ints:
        """Number of alternatives of each token; shape (n,)."""
        return np.diff(self._offsets)

    @property
    def most_alternatives(self) -> int:
        """Length of the longest list of alternatives."""
        return int(self._offsets[-1] - self._offsets[0] if len(self) == 1 else self.top_counts.max(initial=0))

    @property
    def tokens(self) -> list[str]:
        """Text of each chosen token, as the provider sent it."""
        texts = self._vocabulary.texts
        return [texts[index] for index in self._chosen.tolist()]

    @property
    def token_ids(self) -> list[int | None]:
        """Id of each chosen token in the model's vocabulary; None where the provider does not send it."""
        ids = self._vocabulary.ids
        return [ids[index] for index in self._chosen.tolist()]

    @property
    def token_bytes(self) -> list[bytes]:
        """Bytes of each chosen token: the provider's where it sent them, else the text as UTF-8."""
        vocabulary = self._vocabulary
        return [vocabulary.true_bytes(index) for index in self._chosen.tolist()]

    @property
    def text(self) -> str:
        """Text of the completion, joined from bytes: a character may be split across tokens."""
        return b"".join(self.token_bytes).decode("utf-8", "replace")

    @property
    def censored(self) -> NDArray[np.bool_]:
        """True where the provider sent no log-probability of the chosen token: a sentinel, null or a number above 0."""
        return measures.is_censored(self._chosen_logprob)

    @property
    def logprob(self) -> Floats:
        """Log-probabilities of the chosen tokens in nats; NaN where censored."""
        return measures.mask_censored(self._chosen_logprob)

    @property
    def prob(self) -> Floats:
        """Probabilities of the chosen tokens; NaN where censored."""
        return np.exp(self.logprob)

    @property
    def total_logprob(self) -> float:
        """Sum of the chosen tokens' log-probabilities in nats.

        Warns where some are not known: the sum is then about the others only, and the text is less probable.
        """
        if self.censored.any():
            _warn_of_censored("total")
        return self._known_total()

    @property
    def perplexity(self) -> float:
        """Exponential of the mean surprisal (nats) of the tokens whose log-probability is known.

        Warns where some are not: the number is then about the others only.

        Raises
        ------
        LogprobsMissingError
            When there is no such token.
        """
        known = len(self) - int(self.censored.sum())
        if known == 0:
            raise LogprobsMissingError("Perplexity needs at least one token with a log-probability.")
        if known < len(self):
            _warn_of_censored("perplexity")
        return exp_or_inf(-self._known_total() / known)

    def _known_total(self) -> float:
        return math.fsum(self.logprob[~self.censored])

    def top_logprob(self, position: int) -> Floats:
        """Return the log-probabilities of the alternatives at a position, for :mod:`deluge_nb.stats`.

        Parameters
        ----------
        position
            Index of a token; negative ones count from the end.

        Returns
        -------
        numpy.ndarray
            Nats in the provider's order, shape (k,); NaN where censored.

        Raises
        ------
        IndexError
            When there is no such token.

        Examples
        --------
        >>> from deluge_nb import Logprobs
        >>> from deluge_nb.stats import entropy_bounds
        >>> top = [{"token": "Paris", "logprob": -0.25}, {"token": "Lyon", "logprob": -2.0}]
        >>> table = Logprobs.from_entries([{"token": "Paris", "logprob": -0.25, "top_logprobs": top}])
        >>> round(entropy_bounds(table.top_logprob(0)).mass, 3)
        0.914
        """
        position = self._row(position)
        return measures.mask_censored(self._alternative_logprob[self._offsets[position] : self._offsets[position + 1]])

    def compact(self) -> Self:
        """Return an equal table over a vocabulary of its own, with only the tokens that it uses.

        Returns
        -------
        Logprobs
            The same rows. It needs little memory where the original shares the vocabulary of many responses.

        Examples
        --------
        >>> from deluge_nb import Logprobs
        >>> table = Logprobs.from_entries({"token": text, "logprob": -0.5} for text in ("a", "b", "c"))
        >>> last = table[2:]
        >>> len(last.vocabulary), len(last.compact().vocabulary), last == last.compact()
        (3, 1, True)
        """
        chosen, chosen_logprob, alternative, alternative_logprob, offsets = self.columns
        used, local = np.unique(np.concatenate((chosen, alternative)), return_inverse=True)
        entries = [self._vocabulary.entry(index) for index in used.tolist()]
        local = local.astype(np.int32)
        return self._like(
            local[: len(self)],
            chosen_logprob,
            local[len(self) :],
            alternative_logprob,
            offsets,
            vocabulary=Vocabulary.of(entries),
        )

    def as_other_text(self) -> Self:
        """Return the same rows as those of another text than that of their response.

        Returns
        -------
        Logprobs
            A table whose :attr:`matches_text` is False.

        Examples
        --------
        >>> from deluge_nb import Logprobs
        >>> Logprobs.from_entries([{"token": "a", "logprob": -0.5}]).as_other_text().matches_text
        False
        """
        other = self._like(*self.columns)
        other.matches_text, other.packed = False, None
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        # Thousands of responses may share a vocabulary, which each pickle would contain.
        table = self.compact()
        entries = [table._vocabulary.entry(index) for index in range(len(table._vocabulary))]
        settings = (self.vocab_size, self.rounding, self.matches_text, self.note, self.before)
        return _restore, (type(self), entries, tuple(map(np.array, table.columns)), *settings)

    def _row(self, index: int) -> int:
        """Return the row of an index; negative ones count from the end."""
        row = operator.index(index)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(f"There is no token {index} in a completion of {pluralize(len(self), 'token')}.")
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
        positions = np.concatenate(parts) if parts else np.zeros(0, np.intp)
        return self._like(
            self._chosen[rows],
            self._chosen_logprob[rows],
            self._alternative[positions],
            self._alternative_logprob[positions],
            np.concatenate(([0], np.cumsum(self.top_counts[rows]))).astype(np.int32),
        )

    def _like(self, *columns: Any, vocabulary: Vocabulary | None = None) -> Self:
        table = type(self)(
            self._vocabulary if vocabulary is None else vocabulary,
            *columns,
            vocab_size=self.vocab_size,
            rounding=self.rounding,
            matches_text=self.matches_text,
        )
        table.note = self.note
        return table


def _restore(
    table_class: type[TokenColumns],
    entries: list[tuple[str, RawBytes, int | None]],
    columns: Columns,
    vocab_size: int | None,
    rounding: float | None = None,
    matches_text: bool = True,
    note: str | None = None,
    before: str | None = None,
) -> TokenColumns:
    vocabulary = Vocabulary.of(entries)
    table = table_class(vocabulary, *columns, vocab_size=vocab_size, rounding=rounding, matches_text=matches_text)
    table.note, table.before = note, before
    return table


def _warn_of_censored(number: str) -> None:
    # The text has no numbers, so that Python shows it once for a loop over many tables.
    warn(
        f"This {number} leaves out the tokens whose log-probability the provider withheld; the table's `censored` "
        "marks them."
    )
