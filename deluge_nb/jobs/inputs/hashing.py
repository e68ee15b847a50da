"""Hashes of rows, which find a job again and rows that ask the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa


class RowHasher:
    """Hash of rows, which depends on their values and not on the types or the chunks that hold them.

    Parameters
    ----------
    columns
        Names of the columns that count.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._hash = hashlib.sha256(repr(self._columns).encode("utf-8", "backslashreplace"))

    def add(self, table: pa.Table) -> list[str]:
        """Add the rows of a table, and return each as the text that is hashed."""
        columns = [table[name].to_pylist() for name in self._columns]
        rows = list(map(repr, zip(*columns, strict=True))) if columns else ["()"] * table.num_rows
        for row in rows:
            self._hash.update(row.encode("utf-8", "backslashreplace"))
            self._hash.update(b"\n")
        return rows

    def hexdigest(self) -> str:
        """Return the hash so far, as 16 hexadecimal digits."""
        return self._hash.hexdigest()[:16]


def first_rows(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each row the number of the first row with the same key.

    Parameters
    ----------
    keys
        Two numbers for each row; shape (n, 2).
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable, so that equal keys stay in the order of their rows
    ordered = keys[order]
    is_new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(order)]
    first = np.empty(len(order), np.int64)
    first[order] = order[is_new][np.cumsum(is_new) - 1]
    return first


def row_keys(rows: Sequence[str]) -> NDArray[np.uint64]:
    """Return two numbers for each row, which are equal for equal rows; shape (n, 2)."""
    hashes = b"".join(hashlib.blake2b(row.encode("utf-8", "backslashreplace"), digest_size=16).digest() for row in rows)
    return np.frombuffer(hashes, np.uint64).reshape(-1, 2)
