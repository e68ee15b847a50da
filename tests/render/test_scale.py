"""Scales of colour, and probabilities as text."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.render.scale import SCALES, ColorBy, percent


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


VECTORS: list[tuple[float, str]] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "percent_vectors.json").read_text("utf-8")
)["vectors"]


def test_probabilities_are_written_as_the_vectors_say() -> None:
    assert [(p, percent(p)) for p, _ in VECTORS] == [(p, text) for p, text in VECTORS]


def test_single_precision_changes_no_number() -> None:
    with np.errstate(divide="ignore"):
        sent = np.exp(np.log(np.array([p for p, _ in VECTORS])).astype(np.float32).astype(np.float64)).tolist()
    assert [percent(p) for p in sent] == [text for _, text in VECTORS]


def test_the_vectors_are_halves_rounded_up_to_the_last_digit() -> None:
    for p, text in VECTORS:
        if text[0] in "<>":
            assert 0 < p < 0.0001 or 0.9999 < p < 1
            continue
        digits = 2 if p < 0.01 or p >= 0.9995 else 1
        value = Fraction(p).limit_denominator(80_000) * 100
        assert Fraction(text.removesuffix(" %")) == Fraction(
            math.floor(value * 10**digits + Fraction(1, 2)), 10**digits
        )
    assert {0.0125, 0.0625, 0.1875, 0.3125, 0.00125, 0.00375} <= {p for p, _ in VECTORS}


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_what_is_possible_and_not_certain_is_never_rounded_to_impossible_or_certain(probability: float) -> None:
    assert percent(probability) not in ("0 %", "100 %", "0.00 %", "100.00 %")


@pytest.mark.parametrize("name", list(SCALES))
def test_the_steps_of_a_legend_go_from_sure_to_unsure(name: ColorBy) -> None:
    scale = SCALES[name]
    heats = scale.heat([value for _, value in scale.steps]).tolist()
    assert heats[0] == 0
    assert heats == sorted(heats)
    assert scale.sent()["heats"] == heats


@pytest.mark.parametrize("name", ["entropy", "surprisal", "rank"])
def test_the_last_step_of_a_legend_is_where_its_colours_end(name: ColorBy) -> None:
    scale = SCALES[name]
    text, value = scale.steps[-1]
    assert (text, value) == (f"≥ {scale.cap}", scale.cap)
    assert scale.heat([value, 10 * value]).tolist() == [1, 1]


@given(st.sampled_from(list(SCALES)), st.floats(0, 1e6))
def test_heat_is_from_0_to_1_and_unknown_where_the_value_is(name: ColorBy, value: float) -> None:
    assert 0 <= SCALES[name].heat([value])[0] <= 1
    assert math.isnan(SCALES[name].heat([math.nan])[0])
