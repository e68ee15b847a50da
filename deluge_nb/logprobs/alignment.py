"""Two tables aligned by their texts, and exactly what one says more or less than the other of what they share.

Tokenisations differ, so tokens cannot be compared one by one. But the log-probabilities of tokens that follow each
other add up to that of their text. A *span* is what lies between two boundaries of tokens that both sides have, in a
text that both sides have: there the sums can be compared, however each side cuts the text in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..extras import import_extra
from ..text.diff import Run, common_runs
from ..text.glyphs import label
from .columns import Floats
from .table import Logprobs
from .values import is_known

if TYPE_CHECKING:
    import pandas

Places = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Spans:
    """What two responses share, and what only one of them has, in the order of their texts.

    One row per span. ``other`` is the response that the first is compared with; ``a_start``, ``a_stop``, ``b_start``
    and ``b_stop`` say which tokens of the first and of the other it has. They cover each side exactly once. Where
    ``common``, both sides have the same text, and no smaller part of it has boundaries of tokens on both sides;
    elsewhere the tokens are only on their own side. ``a_logprob`` and ``b_logprob`` are the sums of the tokens'
    log-probabilities (nats; NaN where one is withheld).
    """

    tables: Sequence[Logprobs]
    other: Places
    a_start: Places
    a_stop: Places
    b_start: Places
    b_stop: Places
    common: Bools
    a_logprob: Floats
    b_logprob: Floats

    def __len__(self) -> int:
        return len(self.common)

    @cached_property
    def difference(self) -> Floats:
        """How much more probable the first response calls a common text than the other: nats; NaN elsewhere."""
        found = np.full(len(self), np.nan)
        with np.errstate(invalid="ignore"):
            found[self.common] = (self.a_logprob - self.b_logprob)[self.common]
        return found

    @property
    def a_text(self) -> list[str]:
        """The text of each span in the first response."""
        return _texts(self.tables[0], self.a_start, self.a_stop)

    @property
    def b_text(self) -> list[str]:
        """The text of each span in the other response."""
        found = [""] * len(self)
        for place in np.unique(self.other).tolist():
            rows = np.flatnonzero(self.other == place)
            texts = _texts(self.tables[place], self.b_start[rows], self.b_stop[rows])
            for row, text in zip(rows.tolist(), texts, strict=True):
                found[row] = text
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain columns, one value per span: what any data frame library takes."""
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
            "difference": self.difference,
        }

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame with one row per span.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        return import_extra("pandas", "to_pandas()").DataFrame(self.to_dict())

    def __repr__(self) -> str:
        return f"Spans({len(self)} spans, {int(self.common.sum())} of them common)"


class Units(NamedTuple):
    """The texts of any number of responses cut where all of them can be: what is laid out together.

    ``starts`` has a row per response and a column per unit, and one more with the numbers of tokens; ``common`` says
    whether all of them share the unit's text.
    """

    starts: NDArray[np.int64]
    common: Bools


def align(a: Logprobs, b: Logprobs, tables: Sequence[Logprobs] = (), other: int = 1) -> Spans:
    """The spans of two tables; ``tables`` are all that are compared, the second of these being ``other`` of them."""
    left, right = a.token_bytes, b.token_bytes
    runs = common_runs(b"".join(left), b"".join(right))
    shared = _shared_spans(_boundaries(left), _boundaries(right), runs)
    a_start, a_stop, b_start, b_stop, common = _covering(shared, len(left), len(right))
    return Spans(
        tables or (a, b),
        np.full(len(common), other, np.int64),
        a_start,
        a_stop,
        b_start,
        b_stop,
        common,
        _summed(a.logprob, a_start, a_stop),
        _summed(b.logprob, b_start, b_stop),
    )


