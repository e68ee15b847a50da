"""Framing of replies: split chunks of any length into server-sent events, or into lines of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Protocol

import msgspec

from .documents import MOST_BEFORE, document_start, embedded_document, is_json, split_document

_BOM = b"\xef\xbb\xbf"
# Names of events, and data of events, that only keep a connection open.
_PINGS = frozenset({b"ping", b"heartbeat", b"keepalive", b"keep-alive"})
# Put before JSON by some gateways, so that a page cannot run it as a script.
_GUARDS = (b")]}'", b"while(1);", b"for(;;);")
_FIELD = re.compile(rb"(?:data|event|id|retry)[:\r\n]")
_LONGEST_MARK = max(map(len, (b"event:", *_GUARDS)))
# White space, whole comments, marks and guards in front of a reply. Skipped in one step: they may be millions. The
# separator of JSON text sequences (RFC 7464) and padding with NUL count as white space.
_IGNORED = re.compile(
    rb"(?:[\s\x00\x1e]++|:[^\r\n]*+[\r\n]|%b,?|(?:%b),?)*+" % (re.escape(_BOM), b"|".join(map(re.escape, _GUARDS)))
)
_LINE = re.compile(rb"\S[^\n]*")
# The first event of a stream behind other text.
_LATER_EVENT = re.compile(rb"[\r\n](?=(?:event:[^\r\n]{0,99}(?:\r\n|\r|\n))?data: ?\{)")


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
    and several lines of data are joined. Two things that servers do are read in addition: an event named ``error``
    whose data is only the reason, and a line that is JSON without a field name.
    """

    def __init__(self) -> None:
        self._lines = JSONLines()
        # A list of millions of lines would take many times their bytes.
        self._data: bytes | bytearray | None = None
        self._name = b""
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
                line, self._started = line.removeprefix(_BOM), True
            if not line:
                if self._data is not None:
                    data, self._data = bytes(self._data), None
                    if self._name not in _PINGS and data.strip().lower() not in _PINGS:
                        events.append(_named(self._name, data))
                self._name = b""
            elif line == b"data" or line.startswith(b"data:"):
                self._add(line[5:].removeprefix(b" "))
            elif line.startswith(b"event:"):
                self._name = line[6:].strip().lower()
            elif line.startswith(b"{") and self._data is None:
                events.append(line)
        return events

    def _add(self, line: bytes) -> None:
        if self._data is None:
            self._data = line
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += line


def _named(name: bytes, data: bytes) -> bytes:
    """Return the data of an event; that of an error in the form ``{"error": …}``."""
    if name != b"error" or b'"error"' in data or not data.strip():
        return data
    reason = data if is_json(data) else json.dumps(data.decode("utf-8", "replace")).encode()
    return b'{"error":%b}' % reason


