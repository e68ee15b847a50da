"""Completions as pictures: their colours, where their tokens stand, SVG and PNG."""

from __future__ import annotations

import math
import struct
import unicodedata
import zlib
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deluge_nb import Logprobs, LogprobsMissingError, SettingError, to_png, to_svg
from deluge_nb.render.assets import read_asset
from deluge_nb.render.colors import PALETTES, THEMES, Inks, css_variables, inks_for, mix, parse_color, to_css
from deluge_nb.render.picture.api import fallback_picture
from deluge_nb.render.picture.grid import lay_out
from deluge_nb.render.picture.png import from_palette, size, smaller, to_pixels
from deluge_nb.render.picture.raster import _masks_of
from deluge_nb.render.picture.scene import CELL, LINE
from deluge_nb.render.terminal import COOL, HOT
from deluge_nb.text import bidi
from deluge_nb.text.lines import display_width, graphemes
from deluge_nb.widget.view import PALETTES as OF_THE_WIDGET

from .test_html import FRANCE, HOSTILE, entry

SVG = "{http://www.w3.org/2000/svg}"
COLORS = st.tuples(*[st.integers(0, 255)] * 3)
# What a line may hold: letters of both directions, marks, wide ones, joined ones, and what is drawn as something else.
TEXTS = st.text(st.sampled_from("ab -(1.,)דהעבلم日🦆👩\u200d🇫🇷\n\t\u0301\u202e\x00"), max_size=12)


def unknown(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": -9999.0, "bytes": list(token.encode()), "top_logprobs": []}


def root(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[tuple[str, float, float]]:
    """Texts and their positions."""
    return [(one.text or "", float(one.get("x", "")), float(one.get("y", ""))) for one in root(svg).iter(f"{SVG}text")]


def fills(svg: str) -> list[ElementTree.Element]:
    """The rectangles of the tokens and of the legend's steps."""
    return [one for one in root(svg).iter(f"{SVG}rect") if one.get("rx") == "2"]


def written_lines(*tokens: str, width: int = 40) -> list[str]:
    """The lines as they are seen, from left to right; texts that run from right to left turned back."""
    found = lay_out([token.encode() for token in tokens], width)
    lines = [[" "] * width for _ in range(found.lines)]
    for one in found.pieces:
        seen = one.text[::-1] if one.turned else one.text
        lines[one.line][one.column : one.column + one.cells] = list(seen)
    return ["".join(line).rstrip() for line in lines]


def decoded(picture: bytes) -> np.ndarray:
    """Red, green and blue of a PNG that has a palette."""
    width, height = size(picture)
    head = struct.unpack(">IIBBBBB", picture[16:29])
    assert head[2:4] == (8, 3)
    parts: dict[bytes, bytes] = {}
    at = 8
    while at < len(picture):
        length = struct.unpack_from(">I", picture, at)[0]
        kind, content = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", picture, at + 8 + length)[0] == zlib.crc32(kind + content)
        parts[kind] = content
        at += 12 + length
    palette = np.frombuffer(parts[b"PLTE"], np.uint8).reshape(-1, 3)
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return palette[rows[:, 1:]]


# Colours ------------------------------------------------------------------------------------------------------------


def test_the_palettes_are_those_of_the_stylesheet_and_of_the_widget() -> None:
    found = css_variables(read_asset("view.css"))
    assert {"amber", *found} - {""} == set(PALETTES) == set(OF_THE_WIDGET)
    assert set(Inks._fields) <= set(found[""])
    assert all(set(found[name]) == {"heat", "edge"} for name in PALETTES if name != "amber")


def test_colours_are_read_from_rules_however_they_are_written() -> None:
    css = """/* .deluge { --deluge-text: light-dark(#000000, #000000) } */
    .deluge { color: red; --deluge-text: light-dark(#1f2328, #E8E6E3); --deluge-font: var(--x) }
    .deluge[data-palette=blue]{--deluge-heat:light-dark(#abc,#123456)}
    .deluge-title { --deluge-text: light-dark(#fff, #fff) }"""
    assert css_variables(css) == {"": {"text": ("#1f2328", "#E8E6E3")}, "blue": {"heat": ("#abc", "#123456")}}
    assert parse_color("#abc") == (0xAA, 0xBB, 0xCC)


@given(COLORS)
def test_a_colour_is_written_as_it_is_read(color: tuple[int, int, int]) -> None:
    assert parse_color(to_css(color)) == color


@given(COLORS, COLORS)
def test_a_mixture_of_one_part_is_that_part(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert mix(one, other, 1) == one
    assert mix(one, other, 0) == other
    assert mix(one, one, 0.3) == one


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("palette", PALETTES)
def test_text_can_be_read_on_every_colour_of_every_palette(palette: Any, theme: Any) -> None:
    def luminance(color: tuple[int, int, int]) -> float:
        light = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (part / 255 for part in color)]
        return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]

    own = inks_for(palette, theme)
    for step in range(65):
        for ink in (own.text, own.mark(step / 64)):
            low, high = sorted([luminance(own.fill(step / 64)), luminance(ink)])
            assert (high + 0.05) / (low + 0.05) >= 4.5


def test_the_terminals_colours_are_the_stylesheet_s() -> None:
    inks = inks_for("amber", "light")
    assert (inks.heat, inks.surer) == (HOT, COOL)


# Directions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "seen"),
    [
        (["In", " Hebrew", ": ", "של", "ום", "."], "In Hebrew: םולש."),
        (["שלום", " (", "abc", ") ", "12", "."], ".12 (abc) םולש"),
        (["דג", " 3", ".", "5", " test"], "test 3.5 גד"),
        (["a", " ד 1", "-", "2 ", "b"], "a 1-2 ד b"),
        (["a", " د 1", "-", "2 ", "b"], "a 2-1 د b"),
        (["$5", " ד"], "ד $5"),
        (["ד", " $5"], "$5 ד"),
        (["ab", " (", "דה", ")"], "ab (הד)"),
        (["[", "د", "]"], "[د]"),
        (["!", "?"], "!?"),
    ],
)
def test_what_runs_from_right_to_left_is_put_in_order(tokens: list[str], seen: str) -> None:
    assert written_lines(*tokens) == [seen]