class Alignment:
    """Responses aligned with the first of them.

    Each is compared with the first, and the first with the second; ``pairs`` has the spans of the first with each
    other one, ``units`` where all can be cut together.
    """

    def __init__(self, tables: Sequence[Logprobs]) -> None:
        self.tables = tuple(tables)
        self.counts = [len(table) for table in self.tables]
        first = self.tables[0]
        self.pairs = [align(first, table, self.tables, at + 1) for at, table in enumerate(self.tables[1:])]
        self.units = units(self.pairs, self.counts)

    @cached_property
    def spans(self) -> Spans:
        """The spans of all pairs, end to end."""
        if len(self.pairs) == 1:
            return self.pairs[0]
        names = ("other", "a_start", "a_stop", "b_start", "b_stop", "common", "a_logprob", "b_logprob")
        return Spans(self.tables, *(np.concatenate([getattr(pair, name) for pair in self.pairs]) for name in names))

    def pair(self, side: int) -> Spans:
        """What a response is compared by."""
        return self.pairs[max(side - 1, 0)]

    def span_of(self, side: int) -> Places:
        """For each token of a response the span it is in, among those of its pair."""
        return span_of(self.pair(side), self.counts[side], first=side == 0)

    def difference(self, side: int) -> Floats:
        """For each token of a response how much more probable its span is there: nats, NaN where it is only there."""
        found = self.pair(side).difference
        return (found if side == 0 else 0.0 - found)[self.span_of(side)]

    def common(self, side: int) -> Bools:
        """For each token of a response whether its text is common."""
        return self.pair(side).common[self.span_of(side)]

    def axis(self) -> tuple[list[tuple[Floats, Floats]], int]:
        """Where each token of each response begins and ends on an axis that all share, and how long that is.

        A unit is as long as the most tokens that one response has in it; the tokens of the others are spread over it.
        """
        starts = self.units.starts
        sizes = np.diff(starts, axis=1)
        widths = sizes.max(axis=0, initial=0)
        left = np.cumsum(widths) - widths
        found = []
        for side, count in enumerate(self.counts):
            unit = np.repeat(np.arange(len(widths)), sizes[side])
            within = np.arange(count) - starts[side][unit]
            each = widths[unit] / np.maximum(sizes[side][unit], 1)
            found.append((left[unit] + within * each, left[unit] + (within + 1) * each))
        return found, int(widths.sum())


def span_of(spans: Spans, count: int, *, first: bool) -> Places:
    """For each token of one side of a pair the span it is in."""
    starts, stops = (spans.a_start, spans.a_stop) if first else (spans.b_start, spans.b_stop)
    found = np.repeat(np.arange(len(spans)), stops - starts)
    assert len(found) == count, "spans cover each side exactly once"
    return found


def units(pairs: Sequence[Spans], counts: Sequence[int]) -> Units:
    """Where all responses can be cut together, given the spans of the first with each other one."""
    size = counts[0]
    cut = np.ones(size + 1, np.bool_)
    for pair in pairs:
        here = np.zeros(size + 1, np.bool_)
        here[0] = here[size] = here[pair.a_start] = True
        cut &= here
    places = np.flatnonzero(cut)
    # At a place the others may have tokens that the first has not: these are a unit of their own before it goes on.
    before, after = [places], [places]
    for pair, count in zip(pairs, counts[1:], strict=True):
        edges = np.append(pair.b_start, count)
        before.append(edges[np.searchsorted(pair.a_start, places, "left")])
        # The first span from there on that has something of the first side.
        wide = np.flatnonzero(pair.a_stop > pair.a_start)
        edges = np.append(pair.b_start[wide], count)
        after.append(edges[np.searchsorted(pair.a_start[wide], places, "left")])
    rows = np.stack((np.array(before), np.array(after)), axis=2).reshape(len(counts), -1)
    fresh = np.append(True, (np.diff(rows, axis=1) > 0).any(axis=0))
    starts = rows[:, fresh]
    common = np.ones(starts.shape[1] - 1, np.bool_)
    for at, pair in enumerate(pairs):
        # A span that is not common lies in one unit; one without tokens of the first side is found by its own.
        odd = ~pair.common
        unit = np.where(
            pair.a_stop > pair.a_start,
            np.searchsorted(starts[0], pair.a_start, "right"),
            np.searchsorted(starts[at + 1], pair.b_start, "right"),
        )
        common[unit[odd] - 1] = False
    return Units(starts, common)


def common_prefix_length(a: Logprobs, b: Logprobs) -> int:
    """How many tokens two tables begin with alike."""
    left, right = a.vocabulary.true_bytes, b.vocabulary.true_bytes
    for place, (one, other) in enumerate(zip(a.chosen.tolist(), b.chosen.tolist(), strict=False)):
        if left(one) != right(other):
            return place
    return min(len(a), len(b))


def distribution_at(table: Logprobs, position: int) -> dict[str, float]:
    """What is known of a position's distribution: from token, told apart by its bytes, to log-probability (nats)."""
    _, _, alternative, logprob, offsets = table.columns
    rows = slice(int(offsets[position]), int(offsets[position + 1]))
    octets = table.vocabulary.true_bytes
    found = {
        octets(index): value for index, value in zip(alternative[rows].tolist(), logprob[rows].tolist(), strict=True)
    }
    chosen = float(table.logprob[position])
    found.setdefault(octets(int(table.chosen[position])), chosen)
    # By the bytes as they are: labels of different tokens may look alike.
    return {raw.hex(): value for raw, value in found.items() if is_known(value)}


