"""Addresses of servers as people write them: with a login, a query or a full path, or a name of this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import unicodedata
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit

from pydantic import SecretStr

# Lengths are limited, because a server may send any text for an address.
_LOGIN = re.compile(r"(?:(?<=://)|(?<=^//)|^)([^\s/?#@:]{0,500})(:?)[^\s/?#]{0,500}@")
# With a password such as "a/b", whose second character ends the host. What begins like a port is none.
_ODD_LOGIN = re.compile(r"(?<=://)([^\s/?#@:]*):(?!\d*(?:[/?#\s]|$))\S{0,500}@")
_SECRET_NAME = re.compile(
    r"key|token|secret|sig|pass|pwd|auth|code|credential|jwt|bearer|session|access|hmac|^(?:sid|pw|k|ak|sk)$",
    re.IGNORECASE,
)
# A value under any other name that is random: at least 16 letters and digits in a row.
_RANDOM = re.compile(r"(?=[A-Za-z+/_]{0,15}\d)(?=[\d+/_]{0,15}[A-Za-z])[A-Za-z\d+/_]{16}")
_PARAMETER = re.compile(r"([?&;]([^=?&;#\s]{0,100})=)([^&;#\s]+)")
# What people copy from a provider's documentation along with the address.
_FULL_PATHS = ("/chat/completions", "/completions", "/responses", "/messages", "/api/chat", "/api/generate", "/chat")
_OTHER_PATHS = ("/models", "/embeddings")
# Characters of hosts; letters of other alphabets are among them.
_HOST = re.compile(r"[\w.-]+")
_LONGEST_HOST = 254
"""Bytes that the system for names takes, with the full stop at the end."""
# What editors and pages put around a copied text, and nobody sees.
_UNSEEN = " \t\r\n\f\v\u00a0\u200b\u2060\ufeff"

# A version, or the parts of addresses that need none.
_VERSION = re.compile(r"/(?:v\d+|beta|api|openai|deployments)\b")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """An address in its parts; ``base_url`` can be shown, as the others are kept out of it.

    Parameters
    ----------
    base_url
        Scheme, host and path, without a slash at the end.
    query
        What is sent behind the path of each request, or None.
    login
        ``user:password`` as in the address, or None.
    """

    base_url: str
    query: SecretStr | None = None
    login: SecretStr | None = None

    @property
    def shown(self) -> str:
        """The address with its secrets masked."""
        return mask(f"{self.base_url}?{self.query.get_secret_value()}") if self.query else self.base_url

    def without_secrets(self) -> str:
        """Return the address without its login and the parameters that are keys."""
        if self.query is None:
            return self.base_url
        pairs = parse_qsl(self.query.get_secret_value(), keep_blank_values=True)
        shown = urlencode([pair for pair in pairs if not _is_secret(*pair)])
        return f"{self.base_url}?{shown}" if shown else self.base_url

    def explain_missing(self, path: str) -> str:
        """Return where a server said that there is nothing, and that ``/v1`` is missing if it may be that."""
        asked = f"{self.base_url}{path}"
        if self.query is not None:
            asked = f"{asked}{'&' if '?' in path else '?'}{self.shown.partition('?')[2]}"
        if path not in _FULL_PATHS or _VERSION.search(urlsplit(self.base_url).path):
            return f"(asked: {asked})"
        return f"(asked: {asked}); its address has no /v1, so try base_url='{self.base_url}/v1'"

    def explain_redirect(self, path: str, location: str) -> str:
        """Return where a server sends the requests for a path, and what to do about it."""
        asked = f"{self.base_url}{path}"
        try:
            target = urljoin(asked, location.strip())
        except ValueError:
            target = location
        address = read_address(target)
        if address is None:
            return f"it redirects to {mask_invalid(target)!r}, which is no address of a server"
        if address.base_url == self.base_url:
            return f"it redirects to {mask(target)}, where this base_url leads already"
        return f"it has moved to {mask(target)}; pass that as base_url, if you trust it"

    @property
    def secrets(self) -> list[SecretStr]:
        """Secrets of the address, decoded: its password, a user that is a token, and parameters that are keys."""
        values: list[str] = []
        if self.login is not None:
            user, _, password = self.login.get_secret_value().partition(":")
            values.append(unquote(password or user))
        if self.query is not None:
            pairs = parse_qsl(self.query.get_secret_value())
            values += [value for name, value in pairs if _is_secret(name, value)]
        return [SecretStr(value) for value in values]


def read_address(text: str) -> ServerAddress | None:
    """Return the parts of an address; None if it is none.

    White space around it and a fragment say nothing, and are dropped. The path of a request, as people copy it from a
    provider's documentation, means the server that it is sent to.
    """
    text = text.strip(_UNSEEN)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not text.isprintable():
        return None
    if any(character.isspace() for character in parts.netloc + parts.path):
        return None
    login = parts.netloc.rpartition("@")[0]
    name = _as_host(parts.hostname)
    if name in ("http", "https") or (":" not in name and not _is_name(name)):
        return None
    host = f"[{name}]" if ":" in name else _canonical(name)
    path = re.sub("/{2,}", "/", parts.path).rstrip("/")
    ends = (end for end in (*_FULL_PATHS, *_OTHER_PATHS) if path.lower().endswith(end))
    path = path[: len(path) - len(next(ends, ""))]
    return ServerAddress(
        f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{path.rstrip('/')}",
        SecretStr(parts.query) if parts.query else None,
        SecretStr(login) if login else None,
    )


def mask(text: str) -> str:
    """Return a text whose addresses show no password and no key: ``user:***@host`` and ``?key=***``."""
    masked = _LOGIN.sub(lambda match: f"{match[1]}:***@" if match[2] else "***@", text)
    masked = _ODD_LOGIN.sub(r"\1:***@", masked)
    return _PARAMETER.sub(lambda match: f"{match[1]}***" if _is_secret(match[2], match[3]) else match[0], masked)


def _is_secret(name: str, value: str) -> bool:
    """Return whether a parameter of a query is a key, by its name or because its value is random."""
    return bool(_SECRET_NAME.search(name) or _RANDOM.search(value))


def mask_invalid(text: str) -> str:
    """Return a text that is no address, as :func:`mask` does; all that may be a login is masked."""
    scheme = re.match(r"\s*[A-Za-z][A-Za-z\d+.-]*://", text)
    begin = scheme[0] if scheme is not None else ""
    login, at, rest = text[len(begin) :].rpartition("@")
    user, colon, _ = login.partition(":")
    shown = f"{user}:***" if colon and re.fullmatch(r"[\w.-]*", user) else "***"
    return mask(f"{begin}{shown}@{rest}" if at else text)


def _as_host(name: str) -> str:
    """Return a host with the digits, letters and full stops of ASCII in place of other forms, as browsers read them.

    The sign before the zone of an IPv6 address is escaped in addresses.
    """
    host = unicodedata.normalize("NFKC", name).replace("。", ".")
    return host.replace("%25", "%", 1) if ":" in host else host


def _is_name(host: str) -> bool:
    """Return whether a text may be the name of a host: no part is empty, and neither it nor a part is too long."""
    try:
        return bool(_HOST.fullmatch(host)) and 0 < len(host.encode("idna")) <= _LONGEST_HOST
    except UnicodeError:
        return False


def _canonical(host: str) -> str:
    """Return the name of a host in the form that can be connected to: 127.0.0.1 for 127.1, localhost for localhost."""
    if re.fullmatch(r"[0-9a-fx.]+", host):
        with contextlib.suppress(OSError):
            return socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))
    return "localhost" if host == "localhost." else host


def is_this_machine(url: str) -> bool:
    """Return whether an address leads to this machine, by any of its names; nothing is asked of the network."""
    host = _canonical(_as_host(urlsplit(url).hostname or "")).rstrip(".")
    names = {
        "localhost",
        "localhost.localdomain",
        "ip6-localhost",
        "ip6-loopback",
        socket.gethostname().lower().rstrip("."),
    }
    names |= {f"{name.partition('.')[0]}{end}" for name in names for end in ("", ".local")}
    if host in names or host.endswith(".localhost"):
        return True
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified or _is_own(mapped)


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an interface of this machine has an address: a socket can be bound to no other."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
