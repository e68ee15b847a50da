"""Separate a model's reasoning from its answer, where a server sends both in one text with marks between them.

The marks are tags such as ``<think>``, ``[THINK]`` and ``<|START_THINKING|>``, and the channels of the harmony format.
Where the chat template has written the first tag, the text begins inside the reasoning and has the closing tag only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from string import ascii_lowercase
from typing import NamedTuple

_NAMES = (
    *("think", "thinking", "thought", "thoughts", "reasoning"),
    *("seed:think", "mm:think", "antml:thinking", "antml:reasoning"),
    *("chain_of_thought", "cot", "inner_thoughts", "internal_thoughts", "longcat_think", "reasoning_content"),
    *("reflection", "scratchpad", "thought_process"),
)
_BARRED = ("think", "thinking", "thought", "reasoning")
# In lower case; the first marks that models write, each with the one that ends the reasoning.
_CLOSING = {
    **{f"<{name}>": f"</{name}>" for name in _NAMES},
    **{f"<|{name}|>": f"<|/{name}|>" for name in _BARRED},
    **{f"[{name}]": f"[/{name}]" for name in _BARRED},
    "◁think▷": "◁/think▷",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|begin_of_thinking|>": "<|end_of_thinking|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
    "<unused94>thought": "<unused95>",
}
# Marks around an answer, which are no part of it.
_AROUND_ANSWERS = {
    "<|start_response|>": "<|end_response|>",
    "<|begin_of_solution|>": "<|end_of_solution|>",
}
_HARMONY = ("start", "channel", "message", "end", "return", "call", "constrain")
_HARMONY_MARKS = tuple(f"<|{name}|>" for name in _HARMONY)
_HARMONY_MARK = re.compile(rf"<\|({'|'.join(_HARMONY)})\|>")
# A chat template may have written the first marks.
_HARMONY_BEGINNINGS = (
    *("<|channel|>", "<|start|>assistant", "assistant<|channel|>"),
    *("analysis<|message|>", "commentary<|message|>", "final<|message|>"),
)
# With the length of the word before the mark: a part of it begins too many answers to be held back.
_BEGINNINGS = {
    beginning: len(beginning) - len(beginning.lstrip(ascii_lowercase))
    for beginning in (*_CLOSING, *_AROUND_ANSWERS, *_HARMONY_BEGINNINGS)
}
_ATTRIBUTED = rf"<({'|'.join(map(re.escape, _NAMES))})\s[^<>]{{0,200}}"
_OPENING = re.compile(f"{'|'.join(map(re.escape, sorted(_CLOSING)))}|{_ATTRIBUTED}>", re.IGNORECASE)
# A tag with attributes, of which the end may not have come yet.
_ATTRIBUTED_TAG = re.compile(rf"{_ATTRIBUTED}(>|\Z)", re.IGNORECASE)
_LATE_CLOSING = re.compile("|".join(map(re.escape, sorted(set(_CLOSING.values())))), re.IGNORECASE)
# Reasoning and answer between words: what is left of harmony's channels where a server removes the marks, and the
# sentences of Granite and Apriel. Both ends must be there, as such words may also begin an answer.
_BETWEEN_WORDS = [
    re.compile(rf"\s*{pattern}", re.DOTALL)
    for pattern in (
        r"analysis(?=\S)(?P<thinking>.*?)assistantfinal(?P<answer>.*)",
        r"Here(?:'s|’s| is) my thought process:(?P<thinking>.*?)Here(?:'s|’s| is) my response:(?P<answer>.*)",
        r"Here are my reasoning steps:(?P<thinking>.*?)\[BEGIN FINAL RESPONSE\](?P<answer>.*?)"
        r"(?:\[END FINAL RESPONSE\].*)?",
    )
]
_BEGINNING_WORDS = ("analysis", "Here")
# Nearly all answers have none of these, and are not searched for marks.
_HINTS = ("<", "[", "◁")
# A tag behind one of these is quoted: the text is about it.
_QUOTES = frozenset("`'\"“‘«")
# The quote that closes each; a reasoning may end with a quotation, so a closing tag is quoted on both sides.
_CLOSING_QUOTES = {"'": "'", '"': '"', "`": "`", "“": "”", "‘": "’", "«": "»"}
_FENCE = "```"


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
    >>> from deluge_nb.text.reasoning import ReasoningSplitter
    >>> splitter = ReasoningSplitter()
    >>> splitter.feed("<thi"), splitter.feed("nk>Hm")
    ([], [Segment(length=7, text='', thinking=True), Segment(length=2, text='Hm', thinking=True)])
    >>> splitter.feed("</think>Yes")
    [Segment(length=8, text='', thinking=True), Segment(length=3, text='Yes', thinking=False)]
    """

    def __init__(self, *, thinking: bool = False) -> None:
        self._held = ""
        self._closing = "</think>"
        self._previous = ""
        self._gap = ""
        self._has_thought = self._is_after = False
        self._header: str | None = None
        self._channel = ""
        self._next: Callable[[bool], Segment | None] = self._inside if thinking else self._start

    @property
    def is_answering(self) -> bool:
        """True once the answer has begun in a text whose reasoning is not in channels: the rest belongs to it."""
        return self._next == self._answer

    def feed(self, piece: str) -> list[Segment]:
        """Return the parts that are certain after another piece of the text."""
        self._held += piece
        return list(self._segments(False))

    def end(self) -> list[Segment]:
        """Return the rest of the text."""
        return list(self._segments(True))

    def _segments(self, is_end: bool) -> Iterator[Segment]:
        while self._held:
            segment = self._next(is_end)
            if segment is None:
                return
            self._previous = self._held[segment.length - 1]
            self._held = self._held[segment.length :]
            yield segment

    # Each step returns the next segment, or None where it depends on text that has not come yet.

    def _start(self, is_end: bool) -> Segment | None:
        held = self._held
        rest = held.lstrip()
        gap, lower = len(held) - len(rest), rest.lower()
        for opening, closing in _CLOSING.items():
            if lower.startswith(opening):
                return self._begin_thought(gap + len(opening), closing)
        tag = _ATTRIBUTED_TAG.match(rest)
        if tag is not None and tag[2]:
            return self._begin_thought(gap + tag.end(), _closing_of(tag))
        for opening, closing in _AROUND_ANSWERS.items():
            if lower.startswith(opening):
                self._closing, self._next = closing, self._before_marked
                return Segment(gap + len(opening), "", True)
        if lower.startswith(_HARMONY_BEGINNINGS):
            self._next, self._header = self._channels, ""
            return Segment(gap, "", True) if gap else self._channels(is_end)
        may_begin = not rest or tag is not None or _may_become_mark(lower)
        if not is_end and may_begin:
            return None
        self._next = self._answer
        return Segment(len(held), rest if self._is_after else held, False)

    def _begin_thought(self, length: int, closing: str) -> Segment:
        self._closing, self._next = closing, self._inside
        self._gap = "\n\n" if self._has_thought else ""
        return Segment(length, "", True)

    def _inside(self, is_end: bool) -> Segment | None:
        held, lower = self._held, self._held.lower()
        at = lower.find(self._closing)
        while at >= 0 and (quote := held[at - 1] if at else self._previous) in _QUOTES:
            end = at + len(self._closing)
            if end == len(held) and not is_end:  # what follows is not known yet
                return Segment(at, self._thought(held[:at]), True) if at else None
            if not _is_quoted(held, quote, end):
                break
            at = lower.find(self._closing, at + 1)
        if at == 0:
            self._next, self._is_after = self._start, True
            return Segment(len(self._closing), "", True)
        if at < 0:
            at = len(held) if is_end else len(held) - _length_of_beginning(lower, (self._closing,))
        return Segment(at, self._thought(held[:at]), True) if at else None

    def _before_marked(self, is_end: bool) -> Segment | None:
        gap = len(self._held) - len(self._held.lstrip())
        if gap < len(self._held):
            self._next = self._marked
        return Segment(gap, "", True) if gap else self._next(is_end)

    def _marked(self, is_end: bool) -> Segment | None:
        held, lower = self._held, self._held.lower()
        at = lower.find(self._closing)
        if at == 0:
            return Segment(len(self._closing), "", True)
        if at < 0:
            at = len(held) if is_end else len(held) - _length_of_beginning(lower, (self._closing,))
        return Segment(at, held[:at], False) if at else None

    def _answer(self, _: bool) -> Segment | None:
        return Segment(len(self._held), self._held, False)

    def _channels(self, is_end: bool) -> Segment | None:
        held = self._held
        mark = _HARMONY_MARK.search(held)
        if mark is not None and not mark.start():
            return self._read_mark(mark)
        at = mark.start() if mark is not None else len(held)
        if mark is None and not is_end:
            at -= _length_of_beginning(held, _HARMONY_MARKS)
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
            # A message without a channel is an answer.
            self._channel, self._header = ((self._header or "").split() or ["final"])[0], None
            is_answer = False
            self._gap = "\n\n" if self._has_thought else ""
        else:
            self._header = "" if mark[1] in ("start", "channel", "end", "return", "call") else self._header
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


