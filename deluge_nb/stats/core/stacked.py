"""Many tables stacked end to end: the columns of a hundred thousand answers are read like those of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InconsistentTopKError, ProbabilityMassError, invalid_argument
from ...logprobs import measures
from ...logprobs.columns import Floats, Ints, Vocabulary, stack_packed
from ...logprobs.rounding import mass_tolerance, misfits
from ...logprobs.table import Logprobs
from ...logprobs.values import ROUNDING
from .validation import logprob_error

Tables = Logprobs | Iterable[Any]
"""A table, or a list of tables, of responses that hold one, or of None for an answer without a table."""

StoredColumns = tuple[
    list[Vocabulary], list[NDArray[np.integer]], list[Floats], list[NDArray[np.integer]], list[Floats], list[Ints]
]
"""The columns of several tables; see :func:`stored_columns`."""

# More vocabularies than this are merged into one first: a pass over the columns for each would take longer.
_MAX_VOCABULARIES = 8

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of tables with one vocabulary, end to end.

    ``tables`` are the indices of these tables among all that were passed in; ``starts`` are the first tokens of each.
    ``vocab_size`` and ``rounding`` are those of every table.
    """

    vocabulary: Vocabulary
    tables: NDArray[np.intp]
    starts: NDArray[np.intp]
    chosen: NDArray[np.integer]
    chosen_logprob: Floats
    alternative: NDArray[np.integer]
    alternative_logprob: Floats
    offsets: NDArray[np.intp]
    vocab_size: int | None
    rounding: float | None

    @property
    def rows(self) -> int:
        """The number of tokens."""
        return len(self.chosen)


def tables_of(data: Tables, *, lists: bool = False) -> list[Logprobs | None]:
    """Return the tables that were passed in, None for an answer without one.

    With ``lists``, a list of dicts without alternatives of their own is read as the alternatives of one token.

    Raises
    ------
    SettingError
        If an item is neither a table nor a response.
    """
    if isinstance(data, Logprobs):
        return [data]
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise invalid_argument("logprobs", data, "a response's logprobs, or a list of responses or of their logprobs")
    items: Sequence[Any] = data if isinstance(data, Sequence) else list(data)
    if items and isinstance(items[0], dict) and "token" in items[0]:
        return [Logprobs.from_entries(items)]
    tables: list[Logprobs | None] = []
    for index, item in enumerate(items):
        if not isinstance(item, Logprobs) and item is not None:
            item = item.logprobs if hasattr(item, "logprobs") else Logprobs.from_entries(_entries(item, index, lists))
        tables.append(item)
    return tables


def _entries(item: Any, index: int, lists: bool) -> Any:
    if not isinstance(item, list | tuple):
        raise invalid_argument(f"responses[{index}]", item, "a response, or its logprobs")
    if lists and item and not any(isinstance(entry, dict) and "top_logprobs" in entry for entry in item):
        return [{"token": "", "logprob": None, "top_logprobs": item}]
    return item


def stored_columns(tables: Sequence[Logprobs]) -> StoredColumns:
    """Return the vocabularies and columns of many tables as stored, a list of each; offsets may begin above 0."""
    return (
        [table._vocabulary for table in tables],
        [table._chosen for table in tables],
        [table._chosen_logprob for table in tables],
        [table._alternative for table in tables],
        [table._alternative_logprob for table in tables],
        [table._offsets for table in tables],
    )


def stack_tables(tables: Sequence[Logprobs | None]) -> list[Columns]:
    """Return the tables stacked by vocabulary and by what is known of their numbers; those of one client share both."""
    tables = unify_vocabularies(tables)
    groups: dict[tuple[int, int | None, float | None], list[int]] = {}
    for index, table in enumerate(tables):
        if table is not None and len(table):
            groups.setdefault((id(table.vocabulary), table.vocab_size, table.rounding), []).append(index)
    return [
        _stack_group([table for index in indices if (table := tables[index]) is not None], indices)
        for indices in groups.values()
    ]


