"""Pack the columns of a small table into one block of memory, and stack many blocks into one array.

Code that reads a hundred thousand tables spends its time on memory access, and one block per table is faster than five.
A block has a header (the numbers of tokens and of alternatives, and the vocabulary's ``id``), both columns of
log-probabilities, the offsets, and both columns of indices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Floats, Ints, Vocabulary

# Bytes. Packing a larger table would cost more than it saves.
_MOST_BYTES = 1 << 16
_HEADER = np.dtype([("n", "<i4"), ("m", "<i4"), ("vocabulary", "<i8")])


def pack_columns(
    vocabulary: Vocabulary,
    chosen: NDArray[np.integer],
    chosen_logprob: Floats,
    alternative: NDArray[np.integer],
    alternative_logprob: Floats,
    offsets: Ints,
) -> tuple[bytes | None, tuple[Any, ...]]:
    """Return a small table's columns as one block and as views of it; for a large table, None and the columns."""
    n, m = len(chosen), len(alternative)
    size = 8 * (n + m) + 4 * (n + 1) + 4 * (n + m)
    is_whole = len(offsets) == n + 1 and int(offsets[0]) == 0 and int(offsets[-1]) == m
    dtypes = chosen_logprob.dtype, alternative_logprob.dtype, offsets.dtype, alternative.dtype
    if size > _MOST_BYTES or not is_whole or dtypes != (np.float64, np.float64, np.int32, chosen.dtype):
        return None, (chosen, chosen_logprob, alternative, alternative_logprob, offsets)
    header = np.array((n, m, id(vocabulary)), _HEADER)
    parts = (header, chosen_logprob, alternative_logprob, offsets, chosen, alternative)
    block = b"".join([part.tobytes() for part in parts])
    logprobs = np.frombuffer(block, np.float64, n + m, _HEADER.itemsize)
    start = _HEADER.itemsize + 8 * (n + m)
    packed_offsets = np.frombuffer(block, np.int32, n + 1, start)
    indices = np.frombuffer(block, chosen.dtype, n + m, start + 4 * (n + 1))
    return block, (indices[:n], logprobs[:n], indices[n:], logprobs[n:], packed_offsets)


def stack_packed(blocks: list[Any]) -> NDArray[np.void] | None:
    """Return many blocks as the rows of a structured array, with fields named like the columns.

    Return None if a block is missing (None), or if shapes or vocabularies differ. Equal ``id`` means the same
    vocabulary, because all tables are alive. The lengths of the blocks are not compared one by one, which would access
    their memory twice. Equal headers and a total length that fits are enough: with equal headers only the width of an
    index can differ, and would make the total too long or too short.
    """
    try:
        data = b"".join(blocks)
    except TypeError:
        return None
    if len(data) != len(blocks) * len(blocks[0]):
        return None
    header = np.frombuffer(blocks[0], _HEADER, 1)[0]
    n, m = int(header["n"]), int(header["m"])
    if not n + m:
        return None
    width = (len(blocks[0]) - _HEADER.itemsize - 8 * (n + m) - 4 * (n + 1)) // (n + m)
    index_type = f"<u{width}" if width == 2 else f"<i{width}"
    fields = [
        ("header", _HEADER),
        ("chosen_logprob", "<f8", (n,)),
        ("alternative_logprob", "<f8", (m,)),
        ("offsets", "<i4", (n + 1,)),
        ("chosen", index_type, (n,)),
        ("alternative", index_type, (m,)),
    ]
    rows = np.frombuffer(data, np.dtype(fields))
    headers = rows["header"]
    are_equal = all((headers[name] == header[name]).all() for name in ("n", "m", "vocabulary"))
    return rows if are_equal else None
