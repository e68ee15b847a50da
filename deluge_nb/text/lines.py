"""Tokens on a terminal: how many columns they take, where lines break, which colour they have."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

from .glyphs import Fragment

# The stylesheet's strongest colour, and the text that can be read on all of its shades.
_HEAT, _INK = (255, 154, 60), (20, 20, 20)
_FAINT = 0.1
_BEFORE_BREAK = tuple(" -–—/")


def columns(text: str) -> int:
    """How many columns a text takes: wide characters two, marks and joiners none."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def broken(drawn: Iterable[Fragment], width: int | None) -> list[list[Fragment]]:
    """The fragments by lines: broken where the text breaks and, within a width, before words.

    As in ``js/src/layout.ts``, a word is cut only where it is longer than a line.
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


def ansi(fragment: Fragment, probability: float) -> str:
    """A fragment in its colour: from the terminal's own ground to orange with √(1 − p), as in the stylesheet."""
    if math.isnan(probability):
        codes = ["2", "9"]
    else:
        heat = math.sqrt(max(0.0, 1 - probability))
        codes: list[str] = []
        if heat > _FAINT:
            # Dark on orange; the terminal's own colours where the token was all but certain.
            shade = (round(255 - (255 - strongest) * heat) for strongest in _HEAT)
            codes = ["38", "2", *map(str, _INK), "48", "2", *map(str, shade)]
        if probability < 0.5:
            codes.append("4")
    return f"\x1b[{';'.join(codes)}m{fragment.shown}\x1b[0m" if codes else fragment.shown


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
