"""Split the bytes of a stream, cut anywhere, into events: server-sent events, or lines of JSON."""

from __future__ import annotations

from typing import Protocol


class Framing(Protocol):
    """Splits a stream into events."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that end in these bytes."""
        ...

    def rest(self) -> list[bytes]:
        """Return the last event, where the stream ended without ending it."""
        ...


class JSONLines:
    """Splits bytes into lines, each as soon as its end has come; the form of a stream with one JSON value a line."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._ended_by_return = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in these bytes: at ``\\n``, ``\\r`` or both; empty ones as well."""
        if self._ended_by_return and data:
            # The second half of a line's end, when the first came before it.
            data, self._ended_by_return = data.removeprefix(b"\n"), False
        if not data:
            return []
        self._ended_by_return = data.endswith(b"\r")
        if b"\n" not in data and b"\r" not in data:
            # Looked at once: a line that comes in a thousand pieces is not searched a thousand times.
            self._begun += data
            return []
        *ended, begun = bytes(self._begun + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._begun = bytearray(begun)
        return ended

    def rest(self) -> list[bytes]:
        """The last line, where the stream ended without ending it."""
        left, self._begun = bytes(self._begun), bytearray()
        return [left] if left else []


class ServerSentEvents:
    """Splits bytes into server-sent events, of which only the data matters.

    Written to the event-stream format of the HTML standard: comments, other fields and a mark at the beginning are
    passed over, and the data of several lines is joined.
    """

    def __init__(self) -> None:
        self._lines = JSONLines()
        self._data: list[bytes] = []
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that end in these bytes."""
        return self._read(self._lines.feed(data))

    def rest(self) -> list[bytes]:
        """The data of the last event, where the stream ended without the empty line after it."""
        return self._read([*self._lines.rest(), b""])

    def _read(self, lines: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for line in lines:
            if not self._begun:
                line, self._begun = line.removeprefix(b"\xef\xbb\xbf"), True
            if not line and self._data:
                found.append(b"\n".join(self._data))
                self._data = []
            elif line == b"data" or line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
        return found