def test_the_number_beside_a_token_reads_from_left_to_right_on_any_line() -> None:
    def written(*tokens: str) -> str:
        octets = [token.encode() for token in tokens]
        pieces = lay_out(octets, 60, beside=["12.5 %", "3 %", "40 %"][: len(tokens)]).pieces
        return " ".join(piece.text[::-1] if piece.turned else piece.text for piece in pieces)

    assert written("דה", " 75", " ש") == "40 % ש 3 % 75 12.5 % הד"
    assert written("In", " דה", " 75") == "In 12.5 % 75 3 % הד 40 %"
    assert written("In", " 75") == "In 12.5 % 75 3 %"


def test_the_lines_of_a_paragraph_run_in_its_direction() -> None:
    tokens = ["aaaa", " bbbb", " דדדד", " 12", "\n", "ד", " 1"]
    assert written_lines(*tokens, width=20) == ["aaaa bbbb 12 דדדד↵", "1 ד"]
    assert written_lines("דדדד", " הההה", " abc", " de", ".", width=10) == ["הההה דדדד", ".abc de"]


def test_letters_of_one_word_are_written_together_whatever_their_tokens() -> None:
    found = lay_out(["العر".encode(), "بية".encode()], 20)
    assert [one.text for one in found.pieces] == ["العربية"]
    assert [(one.token, one.column, one.cells) for one in found.patches] == [(1, 0, 3), (0, 3, 4)]


