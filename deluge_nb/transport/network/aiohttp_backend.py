"""Connections through a proxy, by aiohttp.

Errors are mapped to httpx's classes here, so that all backends fail alike, and a closed connection is not reported as a
time-out.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import httpx
from pydantic import SecretStr

from ...printable import printable
from ..certificates import PermanentConnectError, context_for, proxy_login, refusal
from ..retries import is_transient
from ..secrecy import basic
from ..wire import Reply, Timeouts
from .proxies import ProxySetting
from .reasons import reason_of

_ERRORS = (httpx.TransportError, aiohttp.ClientError, TimeoutError)
_NOT_CONNECTED = (aiohttp.ClientProxyConnectionError, aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError)


class ProxyBackend:
    """Backend with an unlimited pool of keep-alive connections to one server; made on the loop that uses it.

    Parameters
    ----------
    url
        Address of the server.
    timeouts
        Limits of each request.
    setting
        The proxy.

    Raises
    ------
    PermanentConnectError
        When TLS is needed, and a variable names certificates that cannot be used; or when the proxy cannot be used.
    """

    secrets: list[SecretStr]
    """The login of the proxy in its forms, which a proxy may quote."""

    def __init__(self, url: str, timeouts: Timeouts, setting: ProxySetting) -> None:
        proxy = setting.checked()
        # The client limits concurrency itself. `trust_env` stays off here, because aiohttp would then look for a
        # password file at every request.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context_for(url, proxy.scheme + ":")),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(sock_connect=timeouts.connect, sock_read=timeouts.read),
            # The transport unpacks within limits of size.
            auto_decompress=False,
        )
        login = _login_of(proxy)
        self.secrets = setting.secrets
        # A proxy reads the login in the request itself, or for TLS in the one that opens the tunnel. Not by the
        # parameters that aiohttp has for it: they warn that they will go.
        self._proxy_login = login if url.startswith("http:") else None
        self._proxy = _as_proxy(proxy, login)
        self._proxy_setting = setting.setting

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
            mapped = self._proxy_error(error) or _as_httpx_error(error)
        else:
            return _AiohttpReply(response)
        # Raised outside the handler, here and below: aiohttp's errors hold the request's headers, and so the key.
        raise mapped

    def _proxy_error(self, error: Exception) -> httpx.ConnectError | None:
        """Return the error for a proxy that cannot be reached; None for any other."""
        if not isinstance(error, aiohttp.ClientConnectorError) or error.host != self._proxy.url.host:
            return None
        who = f"the proxy of {self._proxy_setting}"
        if isinstance(error, aiohttp.ClientConnectorSSLError | aiohttp.ClientConnectorCertificateError):
            refused = _as_httpx_error(error)
            return PermanentConnectError(f"{who}: {refused}") if isinstance(refused, PermanentConnectError) else None
        if type(error) not in _NOT_CONNECTED:
            return None
        return httpx.ConnectError(f"{who} cannot be reached: {reason_of(error.os_error)}")

    def _proxy_options(self) -> dict[str, Any]:
        """Return the address of the proxy and its headers, to be passed on and not kept."""
        return {"proxy": str(self._proxy.url), "proxy_headers": dict(self._proxy.headers)}

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


def _login_of(proxy: httpx.URL) -> SecretStr | None:
    """Return the header of the login that stands in the address of a proxy."""
    return basic(SecretStr(proxy.userinfo.decode())) if proxy.userinfo else None


def _as_proxy(proxy: httpx.URL, login: SecretStr | None) -> httpx.Proxy:
    headers = {} if login is None else {"Proxy-Authorization": login.get_secret_value()}
    return httpx.Proxy(proxy.copy_with(userinfo=b""), headers=headers)


def _as_httpx_error(error: Exception) -> httpx.TransportError:
    """Return the httpx error for an error of aiohttp, or for an httpx error that hides one."""
    cause = error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ is not None else error
    reason = str(cause) or type(cause).__name__
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return httpx.RemoteProtocolError("the server closed the connection without an answer")
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        if cause.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return PermanentConnectError(proxy_login("HTTPS_PROXY"))
        reason = printable(f"the proxy answered {cause.status} {cause.message}")
        # Nothing has reached the server.
        return httpx.ConnectError(reason) if is_transient(cause.status, "") else PermanentConnectError(reason)
    if isinstance(cause, aiohttp.ClientConnectorSSLError | aiohttp.ClientConnectorCertificateError):
        inner = getattr(cause, "certificate_error", None) or getattr(cause, "os_error", None)
        refused = refusal(inner) if isinstance(inner, ssl.SSLError | ssl.CertificateError) else None
        if refused is not None:
            return refused
    if isinstance(cause, aiohttp.ClientResponseError):
        # Its text has the address with the query, over several lines.
        return httpx.RemoteProtocolError(f"its answer is no HTTP: {' '.join(cause.message.split('^')[0].split())}")
    if isinstance(cause, aiohttp.ClientPayloadError):
        return httpx.ReadError("the connection ended in the middle of the answer")
    if isinstance(cause, TimeoutError):
        return httpx.ReadTimeout(reason)
    if isinstance(cause, aiohttp.ClientConnectorError):
        return httpx.ConnectError(reason)
    return httpx.ReadError(reason)
