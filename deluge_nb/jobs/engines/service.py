"""Files of a server, beside its answers: uploads, downloads of any size, and the small documents about them."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from ...dialects.base import Request
from ...errors import RequestError
from ...transport.body.reading import MAX_ERROR_SIZE, UnreadableBodyError, body_stream
from ...transport.retries import FailedAttempt, with_retries

if TYPE_CHECKING:
    from ...transport.http import Transport
    from ...transport.wire import Reply


class FileService:
    """Requests to a server that are about files and batches, over the connection of a model.

    They carry its key and its headers, and their errors show no secret.

    Parameters
    ----------
    transport
        The connection.
    model
        Name of the model, for error messages.
    """

    def __init__(self, transport: Transport, model: str) -> None:
        self._transport, self._model = transport, model

    async def document(self, method: Literal["GET", "POST"], path: str, body: Any = None) -> dict[str, Any]:
        """Send a small document, and return the reply's. What is posted is sent once.

        Raises
        ------
        RequestError
            When the server refuses, cannot be reached, or does not reply with an object.
        """
        content = None if body is None else json.dumps(body).encode()
        return await self._object(method, path, content, "application/json", attempts=1 if method == "POST" else None)

    async def upload(self, path: str, file: Path, **fields: str) -> dict[str, Any]:
        """Upload a file as a form, and return the reply's document.

        Raises
        ------
        RequestError
            As from :meth:`document`.
        """
        mark = uuid.uuid4().hex
        parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n'
        parts.append(f"{head}Content-Type: application/jsonl\r\n\r\n")
        payload = await asyncio.to_thread(file.read_bytes)
        content = b"".join(["".join(parts).encode(), payload, f"\r\n--{mark}--\r\n".encode()])
        return await self._object("POST", path, content, f"multipart/form-data; boundary={mark}")

    async def download(self, path: str, into: BinaryIO) -> None:
        """Write a file of the server to an open file.

        Raises
        ------
        RequestError
            When the server refuses, or cannot be reached.
        """

        def begin() -> None:
            into.seek(0)
            into.truncate()

        await self._fetch("GET", path, None, "", into.write, begin)

    def without_secrets(self, line: bytes) -> bytes:
        """Return a line of a file of the server without the key, which a failure may quote."""
        secrets = self._transport.secrets
        return secrets.hide(line.decode("utf-8", "replace")).encode() if secrets.are_in(line) else line

    async def _object(
        self, method: Literal["GET", "POST"], path: str, content: bytes | None, kind: str, attempts: int | None = None
    ) -> dict[str, Any]:
        received = bytearray()
        await self._fetch(method, path, content, kind, received.extend, received.clear, attempts)
        try:
            # A service may quote the key, and what it says is saved.
            found = json.loads(self._transport.secrets.hide(received.decode()))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RequestError(f"{self._model!r}: {method} {path} was not answered with an object.", model=self._model)
        return found

    async def _fetch(
        self,
        method: Literal["GET", "POST"],
        path: str,
        content: bytes | None,
        kind: str,
        write: Callable[[bytes], object],
        begin: Callable[[], object],
        attempts: int | None = None,
    ) -> None:
        send = partial(self._attempt, method, path, content, kind, write, begin)
        try:
            await with_retries(send, attempts or self._transport.max_attempts)
        except Exception as error:
            self._transport.secrets.hide_in(error)
            raise

    async def _attempt(
        self,
        method: Literal["GET", "POST"],
        path: str,
        content: bytes | None,
        kind: str,
        write: Callable[[bytes], object],
        begin: Callable[[], object],
    ) -> bytes:
        import httpx

        reply: Reply | None = None
        begin()
        try:
            reply = await self._transport.open(Request(path, method=method), content, kind)
            if reply.is_success:
                async for piece in body_stream(reply):
                    write(piece)
                return b""
            refused = bytearray()
            async for piece in body_stream(reply):
                refused += piece
                if len(refused) > MAX_ERROR_SIZE:
                    break
            raise self._transport.refusal(reply, bytes(refused), self._model, path)
        except (httpx.HTTPError, UnreadableBodyError) as error:
            reason = f"{self._model!r}: {method} {path} failed: {error or type(error).__name__}"
            raise FailedAttempt(RequestError(reason, model=self._model), retry=True) from None
        finally:
            if reply is not None:
                await reply.close()