@given(st.lists(st.integers(0, 4), max_size=12))
def test_an_order_has_every_place_once(depths: list[int]) -> None:
    assert sorted(bidi.visual_order(depths)) == list(range(len(depths)))


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Z"]), max_size=12), st.integers(0, 1))
def test_letters_that_run_from_right_to_left_are_embedded_at_odd_depths(text: str, base: int) -> None:
    for character, depth in zip(text, bidi.levels(text, base), strict=True):
        kind = unicodedata.bidirectional(character)
        assert depth in (0, 1, 2)
        if kind in ("L", "R", "AL"):
            assert depth % 2 == (kind != "L")


# The grid -----------------------------------------------------------------------------------------------------------


@given(st.lists(TEXTS, max_size=12), st.integers(20, 40))
def test_cells_are_of_one_token_each_and_every_letter_has_its_own(tokens: list[str], width: int) -> None:
    found = lay_out([token.encode() for token in tokens], width)
    taken = [(one.line, one.column + at) for one in found.patches for at in range(one.cells)]
    written = [(one.line, one.column + at) for one in found.pieces for at in range(one.cells)]
    assert len(set(taken)) == len(taken)
    assert len(set(written)) == len(written)
    assert set(written) <= set(taken)
    # White space that hangs in the margin keeps one cell.
    assert all(0 <= line < found.lines and -1 <= column < width for line, column in taken)
    assert all(" " not in one.text and one.cells for one in found.pieces)


@pytest.mark.parametrize(
    ("text", "cells"),
    [("日本", [4]), ("👩\u200d👩\u200d👧", [2]), ("🇫🇷", [2]), ("e\u0301a", [2]), ("👍🏽", [2]), ("❤\ufe0f", [2])],
)
def test_what_is_drawn_as_one_has_cells_as_one(text: str, cells: list[int]) -> None:
    assert [one.cells for one in lay_out([text.encode()], 20).pieces] == cells


def test_a_token_that_is_wider_than_a_line_goes_on_in_the_next() -> None:
    assert written_lines("a" * 50, "b", width=20) == ["a" * 20, "a" * 20, "a" * 10 + "b"]
    assert [one.cells for one in lay_out(["日".encode() * 11], 21).patches] == [20, 2]


@given(st.lists(st.sampled_from([" word", "other ", "  two", " ", "    ", "x", "日本", "\u00a0a"]), max_size=40))
def test_wrapped_lines_begin_at_one_left_edge(tokens: list[str]) -> None:
    found = lay_out([token.encode() for token in ["begin", *tokens]], 20)
    # Exotic spaces are drawn as letters are.
    edges = [(one.line, one.column + len(one.text) - len(one.text.lstrip())) for one in found.pieces if not one.marked]
    assert {min(column for at, column in edges if at == line) for line, _ in edges} == {0}
    assert min(patch.column for patch in found.patches) >= -1
    assert min(piece.column for piece in found.pieces) >= -1


def test_an_indentation_after_a_line_break_stays_in_a_picture() -> None:
    assert written_lines("def f():\n", "    return", " 1") == ["def f():↵", "    return 1"]


def test_no_more_lines_are_laid_out_than_are_asked_for() -> None:
    found = lay_out([b"word\n"] * 1000 + [b"x" * 100_000], 20, most=3)
    assert (found.lines, found.tokens) == (3, 3)
    assert lay_out([b"x" * 100_000, b"y"], 20, most=3).tokens == 0


# SVG ----------------------------------------------------------------------------------------------------------------


def test_the_text_is_selectable_and_part_of_the_description() -> None:
    svg = to_svg(FRANCE, title="Capitals & cities")
    assert [text for text, _, y in texts(svg) if y == max(y for _, _, y in texts(svg))] == [
        "The", "capital", "is", "Paris", "."
    ]  # fmt: skip
    assert root(svg).get("role") == "img"
    assert root(svg).findtext(f"{SVG}title") == "Capitals & cities"
    assert root(svg).findtext(f"{SVG}desc") == "Tokens coloured by probability: The capital is Paris."


def test_each_token_stands_on_the_colour_of_its_heat() -> None:
    svg = to_svg(FRANCE, palette="blue", theme="dark")
    own = inks_for("blue", "dark")
    expected = [to_css(own.fill(round(math.sqrt(1 - p) * 200) / 200)) for p in (0.53, 0.93, 0.9, 0.04, 0.6)]
    assert [one.get("fill") for one in fills(svg)][-5:] == expected