class DetectedFraming:
    """Framing that is chosen by the first bytes of a reply, whatever its Content-Type says.

    A reply is an event stream, JSON lines, or one JSON document. Of a document, :attr:`document` has the bytes once
    :meth:`rest` was called, and there are no events.

    Parameters
    ----------
    lines
        True if the dialect streams JSON lines: each line is an event as soon as it ends. Else the first line is held
        back until a second one shows that the reply is no single document.
    """

    def __init__(self, *, lines: bool = False) -> None:
        self.document: bytes | None = None
        """The reply, if it is one JSON document or neither JSON nor an event stream."""
        self.is_neither = False
        """True if the reply is neither JSON nor an event stream."""
        self._needed = 1 if lines else 2
        self._head = b""
        self._framing: Framing | None = None
        self._pending = bytearray()
        self._lines: JSONLines | None = JSONLines()
        self._values: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that end in these bytes."""
        if self._framing is None and not self._pending:
            data = self._begin(data)
        elif self._framing is None:
            self._pending += data
        if self._framing is not None:
            return self._framing.feed(data)
        return self._feed_json(data) if self._pending else []

    def rest(self) -> list[bytes]:
        """Return the last events, after the reply has ended."""
        if self._framing is not None:
            return self._framing.rest()
        if not self._pending:
            is_comment = self._head.startswith(b":")
            self.document, self.is_neither = None if is_comment else self._head, bool(self._head) and not is_comment
            return []
        if self._lines is not None:
            values = [*self._values, *_values(self._lines.rest())]
            if len(values) > 1 and all(map(is_json, values)):
                return values
        self.document, events = split_document(bytes(self._pending))
        return events

    def follow(self, framing: Framing) -> None:
        """Read what follows with another framing."""
        self._framing = framing

    def _begin(self, data: bytes) -> bytes:
        """Choose the framing, and return the bytes that belong to it."""
        head = _IGNORED.sub(b"", self._head + data, count=1)
        if head.startswith(b":"):
            head = b":"  # not kept: a comment may be endless
        self._head = head
        if head[:1] in (b"{", b"["):
            self._pending += head
        elif _FIELD.match(head):
            self._framing = ServerSentEvents()
        elif len(head) > _LONGEST_MARK:
            self._framing = _OtherText(self)
        return head

    def _feed_json(self, data: bytes) -> list[bytes]:
        if self._lines is None:
            return []
        for value in _values(self._lines.feed(data)):
            if not is_json(value):  # one document over several lines, or with something behind it
                self._lines = None
                return []
            self._values.append(value)
        if len(self._values) < self._needed:
            return []
        self._framing = _ValueLines(self._lines)
        self._pending.clear()
        return self._values


class _ValueLines:
    """Splitter into the values of JSON lines; comments and empty lines are ignored."""

    def __init__(self, lines: JSONLines) -> None:
        self._lines = lines

    def feed(self, data: bytes) -> list[bytes]:
        return _values(self._lines.feed(data))

    def rest(self) -> list[bytes]:
        return _values(self._lines.rest())


class _OtherText:
    """Collector of a reply that begins like neither JSON nor an event stream, until one of them begins behind a line.

    Where none does, its first bytes are enough for a message.
    """

    def __init__(self, detected: DetectedFraming) -> None:
        self._detected = detected
        self._kept = bytearray()
        self._has_document = False

    def feed(self, data: bytes) -> list[bytes]:
        self._kept += data
        if self._has_document:
            return []
        if document_start(self._kept) is not None:
            self._has_document = True
        elif (match := _LATER_EVENT.search(self._kept, 0, MOST_BEFORE)) and self._kept[:1] != b"<":
            self._detected.follow(ServerSentEvents())
            return self._detected.feed(bytes(self._kept[match.end() :]))
        elif len(self._kept) >= MOST_BEFORE:
            self.rest()
        return []

    def rest(self) -> list[bytes]:
        document = embedded_document(bytes(self._kept)) if self._has_document else None
        self._detected.document = bytes(self._kept[:MOST_BEFORE]) if document is None else document
        self._detected.is_neither = document is None
        return []


def split_lines(event: bytes) -> Iterable[bytes]:
    """Return the documents of an event, one a line, as servers send them that leave out the lines between events."""
    if b"\n" not in event:
        return [event]
    first = _LINE.search(event)
    if first is None or not is_json(first[0]):
        return [event]
    return (line[0] for line in _LINE.finditer(event))


def is_empty_value(event: bytes) -> bool:
    """Return whether an event is JSON that holds nothing of an answer, such as null or a word that says "alive"."""
    if not is_json(event):
        return False
    value = msgspec.json.decode(event)
    return not value or not isinstance(value, dict | list)


def _values(lines: list[bytes]) -> list[bytes]:
    return [value for value in map(_value_of, lines) if value is not None]


def _value_of(line: bytes) -> bytes | None:
    """Return the value of a line of JSON; None for an empty line and a comment."""
    line = line.strip()
    if not line or line[:1] == b":":
        return None
    return line.removeprefix(b"data:").strip()
