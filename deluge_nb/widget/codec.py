"""The block format that crosses to the browser: a JSON header, then typed columns.

Layout: the length of the header as a little-endian uint32, the header, then columns that each start at a multiple of
8 bytes. ``js/src/data/codec.ts`` is the other side of this contract.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"float32": "f4", "uint32": "u4", "int32": "i4", "uint16": "u2", "uint8": "u1"}


def pack(fields: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Encode plain fields and typed columns as one block."""
    layout: dict[str, Any] = {}
    offset = 0
    for name, column in columns.items():
        layout[name] = {"type": column.dtype.name, "offset": offset, "length": len(column)}
        offset += -(-column.nbytes // 8) * 8
    header = json.dumps({**fields, "columns": layout}, ensure_ascii=False).encode()
    header += b" " * (-(4 + len(header)) % 8)
    blocks = [len(header).to_bytes(4, "little"), header]
    for column in columns.values():
        blocks += [column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes(), bytes(-column.nbytes % 8)]
    return b"".join(blocks)


def unpack(block: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Decode a block into its fields and columns."""
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    columns = {
        name: np.frombuffer(block, "<" + _TYPES[column["type"]], column["length"], 4 + length + column["offset"])
        for name, column in header.pop("columns").items()
    }
    return header, columns
