"""The network for many requests at once: httpx over aiohttp's connections.

httpx looks through all of its connections at every request, which at a hundred of them costs more than all the rest;
its transport seam takes aiohttp's in their place. Errors are named here as httpx names them: what a server did must not
be told as a time-out.
"""

from __future__ import annotations

import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport


class KeepAliveTransport(AiohttpTransport):
    """Any number of connections to one server, kept while they are used.

    Parameters
    ----------
    url
        The server's address; decides which of the environment's proxies is meant.
    trust_env
        Whether the environment's proxies and certificates count.
    """

    def __init__(self, url: str, *, trust_env: bool) -> None:
        context = httpx.create_ssl_context(trust_env=trust_env)
        proxy = proxy_for(url) if trust_env else None

        def session() -> aiohttp.ClientSession:
            # How many are under way at once is for the client to say. aiohttp's own trust in the environment would also
            # look for a password file, at every request.
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=context),
                cookie_jar=aiohttp.DummyCookieJar(),
            )

        super().__init__(client=session, proxy=None if proxy is None else httpx.Proxy(proxy))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        with _named():
            response = await super().handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Stream(response.stream)
        return response


class _Stream(httpx.AsyncByteStream):
    """A body on its way, with its errors named as well."""

    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _named():
            async for chunk in self._inner:
                yield chunk

    async def aclose(self) -> None:
        with _named():
            await self._inner.aclose()


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for an address, if any."""
    parts = urlsplit(url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    found = urllib.request.getproxies()
    proxy = found.get(parts.scheme) or found.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except (httpx.TransportError, aiohttp.ClientError, TimeoutError) as error:
        named = _as_httpx(error)
    else:
        return
    # Outside the handler: aiohttp's errors hold the request's headers, and with them the key.
    raise named


def _as_httpx(error: Exception) -> httpx.TransportError:
    cause = error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ is not None else error
    said = str(cause) or type(cause).__name__
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return httpx.RemoteProtocolError("the server closed the connection without an answer")
    if isinstance(cause, aiohttp.ClientPayloadError):
        return httpx.ReadError("the connection ended in the middle of the answer")
    if isinstance(cause, TimeoutError):
        return httpx.ReadTimeout(said)
    if isinstance(cause, aiohttp.ClientConnectorError):
        return httpx.ConnectError(said)
    return httpx.ReadError(said)
