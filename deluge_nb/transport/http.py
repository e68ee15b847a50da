"""Sending, pacing and retrying of HTTP requests; everything here runs on the portal's loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Protocol, runtime_checkable
from urllib.request import getproxies

import httpx
from pydantic import SecretStr

from ..dialects.base import Completion, Exchange, Request, advance, load
from ..dialects.reading.answer import PartialAnswer
from ..dialects.reading.decode import parse_error
from ..errors import MalformedResponseError, RequestError
from ..models.spec import Address, Endpoint, Served
from .address import ServerAddress
from .body.reading import (
    ACCEPTED_CODINGS,
    MAX_ERROR_SIZE,
    MAX_REPLY_SIZE,
    Body,
    UnfinishedStreamError,
    UnreadableBodyError,
    as_document,
    assembled,
    is_document,
)
from .certificates import PermanentConnectError, context_for, proxy_login
from .portal import Together
from .rate_limits import seconds_until_reset
from .retries import EXHAUSTED_CODES, FailedAttempt, is_transient, plausible_wait, retry_after, with_retries
from .secrecy import Secrets, basic, key_headers, override
from .streaming import Source, StreamedReply, StreamListener
from .throttle import PaceLike, Pause, Slots
from .wire import Backend, HttpxBackend, Reply, Timeouts, encode_body

# A reply that trickles in never exceeds `timeout` between two bytes; a whole try may take this many times as long.
_TOTAL_TIMEOUT_FACTOR = 10
_LONGER = "increase timeout to wait longer"
# A client sends to a few addresses only; the limit guards against a path that varies.
_MAX_PARSED_URLS = 64
# Bytes of a reply that is worth reading together with others.
_LONG_REPLY = 1 << 14
# Seconds; if a server asks for a longer wait, an error with that number is more useful than a call that hangs.
_LONGEST_WAIT = 60.0

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": ACCEPTED_CODINGS,
    "User-Agent": f"deluge-nb/{version('deluge-nb')}",
}


@runtime_checkable
class _Restartable(Protocol):
    """Server on this machine whose process can be replaced."""

    def restart_if_hung(self, address: Address) -> bool: ...


class Transport:
    """Sender of the requests to one endpoint.

    Parameters
    ----------
    endpoint
        The server; its dialect reads error bodies, and its base URL is used unless ``served`` has one.
    key
        API key, put into the headers of each request.
    address
        The endpoint's base URL with the login and the query that stand in the user's address.
    headers
        Headers of the user's own, which win over all others.
    served
        A server on this machine; its address is requested before each attempt, so that it is restarted if it died.
    timeout
        Seconds without a byte after which an attempt fails.
    max_attempts
        Attempts per request, including the first.
    transport
        Any httpx transport, in place of the network.
    pace
        Rate limiter that each attempt waits for.
    slots
        Places for requests; each exchange takes one.
    public
        Names that messages contain, and that are no secrets.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        key: SecretStr | None,
        address: ServerAddress | None = None,
        headers: Mapping[str, SecretStr] | None = None,
        served: Served | None = None,
        timeout: float = 120.0,
        max_attempts: int = 5,
        transport: httpx.AsyncBaseTransport | None = None,
        pace: PaceLike | None = None,
        slots: Slots | None = None,
        public: Sequence[str] = (),
    ) -> None:
        self._endpoint = endpoint
        self._key = key
        self._location = address or ServerAddress(endpoint.base_url)
        login = self._location.login
        self._extra = {**({} if login is None else {"Authorization": basic(login)}), **(headers or {})}
        fixed = map(SecretStr, endpoint.headers.values())
        self.secrets = Secrets([key, *self._location.secrets], [*self._extra.values(), *fixed], public)
        self._served = served
        self._is_restartable = isinstance(served, _Restartable)
        self._timeout = timeout
        self.max_attempts = max_attempts
        self._transport = transport
        self._pace = pace
        self._pause = Pause(pace)
        self._slots = slots or Slots(endpoint.concurrency)
        self._headers = {**_HEADERS, **endpoint.headers}
        self._urls: dict[str, SecretStr] = {}
        self._timeouts = Timeouts(min(10.0, timeout), timeout)
        self._together = Together()
        self._backend: Backend | None = None
        self._finalizer: weakref.finalize[..., Transport] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def carry(
        self,
        exchange: Exchange,
        model: str,
        listener: StreamListener | None = None,
        on_request: Callable[[], None] | None = None,
    ) -> Completion:
        """Send each request of an exchange, pass it the replies, and return its completion.

        Parameters
        ----------
        exchange
            Generator of a dialect.
        model
            Name of the model, for error messages.
        listener
            Receiver of streamed chunks. If it stops, or the stream breaks off, the part received so far is the reply.
        on_request
            Called for each request that is sent, retries included: a provider may bill each of them.

        Returns
        -------
        Completion
            The result of the exchange.

        Raises
        ------
        RequestError
            When a request fails permanently, or its attempts are used up.
        MalformedResponseError
            When a reply does not fit the dialect.
        """
        try:
            request = next(exchange)
            failures: list[FailedAttempt] = []
            document = b""
            async with self._slots:
                while True:
                    if request.failure is None:
                        failures.clear()
                    else:
                        failures.append(self._answer_failure(request.failure))
                    streamed = None
                    if request.reader is not None and listener is not None:
                        streamed = StreamedReply(request.reader, listener)
                    attempt = self._attempt_served if self._is_restartable else self._attempt
                    send = partial(attempt, request, model, streamed)
                    try:
                        document = await with_retries(send, self.max_attempts, on_request, failures)
                        step = partial(advance, exchange, document)
                    except PartialAnswer as failure:
                        if failure is request.failure:  # there is no further attempt
                            raise
                        # Of a stream, before its first token: a new request has a new reader.
                        step = partial(advance, exchange, failure)
                    except RequestError as refusal:
                        if not request.may_fail:
                            raise
                        step = partial(advance, exchange, refusal)
                    try:
                        result = await self._together.call(step) if len(document) > _LONG_REPLY else step()
                    except MalformedResponseError as error:
                        error.body = parse_error(HTTPStatus.OK, document).body
                        raise
                    if not isinstance(result, Request):  # a completion, or the count of an exchange that counts
                        return result
                    request = result
        except Exception as error:
            # Servers quote what is secret, and so do libraries.
            self.secrets.hide_in(error)
            raise
        finally:
            exchange.close()
            if listener is not None and listener.error is not None:
                self.secrets.hide_in(listener.error)

    async def _attempt(self, request: Request, model: str, streamed: StreamedReply | None = None) -> bytes:
        content = None if request.body is None else encode_body(request.body)
        if self._pace is not None:
            await self._pace.turn()
        if self._pause.is_on:
            await self._pause.wait()
        address = await self._address()
        base = address.base_url if address is not None else self._endpoint.base_url
        base = base.removesuffix("/v1") if request.from_root else base
        limit = _TOTAL_TIMEOUT_FACTOR * self._timeout if self._served is None else None
        body = Body(MAX_REPLY_SIZE if self._served is None else math.inf)
        reply = None
        try:
            # Opened before the time begins: the first request imports the network's library.
            backend = self._backend_for(base)
            async with asyncio.timeout(limit) as clock:
                reply = await backend.send(
                    request.method,
                    self._url(base + request.path),
                    self._headers_of(request, address),
                    content,
                )
                reset = seconds_until_reset(reply.raw_headers)
                # For a later reset the next request is sent anyway: if the server refuses it, it gives the reason.
                if reset is not None and reset <= _LONGEST_WAIT:
                    self._pause.hold(reset)
                try:
                    if streamed is not None and reply.is_success:
                        deadline = clock.when()
                        clock.reschedule(None)  # the part that came in time is kept
                        source = Source(self._endpoint.label, model, self._endpoint.dialect)
                        return await streamed.read(reply, source, deadline, body.max_size)
                    if reply.is_success:
                        await body.read(reply, request.make_reader)
                    else:
                        body.max_size = MAX_ERROR_SIZE
                        await body.read(reply)
                finally:
                    await reply.close()
        except TimeoutError:
            failure = self._body_failure(model, f"its answer was still coming after {limit:g} seconds; {_LONGER}")
        except UnreadableBodyError as error:
            failure = self._body_failure(model, str(error))
        except httpx.TimeoutException as error:
            billed = not isinstance(error, httpx.ConnectTimeout)
            failure = self._connection_failure(model, f"no answer within {self._timeout:g} seconds", billed=billed)
            failure.timed_out = True
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError, TypeError) as error:
            failure = self._connection_failure(model, str(error), retry=False)
        except httpx.HTTPError as error:
            billed = not isinstance(error, httpx.ConnectError)
            retry = not isinstance(error, PermanentConnectError)
            if not retry:  # the next call reads the environment anew, where the user may have set what was missing
                self.close()
            reason = str(error) or type(error).__name__
            failure = self._connection_failure(model, reason, retry=retry, billed=billed)
        else:
            failure = None
        if reply is not None and reply.is_success and (failure is None or body.is_whole):
            return self._document(request, reply, body, model)
        if reply is not None and not reply.is_success:
            # Whatever became of its body, the status says what to do.
            failure = self.refusal(reply, body.content, model, request.path)
        assert failure is not None
        raise failure

    def _headers_of(self, request: Request, address: Address | None) -> dict[str, str]:
        """Return the headers of a request; no local variable has what is secret in it."""
        key = self._key if address is None else SecretStr(address.key)
        kind = {} if request.body is None else {"Content-Type": "application/json"}
        return override({**self._headers, **kind, **key_headers(self._endpoint, key)}, self._extra)

    def _document(self, request: Request, reply: Reply, body: Body, model: str) -> bytes:
        """Return a reply as the document that the dialect parses."""
        if self._served is not None or (body.reader is None and is_document(body.content)):
            return body.content
        content_type = reply.header("content-type")
        try:
            if body.reader is not None:
                return assembled(body.reader, content_type, self._endpoint.dialect)
            return as_document(body.content, request.make_reader, content_type, self._endpoint.dialect)
        except UnfinishedStreamError as unfinished:
            reader = unfinished.reader
        source = Source(self._endpoint.label, model, self._endpoint.dialect)
        raise FailedAttempt(source.unfinished(reader), retry=True, billed=True)

    async def _attempt_served(self, request: Request, model: str, streamed: StreamedReply | None) -> bytes:
        """Make one attempt; if the server's process hangs, replace the process and ask again."""
        served, address = self._served, await self._address()
        if not isinstance(served, _Restartable) or address is None:
            return await self._attempt(request, model, streamed)
        try:
            reply = await self._attempt(request, model, streamed)
        except FailedAttempt as failure:
            if not failure.timed_out or not await asyncio.to_thread(served.restart_if_hung, address):
                raise
        else:
            if streamed is not None and streamed.timed_out:
                await asyncio.to_thread(served.restart_if_hung, address)
            return reply
        return await self._attempt(request, model, streamed)

    def _url(self, url: str) -> str:
        """Return an address with the query of the user's, checked once."""
        if url not in self._urls:
            if len(self._urls) > _MAX_PARSED_URLS:
                self._urls.clear()
            parsed = httpx.URL(url)
            if self._location.query is not None:
                parsed = httpx.URL(f"{url}{'&' if parsed.query else '?'}{self._location.query.get_secret_value()}")
            self._urls[url] = SecretStr(str(parsed))
        return self._urls[url].get_secret_value()

    async def _address(self) -> Address | None:
        return None if self._served is None else await asyncio.to_thread(self._served.address)

    def _backend_for(self, base: str) -> Backend:
        """Return the transport that holds the connections, opened on first use."""
        loop = asyncio.get_running_loop()
        # A forked process has a loop of its own; when the interpreter ends, the connections are closed before the
        # functions of `atexit` that were registered earlier.
        closed = self._finalizer is not None and not self._finalizer.alive
        if self._backend is None or self._loop is not loop or closed:
            self._loop = loop
            if self._transport is not None:
                self._backend = HttpxBackend(self._transport, self._timeouts)
            elif self._served is not None:
                # No keep-alive: llama.cpp's server announces it, and then closes the connections.
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
                connections = httpx.AsyncHTTPTransport(context_for(base), limits=limits, trust_env=False)
                self._backend = HttpxBackend(connections, self._timeouts)
            else:
                from .network.opening import open_backend

                self._backend = backend = open_backend(base, self._timeouts)
                self.secrets = self.secrets.and_those_of(backend.secrets)
            self._finalizer = weakref.finalize(self, _close, self._backend, loop)
        return self._backend

    def _connection_failure(
        self, model: str, reason: str, *, retry: bool = True, billed: bool = False
    ) -> FailedAttempt:
        server = self._location.shown or self._endpoint.label
        message = f"{model!r} could not be reached at {server}: {reason}"
        return FailedAttempt(RequestError(message, model=model), retry=retry, billed=billed)

    def _body_failure(self, model: str, reason: str) -> FailedAttempt:
        return FailedAttempt(RequestError(f"{model!r} at {self._endpoint.label}: {reason}", model=model), retry=False)

    def refusal(self, reply: Reply, content: bytes, model: str, path: str) -> FailedAttempt:
        """Return the failure for a reply with an error status or a redirect."""
        status, body = reply.status, content.decode("utf-8", "replace")
        reason = load(self._endpoint.dialect).parse_error(status, body.encode())
        if reply.location is not None:  # not followed: another server must not receive the key
            reason = replace(reason, message=self._location.explain_redirect(path, reply.location))
        is_limit = status == HTTPStatus.TOO_MANY_REQUESTS
        reset = seconds_until_reset(reply.raw_headers) if is_limit else None
        wait = plausible_wait((retry_after(reply.header), reason.wait, reset))
        retry = is_transient(status, body) and reason.code not in EXHAUSTED_CODES
        should_retry = reply.header("x-should-retry")
        if should_retry in ("true", "false"):
            retry = should_retry == "true"
        message = f"{model!r} at {self._endpoint.label} answered {status}: {reason.message}"
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and getproxies():
            message = f"{model!r} could not be reached: {proxy_login('HTTP_PROXY')}"
        if status == HTTPStatus.NOT_FOUND:
            message = f"{message.rstrip('.')} {self._location.explain_missing(path)}"
        if retry and wait is not None and wait > _LONGEST_WAIT:
            retry = False
            message = f"{message.rstrip('.')}; it asks to wait {wait:.0f} seconds"
        if retry and wait and is_limit:
            self._pause.hold(wait)  # other requests would be refused in the same way
        error = RequestError(message, model=model, status_code=status, body=reason.body, retry_after=wait)
        return FailedAttempt(error, retry=retry, wait=wait)

    def _answer_failure(self, error: RequestError) -> FailedAttempt:
        """Return the failure for a reply that reports an error in its body, which means what its status would mean."""
        body, wait = json.dumps(error.body), plausible_wait((error.retry_after,))
        retry = is_transient(error.status_code, body) and not any(code in body for code in EXHAUSTED_CODES)
        if retry and wait and error.status_code == HTTPStatus.TOO_MANY_REQUESTS and wait <= _LONGEST_WAIT:
            self._pause.hold(wait)
        return FailedAttempt(error, retry=retry and (wait or 0) <= _LONGEST_WAIT, wait=wait, billed=True)

    async def open(self, request: Request, content: bytes | None, kind: str) -> Reply:
        """Send a request that no dialect has built, such as one for a file, and return the reply, to be read."""
        backend = self._backend_for(self._endpoint.base_url)
        headers = self._headers_of(request, None) | ({"Content-Type": kind} if content is not None else {})
        return await backend.send(request.method, self._url(self._endpoint.base_url + request.path), headers, content)

    def close(self) -> None:
        """Close the connections; they are opened again when needed."""
        backend, loop = self._backend, self._loop
        self._backend = self._loop = None
        if backend is not None and loop is not None:
            _close(backend, loop)


def _close(backend: Backend, loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_running():
        return
    with contextlib.suppress(RuntimeError, concurrent.futures.CancelledError):
        asyncio.run_coroutine_threadsafe(backend.aclose(), loop)


__all__ = ["Transport"]
