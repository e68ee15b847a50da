"""The table of a response's log-probabilities: one row per generated token, each with a short list of alternatives.

Two rules for what providers send are implemented in this package only:

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

from ..elsewhere import TABLE, NamesElsewhere
from ..text.counts import pluralize
from . import export, measures
from .columns import Floats
from .entries import TokenLogprob, TopLogprob, read_entries
from .token_columns import TokenColumns

if TYPE_CHECKING:
    import pandas
    import pyarrow


class Logprobs(TokenColumns, NamesElsewhere, Sequence[TokenLogprob]):
    """Immutable table of token log-probabilities that behaves as the documented list of dicts.

    Create one with :meth:`from_entries` or :func:`deluge_nb.as_logprobs`; the client fills them straight from a
    response. ``len``, indexing, iteration and ``==`` work as for a list of dicts (each access creates a new dict); a
    slice is a table again.

    Log-probabilities are natural logarithms (nats); surprisal and entropy are in bits. Per-token measures return one
    float64 per token, NaN where the provider sent too little to compute it.

    Parameters
    ----------
    vocabulary, chosen, chosen_logprob, alternative, alternative_logprob, offsets, vocab_size, rounding, matches_text
        Columns, as :class:`~deluge_nb.logprobs.token_columns.TokenColumns` describes them.

    Examples
    --------
    >>> from deluge_nb import Logprobs
    >>> top = [{"token": "Paris", "logprob": -0.25}, {"token": "Lyon", "logprob": -2.0}]
    >>> table = Logprobs.from_entries([{"token": "Paris", "logprob": -0.25, "top_logprobs": top}])
    >>> table
    Logprobs(1 token, top 2: 'Paris')
    >>> table[0]["token"], table.prob.round(2).tolist(), table.entropy().round(2).tolist()
    ('Paris', [0.78], [0.98])
    """

    __slots__ = ()
    _elsewhere = TABLE

    @classmethod
    def from_entries(
        cls,
        entries: Iterable[Mapping[str, Any]],
        *,
        vocab_size: int | None = None,
        rounding: float | None = None,
    ) -> Self:
        """Create a table from the documented list of dicts; ``list(table)`` returns an equal list.

        An alternative that is listed twice (equal text, bytes, id and log-probability) is one token and kept once.

        Parameters
        ----------
        entries
            One mapping per token with ``token`` and ``logprob``, and where known ``bytes`` and ``top_logprobs``.
        vocab_size
            Number of tokens that the model can choose from, if you know it.
        rounding
            By how much a log-probability may be off (nats), such as 5e-5 for four decimals; 0 for exact numbers. None:
            as single precision rounds.

        Returns
        -------
        Logprobs
            One row per entry.

        Raises
        ------
        SettingError
            When an entry does not have that structure. The message names the position and the field.
        """
        builder = read_entries(entries)
        return cls(builder.vocabulary, *builder.columns(), vocab_size=vocab_size, rounding=rounding)

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
        """Return the alternatives at a position as new dicts.

        Parameters
        ----------
        position
            Index of a token; negative ones count from the end.

        Returns
        -------
        list of TopLogprob
            In the provider's order.

        Raises
        ------
        IndexError
            When there is no such token.
        """
        position = self._row(position)
        rows = slice(self._offsets[position], self._offsets[position + 1])
        vocabulary = self._vocabulary
        top: list[TopLogprob] = []
        for index, logprob in zip(
            self._alternative[rows].tolist(), self._alternative_logprob[rows].tolist(), strict=True
        ):
            entry: TopLogprob = {"token": vocabulary.texts[index], "logprob": _plain(logprob)}
            raw = vocabulary.raw[index]
            if raw is not ...:
                entry["bytes"] = list(raw) if isinstance(raw, bytes) else None
            top.append(entry)
        return top

    # Columns --------------------------------------------------------------------------------------------------------

    @property
    def observed(self) -> measures.Observed:
        """Summary of each position's known probabilities, from which the measures are computed."""
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
        """True where the chosen token is among its alternatives."""
        return measures.is_listed(self._vocabulary, self._chosen, self._alternative, self._offsets)

    # Measures -------------------------------------------------------------------------------------------------------

    def surprisal(self, base: float = 2) -> Floats:
        """Return the surprisal of each chosen token in bits: minus the logarithm of its probability.

        Parameters
        ----------
        base
            Base of the logarithm: 2 (bits) by default; ``math.e`` for nats.

        Returns
        -------
        numpy.ndarray
            Shape (n,); NaN where censored.

        Examples
        --------
        >>> from deluge_nb import Logprobs
        >>> Logprobs.from_entries([{"token": "heads", "logprob": -0.6931471805599453}]).surprisal()
        array([1.])
        """
        return measures.surprisal(self._chosen_logprob, base)

    def entropy(self, base: float = 2) -> Floats:
        """Return the uncertainty before each token in bits: the least entropy that its alternatives allow.

        Exact where all alternatives are known. Elsewhere it is a tight lower bound: the mass outside the list is spread
        as narrowly as the list's smallest probability allows. (A plain sum over the list leaves that mass out, and
        would call a nearly flat distribution certain.)

        Parameters
        ----------
        base
            Base of the logarithm: 2 (bits) by default; ``math.e`` for nats.

        Returns
        -------
        numpy.ndarray
            Shape (n,); NaN where nothing is known.

        Examples
        --------
        >>> from deluge_nb import Logprobs
        >>> top = [{"token": token, "logprob": -1.3862943611198906} for token in "abcd"]
        >>> Logprobs.from_entries([{"token": "a", **top[0], "top_logprobs": top}]).entropy()
        array([2.])
        """
        return measures.lower_entropy(self.observed, self.vocab_size, self.rounding) / measures.log_of(base)

    def entropy_bounds(self, vocab_size: int | None = None, *, base: float = 2) -> measures.Bounds:
        """Return the interval in bits that contains the entropy before each token, given the listed alternatives.

        Parameters
        ----------
        vocab_size
            Number of tokens that the model can choose from; :attr:`vocab_size` if left out. Without either, the upper
            bound is infinite wherever some probability is not listed.
        base
            Base of the logarithm: 2 (bits) by default; ``math.e`` for nats.

        Returns
        -------
        Bounds
            ``lower`` and ``upper``, each of shape (n,).

        Raises
        ------
        SettingError
            When the vocabulary is smaller than the list of alternatives.

        Examples
        --------
        >>> from deluge_nb import Logprobs
        >>> top = [{"token": "Paris", "logprob": -0.25}, {"token": "Lyon", "logprob": -2.0}]
        >>> table = Logprobs.from_entries([{"token": "Paris", "logprob": -0.25, "top_logprobs": top}])
        >>> lower, upper = table.entropy_bounds(50_000)
        >>> lower.round(2).tolist(), upper.round(2).tolist()
        ([0.98], [2.32])
        """
        size = self.vocab_size if vocab_size is None else vocab_size
        return measures.entropy_bounds(self.observed, size, base, self.rounding)

    def margin(self) -> Floats:
        """Return the lead of the likeliest token over the runner-up, as a difference of probabilities.

        Where only one alternative is known, the runner-up may hold all the rest, and the least possible lead is
        returned.

        Returns
        -------
        numpy.ndarray
            From 0 to 1, shape (n,); NaN where there are no alternatives.
        """
        return measures.margin(self.observed, self.vocab_size, self.rounding)

    def rank(self) -> Floats:
        """Return the rank of each chosen token among the alternatives, 1 for the likeliest.

        Returns
        -------
        numpy.ndarray
            Shape (n,). A chosen token that is not listed gets one more than the length of the list: its rank is that or
            worse. NaN where there are no alternatives.
        """
        return self._ranks().at_least

    def _ranks(self) -> measures.Ranks:
        columns = self._chosen, self._alternative, self._alternative_logprob, self._offsets
        return measures.ranks(self._vocabulary, *columns)

    def top_mass(self) -> Floats:
        """Return the known probability at each position: that of the listed alternatives and the chosen token.

        Returns
        -------
        numpy.ndarray
            From 0 to 1, shape (n,).
        """
        return measures.observed_mass(self.observed)

    # Conversion -----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return plain columns with one value per token, for any data frame library.

        Returns
        -------
        dict
            Columns ``position``, ``token``, ``logprob`` (nats), ``prob``, ``surprisal_bits``, ``entropy_lower_bits``,
            ``entropy_upper_bits``, ``margin``, ``rank`` (NaN where the token is not listed), ``rank_at_least`` (then
            one more than the length of the list) and ``top_mass``.
        """
        bounds, ranks = self.entropy_bounds(), self._ranks()
        return {
            "position": np.arange(len(self)),
            "token": self.tokens,
            "logprob": self.logprob,
            "prob": self.prob,
            "surprisal_bits": self.surprisal(),
            "entropy_lower_bits": bounds.lower,
            "entropy_upper_bits": bounds.upper,
            "margin": self.margin(),
            "rank": np.where(ranks.is_exact, ranks.at_least, np.nan),
            "rank_at_least": ranks.at_least,
            "top_mass": self.top_mass(),
        }

    def to_pandas(self, *, alternatives: bool = False) -> pandas.DataFrame:
        """Return a data frame with one row per token, or one per token and alternative.

        Parameters
        ----------
        alternatives
            One row per token and alternative, with the columns ``position``, ``token``, ``alternative``, ``logprob``
            (nats) and ``prob``; else one row per token, with the columns of :meth:`to_dict`.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        if alternatives:
            return export.alternatives_to_pandas(self.tokens, self.vocabulary.texts, self.columns)
        return export.to_pandas(self.to_dict())

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table in the documented structure: ``top_logprobs`` is a list of structs.

        The metadata of its schema holds ``vocab_size`` and ``rounding`` where they are known;
        :func:`deluge_nb.as_logprobs` reads them.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        MissingDependencyError
            When pyarrow is not installed.
        """
        return export.to_arrow([self], metadata={"vocab_size": self.vocab_size, "rounding": self.rounding})

    @staticmethod
    def concat_to_arrow(tables: Iterable[Logprobs | None]) -> pyarrow.Table:
        """Return one Arrow table with the rows of many tables, for example those of all responses to a batch.

        Parameters
        ----------
        tables
            Tables in order; None, as from a response without log-probabilities, has no rows.

        Returns
        -------
        pyarrow.Table
            The columns of :meth:`to_arrow` after a column ``response``: the position of the row's table in ``tables``.

        Raises
        ------
        MissingDependencyError
            When pyarrow is not installed.

        Examples
        --------
        >>> from deluge_nb import Logprobs
        >>> yes, no = (Logprobs.from_entries([{"token": text, "logprob": -0.5}]) for text in ("Yes", "No"))
        >>> arrow = Logprobs.concat_to_arrow([yes, None, no])
        >>> arrow["response"].to_pylist(), arrow["token"].to_pylist()
        ([0, 2], ['Yes', 'No'])
        """
        rows = [EMPTY if table is None else table for table in tables]
        return export.to_arrow(rows, metadata={}, numbered=True)

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
        return f"Logprobs({pluralize(len(self), 'token')}, top {top}: {text!r})"


EMPTY = Logprobs.from_entries([])
"""Table without rows."""


def _plain(logprob: float) -> float | None:
    return None if math.isnan(logprob) else float(logprob)
