"""A table of log-probabilities as bytes for the browser: a header of JSON, then typed columns.

Layout: the header's length as a little-endian uint32, the header, and columns that each start at a multiple of 8. The
other side is ``js/src/columns.ts``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._glyphs import fragments, label
from ._measures import known
from ._scale import SCALES
from .logprobs import Logprobs

_TYPES = {"float32": "f4", "uint32": "u4", "int32": "i4", "uint8": "u1"}
_BREAKS, _MARKED = 1, 2
# Tokens whose alternatives travel together; all of them, where the table is no longer than a few such chunks.
CHUNK = 4096
EAGER = 16_000


def pack(fields: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Plain fields and typed columns in one block."""
    places: dict[str, Any] = {}
    offset = 0
    for name, column in columns.items():
        places[name] = {"type": column.dtype.name, "offset": offset, "length": len(column)}
        offset += -(-column.nbytes // 8) * 8
    header = json.dumps({**fields, "columns": places}, ensure_ascii=False).encode()
    header += b" " * (-(4 + len(header)) % 8)
    blocks = [len(header).to_bytes(4, "little"), header]
    for column in columns.values():
        content = column.astype(column.dtype.newbyteorder("<")).tobytes()
        blocks.append(content + bytes(-len(content) % 8))
    return b"".join(blocks)


def unpack(block: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The fields and columns of a block."""
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    columns = {
        name: np.frombuffer(block, "<" + _TYPES[place["type"]], place["length"], 4 + length + place["offset"])
        for name, place in header.pop("columns").items()
    }
    return header, columns


def pack_tokens(table: Logprobs) -> bytes:
    """What is drawn: fragments of text, and for each token its numbers.

    Probabilities cross as float32 logarithms (nats), entropies in bits; NaN where the provider did not tell.
    """
    shown: dict[str, int] = {}
    copied: dict[str, int] = {}
    drawn = fragments(table.token_bytes)
    places = [(shown.setdefault(f.shown, len(shown)), copied.setdefault(f.copied, len(copied))) for f in drawn]
    chosen, _, _, _, offsets = table.columns
    labels, names = _labels(table)
    bounds = table.entropy_bounds(base=2)
    return pack(
        {
            "count": len(table),
            "chunk": CHUNK,
            "shown": list(shown),
            "copied": list(copied),
            "labels": names,
            "scales": {name: scale._asdict() for name, scale in SCALES.items()},
        },
        {
            "owner": np.array([f.token for f in drawn], dtype=np.uint32),
            "shownAt": np.array([place[0] for place in places], dtype=np.uint32),
            "copiedAt": np.array([place[1] for place in places], dtype=np.uint32),
            "flags": np.array([_BREAKS * f.breaks | _MARKED * f.marked for f in drawn], dtype=np.uint8),
            "logprob": table.logprob.astype(np.float32),
            "entropy": bounds.lower.astype(np.float32),
            "entropyMost": bounds.upper.astype(np.float32),
            "tail": np.clip(1 - table.top_mass(), 0, 1).astype(np.float32),
            "rank": np.nan_to_num(table.rank()).astype(np.int32),
            "listed": table.is_listed.astype(np.uint8),
            "labelAt": labels[chosen].astype(np.uint32),
            "offsets": offsets.astype(np.uint32),
        },
    )


def pack_alternatives(table: Logprobs, chunk: int | None = None) -> bytes:
    """The alternatives of all tokens, or of one chunk of them."""
    labels, _ = _labels(table)
    _, _, alternative, logprob, offsets = table.columns
    first, last = (0, len(table)) if chunk is None else (chunk * CHUNK, min((chunk + 1) * CHUNK, len(table)))
    span = slice(offsets[first], offsets[last])
    return pack(
        {"first": first, "last": last},
        {
            "labelAt": labels[alternative[span]].astype(np.uint32),
            "logprob": known(logprob[span]).astype(np.float32),
        },
    )


def _labels(table: Logprobs) -> tuple[NDArray[np.int64], list[str]]:
    """For each token of the table's vocabulary its place in a list of labels, and that list.

    Tokens of the same bytes share a place; tokens that only look alike do not, so that places tell them apart.
    """
    distinct: dict[bytes, int] = {}
    vocabulary = table.vocabulary
    places = [distinct.setdefault(vocabulary.true_bytes(i), len(distinct)) for i in range(len(vocabulary))]
    return np.array(places, dtype=np.int64), [label(octets) for octets in distinct]
