"""State of a streamed answer, which the portal's loop fills and a :class:`Stream` empties."""

from __future__ import annotations

import asyncio
import codecs
from collections import deque
from functools import reduce
from typing import TYPE_CHECKING

from ...printable import printable
from ...response import APIResponse
from ...response.streamed_token import StreamedToken, TableToken
from ...text.end_tokens import INTERRUPTED
from ...transport import portal
from ...transport.secrecy import forget_frames

if TYPE_CHECKING:
    from ...dialects.base import Delta
    from ...logprobs.table import Logprobs
    from ...transport.streaming import StreamListener
    from ..sending.batch import Batch


class StreamedAnswer:
    """A streamed answer as far as it has arrived.

    The loop holds it until the answer ends. It has no reference to the :class:`Stream`, which ends the answer when
    nobody holds that any more.

    Parameters
    ----------
    batch
        The prompt.
    """

    def __init__(self, batch: Batch) -> None:
        from ...logprobs.columns import Vocabulary
        from ...transport.streaming import StreamListener

        self.tokens: deque[StreamedToken] = deque()
        """Tokens that the loop over the stream has not got yet."""
        self.tables: list[Logprobs] = []
        """Tables of the tokens of the answer."""
        self.response: APIResponse | None = None
        """The whole response at the end."""
        self.changed = portal.Alarm()
        """Rung when a token arrives and at the end."""
        self.listener: StreamListener = StreamListener(self._append)
        """Receiver of what the server sends."""
        self.work: portal.Work[None] = batch.work(self._run)
        """The request."""
        batch.on_stop = lambda work: self.end()
        self._batch = batch
        self._vocabulary = Vocabulary()
        self._texts = _Texts()
        self._stopping = self._ended = False

    @property
    def ended(self) -> bool:
        """True once there will be no further tokens, and the response is there."""
        return self._ended or self.work.ended

    def stop(self) -> None:
        """Stop the answer, in any thread; it ends a moment later."""
        if not self.ended:
            portal.loop().call_soon_threadsafe(self._stop_on_loop)

    def end(self) -> None:
        """Stop the answer, and wait for its end."""
        self.stop()
        portal.wait_for_end(self.work)

    # On the portal's loop ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        model = self._batch.items[0].route.model
        try:
            self.response = response = await self._batch.listen(self.listener, self._vocabulary)
            self._append(self._texts.rest(response))
        except Exception as error:  # a server that fails to start is an error of the loop
            forget_frames(error)
            if self.response is None:
                message = printable(str(error))
                self.response = APIResponse(model, is_error=True, error_message=message, error=error)
        except asyncio.CancelledError:
            self.response = APIResponse(model, finish_reason=INTERRUPTED, note=INTERRUPTED)
        finally:
            self._ended = True
            self.changed.ring()

    def _append(self, deltas: list[Delta]) -> None:
        for delta in deltas:
            try:
                tokens = self._texts.tokens(delta)
                table = delta.logprobs or self._without_logprob(delta.text)
            except Exception:  # a table that cannot be shown costs no text
                tokens, table = [StreamedToken(delta.text, thinking=delta.thinking)], self._without_logprob(delta.text)
            if not delta.thinking:
                self.tables.append(table)
            self.tokens.extend(tokens)
        self.changed.ring()
        if self._stopping:
            self.listener.stop()

    def _without_logprob(self, text: str) -> Logprobs:
        """Return a table of one row for text without a log-probability."""
        from ...logprobs.columns import Builder
        from ...logprobs.table import Logprobs

        builder = Builder(self._vocabulary)
        builder.add_token(text, None)
        return Logprobs(builder.vocabulary, *builder.columns())

    def _stop_on_loop(self) -> None:
        self._stopping = True
        if self._texts.has_text:
            self.listener.stop()
        else:  # the answer may have arrived, and only not been read
            asyncio.get_running_loop().call_later(portal.LAST_READ, self._cancel)

    def _cancel(self) -> None:
        if self._ended:
            return
        is_reading = self.listener.reading
        self.listener.stop()
        if not is_reading:  # nothing has arrived, so nothing needs to be kept
            self.work.cancel()


class _Texts:
    """Splits the text of an answer among its tokens."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._length = 0

    @property
    def has_text(self) -> bool:
        """True once any text has arrived."""
        return self._length > 0

    def tokens(self, delta: Delta) -> list[StreamedToken]:
        """Return the tokens of one event."""
        text, rows = delta.text, delta.logprobs
        self._length += len(text)
        if rows is None or not len(rows):
            self._decoder.reset()
            return [StreamedToken(text, thinking=delta.thinking)] if text else []
        parts = [self._decoder.decode(octets) for octets in rows.token_bytes]
        if "".join(parts) != text:
            # Some servers hold text back or count hidden tokens: the last token gets all the text.
            self._decoder.reset()
            parts = ["" for _ in parts[1:]] + [text]
        columns = zip(parts, rows.tokens, rows.columns[1].tolist(), strict=True)
        return [TableToken(*row, (rows, index), delta.thinking) for index, row in enumerate(columns)]

    def rest(self, response: APIResponse) -> list[Delta]:
        """Return the part of an answer that was not streamed: all of it if the server sent it at once."""
        from ...dialects.base import Delta

        if self.has_text or response.is_error:
            return []
        thought, text = response.thinking or "", response.completion or ""
        deltas = Delta(thought, response.thinking_logprobs, True), Delta(text, response.logprobs)
        return [delta for delta in deltas if delta.text]


def join_tables(tables: list[Logprobs]) -> Logprobs | None:
    """Return one table for those of all parts of an answer; None if there are none."""
    if len(tables) < 2:
        return tables[0] if tables else None
    from ...logprobs.rounding import coarser
    from ...logprobs.table import Logprobs

    first, size = tables[0].vocabulary, tables[0].vocab_size
    rounding = reduce(coarser, (table.rounding for table in tables))
    if any(table.vocabulary is not first for table in tables):
        return Logprobs.from_entries((entry for table in tables for entry in table), vocab_size=size, rounding=rounding)
    import numpy as np

    chosen, logprob, alternative, alternative_logprob, offsets = zip(*(table.columns for table in tables), strict=True)
    counts = np.concatenate([np.diff(column) for column in offsets])
    return Logprobs(
        first,
        np.concatenate(chosen),
        np.concatenate(logprob),
        np.concatenate(alternative),
        np.concatenate(alternative_logprob),
        np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
        vocab_size=size,
        rounding=rounding,
    )


__all__ = ["StreamedAnswer", "join_tables"]
