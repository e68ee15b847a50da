"""The test of a watermark: exact p-values, which are honest where nobody marked the text."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from deluge_nb.lab.lessons.finale_watermark import NOTE, Paint, count_green, is_green, tail, texts, tokens_of


@pytest.mark.parametrize(("green", "different"), [(28, 40), (0, 5), (5, 5), (61, 80)])
def test_a_p_value_is_that_of_a_fair_coin(green: int, different: int) -> None:
    assert tail(green, different) == pytest.approx(binomtest(green, different, alternative="greater").pvalue)


def test_a_token_that_comes_twice_counts_once() -> None:
    tokens = [" the", " cat", " the", " mat"]
    assert count_green(tokens) == count_green(tokens[1:])
    assert count_green(tokens).different == 3


@pytest.mark.model
def test_a_text_is_counted_by_its_tokens_and_not_by_its_letters() -> None:
    assert count_green("I wrote this.") == count_green(tokens_of("I wrote this."))


def test_false_alarms_are_no_more_frequent_than_the_p_value_says() -> None:
    words = NOTE.split()
    p = np.array([count_green(words, f"key {number}").p for number in range(2000)])
    for level in (0.01, 0.05, 0.2):
        assert np.mean(p <= level) < level + 3 * np.sqrt(level / len(p))


def test_another_key_sees_no_mark() -> None:
    assert sum(count_green(tokens).p < 0.01 for tokens in texts("marked")) >= 6
    assert sum(count_green(tokens, "another key").p < 0.01 for tokens in texts("marked")) == 0


def test_green_tokens_are_marked_in_text_and_in_html_and_markup_is_escaped() -> None:
    green = next(word for word in ("<b>", "<i>", "<u>", "<s>", "<p>", "<q>") if is_green(word))
    assert repr(Paint([green])) == f"[{green}]"
    assert green not in Paint([green])._repr_html_()
    assert "<mark" in Paint([green])._repr_html_()
