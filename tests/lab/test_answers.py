"""Answers and guesses in every form that people write, which the lessons do not foresee."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from deluge_nb import SettingError
from deluge_nb.lab import check, reveal


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("50 %", "as 0.5."),
        ("0,5", "as 0.5."),
        (" 2 bits", "as 2."),
        ("1,000", "as 1,000."),
        ("half", "not as 'half'."),
        ("a*b*c" * 1000, "not as 'a∗b∗ca∗b∗c"),
        ((0, 5), "with a decimal point, as 0.5."),
        ([0.5], "Take it out of the list"),
        (np.array([0.5]), "Take it out of the list"),
        (np.bool_(True), "number."),
    ],
    ids=str,
)
def test_a_number_in_another_form_is_asked_for_in_the_right_one(written: Any, says: str) -> None:
    for answered in (check("5.1", written), reveal("5.1", away=written, boils=0.5)):
        assert not answered.ok
        assert says in answered.text
        assert len(answered.text) < 200


@pytest.mark.parametrize("written", [2, 2.0, Fraction(2), Decimal(2), np.float32(2), np.int8(2), np.array(2)], ids=repr)
def test_a_number_of_any_type_is_accepted(written: Any) -> None:
    assert check("5.1", written).ok


@pytest.mark.parametrize(
    ("number", "written", "says"),
    [
        ("5.1", 2 * math.log10(2), "That is to base 10"),
        ("9.2", 0.5 * math.log(2), "That is in nats"),
        ("10.1", 2.7, "2.7 is rounded too far"),
        ("8.2", 0.14, "0.14 is rounded too far"),
        ("10.1", 3, "3 is too large"),
        ("8.1", 80, "A probability lies between 0 and 1, and 80 does not; do you mean 0.8?"),
        ("7.1", (5, 20), "A probability lies between 0 and 1, and 5 does not; do you mean 0.05?"),
        ("7.1", {0.05, 0.2}, "The answer has 2 numbers"),
        ("7.1", np.array(0.05), "The answer has 2 numbers"),
        ("5.1", 1e300, "1e+300 is too large."),
        pytest.param("5.1", -(10**5000), "-∞ is too small.", id="a long integer"),
    ],
)
def test_a_wrong_unit_or_too_few_digits_are_named_in_every_lesson(number: str, written: Any, says: str) -> None:
    answered = check(number, written)
    assert not answered.ok
    assert says in answered.text


@pytest.mark.parametrize("id", ["51", "5,1", " 5.1", 5.1, ["5.1"], "5.9"], ids=str)
def test_a_wrong_number_of_an_exercise_is_answered_with_one_that_exists(id: Any) -> None:
    for call in (lambda: check(id, 2), lambda: reveal(id, away=0.5, boils=0.5)):
        with pytest.raises(SettingError, match=r"such as '5\.1'"):
            call()


def test_the_record_of_an_answer_can_be_kept_in_a_notebook() -> None:
    given = [2, object(), math.inf, math.nan, 10**5000, np.float32(2)]
    for feedback in (*(check("5.1", value) for value in given), reveal("5.1", away=..., boils=0.5)):
        _, metadata = feedback._repr_mimebundle_()
        record = json.loads(json.dumps(metadata, allow_nan=False))["deluge_nb"]
        assert record["id"] == "5.1"
        assert record["state"] == feedback.state


@pytest.mark.model
def test_marimo_shows_the_pictures_of_a_reveal_below_its_sentences() -> None:
    shown = reveal("5.3", gap=3)._display_().text
    assert 0 < shown.index('role="status"') < shown.index("marimo-anywidget")
