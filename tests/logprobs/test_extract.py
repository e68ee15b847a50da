"""extract_prob and is_match: what a token's probability says about an answer."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Logprobs, LogprobsMissingError, SettingError, extract_prob, is_match
from deluge_nb.text.normalize import LEAKED_SPACES

LOWEST = -3.4028234663852886e38


def position(chosen: str, weighed: dict[str, float]) -> list[dict[str, Any]]:
    """One token, with probabilities for what was weighed."""
    top = [{"token": token, "logprob": math.log(p)} for token, p in weighed.items()]
    logprob = math.log(weighed[chosen]) if chosen in weighed else math.log(0.01)
    return [{"token": chosen, "logprob": logprob, "bytes": None, "top_logprobs": top}]


def raw(chosen: str, logprob: float | None, top: dict[str, float | None] | None = None) -> list[dict[str, Any]]:
    listed = [{"token": token, "logprob": value} for token, value in (top or {}).items()]
    return [{"token": chosen, "logprob": logprob, "bytes": None, "top_logprobs": listed}]


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("Yes", "yes"),
        (" yes", "yes"),
        ("▁Yes", "yes"),
        ("Ġyes", "yes"),
        ("YES.", "yes"),
        ("**Yes", "yes"),
        ('"Yes', "yes"),
        ("(A", "A"),
        ("A)", "A"),
        ("Pos", "Positive"),
        ("y", "yes"),
        ("ＹＥＳ", "yes"),
        ("да", "Да"),
        ("是", "是"),
        ("7", "7"),
        ("No,", "no"),
        ("Straße", "STRASSE"),
    ],
)
def test_a_token_matches_the_answer_it_is_or_begins(token: str, label: str) -> None:
    assert is_match(token, label)


def test_a_sign_belongs_to_its_number_and_a_bullet_to_nothing() -> None:
    assert not is_match("-1", "1")
    assert not is_match("1", "-1")
    assert is_match(" -1", "-1")
    assert is_match("- Yes", "yes")
    assert is_match("- 1", "1")
    top = [{"token": "-1", "logprob": math.log(0.6)}, {"token": "1", "logprob": math.log(0.4)}]
    answer = [{"token": "-1", "logprob": math.log(0.6), "bytes": None, "top_logprobs": top}]
    assert extract_prob("1", answer, use_top_logprobs=True) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("yesterday", "yes"),
        ("not", "no"),
        ("none", "no"),
        ("Answer", "A"),
        ("Both", "B"),
        ("1", "2"),
        ("10", "1"),
        ("да", "нет"),
        ("否", "是"),
        ("✓", "yes"),
        ("\n", "yes"),
        ("**", "no"),
        (" ", "B"),
        ("", "yes"),
        ("yes", ""),
        ("possibly", "pos"),
        ("unlikely", "un"),
        ("bytes:\\xe2\\x9c", "B"),
        ("\ufffd", "yes"),
    ],
)
def test_a_token_does_not_match_what_it_only_resembles(token: str, label: str) -> None:
    assert not is_match(token, label)


@given(st.text(), st.text())
def test_the_matcher_takes_any_two_texts(token: str, label: str) -> None:
    assert is_match(token, label) in (True, False)


@given(st.text(min_size=1))
def test_a_text_with_a_letter_matches_itself(text: str) -> None:
    # A tokenizer's mark of a space passes for a letter, and is none.
    if any(character.isalnum() for character in text.translate(LEAKED_SPACES)):
        assert is_match(text, text)


def test_the_chosen_token_s_probability_is_given_where_it_matches() -> None:
    assert extract_prob("yes", position("Yes", {"Yes": 0.6, "No": 0.3})) == pytest.approx(0.6, abs=1e-15)


def test_a_chosen_token_that_does_not_match_gives_zero_without_the_complement() -> None:
    assert extract_prob("no", position("Yes", {"Yes": 0.6, "No": 0.3})) == 0.0


def test_the_complement_takes_the_chosen_token_for_the_other_answer() -> None:
    assert extract_prob("no", position("Yes", {"Yes": 0.6}), use_complement=True) == pytest.approx(0.4, abs=1e-15)


def test_a_table_and_a_list_of_dicts_give_the_same() -> None:
    entries = position("Yes", {"Yes": 0.6, "No": 0.3})
    table = Logprobs.from_entries(entries)
    assert extract_prob("no", table, True) == extract_prob("no", entries, True) == pytest.approx(1 / 3)


def test_alternatives_of_one_answer_are_added_up() -> None:
    entries = position("Yes", {"Yes": 0.5, " yes": 0.2, "YES": 0.1, "No": 0.1})
    assert extract_prob("yes", entries, True, normalize_top_logprobs=False) == pytest.approx(0.8)
    assert extract_prob("yes", entries, True) == pytest.approx(0.8 / 0.9)


def test_a_chosen_token_outside_the_list_counts_in_the_sum() -> None:
    entries = raw("Perhaps", math.log(0.05), {"Yes": math.log(0.6), "No": math.log(0.35)})
    assert extract_prob("yes", entries, True) == pytest.approx(0.6)
    assert extract_prob("perhaps", entries, True) == pytest.approx(0.05)


def test_halves_of_different_characters_are_different_tokens() -> None:
    top = [{"token": "\ufffd", "logprob": math.log(0.5), "bytes": [240, 159]}]
    entries = [{"token": "\ufffd", "logprob": math.log(0.25), "bytes": [152, 128], "top_logprobs": top}]
    mass = extract_prob("x", entries, True, normalize_top_logprobs=False, token_match_fn=lambda token, label: True)
    assert mass == pytest.approx(0.75)


def test_ratings_are_different_answers() -> None:
    entries = position("4", {"4": 0.95, "5": 0.03, "3": 0.02})
    found = {label: extract_prob(label, entries, use_top_logprobs=True) for label in "12345"}
    assert found == pytest.approx({"1": 0.0, "2": 0.0, "3": 0.02, "4": 0.95, "5": 0.03})


def test_exclusive_answers_never_exceed_one() -> None:
    entries = position("Answer", {"Answer": 0.75, "B": 0.20, "A": 0.05})
    found = [extract_prob(label, entries, use_top_logprobs=True) for label in "ABC"]
    assert found == pytest.approx([0.05, 0.20, 0.0])


@given(
    st.lists(st.floats(-30, 0), min_size=1, max_size=20),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 19),
)
def test_every_answer_is_a_probability(
    logprobs: list[float], top: bool, normalize: bool, complement: bool, chosen: int
) -> None:
    weighed: dict[str, float | None] = {f"t{i}": value for i, value in enumerate(logprobs)}
    entries = raw(f"t{chosen}", weighed.get(f"t{chosen}", -3.0), weighed)
    found = extract_prob("t0", entries, top, normalize, complement)
    assert type(found) is float
    assert 0.0 <= found <= 1.0


@given(st.lists(st.floats(-2000, 0), min_size=1, max_size=12))
def test_normalised_probabilities_of_all_alternatives_sum_to_one(logprobs: list[float]) -> None:
    weighed: dict[str, float | None] = {f"t{i}x": value for i, value in enumerate(logprobs)}
    entries = raw("t0x", logprobs[0], weighed)
    assert math.fsum(extract_prob(label, entries, True) for label in weighed) == pytest.approx(1.0)


def test_a_matcher_of_the_caller_s_own_is_called() -> None:
    entries = position("Yes", {"Yes": 0.6, "No": 0.3})
    assert extract_prob("yes", entries, token_match_fn=lambda token, label: False) == 0.0
    with pytest.raises(ZeroDivisionError):
        extract_prob("yes", entries, token_match_fn=lambda token, label: bool(1 / 0))
    seen: list[tuple[str, str]] = []
    extract_prob("yes", entries, True, token_match_fn=lambda token, label: bool(seen.append((token, label))))
    assert seen == [("Yes", "yes"), ("No", "yes")]


def test_no_matcher_means_the_usual_one() -> None:
    assert extract_prob("yes", position("Yes.", {"Yes.": 0.6}), token_match_fn=None) == pytest.approx(0.6)


def test_the_complement_among_alternatives_is_of_the_chosen_token() -> None:
    entries = position("No", {"No": 0.6, "Maybe": 0.4})
    assert extract_prob("yes", entries, True, False, True) == pytest.approx(0.4)
    assert extract_prob("yes", entries, True, False, False) == 0.0


def test_probabilities_too_small_for_a_float_are_still_compared() -> None:
    entries = raw("Yes", -1000.0, {"Yes": -1000.0, "No": -1001.0})
    assert extract_prob("yes", entries, True) == pytest.approx(1 / (1 + math.exp(-1)))


@pytest.mark.parametrize("withheld", [-9999.0, LOWEST, None, math.nan, -math.inf])
def test_what_the_provider_withheld_counts_nothing(withheld: float | None) -> None:
    entries = raw("Yes", math.log(0.6), {"Yes": math.log(0.6), "No": withheld})
    assert extract_prob("no", entries, True) == 0.0
    assert extract_prob("yes", entries, True) == 1.0


@pytest.mark.parametrize("withheld", [-9999.0, LOWEST, None])
def test_an_answer_that_hangs_on_a_withheld_number_is_refused(withheld: float | None) -> None:
    with pytest.raises(LogprobsMissingError, match="withheld"):
        extract_prob("yes", raw("Yes", withheld, {"Yes": withheld}), True)
    with pytest.raises(LogprobsMissingError, match="withheld"):
        extract_prob("no", raw("Yes", withheld), use_complement=True)


def test_rounding_above_certainty_gives_no_negative_probability() -> None:
    entries = raw("Yes", 1e-7, {"Yes": 1e-7})
    assert extract_prob("yes", entries) == 1.0
    assert extract_prob("no", entries, use_complement=True) == 0.0


def test_the_complement_of_near_certainty_keeps_its_digits() -> None:
    assert extract_prob("no", raw("Yes", -1.2e-12), use_complement=True) == pytest.approx(1.2e-12, rel=1e-9)


def test_without_alternatives_normalising_makes_no_certainty() -> None:
    assert extract_prob("yes", raw("Yes", math.log(0.6)), use_top_logprobs=True) == pytest.approx(0.6)


def test_no_table_is_refused_with_what_to_do() -> None:
    with pytest.raises(LogprobsMissingError, match=r"SamplingParams\(logprobs=True\)"):
        extract_prob("yes", None)  # type: ignore[arg-type]


def test_a_completion_without_tokens_is_refused() -> None:
    with pytest.raises(LogprobsMissingError, match="no tokens"):
        extract_prob("yes", [])


@pytest.mark.parametrize("index", [-1, 1, -5, True])
def test_an_index_outside_the_completion_is_refused(index: int) -> None:
    with pytest.raises(SettingError, match="token_index must be from 0 to 0"):
        extract_prob("yes", position("Yes", {"Yes": 0.6}), token_index=index)


def test_the_documented_import_path_is_the_same_function() -> None:
    from deluge_nb.util.logprobs import extract_prob as documented

    assert documented is extract_prob
