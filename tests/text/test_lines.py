"""Display width and line breaking."""

from __future__ import annotations

import itertools
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.text.glyphs import Fragment
from deluge_nb.text.lines import can_break, display_width, graphemes, wrap_lines

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures" / "line_vectors.json").read_text("utf-8"))
WORDS = st.lists(
    st.text(st.sampled_from("ab -日語「」（）。，、.,()“”"), min_size=1, max_size=4), min_size=1, max_size=24
)


def lines(words: list[str], width: int | None) -> list[list[str]]:
    fragments = [Fragment(token, word, word, word.endswith("↵")) for token, word in enumerate(words)]
    wrapped = [[fragment.shown for fragment in line] for line in wrap_lines(fragments, width)]
    return wrapped[:-1] if words and not wrapped[-1] else wrapped


@pytest.mark.parametrize(("before", "after", "expected"), VECTORS["pairs"])
def test_a_line_breaks_where_the_vectors_say(before: str, after: str, expected: bool) -> None:
    assert can_break(before, after) is expected


@pytest.mark.parametrize(("words", "width", "expected"), VECTORS["lines"])
def test_lines_are_those_of_the_vectors(words: list[str], width: int, expected: list[str]) -> None:
    assert ["".join(line) for line in lines(words, width)] == expected


@given(WORDS, st.integers(8, 20))
def test_no_line_begins_with_closing_punctuation_or_ends_with_an_opening_bracket(words: list[str], width: int) -> None:
    found = lines(words, width)
    assert [word for line in found for word in line] == words
    for before, after in itertools.pairwise(found):
        first, last = after[0][0], before[-1][-1]
        held = first in ".,。，、" or unicodedata.category(first) in ("Pe", "Pf")
        held = held or unicodedata.category(last) in ("Ps", "Pi")
        # Allowed only where the line has no other place to break.
        assert not held or all(not may_break(*pair) for pair in itertools.pairwise(before))


def may_break(before: str, after: str) -> bool:
    held = after[0] in ".,。，、" or unicodedata.category(after[0]) in ("Pe", "Pf")
    return not held and unicodedata.category(before[-1]) not in ("Ps", "Pi")


@pytest.mark.parametrize(
    ("text", "width"),
    [
        *[("ab", 2), ("日本", 4), ("e\u0301", 1), ("🦆", 2), ("a\u200db", 2), ("\u200b", 0), ("한", 2), ("ก็", 1)],
        *[("👩\u200d👩\u200d👧", 2), ("👍🏽", 2), ("❤\ufe0f", 2), ("क्षि", 2), ("🇫🇷", 2), ("1\ufe0f\u20e3", 2)],
        *[("👩🏽\u200d⚕\ufe0f", 2), ("\x07", 0), ("", 0)],
    ],
)
def test_widths_are_those_of_terminals(text: str, width: int) -> None:
    assert display_width(text) == width


@given(st.text(max_size=20))
def test_graphemes_make_up_the_text_and_its_width(text: str) -> None:
    assert "".join(graphemes(text)) == text
    assert display_width(text) == sum(map(display_width, graphemes(text)))
