"""Tokens on a terminal."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import to_text
from deluge_nb.printable import printable
from deluge_nb.render.terminal import ansi
from deluge_nb.text.glyphs import fragments
from deluge_nb.text.lines import display_width, wrap_lines

TOKENS = st.lists(st.text(st.sampled_from("ab -日🦆\n\u0301"), max_size=6).map(str.encode), max_size=20)


def lines(*tokens: str, width: int | None = None) -> list[str]:
    drawn = fragments([token.encode() for token in tokens])
    return ["".join(one.shown for one in line) for line in wrap_lines(drawn, width)]


@given(TOKENS, st.integers(1, 12))
def test_no_fragment_is_lost_and_no_line_is_wider_than_asked(tokens: list[bytes], width: int) -> None:
    drawn = fragments(tokens)
    found = wrap_lines(drawn, width)
    assert [one for line in found for one in line] == drawn
    for line in found:
        assert sum(display_width(one.shown) for one in line) <= width or len(line) == 1


SPACES = "\t\u00a0\u1680\u2000\u2003\u2009\u200a\u202f\u205f\u3000\u200b\u2060\ufeff\u00ad"
PARTS = [
    *SPACES,
    "a",
    "def f(x):",
    "    ",
    " ",
    "\n",
    "\r\n",
    "e\u0301",
    "\u0301",
    "👩\u200d👧",
    "שלום",
    "日本",
    "<b>&amp;",
    "$x$",
]
SIGNED = ["\x00", "\x1b[31m", "\r", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066"]


@st.composite
def hostile_tokens(draw: st.DrawFn) -> list[bytes]:
    """A text of white space, marks, markup and controls, cut into tokens anywhere, also within characters."""
    octets = "".join(draw(st.lists(st.sampled_from([*PARTS, *SIGNED]), max_size=20))).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(octets)), max_size=12)))
    return [octets[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True)]


def uncolored(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@given(hostile_tokens(), st.floats(0.01, 1))
def test_the_text_on_a_terminal_is_that_of_the_completion(tokens: list[bytes], p: float) -> None:
    rows = [{"token": "?", "logprob": math.log(p), "bytes": list(token)} for token in tokens]
    text = b"".join(tokens).decode("utf-8", "replace")
    # Only what a terminal acts on is a sign. Below it is what is known of a short answer.
    colored = uncolored(to_text(rows, color=True))
    assert colored == printable(text) if len(tokens) > 3 else colored.startswith(printable(text))
    assert to_text(rows).startswith(printable(text))
    # A wrapped line is the only thing that a width adds.
    wrapped = uncolored(to_text(rows, color=True, width=20)).replace("\n", "")
    assert wrapped.startswith(printable(text).replace("\n", ""))


def test_a_tab_takes_up_to_eight_columns() -> None:
    rows = [{"token": token, "logprob": -0.01} for token in ("ab", "\t", "cd")]
    lines = [to_text(rows, width=width).partition("\n\n")[0] for width in (11, 12)]
    assert lines == ["ab\t\ncd", "ab\tcd"]


def test_words_are_whole_where_a_line_is_long_enough() -> None:
    assert lines("one", " two", " thr", "ee", " four", width=12) == ["one two", " three four"]


def test_a_word_longer_than_a_line_is_cut_between_its_tokens() -> None:
    assert lines("abcd", "efgh", "ijkl", width=9) == ["abcdefgh", "ijkl"]


def test_without_a_width_lines_end_where_the_text_ends_them() -> None:
    assert lines("a" * 300, "\n", "b") == ["a" * 300 + "↵", "b"]


@pytest.mark.parametrize(("text", "expected"), [("ab", 2), ("日本", 4), ("e\u0301", 1), ("🦆", 2), ("a\u200db", 2)])
def test_columns_are_counted_as_terminals_do(text: str, expected: int) -> None:
    assert display_width(text) == expected


def test_the_less_probable_the_further_from_white() -> None:
    (one,) = fragments([b"x"])
    blue = [int(re.findall(r"48;2;\d+;\d+;(\d+)", ansi(one, p))[0]) for p in (0.9, 0.5, 0.1, 0.01)]
    assert blue == sorted(blue, reverse=True)
    assert len(set(blue)) == 4


def test_an_all_but_certain_token_has_the_terminals_own_colours() -> None:
    (one,) = fragments([b"x"])
    assert ansi(one, 0.9999) == "x"


def test_an_improbable_token_is_underlined_and_a_withheld_one_struck_through() -> None:
    (one,) = fragments([b"x"])
    assert ";4mx" in ansi(one, 0.3)
    assert ";4mx" not in ansi(one, 0.6)
    assert ansi(one, math.nan) == "\x1b[2;9mx\x1b[0m"
