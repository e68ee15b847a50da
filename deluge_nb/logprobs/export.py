"""A table of log-probabilities as other libraries' tables; each library is imported when its function is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..extras import import_extra
from . import measures

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from .table import Logprobs


def columns_of(table: Logprobs) -> dict[str, Any]:
    """One value per token, by the name of the measure."""
    bounds = table.entropy_bounds()
    return {
        "position": np.arange(len(table)),
        "token": table.tokens,
        "logprob": table.logprob,
        "prob": table.prob,
        "surprisal": table.surprisal(),
        "entropy": bounds.lower,
        "entropy_upper": bounds.upper,
        "margin": table.margin(),
        "rank": table.rank(),
        "top_mass": table.top_mass(),
    }


def to_pandas(table: Logprobs, alternatives: bool) -> pandas.DataFrame:
    """One row per token, or one per token and alternative."""
    pd = import_extra("pandas", "to_pandas()")
    if not alternatives:
        return pd.DataFrame(columns_of(table))
    _, _, alternative, alternative_logprob, offsets = table.columns
    counts = np.diff(offsets)
    logprob = measures.known(alternative_logprob)
    texts = np.array([*table.vocabulary.texts, ""], dtype=object)
    return pd.DataFrame(
        {
            "position": np.repeat(np.arange(len(table)), counts),
            "token": np.repeat(np.array([*table.tokens, ""], dtype=object)[:-1], counts),
            "alternative": texts[alternative],
            "logprob": logprob,
            "prob": np.exp(logprob),
        }
    )


def to_arrow(table: Logprobs) -> pyarrow.Table:
    """The documented structure, ``top_logprobs`` a list of structs."""
    pa = import_extra("pyarrow", "to_arrow()")
    octets = pa.list_(pa.uint8())
    top = pa.struct([("token", pa.string()), ("logprob", pa.float64()), ("bytes", octets)])
    schema = pa.schema(
        [
            ("token", pa.string()),
            ("logprob", pa.float64()),
            ("bytes", octets),
            ("top_logprobs", pa.list_(top)),
        ]
    )
    return pa.Table.from_pylist([dict(entry) for entry in table], schema=schema)