def test_the_less_probable_have_a_line_below_and_the_unknown_are_hatched() -> None:
    def lines(*entries: dict[str, Any]) -> list[float]:
        edge = to_css(inks_for("amber", "light").edge)
        own, legend = (
            [float(one.get("height", "")) for one in root(svg).iter() if one.get("fill") == edge]
            for svg in (to_svg([*entries, *[entry("sure", 1.0)] * 3]), to_svg([]))
        )
        return own[len(legend) :]

    assert lines(entry("sure", 0.99)) == []
    (little,), (much,) = lines(entry("a", 0.7)), lines(entry("a", 0.05))
    assert 0 < little < much
    assert lines(unknown("a")) == []
    assert fills(to_svg([unknown("a")]))[-1].get("fill") == "url(#unknown)"


def test_the_legend_is_of_the_scale_that_is_drawn() -> None:
    found = [text for text, _, _ in texts(to_svg(FRANCE, color_by="entropy"))]
    assert found[:8] == ["entropy", "0", "1", "2", "4", "≥", "8", "bits"]


def test_a_narrow_picture_has_its_legend_on_several_lines() -> None:
    lines = {y for text, _, y in texts(to_svg(FRANCE, width=20)) if text in ("probability", "%")}
    assert len(lines) == 3


def test_a_picture_shows_the_number_of_omitted_tokens() -> None:
    found = [text for text, _, _ in texts(to_svg(FRANCE, limit=2))]
    assert found[-4:] == ["…", "3", "more", "tokens"]
    assert "Paris" not in found
    assert "more" not in [text for text, _, _ in texts(to_svg(FRANCE, limit=5))]


@pytest.mark.parametrize("token", HOSTILE)
def test_hostile_text_makes_no_element_and_no_command(token: str) -> None:
    svg = to_svg([entry(token, 0.5)], title=token)
    names = {one.tag.removeprefix(SVG) for one in root(svg).iter()}
    assert names <= {"svg", "title", "desc", "defs", "pattern", "path", "rect", "g", "text"}
    assert not [one for one in svg if unicodedata.category(one) in ("Cc", "Zl", "Zp")]
    assert not set(svg) & set("\u202e\u2066")


@given(st.lists(st.text(max_size=6), max_size=6), st.text(max_size=6))
def test_any_tokens_give_well_formed_svg(tokens: list[str], title: str) -> None:
    svg = to_svg([entry(token, 0.5) for token in tokens], title=title)
    assert {key for one in root(svg).iter() for key in one.attrib} & {"onload", "href", "style"} == set()


def test_a_picture_of_a_short_answer_has_its_numbers() -> None:
    capitals = {" London": 0.2, " Rome": 0.08, " Oslo": 0.04, " Bonn": 0.02, " Riga": 0.01}
    one, two = [entry(" Paris", 0.6, **capitals)], [entry(" Paris", 0.6), entry("\n", 0.25)]
    light = inks_for("amber", "light")
    rects = [rect for rect in root(to_svg(one)).iter(f"{SVG}rect") if rect.get("rx") == "1.5"]
    rails, bars = rects[::2], rects[1::2]
    assert [float(bar.get("width", 0)) / 240 for bar in bars] == pytest.approx([0.6, 0.2, 0.08, 0.04, 0.02], abs=1e-3)
    assert {rail.get("width") for rail in rails} == {"240.00"}
    assert [bar.get("fill") for bar in bars] == [to_css(light.edge), *[to_css(light.bar_fill)] * 4]
    words = [text for text, _, _ in texts(to_svg(one))]
    assert words[-15:] == [
        "·Paris",
        "60",
        "%",
        "·London",
        "20",
        "%",
        "·Rome",
        "8",
        "%",
        "·Oslo",
        "4",
        "%",
        "·Bonn",
        "2",
        "%",
    ]
    # The number of a token with a line break stands in front of it.
    beside = [text for text, _, _ in texts(to_svg(two))]
    assert beside[-6:] == ["Paris", "60", "%", "25", "%", "↵"]
    assert "25" not in [text for text, _, _ in texts(to_svg(two * 2))]
    pixels = decoded(to_png(one, scale=1)).reshape(-1, 3)
    assert {tuple(color) for color in np.unique(pixels, axis=0).tolist()} >= {light.edge, light.bar_fill}


