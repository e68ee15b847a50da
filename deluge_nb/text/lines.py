"""Lay token text out on lines: display width in terminal columns, and line breaking.

The rule for breaks is also that of the browser (``js/src/text/layout.ts``); both are tested by the vectors in
``tests/fixtures/line_vectors.json``. Widths and graphemes are wcwidth's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

import wcwidth

from .glyphs import Fragment

# Chinese, Japanese and Korean may break between any two letters.
_LETTERS = "\u3041-\u30fa\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_BREAK_BEFORE = re.compile(rf"[\s·⇥↵{_LETTERS}]")
_BREAK_AFTER = re.compile(rf"[\s·\-–—/，。、！？；：」』）{_LETTERS}]")
_TAB = 8
# With the closing brackets and quotes of every script (Pe, Pf), the characters that no line begins with.
_NO_BREAK_BEFORE = frozenset(",.!?:;%…‥、。，．！？；：％")


def display_width(text: str) -> int:
    """Return the columns that a text takes: two for wide characters and pictographs, none for marks and joiners."""
    if text.isascii() and text.isprintable():
        return len(text)
    # A tab ends at a stop that depends on the column: count as many columns as it may take.
    # Measured grapheme by grapheme: a joiner between letters joins nothing, and wcswidth gives -1 for a whole text with
    # one control character.
    return _TAB * text.count("\t") + sum(max(wcwidth.wcswidth(part), 0) for part in graphemes(text))


def graphemes(text: str) -> Iterator[str]:
    """Yield the parts of a text that are drawn as one: letters with their marks, joined pictographs, flags."""
    if text.isascii():
        yield from text
        return
    for part in wcwidth.iter_graphemes(text):
        # A space is never drawn, and the marks on it are drawn without it.
        yield from (" ", part[1:]) if part[0] == " " and len(part) > 1 else (part,)


def can_break(before: str, after: str) -> bool:
    """Return whether a word may begin on a new line between two texts that follow each other.

    Examples
    --------
    >>> can_break("one", " two"), can_break("on", "e"), can_break("語", "で")
    (True, False, True)
    >>> can_break("す", "。"), can_break("「", "日")
    (False, False)
    """
    return not _is_held_together(before, after) and bool(
        _BREAK_BEFORE.match(after[:1]) or _BREAK_AFTER.match(before[-1:])
    )


def wrap_lines(fragments: Iterable[Fragment], width: int | None) -> list[list[Fragment]]:
    """Lay fragments out on lines: a line ends at a line break of the text and, within a width, before a word.

    A word is split only where it is longer than a line. No line begins with closing punctuation or ends with an opening
    bracket, as long as two fragments fit on it.

    Parameters
    ----------
    fragments
        The fragments of a completion, from :func:`deluge_nb.text.glyphs.fragments`.
    width
        Columns per line; None for lines of any length.

    Returns
    -------
    list of list of Fragment
        The lines; the last is empty where the text ends with a line break.
    """
    lines: list[list[Fragment]] = [[]]
    used = 0
    # The last index at which the line may break before a word, and at which it may break at all; 0 for none.
    word = cut = 0
    for fragment in fragments:
        line, columns = lines[-1], display_width(fragment.shown)
        if line and not _is_held_together(line[-1].shown, fragment.shown):
            cut = len(line)
            word = cut if can_break(line[-1].shown, fragment.shown) else word
        # Repeated where the rest that is carried over is itself too long with this fragment.
        while width is not None and line and used + columns > width:
            end = word or cut or len(line)
            lines.append(line[end:])
            del line[end:]
            line = lines[-1]
            used = sum(display_width(carried.shown) for carried in line)
            word, cut = 0, max(cut - end, 0)
        line.append(fragment)
        used += columns
        if fragment.breaks:
            lines.append([])
            used = word = cut = 0
    return lines


def hanging_width(line: Iterable[Fragment]) -> int:
    """Return the columns of the white space that a wrapped line begins with; 0 if the line has nothing else.

    It hangs in the margin, so that all lines begin at one left edge. The browser has the same rule
    (``js/src/text/hanging.ts``).
    """
    width = 0
    for fragment in line:
        true = fragment.copied or fragment.shown
        size = len(true) - len(true.lstrip())
        if size < len(true):
            return width + display_width(fragment.shown[:size])
        width += display_width(fragment.shown)
    return 0


def _is_held_together(before: str, after: str) -> bool:
    """Return whether two texts stay on one line: before closing punctuation, and after an opening bracket or quote."""
    first, last = after[:1], before[-1:]
    return (
        first in _NO_BREAK_BEFORE
        or (bool(first) and unicodedata.category(first) in ("Pe", "Pf"))
        or (bool(last) and unicodedata.category(last) in ("Ps", "Pi"))
    )
