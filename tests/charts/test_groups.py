"""The chart of scores in groups."""

from __future__ import annotations

from typing import Any

import pytest

from deluge_nb import SettingError, groups_chart

SCORES = {"model": [3.0, 4.0, 5.0], "author": [3.9, 6.0]}


def test_a_score_on_the_threshold_is_not_below_it() -> None:
    assert (
        "model: 1 below 4, 2 not below; author: 1 below 4, 1 not below" in groups_chart(SCORES, threshold=4).description
    )


def test_without_a_threshold_the_description_has_the_scores() -> None:
    chart = groups_chart(SCORES, measure="bits")
    assert chart.description == "bits; model: 3, 4, 5; author: 3.9, 6"
    assert len(chart.layer) == 1


@pytest.mark.parametrize(
    ("groups", "settings", "words"),
    [
        ({name: [1.0] for name in "abcd"}, {}, "at most 3"),
        ({}, {}, "a list of 1"),
        ({"a": [float("nan")]}, {}, "finite numbers"),
        ({"a": [[1.0]]}, {}, "finite numbers"),
        ({"a": [1.0, 2.0]}, {"cases": {"a": ["one text"]}}, "one for each score"),
    ],
)
def test_what_cannot_be_drawn_is_refused(groups: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        groups_chart(groups, **settings)
