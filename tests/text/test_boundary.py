"""The space between a text and an answer that follows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.text.boundary import space_between

NO_SPACE = ["", "is ", "is\n\n", "is: ", "is\t", "is\u00a0", "is\u3000"]
NO_SPACE += [f"is {mark}" for mark in "([{<\"'“‘„‚«‹¿¡-–—/@#$€*_`~"]
NO_SPACE += ['is"', "is“", "is**", "is =", "日本の首都は", "首都是：", "เมืองหลวงคือ", "（", "「"]
SPACE = ["is", "is:", "is.", "is,", "is;", "is!", "is?", "is…", "is)", "is]", "is}", "in 1969", "50%", "5 €", "20°"]
SPACE += [
    '"is"',
    "'is'",
    "“is”",
    "‘is’",
    "„ist“",
    "»ist«",
    "«est»",
    "« est »",
    "**is**",
    "`is`",
    "can't",
    "столица",
    "عاصمة",
]
SPACE += ["राजधानी है", "है।", "수도는", "ne\u0301"]


@pytest.mark.parametrize("before", NO_SPACE)
def test_there_is_no_space_after_white_space_an_opening_mark_or_a_dash(before: str) -> None:
    assert space_between(before, "Paris") == ""


@pytest.mark.parametrize("before", SPACE)
def test_a_space_parts_a_word_or_a_closing_mark_from_a_word(before: str) -> None:
    assert space_between(before, "Paris") == " "


@pytest.mark.parametrize(
    "answer", ["Paris", "5", "½", "-5", "$5", ".5", "(A)", '"yes"', "**B**", "да", "نعم", "네", "naïve"]
)
def test_words_and_numbers_of_spaced_scripts_get_a_space(answer: str) -> None:
    assert space_between("The answer is", answer) == " "


@pytest.mark.parametrize("answer", ["東京", "はい", "ใช่", "ຄວາມ", "ဟုတ်", "បាទ", "👍", "...", "+", "", "（A）", "。"])
def test_scripts_without_spaces_and_marks_get_none(answer: str) -> None:
    assert space_between("The answer is", answer) == ""


@given(st.text(), st.text(st.characters(categories=["Zs"]), min_size=1), st.text())
def test_white_space_on_either_side_is_never_doubled(before: str, space: str, answer: str) -> None:
    assert space_between(before + space, answer) == ""
    assert space_between(before, space + answer) == ""
