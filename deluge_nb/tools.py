"""Tools that a model can call, and JSON schemas that its answer must fit."""

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
    """Function whose call the model can request.

    Parameters
    ----------
    name, description
        Name and description that the model reads.
    parameters
        JSON schema of the arguments, of type ``object``.
    function
        The function that :meth:`call` runs, or None.

    Examples
    --------
    >>> from deluge_nb import Tool
    >>> def double(number: int) -> int:
    ...     return 2 * number
    >>> tool = Tool.from_function(double)
    >>> tool.parameters["required"], tool.call({"number": 21})
    (['number'], 42)
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    function: Callable[..., Any] | None = field(default=None, compare=False)

    @classmethod
    def from_function(cls, function: Callable[..., Any]) -> Tool:
        """Make a tool from a function's name, docstring and annotated arguments.

        Parameters
        ----------
        function
            A function whose arguments can all be passed by name.

        Returns
        -------
        Tool
            The tool, which :meth:`call` runs.

        Raises
        ------
        SettingError
            When the function takes ``*args``, ``**kwargs`` or positional-only arguments, or an argument has a type
            without a JSON schema: such arguments cannot be described to a model.
        """
        name = getattr(function, "__name__", "")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
            raise SettingError(
                f"A tool needs a function with a name of letters and digits, not {name or function!r}.",
                setting="tools",
                value=function,
            )
        try:
            schema = _arguments_schema(function, name)
        except SettingError:
            raise
        except (NameError, TypeError, ValueError, PydanticUserError) as error:
            raise SettingError(
                f"{name}() cannot be described to a model: {_reason(error)}.", setting="tools", value=function
            ) from None
        schema.pop("title", None)
        return cls(name, inspect.getdoc(function) or "", schema, function)

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Run the function with the arguments that the model wrote.

        Parameters
        ----------
        arguments
            Arguments by name, as in :attr:`ToolCall.arguments`.

        Returns
        -------
        Any
            The function's result.

        Raises
        ------
        SettingError
            When the tool has no function.
        """
        if self.function is None:
            raise SettingError(
                f"The tool {self.name!r} has no function to call; pass function= to Tool().", setting="tools"
            )
        return self.function(**arguments)


def _arguments_schema(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """Return the JSON schema of a function's arguments."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    # By alias, because pydantic reserves some names and ignores those that begin with an underscore.
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
    """Call of a tool that the model requests.

    Parameters
    ----------
    name
        Name of the tool.
    arguments
        Arguments by name; None if the model wrote no valid JSON object.
    id
        Identifier of the call, if the server gives one.
    raw_arguments
        The arguments as the model wrote them.
    """

    name: str
    arguments: dict[str, Any] | None
    id: str | None = None
    raw_arguments: str = ""


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """Schema that an answer must fit, from a pydantic model, any type pydantic knows, or a JSON schema."""

    name: str
    schema: Mapping[str, Any]
    adapter: TypeAdapter[Any] | None = field(default=None, compare=False)

    def parse(self, completion: str) -> Any:
        """Return the answer as an object of the schema's type.

        Raises
        ------
        ValueError
            When the text is not JSON, or does not fit the schema.
        """
        text = _strip_fence(completion)
        if self.adapter is None:
            return json.loads(text)
        try:
            return self.adapter.validate_json(text)
        except ValidationError as error:
            raise ValueError(str(error)) from None


def as_output_schema(value: Any) -> OutputSchema:
    """Convert the value of the parameter ``output_schema``.

    Raises
    ------
    SettingError
        When the value is neither a JSON schema nor a type that has one.
    """
    if isinstance(value, OutputSchema):
        return value
    if isinstance(value, Mapping):
        return OutputSchema(_schema_name(value.get("title")), value)
    name = _schema_name(getattr(value, "__name__", None))
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(value)
        return OutputSchema(name, _close_objects(adapter.json_schema()), adapter)
    except Exception as error:
        raise SettingError(
            f"output_schema must be a pydantic model, a type or a JSON schema, not {value!r}: {_reason(error)}.",
            setting="output_schema",
            value=value,
        ) from None


def _schema_name(title: object) -> str:
    """Return a name that servers accept: only letters, digits, "_" and "-", at most 64 of them."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", title).strip("_")[:64] or "answer" if isinstance(title, str) else "answer"


def _reason(error: Exception) -> str:
    """Return the first sentence of an error message."""
    return re.split(r"\.\s|\n", str(error), maxsplit=1)[0].rstrip(".")


def _close_objects(schema: Any) -> Any:
    """Return the schema with closed objects and required properties, as servers with strict schemas need it."""
    if isinstance(schema, list):
        return [_close_objects(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _close_objects(value) for key, value in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
        closed["required"] = list(closed["properties"])
    return closed


def _strip_fence(text: str) -> str:
    """Remove a Markdown fence, which small models put around JSON."""
    match = re.fullmatch(r"\s*```\w*\n(.*?)\n?```\s*", text, re.DOTALL)
    return match[1] if match else text
