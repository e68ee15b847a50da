"""The table of a response's log-probabilities: one row per generated token, each with a short list of alternatives.

Two rules about what providers send live in this package only:

* lone surrogates in the text of a token become U+FFFD, and its bytes keep what was sent
  (:mod:`~deluge_nb.logprobs.columns`);
* sentinels (-9999 for "too unlikely", the lowest float, null) are *censored*: the dicts have them as they were sent,
  :attr:`Logprobs.censored` marks them, and no sum includes them (:mod:`~deluge_nb.logprobs.values`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import LogprobsMissingError
from . import export, measures
from .columns import Floats, Ints, Vocabulary
from .entries import TokenLogprob, TopLogprob, read_entries
from .token_columns import TokenColumns

if TYPE_CHECKING:
    import pandas
    import pyarrow


class Logprobs(TokenColumns, Sequence[TokenLogprob]):
    """An immutable table of token log-probabilities that behaves as the documented list of dicts.

    Build one with :meth:`from_entries`; the client fills them straight from a response. ``len``, indexing, iteration
    and ``==`` work as on a list of dicts (each access makes a fresh one); a slice is a table again.

    All log-probabilities are natural logarithms. Per-token methods return one float64 per token, NaN where the provider
    did not say enough.
    """

    __slots__ = ("_observed",)

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
        super().__init__(
            vocabulary, chosen, chosen_logprob, alternative, alternative_logprob, offsets, vocab_size=vocab_size
        )
        self._observed: measures.Observed | None = None

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
        builder = read_entries(entries)
        return cls(builder.vocabulary, *builder.columns(), vocab_size=vocab_size)

    # As a list of dicts ---------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, index: int) -> TokenLogprob: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> TokenLogprob | Self:
        if isinstance(index, slice):
            return self._slice(index)
        position = self._row(index)
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

    def top(self, position: int) -> list[TopLogprob]:
        """The alternatives at a position as fresh dicts, in the provider's order."""
        position = self._row(position)
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
        position = self._row(position)
        return measures.mask_censored(self._alternative_logprob[self._offsets[position] : self._offsets[position + 1]])

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
        return measures.mask_censored(self._chosen_logprob)

    @property
    def prob(self) -> Floats:
        """The chosen tokens' probabilities; NaN where censored."""
        return np.exp(self.logprob)

    @property
    def observed(self) -> measures.Observed:
        """All that is known of each position's distribution; what the measures are computed from."""
        if self._observed is None:
            self._observed = measures.observe(
                self._vocabulary,
                self._chosen,
                self._chosen_logprob,
                self._alternative,
                self._alternative_logprob,
                self._offsets,
            )
        return self._observed

    @property
    def is_listed(self) -> NDArray[np.bool_]:
        """Whether each chosen token is among its alternatives."""
        return measures.is_listed(self._vocabulary, self._chosen, self._alternative, self._offsets)

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
        return measures.observed_mass(self.observed)

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
        bounds = self.entropy_bounds()
        return {
            "position": np.arange(len(self)),
            "token": self.tokens,
            "logprob": self.logprob,
            "prob": self.prob,
            "surprisal": self.surprisal(),
            "entropy": bounds.lower,
            "entropy_upper": bounds.upper,
            "margin": self.margin(),
            "rank": self.rank(),
            "top_mass": self.top_mass(),
        }

    def to_pandas(self, *, alternatives: bool = False) -> pandas.DataFrame:
        """A data frame with one row per token, or one per token and alternative.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        if alternatives:
            return export.alternatives_to_pandas(self.tokens, self.vocabulary.texts, self.columns)
        return export.to_pandas(self.to_dict())

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table in the documented structure: ``top_logprobs`` is a list of structs.

        Raises
        ------
        MissingDependencyError
            When pyarrow is not installed.
        """
        return export.to_arrow(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> object:
        frame: Any = self.to_pandas()
        return frame.__dataframe__(nan_as_null, allow_copy)

    def __repr__(self) -> str:
        counts = self.top_counts
        top = int(counts.max()) if len(counts) else 0
        text = self.text
        text = text if len(text) <= 60 else text[:59] + "…"
        return f"Logprobs({len(self)} tokens, top {top}: {text!r})"


def _plain(logprob: float) -> float | None:
    return None if math.isnan(logprob) else float(logprob)