def unify_vocabularies(tables: Sequence[Logprobs | None]) -> Sequence[Logprobs | None]:
    """Return the same tables over one vocabulary if they have many, unchanged if they have few."""
    vocabularies = {id(table.vocabulary): table.vocabulary for table in tables if table is not None}
    if len(vocabularies) <= _MAX_VOCABULARIES:
        return tables
    union = Vocabulary()
    new_indices: dict[int, NDArray[np.int32]] = {}
    for key, vocabulary in vocabularies.items():
        indices = [union.add(*vocabulary.entry(index)) for index in range(len(vocabulary))]
        new_indices[key] = np.array(indices, np.int32)
    result: list[Logprobs | None] = []
    for table in tables:
        if table is not None:
            new_index = new_indices[id(table.vocabulary)]
            chosen, chosen_logprob, alternative, alternative_logprob, offsets = table.columns
            table = Logprobs(
                union,
                new_index[chosen],
                chosen_logprob,
                new_index[alternative],
                alternative_logprob,
                offsets,
                vocab_size=table.vocab_size,
                rounding=table.rounding,
            )
        result.append(table)
    return result


def _stack_group(tables: list[Logprobs], indices: list[int]) -> Columns:
    known = np.array(indices, np.intp), tables[0].vocab_size, tables[0].rounding
    alike = stack_packed([table.packed for table in tables])
    if alike is not None:  # such as one-token answers
        lengths = np.full(len(tables), alike.dtype["chosen"].shape[0])
        counts = np.diff(alike["offsets"].astype(np.intp), axis=1).reshape(-1)
        stacked = [
            alike[name].reshape(-1) for name in ("chosen", "chosen_logprob", "alternative", "alternative_logprob")
        ]
        return _columns(tables[0].vocabulary, lengths, counts, stacked, *known)
    _, chosen, chosen_logprob, alternative, alternative_logprob, edges = stored_columns(tables)
    lengths = np.fromiter(map(len, chosen), np.intp, len(chosen))
    # The step from the last offset of a table to the first of the next is not a list.
    counts = np.delete(np.diff(stack(edges).astype(np.intp)), np.cumsum(lengths + 1)[:-1] - 1)
    for index, edge in enumerate(edges):
        if edge[0] or edge[-1] != len(alternative[index]):
            span = slice(int(edge[0]), int(edge[-1]))
            alternative[index], alternative_logprob[index] = alternative[index][span], alternative_logprob[index][span]
    stacked = [stack(columns) for columns in (chosen, chosen_logprob, alternative, alternative_logprob)]
    return _columns(tables[0].vocabulary, lengths, counts, stacked, *known)


def _columns(
    vocabulary: Vocabulary,
    lengths: NDArray[np.intp],
    counts: NDArray[np.intp],
    stacked: Sequence[NDArray[Any]],
    tables: NDArray[np.intp],
    vocab_size: int | None,
    rounding: float | None,
) -> Columns:
    starts, offsets = (np.concatenate(([0], np.cumsum(sizes))) for sizes in (lengths, counts))
    chosen, chosen_logprob, alternative, alternative_logprob = stacked
    return Columns(
        vocabulary,
        tables,
        starts,
        chosen,
        chosen_logprob,
        alternative,
        alternative_logprob,
        offsets,
        vocab_size,
        rounding,
    )


def stack(columns: list[Any]) -> NDArray[Any]:
    """Return the columns end to end as one array."""
    dtype = columns[0].dtype
    # Joining buffers takes half the time of concatenating arrays; the length shows whether all have one type.
    buffer = b"".join(columns)
    if len(buffer) == dtype.itemsize * sum(map(len, columns)):
        return np.frombuffer(buffer, dtype)
    return np.concatenate(columns)


def table_starts(tables: Sequence[Logprobs | None]) -> NDArray[np.intp]:
    """Return the first token of each table when all are stacked, and the total number of tokens as a last entry."""
    lengths = [0 if table is None else len(table) for table in tables]
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.intp)