def split_reasoning(text: str) -> tuple[str | None, str]:
    """Return the reasoning in a whole text, None if it has none, and the answer.

    Examples
    --------
    >>> from deluge_nb.text.reasoning import split_reasoning
    >>> split_reasoning("<think>No, wait.</think> Yes"), split_reasoning("No, wait.</think> Yes")
    (('No, wait.', 'Yes'), ('No, wait.', 'Yes'))
    >>> split_reasoning("The tag `</think>` ends it.")
    (None, 'The tag `</think>` ends it.')
    """
    if not any(hint in text for hint in _HINTS) and not text.lstrip().startswith(_BEGINNING_WORDS):
        return None, text
    splitter = ReasoningSplitter()
    segments = [*splitter.feed(text), *splitter.end()]
    thoughts: list[str] = []
    answer = text
    if any(segment.thinking for segment in segments):
        thoughts = ["".join(segment.text for segment in segments if segment.thinking)]
        answer = "".join(segment.text for segment in segments if not segment.thinking)
    elif text.lstrip().startswith(_BEGINNING_WORDS):
        for pattern in _BETWEEN_WORDS:
            if (parts := pattern.fullmatch(text)) is not None:
                return parts["thinking"].strip() or None, parts["answer"].strip()
    # A block within the answer; or the end of a reasoning whose beginning is not in the text, or in a block before.
    while (closing := _late_closing(answer)) is not None:
        start = _opening_before(answer, closing)
        if start is None and thoughts and _OPENING.search("".join(thoughts)) is None:
            break
        mark = _OPENING.match(answer, start) if start is not None else None
        thoughts.append(answer[mark.end() if mark is not None else 0 : closing.start()].strip())
        answer = answer[: start or 0] + answer[closing.end() :].lstrip()
    return "\n\n".join(filter(None, thoughts)) or None, answer


