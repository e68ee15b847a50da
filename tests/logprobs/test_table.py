"""Logprobs: a table that behaves as the documented list of dicts."""

from __future__ import annotations

import copy
import math
import pickle
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Logprobs, LogprobsMissingError, MissingDependencyError, SettingError

LOWEST = -3.4028234663852886e38
SENTINELS = (-9999.0, LOWEST, -sys.float_info.max, -math.inf, None)

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6)
octets = st.none() | st.lists(st.integers(0, 255), max_size=6)
values = st.one_of(st.floats(-50, 0), st.sampled_from(SENTINELS))
alternatives = st.one_of(
    st.fixed_dictionaries({"token": texts, "logprob": values, "bytes": octets}),
    st.fixed_dictionaries({"token": texts, "logprob": values}),
)


def identity(alternative: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes an alternative a token of its own: a list names equal ones once."""
    return alternative["token"], alternative["logprob"], str(alternative.get("bytes", ...))


entries = st.lists(
    st.fixed_dictionaries(
        {
            "token": texts,
            "logprob": values,
            "bytes": octets,
            "top_logprobs": st.lists(alternatives, max_size=4, unique_by=identity),
        }
    ),
    max_size=8,
)
bounds = st.none() | st.integers(-12, 12)
steps = st.none() | st.integers(-4, 4).filter(bool)


def entry(
    token: str, logprob: float | None, *top: tuple[str, float | None], raw: bytes | None = None
) -> dict[str, Any]:
    """One token as the API sends it; its bytes are those of its text unless given."""
    listed = [{"token": text, "logprob": value, "bytes": list(text.encode())} for text, value in top]
    return {"token": token, "logprob": logprob, "bytes": list(raw or token.encode()), "top_logprobs": listed}


def paris() -> list[dict[str, Any]]:
    return [
        entry("Paris", math.log(0.9), ("Paris", math.log(0.9)), ("Lyon", math.log(0.05))),
        entry(" is", math.log(0.5), (" is", math.log(0.5)), (",", math.log(0.25)), (".", math.log(0.125))),
        entry("!", math.log(0.25)),
    ]


def table(*rows: dict[str, Any]) -> Logprobs:
    return Logprobs.from_entries(rows or paris())


# As a list of dicts


@given(entries)
def test_a_list_of_dicts_comes_back_as_it_went_in(rows: list[dict[str, Any]]) -> None:
    assert list(Logprobs.from_entries(rows)) == rows


@given(entries, bounds, bounds, steps)
def test_a_slice_is_the_slice_of_the_list(
    rows: list[dict[str, Any]], start: int | None, stop: int | None, step: int | None
) -> None:
    sliced = Logprobs.from_entries(rows)[start:stop:step]
    assert isinstance(sliced, Logprobs)
    assert list(sliced) == rows[start:stop:step]


@given(entries, bounds, bounds, steps, bounds, bounds, steps)
def test_a_slice_of_a_slice_is_too(
    rows: list[dict[str, Any]],
    start: int | None,
    stop: int | None,
    step: int | None,
    again: int | None,
    until: int | None,
    by: int | None,
) -> None:
    sliced = Logprobs.from_entries(rows)[start:stop:step][again:until:by]
    assert list(sliced) == rows[start:stop:step][again:until:by]


@given(entries, bounds, bounds, steps)
def test_a_slice_measures_what_the_whole_measures_there(
    rows: list[dict[str, Any]], start: int | None, stop: int | None, step: int | None
) -> None:
    whole, part = Logprobs.from_entries(rows), slice(start, stop, step)
    for measure in (Logprobs.entropy, Logprobs.margin, Logprobs.rank, Logprobs.top_mass, Logprobs.surprisal):
        np.testing.assert_allclose(measure(whole[part]), measure(whole)[part], rtol=1e-9, atol=1e-12)


def test_a_slice_keeps_the_size_of_the_vocabulary() -> None:
    whole = Logprobs.from_entries(paris(), vocab_size=1000)
    assert whole[1:].vocab_size == whole[::2].vocab_size == 1000


@given(entries, st.integers(-10, 10))
def test_an_index_finds_what_it_finds_in_the_list(rows: list[dict[str, Any]], index: int) -> None:
    made = Logprobs.from_entries(rows)
    if -len(rows) <= index < len(rows):
        assert made[index] == rows[index]
        assert made.top(index) == rows[index]["top_logprobs"]
    else:
        count = "1 token" if len(rows) == 1 else f"{len(rows)} tokens"
        with pytest.raises(IndexError, match=rf"of {count}\.$"):
            made[index]
        with pytest.raises(IndexError):
            made.top(index)


def test_a_numpy_integer_is_an_index() -> None:
    assert table()[cast("int", np.int64(1))] == paris()[1]


def test_a_name_is_no_index() -> None:
    with pytest.raises(TypeError):
        table()["token"]  # type: ignore[call-overload]


def test_a_table_is_a_sequence() -> None:
    made = table()
    assert isinstance(made, Sequence)
    assert len(made) == 3
    assert list(reversed(made)) == paris()[::-1]
    assert paris()[1] in made
    assert made.index(cast("Any", paris()[2])) == 2
    assert made.count(cast("Any", paris()[0])) == 1


def test_a_table_equals_the_list_it_was_made_from() -> None:
    made = table()
    assert made == paris()
    assert paris() == made
    assert made == tuple(paris())
    assert made == table()
    assert made[1:] == paris()[1:]


def test_a_table_differs_from_a_list_with_anything_else() -> None:
    made, other = table(), paris()
    other[1]["top_logprobs"][2]["logprob"] -= 1e-9
    assert made != other
    assert made != paris()[:2]
    assert made != [*paris(), paris()[0]]
    assert made != "Paris is!"


def test_a_table_has_no_hash_for_lists_have_none() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(table())


def test_each_access_makes_a_fresh_dict() -> None:
    made = table()
    made[0]["token"] = "Rome"
    made[0]["top_logprobs"].clear()
    made.top(0)[0]["logprob"] = 0.0
    next(iter(made))["token"] = "Rome"
    assert made == paris()


def test_the_dicts_hold_plain_python_values() -> None:
    first = table()[0]
    assert type(first["logprob"]) is float
    assert type(first["top_logprobs"][0]["logprob"]) is float
    assert {type(octet) for octet in first["bytes"] or ()} == {int}


def test_the_columns_cannot_be_written_to() -> None:
    for column in table().columns[:4]:
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_bytes_that_were_left_out_are_not_made_up_for_alternatives() -> None:
    top = [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2.0, "bytes": None}]
    rows = [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": top}]
    assert "bytes" not in Logprobs.from_entries(rows)[0]["top_logprobs"][0]
    assert Logprobs.from_entries(rows) == rows


def test_only_token_and_logprob_must_be_given() -> None:
    made = Logprobs.from_entries([{"token": "a", "logprob": -1.0}])
    assert made == [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}]


@pytest.mark.parametrize("top", [None, (), iter(())])
def test_no_alternatives_may_be_said_in_several_ways(top: object) -> None:
    assert Logprobs.from_entries([{"token": "a", "logprob": -1.0, "top_logprobs": top}])[0]["top_logprobs"] == []


def test_numbers_of_numpy_are_numbers() -> None:
    made = Logprobs.from_entries([{"token": "a", "logprob": np.float32(-0.5), "bytes": np.array([97], np.uint8)}])
    assert made[0] == {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}


# What is refused


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("Paris", "logprobs[0]"),
        (7, "logprobs[0]"),
        (None, "logprobs[0]"),
        ([("token", "a")], "logprobs[0]"),
        ({}, "logprobs[0]['token']"),
        ({"token": 7, "logprob": -1.0}, "logprobs[0]['token']"),
        ({"token": b"a", "logprob": -1.0}, "logprobs[0]['token']"),
        ({"token": "a", "logprob": "-1"}, "logprobs[0]['logprob']"),
        ({"token": "a", "logprob": True}, "logprobs[0]['logprob']"),
        ({"token": "a", "logprob": [-1.0]}, "logprobs[0]['logprob']"),
        ({"token": "a", "logprob": -(10**400)}, "logprobs[0]['logprob']"),
        ({"token": "a", "logprob": np.complex128(1j)}, "logprobs[0]['logprob']"),
        ({"token": "a", "logprob": -1.0, "bytes": "a"}, "logprobs[0]['bytes']"),
        ({"token": "a", "logprob": -1.0, "bytes": 97}, "logprobs[0]['bytes']"),
        ({"token": "a", "logprob": -1.0, "bytes": [256]}, "logprobs[0]['bytes']"),
        ({"token": "a", "logprob": -1.0, "bytes": [-1]}, "logprobs[0]['bytes']"),
        ({"token": "a", "logprob": -1.0, "bytes": [10**30]}, "logprobs[0]['bytes']"),
        ({"token": "a", "logprob": -1.0, "bytes": [9.5]}, "logprobs[0]['bytes']"),
        ({"token": "a", "logprob": -1.0, "top_logprobs": {"a": -1.0}}, "logprobs[0]['top_logprobs']"),
        ({"token": "a", "logprob": -1.0, "top_logprobs": "a"}, "logprobs[0]['top_logprobs']"),
        ({"token": "a", "logprob": -1.0, "top_logprobs": 5}, "logprobs[0]['top_logprobs']"),
        ({"token": "a", "logprob": -1.0, "top_logprobs": ["a"]}, "logprobs[0]['top_logprobs'][0]"),
        ({"token": "a", "logprob": -1.0, "top_logprobs": [{"token": 7}]}, "logprobs[0]['top_logprobs'][0]['token']"),
    ],
)
def test_an_entry_of_another_structure_is_refused_by_its_place(row: object, named: str) -> None:
    with pytest.raises(SettingError) as caught:
        Logprobs.from_entries(cast("Any", [row]))
    assert caught.value.setting == named
    assert str(caught.value).startswith(f"{named} must be ")


def test_the_place_is_that_of_the_entry_at_fault() -> None:
    with pytest.raises(SettingError, match=r"logprobs\[3\]\['logprob'\] must be a number or None, not 'high'"):
        Logprobs.from_entries([*paris(), {"token": "a", "logprob": "high"}])


def test_a_value_that_goes_on_for_long_is_cut_in_the_sentence() -> None:
    with pytest.raises(SettingError) as caught:
        Logprobs.from_entries([{"token": "a", "logprob": "x" * 10_000}])
    assert len(str(caught.value)) < 200
    assert caught.value.value == "x" * 10_000


# Text


def test_a_character_cut_across_tokens_reads_right() -> None:
    smile = "😀".encode()
    made = table(entry("\ufffd", -0.5, raw=smile[:2]), entry("\ufffd", -0.1, raw=smile[2:]), entry("!", -0.2))
    assert made.text == "😀!"
    assert made.tokens == ["\ufffd", "\ufffd", "!"]
    assert made.token_bytes == [smile[:2], smile[2:], b"!"]


def test_half_a_character_alone_reads_as_one_replacement() -> None:
    smile = "😀".encode()
    assert table(entry("\ufffd", -0.5, raw=smile[:2]), entry("!", -0.2))[:1].text == "\ufffd"


def test_halves_of_the_same_text_are_different_tokens() -> None:
    smile = "😀".encode()
    rows = [entry("\ufffd", -0.5, raw=smile[:2]), entry("\ufffd", -0.1, raw=smile[2:])]
    assert Logprobs.from_entries(rows) == rows


def test_a_token_without_bytes_is_its_text() -> None:
    made = Logprobs.from_entries([{"token": "é", "logprob": -1.0, "bytes": None}, {"token": "😀", "logprob": -1.0}])
    assert made.token_bytes == ["é".encode(), "😀".encode()]
    assert made.text == "é😀"


def test_no_tokens_are_no_text() -> None:
    made = Logprobs.from_entries([])
    assert made.text == ""
    assert made.tokens == made.token_ids == made.token_bytes == []


@given(st.lists(st.text(max_size=4), max_size=6))
def test_any_text_can_be_encoded_once_it_is_in_a_table(tokens: list[str]) -> None:
    made = Logprobs.from_entries([{"token": token, "logprob": -1.0} for token in tokens])
    made.text.encode()
    "".join(made.tokens).encode()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("\ud83d", "\ufffd"), ("a\ude00b", "a\ufffdb"), ("\ud83d\ude00", "😀"), ("\ude00\ud83d", "\ufffd\ufffd")],
)
def test_lone_surrogates_become_the_replacement_character(sent: str, kept: str) -> None:
    made = table(entry("x", -1.0, raw=b"x"), {"token": sent, "logprob": -1.0})
    assert made.tokens == ["x", kept]
    listed = table({"token": "x", "logprob": -1.0, "top_logprobs": [{"token": sent, "logprob": -1.0}]})
    assert listed.top(0) == [{"token": kept, "logprob": -1.0}]


def test_the_bytes_of_a_scrubbed_token_are_kept() -> None:
    assert table({"token": "\ud83d", "logprob": -1.0, "bytes": [0xF0, 0x9F]}).token_bytes == [b"\xf0\x9f"]


def test_ids_are_known_where_they_are_given() -> None:
    made = table({"token": "a", "logprob": -1.0, "id": 64}, {"token": "a", "logprob": -1.0})
    assert made.token_ids == [64, None]


def test_a_repr_is_one_short_line() -> None:
    assert repr(table()) == "Logprobs(3 tokens, top 3: 'Paris is!')"
    assert repr(table()[:1]) == "Logprobs(1 token, top 2: 'Paris')"
    assert repr(Logprobs.from_entries([])) == "Logprobs(0 tokens, top 0: '')"
    long = repr(table(*(entry("line\n", -0.1) for _ in range(500))))
    assert "\n" not in long
    assert len(long) < 120


# Sums


def test_columns_are_float64_in_nats() -> None:
    made = table()
    assert made.logprob.dtype == made.prob.dtype == np.float64
    np.testing.assert_allclose(made.prob, [0.9, 0.5, 0.25], rtol=1e-15)
    np.testing.assert_allclose(made.logprob, np.log([0.9, 0.5, 0.25]), rtol=1e-15)
    assert made.top_counts.tolist() == [2, 3, 0]


def test_the_total_is_the_sum_of_the_chosen_tokens() -> None:
    assert table().total_logprob == pytest.approx(math.log(0.9 * 0.5 * 0.25), abs=1e-15)


def test_perplexity_is_the_inverse_of_the_geometric_mean() -> None:
    assert table().perplexity == pytest.approx((0.9 * 0.5 * 0.25) ** (-1 / 3), rel=1e-14)


@given(st.integers(1, 60), st.floats(0.001, 1))
def test_the_perplexity_of_equal_tokens_is_their_inverse_probability(count: int, p: float) -> None:
    made = table(*(entry("a", math.log(p)) for _ in range(count)))
    assert made.perplexity == pytest.approx(1 / p, rel=1e-12)


@pytest.mark.filterwarnings("ignore:This (perplexity|total) leaves out")
@given(entries)
def test_a_certain_token_adds_nothing_and_perplexity_is_at_least_one(rows: list[dict[str, Any]]) -> None:
    made = Logprobs.from_entries([*rows, entry("a", 0.0)])
    assert made.perplexity >= 1.0
    assert made.total_logprob == Logprobs.from_entries(rows).total_logprob


@pytest.mark.parametrize("sentinel", [*SENTINELS, math.nan])
def test_a_sentinel_is_censored_and_never_summed(sentinel: float | None) -> None:
    made = table(*paris(), entry("?", sentinel))
    assert made.censored.tolist() == [False, False, False, True]
    assert math.isnan(made.logprob[3])
    assert math.isnan(made.prob[3])
    assert math.isnan(made.surprisal()[3])
    for number in ("total_logprob", "perplexity"):
        with pytest.warns(UserWarning, match="leaves out the tokens whose log-probability the provider withheld"):
            assert getattr(made, number) == getattr(table(), number)


@pytest.mark.parametrize("sentinel", SENTINELS)
def test_a_sentinel_is_kept_as_it_came_in_the_dicts(sentinel: float | None) -> None:
    rows = [entry("a", sentinel, ("b", sentinel))]
    assert table(*rows)[0]["logprob"] == sentinel
    assert table(*rows).top(0)[0]["logprob"] == sentinel


def test_what_is_no_number_reads_as_null() -> None:
    assert table(entry("a", math.nan))[0]["logprob"] is None


def test_a_token_that_is_merely_unlikely_is_not_censored() -> None:
    made = table(entry("a", -745.0), entry("b", -9998.0))
    assert not made.censored.any()
    assert made.total_logprob == -10743.0


def test_rounding_above_certainty_counts_as_certainty() -> None:
    made = table(entry("a", 1e-7), entry("b", 0.0))
    assert not made.censored.any()
    assert made.prob.tolist() == [1.0, 1.0]
    assert made[0]["logprob"] == 1e-7


def test_a_probability_well_above_one_is_none() -> None:
    made = table(entry("a", 0.1), entry("b", math.inf))
    assert made.censored.all()


def test_perplexity_of_nothing_known_is_refused() -> None:
    for made in (Logprobs.from_entries([]), table(entry("a", None), entry("b", -9999.0))):
        with pytest.raises(LogprobsMissingError, match="at least one token"):
            _ = made.perplexity


@pytest.mark.parametrize("number", ["perplexity", "total_logprob"])
def test_a_number_without_some_tokens_warns_once_for_many_tables_and_never_for_whole_ones(number: str) -> None:
    some = [table(*paris(), *[entry("?", None)] * count) for count in (1, 2, 3)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for made in [table(), *some, *some]:
            assert getattr(made, number) == getattr(table(), number)
    assert [warning.category for warning in caught] == [UserWarning]
    assert Path(caught[0].filename) == Path(__file__)


def test_perplexity_beyond_a_float_is_infinite() -> None:
    assert table(entry("a", -9000.0)).perplexity == math.inf


# Pickles and copies


@given(entries)
def test_a_pickled_table_is_the_same(rows: list[dict[str, Any]]) -> None:
    again = pickle.loads(pickle.dumps(Logprobs.from_entries(rows, vocab_size=100)))
    assert list(again) == rows
    assert again.vocab_size == 100


def test_a_copy_is_the_same() -> None:
    assert copy.copy(table()) == copy.deepcopy(table()) == paris()


def test_ids_and_bytes_survive_pickling() -> None:
    made = table({"token": "\ud83d", "logprob": -1.0, "bytes": [0xF0, 0x9F], "id": 7})
    again = pickle.loads(pickle.dumps(made))
    assert again.token_ids == [7]
    assert again.token_bytes == [b"\xf0\x9f"]


def test_a_pickled_slice_holds_only_its_own_tokens() -> None:
    made = table(*(entry(f"token{i}", -1.0, (f"other{i}", -2.0)) for i in range(500)))
    again = pickle.loads(pickle.dumps(made[10:12]))
    assert again == list(made)[10:12]
    assert len(again.vocabulary) == 4


@given(entries, bounds, bounds)
def test_a_compact_table_is_the_same(rows: list[dict[str, Any]], start: int | None, stop: int | None) -> None:
    assert list(Logprobs.from_entries(rows)[start:stop].compact()) == rows[start:stop]


# Tables for people


def test_plain_columns_have_one_value_per_token() -> None:
    columns = table().to_dict()
    assert {len(column) for column in columns.values()} == {3}
    assert columns["token"] == ["Paris", " is", "!"]
    for name in ("rank", "rank_at_least"):
        assert columns[name][:2].tolist() == [1.0, 1.0]
        assert math.isnan(columns[name][2])


def test_a_data_frame_has_a_row_per_token() -> None:
    frame = table().to_pandas()
    assert frame["position"].tolist() == [0, 1, 2]
    assert frame["token"].tolist() == ["Paris", " is", "!"]
    assert frame["prob"].tolist() == pytest.approx([0.9, 0.5, 0.25])


def test_a_data_frame_of_alternatives_has_a_row_for_each() -> None:
    frame = table().to_pandas(alternatives=True)
    assert frame["position"].tolist() == [0, 0, 1, 1, 1]
    assert frame["token"].tolist() == ["Paris", "Paris", " is", " is", " is"]
    assert frame["alternative"].tolist() == ["Paris", "Lyon", " is", ",", "."]
    assert frame["prob"].tolist() == pytest.approx([0.9, 0.05, 0.5, 0.25, 0.125])


def test_a_data_frame_of_alternatives_follows_a_slice() -> None:
    frame = table()[1:].to_pandas(alternatives=True)
    assert frame["position"].tolist() == [0, 0, 0]
    assert frame["alternative"].tolist() == [" is", ",", "."]


@pytest.mark.parametrize("alternatives", [False, True])
def test_the_data_frame_of_no_tokens_has_its_columns(alternatives: bool) -> None:
    whole, none = table().to_pandas(alternatives=alternatives), Logprobs.from_entries([])
    frame = none.to_pandas(alternatives=alternatives)
    assert len(frame) == 0
    assert frame.columns.tolist() == whole.columns.tolist()


def test_a_sentinel_is_no_number_in_a_data_frame() -> None:
    made = table(entry("a", -9999.0, ("a", -9999.0)))
    assert made.to_pandas()["logprob"].isna().all()
    assert made.to_pandas(alternatives=True)["logprob"].isna().all()


def test_an_arrow_table_holds_the_documented_structure() -> None:
    assert table().to_arrow().to_pylist() == paris()


@given(entries)
def test_an_arrow_table_gives_back_the_same_entries(rows: list[dict[str, Any]]) -> None:
    found = Logprobs.from_entries(rows).to_arrow().to_pylist()
    filled = [
        {**row, "top_logprobs": [{"bytes": None, **alternative} for alternative in row["top_logprobs"]]} for row in rows
    ]
    assert found == filled


@given(st.lists(st.one_of(st.none(), entries), max_size=4))
def test_many_tables_are_one_arrow_table_with_the_number_of_each(lists: list[list[dict[str, Any]] | None]) -> None:
    tables = [None if rows is None else Logprobs.from_entries(rows) for rows in lists]
    expected = [
        {"response": number, **row}
        for number, one in enumerate(tables)
        if one is not None
        for row in one.to_arrow().to_pylist()
    ]
    assert Logprobs.concat_to_arrow(tables).to_pylist() == expected


@given(entries, bounds, bounds, steps)
def test_a_slice_becomes_an_arrow_table_of_its_rows(
    rows: list[dict[str, Any]], start: int | None, stop: int | None, step: int | None
) -> None:
    whole = Logprobs.from_entries(rows)
    assert whole[start:stop:step].to_arrow().to_pylist() == whole.to_arrow().to_pylist()[start:stop:step]


def test_arrow_libraries_read_a_table_directly() -> None:
    import pyarrow

    assert pyarrow.table(cast("Any", table())).to_pylist() == paris()


@pytest.mark.parametrize(("method", "package"), [("to_pandas", "pandas"), ("to_arrow", "pyarrow")])
def test_a_library_that_is_not_installed_is_named(method: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"{method}\(\) needs {package}.*deluge-nb\[tables\]") as caught:
        getattr(table(), method)()
    assert (caught.value.package, caught.value.extra) == (package, "tables")
