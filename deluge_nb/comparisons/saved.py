"""Pack the comparisons of all rows for a page that has no kernel to ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import LogprobsMissingError
from ..logprobs.table import Logprobs
from ..text.counts import pluralize
from ..widget.codec import pack
from ..widget.compare_codec import join_parts
from .row_state import RowState, shared_traits

LARGEST = 32_000_000
"""Bytes of the comparisons in a page, before compression to about a third."""


class SavedRows(NamedTuple):
    """Comparisons of rows as JSON and as one block, and what the page says it lacks."""

    details: dict[str, Any]
    blocks: bytes
    notes: list[str]


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
            state = RowState(compared(row, other))
        except LogprobsMissingError as error:
            entry["error"] = str(error)
            continue
        parts = state.parts(whole=True)
        listed = [parts.pop(name) for name in list(parts) if name.startswith("alternatives")]
        data = join_parts(parts)
        if size + len(data) + len(state.alignment) > largest:
            left_out = 1
            entry["error"] = _left_out(row)
            continue
        entry["state"] = state.traits
        columns |= {f"data{number}": data, f"alignment{number}": state.alignment}
        size += len(data) + len(state.alignment)
        fits = size + more + sum(map(len, listed)) <= largest
        alternatives[number] = listed if fits else []
        more += sum(map(len, alternatives[number]))
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
    return SavedRows({"shared": shared_traits(), "rows": entries}, blocks, notes)


def _left_out(row: int) -> str:
    return (
        f"This comparison is left out, as the page would be too large. "
        f'In Python, comparisons[{row}].save_html("row.html") writes it as a page of its own.'
    )