def strip_marks(text: str) -> str:
    """Return the text of some tokens of reasoning without the marks around it."""
    thinking, answer = split_reasoning(text)
    return (thinking or "") + answer


def has_mark(text: str) -> bool:
    """Return whether a text has a mark of reasoning."""
    return split_reasoning(text) != (None, text)


def _late_closing(text: str) -> re.Match[str] | None:
    """Return the first closing mark of a text that began inside the reasoning; a quoted one is no mark."""
    if text.lstrip()[:1] in "{[":  # JSON; a reasoning begins with a word
        return None
    for closing in _LATE_CLOSING.finditer(text):
        at = closing.start()
        is_quoted = at > 0 and _is_quoted(text, text[at - 1], closing.end())
        if not is_quoted and text.count(_FENCE, 0, at) % 2 == 0:
            return closing
    return None


def _is_quoted(text: str, before: str, end: int) -> bool:
    """Return whether a closing tag that ends at a position stands between quotes, or behind a backslash."""
    return before in _CLOSING_QUOTES and end < len(text) and text.startswith(_CLOSING_QUOTES[before], end)


def _closing_of(opening: re.Match[str]) -> str:
    """Return the mark, in lower case, that ends what an opening mark begins."""
    return f"</{opening[1].lower()}>" if opening[1] else _CLOSING[opening[0].lower()]


def _opening_before(text: str, closing: re.Match[str]) -> int | None:
    """Return where the block begins that a mark closes; None if its beginning is not in the text."""
    starts = [
        opening.start()
        for opening in _OPENING.finditer(text, 0, closing.start())
        if _closing_of(opening) == closing[0].lower()
    ]
    return next((start for start in reversed(starts) if not start or text[start - 1] not in _QUOTES), None)


def _may_become_mark(text: str) -> bool:
    return any(len(text) >= least and beginning.startswith(text) for beginning, least in _BEGINNINGS.items())


def _length_of_beginning(text: str, marks: tuple[str, ...]) -> int:
    """Return the length of the longest end of a text that may become one of the marks."""
    longest = max(map(len, marks)) - 1
    for length in range(min(longest, len(text)), 0, -1):
        ending = text[-length:]
        if any(mark.startswith(ending) for mark in marks):
            return length
    return 0
