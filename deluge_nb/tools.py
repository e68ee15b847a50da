"""What a model may be given beside a prompt: functions it can call, and the shape its answer must have."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError, create_model

from .errors import SettingError


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may ask to have called.

    Parameters
    ----------
    name, description
        What the model reads to decide.
    parameters
        JSON schema of the arguments, an object.
    function
        What :meth:`call` runs.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    function: Callable[..., Any] | None = field(default=None, compare=False)

    @classmethod
    def from_function(cls, function: Callable[..., Any]) -> Tool:
        """Describe a function by its name, its docstring and its typed arguments.

        Raises
        ------
        SettingError
            For a function that takes ``*args`` or ``**kwargs``, arguments by position only, or types that JSON has no
            form for: the model could not be told what to pass.
        """
        name = getattr(function, "__name__", "")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
            raise SettingError(
                f"A tool needs a function with a name of letters and digits, not {name or function!r}.",
                setting="tools",
                value=function,
            )
        try:
            schema = _arguments_of(function, name)
        except SettingError:
            raise
        except (NameError, TypeError, ValueError, PydanticUserError) as error:
            raise SettingError(
                f"{name}() cannot be described to a model: {_reason(error)}.", setting="tools", value=function
            ) from None
        schema.pop("title", None)
        return cls(name, inspect.getdoc(function) or "", schema, function)

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Run the function with what the model asked for."""
        if self.function is None:
            raise SettingError(f"The tool {self.name!r} was made without a function to call.", setting="tools")
        return self.function(**arguments)


def _arguments_of(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """The JSON schema of a function's arguments."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    # By alias, for pydantic has names of its own, and leaves out those that begin with an underscore.
    names: dict[str, str] = {}
    for argument in inspect.signature(function).parameters.values():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            raise SettingError(
                f"{name}() takes {argument}; a tool's arguments must each have a name.",
                setting="tools",
                value=function,
            )
        if argument.kind == argument.POSITIONAL_ONLY:
            raise SettingError(
                f"{name}() takes {argument.name!r} by position only; a tool's arguments are passed by name.",
                setting="tools",
                value=function,
            )
        default = ... if argument.default is argument.empty else argument.default
        names[field_name := f"argument{len(names)}"] = argument.name
        fields[field_name] = (hints.get(argument.name, Any), default)
    config = ConfigDict(alias_generator=names.__getitem__)
    return create_model(name, __config__=config, **fields).model_json_schema()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called. ``arguments`` is None where the model wrote no valid JSON object."""

    name: str
    arguments: dict[str, Any] | None
    id: str | None = None
    raw_arguments: str = ""


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The shape an answer must have, from a pydantic model, any type pydantic knows, or a JSON schema."""

    name: str
    schema: Mapping[str, Any]
    adapter: TypeAdapter[Any] | None = field(default=None, compare=False)

    def parse(self, completion: str) -> Any:
        """The answer as an object of that shape.

        Raises
        ------
        ValueError
            When the text is no JSON, or does not fit.
        """
        text = _fenced(completion)
        if self.adapter is None:
            return json.loads(text)
        try:
            return self.adapter.validate_json(text)
        except ValidationError as error:
            raise ValueError(str(error)) from None


def as_output_schema(value: Any) -> OutputSchema:
    """Read what the caller gave as ``output_schema``.

    Raises
    ------
    SettingError
        When no schema can be made of it.
    """
    if isinstance(value, OutputSchema):
        return value
    if isinstance(value, Mapping):
        return OutputSchema(_named(value.get("title")), value)
    name = _named(getattr(value, "__name__", None))
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(value)
        return OutputSchema(name, _closed(adapter.json_schema()), adapter)
    except Exception as error:
        raise SettingError(
            f"output_schema must be a pydantic model, a type or a JSON schema, not {value!r}: {_reason(error)}.",
            setting="output_schema",
            value=value,
        ) from None


def _named(title: object) -> str:
    """A name that servers take, which a title with spaces or a generic model's is not."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", title).strip("_")[:64] or "answer" if isinstance(title, str) else "answer"


def _reason(error: Exception) -> str:
    """The first sentence of what went wrong."""
    return re.split(r"\.\s|\n", str(error), maxsplit=1)[0].rstrip(".")


def _closed(schema: Any) -> Any:
    """The schema with objects closed and their properties required, as strict servers want it."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
        closed["required"] = list(closed["properties"])
    return closed


def _fenced(text: str) -> str:
    """The inside of a Markdown fence, which small models put around JSON."""
    found = re.fullmatch(r"\s*```\w*\n(.*?)\n?```\s*", text, re.DOTALL)
    return found[1] if found else text