def token_label(table: Logprobs, position: int) -> str | None:
    """A token's label; None past the end."""
    return label(table.vocabulary.true_bytes(int(table.chosen[position]))) if position < len(table) else None


# Boundaries -----------------------------------------------------------------------------------------------------------


class _Boundaries(NamedTuple):
    """Each place in a text where a token begins or ends, and the number of the first token from there and of the first
    one that is not empty; they differ where tokens stand for no text.
    """

    places: Places
    first: Places
    past: Places


def _boundaries(octets: Sequence[bytes]) -> _Boundaries:
    ends = np.concatenate(([0], np.cumsum(np.fromiter(map(len, octets), np.int64, len(octets)))))
    places, first, counts = np.unique(ends, return_index=True, return_counts=True)
    return _Boundaries(places, first, first + counts - 1)


def _shared_spans(a: _Boundaries, b: _Boundaries, runs: list[Run]) -> Places:
    """The spans that both sides share, a row each: start and stop in the one, start and stop in the other."""
    ends = (int(a.places[-1]), int(b.places[-1]))
    every = [Run(0, 0, 0), *runs, Run(*ends, 0)]
    run_a, run_b, length = np.array(every, np.int64).T
    # All boundaries of the one side within each run, as far as the other side has them as well.
    low = np.searchsorted(a.places, run_a, "left")
    counts = np.searchsorted(a.places, run_a + length, "right") - low
    run = np.repeat(np.arange(len(every)), counts)
    at_a = np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts) + low[run]
    wanted = a.places[at_a] - run_a[run] + run_b[run]
    at_b = np.minimum(np.searchsorted(b.places, wanted), len(b.places) - 1)
    held = b.places[at_b] == wanted
    run, at_a, at_b = run[held], at_a[held], at_b[held]
    inside = run[:-1] == run[1:]
    p, q = np.flatnonzero(inside), np.flatnonzero(inside) + 1
    texts = np.column_stack((a.past[at_a[p]], a.first[at_a[q]], b.past[at_b[p]], b.first[at_b[q]]))
    # Tokens of no text count where the text goes on alike on either side of them, or begins or ends for both.
    within = np.zeros(len(run), np.bool_)
    within[1:-1] = inside[:-1] & inside[1:]
    within |= (a.places[at_a] == 0) & (b.places[at_b] == 0)
    within |= (a.places[at_a] == ends[0]) & (b.places[at_b] == ends[1])
    here, there = at_a[within], at_b[within]
    many = a.past[here] - a.first[here]
    same = (many > 0) & (many == b.past[there] - b.first[there])
    here, there = here[same], there[same]
    empty = np.column_stack((a.first[here], a.past[here], b.first[there], b.past[there]))
    return np.unique(np.concatenate((texts, empty)), axis=0)


def _covering(shared: Places, count_a: int, count_b: int) -> tuple[Places, Places, Places, Places, Bools]:
    """The shared spans and what lies between them, so that all tokens of both sides are in one."""
    edges = np.concatenate(([[0, 0, 0, 0]], shared, [[count_a, count_a, count_b, count_b]]))
    between = np.column_stack((edges[:-1, 1], edges[1:, 0], edges[:-1, 3], edges[1:, 2]))
    both = np.empty((2 * len(shared) + 1, 4), np.int64)
    both[0::2], both[1::2] = between, shared
    common = np.arange(len(both)) % 2 == 1
    kept = (both[:, 1] > both[:, 0]) | (both[:, 3] > both[:, 2])
    both, common = both[kept], common[kept]
    return both[:, 0], both[:, 1], both[:, 2], both[:, 3], common


def _summed(values: Floats, starts: Places, stops: Places) -> Floats:
    """The sum over each span, each by itself: a running sum would carry the rounding of all that went before."""
    found = np.zeros(len(starts))
    wide = stops > starts
    if wide.any():
        found[wide] = np.add.reduceat(values, starts[wide])
    return found


def _texts(table: Logprobs, starts: Places, stops: Places) -> list[str]:
    octets = table.token_bytes
    spans = zip(starts.tolist(), stops.tolist(), strict=True)
    return [b"".join(octets[start:stop]).decode("utf-8", "replace") for start, stop in spans]
