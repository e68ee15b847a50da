"""Reading a streamed reply from its connection and passing it to a listener."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from ..dialects.base import Delta, StreamReader
from ..errors import DelugeError, RequestError
from .reading import UnfinishedStreamError, UnreadableBodyError, assembled, body_stream, too_long

# Seconds in which the connection may end after the answer, so that it can be used again.
_AFTER_END = 0.1
# Seconds of silence after the finish reason; only the number of tokens follows it.
_AFTER_FINISH = 5.0


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

    async def read(self, response: httpx.Response, source: Source, deadline: float | None, max_size: float) -> bytes:
        """Read the reply until it ends, fails or is stopped.

        Parameters
        ----------
        response
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
            await listener.read(asyncio.ensure_future(self._read_chunks(response, deadline, max_size)))
        except (httpx.HTTPError, TimeoutError, UnreadableBodyError) as error:
            if not reader.begun:
                reader.restart()
                raise
            # What follows a complete answer is not needed.
            if not reader.complete and not reader.ended:
                listener.error = source.interruption(_reason(error))
                self.timed_out = isinstance(error, httpx.TimeoutException)
        except DelugeError as error:
            listener.error = error
        else:
            try:
                return assembled(reader, response.headers.get("content-type"), source.dialect)
            except UnfinishedStreamError:
                if not listener.stopped:
                    listener.error = source.interruption("the connection ended before the answer did")
        return reader.body()

    async def _read_chunks(self, response: httpx.Response, deadline: float | None, max_size: float) -> None:
        reader, now = self._reader, asyncio.get_running_loop().time
        size, was_ended = 0, False
        async with asyncio.timeout_at(deadline) as clock:
            async for chunk in body_stream(response):
                size += len(chunk)
                if size > max_size:
                    raise too_long()
                deltas = reader.feed(chunk)
                if deltas:
                    self._listener.on_deltas(deltas)
                if reader.ended and not was_ended:
                    was_ended = True
                    clock.reschedule(min(deadline or math.inf, now() + _AFTER_END))
                elif reader.complete and not was_ended:
                    clock.reschedule(min(deadline or math.inf, now() + _AFTER_FINISH))
        if deltas := reader.end():
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


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no more came in time"
    if isinstance(error, TimeoutError):
        return "it was still coming when the time was up; increase timeout to wait longer"
    return str(error) or type(error).__name__
