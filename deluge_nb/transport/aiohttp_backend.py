"""The network backend for many concurrent requests: aiohttp's connections.

httpx searches its whole connection pool at every request, which dominates the cost at a hundred connections. Errors
are mapped to httpx's classes here, so that all backends fail alike, and a closed connection is not reported as a
time-out.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
from pydantic import SecretStr

from .address import is_this_machine
from .certificates import PermanentConnectError, context_for, proxy_login, refusal
from .secrecy import basic
from .wire import Reply, Timeouts

_ERRORS = (httpx.TransportError, aiohttp.ClientError, TimeoutError)


class KeepAliveBackend:
    """Backend with an unlimited pool of keep-alive connections to one server; made on the loop that uses it.

    Parameters
    ----------
    url
        Address of the server; selects the proxy from the environment.
    timeouts
        Limits of each request.

    Raises
    ------
    PermanentConnectError
        When TLS is needed, and a variable names certificates that cannot be used.
    """

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        proxy = proxy_for(url)
        # The client limits concurrency itself. `trust_env` stays off here, because aiohttp would then look for a
        # password file at every request.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context_for(url, proxy or "")),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(sock_connect=timeouts.connect, sock_read=timeouts.read),
            # The transport unpacks within limits of size.
            auto_decompress=False,
        )
        login = None if proxy is None else _login_of(proxy)
        # A proxy reads the login in the request itself, or for TLS in the one that opens the tunnel. Not by the
        # parameters that aiohttp has for it: they warn that they will go.
        self._proxy_login = login if url.startswith("http:") else None
        self._proxy = None if proxy is None else _as_proxy(proxy, login)

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Reply:
        """Send a request, and wait for the headers of its reply."""
        if self._proxy_login is not None:
            headers = {**headers, "Proxy-Authorization": self._proxy_login.get_secret_value()}
        try:
            # Not followed: another server must not receive the key.
            response = await self._session.request(
                method, url, headers=headers, data=content, allow_redirects=False, **self._proxy_options()
            )
        except _ERRORS as error:
            mapped = _as_httpx_error(error)
        else:
            return _AiohttpReply(response)
        # Raised outside the handler, here and below: aiohttp's errors hold the request's headers, and so the key.
        raise mapped

    def _proxy_options(self) -> dict[str, Any]:
        """Return the address of the proxy and its headers, to be passed on and not kept."""
        proxy = self._proxy
        return {} if proxy is None else {"proxy": str(proxy.url), "proxy_headers": dict(proxy.headers)}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()


class _AiohttpReply(Reply):
    """Reply whose body raises aiohttp's errors as httpx's."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response.status, response.raw_headers)
        self._response = response

    async def pieces(self) -> AsyncIterator[bytes]:
        read = self._response.content.readany
        try:
            while piece := await read():
                yield piece
        except _ERRORS as error:
            mapped = _as_httpx_error(error)
        else:
            return
        raise mapped

    async def close(self) -> None:
        try:
            self._response.release()
            await self._response.wait_for_close()
        except _ERRORS as error:
            mapped = _as_httpx_error(error)
        else:
            return
        raise mapped


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
