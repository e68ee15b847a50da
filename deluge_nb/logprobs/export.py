"""Convert tables to pandas and Arrow. Each library is imported when its function is called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..extras import import_extra
from . import measures
from .columns import Columns

if TYPE_CHECKING:
    import pandas
    import pyarrow


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


def to_arrow(entries: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any]) -> pyarrow.Table:
    """Return an Arrow table of the documented dicts, with ``top_logprobs`` as a list of structs.

    ``metadata`` is what the schema holds of the whole table, as JSON; None is left out.
    """
    pa = import_extra("pyarrow", "to_arrow()")
    octets = pa.list_(pa.uint8())
    top = pa.struct([("token", pa.string()), ("logprob", pa.float64()), ("bytes", octets)])
    schema = pa.schema(
        [
            ("token", pa.string()),
            ("logprob", pa.float64()),
            ("bytes", octets),
            ("top_logprobs", pa.list_(top)),
        ],
        metadata={name: json.dumps(value) for name, value in metadata.items() if value is not None} or None,
    )
    return pa.Table.from_pylist([dict(entry) for entry in entries], schema=schema)
