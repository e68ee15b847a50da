"""Separate reasoning and answer in a text that arrives in pieces.

Where the chat template has written the first tag, the text begins inside the reasoning and has the closing tag only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .marks import (
    AROUND_ANSWERS,
    ATTRIBUTED_TAG,
    CHANNELS,
    CLOSING,
    CLOSING_PATTERNS,
    CLOSING_TAG,
    FIRST_CHANNEL,
    HARMONY_BEGINNINGS,
    HARMONY_MARK,
    HARMONY_MARKS,
    LONGEST_CLOSING,
    LONGEST_GAP,
    PART_OF_CLOSING_TAG,
    QUOTES,
    WITHIN_SENTENCE,
    closing_of,
    is_quoted,
    length_of_beginning,
    lowered,
    may_become_mark,
)

# Characters that are split at once.
_AT_ONCE = 4096


class Segment(NamedTuple):
    """Part of a text: its length, what it adds to the answer or to the reasoning, and True for the reasoning.

    A mark adds nothing, and neither does the white space around an answer and its reasoning.
    """

    length: int
    text: str
    thinking: bool


class ReasoningSplitter:
    """Splitter of a text that arrives in pieces.

    Text is held back as long as it may become a mark.

    Parameters
    ----------
    thinking
        True if the text begins inside the reasoning.

    Examples
    --------
    >>> from deluge_nb.text.reasoning.splitter import ReasoningSplitter
    >>> splitter = ReasoningSplitter()
    >>> splitter.feed("<thi"), splitter.feed("nk>Hm")
    ([], [Segment(length=7, text='', thinking=True), Segment(length=2, text='Hm', thinking=True)])
    >>> splitter.feed("</think>Yes")
    [Segment(length=8, text='', thinking=True), Segment(length=3, text='Yes', thinking=False)]
    """

    def __init__(self, *, thinking: bool = False) -> None:
        self._held = ""
        self._closing = "</think>"
        self._before = ""
        self._searched = 0
        self._gap = ""
        self._has_thought = self._is_after = False
        self._header: str | None = None
        self._channel = ""
        self._is_role = False
        self._next: Callable[[bool], Segment | None] = self._inside if thinking else self._start

    @property
    def is_answering(self) -> bool:
        """True once the answer has begun in a text whose reasoning is not in channels: the rest belongs to it."""
        return self._next == self._answer

    def feed(self, piece: str) -> list[Segment]:
        """Return the parts that are certain after another piece of the text."""
        # Each step goes through all that is held.
        segments: list[Segment] = []
        for start in range(0, len(piece), _AT_ONCE):
            self._held += piece[start : start + _AT_ONCE]
            segments += self._segments(False)
        return segments

    def end(self) -> list[Segment]:
        """Return the rest of the text."""
        return list(self._segments(True))

    def _segments(self, is_end: bool) -> Iterator[Segment]:
        while self._held:
            segment = self._next(is_end)
            if segment is None:
                return
            self._before = (self._before + self._held[: segment.length])[-LONGEST_GAP:]
            self._held, self._searched = self._held[segment.length :], 0
            yield segment

    # Each step returns the next segment, or None where it depends on text that has not come yet.

    def _start(self, is_end: bool) -> Segment | None:
        held = self._held
        rest = held.lstrip()
        gap, lower = len(held) - len(rest), lowered(rest)
        for opening, closing in CLOSING.items():
            if lower.startswith(opening) and (opening[0] != "[" or rest.startswith(opening.upper())):
                return self._begin_thought(gap + len(opening), closing)
        tag = ATTRIBUTED_TAG.match(rest)
        if tag is not None and tag[2]:
            return self._begin_thought(gap + tag.end(), closing_of(tag[0]))
        for opening, closing in AROUND_ANSWERS.items():
            if lower.startswith(opening):
                self._closing, self._next = closing, self._before_marked
                return Segment(gap + len(opening), "", True)
        may_begin = not rest or tag is not None or may_become_mark(lower)
        if lower.startswith(HARMONY_BEGINNINGS):
            is_known, is_channel = _channel_of(lower, is_end)
            if is_channel:
                self._next, self._header = self._channels, ""
                return Segment(gap, "", True) if gap else self._channels(is_end)
            may_begin = not is_known
        if not is_end and may_begin:
            return None
        self._next = self._answer
        return Segment(len(held), rest if self._is_after else held, False)

    def _begin_thought(self, length: int, closing: str) -> Segment:
        self._closing, self._next = closing, self._inside
        self._gap = "\n\n" if self._has_thought else ""
        return Segment(length, "", True)

    def _inside(self, is_end: bool) -> Segment | None:
        held = self._held
        other = self._tag_of_another_name(is_end)
        is_certain, closing = self._own_closing(is_end)
        if closing is not None and is_certain:
            if not closing.start():
                return self._end_thought(closing)
            return self._take_thought(closing.start())
        if other is not None and (closing is None or other.start() <= closing.start()):
            # It ends the reasoning if the right tag does not follow.
            if is_end and not other.start():
                return self._end_thought(other)
            if closing is None:
                self._searched = max(0, len(held) - LONGEST_CLOSING)
            return self._take_thought(other.start())
        if closing is not None:
            return self._take_thought(closing.start())
        at = len(held)
        if not is_end:
            part = PART_OF_CLOSING_TAG.search(held, max(0, at - LONGEST_CLOSING))
            at -= length_of_beginning(lowered(held[-LONGEST_CLOSING:]), (self._closing,))
            at = min(at, part.start()) if part is not None else at
        return self._take_thought(at)

    def _own_closing(self, is_end: bool) -> tuple[bool, re.Match[str] | None]:
        """Return the mark that ends the reasoning, and whether that is certain: it is not if it may be quoted."""
        for mark in CLOSING_PATTERNS[self._closing].finditer(self._held, self._searched):
            quote = self._character_before(mark)
            if quote not in QUOTES:
                return True, mark
            if mark.end() == len(self._held) and not is_end:  # what follows is not known yet
                return False, mark
            if not is_quoted(self._held, quote, mark.end()):
                return True, mark
        return True, None

    def _tag_of_another_name(self, is_end: bool) -> re.Match[str] | None:
        for mark in CLOSING_TAG.finditer(self._held):
            quote = self._character_before(mark)
            is_known = is_end or mark.end() < len(self._held)
            if is_known and quote in QUOTES and is_quoted(self._held, quote, mark.end()):
                continue
            if not WITHIN_SENTENCE.search((self._before + self._held[: mark.start()])[-LONGEST_GAP:]):
                return mark
        return None

    def _character_before(self, mark: re.Match[str]) -> str:
        return self._held[mark.start() - 1] if mark.start() else self._before[-1:]

    def _take_thought(self, length: int) -> Segment | None:
        return Segment(length, self._thought(self._held[:length]), True) if length else None

    def _end_thought(self, closing: re.Match[str]) -> Segment:
        self._next, self._is_after = self._start, True
        return Segment(closing.end(), "", True)

    def _before_marked(self, is_end: bool) -> Segment | None:
        gap = len(self._held) - len(self._held.lstrip())
        if gap < len(self._held):
            self._next = self._marked
        return Segment(gap, "", True) if gap else self._next(is_end)

    def _marked(self, is_end: bool) -> Segment | None:
        held, lower = self._held, lowered(self._held)
        at = lower.find(self._closing)
        if at == 0:
            return Segment(len(self._closing), "", True)
        if at < 0:
            at = len(held) if is_end else len(held) - length_of_beginning(lower, (self._closing,))
        return Segment(at, held[:at], False) if at else None

    def _answer(self, _: bool) -> Segment | None:
        return Segment(len(self._held), self._held, False)

    def _channels(self, is_end: bool) -> Segment | None:
        held = self._held
        mark = HARMONY_MARK.search(held)
        if mark is not None and not mark.start():
            return self._read_mark(mark)
        at = mark.start() if mark is not None else len(held)
        if mark is None and not is_end:
            at -= length_of_beginning(held, HARMONY_MARKS)
        if not at:
            return None
        if self._header is not None:
            self._header += held[:at]
            return Segment(at, "", True)
        if self._channel == "final":
            return Segment(at, held[:at], False)
        return Segment(at, self._thought(held[:at]), True)

    def _read_mark(self, mark: re.Match[str]) -> Segment:
        is_answer = self._header is None and self._channel == "final"
        if mark[1] == "message":
            header = self._header or ""
            # A message without a channel is an answer, or goes to a tool.
            channel = ("commentary" if "to=" in header else "final") if self._is_role else header
            self._channel, self._header = (channel.split() or ["final"])[0], None
            is_answer = False
            self._gap = "\n\n" if self._has_thought else ""
        else:
            self._header = "" if mark[1] in ("start", "channel", "end", "return", "call") else self._header
        if mark[1] in ("start", "channel"):
            self._is_role = mark[1] == "start"
        if mark[1] == "start":
            self._channel = ""
        return Segment(mark.end(), "", not is_answer)

    def _thought(self, text: str) -> str:
        """Return what a text adds to the reasoning, without the white space that may be the end of it."""
        text = self._gap + text if self._has_thought else text.lstrip()
        stripped = text.rstrip()
        self._gap = text[len(stripped) :]
        self._has_thought = self._has_thought or bool(stripped)
        return stripped


def _channel_of(text: str, is_end: bool) -> tuple[bool, bool]:
    """Return whether it is known if a channel begins with a text, and whether one does.

    A name that is cut off is one if nothing follows it.
    """
    channel = FIRST_CHANNEL.match(text)
    if channel is None or channel[1] in CHANNELS:
        return True, True
    may_be = channel.end() == len(text) and any(name.startswith(channel[1]) for name in CHANNELS)
    return is_end or not may_be, is_end and may_be
