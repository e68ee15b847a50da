"""Choose the connections to a server: direct ones, or those through the proxy that the environment sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..certificates import hidden_endless_file
from ..wire import Backend, Timeouts
from .direct import DirectBackend
from .proxies import proxy_for

if TYPE_CHECKING:
    from pydantic import SecretStr


class NetworkBackend(Backend, Protocol):
    """Backend of the network."""

    @property
    def secrets(self) -> Sequence[SecretStr]:
        """Secrets on the way to the server, which something there may quote."""
        ...


def open_backend(url: str, timeouts: Timeouts) -> NetworkBackend:
    """Return the connections to a server; must run on the loop that uses them.

    Raises
    ------
    PermanentConnectError
        When TLS is needed, and a variable names certificates that cannot be used; or when the proxy cannot be used.
    """
    setting = proxy_for(url)
    if setting is None:
        return DirectBackend(url, timeouts)
    with hidden_endless_file():
        from .aiohttp_backend import ProxyBackend

    return ProxyBackend(url, timeouts, setting)
