"""extract_probs gives the numbers that extract_prob gives for each response."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Logprobs, LogprobsMissingError, SettingError, extract_prob, extract_probs

WORDS = ["yes", "Yes", " yes", "no", "No.", "not", "ye", "\n", "maybe", "1", "10"]
numbers = st.floats(-9, 0) | st.sampled_from([0.0, -9999.0, None])


@st.composite
def positions(draw: st.DrawFn) -> dict[str, Any]:
    words = draw(st.lists(st.sampled_from(WORDS), max_size=6, unique=True))
    top = [{"token": word, "logprob": draw(numbers)} for word in words]
    drawn = draw(st.sampled_from(WORDS))
    logprob = next((one["logprob"] for one in top if one["token"] == drawn), draw(numbers))
    return {"token": drawn, "logprob": logprob, "bytes": None, "top_logprobs": top}


def one_by_one(label: str, answer: Any, **kwargs: Any) -> float:
    try:
        return extract_prob(label, answer, **kwargs)
    except (LogprobsMissingError, SettingError):
        return math.nan


@given(
    st.lists(st.lists(positions(), max_size=3), min_size=1, max_size=6),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2),
    st.booleans(),
)
def test_every_number_is_that_of_extract_prob(
    answers: list[list[dict[str, Any]]], top: bool, normalize: bool, complement: bool, index: int, shared: bool
) -> None:
    kwargs = {
        "use_top_logprobs": top,
        "normalize_top_logprobs": normalize,
        "use_complement": complement,
        "token_index": index,
    }
    tables: list[Any] = [Logprobs.from_entries(answer) for answer in answers]
    if shared:  # as a client's answers are
        whole = Logprobs.from_entries([entry for answer in answers for entry in answer])
        ends = np.cumsum([len(answer) for answer in answers]).tolist()
        tables = [whole[end - len(answer) : end] for end, answer in zip(ends, answers, strict=True)]
    labels = ["yes", "no", "1"]
    got = extract_probs(labels, [SimpleNamespace(logprobs=table) for table in tables], **kwargs)
    expected = [[one_by_one(label, answer, **kwargs) for label in labels] for answer in answers]
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(got[:, 0], extract_probs("yes", tables, **kwargs))


def test_failed_responses_and_short_ones_are_nan() -> None:
    entry = {"token": "Yes", "logprob": -0.1, "bytes": None, "top_logprobs": [{"token": "Yes", "logprob": -0.1}]}
    got = extract_probs("yes", [SimpleNamespace(logprobs=None), [entry], []])
    assert np.isnan(got).tolist() == [True, False, True]
    assert extract_probs("yes", []).shape == (0,)
    assert extract_probs(["yes", "no"], []).shape == (0, 2)


def test_a_custom_matcher_is_called_once_for_each_distinct_token() -> None:
    seen: list[str] = []

    def matches(token: str, label: str) -> bool:
        seen.append(token)
        return token == label

    entry = {"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "a", "logprob": -0.5}]}
    whole = Logprobs.from_entries([entry] * 50)
    got = extract_probs(
        "a", [whole[i : i + 1] for i in range(50)], token_match_fn=matches, normalize_top_logprobs=False
    )
    assert got == pytest.approx([math.exp(-0.5)] * 50)
    assert seen == ["a"]


def test_an_entry_that_is_not_a_response_is_refused() -> None:
    with pytest.raises(SettingError, match=r"responses\[0\]"):
        extract_probs("yes", [3])
    with pytest.raises(SettingError, match="token_or_labels must be a text or a list of texts, not 3"):
        extract_probs(["yes", 3], [])  # type: ignore[list-item]


def test_tables_of_other_shapes_among_equal_ones_are_read_correctly() -> None:
    """One-token answers are stacked as one array; a table of another shape must not be read across its neighbours."""
    top = [{"token": text, "logprob": math.log(p)} for text, p in (("yes", 0.6), ("no", 0.3), ("maybe", 0.1))]

    def entry(length: int) -> dict[str, Any]:
        return {"token": "yes", "logprob": math.log(0.6), "bytes": None, "top_logprobs": top[:length]}

    whole = Logprobs.from_entries([entry(3)])
    other = Logprobs.from_entries([entry(3)])  # over a vocabulary of its own

    def own(entries: list[dict[str, Any]]) -> Logprobs:
        """A table over the same vocabulary as the first."""
        made = Logprobs.from_entries(entries).compact()
        index = {text: place for place, text in enumerate(whole.vocabulary.texts)}
        texts = np.array([index[text] for text in made.vocabulary.texts], np.int32)
        chosen, chosen_logprob, alternative, alternative_logprob, offsets = made.columns
        return Logprobs(
            whole.vocabulary, texts[chosen], chosen_logprob, texts[alternative], alternative_logprob, offsets
        )

    odd = [own([entry(2)]), own([entry(3), entry(1)]), own([]), other, own([entry(0)])]
    for strange in odd:
        for place in (0, 3, 6):
            tables = [own([entry(3)]) for _ in range(7)]
            tables[place] = strange
            got = extract_probs("yes", [SimpleNamespace(logprobs=one) for one in tables])
            expected = [one_by_one("yes", one, use_top_logprobs=True) for one in tables]
            np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_tables_with_different_vocabularies_keep_their_numbers() -> None:
    top = [{"token": text, "logprob": math.log(p)} for text, p in (("yes", 0.5), ("no", 0.25))]
    answers = [
        [{"token": f"w{i}", "logprob": math.log(0.01), "bytes": None, "top_logprobs": top[: 1 + i % 2]}]
        for i in range(20)
    ]
    expected = [one_by_one("yes", one, use_top_logprobs=True) for one in answers]
    np.testing.assert_allclose(extract_probs("yes", answers), expected, rtol=1e-9)
