"""Every reference vector: computed with 50 digits from the definitions, and rounded to the nearest double."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deluge_nb import stats

VECTORS = json.loads((Path(__file__).parent.parent / "fixtures" / "stats_vectors.json").read_text("utf-8"))["vectors"]


def decoded(value: Any) -> Any:
    if isinstance(value, str) and value in ("inf", "-inf", "nan"):
        return float(value)
    if isinstance(value, list):
        return [decoded(one) for one in value]
    if isinstance(value, dict):
        return {key: decoded(one) for key, one in value.items()}
    return value


def compare(got: Any, expected: Any, rtol: float, atol: float, where: str) -> None:
    if isinstance(expected, dict):
        for key, value in expected.items():
            compare(got[key] if isinstance(got, Mapping) else getattr(got, key), value, rtol, atol, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(got) == len(expected), where
        for place, value in enumerate(expected):
            compare(got[place], value, rtol, atol, f"{where}[{place}]")
    elif isinstance(expected, bool) or expected is None or isinstance(expected, str):
        assert got == expected, where
        assert type(got) is type(expected), where
    elif math.isinf(expected):
        assert got == expected, where
    else:
        assert abs(got - expected) <= atol + rtol * abs(expected), (where, got, expected)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_the_function_gives_what_the_reference_vector_says(vector: dict[str, Any]) -> None:
    function = getattr(stats, vector["function"])
    inputs, expected = decoded(vector["inputs"]), decoded(vector["expected"])
    if isinstance(expected, dict) and "error" in expected:
        with pytest.raises(ValueError, match=r"."):
            function(**inputs)
        return
    compare(function(**inputs), expected, vector["rtol"], vector["atol"], vector["id"])


def test_there_is_a_vector_for_every_function() -> None:
    scalar = {name for name in stats.__all__ if not name.endswith("_batch")}
    assert scalar == {vector["function"] for vector in VECTORS}
    assert len(scalar) == 53
