"""What a colour can say, and how a probability is written."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb._scale import SCALES, percent

STYLESHEET = Path(__file__).parents[1] / "js" / "src" / "view.css"


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (1.0, "100 %"),
        (0.99999, ">99.99 %"),
        (0.9996, "99.96 %"),
        (0.931, "93.1 %"),
        (0.9, "90 %"),
        (0.004, "0.40 %"),
        (0.00001, "<0.01 %"),
        (0.0, "0 %"),
        (math.nan, "unknown"),
    ],
)
def test_a_probability_is_written_for_people(probability: float, expected: str) -> None:
    assert percent(probability) == expected


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_what_is_possible_and_not_certain_is_never_rounded_to_impossible_or_certain(probability: float) -> None:
    assert percent(probability) not in ("0 %", "100 %", "0.00 %", "100.00 %")


@pytest.mark.parametrize("name", ["entropy", "surprisal"])
def test_the_last_step_of_a_legend_is_where_the_stylesheet_stops(name: str) -> None:
    text, cap = SCALES[name].steps[-1]  # type: ignore[index]
    painted = re.search(
        rf'data-color="{name}"\].*?--u: min\(1, var\((--\w), 0\) / (\d+)\)', STYLESHEET.read_text(), re.S
    )
    assert painted is not None
    assert painted.groups() == (SCALES[name].variable, f"{cap}")  # type: ignore[index]
    assert text == f"≥ {cap}"
