"""Keep the browser's copy of a view's table up to date: send all of it, or only new rows.

Appended rows are sent as messages, no more often than a screen is drawn. The traits, which saved notebooks and views
opened later read, are set again when the table has doubled and when no more rows arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from ..logprobs.table import Logprobs
from .packer import CHUNK, EAGER, Packer, pack_measures

# Seconds between two messages with new rows: Jupyter drops messages that come too fast.
PAUSE = 1 / 30
# Seconds without new rows after which the text is taken to have ended.
QUIET = 1.0


class Target(Protocol):
    """The part of a widget that sends a table."""

    def send(self, content: Any, buffers: Sequence[bytes] | None = None) -> None:
        """Send a message to the browser."""
        ...

    def set_trait(self, name: str, value: Any) -> None:
        """Set a synchronised trait."""
        ...

    def hold_sync(self) -> AbstractContextManager[Any]:
        """Send the traits that are set inside the block as one message."""
        ...


class TableSync:
    """Sender of a table that may grow.

    Parameters
    ----------
    target
        The widget. Nothing is sent before its traits exist.
    table
        The first table.
    """

    def __init__(self, target: Target, table: Logprobs) -> None:
        self._target = target
        self.table = table
        self.packer = Packer()
        # The number of rows in the traits, and of rows sent.
        self._in_traits = self._sent = len(table)
        self._last_sent = 0.0
        self._append_timer: asyncio.TimerHandle | None = None
        self._settle_timer: asyncio.TimerHandle | None = None
        self.is_stale = False
        """True while the traits lack appended rows."""
        self.with_measures = False
        """True if the browser needs the measures of a long table too, because its colours depend on them."""

    def pack(self) -> dict[str, bytes]:
        """Return the blocks of the whole table, keyed by trait.

        A long table is sent without measures (unless needed) and with the alternatives of its first chunk only.
        """
        is_short = len(self.table) <= EAGER
        data = self.packer.tokens(self.table)
        self.packer.commit()
        alternatives = self.packer.alternatives(self.table, 0, len(self.table) if is_short else CHUNK)
        self.packer.commit()
        self.with_measures = self.with_measures or is_short
        measures = pack_measures(self.table) if self.with_measures else b""
        return {"measures": measures, "alternatives": alternatives, "data": data}

    def pack_again(self) -> dict[str, bytes]:
        """Return the blocks of the whole table for a browser that may have none of it."""
        self.is_stale = False
        self._in_traits = self._sent = len(self.table)
        self.packer.reset()
        return self.pack()

    def pack_chunk(self, chunk: int) -> bytes:
        """Return the alternatives of one chunk of tokens."""
        return self.packer.alternatives(self.table, chunk * CHUNK, min((chunk + 1) * CHUNK, len(self.table)))

    def replace(self, table: Logprobs) -> None:
        """Replace the table; :meth:`send_all` sends it."""
        self.table = table
        self.packer = Packer()

    def append(self, table: Logprobs) -> None:
        """Replace the table by itself with more rows at its end, and send these when due."""
        vocabulary, grown = self.table.vocabulary, len(table) > len(self.table)
        self.table = table
        if table.vocabulary is not vocabulary:
            self.send_all()
        elif grown:
            self.is_stale = True
            self._send_when_due()

    def send_all(self) -> None:
        """Set the traits to the whole table."""
        with self._target.hold_sync():
            for name, value in self.pack_again().items():
                self._target.set_trait(name, value)

    def send_appended(self) -> None:
        """Send the rows that have not been sent."""
        if self._append_timer is not None:
            self._append_timer.cancel()
            self._append_timer = None
        if len(self.table) <= self._sent:
            return
        self._last_sent = time.monotonic()
        if len(self.table) >= 2 * self._in_traits:
            self.send_all()
            return
        first = self.packer.safe_start(self.table, self._sent)
        self._sent = len(self.table)
        tokens = self.packer.tokens(self.table, first)
        alternatives = self.packer.alternatives(self.table, first, len(self.table))
        self.packer.commit()
        self._target.send(
            {"parts": ["alternatives", "measures", "tokens"]},
            [alternatives, pack_measures(self.table, first), tokens],
        )
        self._settle_when_quiet()

    def _send_when_due(self) -> None:
        wait = self._last_sent + PAUSE - time.monotonic()
        if wait <= 0:
            self.send_appended()
        elif self._append_timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self.send_appended()
            else:
                self._append_timer = loop.call_later(wait, self.send_appended)

    def _settle_when_quiet(self) -> None:
        """Schedule setting the traits: a notebook saved with its widgets has their traits, but no messages."""
        if self._settle_timer is not None:
            self._settle_timer.cancel()
        with contextlib.suppress(RuntimeError):  # Without an event loop there is no notebook to save.
            self._settle_timer = asyncio.get_running_loop().call_later(QUIET, self._settle)

    def _settle(self) -> None:
        self._settle_timer = None
        if self._in_traits < len(self.table):
            self.send_all()


def continues(old: Logprobs, new: Logprobs) -> bool:
    """Return True if a table has the rows of the old one, and possibly more at its end."""
    size = len(old)
    if not size or len(new) < size:
        return False
    if old.vocabulary is new.vocabulary:
        is_same = np.array_equal(old.chosen, new.chosen[:size])
    else:
        is_same = old.token_bytes == new[:size].token_bytes
    return is_same and np.array_equal(old.logprob, new[:size].logprob, equal_nan=True)


def with_small_vocabulary(table: Logprobs) -> Logprobs:
    """Return the table with a vocabulary of its own if the shared one is much larger than the table."""
    return table.compact() if len(table.vocabulary) > 1024 + 64 * len(table) else table
