"""Reading a streamed reply from its connection and passing it to a listener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from ..dialects.base import Delta, StreamReader
from ..dialects.reading.answer import FailedAnswer, PartialAnswer
from ..dialects.reading.framing.documents import is_json
from ..errors import DelugeError, RequestError
from .body.reading import UnfinishedStreamError, UnreadableBodyError, assembled, body_stream, read_stream
from .wire import Reply

_ENDED_EARLY = "the connection ended before the answer did"


class StreamListener:
    """Receiver of a streamed answer that can stop it; used on the portal's loop only.

    Parameters
    ----------
    on_deltas
        Callback that receives the additions of each chunk of the stream.
    """

    def __init__(self, on_deltas: Callable[[list[Delta]], None]) -> None:
        self.on_deltas = on_deltas
        self.error: DelugeError | None = None
        """Error that ended the stream early, or None."""
        self.stopped = False
        """True once :meth:`stop` was called."""
        self._reading: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Stop reading; the part that has been received is kept as the reply."""
        self.stopped = True
        if self._reading is not None:
            self._reading.cancel()

    @property
    def reading(self) -> bool:
        """True while an answer is being read."""
        return self._reading is not None

    async def read(self, reading: asyncio.Task[None]) -> None:
        """Wait until a task has read the stream; :meth:`stop` cancels the task."""
        self._reading = reading
        if self.stopped:
            reading.cancel()
        try:
            await asyncio.wait((reading,))
        finally:
            self._reading = None
            reading.cancel()
        if not reading.cancelled():
            reading.result()


class StreamedReply:
    """Reply that is read in chunks.

    Parameters
    ----------
    reader
        Reader of the dialect, which turns bytes into additions to the answer.
    listener
        Receiver of these additions.
    """

    def __init__(self, reader: StreamReader, listener: StreamListener) -> None:
        self._reader = reader
        self._listener = listener
        self.timed_out = False
        """True if the server fell silent in the middle of its answer."""
        # A failure before the first token is one of the request, which may be tried again.
        self._has_begun = False

    async def read(self, reply: Reply, source: Source, deadline: float | None, max_size: float) -> bytes:
        """Read the reply until it ends, fails or is stopped.

        Parameters
        ----------
        reply
            A reply without an error status; its body need not be a stream.
        source
            The server, for messages.
        deadline
            Time of the loop at which reading ends; None for no limit.
        max_size
            Bytes after which reading ends.

        Returns
        -------
        bytes
            The part that was received, in the form of a reply that was not streamed.

        Raises
        ------
        httpx.HTTPError, TimeoutError, UnreadableBodyError
            When reading fails before anything was passed to the listener.
        MalformedResponseError
            When the reply is no answer in any form.
        """
        reader, listener = self._reader, self._listener
        try:
            await listener.read(asyncio.ensure_future(self._read_chunks(reply, deadline, max_size)))
        except (httpx.HTTPError, TimeoutError, UnreadableBodyError) as error:
            if not reader.begun:
                # White space without end may follow a whole document.
                document = reader.unread_document()
                if document is not None and is_json(document):
                    return document
                reader.restart()
                raise
            # What follows a complete answer is not needed.
            if not reader.complete and not reader.ended:
                self._break_off(source.interruption(_reason(error)))
                self.timed_out = isinstance(error, httpx.TimeoutException)
        except DelugeError as error:
            if isinstance(error, FailedAnswer) and not self._has_begun:
                raise
            self._break_off(error)
        else:
            try:
                return assembled(reader, reply.header("content-type"), source.dialect)
            except UnfinishedStreamError:
                if not listener.stopped:
                    self._break_off(source.interruption(_ENDED_EARLY))
        return reader.body()

    def _break_off(self, error: DelugeError) -> None:
        self._reader.break_off(error)
        if isinstance(error, PartialAnswer):  # the reader has what was received
            error.take_part()
        if self._reader.is_cut_off:
            self._listener.error = error

    async def _read_chunks(self, reply: Reply, deadline: float | None, max_size: float) -> None:
        async with asyncio.timeout_at(deadline):
            await read_stream(body_stream(reply), self._reader, max_size, self._pass_on)

    def _pass_on(self, deltas: list[Delta]) -> None:
        if deltas:
            self._has_begun = True
            self._listener.on_deltas(deltas)


@dataclass(frozen=True, slots=True)
class Source:
    """Server and model of a reply, for error messages."""

    label: str
    model: str
    dialect: str

    def interruption(self, reason: str) -> RequestError:
        """Return the error for an answer that broke off."""
        message = f"{self.model!r} at {self.label} broke off in the middle of its answer: {reason}"
        return RequestError(message, model=self.model)

    def unfinished(self, reader: StreamReader) -> FailedAnswer:
        """Return the error for a stream that ended before its answer, with the part that was received."""
        error = FailedAnswer(str(self.interruption(_ENDED_EARLY)), model=self.model)
        error.completion, error.part = None, reader.break_off(error)
        return error


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no more came in time"
    if isinstance(error, TimeoutError):
        return "it was still coming when the time was up; increase timeout to wait longer"
    return str(error) or type(error).__name__
