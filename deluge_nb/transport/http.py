"""HTTP: sending, pacing and retrying. The only module that knows it; everything here runs on the portal's loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import email.utils
import ipaddress
import json
import math
import re
import weakref
from collections.abc import AsyncIterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import cast
from urllib.parse import urlsplit

import httpx
import tenacity
from pydantic import SecretStr

from ..dialects.base import Completion, Exchange, Request, load
from ..errors import DelugeError, RequestError
from ..models.spec import Address, Endpoint, Served
from .rate_limits import seconds_until_reset
from .streaming import StreamedReply, StreamListener
from .throttle import Pace, Pause

# Worth another try: time-outs, conflicts, rate limits, and a server's own troubles (498 and 529 are Groq's and
# Anthropic's words for "no capacity").
_RETRIED = frozenset({408, 409, 425, 429, 498, 500, 502, 503, 504, 529})
# A 429 that no wait will cure.
_EXHAUSTED = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "enforced_spend_limit_reached",
        "billing_hard_limit_reached",
    }
)
# Google's words for a tier that has no quota for the model, whatever delay it names.
_NO_QUOTA = re.compile(r"\blimit: 0\b(?!\.\d)")
# No answer is this long, and one that is would fill the memory.
_LONGEST_REPLY = 64 << 20
# A reply that comes byte by byte never meets the limit between two bytes; by so many of these, it has to be there.
_PATIENCE = 10
_FEW = 64
# Told to wait longer than this, a person would rather be told.
_LONGEST_WAIT = 60.0


_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"deluge-nb/{version('deluge-nb')}",
}


class _Refused(Exception):
    """A try that failed: the error it will become, and whether and when to try again."""

    def __init__(self, error: RequestError, *, again: bool, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again
        self.wait = wait


class Transport:
    """Carries the requests of one endpoint.

    Parameters
    ----------
    endpoint
        Its dialect reads errors; its base URL is used unless ``served`` has one.
    key
        Goes into the Authorization header as a request is sent, and is kept nowhere else.
    served
        A server on this machine; asked for its address before each request, so that it is started again if it died.
    timeout
        Seconds without a byte before a try is given up.
    max_attempts
        Tries per request, the first included.
    transport
        Any httpx transport, in place of the network.
    pace
        Where each try waits for its turn.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        key: SecretStr | None,
        served: Served | None = None,
        timeout: float = 120.0,
        max_attempts: int = 5,
        transport: httpx.AsyncBaseTransport | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._key = key
        self._served = served
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._transport = transport
        self._pace = pace
        self._pause = Pause()
        self._headers = {**_HEADERS, **endpoint.headers}
        self._parsed: dict[str, httpx.URL] = {}
        # Waiting for a free connection is what the client's own limit on concurrency is for.
        self._limits = httpx.Timeout(timeout, connect=min(10.0, timeout), pool=None).as_dict()
        self._open: httpx.AsyncBaseTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def carry(self, exchange: Exchange, model: str, listener: StreamListener | None = None) -> Completion:
        """Carry out an exchange: send each of its requests, hand it the replies.

        What is streamed goes to the listener as it comes. When it listens no longer, or the stream breaks off, what has
        come by then is the reply.

        Raises
        ------
        RequestError
            When a request fails for good.
        MalformedResponseError
            When a reply does not fit the dialect.
        """
        with contextlib.closing(exchange), self._without_key():
            request = next(exchange)
            while True:
                if request.reader is None or listener is None:
                    reply = await self._with_retries(request, model)
                else:
                    reply = await self._with_retries(request, model, StreamedReply(request.reader, listener))
                try:
                    request = exchange.send(reply)
                except StopIteration as end:
                    return end.value

    @contextlib.contextmanager
    def _without_key(self) -> Iterator[None]:
        """Take the key out of errors that quote a reply which quotes it."""
        try:
            yield
        except DelugeError as error:
            key = self._key.get_secret_value() if self._key is not None else None
            for name, value in vars(error).items():
                if key and value is not None and not isinstance(value, int | float) and key in str(value):
                    setattr(error, name, _hidden(value if isinstance(value, str) else json.dumps(value), key))
            error.args = tuple(_hidden(str(part), key) for part in error.args)
            raise

    async def _with_retries(self, request: Request, model: str, streamed: StreamedReply | None = None) -> bytes:
        try:
            return await self._try(request, model, streamed)
        except _Refused as refused:
            first: _Refused | None = refused
        # Most requests succeed, and need not pay for what follows.
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, _Refused) and error.again),
            wait=_wait,
            stop=tenacity.stop_after_attempt(self._max_attempts),
            reraise=True,
        )

        async def attempt() -> bytes:
            nonlocal first
            if first is not None:
                tried, first = first, None
                raise tried
            return await self._try(request, model, streamed)

        try:
            return await retrying(attempt)
        except _Refused as refused:
            failed = refused.error
        # Outside the handler, so that no httpx object (with headers, with the key) hangs on the error as its context.
        raise failed

    async def _try(self, request: Request, model: str, streamed: StreamedReply | None = None) -> bytes:
        if self._pace is not None:
            await self._pace.turn()
        await self._pause.wait()
        address = await self._address()
        key = address.key if address is not None else self._key.get_secret_value() if self._key is not None else None
        base = address.base_url if address is not None else self._endpoint.base_url
        headers = {**self._headers, **_credentials(self._endpoint, key)} if key else self._headers
        url = base + request.path
        try:
            sent = httpx.Request(
                request.method,
                self._parsed.get(url) or self._parse(url),
                headers=headers,
                json=request.body,
                extensions={"timeout": self._limits},
            )
            # Straight to the transport: what a client would add (cookies, redirects, authentication) is not wanted, and
            # costs as much as reading the answer.
            response = await self._connected(base).handle_async_request(sent)
            left = seconds_until_reset(response.headers.raw)
            # Further off, the server may as well say no: it can say why.
            if left is not None and left <= _LONGEST_WAIT:
                self._pause.hold(left)
            try:
                if streamed is not None and streamed.takes(response):
                    return await streamed.read(response, self._endpoint.label, model)
                body = await self._body(response, model)
            finally:
                await response.aclose()
        except httpx.TimeoutException:
            refused = self._unreachable(model, f"no answer within {self._timeout:g} seconds")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError, TypeError) as error:
            refused = self._unreachable(model, _hidden(str(error), key), again=False)
        except httpx.HTTPError as error:
            refused = self._unreachable(model, _hidden(str(error) or type(error).__name__, key))
        else:
            if response.is_success:
                return body
            refused = self._refused(response, body, model, key)
        raise refused

    def _parse(self, url: str) -> httpx.URL:
        """An address read once: every request goes to one of a few."""
        if len(self._parsed) > _FEW:
            self._parsed.clear()
        found = self._parsed[url] = httpx.URL(url)
        return found

    async def _address(self) -> Address | None:
        return None if self._served is None else await asyncio.to_thread(self._served.address)

    def _connected(self, base: str) -> httpx.AsyncBaseTransport:
        loop = asyncio.get_running_loop()
        if self._open is None or self._loop is not loop:  # a forked process has a loop of its own
            self._loop = loop
            if self._transport is not None:
                self._open = self._transport
            elif self._served is not None:
                # llama.cpp's server closes connections it had promised to keep.
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
                self._open = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
            else:
                from .aiohttp_backend import KeepAliveTransport

                # A proxy must not be handed what is meant for this machine.
                self._open = KeepAliveTransport(base, trust_env=not _on_this_machine(base))
            weakref.finalize(self, _close, self._open, loop)
        return self._open

    def _unreachable(self, model: str, reason: str, *, again: bool = True) -> _Refused:
        where = self._endpoint.base_url or self._endpoint.label
        return _Refused(RequestError(f"{model!r} could not be reached at {where}: {reason}", model=model), again=again)

    def _given_up(self, model: str, reason: str) -> _Refused:
        return _Refused(RequestError(f"{model!r} at {self._endpoint.label}: {reason}", model=model), again=False)

    async def _body(self, response: httpx.Response, model: str) -> bytes:
        """All of a reply, unless it is too long or takes too long; what runs on this machine may take its time."""
        pieces: list[bytes] = []
        size, most = 0, _LONGEST_REPLY if self._served is None else math.inf
        try:
            async with asyncio.timeout(None if self._served is not None else _PATIENCE * self._timeout):
                # As it came, where nothing has to be unpacked.
                stream = response.aiter_bytes() if "content-encoding" in response.headers else response.stream
                async for piece in cast(AsyncIterable[bytes], stream):
                    pieces.append(piece)
                    size += len(piece)
                    if size > most:
                        break
        except TimeoutError:
            told = f"its answer was still coming after {_PATIENCE * self._timeout:g} seconds; timeout= gives it longer"
            raise self._given_up(model, told) from None
        if size > most:
            raise self._given_up(model, f"its answer is longer than {_LONGEST_REPLY >> 20} MB")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _refused(self, response: httpx.Response, content: bytes, model: str, key: str | None) -> _Refused:
        status, body = response.status_code, _hidden(content.decode("utf-8", "replace"), key)
        reason = load(self._endpoint.dialect).parse_error(status, body.encode())
        if response.has_redirect_location:  # not followed: the key is for nobody else
            moved = _hidden(response.headers["location"], key)
            reason = replace(reason, message=f"it has moved to {moved}; give that address, if you trust it")
        wait = _told_to_wait(response.headers)
        if wait is None:
            wait = reason.wait
        if wait is None and status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = seconds_until_reset(response.headers.raw)
        again = status in _RETRIED and reason.code not in _EXHAUSTED and not _NO_QUOTA.search(body)
        told = response.headers.get("x-should-retry")
        if told in ("true", "false"):
            again = told == "true"
        message = f"{model!r} at {self._endpoint.label} answered {status}: {reason.message}"
        if again and wait is not None and wait > _LONGEST_WAIT:
            again = False
            message = f"{message.rstrip('.')}; it asks to wait {wait:.0f} seconds"
        if again and wait and status == HTTPStatus.TOO_MANY_REQUESTS:
            self._pause.hold(wait)  # the others would only be told the same
        error = RequestError(message, model=model, status_code=status, body=reason.body, retry_after=wait)
        return _Refused(error, again=again, wait=wait)

    def close(self) -> None:
        """Close the connections; they are opened again when needed."""
        opened, loop = self._open, self._loop
        self._open = self._loop = None
        if opened is not None and loop is not None:
            _close(opened, loop)


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=20)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    told = error.wait if isinstance(error, _Refused) else None
    return _backoff(state) if told is None else told


def _told_to_wait(headers: httpx.Headers) -> float | None:
    """Seconds, from ``retry-after-ms`` or ``Retry-After`` as a number or a date."""
    with contextlib.suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    value = headers.get("retry-after")
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _credentials(endpoint: Endpoint, key: str) -> dict[str, str]:
    token = bool(endpoint.bearer_prefix) and key.startswith(endpoint.bearer_prefix)
    if token or endpoint.key_header == "Authorization":
        return {"Authorization": f"Bearer {key}"}
    return {endpoint.key_header: key}


def _hidden(text: str, key: str | None) -> str:
    """The text without the key, which some servers quote."""
    return text.replace(key, "[key]") if key else text


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _close(opened: httpx.AsyncBaseTransport, loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_running():
        return
    with contextlib.suppress(RuntimeError, concurrent.futures.CancelledError):
        asyncio.run_coroutine_threadsafe(opened.aclose(), loop)


__all__ = ["Transport"]
