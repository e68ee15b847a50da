"""Many tables end to end, as one: what works on the columns of one answer works on those of a hundred thousand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InconsistentTopKError, ProbabilityMassError, invalid_argument
from ...logprobs import measures
from ...logprobs.columns import Floats, Ints, Vocabulary
from ...logprobs.table import Logprobs
from ...logprobs.values import ROUNDING
from .validation import MASS_TOLERANCE, logprob_error

Tables = Logprobs | Iterable[Any]
"""A table, or several: tables, responses that hold one, or None where an answer has none."""

StoredColumns = tuple[
    list[Vocabulary], list[NDArray[np.integer]], list[Floats], list[NDArray[np.integer]], list[Floats], list[Ints]
]
"""The columns of several tables; see :func:`stored_columns`."""

# So many vocabularies are gone through one by one.
_FEW = 8

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """Tables that share a vocabulary, end to end.

    ``which`` says which of the tables that were handed in these are; ``starts`` where the tokens of each begin.
    """

    vocabulary: Vocabulary
    which: NDArray[np.intp]
    starts: NDArray[np.intp]
    chosen: NDArray[np.integer]
    chosen_logprob: Floats
    alternative: NDArray[np.integer]
    alternative_logprob: Floats
    offsets: NDArray[np.intp]

    @property
    def rows(self) -> int:
        """How many tokens there are."""
        return len(self.chosen)


def tables_of(data: Tables, *, lists: bool = False) -> list[Logprobs | None]:
    """The tables that were handed in, None where there is none.

    With ``lists``, a list of dicts without alternatives of their own is the alternatives of a token.

    Raises
    ------
    SettingError
        When something is neither a table nor a response.
    """
    if isinstance(data, Logprobs):
        return [data]
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise invalid_argument("logprobs", data, "a response's logprobs, or a list of responses or of their logprobs")
    found: list[Logprobs | None] = []
    entries: Sequence[Any] = data if isinstance(data, Sequence) else list(data)
    if entries and isinstance(entries[0], dict) and "token" in entries[0]:
        return [Logprobs.from_entries(entries)]
    for place, one in enumerate(entries):
        if not isinstance(one, Logprobs) and one is not None:
            one = one.logprobs if hasattr(one, "logprobs") else Logprobs.from_entries(_entries(one, place, lists))
        found.append(one)
    return found


def _entries(one: Any, place: int, lists: bool) -> Any:
    if not isinstance(one, list | tuple):
        raise invalid_argument(f"responses[{place}]", one, "a response, or its logprobs")
    if lists and one and not any(isinstance(entry, dict) and "top_logprobs" in entry for entry in one):
        return [{"token": "", "logprob": None, "top_logprobs": one}]
    return one


def stored_columns(tables: Sequence[Logprobs]) -> StoredColumns:
    """Vocabularies and columns of many tables as they are stored (offsets may begin beyond 0): a list of each kind."""
    return (
        [table._vocabulary for table in tables],
        [table._chosen for table in tables],
        [table._chosen_logprob for table in tables],
        [table._alternative for table in tables],
        [table._alternative_logprob for table in tables],
        [table._offsets for table in tables],
    )


def stack_tables(tables: Sequence[Logprobs | None]) -> list[Columns]:
    """The tables by vocabulary: usually all of them have one, that of their client."""
    tables = unify_vocabularies(tables)
    groups: dict[tuple[int, int | None], list[int]] = {}
    for place, table in enumerate(tables):
        if table is not None and len(table):
            groups.setdefault((id(table.vocabulary), table.vocab_size), []).append(place)
    return [
        _stack_group([table for at in places if (table := tables[at]) is not None], places)
        for places in groups.values()
    ]


def unify_vocabularies(tables: Sequence[Logprobs | None]) -> Sequence[Logprobs | None]:
    """The same tables over one vocabulary, where they have many; going through each by itself would take far longer."""
    found = {id(table.vocabulary): table.vocabulary for table in tables if table is not None}
    if len(found) <= _FEW:
        return tables
    together = Vocabulary()
    places: dict[int, NDArray[np.int32]] = {}
    for key, vocabulary in found.items():
        indices = [together.add(*vocabulary.entry(index)) for index in range(len(vocabulary))]
        places[key] = np.array(indices, np.int32)
    made: list[Logprobs | None] = []
    for table in tables:
        if table is not None:
            of = places[id(table.vocabulary)]
            chosen, chosen_logprob, alternative, alternative_logprob, offsets = table.columns
            table = Logprobs(
                together,
                of[chosen],
                chosen_logprob,
                of[alternative],
                alternative_logprob,
                offsets,
                vocab_size=table.vocab_size,
            )
        made.append(table)
    return made


def _stack_group(tables: list[Logprobs], places: list[int]) -> Columns:
    _, chosen, chosen_logprob, alternative, alternative_logprob, edges = stored_columns(tables)
    lengths = np.fromiter(map(len, chosen), np.intp, len(chosen))
    # The step from the end of one table to the start of the next is no list.
    counts = np.delete(np.diff(stack(edges).astype(np.intp)), np.cumsum(lengths + 1)[:-1] - 1)
    for place, edge in enumerate(edges):
        if edge[0] or edge[-1] != len(alternative[place]):
            span = slice(int(edge[0]), int(edge[-1]))
            alternative[place], alternative_logprob[place] = alternative[place][span], alternative_logprob[place][span]
    return Columns(
        tables[0].vocabulary,
        np.array(places, np.intp),
        np.concatenate(([0], np.cumsum(lengths))),
        stack(chosen),
        stack(chosen_logprob),
        stack(alternative),
        stack(alternative_logprob),
        np.concatenate(([0], np.cumsum(counts))),
    )


def stack(columns: list[Any]) -> NDArray[Any]:
    """Columns end to end."""
    kind = columns[0].dtype
    # Joining buffers takes half the time of joining arrays; wider numbers among them show in the length.
    buffer = b"".join(columns)
    if len(buffer) == kind.itemsize * sum(map(len, columns)):
        return np.frombuffer(buffer, kind)
    return np.concatenate(columns)


def table_starts(tables: Sequence[Logprobs | None]) -> NDArray[np.intp]:
    """Where the tokens of each table begin when all are laid end to end, and at last how many there are."""
    lengths = [0 if table is None else len(table) for table in tables]
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.intp)


def group_rows(columns: Columns, starts: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Where a group's tokens stand among those of all tables."""
    if len(columns.which) == len(starts) - 1:
        return slice(None)
    lengths = np.diff(columns.starts)
    shift = np.repeat(starts[:-1][columns.which] - columns.starts[:-1], lengths)
    return np.arange(columns.rows) + shift