def group_rows(columns: Columns, starts: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return the rows of a group's tokens among the tokens of all tables."""
    if len(columns.tables) == len(starts) - 1:
        return slice(None)
    lengths = np.diff(columns.starts)
    shift = np.repeat(starts[:-1][columns.tables] - columns.starts[:-1], lengths)
    return np.arange(columns.rows) + shift


def observe_columns(columns: Columns) -> measures.Observed:
    """Return the known part of each token's distribution."""
    return measures.observe(
        columns.vocabulary,
        columns.chosen,
        columns.chosen_logprob,
        columns.alternative,
        columns.alternative_logprob,
        columns.offsets,
        zeros=True,
    )


def read_lists(values: Any) -> tuple[Floats, NDArray[np.intp]] | None:
    """Return plain lists of log-probabilities end to end, and the offset of each; None for any other input.

    Lists are an array of shape (n, k), or a list of lists of numbers, which may differ in length.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            raise invalid_argument("logprobs", values, "an array of numbers of shape (n, k)")
        flat = np.ascontiguousarray(values, np.float64).reshape(-1)
        return flat, np.arange(len(values) + 1, dtype=np.intp) * values.shape[1]
    if not isinstance(values, list | tuple) or not all(isinstance(row, list | tuple | np.ndarray) for row in values):
        return None
    first = next((row[0] for row in values if len(row)), None)
    if isinstance(first, bool) or not isinstance(first, int | float | np.integer | np.floating):
        return None
    try:
        rows = [np.asarray(row, np.float64).reshape(-1) for row in values]
    except (TypeError, ValueError):
        raise invalid_argument("logprobs", values, "lists of numbers") from None
    return np.concatenate(rows), np.cumsum([0, *map(len, rows)]).astype(np.intp)


def observe_lists(lists: tuple[Floats, NDArray[np.intp]]) -> measures.Observed:
    """Return the known part of the distributions of plain lists, which have no chosen token."""
    return measures.observe(None, None, None, None, *lists, zeros=True)


def check_policy(policy: str) -> None:
    """Raise an error for an unknown policy."""
    if policy not in ("raise", "skip"):
        raise invalid_argument("policy", policy, "'raise' or 'skip'")


def invalid_lists(
    logprob: Floats,
    offsets: NDArray[np.intp] | Ints,
    seen: measures.Observed,
    policy: str,
    vocab_size: int | None = None,
    rounding: float | None = None,
) -> Bools:
    """Return a mask of the lists that are not the top of a distribution, or raise an error at the first of them.

    A list that misses some of 1 and has a token of probability 0, so that no hidden token can hold the rest, is masked
    under any policy: one list of many must not cost the others.

    Raises
    ------
    LogprobError
        If a number is not a log-probability.
    ProbabilityMassError
        If a list adds up to more than 1.
    InconsistentTopKError
        If the unlisted probability does not fit into the unlisted tokens.
    """
    check_policy(policy)
    wrong = np.zeros(len(seen.tail), np.bool_)
    span = slice(int(offsets[0]), int(offsets[-1]))
    values = logprob[span]
    if len(values) and not values.max() <= ROUNDING:
        positions = np.flatnonzero(~(values <= ROUNDING)) + span.start
        rows = np.searchsorted(offsets, positions, side="right") - 1
        if policy == "raise":
            raise logprob_error(float(logprob[positions[0]]), "logprobs", int(rows[0]))
        wrong[rows] = True
    heavy = seen.tail < -mass_tolerance(rounding)
    if heavy.any():
        if policy == "raise":
            row = int(np.argmax(heavy))
            total = float(1 - seen.tail[row])
            raise ProbabilityMassError(
                f"The alternatives at token {row} add up to {total:.6g}, and should add up to at most 1; policy='skip' "
                "leaves such tokens out.",
                position=row,
                value=total,
            )
        wrong |= heavy
    if vocab_size is not None or (len(seen.cap) and seen.cap.min() == -np.inf):
        hidden = np.full(len(seen.tail), np.inf) if vocab_size is None else np.maximum(vocab_size - seen.known, 0.0)
        misfit = (seen.counts > 0) & misfits(seen.tail, seen.cap, hidden, rounding)
        wrong |= misfit
        crammed = misfit & (seen.cap > -np.inf)
        if policy == "raise" and crammed.any():
            row = int(np.argmax(crammed))
            tail = float(seen.tail[row])
            raise InconsistentTopKError(
                f"The alternatives at token {row} cannot be the likeliest of a vocabulary of {vocab_size}: the "
                f"{tail:.6g} that they leave does not fit into the other tokens; policy='skip' leaves such tokens out.",
                position=row,
                value=tail,
            )
    return wrong


def invalid_choices(logprob: Floats, policy: str) -> Bools:
    """Return a mask of the chosen tokens without a log-probability, or raise an error at the first of them.

    Raises
    ------
    LogprobError
        If a number is not a log-probability. A sentinel is not an error: it marks a withheld value.
    """
    check_policy(policy)
    wrong = ~(logprob <= ROUNDING)
    if wrong.any() and policy == "raise":
        row = int(np.argmax(wrong))
        raise logprob_error(float(logprob[row]), "logprobs", row)
    return wrong
