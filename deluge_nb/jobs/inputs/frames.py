"""Frames in: pandas, polars, pyarrow, DuckDB, datasets and Parquet files, read as Arrow tables of a few rows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import SettingError, invalid_argument
from ...extras import has_extra, import_extra
from .types import as_storable, storable_schema

if TYPE_CHECKING:
    import pyarrow as pa

FIRST = "__deluge_first_row__"
"""Column of the pinned input: the number of the first row with the same question."""
COUNTED = "0, 1, 2, …"
"""The index of rows that have none of their own."""
_KINDS = (
    "a data frame (pandas, polars, DuckDB, datasets), an Arrow table, or the path of a Parquet file "
    "(of a list of dicts, pandas.DataFrame(rows) makes one)"
)
# Methods of other frames that return one of these, such as those of Dask, Spark and pyarrow.dataset.
_MAKERS = ("to_table", "compute", "toPandas", "to_pandas")
# What reads other files, by their ends.
_READERS = {
    ".csv": "pandas.read_csv(path)",
    ".tsv": "pandas.read_csv(path, sep='\\t')",
    ".json": "pandas.read_json(path)",
    ".jsonl": "pandas.read_json(path, lines=True)",
    ".xlsx": "pandas.read_excel(path)",
    ".feather": "pandas.read_feather(path)",
    ".arrow": "pandas.read_feather(path)",
}
_PACKED = {".gz", ".bz2", ".xz", ".zip", ".zst"}


class Frame:
    """Rows of any frame as Arrow tables.

    Parameters
    ----------
    schema
        Columns and, for pandas, the index.
    rows
        Number of rows.
    uneven
        Names of columns of dicts with different keys, which Arrow fills up.
    """

    def __init__(self, data: Any) -> None:
        import_extra("pyarrow", "score_frame()")
        import pyarrow.parquet as pq

        self._path: Path | None = None
        self._table: pa.Table | None = None
        if isinstance(data, str | os.PathLike):
            self._path = Path(data).expanduser()
            try:
                with pq.ParquetFile(self._path) as file:
                    schema, self.rows = file.schema_arrow, file.metadata.num_rows
            except Exception as error:
                raise _unreadable(data, self._path, error) from None
        else:
            self._table = _as_table(data)
            schema, self.rows = self._table.schema, self._table.num_rows
        _check_distinct(schema.names)
        self.schema = storable_schema(schema).with_metadata(_readable_metadata(schema))
        self.uneven = _uneven_dicts(data, self.schema)

    def tables(self, rows: int) -> Iterator[pa.Table]:
        """Yield all rows in order, in tables of a number of rows (the last may have fewer)."""
        import pyarrow as pa

        waiting = self.schema.empty_table()
        for table in self._read(rows):
            waiting = pa.concat_tables([waiting, table])
            while waiting.num_rows >= rows:
                yield waiting.slice(0, rows).combine_chunks()
                waiting = waiting.slice(rows)
        if waiting.num_rows:
            yield waiting.combine_chunks()

    def _read(self, rows: int) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._table is not None:
            for begin in range(0, self.rows, rows):
                yield as_storable(self._table.slice(begin, rows)).cast(self.schema)
            return
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=rows):
                yield as_storable(pa.Table.from_batches([batch])).cast(self.schema)


def _as_table(data: Any) -> pa.Table:
    """Return a frame as an Arrow table, without a copy where the library gives its memory away."""
    import pyarrow as pa

    module = type(data).__module__.partition(".")[0]
    try:
        if isinstance(data, pa.Table):
            return data
        if isinstance(data, pa.RecordBatch):
            return pa.Table.from_batches([data])
        if isinstance(data, pa.RecordBatchReader):
            return data.read_all()
        if type(data).__name__ == "Series":
            raise invalid_argument("data", data, "a data frame, such as series.to_frame('text')")
        if isinstance(data, pa.Array | pa.ChunkedArray):
            raise invalid_argument("data", data, "a table, such as pyarrow.table({'text': column})")
        if module == "pandas" and hasattr(data, "columns"):
            return _from_pandas(data)
        if module == "datasets" and hasattr(data, "with_format"):
            return _from_datasets(data)
        if module == "polars" and hasattr(data, "collect"):
            data = _collect(data)
        if module == "polars" and hasattr(data, "schema"):
            return _from_polars(data)
        if hasattr(data, "__arrow_c_stream__"):
            return pa.table(data)
        for name in ("to_arrow_table", "fetch_arrow_table", "to_arrow"):
            if hasattr(data, name):
                return _require_rows(getattr(data, name)(), data)
        if isinstance(data, Mapping) and data and all(_is_column(values) for values in data.values()):
            return pa.table(dict(data))
    except SettingError:
        raise
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise not_arrow(error, data) from None
    if isinstance(data, Mapping) and data:
        raise invalid_argument("data", data, "a dict of lists of one length; pandas.DataFrame(data) takes more")
    made = next((name for name in _MAKERS if callable(getattr(data, name, None))), None)
    raise invalid_argument("data", data, f"{_KINDS}: pass data.{made}()" if made else _KINDS)


def _require_rows(table: pa.Table | None, data: Any) -> pa.Table:
    """Return the rows that a connection of DuckDB has: they can be read once only."""
    if table is None:
        raise SettingError(
            "data is a connection whose rows were read already, or that has none; pass a relation, such as "
            "connection.sql(query).",
            setting="data",
            value=data,
        )
    return table


def not_arrow(error: Exception, data: Any) -> SettingError:
    """Return the error of a frame that Arrow does not take.

    Parameters
    ----------
    error
        The error of Arrow.
    data
        The frame.
    """
    return SettingError(f"data cannot be read as an Arrow table: {_cause(error)}.", setting="data", value=data)


def as_table_of(columns: Mapping[str, Any]) -> pa.Table:
    """Return a table of columns as an engine passes them.

    Parameters
    ----------
    columns
        Arrow arrays, lists, or anything with ``to_arrow()``, by name.

    Raises
    ------
    SettingError
        When one is no column, or they differ in length.
    """
    import pyarrow as pa

    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise invalid_argument(name, values, "a column, such as an Arrow array or a list")
        arrays[name] = values.to_arrow() if hasattr(values, "to_arrow") else values
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name}={length}" for name, length in lengths.items())
        raise SettingError(f"columns must be of one length, not {listed}.", setting="columns", value=lengths)
    try:
        return pa.table(arrays)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise not_arrow(error, arrays) from None


def _cause(error: Exception) -> str:
    """Return why Arrow takes no such frame, and the remedy."""
    if isinstance(error, UnicodeError):
        remedy = "replace such characters, as with df['text'].str.encode('utf-8', 'replace').str.decode('utf-8')"
        return f"{_sentence(str(error))}; {remedy}"
    # An error of Arrow may have several arguments: the reason, and the column.
    reason = _sentence("; ".join(map(str, error.args)))
    if "length" in reason:
        return f"{reason}; all columns need the same number of rows"
    return f"{reason}; give each column one plain type, as with df['text'].astype(str)"


def _from_pandas(data: Any) -> pa.Table:
    import pyarrow as pa

    if data.columns.nlevels > 1:
        raise SettingError(
            "data has names of columns in several levels; join them, as with "
            "df.columns = ['_'.join(map(str, name)) for name in df.columns].",
            setting="data",
            value=list(data.columns),
        )
    names = list(map(str, data.columns))
    _check_distinct(names)
    if names != list(data.columns):  # else the results could not stand beside names that are numbers
        data = data.set_axis(names, axis=1)
    # A range is else only described; with a name it is a column like any other index.
    return pa.Table.from_pandas(data, preserve_index=True if data.index.name is not None else None)


def _readable_metadata(schema: pa.Schema) -> dict[bytes, bytes] | None:
    """Return metadata without the names of types that pandas writes and cannot read."""
    described = schema.pandas_metadata
    if not described or not has_extra("pandas"):
        return schema.metadata
    import pandas as pd

    for column in described["columns"]:
        try:
            pd.api.types.pandas_dtype(column["numpy_type"])
        except TypeError:  # such as lists of Arrow
            column["numpy_type"] = "object"
    return {**schema.metadata, b"pandas": json.dumps(described).encode()}


def _uneven_dicts(data: Any, schema: pa.Schema) -> list[str]:
    """Return the columns of a pandas frame that hold dicts with different keys: in Arrow, all have the keys of all."""
    import pyarrow as pa

    if type(data).__module__.partition(".")[0] != "pandas":
        return []
    names = [name for name in map(str, data.columns) if pa.types.is_struct(schema.field(name).type)]
    columns = {name: [value for value in data[name] if isinstance(value, dict)] for name in names if name in data}
    return [name for name, dicts in columns.items() if len({tuple(value) for value in dicts}) > 1]


def _from_datasets(data: Any) -> pa.Table:
    if isinstance(data, Mapping):
        splits = ", ".join(map(repr, data))
        raise SettingError(
            f"data has several splits ({splits}); pass one of them, such as data[{next(iter(data), '')!r}].",
            setting="data",
            value=list(data),
        )
    if not hasattr(data, "__len__"):
        raise SettingError(
            "data is a stream of rows, and a job needs their number; read them first, as with "
            "datasets.Dataset.from_list(list(data)).",
            setting="data",
            value=type(data).__name__,
        )
    if getattr(data, "format", {}).get("type") == "custom":
        raise SettingError(
            "data has a transform, which works when rows are read and is no part of them; use data.map(...) instead.",
            setting="data",
            value=type(data).__name__,
        )
    # Its own memory ignores a selection or a shuffle of rows.
    return data.with_format("arrow")[:]


def _collect(data: Any) -> Any:
    """Return the rows of a lazy frame of polars."""
    polars = import_extra("polars", "score_frame()")
    try:
        return data.collect()
    except (OSError, polars.exceptions.PolarsError) as error:  # such as a file or a column that is not there
        raise SettingError(
            f"data is a lazy frame that cannot be collected: {_sentence(str(error))}.", setting="data", value=data
        ) from None


def _from_polars(data: Any) -> pa.Table:
    polars = import_extra("polars", "score_frame()")
    for name, kind in data.schema.items():
        if kind == polars.Object:  # Arrow would get the addresses of the objects
            raise SettingError(
                f"The column {name!r} of data holds Python objects; make it a column of texts or numbers.",
                setting="data",
                value=name,
            )
    return data.to_arrow(compat_level=polars.CompatLevel.oldest())


def _check_distinct(names: Sequence[str]) -> None:
    doubled = next((name for name in dict.fromkeys(names) if names.count(name) > 1), None)
    if doubled is not None:
        raise SettingError(
            f"data has two columns called {doubled!r}; rename one of them.", setting="data", value=doubled
        )


def _unreadable(data: object, path: Path, error: Exception) -> SettingError:
    """Return the error of a path that is no Parquet file."""
    ends = [end.lower() for end in path.suffixes]
    reader = _READERS.get(next((end for end in reversed(ends) if end not in _PACKED), ""))
    if "://" in str(data):
        reason = "is an address; copy the file to this machine first"
    elif path.is_dir():
        reason = "is a folder; name one Parquet file, or pass pyarrow.parquet.read_table(folder)"
    elif not path.exists():
        reason = "is a path where there is no file"
    elif reader is not None:
        reason = f"is no Parquet file; pass what {reader} returns"
    else:
        reason = f"is no Parquet file that can be read: {_sentence(str(error))}"
    return SettingError(f"data={str(data)!r} {reason}.", setting="data", value=str(data))


def _sentence(text: str) -> str:
    return " ".join(text.split())[:200].rstrip(".")


def index_names(schema: pa.Schema) -> list[str]:
    """Return the names of the columns that are the index of a pandas frame; a range is no column."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in index if isinstance(name, str)]


def describe_range(schema: pa.Schema) -> str:
    """Return the beginning of a pandas index that is a range without a name; other frames count from 0."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    ranges = [entry for entry in index if isinstance(entry, dict)]
    if not ranges:
        return COUNTED
    begin, step = ranges[0]["start"], ranges[0]["step"]
    return f"{begin}, {begin + step}, {begin + 2 * step}, …"


def _is_column(values: Any) -> bool:
    import pyarrow as pa

    return isinstance(values, Sequence | np.ndarray | pa.Array | pa.ChunkedArray) and not isinstance(
        values, str | bytes
    )
