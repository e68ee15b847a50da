"""Blocks of bytes for the browser: a header of JSON, then typed columns.

Layout: the header's length as a little-endian uint32, the header, and columns that each start at a multiple of 8. The
other side is ``js/src/data/codec.ts``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"float32": "f4", "uint32": "u4", "int32": "i4", "uint16": "u2", "uint8": "u1"}


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
        blocks += [column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes(), bytes(-column.nbytes % 8)]
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
