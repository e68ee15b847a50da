"""Heads of HTTP/1.1 replies, and where their bodies end; nothing here reads from a connection."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

MOST_HEAD = 1 << 16
"""Bytes of a reply's headers; servers send a few thousand."""

_STATUS = re.compile(rb"HTTP/1\.([01])[ \t]+(\d{3})(?:[ \t]|\r?\n|$)")
_SWITCHING = 101
# Statuses of replies that have no body, whatever their headers say.
_BODILESS = frozenset({_SWITCHING, 204, 304})
_MOST_SIZE_LINE = 1 << 12
_LINE_END = re.compile(rb"\r?\n")


class NotHttpError(ValueError):
    """Bytes that are no HTTP."""


class Extent(Enum):
    """End of a body whose length is not given."""

    CHUNKED = "after its last chunk"
    CLOSED = "with the connection"


class Head(NamedTuple):
    """Status and headers of a reply.

    ``extent`` is the length of its body in bytes, or where else it ends; with ``is_last``, the server takes no further
    request on the connection. The body begins at ``end``.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    extent: int | Extent
    is_last: bool
    end: int


def read_head(data: bytes, start: int) -> Head | None:
    """Return the head that begins at a place, and is none of an interim reply; None if it is not whole.

    Raises
    ------
    NotHttpError
        When it is no head, or a longer one than servers send.
    """
    while data[start : start + 1] in (b"\r", b"\n"):  # of the body before
        start += 1
    end = data.find(b"\r\n\r\n", start)
    # Some servers write lines without the carriage return.
    bare = data.find(b"\n\n", start, None if end < 0 else end)
    end, stop = (end, end + 4) if bare < 0 else (bare, bare + 2)
    if end < 0:
        if not b"HTTP/1.".startswith(data[start : start + 7]):
            _read_status(data[start:])
        if len(data) - start > MOST_HEAD:
            raise NotHttpError(f"its headers are longer than {MOST_HEAD >> 10} kB")
        return None
    first, *lines = data[start:end].split(b"\r\n" if bare < 0 else b"\n")
    version, status = _read_status(first)
    headers: list[tuple[bytes, bytes]] = []
    extent: int | Extent | None = None
    connection = b""
    for line in lines:
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t") and headers:  # a value that goes on
            headers[-1] = (headers[-1][0], headers[-1][1] + b" " + line.strip())
        elif colon:
            headers.append((name.rstrip(), value.strip()))
    for name, value in headers:
        kind = name.lower()
        if kind == b"content-length" and extent is not Extent.CHUNKED:
            extent = _as_length(value, extent)
        elif kind == b"transfer-encoding" and value.lower().endswith(b"chunked"):
            extent = Extent.CHUNKED
        elif kind == b"connection":
            connection += b"," + value.lower()
    if status in _BODILESS or 100 <= status < 200:
        extent = 0
    is_last = b"close" in connection or (version == b"0" and b"keep-alive" not in connection) or status == _SWITCHING
    return Head(status, headers, Extent.CLOSED if extent is None else extent, is_last, stop)


def _read_status(line: bytes) -> tuple[bytes, int]:
    match = _STATUS.match(line)
    if match is None:
        raise NotHttpError(f"it begins with {line[:40].decode('utf-8', 'replace')!r}")
    return match[1], int(match[2])


def _as_length(value: bytes, known: int | Extent | None) -> int:
    """Return the length that a header gives; it may be repeated, but not with another number."""
    if known is None and value.isdigit() and len(value) <= 18:  # nearly always
        return int(value)
    lengths = {part.strip() for part in value.split(b",")}
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > 18 or known not in (None, int(length)):
        raise NotHttpError(f"its Content-Length is {value[:40].decode('utf-8', 'replace')!r}")
    return int(length)


class Chunks:
    """Chunks of a body, of which each has its length before it."""

    def __init__(self) -> None:
        self.is_ended = False
        """True after the last chunk, and what may follow it."""
        self.rest = b""
        """Bytes that are not read yet; after the end, those that belong to no body."""
        self._left = 0
        self._is_inside = self._is_behind = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the parts of the body in some bytes.

        Raises
        ------
        NotHttpError
            When the bytes are no chunks.
        """
        if self.rest:
            data = self.rest + data
        parts: list[bytes] = []
        at = 0
        while not self.is_ended:
            if self._left:
                part = data[at : at + self._left]
                at += len(part)
                self._left -= len(part)
                if part:
                    parts.append(part)
                if self._left:
                    break
                self._is_inside = True
            line_end = data.find(b"\n", at)
            if line_end < 0:
                if len(data) - at > (MOST_HEAD if self._is_behind else _MOST_SIZE_LINE):
                    raise NotHttpError("a line between its chunks does not end")
                break
            line, at = data[at:line_end].rstrip(b"\r"), line_end + 1
            if self._is_behind:
                self.is_ended = not line  # else one more header
            elif self._is_inside:  # the end of the line behind a chunk
                if line:
                    raise NotHttpError("one of its chunks is longer than its length")
                self._is_inside = False
            else:
                self._left = _as_size(line)
                self._is_behind = not self._left
        self.rest = data[at:]
        return parts


def _as_size(line: bytes) -> int:
    size = line.partition(b";")[0].strip()
    try:
        if not 0 < len(size) <= 15 or not size.isalnum():
            raise ValueError
        return int(size, 16)
    except ValueError:
        raise NotHttpError(f"the length of a chunk is {line[:40].decode('utf-8', 'replace')!r}") from None
