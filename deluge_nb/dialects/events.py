"""Framing of streams: split chunks of any length into server-sent events, or into lines of JSON."""

from __future__ import annotations

from typing import Protocol


class Framing(Protocol):
    """Splitter of a stream into events."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that end in these bytes."""
        ...

    def rest(self) -> list[bytes]:
        """Return the last event, if the stream ended inside it."""
        ...


class JSONLines:
    """Splitter into lines, for streams with one JSON value per line."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._ended_by_return = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that end in these bytes, at ``\\n``, ``\\r`` or both, including empty lines."""
        if self._ended_by_return and data:
            # A "\r\n" may be split between two chunks.
            data, self._ended_by_return = data.removeprefix(b"\n"), False
        if not data:
            return []
        self._ended_by_return = data.endswith(b"\r")
        if b"\n" not in data and b"\r" not in data:
            # Returns early, so that a line of a thousand chunks is not searched a thousand times.
            self._partial += data
            return []
        *lines, partial = bytes(self._partial + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._partial = bytearray(partial)
        return lines

    def rest(self) -> list[bytes]:
        """Return the last line, if the stream ended inside it."""
        line, self._partial = bytes(self._partial), bytearray()
        return [line] if line else []


class ServerSentEvents:
    """Splitter into server-sent events, which returns the data of each.

    It follows the event-stream format of the HTML standard: comments, other fields and a byte order mark are ignored,
    and several lines of data are joined.
    """

    def __init__(self) -> None:
        self._lines = JSONLines()
        self._data: list[bytes] = []
        self._started = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of the events that end in these bytes."""
        return self._read(self._lines.feed(data))

    def rest(self) -> list[bytes]:
        """Return the data of the last event, if the stream ended without an empty line after it."""
        return self._read([*self._lines.rest(), b""])

    def _read(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if not self._started:
                line, self._started = line.removeprefix(b"\xef\xbb\xbf"), True
            if not line and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
            elif line == b"data" or line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
        return events
