"""Tables as bytes for the browser."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Logprobs
from deluge_nb._glyphs import label
from deluge_nb._pack import CHUNK, pack, pack_alternatives, pack_tokens, unpack

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
def test_a_block_gives_back_what_was_packed(fields: dict[str, str], columns: dict[str, Any]) -> None:
    found_fields, found = unpack(pack(fields, columns))
    assert found_fields == fields
    assert found.keys() == columns.keys()
    for name, column in columns.items():
        assert found[name].dtype == column.dtype
        np.testing.assert_array_equal(found[name], column)


@given(FIELDS, COLUMNS)
def test_every_column_starts_where_typed_arrays_can(fields: dict[str, str], columns: dict[str, Any]) -> None:
    block = pack(fields, columns)
    assert (4 + int.from_bytes(block[:4], "little")) % 8 == 0
    assert len(block) % 8 == 0


def test_tokens_are_packed_with_their_numbers() -> None:
    table = Logprobs.from_entries([entry("a", -0.5, (" b", -1.5)), entry("\n", -2.0), entry("z", -9999.0)])
    fields, columns = unpack(pack_tokens(table))
    assert fields["count"] == 3
    assert [fields["shown"][at] for at in columns["shownAt"]] == ["a", "↵", "z"]
    assert [fields["copied"][at] for at in columns["copiedAt"]] == ["a", "\n", "z"]
    np.testing.assert_allclose(columns["logprob"], [-0.5, -2.0, math.nan])
    np.testing.assert_allclose(columns["tail"][0], 1 - math.exp(-0.5) - math.exp(-1.5), rtol=1e-6)
    np.testing.assert_allclose(columns["entropy"], table.entropy(base=2), rtol=1e-6)
    assert columns["rank"].tolist()[:2] == [1, 1]
    assert columns["offsets"].tolist() == [0, 2, 3, 4]


def test_a_table_of_no_tokens_can_be_packed() -> None:
    table = Logprobs.from_entries([])
    assert unpack(pack_tokens(table))[0]["count"] == 0
    assert unpack(pack_alternatives(table))[1]["labelAt"].tolist() == []


def test_chunks_of_alternatives_add_up_to_all_of_them() -> None:
    table = Logprobs.from_entries(entry(f"t{i % 7}", -0.1 * (i % 9 + 1), ("x", -3.0)) for i in range(2 * CHUNK + 5))
    _, whole = unpack(pack_alternatives(table))
    parts = [unpack(pack_alternatives(table, chunk)) for chunk in range(3)]
    assert [(fields["first"], fields["last"]) for fields, _ in parts] == [
        (0, CHUNK),
        (CHUNK, 2 * CHUNK),
        (2 * CHUNK, 2 * CHUNK + 5),
    ]
    for name, column in whole.items():
        np.testing.assert_array_equal(np.concatenate([columns[name] for _, columns in parts]), column)


def test_tokens_that_only_look_alike_are_told_apart() -> None:
    table = Logprobs.from_entries([entry(" ", -0.5, ("·", -1.5))])
    fields, columns = unpack(pack_tokens(table))
    _, alternatives = unpack(pack_alternatives(table))
    assert [fields["labels"][at] for at in alternatives["labelAt"]] == ["·", "·"]
    assert (alternatives["labelAt"] == columns["labelAt"][0]).tolist() == [True, False]


@pytest.mark.parametrize("token", ["</script>", "<img src=x onerror=alert(1)>", "\u202e", "\x00", '"', "\\"])
def test_hostile_text_crosses_as_text(token: str) -> None:
    fields, columns = unpack(pack_tokens(Logprobs.from_entries([entry(token, -1.0)])))
    assert fields["copied"][columns["copiedAt"][0]] == token
    assert fields["labels"][columns["labelAt"][0]] == label(token.encode())
