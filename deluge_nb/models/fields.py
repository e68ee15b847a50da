"""Check the fields of a row before it is registered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from ..errors import SettingError, invalid_argument
from .spec import Endpoint, Kind, LogprobSupport, ModelSpec

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_DESCRIPTIONS = {
    str: "a text",
    str | None: "a text or None",
    bool: "True or False",
    bool | None: "True, False or None",
    int: "an integer",
    Kind: f"one of {', '.join(map(repr, get_args(Kind)))}",
    tuple[str, ...]: "a tuple of texts",
    Mapping[str, str]: "a dict of texts",
    Mapping[str, Any]: "a dict",
}
_SAME: Mapping[str, str] = {}
_LEAST = {"max_top": 0, "concurrency": 1}


def check_fields(
    row: type[Endpoint | LogprobSupport | ModelSpec], fields: Mapping[str, Any], arguments: Mapping[str, str] = _SAME
) -> None:
    """Check that each value has the type of its field.

    Parameters
    ----------
    row
        Type of the row.
    fields
        Values by the names of the fields.
    arguments
        Names of the arguments that hold fields of another name, for errors.

    Raises
    ------
    SettingError
        When a value does not fit, or a row has no such field.
    """
    from pydantic import ValidationError

    types = get_type_hints(row)
    for field, value in fields.items():
        name = arguments.get(field, field)
        if field not in types:
            known = ", ".join(types)
            raise SettingError(f"{row.__name__} has no field {name!r}; it has {known}.", setting=name, value=value)
        if types[field] in (Endpoint, LogprobSupport):
            if not isinstance(value, types[field]):
                article = "an" if types[field] is Endpoint else "a"
                raise invalid_argument(name, value, f"{article} {types[field].__name__} of deluge_nb.models")
            continue
        try:
            _adapter(types[field]).validate_python(value)
        except ValidationError:
            raise invalid_argument(name, value, _DESCRIPTIONS.get(types[field], str(types[field]))) from None
        if field in _LEAST and value < _LEAST[field]:
            raise invalid_argument(name, value, f"an integer of at least {_LEAST[field]}")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(kind, config=ConfigDict(strict=True, arbitrary_types_allowed=True))
