"""Read the inputs of an estimator: a list or column of texts, or a table with one value for each placeholder."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..answers.inputs import Inputs, read_inputs
from ..errors import SettingError, invalid_argument
from ..prompts import check_present, to_list
from ..text.counts import pluralize


def read_rows(X: Any) -> Inputs:
    """Return the rows of the inputs, with the index of a pandas Series or frame.

    Parameters
    ----------
    X
        A list, tuple, array or Series of texts; a frame or array of one column of texts; or one of several columns.

    Returns
    -------
    Inputs
        For each row a text, or its values: a dict from the names of a frame's columns, else a tuple.

    Raises
    ------
    SettingError
        When the value is a single text or no list of rows, or an entry is missing or is no text.
    """
    names = _column_names(X)
    if names is not None:
        return Inputs(_from_columns(X, names), getattr(X, "index", None))
    if isinstance(X, np.ndarray):
        if X.ndim not in (1, 2):
            raise SettingError(
                f"X must be a list, a column or a table of texts, not an array of {pluralize(X.ndim, 'dimension')}.",
                setting="X",
                value=X,
            )
        X = X.tolist()
    values, index = read_inputs(X, "X", "texts")
    return Inputs([_read_row(value, f"X[{row}]") for row, value in enumerate(values)], index)


def _column_names(X: Any) -> list[Any] | None:
    """Return the names of a frame's columns; None for a value that is no frame."""
    if not hasattr(X, "__getitem__") or isinstance(X, Mapping):
        return None
    names = getattr(X, "column_names", None)
    names = getattr(X, "columns", None) if names is None else names
    return None if names is None else list(names)


def _from_columns(X: Any, names: list[Any]) -> list[Any]:
    """Return the rows of a frame: the entries of its only column, or a dict for each row."""
    if not names:
        raise SettingError("X has no columns; it must have one with the texts.", setting="X", value=X)
    repeated = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if repeated is not None:
        raise SettingError(
            f"X has two columns with the name {repeated!r}; rename one of them.", setting="X", value=repeated
        )
    columns = [to_list(X[name]) for name in names]
    if len(names) == 1:
        return [_read_row(value, f"X[{row}]") for row, value in enumerate(columns[0])]
    rows = zip(*columns, strict=True)
    return [{str(name): value for name, value in zip(names, row, strict=True)} for row in rows]


def _read_row(value: Any, where: str) -> Any:
    """Return a text as Python's own, the only text of a row, or the values of a row as a tuple or dict."""
    check_present(value, where)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes) and len(value):
        return _read_row(value[0], where) if len(value) == 1 else tuple(value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return (value,)  # as a value of the template
    raise invalid_argument(where, value, "a text, or one value for each placeholder of the template")
