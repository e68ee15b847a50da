"""The table of a response's log-probabilities: one row per generated token, each with a short list of alternatives.

Inside, it is Arrow's layout for a list of structs with dictionary-encoded tokens: a vocabulary of the distinct tokens,
an index and a float64 per chosen token, the same two columns for all alternatives laid end to end, and int32 offsets
(the alternatives of token ``i`` are ``offsets[i]:offsets[i + 1]``). At the door it is the documented list of dicts.

Two rules about what providers send live here and nowhere else:

* lone surrogates in token text become U+FFFD; the bytes column keeps the truth;
* sentinels (-9999 for "too unlikely to say", the lowest float, null) are *censored*: kept as they came in the dicts,
  marked in :attr:`Logprobs.censored`, and never summed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, Self, TypedDict, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import LogprobsMissingError
from . import export as tables
from . import measures
from .columns import Builder, Columns, Floats, Ints, RawBytes, Vocabulary, fill, together

if TYPE_CHECKING:
    import pandas
    import pyarrow


_FEW_TOKENS = 1 << 16


class TopLogprob(TypedDict):
    """One alternative the model weighed. ``logprob`` is in nats; None where the provider sent null."""

    token: str
    logprob: float | None
    bytes: NotRequired[list[int] | None]


class TokenLogprob(TypedDict):
    """One generated token with its alternatives, in the structure of the OpenAI chat API."""

    token: str
    logprob: float | None
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class Logprobs(Sequence[TokenLogprob]):
    """An immutable table of token log-probabilities that behaves as the documented list of dicts.

    Build one with :meth:`from_entries`; the client fills them straight from a response. ``len``, indexing, iteration
    and ``==`` work as on a list of dicts (each access makes a fresh one); a slice is a table again.

    All log-probabilities are natural logarithms. Per-token methods return one float64 per token, NaN where the provider
    did not say enough.
    """

    __slots__ = (
        "_alternative",
        "_alternative_logprob",
        "_chosen",
        "_chosen_logprob",
        "_offsets",
        "_piece",
        "_seen",
        "_vocabulary",
        "vocab_size",
    )

    vocab_size: int | None
    """How many tokens the model can choose from, where that is known; it closes the entropy bounds."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        chosen: Ints,
        chosen_logprob: Floats,
        alternative: Ints,
        alternative_logprob: Floats,
        offsets: Ints,
        *,
        vocab_size: int | None = None,
    ) -> None:
        """Wrap columns; for dialects and tests. People call :meth:`from_entries`."""
        if len(vocabulary) <= _FEW_TOKENS:  # most bytes of thousands of answers; a slice's are narrow already
            chosen, alternative = (one.astype(np.uint16, copy=False) for one in (chosen, alternative))  # type: ignore[assignment]
        self._piece, columns = together(vocabulary, chosen, chosen_logprob, alternative, alternative_logprob, offsets)
        for column in columns:
            column.flags.writeable = False
        self._chosen, self._chosen_logprob, self._alternative, self._alternative_logprob, self._offsets = columns
        self._vocabulary = vocabulary
        self._seen: measures.Observed | None = None
        self.vocab_size = vocab_size

    @classmethod
    def from_entries(cls, entries: Iterable[Mapping[str, Any]], *, vocab_size: int | None = None) -> Self:
        """Make a table from the documented list of dicts; ``list(table)`` gives it back.

        Parameters
        ----------
        entries
            One mapping per token with ``token`` and ``logprob``, and where known ``bytes`` and ``top_logprobs``.
        vocab_size
            How many tokens the model can choose from, if you know it.

        Raises
        ------
        SettingError
            When an entry is not of that structure; it names the position and the field.
        """
        builder = Builder()
        fill(builder, entries)
        return cls(builder.vocabulary, *builder.columns(), vocab_size=vocab_size)

    # As a list of dicts ---------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> TokenLogprob: ...
    @overload
    def __getitem__(self, index: slice) -> Logprobs: ...
    def __getitem__(self, index: int | slice) -> TokenLogprob | Logprobs:
        if isinstance(index, slice):
            return self._sliced(index)
        position = self._position(index)
        chosen = self._chosen[position]
        raw = self._vocabulary.raw[chosen]
        return {
            "token": self._vocabulary.texts[chosen],
            "logprob": _plain(self._chosen_logprob[position]),
            "bytes": list(raw) if isinstance(raw, bytes) else None,
            "top_logprobs": self.top(position),
        }

    def __iter__(self) -> Iterator[TokenLogprob]:
        return (self[position] for position in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Logprobs | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    @property
    def most_alternatives(self) -> int:
        """The length of the longest list of alternatives."""
        return int(np.diff(self._offsets).max(initial=0))

    def top(self, position: int) -> list[TopLogprob]:
        """The alternatives at a position as fresh dicts, in the provider's order."""
        position = self._position(position)
        span = slice(self._offsets[position], self._offsets[position + 1])
        vocabulary = self._vocabulary
        found: list[TopLogprob] = []
        for index, logprob in zip(
            self._alternative[span].tolist(), self._alternative_logprob[span].tolist(), strict=True
        ):
            entry: TopLogprob = {"token": vocabulary.texts[index], "logprob": _plain(logprob)}
            raw = vocabulary.raw[index]
            if raw is not ...:
                entry["bytes"] = list(raw) if isinstance(raw, bytes) else None
            found.append(entry)
        return found

    def top_logprob(self, position: int) -> Floats:
        """The log-probabilities of the alternatives at a position, as listed: what :mod:`deluge_nb.stats` takes."""
        position = self._position(position)
        return measures.known(self._alternative_logprob[self._offsets[position] : self._offsets[position + 1]])

    def _position(self, index: int) -> int:
        position = operator.index(index)
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"token {index} of a completion of {len(self)} tokens")
        return position

    def _sliced(self, index: slice) -> Logprobs:
        start, stop, step = index.indices(len(self))
        if step == 1:
            stop = max(start, stop)
            return self._with(
                self._chosen[start:stop],
                self._chosen_logprob[start:stop],
                self._offsets[start : stop + 1],
            )
        rows = range(start, stop, step)
        parts = [slice(self._offsets[row], self._offsets[row + 1]) for row in rows]
        lengths = [part.stop - part.start for part in parts]
        take = np.concatenate([np.arange(part.start, part.stop) for part in parts] or [[]])
        take = take.astype(np.int64)
        return Logprobs(
            self._vocabulary,
            self._chosen[list(rows)],
            self._chosen_logprob[list(rows)],
            self._alternative[take],
            self._alternative_logprob[take],
            np.concatenate(([0], np.cumsum(lengths))).astype(np.int32),
            vocab_size=self.vocab_size,
        )

    def _with(self, chosen: Ints, chosen_logprob: Floats, offsets: Ints) -> Logprobs:
        return Logprobs(
            self._vocabulary,
            chosen,
            chosen_logprob,
            self._alternative,
            self._alternative_logprob,
            offsets,
            vocab_size=self.vocab_size,
        )

    # Columns and text -----------------------------------------------------------------------------------------------

    @property
    def tokens(self) -> list[str]:
        """The text of each chosen token, as the provider spelt it."""
        texts = self._vocabulary.texts
        return [texts[index] for index in self._chosen.tolist()]

    @property
    def token_ids(self) -> list[int | None]:
        """Each chosen token's id in the model's vocabulary, where the provider tells it."""
        ids = self._vocabulary.ids
        return [ids[index] for index in self._chosen.tolist()]

    @property
    def token_bytes(self) -> list[bytes]:
        """The bytes of each chosen token: the provider's where it gives them, else the text as UTF-8."""
        vocabulary = self._vocabulary
        return [vocabulary.true_bytes(index) for index in self._chosen.tolist()]

    @property
    def text(self) -> str:
        """The completion's text, joined from bytes, so that a character cut across tokens reads right."""
        return b"".join(self.token_bytes).decode("utf-8", "replace")

    @property
    def censored(self) -> NDArray[np.bool_]:
        """Where the provider sent a sentinel or null in place of the chosen token's log-probability."""
        return measures.is_censored(self._chosen_logprob)

    @property
    def logprob(self) -> Floats:
        """The chosen tokens' log-probabilities in nats; NaN where censored."""
        return measures.known(self._chosen_logprob)

    @property
    def prob(self) -> Floats:
        """The chosen tokens' probabilities; NaN where censored."""
        return np.exp(self.logprob)

    @property
    def top_counts(self) -> Ints:
        """How many alternatives each token has."""
        return np.diff(self._offsets)

    @property
    def observed(self) -> measures.Observed:
        """All that is known of each position's distribution; what the measures are computed from."""
        if self._seen is None:
            self._seen = measures.observe(
                self._vocabulary,
                self._chosen,
                self._chosen_logprob,
                self._alternative,
                self._alternative_logprob,
                self._offsets,
            )
        return self._seen

    @property
    def is_listed(self) -> NDArray[np.bool_]:
        """Whether each chosen token is among its alternatives."""
        return measures.listed(self._vocabulary, self._chosen, self._alternative, self._offsets)

    # Measures -------------------------------------------------------------------------------------------------------

    def surprisal(self, base: float = math.e) -> Floats:
        """How surprising each chosen token is: minus the logarithm of its probability.

        Parameters
        ----------
        base
            2 for bits; e (nats) by default.
        """
        return measures.surprisal(self._chosen_logprob, base)

    def entropy(self, base: float = math.e) -> Floats:
        """The uncertainty before each token: the least entropy its alternatives leave possible.

        Exact where all alternatives are known. Elsewhere it is a lower bound, and a tight one: the mass outside the
        list is spread as narrowly as the list's smallest probability allows. (Leaving that mass out, as in a plain sum
        over the list, would call a nearly flat distribution certain.)

        Parameters
        ----------
        base
            2 for bits; e (nats) by default.
        """
        return measures.lower_entropy(self.observed) / measures.log_of(base)

    def entropy_bounds(self, vocab_size: int | None = None, *, base: float = math.e) -> measures.Bounds:
        """The interval the entropy before each token must lie in, given the listed alternatives.

        Parameters
        ----------
        vocab_size
            How many tokens the model can choose from; :attr:`vocab_size` if left out. Without either, the upper bound
            is infinite wherever some probability is not listed.
        base
            2 for bits; e (nats) by default.

        Returns
        -------
        Bounds
            ``lower`` and ``upper``, each one float64 per token.

        Raises
        ------
        SettingError
            When the vocabulary is smaller than the list of alternatives.
        """
        size = self.vocab_size if vocab_size is None else vocab_size
        return measures.entropy_bounds(self.observed, size, base)

    def margin(self) -> Floats:
        """How far the likeliest token leads the runner-up, as a difference of probabilities.

        Where only one alternative is known the runner-up may hold all the rest, and the least possible lead is given.
        NaN where there are no alternatives.
        """
        return measures.margin(self.observed)

    def rank(self) -> Floats:
        """The chosen token's place among the alternatives, 1 for the likeliest.

        A chosen token that is not listed gets one more than the length of the list: its rank is that or worse. NaN
        where there are no alternatives.
        """
        return measures.rank(
            self._vocabulary, self._chosen, self._alternative, self._alternative_logprob, self._offsets
        )

    def top_mass(self) -> Floats:
        """The probability that is accounted for: the listed alternatives and the chosen token together."""
        return measures.mass(self.observed)

    @property
    def total_logprob(self) -> float:
        """The sum of the chosen tokens' log-probabilities in nats, censored ones left out."""
        return math.fsum(self.logprob[~self.censored])

    @property
    def perplexity(self) -> float:
        """The exponential of the mean surprisal of the tokens whose log-probability is known.

        Raises
        ------
        LogprobsMissingError
            When there is no such token.
        """
        known = len(self) - int(self.censored.sum())
        if known == 0:
            raise LogprobsMissingError("Perplexity needs at least one token with a log-probability.")
        try:
            return math.exp(-self.total_logprob / known)
        except OverflowError:
            return math.inf

    # Tables for people ----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain columns, one value per token: what any data frame library takes."""
        return tables.columns_of(self)

    def to_pandas(self, *, alternatives: bool = False) -> pandas.DataFrame:
        """A data frame with one row per token, or one per token and alternative.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        return tables.to_pandas(self, alternatives)

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table in the documented structure: ``top_logprobs`` is a list of structs.

        Raises
        ------
        MissingDependencyError
            When pyarrow is not installed.
        """
        return tables.to_arrow(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> object:
        frame: Any = self.to_pandas()
        return frame.__dataframe__(nan_as_null, allow_copy)

    # Plumbing -------------------------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Vocabulary:
        """The distinct tokens that the columns point into; may be shared with other tables."""
        return self._vocabulary

    @property
    def chosen(self) -> NDArray[np.integer]:
        """The chosen tokens' places in the vocabulary."""
        return self._chosen

    @property
    def columns(self) -> Columns:
        """The columns (read-only): chosen, its logprob, alternatives, theirs, offsets from 0; all as they were sent."""
        start, stop = int(self._offsets[0]), int(self._offsets[-1])
        return (
            _frozen(self._chosen.astype(np.int32)),
            self._chosen_logprob,
            _frozen(self._alternative[start:stop].astype(np.int32)),
            self._alternative_logprob[start:stop],
            self._offsets - self._offsets[0],
        )

    def compact(self) -> Logprobs:
        """The same table over a vocabulary of its own, which holds only the tokens it uses."""
        chosen, chosen_logprob, alternative, alternative_logprob, offsets = self.columns
        used, local = np.unique(np.concatenate((chosen, alternative)), return_inverse=True)
        entries = [self._vocabulary.entry(index) for index in used.tolist()]
        local = local.astype(np.int32)
        return Logprobs(
            Vocabulary.of(entries),
            local[: len(self)],
            chosen_logprob,
            local[len(self) :],
            alternative_logprob,
            offsets,
            vocab_size=self.vocab_size,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Compact, because a vocabulary may be shared by thousands of responses.
        own = self.compact()
        entries = [own._vocabulary.entry(index) for index in range(len(own._vocabulary))]
        return _restored, (entries, tuple(np.array(column) for column in own.columns), self.vocab_size)

    def __repr__(self) -> str:
        counts = self.top_counts
        top = int(counts.max()) if len(counts) else 0
        text = self.text
        text = text if len(text) <= 60 else text[:59] + "…"
        return f"Logprobs({len(self)} tokens, top {top}: {text!r})"


def _restored(entries: list[tuple[str, RawBytes, int | None]], columns: Columns, vocab_size: int | None) -> Logprobs:
    return Logprobs(Vocabulary.of(entries), *columns, vocab_size=vocab_size)


def _frozen(column: Ints) -> Ints:
    column.flags.writeable = False
    return column


def _plain(logprob: float) -> float | None:
    return None if math.isnan(logprob) else float(logprob)
