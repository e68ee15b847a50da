"""Charts of distributions: they fit a narrow cell, and show what their names say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deluge_nb import events_chart, label_bounds_chart, posterior_chart, sampling_chart, temperature_chart

NAMES = [" coffee", " tea", " black"]
LOGPROBS = np.log(np.array([0.8, 0.1, 0.05, *[0.0005] * 100]))
CHARTS = {
    "events": events_chart(NAMES, [0.5, 0.2, 0.1], [" tea"]),
    "sampling": sampling_chart(NAMES, [0.5, 0.2, 0.1], [5, 2, 1], total=10),
    "temperature": temperature_chart(NAMES, LOGPROBS, 2, listed=3),
    "posterior": posterior_chart(["It", " rains"], [[0.5, 0.5], [0.7, 0.3], [0.9, 0.1]], ["recipe", "weather"]),
    "bounds": label_bounds_chart(["yes", "no"], [0.1, 0.4], [0.2, 0.6]),
}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_a_chart_is_as_wide_as_its_cell(chart: Any) -> None:
    assert chart.to_dict()["width"] == "container"


def test_the_exact_probability_lies_in_the_bounds_and_a_list_that_adds_up_to_one_does_not() -> None:
    spec = CHARTS["temperature"].to_dict()
    rows = [row for data in spec["datasets"].values() for row in data if row["outcome"] == "·coffee"]
    assert {row["mark"] for row in rows} == {"all 103 tokens", "what 3 tokens allow", "made to add up to 1"}
    for row in rows:
        assert row["low"] - 1e-9 <= row["probability"] <= row["high"] < row["share"]
