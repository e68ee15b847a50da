"""The block format, and tables encoded in it for the browser."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Logprobs
from deluge_nb.text.glyphs import label
from deluge_nb.widget.codec import pack, unpack
from deluge_nb.widget.packer import Packer, pack_measures

COLUMNS = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.one_of(
        st.lists(st.floats(width=32), max_size=9).map(lambda v: np.array(v, dtype=np.float32)),
        st.lists(st.integers(0, 2**32 - 1), max_size=9).map(lambda v: np.array(v, dtype=np.uint32)),
        st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9).map(lambda v: np.array(v, dtype=np.int32)),
        st.lists(st.integers(0, 255), max_size=9).map(lambda v: np.array(v, dtype=np.uint8)),
    ),
    max_size=4,
)
FIELDS = st.dictionaries(st.text(max_size=5).filter("columns".__ne__), st.text(max_size=9), max_size=3)


def entry(token: str | bytes, logprob: float | None, *others: tuple[str, float]) -> dict[str, Any]:
    raw = token if isinstance(token, bytes) else token.encode()
    text = raw.decode("utf-8", "replace")
    top: list[dict[str, Any]] = [{"token": text, "logprob": logprob, "bytes": list(raw)}]
    top += [{"token": other, "logprob": value, "bytes": list(other.encode())} for other, value in others]
    return {"token": text, "logprob": logprob, "bytes": list(raw), "top_logprobs": top}


@given(FIELDS, COLUMNS)
def test_unpacking_a_block_returns_the_packed_values(fields: dict[str, str], columns: dict[str, Any]) -> None:
    decoded_fields, decoded = unpack(pack(fields, columns))
    assert decoded_fields == fields
    assert decoded.keys() == columns.keys()
    for name, column in columns.items():
        assert decoded[name].dtype == column.dtype
        np.testing.assert_array_equal(decoded[name], column)


@given(FIELDS, COLUMNS)
def test_columns_are_aligned_for_typed_arrays(fields: dict[str, str], columns: dict[str, Any]) -> None:
    block = pack(fields, columns)
    assert (4 + int.from_bytes(block[:4], "little")) % 8 == 0
    assert len(block) % 8 == 0


def sources(fields: dict[str, Any], columns: dict[str, Any]) -> list[str]:
    """Return the text of each token of a block."""
    by_label = dict(zip(columns["places"].tolist(), fields["sources"], strict=True))
    labels = columns["labelAt"].tolist()
    for token, text_label in zip(columns["odd"].tolist(), columns["oddText"].tolist(), strict=True):
        labels[token - fields["first"]] = text_label
    return [by_label[text_label] for text_label in labels]


def test_tokens_are_packed_with_their_texts_and_log_probabilities() -> None:
    table = Logprobs.from_entries([entry("a", -0.5, (" b", -1.5)), entry("\n", -2.0), entry("z", -9999.0)])
    fields, columns = unpack(Packer().tokens(table))
    assert (fields["first"], fields["count"]) == (0, 3)
    assert sources(fields, columns) == ["a", "\n", "z"]
    assert fields["stretches"] == {"1": [["↵", "\n", 3]]}
    np.testing.assert_allclose(columns["logprob"], [-0.5, -2.0, math.nan])


def test_measures_are_packed_with_their_bounds() -> None:
    table = Logprobs.from_entries([entry("a", -0.5, (" b", -1.5)), entry("\n", -2.0), entry("z", -9999.0)])
    _, columns = unpack(pack_measures(table))
    bounds = table.entropy_bounds(base=2)
    np.testing.assert_allclose(columns["tail"][0], 1 - math.exp(-0.5) - math.exp(-1.5), rtol=1e-6)
    np.testing.assert_allclose(columns["entropy"], bounds.lower, rtol=1e-6)
    np.testing.assert_allclose(columns["entropyMost"], bounds.upper, rtol=1e-6)
    assert columns["rank"].tolist()[:2] == [1, 1]


def test_alternatives_are_packed_by_token() -> None:
    table = Logprobs.from_entries([entry("a", -0.5, (" b", -1.5)), entry("z", -1.0)])
    packer = Packer()
    packer.tokens(table)
    fields, columns = unpack(packer.alternatives(table, 0, 2))
    assert columns["counts"].tolist() == [2, 1]
    by_label = dict(zip(columns["places"].tolist(), fields["sources"], strict=True))
    assert [by_label[text_label] for text_label in columns["labelAt"].tolist()] == ["a", " b", "z"]
    np.testing.assert_allclose(columns["logprob"], [-0.5, -1.5, -1.0])


def test_an_empty_table_can_be_packed() -> None:
    table = Logprobs.from_entries([])
    assert unpack(Packer().tokens(table))[0]["count"] == 0
    assert unpack(Packer().alternatives(table, 0, 0))[1]["labelAt"].tolist() == []
    assert unpack(pack_measures(table))[1]["entropy"].tolist() == []


def test_texts_that_the_browser_has_are_not_repeated() -> None:
    rows = [entry("a", -0.5, ("b", -1.5)), entry("c", -1.0, ("a", -2.0))]
    packer = Packer()
    packer.tokens(Logprobs.from_entries(rows[:1]))
    packer.alternatives(Logprobs.from_entries(rows[:1]), 0, 1)
    packer.commit()
    table = Logprobs.from_entries(rows)
    fields, columns = unpack(packer.tokens(table, 1))
    assert fields["sources"] == ["c"]
    assert len(columns["labelAt"]) == 1
    packer.reset()
    assert unpack(packer.tokens(table))[0]["sources"] == ["a", "b", "c"]


def test_chunks_of_alternatives_add_up_to_all_of_them() -> None:
    table = Logprobs.from_entries(entry(f"t{i % 7}", -0.1 * (i % 9 + 1), ("x", -3.0)) for i in range(1000))
    packer = Packer()
    packer.tokens(table)
    _, whole = unpack(packer.alternatives(table, 0, 1000))
    parts = [unpack(packer.alternatives(table, first, first + 250)) for first in range(0, 1000, 250)]
    assert [(fields["first"], fields["last"]) for fields, _ in parts] == [(0, 250), (250, 500), (500, 750), (750, 1000)]
    for name in ("counts", "labelAt", "logprob"):
        np.testing.assert_array_equal(np.concatenate([columns[name] for _, columns in parts]), whole[name])


def test_tokens_that_only_look_alike_have_different_labels() -> None:
    table = Logprobs.from_entries([entry(" ", -0.5, ("·", -1.5))])
    packer = Packer()
    _, columns = unpack(packer.tokens(table))
    packer.commit()
    fields, alternatives = unpack(packer.alternatives(table, 0, 1))
    (other,) = fields["labels"].values()  # The label of the chosen token came with the tokens.
    assert other == "·"
    assert (alternatives["labelAt"] == columns["labelAt"][0]).tolist() == [True, False]


def test_a_character_cut_across_tokens_is_sent_where_it_is_complete() -> None:
    table = Logprobs.from_entries([entry(b"a", -1.0), entry(b"\xf0\x9f", -1.0), entry(b"\xa6\x86", -1.0)])
    fields, columns = unpack(Packer().tokens(table))
    assert "".join(sources(fields, columns)) == "a🦆"
    assert columns["odd"].tolist() == [1, 2]


def test_rows_that_complete_a_character_are_packed_with_those_that_begin_it() -> None:
    begun = [entry(b"a", -1.0), entry(b"\xf0\x9f", -1.0)]
    packer = Packer()
    packer.tokens(Logprobs.from_entries(begun))
    packer.commit()
    whole = Logprobs.from_entries([*begun, entry(b"\xa6\x86", -1.0)])
    assert packer.safe_start(whole, 2) == 1


@pytest.mark.parametrize("torn", [0, 1, 63, 64, 65, 400])
@pytest.mark.parametrize("whole", [0, 1, 70])
def test_rows_are_packed_again_after_the_last_whole_token(whole: int, torn: int) -> None:
    rows = [entry(b"a", -1.0)] * whole + [entry((b"", b"\xf0")[at % 2], -1.0) for at in range(torn)]
    table = Logprobs.from_entries([*rows, entry(b"\x9f", -1.0)])
    assert Packer().safe_start(table, whole + torn) == whole


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=12))
def test_the_texts_of_a_block_are_the_decoded_bytes(pieces: list[bytes]) -> None:
    table = Logprobs.from_entries([entry(piece, -1.0) for piece in pieces])
    assert "".join(sources(*unpack(Packer().tokens(table)))) == table.text


@pytest.mark.parametrize("token", ["</script>", "<img src=x onerror=alert(1)>", "\u202e", "\x00", '"', "\\"])
def test_hostile_text_crosses_as_text(token: str) -> None:
    fields, columns = unpack(Packer().tokens(Logprobs.from_entries([entry(token, -1.0)])))
    assert sources(fields, columns) == [token]
    index = str(columns["labelAt"][0])
    simple = f"·{token[1:]}" if token.startswith(" ") else token
    assert fields["labels"].get(index, simple) == label(token.encode())
