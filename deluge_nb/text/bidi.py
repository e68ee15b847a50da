"""Order the characters of a line that has right-to-left text (Unicode's bidirectional algorithm, UAX #9).

Only the part that a line of tokens needs: explicit embeddings and overrides never occur here, because ``glyphs.py``
draws direction characters as visible marks.
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


def has_right_to_left(text: str) -> bool:
    """Return whether a text has characters that may run from right to left."""
    return not text.isascii() and _MAY_TURN.search(text) is not None


def base_level(text: str) -> int:
    """Return a paragraph's level: 1 where its first letter runs from right to left, else 0."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return int(kind != "L")
    return 0


def levels(text: str, base: int) -> list[int]:
    """Return the embedding level of each character of a line: odd where it runs from right to left."""
    kinds = _resolve_weak([unicodedata.bidirectional(character) or "L" for character in text], base)
    _resolve_brackets(kinds, text, base)
    _resolve_neutral(kinds, base)
    increase = {"R": 0} if base else {"L": 0, "R": 1}
    result = [base + increase.get(kind, 1 if base else 2) for kind in kinds]
    # Rule L1: spaces at the end of a line stay at its end.
    for index in range(len(text) - 1, -1, -1):
        if unicodedata.bidirectional(text[index]) != "WS":
            break
        result[index] = base
    return result


def visual_order(depths: Sequence[int]) -> list[int]:
    """Return the indices of a line's characters from left to right (rule L2)."""
    order = list(range(len(depths)))
    for depth in range(max(depths, default=0), 0, -1):
        start = None
        for index in range(len(order) + 1):
            if index < len(order) and depths[order[index]] >= depth:
                start = index if start is None else start
            elif start is not None:
                order[start:index] = order[start:index][::-1]
                start = None
    return order


def mirror(text: str) -> str:
    """Return a text with mirrored brackets, as it is drawn from right to left (rule L4)."""
    return text.translate(_MIRRORED)


def is_letter(character: str) -> bool:
    """Return whether a character is a right-to-left letter."""
    return unicodedata.bidirectional(character) in ("R", "AL")


def _resolve_weak(kinds: list[str], base: int) -> list[str]:
    """Apply rules W1 to W7: marks, numbers, and signs and separators among numbers."""
    edge = "R" if base else "L"
    resolved: list[str] = []
    strong = edge
    for kind in kinds:
        if kind == "NSM":
            kind = resolved[-1] if resolved else edge
        if kind in ("L", "R", "AL"):
            strong = kind
        resolved.append("AN" if kind == "EN" and strong == "AL" else kind)
    resolved = ["R" if kind == "AL" else kind for kind in resolved]
    for index in range(1, len(resolved) - 1):
        before, kind, after = resolved[index - 1 : index + 2]
        if before == after and ((kind == "ES" and before == "EN") or (kind == "CS" and before in _NUMBERS)):
            resolved[index] = before
    for start, stop in _runs(resolved, lambda kind: kind == "ET"):
        if "EN" in (*resolved[max(start - 1, 0) : start], *resolved[stop : stop + 1]):
            resolved[start:stop] = ["EN"] * (stop - start)
    strong = edge
    for index, kind in enumerate(resolved):
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            resolved[index] = "L"
    return resolved


def _resolve_brackets(kinds: list[str], text: str, base: int) -> None:
    """Apply rule N0: the two brackets of a pair get the same direction."""
    edge = "R" if base else "L"
    directions = [{"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind) for kind in kinds]
    opened: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    for index, character in enumerate(text):
        if directions[index] is None and character in _BRACKETS:
            opened.append((_BRACKETS[character], index))
        elif directions[index] is None and any(character == closing for closing, _ in opened):
            while (last := opened.pop())[0] != character:
                pass
            pairs.append((last[1], index))
    for start, stop in sorted(pairs):
        inside = {*directions[start + 1 : stop]} - {None}
        if not inside:
            continue
        before = next((direction for direction in reversed(directions[:start]) if direction), edge)
        direction = edge if edge in inside or before == edge else before
        for index in (start, stop):
            kinds[index] = directions[index] = direction


def _resolve_neutral(kinds: list[str], base: int) -> None:
    """Apply rules N1 and N2: neutral characters take the direction of both neighbours, else the line's."""
    edge = "R" if base else "L"
    for start, stop in _runs(kinds, lambda kind: kind not in ("L", "R", *_NUMBERS)):
        before = kinds[start - 1] if start else edge
        after = kinds[stop] if stop < len(kinds) else edge
        around = {"R" if kind in _NUMBERS else kind for kind in (before, after)}
        kinds[start:stop] = [around.pop() if len(around) == 1 else edge] * (stop - start)


def _runs(kinds: list[str], is_member: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of kinds that meet a condition."""
    start = 0
    for is_run, group in groupby(list(kinds), is_member):
        stop = start + len(list(group))
        if is_run:
            yield start, stop
        start = stop
