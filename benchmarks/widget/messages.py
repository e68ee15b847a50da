"""Sizes of the messages from Python to the browser, as the kernel of a notebook sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comm
from comm.base_comm import BaseComm

from deluge_nb import Logprobs, LogprobView
from deluge_nb.widget.packer import CHUNK

from .table import json_bytes

PARTS = ("data", "measures", "alternatives")


class Recorded(BaseComm):
    """A channel that records its messages."""

    sent: list[tuple[str, dict[str, Any], list[bytes]]] = []  # noqa: RUF012  shared by all channels on purpose

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        """Record a message."""
        del metadata, keys
        self.sent.append((msg_type, data or {}, [bytes(one) for one in buffers or []]))


@contextmanager
def recording() -> Iterator[list[tuple[str, dict[str, Any], list[bytes]]]]:
    """Record all messages that widgets send inside the block."""
    before = comm.create_comm
    sent = Recorded.sent = []
    comm.create_comm = Recorded  # type: ignore[assignment]
    try:
        yield sent
    finally:
        comm.create_comm = before


def sizes(table: Logprobs) -> dict[str, Any]:
    """Return the bytes sent at construction and with all requested blocks, against the JSON of the same table."""
    with recording() as sent:
        view = LogprobView(table)
        at_once = sum(len(getattr(view, part)) for part in PARTS)
        del sent[:]
        for chunk in range(1, -(-len(table) // CHUNK)):
            view._receive(None, {"chunk": chunk}, [])
        view._receive(None, {"measures": True}, [])
        later = sum(len(json.dumps(data)) + sum(map(len, buffers)) for _, data, buffers in sent)
        view.close()
    whole, bare = json_bytes(table), json_bytes(table, octets=False)
    return {
        "bytes_at_construction": at_once,
        "bytes_with_all_that_is_fetched": at_once + later,
        "json_bytes": whole,
        "json_bytes_without_bytes_fields": bare,
        "ratio_at_construction": at_once / whole,
        "ratio": (at_once + later) / whole,
        "ratio_to_json_without_bytes_fields": (at_once + later) / bare,
    }
