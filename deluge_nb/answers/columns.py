"""Answers of many responses by column: those of one token are read all at once, the others one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..stats.batch.labels import LabelDistributionBatch, read_first_tokens
from .results import Classification

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..logprobs.columns import Floats
    from ..logprobs.table import Logprobs
    from ..response import APIResponse
    from ..text.matching import Labels

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class AnswerColumns:
    """Results by column, an entry for each response; None where there is no result.

    ``shares`` has a column for each answer, as ``Classification.probabilities``; the other columns are those of
    :class:`~deluge_nb.Classification`.
    """

    label: list[str | None]
    probability: list[float | None]
    matched_mass: list[float | None]
    decided: list[bool | None]
    shares: dict[str, list[float | None]]
    error_message: list[str | None]

    @classmethod
    def of(cls, results: Sequence[Classification], names: Iterable[str]) -> AnswerColumns:
        """Return the columns of results."""
        return cls.empty(len(results), names).with_results(enumerate(results))

    @classmethod
    def empty(cls, rows: int, names: Iterable[str]) -> AnswerColumns:
        """Return the columns of rows without a result."""
        return cls([], [], [], [], {name: [] for name in names}, []).spread([], rows)

    def with_results(self, results: Iterable[tuple[int, Classification]]) -> AnswerColumns:
        """Enter results of some rows."""
        for row, result in results:
            has_result = not result.is_error
            self.label[row], self.probability[row] = result.label, result.probability
            self.matched_mass[row] = result.matched_mass if has_result else None
            self.decided[row] = result.decided if has_result else None
            for name, column in self.shares.items():
                column[row] = result.probabilities.get(name)
            self.error_message[row] = result.error_message
        return self

    def spread(self, rows: Sequence[int], total: int) -> AnswerColumns:
        """Return the columns of more rows, among which these stand at some places."""
        return AnswerColumns(
            spread(self.label, rows, total),
            spread(self.probability, rows, total),
            spread(self.matched_mass, rows, total),
            spread(self.decided, rows, total),
            {name: spread(column, rows, total) for name, column in self.shares.items()},
            spread(self.error_message, rows, total),
        )


def spread(column: Sequence[Entry | None], rows: Sequence[int], total: int) -> list[Entry | None]:
    """Return a column of more rows, with the entries of this one at some places and None elsewhere."""
    longer: list[Entry | None] = [None] * total
    for row, entry in zip(rows, column, strict=True):
        longer[row] = entry
    return longer


class Readings:
    """Responses that are read for one set of answers.

    Parameters
    ----------
    responses
        The responses.
    labels
        The answers.
    read
        Function that reads responses one by one, whatever they are.
    """

    def __init__(
        self,
        responses: Sequence[APIResponse],
        labels: Labels,
        read: Callable[[list[APIResponse]], list[Classification]],
    ) -> None:
        self._responses, self._names = responses, labels.names
        self._shares = _read_shares(responses, labels)
        rows = range(len(responses)) if self._shares is None else np.flatnonzero(~self._shares.is_read).tolist()
        self._others = dict(zip(rows, read([responses[row] for row in rows]), strict=True))

    def columns(self) -> AnswerColumns:
        """Return the results by column."""
        seen = self._shares
        if seen is None:
            return AnswerColumns.empty(len(self._responses), self._names).with_results(self._others.items())
        return seen.columns(self._names).with_results(self._others.items())

    def results(self) -> list[Classification]:
        """Return the results one by one."""
        if self._shares is None:
            return list(self._others.values())
        results = self._shares.results(self._names, self._responses)
        for row, result in self._others.items():
            results[row] = result
        return results


@dataclass(frozen=True, slots=True)
class _Shares:
    """Shares of the answers at many tokens, shape (n,) or (n, answers), as ``to_classification`` gives them for one.

    ``label`` is an index. ``is_read`` is False for the rows that must be read one by one.
    """

    is_read: NDArray[np.bool_]
    label: NDArray[np.intp]
    shares: Floats
    least: Floats
    most: Floats
    lower: Floats
    upper: Floats
    matched_mass: Floats
    attributed_mass: Floats
    decided: NDArray[np.bool_]

    @classmethod
    def of(cls, batch: LabelDistributionBatch) -> _Shares:
        """Return the shares of answers."""
        masses = batch.lower + batch.attributed
        total, attributed = masses.sum(axis=1), batch.attributed.sum(axis=1)
        # Only the end of a response shows which of several answers a text is that leaves them open.
        is_read = (total > 0) & (batch.partial_mass == attributed)
        shares = masses / np.where(is_read, total, 1.0)[:, None]
        is_settled = (batch.argmax >= 0)[:, None]
        return cls(
            is_read,
            batch.likeliest,
            shares,
            np.minimum(np.where(is_settled, batch.normalized_lower, 0.0), shares),
            np.maximum(np.where(is_settled, batch.normalized_upper, batch.upper > 0), shares),
            batch.lower,
            batch.upper,
            batch.matched_mass + attributed,
            attributed,
            batch.decided & (batch.likeliest == batch.argmax),
        )

    def columns(self, names: Sequence[str]) -> AnswerColumns:
        """Return the columns; rows that are not read hold anything."""
        return AnswerColumns(
            [names[index] for index in self.label.tolist()],
            np.take_along_axis(self.shares, self.label[:, None], axis=1)[:, 0].tolist(),
            self.matched_mass.tolist(),
            self.decided.tolist(),
            dict(zip(names, self.shares.T.tolist(), strict=True)),
            [None] * len(self.label),
        )

    def results(self, names: Sequence[str], responses: Sequence[APIResponse]) -> list[Classification]:
        """Return the results; those of rows that are not read hold anything."""
        columns = self.columns(names)

        def by_label(values: Floats) -> list[dict[str, float]]:
            return [dict(zip(names, row, strict=True)) for row in values.tolist()]

        shares = by_label(self.shares)
        rows = zip(
            columns.label,
            columns.probability,
            shares,
            *map(by_label, (self.least, self.most, self.lower, self.upper)),
            self.matched_mass.tolist(),
            self.attributed_mass.tolist(),
            self.decided.tolist(),
            shares,
            repeat(None),
            zip(responses),
            strict=False,
        )
        return [Classification(*row) for row in rows]


def _read_shares(responses: Sequence[APIResponse], labels: Labels) -> _Shares | None:
    """Return the shares of the responses of one token with alternatives; None where there is no such response."""
    tables = [_of_one_token(response.logprobs) for response in responses]
    if len(labels) < 2 or not any(table is not None for table in tables):
        return None
    try:
        # Answers of several tokens are read without the vocabulary's size, and one bound must mean the same in both.
        first = np.zeros(len(tables), np.intp)
        batch = read_first_tokens(tables, labels, first, None, "skip", None, knows_vocabulary=False)
    except Exception:  # read one by one, each answer that cannot be read has its own error
        return None
    return _Shares.of(batch)


def _of_one_token(table: Logprobs | None) -> Logprobs | None:
    # Packed tables are small, and their tokens are those of the answer.
    is_one = table is not None and table.packed is not None and len(table) == 1 and table.most_alternatives
    return table if is_one else None
