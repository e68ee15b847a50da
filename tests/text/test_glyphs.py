"""Fragments and labels: tokens as they are drawn for people."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.text.glyphs import HIGHEST_PILE, LONGEST, fragments, label, short_label


@st.composite
def cut_texts(draw: st.DrawFn) -> list[bytes]:
    """A text's bytes cut anywhere, also within characters."""
    octets = draw(st.one_of(st.text(max_size=40).map(str.encode), st.binary(max_size=40)))
    cuts = sorted(draw(st.lists(st.integers(0, len(octets)), max_size=12)))
    return [octets[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True)]


def shown(*tokens: str | bytes) -> list[str]:
    return [one.shown for one in fragments([t if isinstance(t, bytes) else t.encode() for t in tokens])]


@given(cut_texts())
def test_the_copied_text_is_the_text_for_any_split_into_tokens(tokens: list[bytes]) -> None:
    drawn = fragments(tokens)
    assert "".join(one.copied for one in drawn) == b"".join(tokens).decode("utf-8", "replace")


@given(cut_texts())
def test_every_token_has_a_visible_fragment_in_the_order_of_the_tokens(tokens: list[bytes]) -> None:
    drawn = fragments(tokens)
    owners = [one.token for one in drawn]
    assert owners == sorted(owners)
    assert set(owners) == set(range(len(tokens)))
    assert all(one.shown for one in drawn)


