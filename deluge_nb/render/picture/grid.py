"""Lay tokens out on a grid of equal cells, as pictures draw them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from ...text import bidi
from ...text.glyphs import Fragment, fragments
from ...text.lines import display_width, graphemes, hanging_width, wrap_lines
from ..excerpt import NO_TOKEN

# Font of a text. "wide" is for East Asian letters, "emoji" for pictographs, "sans" for letters that common monospaced
# fonts lack.
Face = Literal["mono", "wide", "emoji", "sans", "bold"]

_FLAGS = ("\U0001f1e6", "\U0001f1ff")
# Latin, Greek and Cyrillic without combining marks, dashes, quotes and arrows: each is one cell wide in common fonts.
_PLAIN = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2190-\u21ff]*")
_WORD = re.compile("[^ ]+")
_NEUTRAL = "\ufffc"
# Latin, Greek, Cyrillic, Armenian and Arabic letters, which monospaced fonts have.
_MONOSPACED = re.compile("[\u0000-\u058f\u0600-\u06ff\u1e00-\u20ff]")


class Patch(NamedTuple):
    """Cells of one line that belong to one token; ``marked`` if they show a mark for white space or a control."""

    token: int
    line: int
    column: int
    cells: int
    marked: bool


class Piece(NamedTuple):
    """Text without spaces, and the cells it fills; ``turned`` if it runs from right to left."""

    token: int
    text: str
    line: int
    column: int
    cells: int
    face: Face
    marked: bool
    turned: bool


class Layout(NamedTuple):
    """Patches and pieces line by line, the number of lines, and the number of tokens that were begun."""

    patches: list[Patch]
    pieces: list[Piece]
    lines: int
    tokens: int


class _Cluster(NamedTuple):
    """Grapheme cluster: characters that are drawn as one."""

    fragment: Fragment
    text: str
    cells: int
    face: Face


def lay_out(
    octets: Sequence[bytes],
    width: int,
    *,
    lead: Sequence[Fragment] = (),
    beside: Sequence[str] = (),
    most: int | None = None,
) -> Layout:
    """Return tokens laid out on lines.

    A line with right-to-left letters is ordered by Unicode's bidirectional algorithm; it begins at the left like all
    others. White space at which a line was wrapped is in column -1, in front of the others.

    Parameters
    ----------
    octets
        Bytes of each token.
    width
        Columns of a line.
    lead
        Fragments before the first token.
    beside
        Text beside each token, which is no part of it; none by default.
    most
        Largest number of lines; all by default.
    """
    tokens = fragments(octets)
    parts = _split_wide([*lead, *(_with_texts(tokens, beside) if beside else tokens)], width)
    rows = wrap_lines(parts if most is None else _first(parts, (most + 1) * width), width)
    if rows and not rows[-1] and len(rows) > 1:
        rows.pop()
    visible = rows if most is None else rows[:most]
    patches: list[Patch] = []
    pieces: list[Piece] = []
    base: int | None = None
    start = 0
    for number, row in enumerate(visible):
        text = "".join(part.shown for part in row)
        first_patch, first_piece = len(patches), len(pieces)
        if base is None and bidi.has_right_to_left(text):
            base = bidi.base_level(_paragraph(rows, start))
        if base is None and _PLAIN.fullmatch(text):
            _place_plain(row, number, patches, pieces)
        else:
            clusters = list(_clusters(row))
            depths = None if base is None else _depths(clusters, base)
            _place(clusters, depths, number, patches, pieces)
        if not base and number and rows[number - 1] and not rows[number - 1][-1].breaks:
            hang = hanging_width(row)
            patches[first_patch:] = _hang_patches(patches[first_patch:], hang)
            pieces[first_piece:] = _hang_pieces(pieces[first_piece:], hang)
        if row and row[-1].breaks:
            base, start = None, number + 1
    hidden = (part.token for row in rows[len(visible) :] for part in row if part.token != NO_TOKEN)
    begun = next(hidden, len(octets))
    return Layout(patches, pieces, len(visible), begun)


def _with_texts(tokens: Sequence[Fragment], beside: Sequence[str]) -> Iterator[Fragment]:
    """Yield the fragments of tokens, each with its text: in front of a line break, after it would be the next line."""
    for token, group in groupby(tokens, lambda fragment: fragment.token):
        parts, text = list(group), Fragment(NO_TOKEN, f" {beside[token]} ", "")
        yield from (text, *parts) if parts[-1].breaks else (*parts, text)


def _hang_patches(patches: list[Patch], columns: int) -> list[Patch]:
    """Return the patches of a line moved to the left, without the cells in front of column -1."""
    hidden = [max(columns - 1 - patch.column, 0) for patch in patches]
    return [
        patch._replace(column=patch.column + cut - columns, cells=patch.cells - cut)
        for patch, cut in zip(patches, hidden, strict=True)
        if cut < patch.cells
    ]


def _hang_pieces(pieces: list[Piece], columns: int) -> list[Piece]:
    """Return the pieces of a line moved to the left. Marks of white space have one cell each, and are cut likewise."""
    hidden = [max(columns - 1 - piece.column, 0) for piece in pieces]
    return [
        piece._replace(column=piece.column + cut - columns, cells=piece.cells - cut, text=piece.text[cut:])
        for piece, cut in zip(pieces, hidden, strict=True)
        if cut < piece.cells
    ]


def _paragraph(rows: list[list[Fragment]], start: int) -> str:
    """Return the text from a line to the next line break."""
    texts: list[str] = []
    for row in rows[start:]:
        texts += [part.shown for part in row]
        if row and row[-1].breaks:
            break
    return "".join(texts)


def _split_wide(parts: list[Fragment], width: int) -> Iterator[Fragment]:
    """Yield fragments, those wider than a line in several parts."""
    for fragment in parts:
        if len(fragment.shown) * 2 <= width or display_width(fragment.shown) <= width:
            yield fragment
            continue
        text, used = "", 0
        for grapheme in graphemes(fragment.shown):
            cells = display_width(grapheme)
            if text and used + cells > width:
                yield fragment._replace(shown=text, copied="", breaks=False)
                text, used = "", 0
            text, used = text + grapheme, used + cells
        yield fragment._replace(shown=text)


def _first(parts: Iterable[Fragment], cells: int) -> Iterator[Fragment]:
    """Yield the fragments that fill a number of cells, so that no time goes into the layout of hidden lines."""
    used = 0
    for part in parts:
        yield part
        used += display_width(part.shown)
        if used > cells:
            return


def _is_flag(character: str) -> bool:
    return _FLAGS[0] <= character <= _FLAGS[1]


def _is_picture(text: str) -> bool:
    """Return True for a symbol, or the digit of a keycap, with the variation selector of pictographs."""
    return text[1:2] == "\ufe0f" and (unicodedata.category(text[0]) == "So" or text[0] in "0123456789#*")


def _face(text: str) -> Face:
    first = text[0]
    if _is_flag(first) or _is_picture(text):
        return "emoji"
    if first.isascii():
        return "mono"
    if unicodedata.east_asian_width(first) in "WF":
        return "emoji" if unicodedata.category(first) == "So" else "wide"
    if unicodedata.category(first)[0] == "L" and not _MONOSPACED.match(first):
        return "sans"
    return "mono"


def _clusters(row: list[Fragment]) -> Iterator[_Cluster]:
    for fragment in row:
        for text in graphemes(fragment.shown):
            yield _Cluster(fragment, text, display_width(text), _face(text))


def _depths(clusters: list[_Cluster], base: int) -> list[int]:
    """Return the embedding level of each cluster, which is that of its first character.

    Text beside a token is isolated: it has the level of a neutral character, whatever its own characters are.
    """
    texts = [_NEUTRAL * len(text) if _is_aside(fragment) else text for fragment, text, *_ in clusters]
    by_character = bidi.levels("".join(texts), base)
    depths: list[int] = []
    start = 0
    for text in texts:
        depths.append(by_character[start])
        start += len(text)
    return depths


def _order(clusters: list[_Cluster], depths: list[int]) -> list[int]:
    """Return the clusters of a line from left to right. Text beside a token reads from left to right on any line."""
    order: list[int] = []
    for _, group in groupby(bidi.visual_order(depths), lambda index: id(clusters[index].fragment)):
        run = list(group)
        order += sorted(run) if _is_aside(clusters[run[0]].fragment) else run
    return order


def _is_aside(fragment: Fragment) -> bool:
    return fragment.token == NO_TOKEN and not fragment.copied


def _place_plain(row: list[Fragment], line: int, patches: list[Patch], pieces: list[Piece]) -> None:
    """Place a line in which every letter is one cell wide; the same as :func:`_place`, but faster."""
    column = 0
    for token, shown, _, _, marked in row:
        if shown:
            patches.append(Patch(token, line, column, len(shown), marked))
        for match in _WORD.finditer(shown):
            start, stop = match.span()
            pieces.append(Piece(token, match[0], line, column + start, stop - start, "mono", marked, turned=False))
        column += len(shown)


def _place(
    clusters: list[_Cluster], depths: list[int] | None, line: int, patches: list[Patch], pieces: list[Piece]
) -> None:
    """Add the patches and pieces of a line, in visual order."""
    order = list(range(len(clusters)) if depths is None else _order(clusters, depths))
    column = 0
    starts: dict[int, int] = {}
    for _, group in groupby(order, lambda index: id(clusters[index].fragment)):
        indices = list(group)
        fragment, start = clusters[indices[0]].fragment, column
        for index in indices:
            starts[index] = column
            column += clusters[index].cells
        if column > start:
            patches.append(Patch(fragment.token, line, start, column - start, fragment.marked))
    for _, run in groupby(order, lambda index: _run_key(clusters[index], depths[index] if depths else 0)):
        pieces += _run_pieces(clusters, list(run), depths, line, starts)


def _run_key(cluster: _Cluster, depth: int) -> tuple[object, ...]:
    """Return a key that is equal for clusters that can be drawn as one text."""
    fragment, text, _, face = cluster
    if text == " ":
        return ("space",)
    if depth % 2 == 0 or fragment.marked or _is_aside(fragment):
        return (depth, face, id(fragment))
    # Right-to-left letters are drawn together, so that a word is one text even if it has several tokens. Characters
    # without a direction are mirrored one by one, and are drawn alone.
    return (depth, face, 0 if bidi.is_letter(text[0]) else id(cluster))


def _run_pieces(
    clusters: list[_Cluster], run: list[int], depths: list[int] | None, line: int, starts: dict[int, int]
) -> Iterator[Piece]:
    """Yield the piece of a run of clusters; none for spaces and for text without width."""
    fragment, first, _, face = clusters[run[0]]
    cells = sum(clusters[index].cells for index in run)
    if first == " " or not cells:
        return
    texts = [clusters[index].text for index in sorted(run) if clusters[index].cells]
    turned = bool(depths and depths[run[0]] % 2) and not _is_aside(fragment)
    if turned and not bidi.is_letter(texts[0][0]):
        # In visual order, with mirrored brackets.
        texts, turned = [bidi.mirror(text) for text in reversed(texts)], False
    text = "".join(texts)
    yield Piece(fragment.token, text, line, starts[run[0]], cells, face, fragment.marked, turned)
