"""Characters that a server has split between two events of a stream, or between two tokens.

A server that cuts text at UTF-16 units, as programs in JavaScript and Java do, may end one part with the first half of
a surrogate pair and begin the next with the second. No encoding can represent a half.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from .documents import parse_json

_FIRST, _SECOND = r"[dD][89abAB][0-9a-fA-F]{2}", r"[dD][c-fC-F][0-9a-fA-F]{2}"
# An escaped half without the other; in an escaped backslash it may be text, which is found out later.
_HALF = re.compile(rf"\\u{_FIRST}(?!\\u{_SECOND})|(?<!\\u[dD][89abAB][0-9a-fA-F]{{2}})\\u{_SECOND}".encode())
# Lists of tokens of which none follows another.
_ALTERNATIVES = frozenset({"candidates", "top_logprobs", "top_probs"})


class Halves:
    """Join of halves of characters in the events of one stream."""

    def __init__(self) -> None:
        # The first half that ended the text of a place, by the names of its fields and the numbers of its choices.
        self._held: dict[tuple[str | int, ...], str] = {}
        self._is_cut = False

    def join(self, event: bytes) -> bytes:
        """Return an event with the second half of each character beside its first, which is taken from the text before.

        Characters that stay halves are left as they are.
        """
        has_half = (b"\\ud" in event or b"\\uD" in event) and _HALF.search(event) is not None
        if not (has_half or self._held):
            return event
        try:
            value = parse_json(event.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return event
        # The other half of a token follows only where that of the text does.
        self._is_cut = _has_cut_text(value)
        return json.dumps(self._read(value, ())).encode()

    def _read(self, value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, str):
            return self._join([value], path)[0]
        if isinstance(value, list):
            if value and all(isinstance(item, str) for item in value):
                return self._join(value, path)
            if _are_rows(value):
                is_sequence = not path or path[-1] not in _ALTERNATIVES
                return _with_tokens(value, self._join(_tokens(value), path, self._is_cut)) if is_sequence else value
            return [self._read(item, path) for item in value]
        if isinstance(value, dict):
            index = value.get("index")
            path = (*path, index) if isinstance(index, int) else path
            return {name: self._read(item, (*path, name)) for name, item in value.items()}
        return value

    def _join(self, texts: Sequence[str], path: tuple[str | int, ...], may_hold: bool = True) -> list[str]:
        held = self._held.pop(path, "") if any(texts) else ""
        first, *texts = join_halves([held, *texts])
        if first:  # the other half has not come
            texts[0] = first + texts[0]
        if may_hold and texts and _ends_in_half(texts[-1]):
            texts[-1], self._held[path] = texts[-1][:-1], texts[-1][-1]
        return texts


def join_rows(value: Any) -> Any:
    """Return a document in which no character is split between two tokens."""
    if isinstance(value, list):
        if _are_rows(value):
            return _with_tokens(value, join_halves(_tokens(value)))
        return join_halves(value) if all(isinstance(item, str) for item in value) else [*map(join_rows, value)]
    if not isinstance(value, dict):
        return value
    return {
        name: item if name in _ALTERNATIVES and _are_rows(item) else join_rows(item) for name, item in value.items()
    }


def join_halves(texts: Sequence[str]) -> list[str]:
    """Return texts in which the first half of a character stands in the next text, beside the second."""
    joined = list(texts)
    for number in range(len(joined) - 1):
        if _ends_in_half(joined[number]) and _begins_with_half(joined[number + 1]):
            joined[number], joined[number + 1] = joined[number][:-1], joined[number][-1] + joined[number + 1]
    return joined


def _ends_in_half(text: str) -> bool:
    return "\ud800" <= text[-1:] <= "\udbff"


def _has_cut_text(value: Any) -> bool:
    """Return whether a text that is no token's ends in the first half of a character."""
    if isinstance(value, str):
        return _ends_in_half(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not _are_rows(value) and any(map(_has_cut_text, items))


def _begins_with_half(text: str) -> bool:
    return "\udc00" <= text[:1] <= "\udfff"


def _are_rows(value: Any) -> bool:
    is_list = isinstance(value, list) and bool(value)
    return is_list and all(isinstance(item, dict) and isinstance(item.get("token"), str) for item in value)


def _tokens(rows: list[dict[str, Any]]) -> list[str]:
    """Return the texts of tokens; those whose bytes the server knows are no halves."""
    return ["" if _has_bytes(row) else row["token"] for row in rows]


def _has_bytes(row: dict[str, Any]) -> bool:
    """Return whether the bytes of a token say more than its text: they are neither U+FFFD nor the half itself."""
    octets = row.get("bytes")
    return isinstance(octets, list) and octets != [] and octets != [0xEF, 0xBF, 0xBD] and octets[0] != 0xED


def _with_tokens(rows: list[dict[str, Any]], tokens: list[str]) -> list[dict[str, Any]]:
    return [row if _has_bytes(row) else _with_token(row, token) for row, token in zip(rows, tokens, strict=True)]


def _with_token(row: dict[str, Any], token: str) -> dict[str, Any]:
    """Return a row with another text; the alternatives of a second half begin with the same first half."""
    own, alternatives = row["token"], row.get("top_logprobs")
    if token == own:
        return row
    changed = _renamed(row, token)
    if isinstance(alternatives, list) and _are_rows(alternatives):
        first = token.removesuffix(own)
        changed["top_logprobs"] = [
            _renamed(item, token)
            if item["token"] == own
            else _renamed(item, first + item["token"])
            if _begins_with_half(item["token"])
            else item
            for item in alternatives
        ]
    return changed


def _renamed(row: dict[str, Any], token: str) -> dict[str, Any]:
    renamed = {**row, "token": token}
    if "bytes" in row:  # those of U+FFFD
        renamed["bytes"] = None
    return renamed
