"""The measures of a table: entropy bounds, margin, rank, mass and surprisal."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deluge_nb import Logprobs, SettingError

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures" / "probability_vectors.json").read_text("utf-8"))
LOWEST = -3.4028234663852886e38

# A model's logits: spread widely, with ties.
logits = st.lists(st.one_of(st.floats(-40, 0), st.sampled_from([0.0, -1.0, -5.0])), min_size=1, max_size=14)
bases = st.sampled_from([2.0, math.e, 10.0])


def row(chosen: str, logprob: float | None, top: dict[str, float | None]) -> dict[str, Any]:
    listed = [{"token": token, "logprob": value} for token, value in top.items()]
    return {"token": chosen, "logprob": logprob, "bytes": None, "top_logprobs": listed}


def top_of(scores: list[float], k: int, chosen: int = 0, rounding: float | None = None) -> tuple[list[float], Logprobs]:
    """A full distribution, and the table of a server that lists the likeliest ``k`` and the ``chosen``-th token."""
    total = max(scores) + math.log(math.fsum(math.exp(score - max(scores)) for score in scores))
    full = sorted((min(score - total, 0.0) for score in scores), reverse=True)
    listed: dict[str, float | None] = {f"t{i}": value for i, value in enumerate(full[:k])}
    return full, Logprobs.from_entries([row(f"t{chosen}", full[chosen], listed)], rounding=rounding)


def entropy_of(full: list[float], base: float = math.e) -> float:
    return -math.fsum(math.exp(value) * value for value in full) / math.log(base)


@st.composite
def observed(draw: st.DrawFn, least: int = 1) -> tuple[list[float], Logprobs]:
    """A distribution and what a server tells of it: at least so many alternatives."""
    scores = draw(logits.filter(lambda found: len(found) >= least))
    k = draw(st.integers(least, len(scores)))
    return top_of(scores, k, draw(st.integers(0, len(scores) - 1)))


# Entropy


@pytest.mark.parametrize("vector", VECTORS["entropy_bounds"], ids=lambda vector: vector["about"])
def test_bounds_agree_with_numbers_computed_at_high_precision(vector: dict[str, Any]) -> None:
    top: dict[str, float | None] = {f"t{i}": value for i, value in enumerate(vector["top_logprobs"])}
    table = Logprobs.from_entries([row("t0", vector["top_logprobs"][0], top)])
    lower, upper = table.entropy_bounds(vector["vocab_size"], base=math.e)
    assert lower[0] == pytest.approx(vector["lower"], rel=1e-11)
    assert upper[0] == pytest.approx(float(vector["upper"]), rel=1e-11)
    assert table.top_mass()[0] == pytest.approx(vector["mass"], rel=1e-11)


@given(observed(), bases)
def test_the_true_entropy_lies_within_the_bounds(seen: tuple[list[float], Logprobs], base: float) -> None:
    full, table = seen
    lower, upper = table.entropy_bounds(len(full), base=base)
    assert lower[0] - 1e-9 <= entropy_of(full, base) <= upper[0] + 1e-9


@given(observed(), st.integers(0, 1000))
def test_a_larger_vocabulary_only_raises_the_upper_bound(seen: tuple[list[float], Logprobs], more: int) -> None:
    full, table = seen
    exact, wider = table.entropy_bounds(len(full)), table.entropy_bounds(len(full) + more)
    assert wider.upper[0] >= exact.upper[0] - 1e-9
    assert wider.lower[0] == pytest.approx(exact.lower[0], abs=1e-9)


@given(observed())
def test_without_a_vocabulary_size_the_bounds_are_wider_still(seen: tuple[list[float], Logprobs]) -> None:
    full, table = seen
    lower, upper = table.entropy_bounds(base=math.e)
    assert lower[0] - 1e-9 <= entropy_of(full) <= upper[0] + 1e-9


@given(logits, st.data())
def test_each_further_alternative_narrows_the_bounds(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(scores)))
    fewer, more = (
        top_of(scores, count, rounding=0)[1].entropy_bounds(len(scores)) for count in (k, min(k + 1, len(scores)))
    )
    assert fewer.lower[0] <= more.lower[0] + 1e-9
    assert more.upper[0] <= fewer.upper[0] + 1e-9


@given(logits, bases)
def test_a_complete_list_has_one_entropy(scores: list[float], base: float) -> None:
    full, table = top_of(scores, len(scores))
    lower, upper = table.entropy_bounds(len(full), base=base)
    assert lower[0] == pytest.approx(entropy_of(full, base), abs=1e-9)
    assert upper[0] == pytest.approx(lower[0], abs=1e-9)


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_lower_bound_of_an_even_distribution_is_reached(size: int, k: int) -> None:
    _, table = top_of([0.0] * size, min(k, size))
    lower, upper = table.entropy_bounds(size, base=math.e)
    assert lower[0] == pytest.approx(math.log(size), abs=1e-9)
    assert upper[0] == pytest.approx(math.log(size), abs=1e-9)


@given(st.lists(st.floats(-3, 0), min_size=1, max_size=5), st.integers(1, 9))
def test_the_upper_bound_is_reached_where_the_rest_is_spread_evenly(scores: list[float], hidden: int) -> None:
    full, table = top_of([*scores, *[-4.0] * hidden], len(scores))
    assert table.entropy_bounds(len(full), base=math.e).upper[0] == pytest.approx(entropy_of(full), abs=1e-9)


@given(observed())
def test_entropy_is_the_lower_bound(seen: tuple[list[float], Logprobs]) -> None:
    _, table = seen
    assert table.entropy().tolist() == table.entropy_bounds().lower.tolist()


def test_what_is_not_listed_is_not_taken_for_certainty() -> None:
    table = Logprobs.from_entries([row("a", math.log(0.01), {"a": math.log(0.01)})])
    assert table.entropy()[0] == pytest.approx(math.log2(100))


def test_the_size_of_the_vocabulary_is_remembered() -> None:
    entries = [row("a", math.log(0.5), {"a": math.log(0.5)})]
    table = Logprobs.from_entries(entries, vocab_size=3)
    assert table.entropy_bounds().upper[0] == pytest.approx(1.5)
    assert table.entropy_bounds(5).upper[0] == pytest.approx(2)
    assert Logprobs.from_entries(entries).entropy_bounds().upper[0] == math.inf


@given(observed())
def test_entropy_in_bits_is_entropy_over_ln_2(seen: tuple[list[float], Logprobs]) -> None:
    _, table = seen
    np.testing.assert_allclose(table.entropy(), table.entropy(math.e) / math.log(2), rtol=1e-12)


def test_alternatives_that_exceed_one_in_total_are_read_relatively() -> None:
    table = Logprobs.from_entries([row("a", math.log(0.6), {"a": math.log(0.6), "b": math.log(0.6)})])
    lower, upper = table.entropy_bounds(base=math.e)
    assert lower[0] == upper[0] == pytest.approx(math.log(2))
    assert table.top_mass()[0] == 1.0


def test_rounding_above_certainty_is_certainty() -> None:
    table = Logprobs.from_entries([row("a", 1e-7, {"a": 1e-7, "b": -30.0})], vocab_size=50_000)
    assert table.entropy()[0] == pytest.approx(0.0, abs=1e-10)
    exact = Logprobs.from_entries(table, vocab_size=50_000, rounding=0)
    assert exact.entropy_bounds().upper[0] == pytest.approx(0.0, abs=1e-10)
    # In single precision a hidden token may have up to the least listed probability, exp(-30).
    assert 0 < table.entropy_bounds(base=math.e).upper[0] < 50_000 * math.exp(-30) * 31


def test_a_rest_smaller_than_rounding_keeps_its_digits() -> None:
    table = Logprobs.from_entries([row("a", -1e-18, {"a": -1e-18})], vocab_size=2)
    assert table.entropy(math.e)[0] == pytest.approx(1e-18 * (1 - math.log(1e-18)), rel=1e-6)


def test_a_vocabulary_smaller_than_the_list_is_refused() -> None:
    _, table = top_of([0.0] * 4, 3, chosen=3)
    with pytest.raises(
        SettingError, match="vocab_size must be at least the number of alternatives, 4, not 3"
    ) as caught:
        table.entropy_bounds(3)
    assert (caught.value.setting, caught.value.value) == ("vocab_size", 3)


@pytest.mark.parametrize("base", [1, 0, -2, math.inf, math.nan, "a", "2", None, True, 2j, [2]])
def test_a_base_that_is_none_is_refused(base: Any) -> None:
    _, table = top_of([0.0, -1.0], 2)
    for measure in ("surprisal", "entropy", "entropy_bounds"):
        with pytest.raises(SettingError, match="base must be a positive number other than 1") as caught:
            getattr(table, measure)(base=base)
        assert repr(base) in str(caught.value)


@pytest.mark.parametrize("size", ["a", 2.5, True, math.nan, [10]])
def test_a_vocabulary_size_that_is_no_whole_number_is_refused(size: Any) -> None:
    _, table = top_of([0.0, -1.0], 2)
    with pytest.raises(SettingError, match="vocab_size must be a whole number, or None where it is unknown, not"):
        table.entropy_bounds(size)


# Margin


def test_the_margin_is_the_difference_of_the_two_likeliest() -> None:
    vector = VECTORS["margin"]
    first, second = vector["top_logprobs"]
    table = Logprobs.from_entries([row("a", first, {"a": first, "b": second})])
    assert table.margin()[0] == pytest.approx(vector["expected"], rel=1e-12)


@given(observed(least=2))
def test_two_alternatives_settle_the_margin(seen: tuple[list[float], Logprobs]) -> None:
    full, table = seen
    assert table.margin()[0] == pytest.approx(math.exp(full[0]) - math.exp(full[1]), abs=1e-12)


@given(logits, st.integers(0, 13))
def test_one_alternative_gives_the_least_possible_lead(scores: list[float], chosen: int) -> None:
    full, table = top_of(scores, 1, min(chosen, len(scores) - 1))
    second = math.exp(full[1]) if len(full) > 1 else 0.0
    assert table.margin()[0] <= math.exp(full[0]) - second + 1e-12


def test_a_hidden_runner_up_holds_at_most_the_rest() -> None:
    p = [0.6, 0.3]
    table = Logprobs.from_entries([row("a", math.log(value), {"a": math.log(value)}) for value in p])
    assert table.margin() == pytest.approx([0.2, 0.0])


def test_a_chosen_token_outside_the_list_can_be_the_runner_up() -> None:
    table = Logprobs.from_entries([row("b", math.log(0.3), {"a": math.log(0.6)})])
    assert table.margin()[0] == pytest.approx(0.3)


def test_a_chosen_token_likelier_than_the_list_leads() -> None:
    table = Logprobs.from_entries([row("b", math.log(0.6), {"a": math.log(0.3), "c": math.log(0.1)})])
    assert table.margin()[0] == pytest.approx(0.3)


def test_a_tie_has_no_margin() -> None:
    _, table = top_of([0.0, 0.0, -1.0], 3)
    assert table.margin()[0] == 0.0


def test_the_order_of_the_alternatives_does_not_matter() -> None:
    listed: dict[str, float | None] = {"c": math.log(0.1), "a": math.log(0.6), "b": math.log(0.3)}
    table = Logprobs.from_entries([row("b", math.log(0.3), listed)])
    assert table.margin()[0] == pytest.approx(0.3)
    assert table.rank()[0] == 2


# Rank


@given(observed())
def test_the_rank_is_the_place_or_one_past_the_list(seen: tuple[list[float], Logprobs]) -> None:
    full, table = seen
    listed = [entry["token"] for entry in table.top(0)]
    chosen = table.tokens[0]
    likelier = sum(value > full[int(chosen[1:])] for value in full)
    assert table.rank()[0] == (likelier + 1 if chosen in listed else len(listed) + 1)


def test_the_same_text_with_other_bytes_is_another_token() -> None:
    entry = {
        "token": "\ufffd",
        "logprob": math.log(0.2),
        "bytes": [159],
        "top_logprobs": [
            {"token": "\ufffd", "logprob": math.log(0.5), "bytes": [158]},
            {"token": "\ufffd", "logprob": math.log(0.2), "bytes": [159]},
        ],
    }
    assert Logprobs.from_entries([entry]).rank()[0] == 2
    entry["bytes"] = [157]
    assert Logprobs.from_entries([entry]).rank()[0] == 3


def test_the_same_text_with_another_id_is_another_token() -> None:
    top = [{"token": "a", "logprob": math.log(0.5), "id": 1}, {"token": "a", "logprob": math.log(0.2), "id": 2}]
    made = Logprobs.from_entries([{"token": "a", "logprob": math.log(0.2), "id": 2, "top_logprobs": top}])
    assert made.rank()[0] == 2
    assert made.top_mass()[0] == pytest.approx(0.7)


def test_of_tokens_alike_in_text_the_likeliest_is_meant() -> None:
    top = [{"token": "b", "logprob": -0.5}, {"token": "a", "logprob": -1.0}, {"token": "a", "logprob": -9.0}]
    assert Logprobs.from_entries([{"token": "a", "logprob": -1.0, "top_logprobs": top}]).rank()[0] == 2


# Mass


@given(observed())
def test_the_mass_is_that_of_the_list_and_the_chosen_token(seen: tuple[list[float], Logprobs]) -> None:
    full, table = seen
    known = {entry["token"] for entry in table.top(0)} | {table.tokens[0]}
    mass = math.fsum(math.exp(value) for i, value in enumerate(full) if f"t{i}" in known)
    assert table.top_mass()[0] == pytest.approx(mass, abs=1e-12)
    assert 0.0 <= table.top_mass()[0] <= 1.0


# Surprisal


def test_surprisal_in_bits_agrees_with_a_number_computed_at_high_precision() -> None:
    vector = VECTORS["surprisal_bits"]
    table = Logprobs.from_entries([row("a", vector["logprob"], {})])
    assert table.surprisal(2)[0] == pytest.approx(vector["expected"], rel=1e-12)


@given(st.integers(0, 200), bases)
def test_surprisal_counts_the_powers_of_the_base(power: int, base: float) -> None:
    table = Logprobs.from_entries([row("a", -power * math.log(base), {})])
    assert table.surprisal(base)[0] == pytest.approx(power, abs=1e-12)


@example(0.0)
@given(st.floats(-9000, 0))
def test_surprisal_is_never_negative_nor_minus_zero(logprob: float) -> None:
    found = Logprobs.from_entries([row("a", logprob, {})]).surprisal()[0]
    assert math.copysign(1.0, found) == 1.0


# Units and columns


@pytest.mark.parametrize("bits", [2, 10])
def test_entropy_and_surprisal_are_in_bits_unless_another_base_is_given(bits: int) -> None:
    table = Logprobs.from_entries([row("t0", -bits * math.log(2), {f"t{i}": -bits * math.log(2) for i in range(4)})])
    assert table.surprisal()[0] == pytest.approx(bits)
    assert table.surprisal(math.e)[0] == pytest.approx(bits * math.log(2))
    assert table.entropy()[0] == table.entropy_bounds().lower[0] == pytest.approx(bits)
    assert table.entropy_bounds(base=math.e).lower[0] == pytest.approx(bits * math.log(2))
    assert table.entropy_bounds(2**bits, base=math.e).upper[0] == pytest.approx(bits * math.log(2))


@given(observed(least=2))
def test_every_column_of_the_frame_follows_from_the_log_probabilities(seen: tuple[list[float], Logprobs]) -> None:
    full, table = seen
    table = Logprobs.from_entries(list(table), vocab_size=len(full))
    columns = table.to_dict()
    number = int(table.tokens[0][1:])
    listed = [entry["logprob"] for entry in table.top(0) if entry["logprob"] is not None]
    known = listed if number < len(listed) else [*listed, full[number]]
    expected = {
        "position": 0,
        "logprob": full[number],
        "prob": math.exp(full[number]),
        "surprisal_bits": -full[number] / math.log(2),
        "margin": math.exp(full[0]) - math.exp(full[1]),
        "rank": 1 + sum(value > full[number] for value in listed) if number < len(listed) else math.nan,
        "rank_at_least": 1 + (sum(value > full[number] for value in listed) if number < len(listed) else len(listed)),
        "top_mass": math.fsum(math.exp(value) for value in known),
    }
    for name, value in expected.items():
        assert columns[name][0] == pytest.approx(value, abs=1e-9, nan_ok=True), name
    truth = entropy_of(full, 2)
    assert columns["entropy_lower_bits"][0] - 1e-9 <= truth <= columns["entropy_upper_bits"][0] + 1e-9
    if len(known) == len(full):
        assert columns["entropy_lower_bits"][0] == pytest.approx(truth, abs=1e-9)
    assert set(columns) == {*expected, "token", "entropy_lower_bits", "entropy_upper_bits"}


@given(observed())
def test_a_rank_is_given_only_where_the_token_is_listed(seen: tuple[list[float], Logprobs]) -> None:
    _, table = seen
    columns = table.to_dict()
    assert columns["rank_at_least"].tolist() == table.rank().tolist()
    assert np.isfinite(columns["rank"]).tolist() == table.is_listed.tolist()


@pytest.mark.parametrize("sentinel", [-9999.0, LOWEST, None])
def test_a_token_that_is_listed_without_a_number_has_no_rank(sentinel: float | None) -> None:
    known: dict[str, float | None] = {"a": math.log(0.6), "b": math.log(0.3), "c": sentinel}
    columns = Logprobs.from_entries([row("c", sentinel, known)]).to_dict()
    assert math.isnan(columns["rank"][0])
    assert columns["rank_at_least"][0] == 3


# Rows about which little is known


def test_without_alternatives_only_surprisal_and_mass_are_known() -> None:
    table = Logprobs.from_entries([row("a", math.log(0.25), {})], vocab_size=100)
    assert table.surprisal(2)[0] == pytest.approx(2.0)
    assert table.top_mass()[0] == pytest.approx(0.25)
    assert np.isnan([table.margin()[0], table.rank()[0]]).all()


def test_nothing_known_is_nan() -> None:
    table = Logprobs.from_entries([row("a", None, {}), row("a", -9999.0, {})])
    lower, upper = table.entropy_bounds(100)
    for column in (table.surprisal(), lower, upper, table.margin(), table.rank()):
        assert np.isnan(column).all()
    assert table.top_mass().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("sentinel", [-9999.0, LOWEST, -math.inf, None])
def test_a_censored_alternative_changes_no_measure_but_the_rank(sentinel: float | None) -> None:
    known: dict[str, float | None] = {"a": math.log(0.6), "b": math.log(0.3)}
    plain = Logprobs.from_entries([row("a", math.log(0.6), known)])
    table = Logprobs.from_entries([row("a", math.log(0.6), {**known, "c": sentinel})])
    assert table.entropy()[0] == plain.entropy()[0]
    assert table.margin()[0] == plain.margin()[0]
    assert table.top_mass()[0] == plain.top_mass()[0]
    assert Logprobs.from_entries([row("c", sentinel, {**known, "c": sentinel})]).rank()[0] == 3


def test_rows_of_any_length_keep_to_themselves() -> None:
    rows = [
        row("x", None, {}),
        row("a", math.log(0.6), {"a": math.log(0.6), "b": math.log(0.3)}),
        row("x", math.log(0.5), {}),
        row("b", math.log(0.2), {"a": math.log(0.7)}),
        row("x", None, {}),
    ]
    table = Logprobs.from_entries(rows)
    for measure in (Logprobs.entropy, Logprobs.margin, Logprobs.rank, Logprobs.top_mass, Logprobs.surprisal):
        alone = [measure(Logprobs.from_entries([entry]))[0] for entry in rows]
        np.testing.assert_allclose(measure(table), alone)


def test_no_tokens_give_columns_of_no_values() -> None:
    table = Logprobs.from_entries([], vocab_size=10)
    lower, upper = table.entropy_bounds(base=math.e)
    for column in (lower, upper, table.margin(), table.rank(), table.top_mass(), table.surprisal(), table.prob):
        assert column.shape == (0,)
