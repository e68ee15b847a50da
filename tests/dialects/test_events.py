"""Framing of streams: events must not depend on where the chunks are cut."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.dialects.reading.framing.events import DetectedFraming, JSONLines, ServerSentEvents, split_lines

SENT = st.text("ab:\n\r data;é", max_size=60).map(str.encode)
CUTS = st.lists(st.integers(0, 60), max_size=8)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, *cuts, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def events(*data: bytes) -> list[bytes]:
    reader = ServerSentEvents()
    return [event for piece in data for event in reader.feed(piece)] + reader.rest()


@given(SENT, CUTS)
def test_lines_are_the_same_wherever_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    reader = JSONLines()
    found = [line for piece in pieces(data, cuts) for line in reader.feed(piece)] + reader.rest()
    assert found == data.splitlines()


@given(SENT, CUTS)
def test_events_are_the_same_wherever_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    assert events(*pieces(data, cuts)) == events(data)


def test_an_event_is_its_data() -> None:
    assert events(b'data: {"a": 1}\n\ndata: [DONE]\n\n') == [b'{"a": 1}', b"[DONE]"]


def test_comments_and_other_fields_are_passed_over() -> None:
    assert events(b": OPENROUTER PROCESSING\n\nevent: delta\nid: 7\nretry: 10\ndata: x\n\n") == [b"x"]


def test_the_data_of_several_lines_is_one() -> None:
    assert events(b"data: a\ndata:b\ndata\n\n") == [b"a\nb\n"]


def test_an_event_without_its_empty_line_counts_at_the_end() -> None:
    assert events(b"data: a\r\n\r\ndata: b") == [b"a", b"b"]


def test_a_byte_order_mark_at_the_beginning_is_passed_over() -> None:
    assert events(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


@pytest.mark.parametrize("ignored", [b": x\n", b":\r\n", b" \n", b"\xef\xbb\xbf", b")]}'\n", b"\r", b"for(;;);", b"\0"])
def test_millions_of_ignored_lines_in_one_piece_are_skipped_in_one_step(ignored: bytes) -> None:
    framing = DetectedFraming()
    size = 1 << 21
    # Taking them off one by one copies the rest each time: minutes in place of a blink.
    framing.feed(ignored * (size // len(ignored)))
    assert framing.feed(b'data: {"a": 1}\n\n') == [b'{"a": 1}']


@pytest.mark.parametrize("line", [b"x", b"{}", b" "])
def test_an_event_of_many_lines_takes_little_more_than_its_bytes(line: bytes) -> None:
    reader, piece, count = ServerSentEvents(), b"data:%b\n" % line * 1000, 300
    tracemalloc.start()
    try:
        for _ in range(count):
            assert not reader.feed(piece)
        (event,) = reader.rest()
        for _ in split_lines(event):
            pass
        assert tracemalloc.get_traced_memory()[1] < count * len(piece) + 500_000
    finally:
        tracemalloc.stop()


def test_lines_of_json_in_one_event_are_read_one_by_one() -> None:
    assert list(split_lines(b'{"a": 1}\n\n  \r\n {"b": 2}')) == [b'{"a": 1}', b'{"b": 2}']
    assert list(split_lines(b'{"a":\n1}')) == [b'{"a":\n1}']
