"""Reports from results and truth: which rows count, and which pairs are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from deluge_nb import CalibrationReport, SettingError
from deluge_nb.answers.results import Classification, Classifications


@dataclass
class Results:
    """Labels, their shares, and the index of the inputs."""

    labels: list[str | None]
    probability: NDArray[np.float64]
    index: Any = None


FOUND = Results(["yes", "no", None, "yes"], np.array([0.9, 0.6, np.nan, 0.8]), pd.Index([7, 3, 5, 9]))


def test_a_report_compares_labels_with_the_truth() -> None:
    report = CalibrationReport.from_results(FOUND, ["yes", "yes", "no", "no"], n_bins=5, level=0.9)
    assert report.confidence.tolist() == [0.9, 0.6, 0.8]
    assert report.correct.tolist() == [1, 0, 0]
    assert (report.n_bins, report.level) == (5, 0.9)
    assert report.dropped == 1
    assert repr(report).startswith("CalibrationReport(3 answers (1 dropped), ")
    assert report.to_dict()["dropped"] == 1
    assert CalibrationReport([0.5], [1]).dropped == 0


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_rows_without_a_truth_are_dropped_and_counted(missing: Any) -> None:
    truth = ["yes", missing, "no", "no"]
    for column in (truth, tuple(truth), pd.Series(truth, index=FOUND.index, dtype=object), iter(truth)):
        report = CalibrationReport.from_results(FOUND, column)
        assert (report.correct.tolist(), report.dropped) == ([1, 0], 2)


def test_results_of_classify_are_results() -> None:
    def result(label: str | None, share: float | None) -> Classification:
        shares = {} if label is None or share is None else {label: share}
        return Classification(
            label, share, shares, {}, {}, {}, {}, 0.0, 0.0, False, {}, None, (), None if label else "x"
        )

    found = Classifications(
        [result("yes", 0.9), result(None, None), result("no", 0.7)], ["a", "b", "c"], ["yes", "no"], "first-token"
    )
    report = CalibrationReport.from_results(found, pd.Series(["yes", "yes", "yes"]))
    assert (report.confidence.tolist(), report.correct.tolist(), report.dropped) == ([0.9, 0.7], [1, 0], 1)


def test_truths_that_are_no_label_are_refused_or_reported() -> None:
    shares = {"yes": 0.9, "no": 0.1}
    results = [
        Classification("yes", 0.9, shares, shares, shares, shares, shares, 1.0, 0.0, True, {}, None, (), None)
        for _ in range(3)
    ]
    found = Classifications(results, ["a", "b", "c"], ["yes", "no"], "first-token")
    with pytest.raises(SettingError, match=r"holds none of them: truth\[1\] is 'Yes'\."):
        CalibrationReport.from_results(found, [None, "Yes", "No"])
    with pytest.warns(UserWarning, match=r"1 truth is none of the labels \('yes', 'no'\).* truth\[1\] is 'perhaps'"):
        report = CalibrationReport.from_results(found, ["yes", "perhaps", "no"])
    assert report.correct.tolist() == [1, 0, 0]


def test_a_part_of_results_meets_the_rows_of_a_series() -> None:
    part = Results(["yes", "no"], np.array([0.9, 0.6]), np.array([2, 0]))
    truth = pd.Series(["no", "yes", "yes"])
    assert CalibrationReport.from_results(part, truth.loc[part.index]).correct.tolist() == [1, 1]
    with pytest.raises(SettingError, match="another index"):
        CalibrationReport.from_results(part, truth[:2])


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (["yes"], "one label for each of the 4 results, not 1"),
        ("yes", "truth must be one column of labels"),
        (pd.DataFrame({"a": range(4), "b": range(4)}), r"such as df\['truth'\], not DataFrame"),
        (5, "truth must be one column of labels"),
        (["yes", 1, "no", "no"], r"truth\[1\] must be a label \(text, such as 'no'\) or missing, not 1"),
        ([None] * 4, "Nothing is left to report on: of 4 results, each failed or has no truth"),
        (pd.Series(["yes", "no", "no", "no"]), r"another index than the results.*truth\.loc\[df\.index\]"),
        (pd.Series(["yes", "no", "no", "no"], index=[3, 7, 5, 9]), "another index"),
    ],
)
def test_a_truth_that_does_not_belong_to_the_results_is_refused(truth: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        CalibrationReport.from_results(FOUND, truth)


@pytest.mark.parametrize(
    "index", [pd.RangeIndex(4), pd.Index(list("abcd")), pd.MultiIndex.from_product([[1, 2], ["x", "y"]])]
)
def test_equal_indexes_of_any_kind_are_accepted(index: pd.Index) -> None:
    found = Results(FOUND.labels, FOUND.probability, index)
    truth = pd.Series(["yes", "no", "no", "no"], index=index)
    assert CalibrationReport.from_results(found, truth).correct.tolist() == [1, 1, 0]
    with pytest.raises(SettingError, match="another index"):
        CalibrationReport.from_results(found, truth[::-1])
