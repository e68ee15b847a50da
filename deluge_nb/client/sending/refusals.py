"""Stop sending to a server that has refused every request of a call, for example because of a wrong key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Hashable
from http import HTTPStatus

from ...response import APIResponse

# A wrong key, no permission, no such model: the next request would be refused, too.
_REFUSALS = frozenset({401, 403, 404})
# Google answers 400 to a wrong key, as to any other fault of a request.
_WRONG_KEY = re.compile(r"\bAPI key (?:not valid|expired)\b")


class _Server:
    def __init__(self) -> None:
        self.under_way = 0
        self.accepts = False
        self.refused: APIResponse | None = None
        self.changed = asyncio.Event()


class Refusals:
    """Refusals of the servers of one call so far; used on the portal's loop only."""

    def __init__(self) -> None:
        self._servers: dict[Hashable, _Server] = {}

    @property
    def first(self) -> APIResponse | None:
        """Refusal of the first server that has refused every request; None if there is none."""
        servers = (server for server in self._servers.values() if not server.accepts)
        return next((server.refused for server in servers if server.refused is not None), None)

    async def before(self, server: Hashable) -> APIResponse | None:
        """Return the refusal that stops a request to a server; None if the request may be sent.

        After a refusal, the requests under way decide: one of them may be answered.
        """
        state = self._servers.get(server) or self._servers.setdefault(server, _Server())
        while state.refused is not None and not state.accepts and state.under_way:
            state.changed.clear()
            await state.changed.wait()
        if state.refused is not None and not state.accepts:
            return state.refused
        state.under_way += 1
        return None

    def after(self, server: Hashable, response: APIResponse | None) -> None:
        """Record the response to a request, or None for a request that was given up."""
        state = self._servers[server]
        state.under_way -= 1
        if response is None or response.from_cache:  # no request was answered
            pass
        elif response.is_error and _is_refusal(response):
            state.refused = state.refused or response
        else:
            state.accepts = True
        state.changed.set()


def _is_refusal(response: APIResponse) -> bool:
    """Return whether an error will be that of every other request to the server."""
    if response.status_code != HTTPStatus.BAD_REQUEST:
        return response.status_code in _REFUSALS
    return _WRONG_KEY.search(response.error_message or "") is not None
