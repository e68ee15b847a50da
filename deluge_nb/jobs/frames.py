"""Frames in: pandas, polars, pyarrow, DuckDB, datasets and Parquet files, read as Arrow tables of a few rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingError, invalid_argument
from ..extras import import_extra

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


class Frame:
    """Rows of any frame as Arrow tables.

    Parameters
    ----------
    schema
        Columns and, for pandas, the index.
    rows
        Number of rows.
    read
        Yields tables of any size.
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
                    self.schema, self.rows = file.schema_arrow, file.metadata.num_rows
            except Exception as error:
                raise _unreadable(data, self._path, error) from None
        else:
            self._table = _without_views(_as_table(data))
            self.schema, self.rows = self._table.schema, self._table.num_rows
        _check_distinct(self.schema.names)

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
                yield self._table.slice(begin, rows)
            return
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=rows):
                yield pa.Table.from_batches([batch]).cast(self.schema)


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
                return getattr(data, name)()
        if isinstance(data, Mapping) and data and all(_is_column(values) for values in data.values()):
            return pa.table(dict(data))
    except SettingError:
        raise
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise not_arrow(error, data) from None
    raise invalid_argument("data", data, _KINDS)


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
    if "://" in str(data):
        reason = "is an address; copy the file to this machine first"
    elif path.is_dir():
        reason = "is a folder; name one Parquet file, or pass pyarrow.parquet.read_table(folder)"
    elif not path.exists():
        reason = "is a path where there is no file"
    elif path.suffix.lower() in _READERS:
        reason = f"is no Parquet file; pass what {_READERS[path.suffix.lower()]} returns"
    else:
        reason = f"is no Parquet file that can be read: {_sentence(str(error))}"
    return SettingError(f"data={str(data)!r} {reason}.", setting="data", value=str(data))


def _sentence(text: str) -> str:
    return " ".join(text.split())[:200].rstrip(".")


def without_text(kind: pa.DataType) -> str | None:
    """Return how to convert a column whose values have no text of their own; None where they have."""
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return ".str.decode('utf-8')"
    # A period of pandas is a number in Arrow, and an interval a pair.
    name = getattr(kind, "extension_name", "")
    return ".astype(str)" if name.startswith("pandas.") else None


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


def _without_views(table: pa.Table) -> pa.Table:
    """Return a table without string views, as polars has them, which Arrow cannot select rows of."""
    import pyarrow as pa

    fields = [field.with_type(_plain_type(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if kind == pa.string_view():
        return pa.large_string()
    if kind == pa.binary_view():
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_plain_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind.fields])
    return kind


def _is_column(values: Any) -> bool:
    return isinstance(values, Sequence | np.ndarray) and not isinstance(values, str | bytes)


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
