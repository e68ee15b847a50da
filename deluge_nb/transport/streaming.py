"""Reading a streamed reply from its connection and passing it to a listener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from ..dialects.base import Delta, StreamReader
from ..errors import DelugeError, RequestError

# Content types of a streamed body; a body of any other type is a complete answer.
_STREAM_TYPES = ("text/event-stream", "application/x-ndjson", "application/stream+json")


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

    def is_streamed(self, response: httpx.Response) -> bool:
        """Return True for a stream; some servers send a complete answer even when a stream is requested."""
        content_type = response.headers.get("content-type", "text/event-stream")
        return response.is_success and content_type.partition(";")[0].strip().lower() in _STREAM_TYPES

    async def read(self, response: httpx.Response, label: str, model: str) -> bytes:
        """Read the stream until it ends, fails or is stopped.

        Returns
        -------
        bytes
            The part that was received, in the form of a reply that was not streamed.
        """
        try:
            await self._listener.read(asyncio.ensure_future(self._read_chunks(response)))
        except httpx.HTTPError as error:
            reason = "no more came in time" if isinstance(error, httpx.TimeoutException) else str(error)
            self._listener.error = _interruption(label, model, reason or type(error).__name__)
        except DelugeError as error:
            self._listener.error = error
        else:
            if not self._reader.complete and not self._listener.stopped:
                self._listener.error = _interruption(label, model, "the connection ended before the answer did")
        return self._reader.body()

    async def _read_chunks(self, response: httpx.Response) -> None:
        async for chunk in response.aiter_bytes():
            if deltas := self._reader.feed(chunk):
                self._listener.on_deltas(deltas)
        if deltas := self._reader.end():
            self._listener.on_deltas(deltas)


def _interruption(label: str, model: str, reason: str) -> RequestError:
    return RequestError(f"{model!r} at {label} broke off in the middle of its answer: {reason}", model=model)
