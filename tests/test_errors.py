"""The tree of errors: documented, readable by people and programs, and picklable."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import pytest

import deluge_nb
from deluge_nb import DelugeError, errors

# A line of the tree: a class, its second base if any, and its fields.
BRANCH = re.compile(r"^[ │]*[├└]── (?P<name>\w+)(?:\((?P<base>\w+)\))? +(?P<fields>[\w, ]+)$", re.MULTILINE)

FIELDS: dict[type[DelugeError], dict[str, Any]] = {
    errors.SettingError: {"setting": "temperature", "value": -1},
    errors.UnknownModelError: {"model": "gpt5", "suggestions": ("gpt-5", "gpt-4")},
    errors.LogprobsNotSupportedError: {"model": "claude", "remedy": "logprobs=False", "alternative": "gpt-4o-mini"},
    errors.MissingKeyError: {"endpoint": "openai", "variable": "OPENAI_API_KEY"},
    errors.MissingDependencyError: {"package": "pandas", "extra": "tables"},
    errors.LogprobsMissingError: {"position": 3},
    errors.LogprobError: {"position": 1, "token": " a", "value": 0.69},
    errors.ProbabilityMassError: {"position": 0, "token": None, "value": 1.2},
    errors.InconsistentTopKError: {"position": None, "token": None, "value": 0.3},
    errors.LocalModelError: {"path": "model.gguf", "searched": ("a", "b")},
    errors.RequestError: {"model": "gpt-4o", "status_code": 429, "body": {"error": "slow"}, "retry_after": 2.5},
    errors.MalformedResponseError: {"dialect": "openai", "field": "choices[0]", "excerpt": "{}"},
}

every_error = pytest.mark.parametrize(
    ("kind", "fields"), FIELDS.items(), ids=lambda value: value.__name__ if isinstance(value, type) else ""
)


def documented() -> dict[str, tuple[str | None, list[str]]]:
    """Each class of the tree in the docstring, with its second base and its fields."""
    return {
        match["name"]: (match["base"], match["fields"].split(", ")) for match in BRANCH.finditer(errors.__doc__ or "")
    }


def classes() -> dict[str, type[DelugeError]]:
    return {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, DelugeError) and found is not DelugeError
    }


def test_the_tree_in_the_docstring_names_every_class() -> None:
    assert sorted(documented()) == sorted(classes())


def test_the_tree_in_the_docstring_names_every_base() -> None:
    second = {name: found.__bases__[1].__name__ if found.__bases__[1:] else None for name, found in classes().items()}
    assert {name: base for name, (base, _) in documented().items()} == second
    above = {name: found.__bases__[0] for name, found in classes().items()}
    of_logprobs = {"ProbabilityMassError", "InconsistentTopKError"}
    assert above == {name: errors.LogprobError if name in of_logprobs else DelugeError for name in above}


def test_the_tree_in_the_docstring_names_every_field() -> None:
    taken = {
        name: [
            field.name
            for field in inspect.signature(found).parameters.values()
            if field.kind == inspect.Parameter.KEYWORD_ONLY
        ]
        for name, found in classes().items()
    }
    assert {name: fields for name, (_, fields) in documented().items()} == taken


def test_this_file_tries_every_class() -> None:
    assert set(FIELDS) == set(classes().values())


@every_error
def test_an_error_is_a_sentence_and_its_fields(kind: type[DelugeError], fields: dict[str, Any]) -> None:
    error = kind("Something went wrong.", **fields)
    assert str(error) == "Something went wrong."
    assert {name: getattr(error, name) for name in fields} == fields


@every_error
def test_every_field_may_be_left_out(kind: type[DelugeError], fields: dict[str, Any]) -> None:
    error = kind("Something went wrong.")
    assert not any(getattr(error, name) for name in fields)


@every_error
def test_an_error_survives_pickling_with_its_fields(kind: type[DelugeError], fields: dict[str, Any]) -> None:
    error = kind("Something went wrong.", **fields)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is kind
        assert str(again) == str(error)
        assert {name: getattr(again, name) for name in fields} == fields


@every_error
def test_an_error_survives_copying_with_its_fields(kind: type[DelugeError], fields: dict[str, Any]) -> None:
    for again in (copy.copy(kind("Wrong.", **fields)), copy.deepcopy(kind("Wrong.", **fields))):
        assert str(again) == "Wrong."
        assert {name: getattr(again, name) for name in fields} == fields


def test_notes_survive_pickling() -> None:
    error = errors.SettingError("Wrong.", setting="seed")
    error.add_note("In the second cell.")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["In the second cell."]


@every_error
def test_all_are_caught_as_one(kind: type[DelugeError], fields: dict[str, Any]) -> None:
    with pytest.raises(DelugeError):
        raise kind("Wrong.", **fields)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.SettingError, ValueError),
        (errors.UnknownModelError, ValueError),
        (errors.LogprobsNotSupportedError, ValueError),
        (errors.LogprobsMissingError, ValueError),
        (errors.MissingDependencyError, ImportError),
    ],
)
def test_errors_are_also_caught_as_python_s_own_errors(kind: type[DelugeError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="Wrong"):
        raise kind("Wrong.")


@every_error
def test_every_error_is_found_at_the_front_door(kind: type[DelugeError], fields: dict[str, Any]) -> None:
    assert getattr(deluge_nb, kind.__name__) is kind


def test_lists_of_names_are_kept_as_tuples() -> None:
    assert errors.UnknownModelError("Wrong.", suggestions=["a", "b"]).suggestions == ("a", "b")
    assert errors.LocalModelError("Wrong.", searched=["a", "b"]).searched == ("a", "b")


def test_a_warning_names_the_caller_s_line_through_context_managers() -> None:
    source = (
        "from contextlib import contextmanager\n"
        "from deluge_nb.warning import warn\n"
        "@contextmanager\n"
        "def held():\n"
        "    warn('another process works here')\n"
        "    yield\n"
        "def call():\n"
        "    with held():\n"
        "        pass\n"
    )
    module: dict[str, Any] = {"__name__": "deluge_nb.module"}
    exec(source, module)
    with pytest.warns(UserWarning, match="another process") as caught:
        module["call"]()
    assert caught[0].filename == __file__
