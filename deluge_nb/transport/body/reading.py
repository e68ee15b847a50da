"""Reading of a reply's body within limits of size, whatever its coding and its form."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Callable

import httpx

from ...dialects.base import Delta, StreamReader
from ...dialects.reading.framing.documents import is_json
from ...errors import MalformedResponseError
from ..wire import Reply
from .charsets import MARKS, Transcoder, as_utf8, named_charset

MAX_REPLY_SIZE = 64 << 20
"""Bytes of one answer, unpacked; a longer one would fill the memory."""
MAX_ERROR_SIZE = 1 << 20
"""Bytes of a failed reply that are read; the reason stands at its beginning."""
ACCEPTED_CODINGS = "gzip, deflate"
"""Codings that the client asks for; :mod:`zlib` unpacks each."""

_ZLIB_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
# First bytes of gzip, with which no text begins.
_GZIP = b"\x1f\x8b"
# Bytes that are unpacked before their number is checked.
_STEP = 1 << 18
# A longer list of pieces is joined, so that a body sent byte by byte makes no list of millions.
_MAX_PIECES = 1024
# Members of one gzip body; servers send one.
_MAX_MEMBERS = 100
# Seconds in which the connection may end after the answer, so that it can be used again.
_AFTER_END = 0.1
# Seconds after the finish reason; only the number of tokens follows it.
_AFTER_FINISH = 5.0
# First bytes of JSON and of event streams, with which no gzip begins: some gateways unpack a body and leave the header.
_PLAIN = frozenset(bytes([byte]) for byte in b"{[:deir \t\r\n\xef")
_BLANK = b" \t\r\n\xef\xbb\xbf"
# Bytes of a reply that a reader gets at once.
_SLICE = 1 << 16


class UnreadableBodyError(Exception):
    """Body that is not read: too long, or packed in a way that was not asked for."""


class UnfinishedStreamError(Exception):
    """Stream that ended before the answer did.

    Parameters
    ----------
    reader
        Reader of the part that was received.
    """

    def __init__(self, reader: StreamReader) -> None:
        super().__init__()
        self.reader = reader


def body_stream(reply: Reply) -> AsyncIterable[bytes]:
    """Return the unpacked pieces of a body, in UTF-8.

    Raises
    ------
    UnreadableBodyError
        For a coding that was not asked for, and for more than one.
    """
    stream, packed = reply.pieces(), reply.header("content-encoding")
    charset = named_charset(reply.header("content-type"))
    if packed is None:
        return _unpack_unnamed(stream, charset)
    named = (part.strip().lower() for part in packed.split(","))
    codings = [coding for coding in named if coding not in ("", "identity")]
    if len(codings) > 1:
        raise UnreadableBodyError(f"its answer is packed {len(codings)} times ({', '.join(codings)[:80]})")
    if not codings:
        return _unpack_unnamed(stream, charset)
    if codings[0] not in _ZLIB_BITS:
        raise UnreadableBodyError(
            f"its answer is in the coding {codings[0][:40]!r}, which was not asked for ({ACCEPTED_CODINGS} were)"
        )
    return _transcode(_unpack(stream, codings[0]), charset)


async def _unpack_unnamed(stream: AsyncIterable[bytes], charset: str | None) -> AsyncIterator[bytes]:
    """Yield a stream, unpacked if it is gzip; some gateways pack a body and leave the header out."""
    rest = aiter(stream)
    first = await _beginning(rest, (_GZIP, *MARKS))
    is_packed = first.startswith(_GZIP)
    if is_packed or Transcoder(first, charset).is_needed:
        pieces = _chain([first], rest)
        rest = _transcode(_unpack(pieces, "gzip") if is_packed else pieces, charset)
    else:
        yield first
    async for piece in rest:
        yield piece


async def _transcode(stream: AsyncIterator[bytes], charset: str | None) -> AsyncIterator[bytes]:
    """Yield a stream in UTF-8."""
    first = await _beginning(stream, MARKS)
    transcoder = Transcoder(first, charset)
    async for piece in _chain([first], stream):
        yield transcoder.feed(piece) if transcoder.is_needed else piece
    if transcoder.is_needed:
        yield transcoder.feed(b"", final=True)


async def _beginning(stream: AsyncIterator[bytes], marks: tuple[bytes, ...]) -> bytes:
    """Return the first bytes of a stream, enough to know with which of the marks they begin."""
    first = b""
    async for piece in stream:
        first += piece
        if not any(mark.startswith(first) and mark != first for mark in marks):
            break
    return first


async def _unpack(stream: AsyncIterable[bytes], coding: str) -> AsyncIterator[bytes]:
    """Unpack a stream in steps of bounded size.

    Raises
    ------
    httpx.DecodingError
        When the bytes are not packed in this way, or end too early.
    """
    bits = _ZLIB_BITS[coding]
    unpacker, has_begun, members = zlib.decompressobj(bits), False, 1
    is_plain = False
    try:
        async for packed in stream:
            if is_plain or (not has_begun and coding != "deflate" and packed[:1] in _PLAIN):
                is_plain = True
                yield packed
                continue
            if not has_begun and packed and coding == "deflate" and packed[0] & 0x0F != 8:
                unpacker = zlib.decompressobj(-bits)  # some servers leave out the header
            has_begun = has_begun or bool(packed)
            while packed:
                if unpacker.eof:
                    if coding == "deflate" or not packed.strip(b"\0"):
                        break  # padding
                    members += 1
                    if members > _MAX_MEMBERS:
                        raise UnreadableBodyError(f"its answer is packed in more than {_MAX_MEMBERS} parts")
                    unpacker = zlib.decompressobj(bits)
                piece = unpacker.decompress(packed, _STEP)
                packed = unpacker.unconsumed_tail or unpacker.unused_data
                if piece:
                    yield piece
                if packed and len(piece) == _STEP:  # few packed bytes may hold the loop, and all clocks, for seconds
                    await asyncio.sleep(0)
            while not unpacker.eof and (piece := unpacker.decompress(b"", _STEP)):
                yield piece
                await asyncio.sleep(0)
    except zlib.error as error:
        raise httpx.DecodingError(f"its answer is no valid {coding}: {error}") from None
    if has_begun and not is_plain and not unpacker.eof:
        raise httpx.DecodingError(f"its {coding} answer ended too early")


async def read_stream(
    pieces: AsyncIterable[bytes],
    reader: StreamReader,
    max_size: float,
    on_deltas: Callable[[list[Delta]], None] | None = None,
) -> None:
    """Read pieces of a body until the answer ends.

    Parameters
    ----------
    pieces
        The unpacked pieces.
    reader
        Reader that gets them.
    max_size
        Bytes after which reading fails.
    on_deltas
        Receiver of the additions to the answer.

    Raises
    ------
    UnreadableBodyError
        When the body is too long.
    httpx.HTTPError
        When the connection ends early.
    """
    now, size, was_ended = asyncio.get_running_loop().time, 0, False
    try:
        async with asyncio.timeout(None) as clock:
            async for piece in pieces:
                size += len(piece)
                if size > max_size:
                    raise too_long()
                deltas = reader.feed(piece)
                if deltas and on_deltas is not None:
                    on_deltas(deltas)
                reader.check()
                if was_ended:
                    continue
                was_ended = reader.ended
                if was_ended:
                    clock.reschedule(now() + _AFTER_END)
                elif reader.is_neither:
                    break
                elif reader.complete and (deltas or clock.when() is None):
                    clock.reschedule(now() + _AFTER_FINISH)
    except TimeoutError:
        return  # the answer is complete
    deltas = reader.end()
    if deltas and on_deltas is not None:
        on_deltas(deltas)
    reader.check()


class Body:
    """Body of one reply, as far as it has been read.

    Parameters
    ----------
    max_size
        Bytes after which reading fails; may be changed before :meth:`read`.
    """

    def __init__(self, max_size: float) -> None:
        self.max_size = max_size
        self._joined = bytearray()
        self._pieces: list[bytes] = []
        self.reader: StreamReader | None = None
        """Reader of a stream that was not asked for; None for other replies."""

    async def read(self, reply: Reply, make_reader: Callable[[], StreamReader] | None = None) -> None:
        """Read a body to its end.

        Parameters
        ----------
        reply
            The reply.
        make_reader
            Maker of a reader, for a body that does not begin like JSON.

        Raises
        ------
        UnreadableBodyError
            When it is too long, or in a coding that was not asked for.
        httpx.HTTPError
            When the connection ends early.
        """
        whole = reply.whole_document()
        if whole is not None and len(whole) <= self.max_size:  # nearly every reply
            self._pieces.append(whole if whole.isascii() else as_utf8(whole, reply.header("content-type")))
            return
        pieces, size, has_begun = self._pieces, 0, make_reader is None
        stream = aiter(body_stream(reply))
        async for piece in stream:
            pieces.append(piece)
            if not has_begun and make_reader is not None:
                first = piece[:1] if piece[:1] == b"{" else piece.lstrip(_BLANK)[:1]
                has_begun = first != b""
                if first not in (b"", b"{", b"["):
                    self.reader = make_reader()
                    await read_stream(_chain(pieces, stream), self.reader, self.max_size)
                    return
            size += len(piece)
            if size > self.max_size:
                raise too_long()
            if len(pieces) > _MAX_PIECES:
                self._joined += b"".join(pieces)
                pieces.clear()

    @property
    def content(self) -> bytes:
        """The bytes that have been read."""
        if len(self._pieces) == 1 and not self._joined:
            return self._pieces[0]
        return b"".join((self._joined, *self._pieces))

    @property
    def is_whole(self) -> bool:
        """True if nothing of the answer can follow: the bytes are a whole JSON document or stream."""
        if self.reader is not None:
            return self.reader.complete or self.reader.ended
        content = self.content.strip()
        return content[:1] in (b"{", b"[") and is_json(content)


async def _chain(first: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for piece in first:
        yield piece
    async for piece in rest:
        yield piece


def too_long() -> UnreadableBodyError:
    """Return the error for an answer above :data:`MAX_REPLY_SIZE`."""
    return UnreadableBodyError(f"its answer is longer than {MAX_REPLY_SIZE >> 20} MB")


def is_document(body: bytes) -> bool:
    """Return True for the form of nearly every reply: a document of one line, or with a bracket on the first line."""
    if body[:1] != b"{" or not body[-4:].rstrip().endswith(b"}") or b"\r" in body:
        return False
    return body.find(b"\n") in (-1, 1, len(body) - 1)


def as_document(
    body: bytes, make_reader: Callable[[], StreamReader] | None, content_type: str | None, dialect: str
) -> bytes:
    """Return a reply as the JSON document that the dialect parses, in whatever form the server has sent it.

    Parameters
    ----------
    body
        The reply: a document with anything around it, an event stream, or JSON lines.
    make_reader
        Maker of the reader that assembles a stream; None where the dialect has none.
    content_type
        The server's header, for the message only.
    dialect
        Name of the dialect, for the message.

    Raises
    ------
    MalformedResponseError
        When the body is no answer in any form.
    UnfinishedStreamError
        When it is a stream that ends before the answer does.
    RequestError
        When it is a stream that reports a failure.
    """
    if make_reader is None or not body.strip():
        return body
    reader = make_reader()
    for start in range(0, len(body), _SLICE):
        reader.feed(body[start : start + _SLICE])
    reader.end()
    return assembled(reader, content_type, dialect)


def assembled(reader: StreamReader, content_type: str | None, dialect: str) -> bytes:
    """Return the document that a reader has read or assembled.

    Raises
    ------
    MalformedResponseError
        When it has read neither JSON nor an event stream.
    UnfinishedStreamError
        When the stream ended before the answer did.
    """
    document = reader.document
    if document is None:
        if not reader.complete and not reader.ended:
            raise UnfinishedStreamError(reader)
        return reader.body()
    if reader.is_neither:
        kind = f" (Content-Type: {content_type[:60]})" if content_type else ""
        text = document.decode("utf-8", "replace")
        message = f"The server sent no JSON: {text[:200]!r}{kind}."
        raise MalformedResponseError(message, dialect=dialect, excerpt=text[:200], body=text)
    return document


__all__ = [
    "ACCEPTED_CODINGS",
    "MAX_ERROR_SIZE",
    "MAX_REPLY_SIZE",
    "Body",
    "UnfinishedStreamError",
    "UnreadableBodyError",
    "as_document",
    "assembled",
    "body_stream",
    "is_document",
    "read_stream",
    "too_long",
]
