"""Recorded answers to the course's questions."""

from __future__ import annotations

import numpy as np
import pytest

from deluge_nb import SettingError
from deluge_nb.lab import option_shares, recording
from deluge_nb.lab.lessons.lesson8 import SURE, set_sizes
from deluge_nb.lab.quiz.recordings import SETS


@pytest.mark.parametrize(("name", "size", "options"), [("capitals", 100, 4), ("cloze", 110, 4), ("reviews", 200, 2)])
def test_a_recording_has_a_log_probability_for_every_option(name: str, size: int, options: int) -> None:
    answers = recording(name)
    assert answers.logprobs.shape == (size, options) == (len(answers), len(answers.questions[0].options))
    assert np.all(answers.logprobs < 0)
    assert answers.shares.sum(axis=1) == pytest.approx(np.ones(size))


@pytest.mark.model
@pytest.mark.parametrize("name", SETS)
def test_the_embedded_model_still_answers_as_recorded(name: str) -> None:
    answers = recording(name)
    live = np.array(option_shares(answers.questions[-5:], model="local"))
    # Another processor may round otherwise.
    assert live == pytest.approx(answers.shares[-5:], abs=0.02)


def test_an_unknown_recording_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match="'capitals', 'cloze', 'reviews'"):
        recording("dogs")


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_conformal_sets_of_the_lesson_hold_the_truth_as_often_as_promised(alpha: float) -> None:
    coverage, sizes = set_sizes(alpha)
    assert coverage == pytest.approx(1 - alpha, abs=0.02)
    assert sum(sizes) == pytest.approx(1)


def test_what_the_lesson_says_about_sure_answers_is_true() -> None:
    answers = [recording(name) for name in ("capitals", "cloze")]
    confidence = np.concatenate([each.confidence for each in answers])
    sure = confidence >= SURE
    assert sure.sum() == 157
    assert (1 - confidence[sure]).sum() == pytest.approx(5, abs=0.5)
    assert not np.concatenate([each.correct for each in answers])[sure].all()
