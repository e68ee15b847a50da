"""Charts of distributions: they fit a narrow cell, and show what their names say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deluge_nb import (
    SettingError,
    events_chart,
    frequency_chart,
    label_bounds_chart,
    posterior_chart,
    sampling_chart,
    temperature_chart,
)

from .test_appearance import svg

NAMES = [" coffee", " tea", " black"]
LOGPROBS = np.log(np.array([0.8, 0.1, 0.05, *[0.0005] * 100]))
CHARTS = {
    "events": events_chart(NAMES, [0.5, 0.2, 0.1], [" tea"]),
    "sampling": sampling_chart(NAMES, [0.5, 0.2, 0.1], [5, 2, 1], total=10),
    "temperature": temperature_chart(NAMES, LOGPROBS, 2, listed=3),
    "posterior": posterior_chart(["It", " rains"], [[0.5, 0.5], [0.7, 0.3], [0.9, 0.1]], ["recipe", "weather"]),
    "bounds": label_bounds_chart(["yes", "no"], [0.1, 0.4], [0.2, 0.6], share=[0.2, 0.5]),
    "frequency": frequency_chart(0.02, 0.95, 0.1),
}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_a_chart_is_as_wide_as_its_cell(chart: Any) -> None:
    assert chart.to_dict()["width"] == "container"


@pytest.mark.parametrize(
    ("name", "texts"),
    {
        "events": {"Probability", "in the event", "not in it"},
        "sampling": {"Probability", "drawn", "95 % interval", "truth", "10 draws"},
        "temperature": {"Probability", "all 103 tokens", "what 3 tokens allow", "made to add up to 1"},
        "posterior": {"Probability", "before", "It", "·rains", "recipe", "weather"},
        "bounds": {"Probability", "certain to win", "cannot win", "share", "100 %"},
        "frequency": {"Of 117 called praise, 19 are praise: 16.2 %", "praise, called praise: 19"},
    }.items(),
)
def test_a_chart_names_its_axes_and_marks(name: str, texts: set[str]) -> None:
    drawn = {text.text for text in svg(CHARTS[name]).iter("{http://www.w3.org/2000/svg}text")}
    assert texts <= drawn


def test_the_exact_probability_lies_in_the_bounds_and_a_list_that_adds_up_to_one_does_not() -> None:
    spec = CHARTS["temperature"].to_dict()
    rows = [row for data in spec["datasets"].values() for row in data if row["outcome"] == "·coffee"]
    assert {row["mark"] for row in rows} == {"all 103 tokens", "what 3 tokens allow", "made to add up to 1"}
    for row in rows:
        assert row["low"] - 1e-9 <= row["probability"] <= row["high"] < row["share"]


@pytest.mark.parametrize(
    ("low", "parts"), [([0.1, 0.4], ["cannot win", "certain to win"]), ([0.1, 0.1], ["open", "open"])]
)
def test_a_label_is_open_only_where_none_is_certain_to_win(low: list[float], parts: list[str]) -> None:
    (rows,) = label_bounds_chart(["yes", "no"], low, [0.2, 0.6]).to_dict()["datasets"].values()
    assert [row["part"] for row in rows] == parts


ODD: dict[str, Callable[[], Any]] = {
    "probabilities must": lambda: events_chart(["a"], ["x"]),
    "counts must": lambda: sampling_chart(["a", "b"], [0.5, 0.4], ["x", 2]),
    "posteriors must": lambda: posterior_chart(["t"], [["x", 0.5], [0.1, 0.9]], ["a", "b"]),
    "tokens must be at most 1,000": lambda: posterior_chart(["t"] * 10_000, np.full((10_001, 2), 0.5), ["a", "b"]),
    "low must": lambda: label_bounds_chart(["a"], [[0.1], [0.2, 0.3]], [0.5]),
    "logprobs must": lambda: temperature_chart(["a"], ["x"], 1),
    "temperature must": lambda: temperature_chart(NAMES, LOGPROBS, "x"),  # type: ignore[arg-type]
    "prior must": lambda: frequency_chart("x", 0.9, 0.1),  # type: ignore[arg-type]
    "names must": lambda: frequency_chart(0.1, 0.9, 0.1, names=("a",)),  # type: ignore[arg-type]
    "such as ' tea', and 'everything else', not 'Tea'": lambda: events_chart(NAMES, [0.5, 0.2, 0.1], ["Tea"]),
    "in `names` and 'everything else', not 'milk'": lambda: events_chart(NAMES, [0.5, 0.2, 0.1], ["milk"]),
}


@pytest.mark.parametrize("says", ODD)
def test_what_is_no_number_is_named_with_its_argument(says: str) -> None:
    with pytest.raises(SettingError, match=says):
        ODD[says]()


def test_a_vocabulary_of_fewer_than_twenty_tokens_is_listed_whole() -> None:
    assert "4 tokens allow" in temperature_chart(["a"], np.log([0.4, 0.3, 0.2, 0.1]), 2).to_dict()["description"]
