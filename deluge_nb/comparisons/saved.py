"""Pack the comparisons of all rows for a page that has no kernel to ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import LogprobsMissingError
from ..logprobs.alignment import Alignment
from ..logprobs.table import Logprobs
from ..render.comparison import default_color, summary
from ..text.counts import pluralize
from ..widget.codec import pack
from ..widget.compare import LogprobCompare
from ..widget.compare_codec import join_parts, pack_aligned, pack_parts
from ..widget.fallback import own_names
from ..widget.packer import Packer
from ..widget.table_sync import with_small_vocabulary

LARGEST = 32_000_000
"""Bytes of the comparisons in a page, before compression to about a third."""


class SavedRows(NamedTuple):
    """Comparisons of rows as JSON and as one block, and what the page says it lacks."""

    details: dict[str, Any]
    blocks: bytes
    notes: list[str]


class _Row(NamedTuple):
    """The parts of one comparison, with the alternatives of each response."""

    state: dict[str, Any]
    data: bytes
    alignment: bytes
    alternatives: list[bytes]


def pack_rows(
    wanted: Iterable[tuple[int, int | None]],
    compared: Callable[[int, int | None], Mapping[str, Logprobs]],
    largest: int | None = None,
) -> SavedRows:
    """Encode comparisons for a page of bounded size.

    Of a table that is too large the last rows lack their alternatives; of one that is still too large, the last rows
    are left out and say so.

    Parameters
    ----------
    wanted
        Rows, each with the other variant if it is compared with that one only; the most important ones first.
    compared
        Function that returns the tables of a row by the names of their variants.
    largest
        Bytes before compression; :data:`LARGEST` by default.
    """
    largest = LARGEST if largest is None else largest
    entries: list[dict[str, Any]] = []
    columns: dict[str, bytes] = {}
    alternatives: dict[int, list[bytes]] = {}
    size = more = left_out = 0
    for number, (row, other) in enumerate(wanted):
        entry: dict[str, Any] = {"row": row, "against": other}
        entries.append(entry)
        if left_out:
            left_out += 1
            entry["error"] = _left_out(row)
            continue
        try:
            packed = _pack_row(compared(row, other))
        except LogprobsMissingError as error:
            entry["error"] = str(error)
            continue
        if size + len(packed.data) + len(packed.alignment) > largest:
            left_out = 1
            entry["error"] = _left_out(row)
            continue
        entry["state"] = packed.state
        columns |= {f"data{number}": packed.data, f"alignment{number}": packed.alignment}
        size += len(packed.data) + len(packed.alignment)
        alternatives[number] = []
        if size + more + sum(map(len, packed.alternatives)) <= largest:
            alternatives[number] = packed.alternatives
            more += sum(map(len, packed.alternatives))
    for number in reversed(alternatives):
        # Later rows have taken the room.
        if size + more > largest:
            more -= sum(map(len, alternatives[number]))
            alternatives[number] = []
        columns |= {f"alternatives{number}.{side}": part for side, part in enumerate(alternatives[number])}
    without = sum(not parts for parts in alternatives.values())
    notes = [f"{pluralize(without, 'comparison')} without alternatives"] if without else []
    notes += [f"{pluralize(left_out, 'comparison')} left out of this page"] if left_out else []
    blocks = pack({}, {name: np.frombuffer(part, np.uint8) for name, part in columns.items()})
    return SavedRows({"shared": _shared_state(), "rows": entries}, blocks, notes)


def _pack_row(tables: Mapping[str, Logprobs]) -> _Row:
    aligned = Alignment([with_small_vocabulary(table) for table in tables.values()])
    sides = range(len(aligned.tables))
    parts = pack_parts(aligned.tables, [Packer() for _ in sides], whole=True)
    alternatives = [parts.pop(f"alternatives{side}") for side in sides]
    state = {
        "names": list(tables),
        "summaries": [summary(aligned, side) for side in sides],
        "color_by": default_color(aligned),
    }
    return _Row(state, join_parts(parts), pack_aligned(aligned), alternatives)


def _left_out(row: int) -> str:
    return (
        f"This comparison is left out, as the page would be too large. "
        f'In Python, comparisons[{row}].save_html("row.html") writes it as a page of its own.'
    )


def _shared_state() -> dict[str, Any]:
    """Return the settings of a new comparison."""
    traits = LogprobCompare.class_traits(sync=True)
    defaults = {name: traits[name].default() for name in own_names(LogprobCompare)}
    return {name: value for name, value in defaults.items() if not isinstance(value, bytes)}