def test_the_picture_is_as_wide_as_what_is_in_it() -> None:
    def width(*tokens: str) -> int:
        return int(root(to_svg([entry(token, 0.5) for token in tokens])).get("width", ""))

    assert width(*"bcd", "a" * 60) - width(*"bcd", "a" * 50) == 10 * CELL
    assert width(*"bcd", "日" * 30) == width(*"bcd", "a" * 60)


# PNG ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("palette", PALETTES)
def test_a_png_has_the_colours_of_its_palette(palette: Any, theme: Any) -> None:
    pixels = decoded(to_png([entry("  ", 0.0001)] * 4, palette=palette, theme=theme, scale=1))
    own = inks_for(palette, theme)
    assert tuple(pixels[0, 0]) == own.ground
    line = pixels[-LINE - 8, 30]
    assert tuple(line) == own.fill(1)
    assert {own.line, own.edge} <= {tuple(color) for color in pixels.reshape(-1, 3).tolist()}


def test_a_scale_is_of_pixels() -> None:
    sizes = [size(to_png(FRANCE, scale=scale)) for scale in (1, 2, 1.5)]
    svg = root(to_svg(FRANCE))
    assert sizes[0] == (int(svg.get("width", "")), int(svg.get("height", "")))
    assert sizes[1] == (2 * sizes[0][0], 2 * sizes[0][1])
    assert sizes[2] == (round(1.5 * sizes[0][0]), round(1.5 * sizes[0][1]))


def test_letters_that_the_fonts_have_are_no_empty_boxes() -> None:
    box = _masks_of([("\ue123", "mono", 1, False)], 16)["\ue123", "mono", 1, False].cover
    letters = [("a", "mono"), ("é", "mono"), ("Ω", "mono"), ("Ж", "mono"), ("↵", "mono"), ("⇥", "mono"), ("א", "sans")]
    masks = _masks_of([(letter, face, 1, face == "sans") for letter, face in letters], 16)  # type: ignore[misc]
    seen = [mask.cover for mask in masks.values()]
    assert all(cover.any() and not np.array_equal(cover, box) for cover in seen)
    assert len({cover.tobytes() for cover in seen}) == len(seen)


def test_a_pictograph_has_its_colours() -> None:
    pixels = decoded(to_png([entry("🦆", 0.9999)])).reshape(-1, 3).astype(int)
    green = (pixels[:, 1] > pixels[:, 0] + 40) & (pixels[:, 1] > pixels[:, 2] + 40)
    assert green.sum() > 20


@example(["ב", "..\u200d\t"])
@given(st.lists(TEXTS, max_size=6))
def test_any_tokens_give_a_png(tokens: list[str]) -> None:
    assert decoded(to_png([entry(token, 0.3) for token in tokens], scale=1)).shape[2] == 3


@example(["ב", "..\u200d\t"], 40)
@given(st.lists(TEXTS, max_size=6), st.integers(2, 12))
def test_what_is_written_fits_the_cells_that_it_fills(tokens: list[str], width: int) -> None:
    for one in lay_out([token.encode() for token in tokens], width).pieces:
        if not one.turned and one.face != "sans":  # which are stretched
            assert sum(display_width(part) for part in graphemes(one.text)) <= one.cells


