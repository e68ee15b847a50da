"""Align tables by their text, and compare the log-probabilities of the text that they share.

Tokenisations differ, so tokens cannot be compared one by one. But the log-probabilities of consecutive tokens add up to
that of their text. A *span* is a shared text between two token boundaries that both sides have: there the sums can be
compared, however each side splits the text in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..extras import import_extra
from ..text.counts import pluralize
from ..text.diff import Run, common_runs
from ..text.glyphs import label
from .columns import Floats
from .table import Logprobs
from .values import is_known

if TYPE_CHECKING:
    import pandas

Positions = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Spans:
    """Spans of two or more responses, in the order of their texts: shared text, and text of one response only.

    Each column has one row per span. ``other`` is the index of the response that the first is compared with. The span
    has the tokens ``a_start:a_stop`` of the first and ``b_start:b_stop`` of the other; the spans cover each side
    exactly once. Where ``common`` is True, both sides have the same text, and no smaller part of it has token
    boundaries on both sides; elsewhere the tokens are on one side only. ``a_logprob`` and ``b_logprob`` are sums of
    log-probabilities (nats; NaN where one is withheld).

    Examples
    --------
    >>> from deluge_nb import LogprobCompare
    >>> a = [{"token": "It", "logprob": -0.2}, {"token": " rains", "logprob": -0.5}]
    >>> b = [{"token": "It", "logprob": -0.1}, {"token": " snows", "logprob": -1.5}]
    >>> spans = LogprobCompare(a, b).spans
    >>> spans
    Spans(2 spans, 1 of them common)
    >>> spans.a_text, spans.difference.round(2).tolist()
    (['It', ' rains'], [-0.1, nan])
    """

    tables: Sequence[Logprobs]
    other: Positions
    a_start: Positions
    a_stop: Positions
    b_start: Positions
    b_stop: Positions
    common: Bools
    a_logprob: Floats
    b_logprob: Floats

    def __len__(self) -> int:
        return len(self.common)

    @cached_property
    def difference(self) -> Floats:
        """Log-probability of each common text in the first response minus that in the other; nats, NaN elsewhere."""
        difference = np.full(len(self), np.nan)
        with np.errstate(invalid="ignore"):
            difference[self.common] = (self.a_logprob - self.b_logprob)[self.common]
        return difference

    @property
    def a_text(self) -> list[str]:
        """Text of each span in the first response."""
        return _texts(self.tables[0], self.a_start, self.a_stop)

    @property
    def b_text(self) -> list[str]:
        """Text of each span in the other response."""
        texts = [""] * len(self)
        for side in np.unique(self.other).tolist():
            rows = np.flatnonzero(self.other == side)
            side_texts = _texts(self.tables[side], self.b_start[rows], self.b_stop[rows])
            for row, text in zip(rows.tolist(), side_texts, strict=True):
                texts[row] = text
        return texts

    def to_dict(self) -> dict[str, Any]:
        """Return plain columns with one value per span, for any data frame library.

        Returns
        -------
        dict
            Columns ``other``, ``common``, ``a_start``, ``a_stop``, ``a_text``, ``a_logprob``, ``b_start``, ``b_stop``,
            ``b_text``, ``b_logprob`` and ``difference_nats``.
        """
        return {
            "other": self.other,
            "common": self.common,
            "a_start": self.a_start,
            "a_stop": self.a_stop,
            "a_text": self.a_text,
            "a_logprob": self.a_logprob,
            "b_start": self.b_start,
            "b_stop": self.b_stop,
            "b_text": self.b_text,
            "b_logprob": self.b_logprob,
            "difference_nats": self.difference,
        }

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame with one row per span.

        Returns
        -------
        pandas.DataFrame
            With the columns of :meth:`to_dict`.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        return import_extra("pandas", "to_pandas()").DataFrame(self.to_dict())

    def __repr__(self) -> str:
        return f"Spans({pluralize(len(self), 'span')}, {int(self.common.sum())} of them common)"


class Units(NamedTuple):
    """Units of layout: the texts of any number of responses, split where every pair has a span boundary.

    ``starts`` is the first token of each unit: a row per response, a column per unit, and a last column with the
    numbers of tokens. ``common`` is True where all responses share the unit's text.
    """

    starts: NDArray[np.int64]
    common: Bools


def align(a: Logprobs, b: Logprobs, tables: Sequence[Logprobs] = (), other: int = 1) -> Spans:
    """Return the spans of two tables.

    Parameters
    ----------
    a, b
        Tables of log-probabilities.
    tables, other
        All tables of a comparison whose first is ``a``, and the index of ``b`` among them.
    """
    left, right = a.token_bytes, b.token_bytes
    runs = common_runs(b"".join(left), b"".join(right))
    shared = _shared_spans(_boundaries(left), _boundaries(right), runs)
    a_start, a_stop, b_start, b_stop, common = _with_gaps(shared, len(left), len(right))
    return Spans(
        tables or (a, b),
        np.full(len(common), other, np.int64),
        a_start,
        a_stop,
        b_start,
        b_stop,
        common,
        _span_sums(a.logprob, a_start, a_stop),
        _span_sums(b.logprob, b_start, b_stop),
    )


class Alignment:
    """Alignment of several responses with the first of them.

    Each response is compared with the first, and the first with the second. ``pairs`` has the spans of the first with
    each other response, ``units`` the split into units that is common to all.
    """

    def __init__(self, tables: Sequence[Logprobs]) -> None:
        self.tables = tuple(tables)
        self.counts = [len(table) for table in self.tables]
        first = self.tables[0]
        self.pairs = [align(first, table, self.tables, side) for side, table in enumerate(self.tables[1:], 1)]
        self.units = units(self.pairs, self.counts)

    @cached_property
    def spans(self) -> Spans:
        """Spans of all pairs, end to end."""
        if len(self.pairs) == 1:
            return self.pairs[0]
        names = ("other", "a_start", "a_stop", "b_start", "b_stop", "common", "a_logprob", "b_logprob")
        return Spans(self.tables, *(np.concatenate([getattr(pair, name) for pair in self.pairs]) for name in names))

    def pair(self, side: int) -> Spans:
        """Return the spans by which a response is compared."""
        return self.pairs[max(side - 1, 0)]

    def span_of(self, side: int) -> Positions:
        """Return the span of each token of a response, as an index into its pair."""
        return span_of(self.pair(side), self.counts[side], first=side == 0)

    def difference(self, side: int) -> Floats:
        """Return the difference (nats) of the span of each token, positive if more probable here; NaN if only here."""
        difference = self.pair(side).difference
        return (difference if side == 0 else 0.0 - difference)[self.span_of(side)]

    def common(self, side: int) -> Bools:
        """Return True for each token of a response whose text is common."""
        return self.pair(side).common[self.span_of(side)]

    def axis(self) -> tuple[list[tuple[Floats, Floats]], int]:
        """Return the start and end of each token on an axis that all responses share, and the length of the axis.

        A unit is as long as the largest number of tokens that one response has in it; the tokens of the others are
        spread evenly over it.
        """
        starts = self.units.starts
        sizes = np.diff(starts, axis=1)
        widths = sizes.max(axis=0, initial=0)
        left = np.cumsum(widths) - widths
        edges = []
        for side, count in enumerate(self.counts):
            unit = np.repeat(np.arange(len(widths)), sizes[side])
            within = np.arange(count) - starts[side][unit]
            step = widths[unit] / np.maximum(sizes[side][unit], 1)
            edges.append((left[unit] + within * step, left[unit] + (within + 1) * step))
        return edges, int(widths.sum())


def span_of(spans: Spans, count: int, *, first: bool) -> Positions:
    """Return the span of each token of one side of a pair: of the first side, or of the other."""
    starts, stops = (spans.a_start, spans.a_stop) if first else (spans.b_start, spans.b_stop)
    span = np.repeat(np.arange(len(spans)), stops - starts)
    assert len(span) == count, "spans cover each side exactly once"
    return span


def units(pairs: Sequence[Spans], counts: Sequence[int]) -> Units:
    """Return the units of all responses, given the spans of the first with each other one."""
    size = counts[0]
    is_shared = np.ones(size + 1, np.bool_)
    for pair in pairs:
        is_boundary = np.zeros(size + 1, np.bool_)
        is_boundary[0] = is_boundary[size] = is_boundary[pair.a_start] = True
        is_shared &= is_boundary
    cuts = np.flatnonzero(is_shared)
    # At a cut, other responses may have tokens that the first lacks. These are a unit of their own.
    before, after = [cuts], [cuts]
    for pair, count in zip(pairs, counts[1:], strict=True):
        starts = np.append(pair.b_start, count)
        before.append(starts[np.searchsorted(pair.a_start, cuts, "left")])
        # The unit of the first side's next tokens begins at the next span that has any.
        wide = np.flatnonzero(pair.a_stop > pair.a_start)
        starts = np.append(pair.b_start[wide], count)
        after.append(starts[np.searchsorted(pair.a_start[wide], cuts, "left")])
    rows = np.stack((np.array(before), np.array(after)), axis=2).reshape(len(counts), -1)
    is_new = np.append(True, (np.diff(rows, axis=1) > 0).any(axis=0))
    starts = rows[:, is_new]
    common = np.ones(starts.shape[1] - 1, np.bool_)
    for side, pair in enumerate(pairs, 1):
        # Every span lies in one unit. A span without tokens of the first side is located by those of the other.
        unit = np.where(
            pair.a_stop > pair.a_start,
            np.searchsorted(starts[0], pair.a_start, "right"),
            np.searchsorted(starts[side], pair.b_start, "right"),
        )
        common[unit[~pair.common] - 1] = False
    return Units(starts, common)


def common_prefix_length(a: Logprobs, b: Logprobs) -> int:
    """Return the number of tokens at the beginning that two tables have in common."""
    left_bytes, right_bytes = a.vocabulary.true_bytes, b.vocabulary.true_bytes
    for position, (left, right) in enumerate(zip(a.chosen.tolist(), b.chosen.tolist(), strict=False)):
        if left_bytes(left) != right_bytes(right):
            return position
    return min(len(a), len(b))


def distribution_at(table: Logprobs, position: int) -> dict[str, float]:
    """Return the known log-probabilities (nats) at a position, by the hexadecimal bytes of each token."""
    _, _, alternative, logprob, offsets = table.columns
    rows = slice(int(offsets[position]), int(offsets[position + 1]))
    octets = table.vocabulary.true_bytes
    by_bytes = {
        octets(index): value for index, value in zip(alternative[rows].tolist(), logprob[rows].tolist(), strict=True)
    }
    by_bytes.setdefault(octets(int(table.chosen[position])), float(table.logprob[position]))
    # Keys are bytes because the labels of different tokens may look alike.
    return {raw.hex(): value for raw, value in by_bytes.items() if is_known(value)}


def token_label(table: Logprobs, position: int) -> str | None:
    """Return the label of a token; None past the end."""
    return label(table.vocabulary.true_bytes(int(table.chosen[position]))) if position < len(table) else None


# Boundaries -----------------------------------------------------------------------------------------------------------


class _Boundaries(NamedTuple):
    """Token boundaries of a text: offsets in bytes, ascending and each once.

    ``first`` is the first token that begins at the boundary, ``first_with_text`` the first of these that is not empty.
    """

    offsets: Positions
    first: Positions
    first_with_text: Positions


def _boundaries(octets: Sequence[bytes]) -> _Boundaries:
    ends = np.concatenate(([0], np.cumsum(np.fromiter(map(len, octets), np.int64, len(octets)))))
    offsets, first, counts = np.unique(ends, return_index=True, return_counts=True)
    return _Boundaries(offsets, first, first + counts - 1)


def _shared_spans(a: _Boundaries, b: _Boundaries, runs: list[Run]) -> Positions:
    """Return the spans that both sides share, one per row: ``a_start``, ``a_stop``, ``b_start`` and ``b_stop``."""
    ends = (int(a.offsets[-1]), int(b.offsets[-1]))
    all_runs = [Run(0, 0, 0), *runs, Run(*ends, 0)]
    run_a, run_b, length = np.array(all_runs, np.int64).T
    # Boundaries of the first side within each run that the other side has as well.
    low = np.searchsorted(a.offsets, run_a, "left")
    counts = np.searchsorted(a.offsets, run_a + length, "right") - low
    run = np.repeat(np.arange(len(all_runs)), counts)
    in_a = np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts) + low[run]
    target = a.offsets[in_a] - run_a[run] + run_b[run]
    in_b = np.minimum(np.searchsorted(b.offsets, target), len(b.offsets) - 1)
    is_shared = b.offsets[in_b] == target
    run, in_a, in_b = run[is_shared], in_a[is_shared], in_b[is_shared]
    same_run = run[:-1] == run[1:]
    p, q = np.flatnonzero(same_run), np.flatnonzero(same_run) + 1
    with_text = np.column_stack(
        (a.first_with_text[in_a[p]], a.first[in_a[q]], b.first_with_text[in_b[p]], b.first[in_b[q]])
    )
    # Empty tokens are common between two shared spans of one run, and at a beginning or end of both texts.
    between = np.zeros(len(run), np.bool_)
    between[1:-1] = same_run[:-1] & same_run[1:]
    between |= (a.offsets[in_a] == 0) & (b.offsets[in_b] == 0)
    # All tokens of an empty text are at both; they count at its beginning.
    is_end = (a.offsets[in_a] == ends[0]) & (b.offsets[in_b] == ends[1])
    between |= is_end & (min(ends) > 0)
    in_a, in_b = in_a[between], in_b[between]
    count = a.first_with_text[in_a] - a.first[in_a]
    same = (count > 0) & (count == b.first_with_text[in_b] - b.first[in_b])
    in_a, in_b = in_a[same], in_b[same]
    empty = np.column_stack((a.first[in_a], a.first_with_text[in_a], b.first[in_b], b.first_with_text[in_b]))
    return np.unique(np.concatenate((with_text, empty)), axis=0)


def _with_gaps(
    shared: Positions, count_a: int, count_b: int
) -> tuple[Positions, Positions, Positions, Positions, Bools]:
    """Return the columns of the shared spans and the gaps between them, which together cover all tokens."""
    edges = np.concatenate(([[0, 0, 0, 0]], shared, [[count_a, count_a, count_b, count_b]]))
    gaps = np.column_stack((edges[:-1, 1], edges[1:, 0], edges[:-1, 3], edges[1:, 2]))
    rows = np.empty((2 * len(shared) + 1, 4), np.int64)
    rows[0::2], rows[1::2] = gaps, shared
    common = np.arange(len(rows)) % 2 == 1
    has_tokens = (rows[:, 1] > rows[:, 0]) | (rows[:, 3] > rows[:, 2])
    rows, common = rows[has_tokens], common[has_tokens]
    return rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], common


def _span_sums(values: Floats, starts: Positions, stops: Positions) -> Floats:
    """Return the sum over each span. Differences of a running sum would carry the rounding of all earlier tokens."""
    sums = np.zeros(len(starts))
    has_tokens = stops > starts
    if has_tokens.any():
        sums[has_tokens] = np.add.reduceat(values, starts[has_tokens])
    return sums


def _texts(table: Logprobs, starts: Positions, stops: Positions) -> list[str]:
    octets = table.token_bytes
    spans = zip(starts.tolist(), stops.tolist(), strict=True)
    return [b"".join(octets[start:stop]).decode("utf-8", "replace") for start, stop in spans]
