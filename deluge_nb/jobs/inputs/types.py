"""Arrow columns in the types that a job's folder can hold, and the texts that their values have."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ...errors import SettingError

if TYPE_CHECKING:
    import pyarrow as pa


def storable_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a table after :func:`as_storable`.

    Parameters
    ----------
    schema
        That of the table.
    """
    import pyarrow as pa

    return pa.schema([field.with_type(_storable_type(field.type)) for field in schema], schema.metadata)


def as_storable(table: pa.Table) -> pa.Table:
    """Return a table in types that Parquet holds, and that rows can be selected of; the values are the same.

    Parameters
    ----------
    table
        The table.
    """
    for place, field in enumerate(table.schema):
        kind = _storable_type(field.type)
        if kind != field.type:
            table = table.set_column(place, field.with_type(kind), _convert(table[place], kind))
    return table


def check_storable(schema: pa.Schema) -> None:
    """Check that a job's folder can hold the columns of an input.

    Parameters
    ----------
    schema
        The columns.

    Raises
    ------
    SettingError
        When one has a type that Parquet does not know.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for field in schema:
        alone: Any = pa.schema([field])
        try:
            pq.write_table(alone.empty_table(), io.BytesIO())
        except pa.ArrowException:
            raise SettingError(
                f"The column {field.name!r} of data has the type {field.type}, which no Parquet file can hold; make it "
                "a column of texts or numbers, or leave it out.",
                setting="data",
                value=field.name,
            ) from None


def without_text(kind: pa.DataType) -> str | None:
    """Return how to convert a column whose values have no text of their own; None where they have."""
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return ".str.decode('utf-8')"
    # A period of pandas is a number in Arrow, and an interval a pair.
    name = getattr(kind, "extension_name", "")
    return ".astype(str)" if name.startswith("pandas.") else None


def _storable_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    types = pa.types
    if kind == pa.string_view():  # of polars; Arrow cannot select rows of views
        return pa.large_string()
    if kind == pa.binary_view():
        return pa.large_binary()
    if types.is_dictionary(kind):
        value = _storable_type(kind.value_type)
        is_text = types.is_string(value) or types.is_large_string(value)
        # Parquet, and Arrow where it joins chunks, have dictionaries of texts only.
        return pa.dictionary(kind.index_type, value, kind.ordered) if is_text else value
    if types.is_run_end_encoded(kind):
        return _storable_type(kind.value_type)
    if types.is_map(kind):
        return pa.map_(_storable_type(kind.key_type), _storable_type(kind.item_type))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_storable_type(field.type)) for field in kind.fields])
    is_large = types.is_large_list(kind) or types.is_large_list_view(kind)
    if is_large or types.is_list(kind) or types.is_list_view(kind):
        make = pa.large_list if is_large else pa.list_
        return make(kind.value_field.with_type(_storable_type(kind.value_type)))
    return kind


def _convert(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    given = column.type
    if pa.types.is_run_end_encoded(given):
        column = pa.chunked_array(
            [pc.call_function("run_end_decode", [chunk]) for chunk in column.chunks], given.value_type
        )
    elif pa.types.is_dictionary(given) and not pa.types.is_dictionary(kind):
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], given.value_type)
    if "list_view" not in str(given):  # Arrow's conversion of these returns lists that are broken
        return column.cast(kind)
    return pa.chunked_array([pa.array(chunk.to_pylist(), kind) for chunk in column.chunks], kind)
