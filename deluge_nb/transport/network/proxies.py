"""Proxies that the environment sets: which one an address is reached by, and whether it can be used."""

from __future__ import annotations

import contextlib
import fnmatch
import ipaddress
import os
import re
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from ...printable import printable
from ..address import is_this_machine, read_address
from ..certificates import PermanentConnectError
from ..secrecy import basic


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
            return httpx.URL(text)
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
    proxies = {name: proxy.strip() for name, proxy in urllib.request.getproxies().items()}
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
