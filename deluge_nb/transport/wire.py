"""Interface of the transport to network libraries: backends that send requests, and replies whose bodies are read."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import httpx

from ..errors import SettingError
from ..errors.tasks import ends_task
from ..printable import printable

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def _as_plain(value: Any) -> Any:
    """Return a value of NumPy as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError


# Made once: `json.dumps` makes an encoder for every call with these settings.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_plain).encode
_LONGEST_EXCERPT = 60


def encode_body(body: Mapping[str, Any]) -> bytes:
    """Return the body of a request as JSON.

    Raises
    ------
    SettingError
        When a value is none that JSON has; names its place.
    """
    try:
        return _encode(body).encode()
    except (TypeError, ValueError, RecursionError):
        raise _unwritable(body) from None


def _unwritable(body: Mapping[str, Any]) -> SettingError:
    try:
        place, value = next(_unwritable_values(body), ("body", body))
    except RecursionError:
        place, value = "body", body
    field = f"{place!r} of the request"
    if isinstance(value, str):
        requirement = "must be whole characters, as text.encode(errors='ignore').decode() leaves them"
    else:
        requirement = "must be text, a number, True, False, None, or a list or dict of them"
    advice = "; a picture's bytes become a part with Conversation().user(text, image=…)" * isinstance(value, bytes)
    return SettingError(f"{field} {requirement}, not {_excerpt(value)}{advice}.", setting=place, value=value)


def _excerpt(value: object) -> str:
    text = printable(repr(value))
    return text if len(text) <= _LONGEST_EXCERPT else f"{text[: _LONGEST_EXCERPT - 1]}…"


def _unwritable_values(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values inside another that cannot be written as JSON, with their places."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            inner = f"{place}.{name}" if place else str(name)
            if not isinstance(name, str | int | float | bool | None):
                yield inner, name
            yield from _unwritable_values(item, inner)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _unwritable_values(item, f"{place}[{index}]")
    else:
        try:
            _encode(value).encode()
        except (TypeError, ValueError):
            yield place, value


class Timeouts(NamedTuple):
    """Seconds that a connection may take to open, and that may pass without a byte."""

    connect: float
    read: float


class Reply(ABC):
    """Reply whose headers have arrived.

    Parameters
    ----------
    status
        Status code.
    raw_headers
        Names and values, as they arrived.
    """

    def __init__(self, status: int, raw_headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.raw_headers = raw_headers

    @property
    def is_success(self) -> bool:
        """True for a status that reports no failure and no redirect."""
        return 200 <= self.status < 300

    @property
    def location(self) -> str | None:
        """Address that a redirect names; None for any other reply."""
        return self.header("location") if self.status in _REDIRECTS else None

    def header(self, name: str) -> str | None:
        """Return a header by its name in lower case, joined where it was sent several times; None where it was not."""
        wanted = name.encode()
        values = [value for key, value in self.raw_headers if key.lower() == wanted]
        return ", ".join(map(_as_text, values)) if values else None

    def whole_document(self) -> bytes | None:
        """Return the body, if all of it has arrived and it begins like a JSON object; else None, and none is taken."""
        return None

    @abstractmethod
    def pieces(self) -> AsyncIterable[bytes]:
        """Return the body as it arrives, in the coding in which it was sent."""

    @abstractmethod
    async def close(self) -> None:
        """Give the connection back, or close it where the body has not been read to its end."""


class Backend(Protocol):
    """Sender of requests that holds the connections."""

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Reply:
        """Send a request, and wait for the headers of its reply.

        Parameters
        ----------
        method, url, headers
            As they are sent.
        content
            Body; None without one.

        Raises
        ------
        httpx.HTTPError
            When no reply arrives.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class HttpxBackend:
    """Backend of any httpx transport.

    Parameters
    ----------
    transport
        The transport; a client of httpx is not used, because its cookies, redirects and authentication are not wanted.
    timeouts
        Limits of each request.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, timeouts: Timeouts) -> None:
        self._transport = transport
        # No time-out for a free connection: the client limits concurrency itself.
        limits = httpx.Timeout(timeouts.read, connect=timeouts.connect, pool=None)
        self._extensions = {"timeout": limits.as_dict()}

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Reply:
        """Send a request, and wait for the headers of its reply."""
        request = httpx.Request(method, url, headers=headers, content=content, extensions=self._extensions)
        return _HttpxReply(await self._transport.handle_async_request(request))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


class _HttpxReply(Reply):
    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code, response.headers.raw)
        self._response = response

    def pieces(self) -> AsyncIterable[bytes]:
        return cast(AsyncIterable[bytes], self._response.stream)

    async def close(self) -> None:
        try:
            await self._response.aclose()
        except BaseException as error:  # of a transport of the user's own; it costs no answer that has been read
            if ends_task(error):
                raise


def _as_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


__all__ = ["Backend", "HttpxBackend", "Reply", "Timeouts"]
