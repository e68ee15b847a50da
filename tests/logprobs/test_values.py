"""Single log-probabilities: one sum, one set of sentinels, one rounding."""

from __future__ import annotations

import ast
import math
from decimal import Decimal, getcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import deluge_nb
from deluge_nb import Logprobs, extract_prob
from deluge_nb.logprobs.measures import log_sum_rows
from deluge_nb.logprobs.values import LOWEST, ROUNDING, SENTINEL, SINGLE_PRECISION, is_known, log_sum
from deluge_nb.stats import logsumexp
from tests.sources import nodes

PACKAGE = Path(deluge_nb.__file__).parent
logprobs = st.floats(-800, 0)


def exact(values: list[float]) -> float:
    getcontext().prec = 60
    return float(sum((Decimal(value).exp() for value in values), Decimal(0)).ln())


@given(st.lists(logprobs, min_size=1, max_size=30))
def test_a_sum_is_right_to_the_last_digits(values: list[float]) -> None:
    assert log_sum(values) == pytest.approx(exact(values), rel=1e-15, abs=2e-16)


@given(st.lists(logprobs | st.just(-math.inf), max_size=30))
def test_all_sums_are_the_same_sum(values: list[float]) -> None:
    assert logsumexp(values) == log_sum(values) == log_sum(np.array(values))
    rows = log_sum_rows(np.array([values, values]).reshape(2, -1))
    assert rows.tolist() == pytest.approx([log_sum(values)] * 2, rel=1e-14, abs=1e-15)


def test_what_is_far_below_the_largest_still_counts() -> None:
    assert log_sum([0.0, -40.0]) == math.exp(-40)
    assert log_sum_rows(np.array([[0.0, -40.0]])).tolist() == [math.exp(-40)]
    assert log_sum([]) == log_sum([-math.inf]) == -math.inf


@pytest.mark.parametrize(
    ("value", "known"),
    [
        *[(-1.0, True), (0.0, True), (5e-7, True), (-9998.0, True), (None, False), (math.nan, False)],
        *[(SENTINEL, False), (-12000.0, False), (-3.4e38, False), (0.5, False)],
    ],
)
def test_a_table_and_a_list_of_dicts_agree_on_withheld_values(value: float | None, known: bool) -> None:
    entries: list[dict[str, Any]] = [{"token": "yes", "logprob": value, "bytes": None, "top_logprobs": None}]
    table = Logprobs.from_entries(entries)
    assert is_known(value) is known
    assert bool(table.censored[0]) is not known
    assert extract_prob("yes", entries) == extract_prob("yes", table) == (math.exp(min(value, 0.0)) if known else 0.0)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("name", "value"), [("SENTINEL", SENTINEL), ("LOWEST", LOWEST), ("SINGLE_PRECISION", SINGLE_PRECISION)]
)
def test_a_constant_stands_in_one_place(name: str, value: float) -> None:
    holding = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.UnaryOp | ast.BinOp | ast.Constant) and value_of(node) == value
    ]
    assert holding == ["logprobs/values.py"], name


def value_of(node: ast.AST) -> object:
    """The number that an expression of constants comes to."""
    try:
        return eval(compile(ast.Expression(node), "", "eval"), {"__builtins__": {}}) if is_constant(node) else None  # type: ignore[arg-type]
    except (TypeError, ArithmeticError):
        return None


def is_constant(node: ast.AST) -> bool:
    allowed = (ast.Constant, ast.UnaryOp, ast.USub, ast.BinOp, ast.Pow)
    return all(isinstance(part, allowed) for part in ast.walk(node))


def test_rounding_is_said_once() -> None:
    assigned = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.strip("_") in ("ROUNDING", "SENTINEL", "SENTINELS", "NEVER")
    ]
    assert set(assigned) <= {"logprobs/values.py", "models/catalogue.py"}
    assert ROUNDING == 1e-6
