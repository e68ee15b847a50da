"""Fits of a report on data that say little, and what a calibrator may be made of."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from deluge_nb import CalibrationReport, Calibrator, SettingError
from deluge_nb.stats import fit_platt, fit_temperature_binary, fit_temperature_multiclass

KINDS: list[Any] = ["temperature", "platt", "isotonic"]
GRID = np.linspace(0, 1, 11)


def fit(confidence: Any, correct: Any, kind: Any) -> tuple[Calibrator, list[str]]:
    """Return the fit and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = CalibrationReport(confidence, correct).fit(kind)
    assert all(entry.category is RuntimeWarning and entry.filename == __file__ for entry in caught)
    return fitted, [str(entry.message) for entry in caught]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("score", [0.0, 0.05, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 0.99, 1.0])
def test_equal_confidences_give_the_base_rate_or_change_nothing_with_one_warning(score: float, kind: Any) -> None:
    for right in range(1, 11):
        outcomes = [1] * right + [0] * (11 - right)
        fitted, messages = fit([score] * 11, outcomes, kind)
        assert len(messages) == 1
        assert messages[0].startswith("All confidences are equal")
        assert "logit" not in messages[0]
        if kind == "temperature":
            assert fitted.transform(GRID) == pytest.approx(GRID, abs=0)
        else:
            hits, misses = right, 11 - right
            smooth = (hits * (hits + 1) / (hits + 2) + misses / (misses + 2)) / 11
            rate = smooth if kind == "platt" else right / 11
            assert fitted.transform(GRID) == pytest.approx(np.full(11, rate))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outcome", [0, 1])
def test_answers_with_one_outcome_give_the_base_rate_or_change_nothing_with_one_warning(
    kind: Any, outcome: int
) -> None:
    for scores in ([0.6, 0.7, 0.9], [0.1, 0.2, 0.4], [0.2, 0.5, 0.9, 0.95]):
        fitted, messages = fit(scores, [outcome] * len(scores), kind)
        assert len(messages) == 1
        assert messages[0].startswith("All answers are right, or all are wrong")
        if kind == "temperature":
            assert fitted.transform(GRID) == pytest.approx(GRID, abs=0)
        else:
            n = len(scores)
            rate = {"platt": [1 / (n + 2), (n + 1) / (n + 2)], "isotonic": [0, 1]}[kind][outcome]
            assert fitted.transform(GRID) == pytest.approx(np.full(11, rate))


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_that_is_the_wrong_way_gives_one_warning(kind: Any) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(300)
    messages = fit(p, rng.random(300) > p, kind)[1]
    assert len(messages) == 1
    assert "order" in messages[0]
    assert "wrong way" in messages[0]
    assert "logit" not in messages[0]


@pytest.mark.parametrize("kind", KINDS)
def test_confidences_without_relation_to_the_outcomes_give_one_warning(kind: Any) -> None:
    with pytest.warns(RuntimeWarning, match="say nothing about which answers are right") as caught:
        fit = CalibrationReport([0.2, 0.8] * 4, [1, 0, 0, 1] * 2).fit(kind)
    assert len(caught) == 1
    assert fit.transform([0.1, 0.9]) == pytest.approx([0.5, 0.5], abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("score", [0.1 + 0.2, 0.5])
def test_confidences_that_differ_by_rounding_are_equal(kind: Any, score: float) -> None:
    with pytest.warns(RuntimeWarning, match="All confidences are equal") as caught:
        fit = CalibrationReport([score, float(np.nextafter(score, 0))] * 3, [1, 0] * 3).fit(kind)
    assert len(caught) == 1
    assert fit.transform([0.1, 0.9]) == pytest.approx([0.1, 0.9] if kind == "temperature" else [0.5, 0.5])


@pytest.mark.parametrize("kind", KINDS)
def test_informative_confidences_give_no_warning(kind: Any) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(300)
    fitted, messages = fit(p, rng.random(300) < p, kind)
    assert messages == []
    assert np.ptp(fitted.transform(GRID)) > 0.5


def test_temperatures_of_logits_without_information_are_one() -> None:
    for rows in (np.zeros((4, 3)), np.full((4, 3), -1.1), np.array([[1.0] * 3, [2.0] * 3, [-5.0] * 3, [0.0] * 3])):
        with pytest.warns(RuntimeWarning, match="All logits are equal"):
            assert fit_temperature_multiclass(rows, [0, 1, 2, 0]).temperature == 1
    with pytest.warns(RuntimeWarning, match="All logits are equal"):
        assert fit_temperature_binary([0.1 + 0.2, 0.3], [0, 1]).temperature == 1
    with pytest.warns(RuntimeWarning, match="All outcomes are the same"):
        assert fit_temperature_binary([1.0, 2.0], [1, 1]).temperature == 1
    with pytest.warns(RuntimeWarning, match="wrong way"):
        assert fit_platt([0.0, 1.0, 2.0], [1, 1, 0]).a < 0


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("x", {}, "kind must be 'temperature', 'platt' or 'isotonic', not 'x'"),
        ("temperature", {}, "a dict with 'temperature'"),
        ("temperature", {"temperature": 0}, "above 0"),
        ("temperature", {"temperature": "hot"}, "a number"),
        ("platt", {"a": 1}, "a dict with 'a' and 'b'"),
        ("platt", {"a": 1, "b": float("inf")}, "finite"),
        ("platt", None, "a dict with"),
        ("isotonic", {"x": [0.1], "y": [0.1, 0.2]}, "same length"),
        ("isotonic", {"x": [0.2, 0.1], "y": [0.1, 0.2]}, "ascending"),
        ("isotonic", {"x": [0.1, 0.2], "y": [0.1, 1.2]}, "from 0 to 1"),
        ("isotonic", {"x": [], "y": []}, "empty"),
    ],
)
def test_a_calibrator_of_impossible_parameters_is_refused(kind: Any, parameters: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Calibrator(kind, parameters)
