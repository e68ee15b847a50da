"""Calibration of the shares of all labels: what each kind keeps, and what a fit on few rows may not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deluge_nb import Calibrator, SettingError
from deluge_nb.calibration.shares import ShareCalibrator, fit_shares

KINDS: Any = ["temperature", "platt", "isotonic"]


def drawn(rows: int, labels: int, sharpness: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return shares that are too certain (above 1) or not certain enough, and the labels that are right."""
    generator = np.random.default_rng(seed)
    honest = generator.dirichlet(np.ones(labels), rows)
    true = np.array([generator.choice(labels, p=row) for row in honest])
    sharp = honest**sharpness
    return sharp / sharp.sum(axis=1, keepdims=True), true


def brier(shares: NDArray[np.float64], true: NDArray[np.intp]) -> float:
    """Return the Brier score; the log loss is infinite where isotonic steps give a label nothing."""
    return float(((shares - np.eye(shares.shape[1])[true]) ** 2).sum(axis=1).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [2, 3, 5])
@pytest.mark.parametrize("sharpness", [0.4, 3.0])
def test_every_kind_mends_shares_that_are_wrong_by_a_power(kind: Any, labels: int, sharpness: float) -> None:
    fit = fit_shares(*drawn(600, labels, sharpness), kind)
    shares, true = drawn(600, labels, sharpness, seed=1)
    mended = fit.transform(shares)
    assert mended.shape == shares.shape
    assert mended.sum(axis=1) == pytest.approx(1)
    assert mended.min() >= 0
    assert brier(mended, true) < brier(shares, true)


def test_the_temperature_is_the_power_that_was_applied() -> None:
    fit = fit_shares(*drawn(4000, 3, 2.5), "temperature")
    assert fit.calibrators[0].parameters["temperature"] == pytest.approx(2.5, rel=0.1)


@given(st.lists(st.lists(st.floats(1e-3, 1), min_size=3, max_size=3), min_size=1, max_size=5), st.floats(0.1, 10))
def test_a_temperature_keeps_the_order_of_the_labels(rows: list[list[float]], temperature: float) -> None:
    shares = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    softer = ShareCalibrator("temperature", (Calibrator("temperature", {"temperature": temperature}),))
    # A tie may be broken by a rounding.
    moved = np.take_along_axis(softer.transform(shares), np.argsort(shares, axis=1), axis=1)
    assert (np.diff(moved, axis=1) >= -1e-12).all()


def test_a_temperature_of_1_changes_nothing_and_gives_other_memory() -> None:
    same = ShareCalibrator("temperature", (Calibrator("temperature", {"temperature": 1.0}),))
    shares = np.array([[1.0, 0.0], [0.25, 0.75]])
    assert same.transform(shares).tolist() == shares.tolist()
    assert same.transform(shares) is not shares


def test_a_few_rows_that_are_all_right_make_nothing_certain() -> None:
    fit = fit_shares(np.array([[0.8, 0.2], [0.3, 0.7], [0.9, 0.1]]), np.array([0, 1, 0]), "temperature")
    assert fit.transform([[0.8, 0.2]]).max() < 0.999


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_two_labels_are_calibrated_by_the_share_of_the_second(kind: Any) -> None:
    fit = fit_shares(*drawn(400, 2, 2.0), kind)
    (second,) = fit.calibrators
    assert fit.transform([[0.3, 0.7]])[0, 1] == pytest.approx(second.transform(np.array([0.7]))[0])


@pytest.mark.parametrize(("kind", "labels"), [("platt", 2), ("platt", 3), ("isotonic", 4)])
def test_shares_of_another_number_of_labels_are_refused(kind: Any, labels: int) -> None:
    fit = fit_shares(*drawn(300, labels, 2.0), kind)
    with pytest.raises(SettingError, match=f"shares must have {labels} columns, one for each label"):
        fit.transform(np.full((2, labels + 1), 1 / (labels + 1)))


def test_labels_of_which_none_has_anything_left_get_the_same() -> None:
    never = Calibrator("isotonic", {"x": [0.0, 1.0], "y": [0.0, 0.0]})
    fit = ShareCalibrator("isotonic", (never, never, never))
    assert fit.transform([[0.2, 0.3, 0.5]]).tolist() == [[pytest.approx(1 / 3)] * 3]


def test_equal_shares_warn_and_stay() -> None:
    with pytest.warns(RuntimeWarning, match="All shares are equal"):
        fit = fit_shares(np.full((6, 3), 1 / 3), np.array([0, 1, 2, 0, 1, 2]), "temperature")
    assert fit.transform([[0.2, 0.3, 0.5]]).sum() == pytest.approx(1)


def test_a_kind_that_does_not_exist_is_refused() -> None:
    kind: Any = "spline"
    with pytest.raises(SettingError, match="kind"):
        fit_shares(*drawn(10, 2, 1.0), kind)
