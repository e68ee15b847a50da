"""Listening to an answer as it comes: from the connection to whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from ..dialects.base import Delta, StreamReader
from ..errors import DelugeError, RequestError

# What servers call a body that comes piece by piece; anything else is an answer that came at once.
_STREAMS = ("text/event-stream", "application/x-ndjson", "application/stream+json")


class StreamListener:
    """Hears what is streamed, until told to stop. All of it on the portal's loop.

    Parameters
    ----------
    heard
        Called with what each event adds.
    """

    def __init__(self, heard: Callable[[list[Delta]], None]) -> None:
        self.heard = heard
        self.broken: DelugeError | None = None
        """Why the stream broke off, where it did."""
        self.stopped = False
        """Whether nobody wants any more."""
        self._reading: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Have no more read; what has come is still made the best of."""
        self.stopped = True
        if self._reading is not None:
            self._reading.cancel()

    @property
    def reading(self) -> bool:
        """Whether an answer is coming."""
        return self._reading is not None

    async def read(self, reading: asyncio.Task[None]) -> None:
        """Wait for a reader, which :meth:`stop` ends."""
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
    """A reply that is read piece by piece.

    Parameters
    ----------
    reader
        Of the dialect.
    listener
        Who hears what it reads.
    """

    def __init__(self, reader: StreamReader, listener: StreamListener) -> None:
        self._reader = reader
        self._listener = listener

    def takes(self, response: httpx.Response) -> bool:
        """Whether the reply is a stream: some servers answer at once whatever they are asked."""
        told = response.headers.get("content-type", "text/event-stream")
        return response.is_success and told.partition(";")[0].strip().lower() in _STREAMS

    async def read(self, response: httpx.Response, label: str, model: str) -> bytes:
        """Read it to its end, or as far as it goes.

        Returns
        -------
        bytes
            What has come, as the body of a reply that was not streamed.
        """
        try:
            await self._listener.read(asyncio.ensure_future(self._pieces(response)))
        except httpx.HTTPError as error:
            why = "no more came in time" if isinstance(error, httpx.TimeoutException) else str(error)
            self._listener.broken = _broken(label, model, why or type(error).__name__)
        except DelugeError as error:
            self._listener.broken = error
        else:
            if not self._reader.complete and not self._listener.stopped:
                self._listener.broken = _broken(label, model, "the connection ended before the answer did")
        return self._reader.body()

    async def _pieces(self, response: httpx.Response) -> None:
        async for piece in response.aiter_bytes():
            if found := self._reader.feed(piece):
                self._listener.heard(found)
        if found := self._reader.end():
            self._listener.heard(found)


def _broken(label: str, model: str, why: str) -> RequestError:
    return RequestError(f"{model!r} at {label} broke off in the middle of its answer: {why}", model=model)
