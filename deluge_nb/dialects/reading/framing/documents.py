"""Replies that are one JSON document, with anything around it."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import msgspec

DONE = b"[DONE]"
"""Data of the event that ends a stream."""

_PADDING = b" \t\n\r\v\f\x00"
# Bytes behind a document that are searched for the mark of the end.
_LONGEST_TRAILER = 1 << 16
# Objects of an array that may be events; a longer array is no stream.
_MAX_ELEMENTS = 1 << 20
MAX_DEPTH = 200
"""Levels of nesting; the schemas of tools have a dozen, and Python's own limit is near a thousand."""
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
MOST_BEFORE = 4096
"""Bytes of other text in front of an answer, such as lines of a log."""
# A line that begins like an object, or the call of a function with one (JSONP).
_START = re.compile(rb"(?:\A|[\r\n])[^\S\r\n]*+(?=\{)|\A\s*+(?:/\*\*/\s*+)?[\w.$]{1,200}\(\s*+(?=\{)")
# What may follow: the end of a call, and lines in which no more JSON begins.
_REST = re.compile(r"\s*\)?\s*;?[^\S\r\n]*(?:[\r\n][^\[{]*)?")


def is_json(data: bytes) -> bool:
    """Return True if some bytes are exactly one JSON value."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True


def split_document(data: bytes) -> tuple[bytes | None, list[bytes]]:
    """Return a document without the comments and the mark of the end that follow it, or the events of an array."""
    if not is_json(data):
        trimmed = _without_trailer(data)
        data = trimmed if is_json(trimmed) else embedded_document(trimmed) or data
    if data.startswith(b"[") and data[1:64].lstrip().startswith(b"{") and data.count(b"{") <= _MAX_ELEMENTS:
        with contextlib.suppress(ValueError, RecursionError):
            elements = [bytes(element) for element in msgspec.json.decode(data, type=list[msgspec.Raw])]
            if all(element.startswith(b"{") for element in elements):
                return None, elements
    return data, []


def elements(event: bytes) -> list[bytes]:
    """Return the objects of an event that is an array of objects; else the event itself."""
    return (split_document(event)[1] if event.startswith(b"[") else []) or [event]


def _without_trailer(data: bytes) -> bytes:
    tail = data[-_LONGEST_TRAILER:]
    size = len(data) - len(tail)
    while True:
        tail = tail.rstrip(_PADDING)
        start = max(tail.rfind(b"\n"), tail.rfind(b"\r")) + 1
        if tail.endswith(DONE):
            tail = tail.removesuffix(DONE).rstrip().removesuffix(b"data:")
        elif start and tail.startswith(b":", start):
            tail = tail[:start]
        else:
            return data[:size] + tail


def document_start(data: bytes | bytearray) -> int | None:
    """Return the place at which an object begins after other text; None where there is none."""
    match = None if data[:1] == b"<" else _START.search(data[: MOST_BEFORE + 1])
    return None if match is None else match.end()


def embedded_document(data: bytes) -> bytes | None:
    """Return the one object that stands between other text; None where it is doubtful that it is the reply."""
    start = document_start(data)
    if start is None:
        return None
    before = data[:start]
    if b"{" in before or before.count(b"[") != before.count(b"]"):  # the beginning of a document that was cut off
        return None
    text = data[start:].decode("utf-8", "surrogateescape")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return text[:end].encode("utf-8", "surrogateescape") if _REST.fullmatch(text, end) else None


class NestingError(ValueError):
    """Nesting that would exhaust the stack."""


def parse_json(text: str, **options: Any) -> Any:
    """Return the value of a JSON text that is not nested too deeply to be processed.

    Raises
    ------
    ValueError
        When it is not JSON, or nested deeper than any honest value.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH:
        depth = 0
        for bracket in _BRACKET.findall(text):
            depth += 1 if bracket in ("[", "{") else -1 if bracket in ("]", "}") else 0
            if depth > MAX_DEPTH:
                raise NestingError
    return json.loads(text, **options)