@given(cut_texts())
def test_no_control_character_is_ever_drawn(tokens: list[bytes]) -> None:
    drawn = [one.shown for one in fragments(tokens)] + [label(token) for token in tokens]
    assert not [c for text in drawn for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp")]


@given(cut_texts())
def test_a_fragment_ends_its_line_exactly_where_the_text_does(tokens: list[bytes]) -> None:
    for one in fragments(tokens):
        assert one.breaks == one.copied.endswith("\n")
        assert "\n" not in one.copied[:-1]


def test_words_are_drawn_unchanged() -> None:
    assert shown("The", " capital", " of", " naïve", " 日本") == ["The", " capital", " of", " naïve", " 日本"]


def test_tokens_of_only_white_space_are_drawn_as_marks() -> None:
    assert shown(" ", "   ", "\n", "  \n", "\t") == ["·", "···", "↵", "··↵", "⇥   "]


def test_a_token_of_several_lines_is_several_fragments() -> None:
    assert [(one.token, one.shown, one.breaks) for one in fragments([b"a\n\nb"])] == [
        (0, "a↵", True),
        (0, "↵", True),
        (0, "b", False),
    ]


def test_a_cut_character_is_drawn_on_the_token_that_completes_it() -> None:
    assert shown(b"a\xf0", b"\x9f", b"\xa6\x86b") == ["a", "▏", "🦆b"]


def test_a_character_that_never_completes_is_the_replacement_character() -> None:
    assert shown(b"\xf0\x9f") == ["�"]
    assert shown(b"\xf0\x9f", "a") == ["▏", "�a"]


def test_an_emoji_of_several_characters_stays_one() -> None:
    assert shown("👩‍💻!") == ["👩‍💻!"]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", "∅"),
        ("\x00", "␀"),
        ("\x1b", "␛"),
        ("\x7f", "␡"),
        ("\u200b", "⟨U+200B⟩"),
        ("\u00a0", "⟨U+00A0⟩"),
        ("\u202e", "⟨U+202E⟩"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("a\x9b31m", "a⟨U+009B⟩31m"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("\u0301", "◌\u0301"),
        ("\ufe0f", "⟨U+FE0F⟩"),
        ("\u034f", "⟨U+034F⟩"),
        ("\U000e0100", "⟨U+E0100⟩"),
        ("\u093f", "◌\u093f"),
        ("\u20e3", "◌\u20e3"),
    ],
)
def test_an_invisible_character_is_drawn_as_its_name(token: str, expected: str) -> None:
    assert shown(token) == [expected]
    assert label(token.encode()) == expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("\U0001f3fd", "⟨U+1F3FD⟩"),
        ("x\U0001f3fd", "x⟨U+1F3FD⟩"),
        ("👍\U0001f3fd", "👍\U0001f3fd"),
        ("☝\ufe0f\U0001f3fd", "☝\ufe0f\U0001f3fd"),
        ("\u200d👧", "⟨U+200D⟩👧"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("\ufe0f\u20e3", "⟨U+FE0F⟩\u20e3"),
        ("1\ufe0f\u20e3", "1\ufe0f\u20e3"),
        ("🇫", "⟨U+1F1EB⟩"),
        ("🇫🇷", "🇫🇷"),
        ("🇷🇩🇪", "⟨U+1F1F7⟩🇩🇪"),
        ("a🇩🇪🇫", "a🇩🇪⟨U+1F1EB⟩"),
        ("\U000e0067\U000e007f", "⟨U+E0067⟩⟨U+E007F⟩"),
        ("🏴\U000e0067\U000e007f", "🏴\U000e0067\U000e007f"),
    ],
)
def test_what_would_join_another_token_is_drawn_as_its_name(token: str, expected: str) -> None:
    assert shown(token) == [expected]
    # A label names joiners within the token, too: tokens that look alike are listed below each other.
    assert all(name in label(token.encode()) for name in re.findall("⟨.*?⟩", expected))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (b" Paris", "·Paris"),
        (b"New York ", "New York·"),
        (b"\xf0\x9f", "⟨F0 9F⟩"),
        (b"a\nb", "a↵b"),
    ],
)
def test_a_label_shows_the_outer_spaces_and_the_bytes_of_a_token(token: bytes, expected: str) -> None:
    assert label(token) == expected


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u034f", "\u0e31", "\u0301\u200d"])
@pytest.mark.parametrize("before", ["", "a", "日", "ab c"])
@pytest.mark.parametrize("after", ["", "z", "e\u0301", "\n"])
def test_of_a_pile_of_marks_thirty_are_drawn_and_the_others_counted(before: str, mark: str, after: str) -> None:
    pile = mark * (1000 // len(mark))
    text = before + pile + after
    (one,) = fragments([text.encode()])
    assert one.copied == text
    for drawn in (one.shown, label(text.encode())):
        seen = drawn.replace("⟨U+200D⟩", "\u200d").replace("⟨U+034F⟩", "\u034f")
        assert f"{pile[:HIGHEST_PILE]}⟨+970⟩" in seen
        assert len(seen) < 200


@pytest.mark.parametrize("unit", ["x", "ab ", "\n", "日", "\u0301", "\u202e"])
def test_of_a_token_of_five_megabytes_the_beginning_is_drawn_and_the_rest_counted(unit: str) -> None:
    text = unit * (5_000_000 // len(unit.encode()))
    drawn = fragments([text.encode(), b" end"])
    assert "".join(one.copied for one in drawn) == f"{text[:LONGEST]} end"
    assert drawn[-2].shown == f"⟨+{len(text) - LONGEST}⟩"
    assert sum(len(one.shown) for one in drawn) < 10 * LONGEST


def test_each_letter_has_a_pile_of_its_own() -> None:
    low, high = "\u0301" * 30, "\u0302" * 30
    assert shown(f"a{low}b{high}") == [f"a{low}b{high}"]
    assert shown(f"a{low}\u0301b{high}\u0302\u0302") == [f"a{low}⟨+1⟩b{high}⟨+2⟩"]


@given(cut_texts())
def test_a_short_label_is_the_label_cut_at_forty_characters(tokens: list[bytes]) -> None:
    for octets in tokens:
        whole, short = label(octets), short_label(octets)
        assert short == whole if len(whole) <= 40 else short == f"{whole[:39]}…"


@pytest.mark.parametrize("text", ["日" * 1000, "x" * 1000, "🦆é" * 500, "\n" * 1000, " " * 1000])
def test_the_short_label_of_a_long_token_begins_like_its_label(text: str) -> None:
    assert short_label(text.encode()) == f"{label(text.encode())[:39]}…"
    assert short_label(b"\xff" + text.encode()).startswith("⟨FF ")
