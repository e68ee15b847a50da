"""The network backend for many concurrent requests: httpx over aiohttp's connections.

httpx searches its whole connection pool at every request, which dominates the cost at a hundred connections; its
transport seam accepts aiohttp's connections instead. Errors are mapped to httpx's classes here, so that a closed
connection is not reported as a time-out.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from pydantic import SecretStr

from .address import is_this_machine
from .certificates import PermanentConnectError, proxy_login, refusal, tls_context
from .secrecy import basic


class KeepAliveTransport(AiohttpTransport):
    """Transport with an unlimited pool of keep-alive connections to one server.

    Parameters
    ----------
    url
        Address of the server; selects the proxy from the environment.

    Raises
    ------
    PermanentConnectError
        When TLS is needed, and a variable names certificates that cannot be used.
    """

    def __init__(self, url: str) -> None:
        proxy = proxy_for(url)
        needs_tls = url.startswith("https:") or (proxy is not None and proxy.startswith("https:"))
        # Without TLS no certificates are read: that takes time, and fails where a variable names none.
        context = tls_context() if needs_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

        def session() -> aiohttp.ClientSession:
            # The client limits concurrency itself. `trust_env` stays off here, because aiohttp would then look for a
            # password file at every request.
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=context),
                cookie_jar=aiohttp.DummyCookieJar(),
            )

        login = None if proxy is None else _login_of(proxy)
        # A proxy reads the login in the request itself, or for TLS in the one that opens the tunnel. Not by the
        # parameters that aiohttp has for it: they warn that they will go.
        self._proxy_login = login if url.startswith("http:") else None
        super().__init__(verify=context, client=session, proxy=None if proxy is None else _as_proxy(proxy, login))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        if self._proxy_login is not None:
            request.headers["Proxy-Authorization"] = self._proxy_login.get_secret_value()
        with _map_errors():
            response = await super().handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _ResponseStream(response.stream)
        return response


class _ResponseStream(httpx.AsyncByteStream):
    """Body of a response, with aiohttp's errors mapped to httpx's."""

    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _map_errors():
            async for chunk in self._inner:
                yield chunk

    async def aclose(self) -> None:
        with _map_errors():
            await self._inner.aclose()


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment sets for an address, or None; this machine is reached without one."""
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}" if parts.port is not None else parts.hostname
    if not host or is_this_machine(url) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _login_of(proxy: str) -> SecretStr | None:
    """Return the header of the login that stands in the address of a proxy."""
    login = httpx.URL(proxy).userinfo
    return basic(SecretStr(login.decode())) if login else None


def _as_proxy(proxy: str, login: SecretStr | None) -> httpx.Proxy:
    headers = {} if login is None else {"Proxy-Authorization": login.get_secret_value()}
    return httpx.Proxy(httpx.URL(proxy).copy_with(userinfo=b""), headers=headers)


@contextmanager
def _map_errors() -> Iterator[None]:
    """Raise aiohttp's errors as httpx's."""
    try:
        yield
    except (httpx.TransportError, aiohttp.ClientError, TimeoutError) as error:
        mapped = _as_httpx_error(error)
    else:
        return
    # Raised outside the handler: aiohttp's errors hold the request's headers, and with them the key.
    raise mapped


def _as_httpx_error(error: Exception) -> httpx.TransportError:
    """Return the httpx error for an error of aiohttp, or for an httpx error that hides one."""
    cause = error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ is not None else error
    reason = str(cause) or type(cause).__name__
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return httpx.RemoteProtocolError("the server closed the connection without an answer")
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        if cause.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return PermanentConnectError(proxy_login("HTTPS_PROXY"))
        return httpx.ProxyError(f"the proxy answered {cause.status} {cause.message}")
    if isinstance(cause, aiohttp.ClientConnectorSSLError | aiohttp.ClientConnectorCertificateError):
        inner = getattr(cause, "certificate_error", None) or getattr(cause, "os_error", None)
        refused = refusal(inner) if isinstance(inner, ssl.SSLError | ssl.CertificateError) else None
        if refused is not None:
            return refused
    if isinstance(cause, aiohttp.ClientPayloadError):
        return httpx.ReadError("the connection ended in the middle of the answer")
    if isinstance(cause, TimeoutError):
        return httpx.ReadTimeout(reason)
    if isinstance(cause, aiohttp.ClientConnectorError):
        return httpx.ConnectError(reason)
    return httpx.ReadError(reason)
