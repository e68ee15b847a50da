"""Tools that a model may call, and output schemas."""

from __future__ import annotations

import functools
import inspect
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from deluge_nb import SettingError, Tool
from deluge_nb.tools import OutputSchema, ToolCall, as_output_schema

T = TypeVar("T")


class Address(BaseModel):
    street: str
    number: int | None = None


class Person(BaseModel):
    name: str
    age: int = 0
    addresses: list[Address] = []


@dataclass
class Point:
    x: float
    y: float


class Box(BaseModel, Generic[T]):
    inside: T


def weather(city: str, days: int = 1, unit: Literal["C", "F"] = "C") -> str:
    """Tell the weather.

    Only of cities.
    """
    return f"{city} {days} {unit}"


# Tools


def test_a_function_is_described_by_its_name_docstring_and_arguments() -> None:
    tool = Tool.from_function(weather)
    assert tool.name == "weather"
    assert tool.description == "Tell the weather.\n\nOnly of cities."
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "city": {"title": "City", "type": "string"},
            "days": {"title": "Days", "type": "integer", "default": 1},
            "unit": {"title": "Unit", "type": "string", "enum": ["C", "F"], "default": "C"},
        },
        "required": ["city"],
    }


def test_a_function_without_arguments_is_an_object_without_properties() -> None:
    def now() -> str:
        return "noon"

    assert Tool.from_function(now).parameters == {"type": "object", "properties": {}}
    assert Tool.from_function(now).description == ""


def test_arguments_may_be_models_and_described_one_by_one() -> None:
    def visit(person: Person, why: Annotated[str, Field(description="A reason.")], how: str = Field("on foot")) -> None:
        raise AssertionError

    parameters = Tool.from_function(visit).parameters
    assert parameters["properties"]["person"] == {"$ref": "#/$defs/Person"}
    assert set(parameters["$defs"]) == {"Person", "Address"}
    assert parameters["properties"]["why"]["description"] == "A reason."
    assert parameters["properties"]["how"]["default"] == "on foot"
    assert parameters["required"] == ["person", "why"]


def test_arguments_of_any_name_keep_it(recwarn: pytest.WarningsRecorder) -> None:
    def odd(_hidden: int, schema: str, model_config: int, model_name: str, self: int = 1, *, json: bool) -> None:
        raise AssertionError

    parameters = Tool.from_function(odd).parameters
    assert list(parameters["properties"]) == list(inspect.signature(odd).parameters)
    assert parameters["required"] == ["_hidden", "schema", "model_config", "model_name", "json"]
    assert not recwarn.list


def test_an_argument_without_a_type_may_be_anything() -> None:
    def show(value):  # type: ignore[no-untyped-def]
        raise AssertionError

    assert Tool.from_function(show).parameters["properties"] == {"value": {"title": "Value"}}


def test_a_method_is_described_without_its_object() -> None:
    class Counter:
        def count(self, to: int) -> list[int]:
            return list(range(to))

    tool = Tool.from_function(Counter().count)
    assert list(tool.parameters["properties"]) == ["to"]
    assert tool.call({"to": 2}) == [0, 1]


def test_a_wrapped_function_is_described_like_the_original() -> None:
    tool = Tool.from_function(functools.cache(weather))
    assert tool.parameters == Tool.from_function(weather).parameters
    assert tool.call({"city": "Rome"}) == "Rome 1 C"


def test_parameters_are_json() -> None:
    assert json.loads(json.dumps(Tool.from_function(weather).parameters)) == Tool.from_function(weather).parameters


def starred(*cities: str) -> None: ...


def double_starred(**cities: str) -> None: ...


def positional(city: str, /) -> None: ...


def calling(how: Callable[[int], int]) -> None: ...


