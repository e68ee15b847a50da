"""The order in which a line's characters stand, where some of them run from right to left.

Unicode's algorithm (UAX #9) as far as a line of tokens needs it: directions that a text asks for itself are drawn as
marks before they come here (``glyphs.py``), so that there are no embeddings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

_MAY_TURN = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_NUMBERS = ("EN", "AN")
_BRACKETS = {"(": ")", "[": "]", "{": "}", "⟨": "⟩"}
_MIRRORED = str.maketrans("()[]{}<>«»‹›⟨⟩≤≥", ")(][}{><»«›‹⟩⟨≥≤")


def turns(text: str) -> bool:
    """Whether anything in a text may run from right to left."""
    return not text.isascii() and _MAY_TURN.search(text) is not None


def base_level(text: str) -> int:
    """1 where a paragraph's first letter runs from right to left, else 0."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return int(kind != "L")
    return 0


def levels(text: str, base: int) -> list[int]:
    """How deep each character of a line is embedded: odd where it runs from right to left."""
    kinds = _weak([unicodedata.bidirectional(character) or "L" for character in text], base)
    _bracketed(kinds, text, base)
    _neutral(kinds, base)
    deeper = {"R": 0} if base else {"L": 0, "R": 1}
    found = [base + deeper.get(kind, 1 if base else 2) for kind in kinds]
    # Spaces at the end of a line stay at its end.
    for place in range(len(text) - 1, -1, -1):
        if unicodedata.bidirectional(text[place]) != "WS":
            break
        found[place] = base
    return found


def visual(depths: Sequence[int]) -> list[int]:
    """The places of a line from left to right."""
    order = list(range(len(depths)))
    for depth in range(max(depths, default=0), 0, -1):
        start = None
        for at in range(len(order) + 1):
            if at < len(order) and depths[order[at]] >= depth:
                start = at if start is None else start
            elif start is not None:
                order[start:at] = order[start:at][::-1]
                start = None
    return order


def mirrored(text: str) -> str:
    """As it is drawn from right to left: an opening bracket opens to the left."""
    return text.translate(_MIRRORED)


def is_letter(character: str) -> bool:
    """Whether a character runs from right to left by itself."""
    return unicodedata.bidirectional(character) in ("R", "AL")


def _weak(kinds: list[str], base: int) -> list[str]:
    """Rules W1 to W7: marks, numbers and what stands among numbers."""
    edge = "R" if base else "L"
    found: list[str] = []
    strong = edge
    for kind in kinds:
        if kind == "NSM":
            kind = found[-1] if found else edge
        if kind in ("L", "R", "AL"):
            strong = kind
        found.append("AN" if kind == "EN" and strong == "AL" else kind)
    found = ["R" if kind == "AL" else kind for kind in found]
    for at in range(1, len(found) - 1):
        before, kind, after = found[at - 1 : at + 2]
        if before == after and ((kind == "ES" and before == "EN") or (kind == "CS" and before in _NUMBERS)):
            found[at] = before
    for start, stop in _runs(found, lambda kind: kind == "ET"):
        if "EN" in (*found[max(start - 1, 0) : start], *found[stop : stop + 1]):
            found[start:stop] = ["EN"] * (stop - start)
    strong = edge
    for at, kind in enumerate(found):
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            found[at] = "L"
    return found


def _bracketed(kinds: list[str], text: str, base: int) -> None:
    """Rule N0: two brackets that belong together have one direction."""
    edge = "R" if base else "L"
    directions = [{"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind) for kind in kinds]
    opened: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    for at, character in enumerate(text):
        if directions[at] is None and character in _BRACKETS:
            opened.append((_BRACKETS[character], at))
        elif directions[at] is None and any(character == closing for closing, _ in opened):
            while (last := opened.pop())[0] != character:
                pass
            pairs.append((last[1], at))
    for start, stop in sorted(pairs):
        inside = {*directions[start + 1 : stop]} - {None}
        if not inside:
            continue
        before = next((one for one in reversed(directions[:start]) if one), edge)
        own = edge if edge in inside or before == edge else before
        for at in (start, stop):
            kinds[at] = directions[at] = own


def _neutral(kinds: list[str], base: int) -> None:
    """Rules N1 and N2: what has no direction takes that of its neighbours where they agree, else the line's."""
    edge = "R" if base else "L"
    for start, stop in _runs(kinds, lambda kind: kind not in ("L", "R", *_NUMBERS)):
        before = kinds[start - 1] if start else edge
        after = kinds[stop] if stop < len(kinds) else edge
        around = {"R" if kind in _NUMBERS else kind for kind in (before, after)}
        kinds[start:stop] = [around.pop() if len(around) == 1 else edge] * (stop - start)


def _runs(kinds: list[str], holds: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Where kinds of one sort follow each other."""
    start = 0
    for held, group in groupby(list(kinds), holds):
        stop = start + len(list(group))
        if held:
            yield start, stop
        start = stop
