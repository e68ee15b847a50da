"""Bounds of the probability that an answer begins with a text: the true probability is always within them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deluge_nb import APIResponse, LogprobError, Logprobs, LogprobsMissingError, as_logprobs
from deluge_nb.attribution.beginning import Likelihood, likelihood_of_beginning

Tokens = tuple[bytes, ...]
END = b"</s>"
# With two ways to spell most texts, and a character in pieces.
VOCABULARY: Tokens = (b"a", b"b", b"ab", b"ba", b" a", "é".encode(), b"\xc3", b"\xa9", END)


class Model:
    """A model whose distribution after each list of tokens is random, but always the same."""

    def __init__(self, seed: int, sharpness: float) -> None:
        self.seed, self.sharpness = seed, sharpness

    def after(self, history: Tokens) -> dict[bytes, float]:
        draw = random.Random(f"{self.seed} {history}")
        weights = [math.exp(draw.gauss(0, self.sharpness)) for _ in VOCABULARY]
        return {token: weight / sum(weights) for token, weight in zip(VOCABULARY, weights, strict=True)}

    def probability(self, text: bytes, history: Tokens = ()) -> float:
        """Return the probability that the tokens after some others begin with a text, over all spellings."""
        total = 0.0
        for token, p in self.after(history).items():
            if token != END and token.startswith(text):
                total += p
            elif token != END and text.startswith(token):
                total += p * self.probability(text[len(token) :], (*history, token))
        return total

    def answer(self, length: int, k: int, seed: int) -> APIResponse:
        """Return a drawn answer with the k likeliest alternatives at each token."""
        draw = random.Random(seed)
        history: Tokens = ()
        entries: list[dict[str, Any]] = []
        while len(entries) < length and END not in history:
            distribution = self.after(history)
            (token,) = draw.choices(list(distribution), list(distribution.values()))
            top = sorted(distribution.items(), key=lambda pair: -pair[1])[:k]
            entries.append({**entry(token, distribution[token]), "top_logprobs": [entry(*pair) for pair in top]})
            history = (*history, token)
        reason = "stop" if END in history else "length"
        return APIResponse("toy", completion="x", logprobs=as_logprobs(entries), finish_reason=reason)


def entry(token: bytes, p: float) -> dict[str, Any]:
    return {"token": token.decode("utf-8", "replace"), "logprob": math.log(p), "bytes": list(token)}


@given(
    st.integers(0, 10**6),
    st.sampled_from([0.3, 1.0, 3.0]),
    st.text(st.sampled_from("ab é"), min_size=1, max_size=5),
    st.integers(1, 6),
    st.integers(0, len(VOCABULARY)),
    st.integers(0, 10**6),
)
@example(0, 1.0, "a", 1, 0, 0)
def test_the_true_probability_is_within_the_bounds(
    seed: int, sharpness: float, text: str, length: int, k: int, drawn: int
) -> None:
    model = Model(seed, sharpness)
    truth = model.probability(text.encode())
    found = likelihood_of_beginning(model.answer(length, k, drawn), text)
    assert math.exp(found.low) <= truth + 1e-9
    assert truth <= math.exp(found.high) + 1e-9
    assert math.isnan(found.value) or found.low - 1e-9 <= found.value <= found.high + 1e-9


@given(
    st.integers(0, 10**6),
    st.text(st.sampled_from("ab é"), min_size=1, max_size=5),
    st.integers(1, len(VOCABULARY)),
    st.sampled_from([2, 4]),
    st.integers(0, 10**6),
)
def test_the_true_probability_is_within_the_bounds_of_rounded_numbers(
    seed: int, text: str, k: int, digits: int, drawn: int
) -> None:
    model = Model(seed, 1.0)
    response = model.answer(4, k, drawn)
    rounded = Logprobs.from_entries([round_entry(row, digits) for row in response.logprobs or ()], rounding=10**-digits)
    found = likelihood_of_beginning(APIResponse("toy", completion="x", logprobs=rounded), text)
    assert math.exp(found.low) <= model.probability(text.encode()) + 1e-9
    assert model.probability(text.encode()) <= math.exp(found.high) + 1e-9


def round_entry(row: Mapping[str, Any], digits: int) -> dict[str, Any]:
    top = [round_entry(other, digits) for other in row.get("top_logprobs", ())]
    return {**row, "logprob": round(row["logprob"], digits), "top_logprobs": top}


@given(st.integers(0, 10**6), st.sampled_from("ab"), st.integers(0, 10**6))
def test_a_whole_distribution_leaves_no_doubt_of_a_character_that_no_token_splits(
    seed: int, text: str, drawn: int
) -> None:
    model = Model(seed, 1.0)
    found = likelihood_of_beginning(model.answer(1, len(VOCABULARY), drawn), text)
    assert math.exp(found.value) == pytest.approx(model.probability(text.encode()))
    assert math.exp(found.high) - math.exp(found.low) < 1e-9


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 9), st.integers(0, 10**6))
def test_the_true_difference_is_within_the_bounds(seed: int, other: int, k: int, drawn: int) -> None:
    models = [Model(seed, 1.0), Model(other, 1.0)]
    truth = math.log(models[0].probability(b"ab")) - math.log(models[1].probability(b"ab"))
    left, right = (likelihood_of_beginning(model.answer(2, k, drawn), "ab") for model in models)
    delta = left.minus(right)
    assert delta.low - 1e-9 <= truth <= delta.high + 1e-9


def answered(*entries: dict[str, Any], **fields: Any) -> APIResponse:
    return APIResponse("m", completion="x", logprobs=as_logprobs(list(entries)), **fields)


def listed(token: str, logprob: float, **alternatives: float) -> dict[str, Any]:
    top = {token: logprob, **alternatives}
    entries = [{"token": name, "logprob": value} for name, value in top.items()]
    return {"token": token, "logprob": logprob, "top_logprobs": entries}


def test_a_listed_token_has_its_own_log_probability_and_the_unlisted_rest_above_it() -> None:
    found = likelihood_of_beginning(answered(listed("Yes", math.log(0.7), No=math.log(0.2))), "Yes")
    assert found.value == pytest.approx(math.log(0.7))
    assert found.low == pytest.approx(math.log(0.7))
    assert found.high == pytest.approx(math.log(0.8))


def test_an_alternative_that_was_not_drawn_counts() -> None:
    found = likelihood_of_beginning(answered(listed("No", math.log(0.7), Yes=math.log(0.2))), "Yes")
    assert found.value == pytest.approx(math.log(0.2))
    assert found.high == pytest.approx(math.log(0.3))


def test_an_answer_beyond_the_list_has_an_upper_bound_only() -> None:
    found = likelihood_of_beginning(answered(listed("No", math.log(0.7), Maybe=math.log(0.2))), "Yes")
    assert math.isnan(found.value)
    assert found.low == -math.inf
    assert found.high == pytest.approx(math.log(0.1))


def test_an_answer_that_the_model_gave_is_followed_to_its_end() -> None:
    response = answered(
        listed("New", math.log(0.5), Old=math.log(0.5)), listed(" York", math.log(0.9), x=math.log(0.1))
    )
    found = likelihood_of_beginning(response, "New York")
    assert math.exp(found.value) == pytest.approx(0.45)
    assert math.exp(found.high) == pytest.approx(0.45)


def test_an_answer_that_broke_off_may_still_become_the_text() -> None:
    found = likelihood_of_beginning(answered(listed("New", math.log(0.5), Old=math.log(0.5))), "New York")
    assert math.isnan(found.value)
    assert math.exp(found.high) == pytest.approx(0.5)


def test_a_token_that_ends_the_answer_is_no_text() -> None:
    found = likelihood_of_beginning(answered(listed("<|im_end|>", math.log(0.6), Yes=math.log(0.4))), "Yes")
    assert math.exp(found.high) == pytest.approx(0.4)


def test_a_token_whose_bytes_are_not_known_may_be_anything() -> None:
    found = likelihood_of_beginning(answered(listed("\ufffd", math.log(0.6), Yes=math.log(0.4))), "Yes")
    assert math.exp(found.low) == pytest.approx(0.4)
    assert math.exp(found.high) == pytest.approx(1)


def test_a_withheld_number_ends_what_is_known() -> None:
    top = [{"token": "Yes", "logprob": -9999.0}, {"token": "No", "logprob": math.log(0.25)}]
    found = likelihood_of_beginning(answered({"token": "Yes", "logprob": -9999.0, "top_logprobs": top}), "Yes")
    assert math.isnan(found.value)
    assert math.exp(found.high) == pytest.approx(0.75)


@pytest.mark.parametrize(
    "response",
    [
        APIResponse("m", completion="Yes", note="the server returned none"),
        APIResponse("m", completion="", logprobs=as_logprobs([])),
        answered(listed("Yes", -0.5), thinking="Hm."),
    ],
)
def test_numbers_that_are_not_about_the_answer_are_refused(response: APIResponse) -> None:
    with pytest.raises(LogprobsMissingError):
        likelihood_of_beginning(response, "Yes")


@pytest.mark.parametrize("others", [{}, {"No": -9999.0}, {"No": -2000.0}])
def test_numbers_of_a_token_that_temperature_0_has_already_chosen_are_refused(others: dict[str, float]) -> None:
    with pytest.raises(LogprobsMissingError, match="after temperature 0"):
        likelihood_of_beginning(answered(listed("Yes", 0.0, **others)), "Yes")
    # A model that is nearly certain lists the others with small numbers.
    found = likelihood_of_beginning(answered(listed("Yes", 0.0, No=-30.0)), "Yes")
    assert found.value == 0
    # After another token, what follows is not known.
    found = likelihood_of_beginning(answered(listed("Y", math.log(0.5), No=math.log(0.5)), listed("es", 0.0)), "Yes")
    assert math.isnan(found.value)
    assert math.exp(found.high) == pytest.approx(0.5)


def test_a_list_that_is_no_distribution_is_refused() -> None:
    with pytest.raises(LogprobError):
        likelihood_of_beginning(answered(listed("Yes", -0.1, No=-0.1)), "Yes")


def test_nothing_is_said_of_two_impossible_answers() -> None:
    impossible = Likelihood(math.nan, -math.inf, -math.inf)
    assert math.isnan(impossible.minus(impossible).low)
