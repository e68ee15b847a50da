"""Read the inputs of a comparison: a list, a column, or the rows of a frame."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..answers.inputs import Template, placeholders, read_inputs
from ..errors import SettingError
from ..prompts import to_list

if TYPE_CHECKING:
    import pandas


class Rows(NamedTuple):
    """Inputs of a comparison: their values, the labels of a pandas object, and whether they are rows of a frame."""

    values: list[Any]
    index: pandas.Index | None
    is_frame: bool


def read_rows(inputs: Any) -> Rows:
    """Return the inputs of a comparison; those of a frame are dicts by the names of its columns.

    Parameters
    ----------
    inputs
        A list, a Series, a data frame (pandas, polars), an Arrow table, or a dict of columns.

    Raises
    ------
    SettingError
        When the value is a lone input, or columns have different lengths.
    """
    # Frames of pandas exist only where pandas has been imported.
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(inputs, pandas.DataFrame):
        names = list(map(str, inputs.columns))
        rows = inputs.itertuples(index=False, name=None)
        return Rows([dict(zip(names, row, strict=True)) for row in rows], inputs.index, True)
    if isinstance(inputs, Mapping) and inputs and all(map(_is_column, inputs.values())):
        return Rows(_rows_of(inputs), None, True)
    if hasattr(inputs, "to_dicts"):
        return Rows(inputs.to_dicts(), None, True)
    if hasattr(inputs, "to_pylist") and hasattr(inputs, "column_names"):
        return Rows(inputs.to_pylist(), None, True)
    return Rows(*read_inputs(inputs), False)


def used_values(values: Any, templates: Iterable[Template | None]) -> Any:
    """Return the values of an input that the templates ask for; all, if they ask for none by name.

    Parameters
    ----------
    values
        An input.
    templates
        The templates; None for an input that is a prompt itself.
    """
    if not isinstance(values, Mapping):
        return values
    asked = {name for template in templates if template is not None for name in placeholders(template)}
    used = {name: value for name, value in values.items() if name in asked} or values
    return next(iter(used.values())) if len(used) == 1 else used


def _is_column(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str | bytes | Mapping)


def _rows_of(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    lists = {str(name): to_list(values) for name, values in columns.items()}
    if len(set(map(len, lists.values()))) > 1:
        lengths = ", ".join(f"{name!r} has {len(values)}" for name, values in lists.items())
        raise SettingError(f"inputs must have columns of one length: {lengths}.", setting="inputs", value=columns)
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
