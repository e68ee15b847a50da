"""The network backend for many concurrent requests: aiohttp's connections.

httpx searches its whole connection pool at every request, which dominates the cost at a hundred connections. Errors
are mapped to httpx's classes here, so that all backends fail alike, and a closed connection is not reported as a
time-out.
"""

from __future__ import annotations

import contextlib
import fnmatch
import ipaddress
import os
import re
import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
from pydantic import SecretStr

from ..printable import printable
from .address import is_this_machine, read_address
from .certificates import PermanentConnectError, context_for, proxy_login, refusal
from .secrecy import basic
from .wire import Reply, Timeouts

_ERRORS = (httpx.TransportError, aiohttp.ClientError, TimeoutError)
_NOT_CONNECTED = (aiohttp.ClientProxyConnectionError, aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError)


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
        When TLS is needed, and a variable names certificates that cannot be used; or when the proxy cannot be used.
    """

    secrets: list[SecretStr]
    """The login of the proxy in its forms, which a proxy may quote."""

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        set_proxy = proxy_for(url)
        proxy = None if set_proxy is None else set_proxy.checked()
        # The client limits concurrency itself. `trust_env` stays off here, because aiohttp would then look for a
        # password file at every request.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context_for(url, "" if proxy is None else proxy.scheme + ":")),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(sock_connect=timeouts.connect, sock_read=timeouts.read),
            # The transport unpacks within limits of size.
            auto_decompress=False,
        )
        login = None if proxy is None else _login_of(proxy)
        self.secrets = [] if set_proxy is None else set_proxy.secrets
        # A proxy reads the login in the request itself, or for TLS in the one that opens the tunnel. Not by the
        # parameters that aiohttp has for it: they warn that they will go.
        self._proxy_login = login if url.startswith("http:") else None
        self._proxy = None if proxy is None else _as_proxy(proxy, login)
        self._proxy_setting = "" if set_proxy is None else set_proxy.setting

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
        if self._proxy is None or type(error) not in _NOT_CONNECTED:
            return None
        assert isinstance(error, aiohttp.ClientConnectorError)
        if error.host != self._proxy.url.host:
            return None
        reason = error.os_error.strerror or error.os_error
        return httpx.ConnectError(f"the proxy of {self._proxy_setting} cannot be reached: {reason}")

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


@dataclass(frozen=True, slots=True)
class ProxySetting:
    """A proxy of the environment, with the name of the variable that has it."""

    setting: str
    address: SecretStr

    def checked(self) -> httpx.URL:
        """Return the address of the proxy.

        Raises
        ------
        PermanentConnectError
            When it is no address, or that of a proxy with another protocol.
        """
        text = self.address.get_secret_value()
        scheme = text.partition("://")[0].lower()
        if not scheme or read_address(f"http{text[len(scheme) :]}") is None:
            reason = f"{self.setting} must be the address of a proxy such as 'http://proxy:3128', not {_masked(text)!r}"
        elif scheme not in ("http", "https"):
            advice = "pass transport=httpx.AsyncHTTPTransport(proxy=…), which needs httpx[socks], or set an HTTP proxy"
            reason = f"{self.setting} names the proxy {_masked(text)!r}, and {scheme} is not spoken here; {advice}"
        else:
            return httpx.URL(text.strip())
        del text
        raise PermanentConnectError(reason)

    @property
    def secrets(self) -> list[SecretStr]:
        """The login of the proxy in its forms."""
        address = read_address(self.address.get_secret_value())
        if address is None or address.login is None:
            return []
        header = SecretStr(basic(address.login).get_secret_value().partition(" ")[2])
        return [*address.secrets, header]


def proxy_for(url: str) -> ProxySetting | None:
    """Return the proxy that the environment sets for an address, or None; this machine is reached without one."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    if not host or is_this_machine(url) or _is_exempt(host, port) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(kind)
    if not proxy:
        return None
    names = [name for name in os.environ if name.lower() == f"{kind}_proxy" and os.environ[name]]
    setting = min(names, key=str.isupper, default="the system's settings")
    return ProxySetting(setting, SecretStr(proxy if "://" in proxy else f"http://{proxy}"))


def _is_exempt(host: str, port: int) -> bool:
    """Return whether NO_PROXY names a host: its name, domain, address or network, or one of them with a port."""
    setting = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for entry in re.split(r"[\s,;]+", setting.lower()):
        bare = re.sub(r"^\w+://", "", entry).rstrip("/")
        match = re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d+))?", bare)  # an IPv6 address without brackets has more colons
        name, limit = (match[1], match[2]) if match is not None else (bare, None)
        if name and limit in (None, str(port)) and _covers(name.strip("[]").rstrip("."), host.rstrip(".")):
            return True
    return False


def _covers(name: str, host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    with contextlib.suppress(UnicodeError):  # no names of hosts
        name, host = name.encode("idna").decode(), host.encode("idna").decode()
    domain = name.removeprefix("*").removeprefix(".")
    return host == domain or host.endswith(f".{domain}") or fnmatch.fnmatchcase(host, name)


def _masked(text: str) -> str:
    """Return the address of a proxy, readable or not, without its login."""
    return printable(f"***@{text.rpartition('@')[2]}" if "@" in text else text)


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
        return httpx.ProxyError(f"the proxy answered {cause.status} {cause.message}")
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
