"""Tokens on a grid of equal cells, as pictures draw them: which cells each takes, and what is written where."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from ...text import bidi
from ...text.glyphs import Fragment, fragments
from ...text.lines import display_width, graphemes, wrap_lines

# Which font a text needs: wide letters, pictographs, and letters that no common monospaced font has.
Face = Literal["mono", "wide", "emoji", "sans", "bold"]

_FLAGS = ("\U0001f1e6", "\U0001f1ff")
# Latin, Greek and Cyrillic without marks of their own, dashes, quotes and arrows: all of them one cell of common fonts.
_PLAIN = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2190-\u21ff]*")
_WORD = re.compile("[^ ]+")
# Latin, Greek, Cyrillic, Armenian and Arabic letters are in monospaced fonts.
_COMMON = re.compile("[\u0000-\u058f\u0600-\u06ff\u1e00-\u20ff]")


class Patch(NamedTuple):
    """Cells of one line that are of one token; ``marked`` where what is written there stands for something else."""

    token: int
    line: int
    column: int
    cells: int
    marked: bool


class Piece(NamedTuple):
    """A text without spaces, and the cells it fills."""

    token: int
    text: str
    line: int
    column: int
    cells: int
    face: Face
    marked: bool
    turned: bool


class Layout(NamedTuple):
    """Patches and pieces line by line, how many lines there are, and how many tokens were begun."""

    patches: list[Patch]
    pieces: list[Piece]
    lines: int
    tokens: int


class _Cluster(NamedTuple):
    """What is drawn as one, and cannot be taken apart."""

    fragment: Fragment
    text: str
    cells: int
    face: Face


def lay_out(octets: Sequence[bytes], width: int, *, most: int | None = None) -> Layout:
    """Tokens on lines of so many columns, at most so many lines.

    A line with letters that run from right to left is put in the order of Unicode's algorithm; it begins at the left as
    all others do.
    """
    drawn = _cut(fragments(octets), width)
    rows = wrap_lines(drawn if most is None else _first(drawn, (most + 1) * width), width)
    if rows and not rows[-1] and len(rows) > 1:
        rows.pop()
    kept = rows if most is None else rows[:most]
    patches: list[Patch] = []
    pieces: list[Piece] = []
    base: int | None = None
    start = 0
    for number, row in enumerate(kept):
        text = "".join(one.shown for one in row)
        if base is None and bidi.turns(text):
            base = bidi.base_level(_paragraph(rows, start))
        if base is None and _PLAIN.fullmatch(text):
            _place_plainly(row, number, patches, pieces)
        else:
            clusters = list(_clusters(row))
            depths = None if base is None else _depths(clusters, text, base)
            _place(clusters, depths, number, patches, pieces)
        if row and row[-1].breaks:
            base, start = None, number + 1
    begun = len(octets) if len(kept) == len(rows) else rows[len(kept)][0].token
    return Layout(patches, pieces, len(kept), begun)


def _paragraph(rows: list[list[Fragment]], start: int) -> str:
    """The text from a line to the next break in it."""
    found: list[str] = []
    for row in rows[start:]:
        found += [one.shown for one in row]
        if row and row[-1].breaks:
            break
    return "".join(found)


def _cut(drawn: list[Fragment], width: int) -> Iterator[Fragment]:
    """Fragments that are wider than a line in parts that are not."""
    for one in drawn:
        if len(one.shown) * 2 <= width or display_width(one.shown) <= width:
            yield one
            continue
        part, used = "", 0
        for text in graphemes(one.shown):
            cells = display_width(text)
            if part and used + cells > width:
                yield one._replace(shown=part, copied="", breaks=False)
                part, used = "", 0
            part, used = part + text, used + cells
        yield one._replace(shown=part)


def _first(drawn: Iterable[Fragment], cells: int) -> Iterator[Fragment]:
    """No more than what surely fills so many cells: nobody waits for what is not shown."""
    used = 0
    for one in drawn:
        yield one
        used += display_width(one.shown)
        if used > cells:
            return


def _is_flag(character: str) -> bool:
    return _FLAGS[0] <= character <= _FLAGS[1]


def _is_picture(text: str) -> bool:
    """Whether a symbol, or the digit of a key, asks to be drawn as a pictograph."""
    return text[1:2] == "\ufe0f" and (unicodedata.category(text[0]) == "So" or text[0] in "0123456789#*")


def _face(text: str) -> Face:
    first = text[0]
    if _is_flag(first) or _is_picture(text):
        return "emoji"
    if first.isascii():
        return "mono"
    if unicodedata.east_asian_width(first) in "WF":
        return "emoji" if unicodedata.category(first) == "So" else "wide"
    if unicodedata.category(first)[0] == "L" and not _COMMON.match(first):
        return "sans"
    return "mono"


def _clusters(row: list[Fragment]) -> Iterator[_Cluster]:
    for fragment in row:
        for text in graphemes(fragment.shown):
            yield _Cluster(fragment, text, display_width(text), _face(text))


def _depths(clusters: list[_Cluster], text: str, base: int) -> list[int]:
    """The embedding of each cluster is that of its first character."""
    by_character = bidi.levels(text, base)
    found: list[int] = []
    at = 0
    for cluster in clusters:
        found.append(by_character[at])
        at += len(cluster.text)
    return found


def _place_plainly(row: list[Fragment], line: int, patches: list[Patch], pieces: list[Piece]) -> None:
    """As :func:`_place` does, for a line of nothing but letters of one cell."""
    column = 0
    for token, shown, _, _, marked in row:
        if shown:
            patches.append(Patch(token, line, column, len(shown), marked))
        for found in _WORD.finditer(shown):
            start, stop = found.span()
            pieces.append(Piece(token, found[0], line, column + start, stop - start, "mono", marked, turned=False))
        column += len(shown)


def _place(
    clusters: list[_Cluster], depths: list[int] | None, line: int, patches: list[Patch], pieces: list[Piece]
) -> None:
    order = list(range(len(clusters)) if depths is None else bidi.visual(depths))
    column = 0
    starts: dict[int, int] = {}
    for _, group in groupby(order, lambda place: id(clusters[place].fragment)):
        places = list(group)
        fragment, start = clusters[places[0]].fragment, column
        for place in places:
            starts[place] = column
            column += clusters[place].cells
        if column > start:
            patches.append(Patch(fragment.token, line, start, column - start, fragment.marked))
    for _, run in groupby(order, lambda place: _sort(clusters[place], depths[place] if depths else 0)):
        pieces += _written(clusters, list(run), depths, line, starts)


def _sort(cluster: _Cluster, depth: int) -> tuple[object, ...]:
    """Clusters that can be written as one text are of one sort."""
    fragment, text, _, face = cluster
    if text == " ":
        return ("space",)
    if depth % 2 == 0 or fragment.marked:
        return (depth, face, id(fragment))
    # Letters that run from right to left may be written together, so that a word is one text whatever its tokens. What
    # has no direction of its own is turned by hand, and stands alone.
    return (depth, face, 0 if bidi.is_letter(text[0]) else id(cluster))


def _written(
    clusters: list[_Cluster], run: list[int], depths: list[int] | None, line: int, starts: dict[int, int]
) -> Iterator[Piece]:
    fragment, first, _, face = clusters[run[0]]
    cells = sum(clusters[place].cells for place in run)
    if first == " " or not cells:
        return
    texts = [clusters[place].text for place in sorted(run) if clusters[place].cells]
    turned = bool(depths and depths[run[0]] % 2)
    if turned and not bidi.is_letter(texts[0][0]):
        # In the order in which they are seen, each with its own marks.
        texts, turned = [bidi.mirrored(one) for one in reversed(texts)], False
    text = "".join(texts)
    yield Piece(fragment.token, text, line, starts[run[0]], cells, face, fragment.marked, turned)