def test_letters_are_drawn_where_they_are_in_the_svg() -> None:
    pixels = decoded(to_png([entry("a   b", 0.9999)], scale=1))
    places = {text: (x, y) for text, x, y in texts(to_svg([entry("a   b", 0.9999)]))}
    (first, y), (second, _) = places["a"], places["b"]
    row = pixels[int(y) - 12 : int(y) + 4].min(axis=(0, 2)) < 128
    assert row[int(first) : int(first) + CELL].any()
    assert row[int(second) : int(second) + CELL].any()
    assert not row[int(first) + CELL : int(second)].any()


def test_what_stands_beside_a_widget_is_small() -> None:
    words = [" the", " model", " was", " sure", " of", " this", ",", " entropy", "ing", "."]
    table = Logprobs.from_entries(entry(words[i % 10], 1 - ((i * 37) % 100 / 100) ** 3) for i in range(1000))
    drawn, width, description = fallback_picture(table, "probability", "", "amber")
    assert len(drawn) < 60_000
    assert size(drawn)[0] == width
    assert description.startswith("Tokens coloured by probability: the model was sure of this, entropy")
    sharp, width, _ = fallback_picture(table[:20], "probability", "", "amber")
    assert size(sharp)[0] == 2 * width
    flood, _, _ = fallback_picture([entry("\n", 0.5)] * 600, "probability", "", "amber")
    assert size(flood)[1] < 2 * 70 * LINE


def filtered(pixels: np.ndarray, kinds: Sequence[int]) -> bytes:
    """The rows of a PNG, each filtered in its way as the standard says."""
    height, width, _ = pixels.shape
    rows = b""
    for at in range(height):
        row = bytearray([kinds[at]])
        for place in range(width * 4):
            own = int(pixels[at].flat[place])
            left = int(pixels[at].flat[place - 4]) if place >= 4 else 0
            up = int(pixels[at - 1].flat[place]) if at else 0
            corner = int(pixels[at - 1].flat[place - 4]) if at and place >= 4 else 0
            slope = left + up - corner
            nearest = min((abs(slope - left), 0, left), (abs(slope - up), 1, up), (abs(slope - corner), 2, corner))[2]
            guess = (0, left, up, (left + up) // 2, nearest)[kinds[at]]
            row.append((own - guess) % 256)
        rows += row
    return rows


@given(st.data())
def test_pixels_are_read_however_their_rows_are_filtered(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    drawn = data.draw(st.lists(st.integers(0, 255), min_size=height * width * 4, max_size=height * width * 4))
    pixels = np.array(drawn, np.uint8).reshape(height, width, 4)
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    blank = from_palette(np.zeros((height, width), np.uint8), [(0, 0, 0)])
    packed = zlib.compress(filtered(pixels, kinds), 0)
    chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    start = blank.index(b"IDAT") - 4
    picture = blank[:start] + chunk + blank[-12:]
    assert np.array_equal(to_pixels(picture), pixels)
    assert np.array_equal(to_pixels(smaller(picture)), pixels)


# What cannot be -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ({"logprobs": 5}, "logprobs"),
        ({"color_by": "colour"}, "color_by"),
        ({"palette": "red"}, "palette"),
        ({"theme": "dim"}, "theme"),
        ({"width": 0}, "width"),
        ({"width": 80.0}, "width"),
        ({"limit": -1}, "limit"),
        ({"scale": 0}, "scale"),
        ({"scale": math.nan}, "scale"),
    ],
)
def test_a_value_that_cannot_be_is_named(arguments: dict[str, Any], setting: str) -> None:
    given: dict[str, Any] = {"logprobs": FRANCE, **arguments}
    for draw in (to_png, to_svg)[: 1 + (setting != "scale")]:
        with pytest.raises(SettingError) as caught:
            draw(**given)
        assert caught.value.setting == setting


def test_a_picture_that_nobody_could_look_at_is_refused() -> None:
    with pytest.raises(SettingError, match="too large: show fewer tokens") as caught:
        to_png([entry("\n", 0.5)] * 9000, scale=8)
    assert caught.value.setting == "limit"


def test_without_a_table_there_is_no_picture() -> None:
    with pytest.raises(LogprobsMissingError):
        to_svg(None)
