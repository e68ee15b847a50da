"""Docstrings of public names: numpy sections for what the signature has, and examples that run."""

from __future__ import annotations

import ast
import builtins
import doctest
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cached_property
from types import ModuleType
from typing import Any

import pytest

import deluge_nb
from deluge_nb import lab, logprobs, models, stats

MODULES: list[ModuleType] = [deluge_nb, stats, models, logprobs, lab]
"""The modules whose `__all__` is public."""
SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)
CLAUSE = re.compile(r"(What|Who|Whether|Where|How|That|Which|When)\b")


def is_described(value: object) -> bool:
    """Constants, submodules and type aliases have no docstring of their own."""
    return inspect.isclass(value) or inspect.isroutine(value)


def public_names() -> dict[str, Any]:
    """Functions and classes by their first public address."""
    names: dict[str, Any] = {}
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if is_described(value) and value not in names.values():
                names[f"{module.__name__}.{name}"] = value
    return names


NAMES = public_names()


def members() -> Iterator[tuple[str, Any]]:
    """The public methods and properties that the classes of this package define."""
    for address, value in NAMES.items():
        if not inspect.isclass(value):
            continue
        for base in value.__mro__:
            if not base.__module__.startswith("deluge_nb"):
                continue
            for name, member in vars(base).items():
                described = inspect.isfunction(member) or isinstance(
                    member, classmethod | staticmethod | property | cached_property
                )
                inherited = inspect.isfunction(member) and not member.__module__.startswith("deluge_nb")
                if not name.startswith("_") and described and not inherited:
                    yield f"{address}.{name}", member


MEMBERS = dict(members())
CALLABLES: dict[str, Callable[..., Any]] = {
    **{name: value for name, value in NAMES.items() if inspect.isroutine(value)},
    **{
        name: member.__func__ if isinstance(member, classmethod | staticmethod) else member
        for name, member in MEMBERS.items()
        if not isinstance(member, property | cached_property)
    },
}
# Exceptions are made by the package; their attributes are described, their constructors are not for users.
CLASSES = {
    name: value for name, value in NAMES.items() if inspect.isclass(value) and not issubclass(value, BaseException)
}


def doc(value: object) -> str:
    return inspect.getdoc(value) or ""


def sections(value: object) -> dict[str, str]:
    """The sections of a docstring by their headings."""
    parts = SECTION.split(doc(value))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def described(section: str) -> set[str]:
    """The names that a Parameters section lists: lines at the left edge, several names with commas."""
    heads = [line for line in section.splitlines() if line and not line.startswith(" ")]
    return {name.strip().lstrip("*") for head in heads for name in head.split(" : ")[0].split(",")}


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def raises(function: Callable[..., Any]) -> bool:
    """Return whether the function's own body raises an exception that it makes."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    return any(isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) for node in ast.walk(tree))


@pytest.mark.parametrize("name", [*NAMES, *MEMBERS])
def test_a_public_name_has_a_summary_that_is_no_clause(name: str) -> None:
    summary = doc({**NAMES, **MEMBERS}[name]).split("\n\n")[0]
    assert summary.endswith((".", ":"))
    assert not CLAUSE.match(summary)


@pytest.mark.parametrize("name", CALLABLES)
def test_a_public_function_describes_its_parameters(name: str) -> None:
    assert described(sections(CALLABLES[name]).get("Parameters", "")) >= set(parameters(CALLABLES[name]))


@pytest.mark.parametrize("name", CALLABLES)
def test_a_public_function_describes_what_it_returns(name: str) -> None:
    returned = inspect.signature(CALLABLES[name]).return_annotation
    if returned not in (None, "None"):
        assert sections(CALLABLES[name]).keys() & {"Returns", "Yields"}


@pytest.mark.parametrize("name", CALLABLES)
def test_a_public_function_that_raises_says_which_errors(name: str) -> None:
    if raises(CALLABLES[name]):
        assert "Raises" in sections(CALLABLES[name])


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_describes_its_parameters(name: str) -> None:
    given = parameters(CLASSES[name]) if "__init__" in vars(CLASSES[name]) else []
    wanted = {parameter for parameter in given if not parameter.startswith("_")}
    if wanted - {"args", "kwargs"}:
        assert described(sections(CLASSES[name]).get("Parameters", "")) >= wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_an_example(name: str) -> None:
    assert ">>> " in sections(NAMES[name]).get("Examples", "")


def with_examples() -> Iterator[object]:
    for name, value in {**NAMES, **MEMBERS}.items():
        text = doc(value)
        if ">>> " in text:
            yield pytest.param(name, marks=[pytest.mark.model] if '"local"' in text else [])


@pytest.mark.parametrize("name", list(with_examples()))
def test_an_example_prints_what_it_says(name: str) -> None:
    text = doc({**NAMES, **MEMBERS}[name])
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    printed: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(test, out=printed.append)
    # Printing a value leaves it in `builtins._`, and IPython then no longer sets its own `_`.
    vars(builtins).pop("_", None)
    assert not printed, "".join(printed)