def observe_columns(columns: Columns) -> measures.Observed:
    """What is known of each token's distribution."""
    return measures.observe(
        columns.vocabulary,
        columns.chosen,
        columns.chosen_logprob,
        columns.alternative,
        columns.alternative_logprob,
        columns.offsets,
    )


def read_lists(values: Any) -> tuple[Floats, NDArray[np.intp]] | None:
    """Plain lists of log-probabilities end to end, and where each begins; None where something else was handed in.

    Lists are an array of shape (n, k), or a list of lists of numbers, which may differ in length.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            raise invalid_argument("logprobs", values, "an array of numbers of shape (n, k)")
        flat = np.ascontiguousarray(values, np.float64).reshape(-1)
        return flat, np.arange(len(values) + 1, dtype=np.intp) * values.shape[1]
    if not isinstance(values, list | tuple) or not all(isinstance(one, list | tuple | np.ndarray) for one in values):
        return None
    first = next((one[0] for one in values if len(one)), None)
    if isinstance(first, bool) or not isinstance(first, int | float | np.integer | np.floating):
        return None
    try:
        rows = [np.asarray(one, np.float64).reshape(-1) for one in values]
    except (TypeError, ValueError):
        raise invalid_argument("logprobs", values, "lists of numbers") from None
    return np.concatenate(rows), np.cumsum([0, *map(len, rows)]).astype(np.intp)


def observe_lists(lists: tuple[Floats, NDArray[np.intp]]) -> measures.Observed:
    """What plain lists say, without a chosen token."""
    return measures.observe(None, None, None, None, *lists)


def check_policy(policy: str) -> None:
    """Refuse a policy that there is not."""
    if policy not in ("raise", "skip"):
        raise invalid_argument("policy", policy, "'raise' or 'skip'")


def invalid_lists(
    logprob: Floats,
    offsets: NDArray[np.intp] | Ints,
    seen: measures.Observed,
    policy: str,
    vocab_size: int | None = None,
) -> Bools:
    """Where a list cannot be right; the first such token is an error, unless they are to be skipped.

    Raises
    ------
    LogprobError
        When a number is no log-probability.
    ProbabilityMassError
        When a list adds up to more than 1.
    InconsistentTopKError
        When what a list leaves out does not fit into what is not listed.
    """
    check_policy(policy)
    wrong = np.zeros(len(seen.tail), np.bool_)
    span = slice(int(offsets[0]), int(offsets[-1]))
    values = logprob[span]
    if len(values) and not values.max() <= ROUNDING:
        places = np.flatnonzero(~(values <= ROUNDING)) + span.start
        rows = np.searchsorted(offsets, places, side="right") - 1
        if policy == "raise":
            raise logprob_error(float(logprob[places[0]]), "logprobs", int(rows[0]))
        wrong[rows] = True
    heavy = seen.tail < -MASS_TOLERANCE
    if heavy.any():
        if policy == "raise":
            at = int(np.argmax(heavy))
            total = float(1 - seen.tail[at])
            raise ProbabilityMassError(
                f"The alternatives at token {at} add up to {total:.6g}, and should add up to at most 1; policy='skip' "
                "leaves such tokens out.",
                position=at,
                value=total,
            )
        wrong |= heavy
    if vocab_size is not None:
        room = np.exp(seen.cap) * np.maximum(vocab_size - seen.known, 0)
        crammed = (seen.counts > 0) & (seen.tail > room + MASS_TOLERANCE)
        if crammed.any():
            if policy == "raise":
                at = int(np.argmax(crammed))
                raise InconsistentTopKError(
                    f"The alternatives at token {at} cannot be the likeliest of a vocabulary of {vocab_size}: the "
                    f"{float(seen.tail[at]):.6g} that they leave do not fit into the others; policy='skip' leaves such "
                    "tokens out.",
                    position=at,
                    value=float(seen.tail[at]),
                )
            wrong |= crammed
    return wrong


def invalid_choices(logprob: Floats, policy: str) -> Bools:
    """Where a chosen token has no log-probability; an error unless such tokens are to be skipped.

    Raises
    ------
    LogprobError
        When a number is no log-probability. A sentinel is none, and no error: it says "not told".
    """
    check_policy(policy)
    wrong = ~(logprob <= ROUNDING)
    if wrong.any() and policy == "raise":
        at = int(np.argmax(wrong))
        raise logprob_error(float(logprob[at]), "logprobs", at)
    return wrong
