"""Tokens on a terminal: how many columns they take, where lines break, which colour they have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from .glyphs import Fragment

_BEFORE_BREAK = tuple(" -–—/")


def columns(text: str) -> int:
    """How many columns a text takes: wide characters two, marks and joiners none."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def broken(drawn: Iterable[Fragment], width: int | None) -> list[list[Fragment]]:
    """The fragments by lines: broken where the text breaks and, within a width, before words.

    As in ``js/src/text/layout.ts``, a word is cut only where it is longer than a line.
    """
    lines: list[list[Fragment]] = [[]]
    used = cut = 0
    for fragment in drawn:
        line, wide = lines[-1], columns(fragment.shown)
        if not line or fragment.shown.startswith((" ", "·", "⇥")) or line[-1].shown.endswith(_BEFORE_BREAK):
            cut = len(line)
        if width is not None and line and used + wide > width:
            # The word's beginning goes with it, unless the line would then be empty.
            kept = cut or len(line)
            lines.append(line[kept:])
            del line[kept:]
            used, cut = sum(columns(one.shown) for one in lines[-1]), 0
            if lines[-1] and used + wide > width:
                lines.append([])
                used = 0
        lines[-1].append(fragment)
        used += wide
        if fragment.breaks:
            lines.append([])
            used = cut = 0
    return lines


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
