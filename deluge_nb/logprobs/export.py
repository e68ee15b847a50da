"""Convert tables to pandas and Arrow. Each library is imported when its function is called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..extras import import_extra
from . import measures
from .columns import Columns, RawBytes, Vocabulary

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from .token_columns import TokenColumns


def to_pandas(columns: Mapping[str, Any]) -> pandas.DataFrame:
    """Return a data frame of columns with one value per token."""
    return import_extra("pandas", "to_pandas()").DataFrame(columns)


def alternatives_to_pandas(tokens: Sequence[str], texts: Sequence[str], columns: Columns) -> pandas.DataFrame:
    """Return a data frame with one row per token and alternative.

    Parameters
    ----------
    tokens
        Text of each chosen token.
    texts
        Text of each token of the vocabulary.
    columns
        Columns of the table.
    """
    pd = import_extra("pandas", "to_pandas()")
    _, _, alternative, alternative_logprob, offsets = columns
    counts = np.diff(offsets)
    logprob = measures.mask_censored(alternative_logprob)
    return pd.DataFrame(
        {
            "position": np.repeat(np.arange(len(tokens)), counts),
            "token": np.repeat(np.array(tokens, dtype=object), counts),
            "alternative": np.array(texts, dtype=object)[alternative],
            "logprob": logprob,
            "prob": np.exp(logprob),
        }
    )


def to_arrow(tables: Sequence[TokenColumns], *, metadata: Mapping[str, Any], numbered: bool = False) -> pyarrow.Table:
    """Return one Arrow table of the documented structure, with ``top_logprobs`` as a list of structs, by columns.

    Parameters
    ----------
    tables
        Tables whose rows follow one another.
    metadata
        Facts about the whole table, stored as JSON in the schema; None is left out.
    numbered
        Add a first column ``response``, with the position of each row's table in the list.
    """
    pa = import_extra("pyarrow", "to_arrow()")
    vocabularies = {id(table.vocabulary): table.vocabulary for table in tables}
    ends = np.cumsum([0, *(len(vocabulary) for vocabulary in vocabularies.values())])
    starts = dict(zip(vocabularies, ends.tolist(), strict=False))
    columns = [(starts[id(table.vocabulary)], *table.columns) for table in tables]
    chosen, alternative = (_concatenate([start + one[at] for start, *one in columns], np.int64) for at in (0, 2))
    logprob, alternative_logprob = (_concatenate([one[at] for _, *one in columns], np.float64) for at in (1, 3))
    offsets = np.concatenate(([0], np.cumsum(_concatenate([np.diff(one[4]) for _, *one in columns], np.int64))))
    indices = np.concatenate((chosen, alternative)).astype(np.int64, copy=False)
    is_used = np.zeros(int(ends[-1]), np.bool_)
    is_used[indices] = True
    tokens = _token_arrays(pa, list(vocabularies.values()), ends, np.flatnonzero(is_used))
    local = (np.cumsum(is_used) - 1)[indices]

    def fields(index: Any, values: Any) -> list[Any]:
        texts, octets = (array.take(pa.array(index)) for array in tokens)
        return [texts, pa.array(values, mask=np.isnan(values)), octets]

    names = ["token", "logprob", "bytes"]
    top = pa.StructArray.from_arrays(fields(local[len(chosen) :], alternative_logprob), names)
    arrays = [*fields(local[: len(chosen)], logprob), pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), top)]
    names.append("top_logprobs")
    if numbered:
        response = np.repeat(np.arange(len(tables), dtype=np.int32), [len(table) for table in tables])
        arrays, names = [pa.array(response), *arrays], ["response", *names]
    facts = {name: json.dumps(value) for name, value in metadata.items() if value is not None}
    return pa.Table.from_arrays(arrays, names, metadata=facts or None)


def _concatenate(parts: list[NDArray[Any]], dtype: DTypeLike) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _token_arrays(
    pa: Any, vocabularies: list[Vocabulary], ends: NDArray[np.int64], used: NDArray[np.int64]
) -> tuple[Any, Any]:
    """Return the texts and the bytes (null where unknown) of distinct tokens as Arrow arrays."""
    texts: list[str] = []
    raw: list[RawBytes] = []
    for vocabulary, start, end in zip(vocabularies, ends.tolist(), ends.tolist()[1:], strict=False):
        indices = (used[(used >= start) & (used < end)] - start).tolist()
        texts += [vocabulary.texts[index] for index in indices]
        raw += [vocabulary.raw[index] for index in indices]
    octets = [value if isinstance(value, bytes) else b"" for value in raw]
    is_unknown = np.array([not isinstance(value, bytes) for value in raw] + [False])
    offsets = np.cumsum([0, *map(len, octets)], dtype=np.int32)
    values = pa.array(np.frombuffer(b"".join(octets), np.uint8))
    return pa.array(texts, pa.string()), pa.ListArray.from_arrays(pa.array(offsets, mask=is_unknown), values)
