"""Reference vectors, computed with 50 digits from the definitions and rounded to the nearest double."""

from __future__ import annotations

import inspect
import json
import math
import pickle
import subprocess
import sys
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
        return [decoded(item) for item in value]
    if isinstance(value, dict):
        return {key: decoded(item) for key, item in value.items()}
    return value


def compare(got: Any, expected: Any, rtol: float, atol: float, where: str) -> None:
    if isinstance(expected, dict):
        for key, value in expected.items():
            compare(got[key] if isinstance(got, Mapping) else getattr(got, key), value, rtol, atol, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(got) == len(expected), where
        for index, value in enumerate(expected):
            compare(got[index], value, rtol, atol, f"{where}[{index}]")
    elif isinstance(expected, bool) or expected is None or isinstance(expected, str):
        assert got == expected, where
        assert type(got) is type(expected), where
    elif math.isinf(expected):
        assert got == expected, where
    else:
        assert abs(got - expected) <= atol + rtol * abs(expected), (where, got, expected)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_the_function_matches_its_reference_vector(vector: dict[str, Any]) -> None:
    function = getattr(stats, vector["function"])
    inputs, expected = decoded(vector["inputs"]), decoded(vector["expected"])
    if "rounding" in inspect.signature(function).parameters:
        inputs["rounding"] = 0  # the numbers of the vectors are exact
    if isinstance(expected, dict) and "error" in expected:
        with pytest.raises(ValueError, match=r"."):
            function(**inputs)
        return
    compare(function(**inputs), expected, vector["rtol"], vector["atol"], vector["id"])


def test_importing_stats_loads_numpy_and_nothing_else_heavy() -> None:
    code = "import sys, deluge_nb.stats; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    heavy = {"scipy", "sklearn", "pandas", "pyarrow", "altair", "pydantic", "httpx", "IPython", "ipywidgets", "msgspec"}
    assert not heavy & set(loaded)


def test_functions_that_need_scipy_raise_a_clear_error_without_it() -> None:
    code = """
import sys
sys.modules["scipy"] = None
from deluge_nb import MissingDependencyError, stats
for call in (
    lambda: stats.clopper_pearson(1, 2),
    lambda: stats.fit_platt([0.1, 0.2], [0, 1]),
    lambda: stats.fit_isotonic([0.1, 0.2], [0, 1]),
    lambda: stats.fit_temperature_binary([0.1, 0.2], [0, 1]),
    lambda: stats.chi_square_gof([1, 2], [0.5, 0.5]),
):
    try:
        call()
    except MissingDependencyError as error:
        print(error.package, error.extra, error)
print(stats.ece([0.9, 0.2], [1, 0]).ece, stats.auroc([0.9, 0.2], [1, 0]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    output = done.stdout.splitlines()
    assert len(output) == 6
    assert all(line.startswith("scipy stats") and "deluge-nb[stats]" in line for line in output[:5])


def test_results_compare_print_pickle_and_serialise() -> None:
    one, other = stats.sequence_stats([-1.0, -0.5]), stats.sequence_stats([-1.0, -0.5])
    assert one == other != stats.sequence_stats([-1.0])
    assert pickle.loads(pickle.dumps(one)) == one
    assert json.loads(json.dumps(one.to_dict()))["prefix_logprobs"] == [-1.0, -1.5]
    assert json.loads(json.dumps(stats.ece([0.9, 0.2], [1, 0]).to_dict()))["bins"][0]["count"] == 1
    assert repr(stats.wilson_interval(1, 2)).startswith("Interval(low=")
    with pytest.raises(AttributeError):
        one.loglik = 0.0  # type: ignore[misc]


# Functions newer than the vectors: tested against independent definitions, in the file named beside each.
WITHOUT_VECTORS = {
    "sampling_bounds": "test_cuts.py",
    "average_precision": "test_confidence.py",
    "calibration_test": "test_confidence.py",
    "divergence_bounds": "test_rounding.py",
    "conformal_aps_sets": "test_confidence.py",
    "ece_multiclass": "test_confidence.py",
    "majority_vote": "test_functions.py",
    "min_k": "test_functions.py",
    "option_accuracy": "test_functions.py",
    "prr": "test_confidence.py",
    "rank_options": "test_functions.py",
    "self_consistency": "test_functions.py",
    "uncertainty_split": "test_functions.py",
    "word_surprisal": "test_functions.py",
}


def test_there_is_a_vector_or_a_test_of_the_definition_for_every_function() -> None:
    scalar = {name for name in stats.__all__ if not name.endswith("_batch")}
    vectored = {vector["function"] for vector in VECTORS}
    assert scalar == vectored | set(WITHOUT_VECTORS)
    assert len(vectored) == 53
    assert not vectored & set(WITHOUT_VECTORS)
    for name, file in WITHOUT_VECTORS.items():
        assert f"{name}(" in (Path(__file__).parent / file).read_text("utf-8")
