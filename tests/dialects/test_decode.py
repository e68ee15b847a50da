"""Decoding of replies, also if their JSON is not valid."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.dialects.reading.decode import decode
from deluge_nb.errors import MalformedResponseError


class Inner(msgspec.Struct):
    weight: float


class Reply(msgspec.Struct):
    text: str = ""
    number: float | None = None
    inner: list[Inner] = []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"text": "plain", "number": -0.5}', Reply("plain", -0.5)),
        (b'{"number": NaN}', Reply()),
        (b'{"number": -Infinity}', Reply()),
        (b'{"number": 1e400}', Reply()),
        (b'{"text": "half \\ud83d"}', Reply("half \ufffd")),
        (b'{"text": "\xff"}', Reply("\ufffd")),
        (b'\xef\xbb\xbf{"text": "marked"}', Reply("marked")),
        (b'{"unknown": 1%s, "text": "\\ud83d"}' % (b"0" * 5000), Reply("\ufffd")),
    ],
    ids=["plain", "NaN", "infinity", "too large", "lone surrogate", "broken UTF-8", "byte order mark", "huge integer"],
)
def test_invalid_json_is_read_leniently(body: bytes, expected: Reply) -> None:
    assert decode(body, Reply, "openai") == expected


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"text": 5}', "text"),
        (b'{"inner": [{"weight": 1}, {"weight": "much"}]}', "inner[1].weight"),
        (b'{"inner": [{}]}', "inner[0].weight"),
        (b'{"text": "\\ud83d", "inner": [{}]}', "inner[0].weight"),
        (b"[]", ""),
    ],
)
def test_a_misfit_names_its_field_and_dialect(body: bytes, field: str) -> None:
    with pytest.raises(MalformedResponseError) as found:
        decode(body, Reply, "llamacpp")
    assert (found.value.dialect, found.value.field) == ("llamacpp", field)
    assert found.value.excerpt == body.decode()


def test_the_place_of_a_part_is_put_before_its_field() -> None:
    with pytest.raises(MalformedResponseError) as found:
        decode(b"{}", Inner, "openai", at="choices[0]")
    assert found.value.field == "choices[0].weight"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "an empty body"),
        (b" \n", "an empty body"),
        (b"<html>", "no JSON: '<html>'"),
        (b"[" * 100_000, "no JSON: '\\[\\["),
        (b'{"text": "cut', "no JSON"),
    ],
)
def test_a_body_that_is_not_json_is_quoted_in_the_error(body: bytes, message: str) -> None:
    with pytest.raises(MalformedResponseError, match=message):
        decode(body, Any, "openai")


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for type_ in (Any, Reply, dict[str, msgspec.Raw]):
        with contextlib.suppress(MalformedResponseError):
            decode(body, type_, "openai")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_that_python_writes_is_read(value: Any) -> None:
    decode(json.dumps(value).encode(), Any, "openai")
