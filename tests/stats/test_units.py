"""The unit of logarithms is named wherever stats takes or returns one."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from deluge_nb import stats
from deluge_nb.stats.core.records import Result

LOGARITHM = re.compile(r"log|entropy|surprisal|margin|nll|bits|evidence|^nodes$|^branches$|^tokens$|confidence$")
# Scores whose confidences are probabilities, and texts.
WITHOUT_UNIT = {
    "adaptive_ece", "calibration_test", "decode_tokens", "ece", "prr", "risk_coverage", "threshold_for_precision",
    "fit_temperature_multiclass", "softmax",
}  # fmt: skip


def functions() -> Iterator[str]:
    for name in stats.__all__:
        if any(LOGARITHM.search(parameter) for parameter in inspect.signature(getattr(stats, name)).parameters):
            yield name


def records() -> Iterator[type[Result]]:
    """Records of stats with a field that is a logarithm; a result that is a share has none."""
    for module in pkgutil.walk_packages(stats.__path__, "deluge_nb.stats."):
        for value in vars(import_module(module.name)).values():
            is_record = inspect.isclass(value) and issubclass(value, Result) and value.__module__ == module.name
            if is_record and dataclasses.is_dataclass(value):
                names = [field.name for field in dataclasses.fields(value)]
                if any(
                    LOGARITHM.search(name) and not re.search("prob_margin|log_odds|confidence$", name) for name in names
                ):
                    yield value


@pytest.mark.parametrize("name", sorted(set(functions()) - WITHOUT_UNIT))
def test_a_function_of_logarithms_names_their_unit(name: str) -> None:
    assert re.search(r"\bnats\b", getattr(stats, name).__doc__)


@pytest.mark.parametrize("record", list(records()), ids=lambda record: record.__name__)
def test_a_record_of_logarithms_names_their_unit(record: type[Result]) -> None:
    assert re.search(r"\b(nats|bits)\b", record.__doc__ or "")


def test_only_surprisal_of_words_is_in_bits_by_default() -> None:
    defaults = {
        name: signature.parameters["base"].default
        for name in stats.__all__
        if "base" in (signature := inspect.signature(getattr(stats, name))).parameters
    }
    assert {name for name, base in defaults.items() if base is not None} == {"word_surprisal"}
