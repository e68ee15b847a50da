"""Separate the reasoning of a stream from its answer while both arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ....text.reasoning.splitter import ReasoningSplitter, Segment
from .delta import Delta
from .rows import first_row


@dataclass(slots=True)
class _Waiting:
    """Addition that was received, with the parts of its text that are certain."""

    delta: Delta
    unread: int
    segments: list[Segment]


class DeltaSorter:
    """Marks each addition to an answer as reasoning or answer, and removes the marks between both from the texts.

    Parameters
    ----------
    thinking
        True if the answer begins inside the reasoning.
    """

    def __init__(self, *, thinking: bool = False) -> None:
        self._splitter = ReasoningSplitter(thinking=thinking)
        self._waiting: deque[_Waiting] = deque()
        self._is_thinking: bool | None = None

    def sort(self, deltas: Iterable[Delta]) -> list[Delta]:
        """Return the additions that are certain after some more."""
        sorted_deltas: list[Delta] = []
        for delta in deltas:
            if delta.thinking:
                sorted_deltas += self._release(self._is_thinking in (None, True))
                self._is_thinking = True
                sorted_deltas.append(delta)
            elif self._splitter.is_answering and not self._waiting and delta.text:
                self._is_thinking = False
                sorted_deltas.append(delta)
            else:
                sorted_deltas += self._read(delta)
        return sorted_deltas

    def finish(self) -> list[Delta]:
        """Return the rest, once the stream has ended."""
        sorted_deltas = self._distribute(self._splitter.end())
        return sorted_deltas + self._release(bool(self._is_thinking))

    def _read(self, delta: Delta) -> list[Delta]:
        if not delta.text:
            if self._is_thinking is not None and not self._waiting:
                return [replace(delta, thinking=self._is_thinking)]
            # Rows of a hidden token: they belong to the text that follows.
            self._waiting.append(_Waiting(delta, 0, []))
            return []
        self._waiting.append(_Waiting(delta, len(delta.text), []))
        return self._distribute(self._splitter.feed(delta.text))

    def _distribute(self, segments: list[Segment]) -> list[Delta]:
        """Give segments to the additions that they are made of, and return the additions that are complete."""
        complete: list[Delta] = []
        for segment in segments:
            length, text = segment.length, segment.text
            while length:
                while not self._waiting[0].unread:
                    complete += self._take(segment.thinking)
                waiting = self._waiting[0]
                part = min(length, waiting.unread)
                length -= part
                # The text goes to the last tokens of its segment, as white space is removed at its beginning.
                kept = max(0, len(text) - length)
                waiting.segments.append(Segment(part, text[:kept], segment.thinking))
                text = text[kept:]
                waiting.unread -= part
                if not waiting.unread:
                    complete += self._take(segment.thinking)
        return complete

    def _take(self, thinking: bool) -> list[Delta]:
        waiting = self._waiting.popleft()
        self._is_thinking = thinking
        if not waiting.segments:
            return [replace(waiting.delta, thinking=thinking)]
        thought = "".join(segment.text for segment in waiting.segments if segment.thinking)
        answer = "".join(segment.text for segment in waiting.segments if not segment.thinking)
        kinds = {segment.thinking for segment in waiting.segments}
        rows = waiting.delta.logprobs
        if len(kinds) == 1:
            delta = replace(waiting.delta, text=thought + answer, thinking=thinking)
            return [delta] if delta.text or rows is not None else []
        start = None if rows is None else first_row(rows, answer)
        parts = (thought, None if rows is None else rows[:start], True), (answer, None, False)
        if rows is not None and start is not None:
            parts = parts[0], (answer, rows[start:], False)
        return [
            replace(waiting.delta, text=text, logprobs=table, thinking=flag)
            for text, table, flag in parts
            if text or table
        ]

    def _release(self, thinking: bool) -> list[Delta]:
        """Return all that waits."""
        released: list[Delta] = []
        while self._waiting:
            waiting = self._waiting[0]
            if waiting.unread:
                released += self._distribute(self._splitter.end())
                if self._waiting and self._waiting[0] is waiting:
                    waiting.unread = 0
            else:
                released += self._take(thinking)
        return released