def unresolved(city: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (starred, "starred() takes *cities: 'str'; a tool's arguments must each have a name."),
        (double_starred, "double_starred() takes **cities: 'str'; a tool's arguments must each have a name."),
        (positional, "positional() takes 'city' by position only; a tool's arguments are passed by name."),
        (calling, "calling() cannot be described to a model: "),
        (unresolved, "unresolved() cannot be described to a model: name 'Nowhere' is not defined."),
        (int, "int() cannot be described to a model: "),
        (lambda: "noon", "A tool needs a function with a name of letters and digits, not '<lambda>'."),
        (functools.partial(weather, "Rome"), "A tool needs a function with a name of letters and digits, not "),
        (5, "A tool needs a function with a name of letters and digits, not 5."),
    ],
)
def test_a_function_that_a_model_could_not_call_is_refused(function: Any, sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        Tool.from_function(function)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    assert (caught.value.setting, caught.value.value) == ("tools", function)


def test_a_name_longer_than_servers_take_is_refused() -> None:
    def short() -> None:
        raise AssertionError

    short.__name__ = "x" * 64
    assert Tool.from_function(short).name == "x" * 64
    short.__name__ = "x" * 65
    with pytest.raises(SettingError, match="name of letters and digits"):
        Tool.from_function(short)


def test_a_call_passes_the_arguments_by_name() -> None:
    assert Tool.from_function(weather).call({"city": "Rome", "unit": "F"}) == "Rome 1 F"


def test_an_error_of_the_function_is_raised() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'town'"):
        Tool.from_function(weather).call({"town": "Rome"})


def test_a_tool_without_a_function_cannot_be_called() -> None:
    with pytest.raises(SettingError, match="'weather' has no function to call; pass function="):
        Tool("weather", "Tell the weather.", {"type": "object"}).call({})


def test_tools_are_compared_by_their_definition() -> None:
    tool = Tool.from_function(weather)
    assert tool == Tool(tool.name, tool.description, tool.parameters)
    assert tool != Tool("climate", tool.description, tool.parameters)


def test_a_tool_and_a_call_survive_pickling() -> None:
    tool, call = Tool.from_function(weather), ToolCall("weather", {"city": "Rome"}, "1", '{"city": "Rome"}')
    assert pickle.loads(pickle.dumps((tool, call))) == (tool, call)


# Shapes


def test_a_model_is_closed_and_requires_all_its_fields() -> None:
    shape = as_output_schema(Person)
    assert shape.name == "Person"
    assert shape.schema["additionalProperties"] is False
    assert shape.schema["required"] == ["name", "age", "addresses"]
    assert shape.schema["$defs"]["Address"]["additionalProperties"] is False
    assert shape.schema["$defs"]["Address"]["required"] == ["street", "number"]


def test_a_mapping_of_any_keys_stays_open() -> None:
    assert as_output_schema(dict[str, int]).schema == {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.parametrize(
    ("shape", "answer", "parsed"),
    [
        (Person, '{"name": "Ada", "age": 36, "addresses": []}', Person(name="Ada", age=36)),
        (Point, '{"x": 1, "y": 2.5}', Point(1.0, 2.5)),
        (list[Address], '[{"street": "Via Appia", "number": null}]', [Address(street="Via Appia")]),
        (Box[int], '{"inside": 7}', Box[int](inside=7)),
        (Literal["yes", "no"], '"yes"', "yes"),
        (int | None, "null", None),
        (float, "2", 2.0),
        ({"type": "object"}, '{"anything": [1]}', {"anything": [1]}),
    ],
)
def test_an_answer_is_read_as_an_object_of_its_shape(shape: Any, answer: str, parsed: object) -> None:
    assert as_output_schema(shape).parse(answer) == parsed


@given(st.text(), st.integers())
def test_an_answer_that_fits_the_schema_is_parsed_unchanged(name: str, age: int) -> None:
    person: dict[str, Any] = {"name": name.encode("utf-8", "replace").decode(), "age": age, "addresses": []}
    assert as_output_schema(Person).parse(json.dumps(person)).model_dump() == person


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}\n```", " \n```json\n{}```\n\n", "{}", "  {}  "])
def test_a_markdown_fence_is_taken_off(fence: str) -> None:
    assert as_output_schema({"type": "object"}).parse(fence) == {}
    filled = fence.replace("{}", '{"x": 1, "y": 2}')
    assert as_output_schema(Point).parse(filled) == Point(1.0, 2.0)


def test_a_fence_inside_the_answer_stays() -> None:
    assert as_output_schema(str).parse(json.dumps("```\na\n```")) == "```\na\n```"


@pytest.mark.parametrize("shape", [Person, {"type": "object"}])
@pytest.mark.parametrize("answer", ["", "{", "I would say Ada", '{"name": "Ada"'])
def test_an_answer_that_is_no_json_is_a_value_error(shape: Any, answer: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting"):
        as_output_schema(shape).parse(answer)


@pytest.mark.parametrize("answer", ["{}", '{"name": 5}', "[]", "null"])
def test_an_answer_of_another_shape_is_a_value_error(answer: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        as_output_schema(Person).parse(answer)


def test_a_json_schema_is_taken_as_it_is() -> None:
    schema = {"title": "Person", "type": "object", "properties": {"name": {"type": "string"}}}
    assert as_output_schema(schema) == OutputSchema("Person", schema)


def test_a_shape_that_was_read_is_not_read_again() -> None:
    shape = as_output_schema(Person)
    assert as_output_schema(shape) is shape


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ({"title": "A person, or not"}, "A_person_or_not"),
        ({"title": "x" * 100}, "x" * 64),
        ({"title": "人"}, "answer"),
        ({"title": None}, "answer"),
        ({}, "answer"),
        (Box[int], "Box_int"),
        (list[int], "list"),
        (int | str, "answer"),
    ],
)
def test_a_shape_has_a_name_that_servers_take(shape: Any, name: str) -> None:
    assert as_output_schema(shape).name == name


@pytest.mark.parametrize("value", [5, "Person", ["name"], object(), Callable[[int], int]])
def test_a_value_that_is_no_schema_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="output_schema must be a pydantic model, a type or a JSON schema") as caught:
        as_output_schema(value)
    assert caught.value.setting == "output_schema"
    assert "\n" not in str(caught.value)
