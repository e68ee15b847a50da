"""Separate a model's reasoning from its answer, where a server sends both in one text with marks between them.

The marks are tags such as ``<think>``, ``[THINK]`` and ``<|START_THINKING|>``, and the channels of the harmony format.
Where the chat template has written the first tag, the text begins inside the reasoning and has the closing tag only.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from string import ascii_lowercase, ascii_uppercase
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
# Marks are ASCII in capital or small letters: a dotless i is no i, and no letter becomes two in lower case. Those in
# square brackets are in capital letters, for "[Reasoning]" is how people write a heading.
_ANY_CASE = re.IGNORECASE | re.ASCII
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def _pattern(marks: Iterable[str]) -> str:
    """Return a pattern for marks that are given in small letters."""
    others = "|".join(re.escape(mark) for mark in sorted(marks) if mark[0] != "[")
    return "|".join([f"(?i:{others})", *(re.escape(mark.upper()) for mark in sorted(marks) if mark[0] == "[")])


_OPENING = re.compile(rf"{_pattern(_CLOSING)}|(?i:{_ATTRIBUTED}>)", re.ASCII)
# A tag with attributes, of which the end may not have come yet.
_ATTRIBUTED_TAG = re.compile(rf"{_ATTRIBUTED}(>|\Z)", _ANY_CASE)
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
_WORD = re.compile(r"\S")
_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*(?:[\"\[{\]]|-?\d[\d.]*\s*,))")
# Marks within an answer, and the first and last lines of blocks of code.
_MARK = re.compile(
    rf"(?P<opening>{_OPENING.pattern})|(?P<closing>{_pattern(set(_CLOSING.values()))})"
    r"|(?P<fence>^ {0,3}(?:```[^`\n]*|~~~.*)$)",
    re.ASCII | re.MULTILINE,
)
# Between a word or one of these and a tag, white space says that the text is about the tag: a block of reasoning stands
# on a line of its own, behind a sentence, or without a space.
_WITHIN_SENTENCE = re.compile(r"[\w,;(|/=&+–—-][ \t]+\Z|[(|/=,][ \t]*\Z")


# Characters of white space between a word and a tag.
_LONGEST_GAP = 100


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
            self._previous = self._held[segment.length - 1]
            self._held = self._held[segment.length :]
            yield segment

    # Each step returns the next segment, or None where it depends on text that has not come yet.

    def _start(self, is_end: bool) -> Segment | None:
        held = self._held
        rest = held.lstrip()
        gap, lower = len(held) - len(rest), _lower(rest)
        for opening, closing in _CLOSING.items():
            if lower.startswith(opening) and (opening[0] != "[" or rest.startswith(opening.upper())):
                return self._begin_thought(gap + len(opening), closing)
        tag = _ATTRIBUTED_TAG.match(rest)
        if tag is not None and tag[2]:
            return self._begin_thought(gap + tag.end(), _closing_of(tag[0]))
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
        held, lower = self._held, _lower(self._held)
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
        held, lower = self._held, _lower(self._held)
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
    thoughts, answer = _take_blocks(answer, thoughts)
    return "\n\n".join(filter(None, thoughts)) or None, answer


def strip_marks(text: str) -> str:
    """Return the text of some tokens of reasoning without the marks around it."""
    thinking, answer = split_reasoning(text)
    return (thinking or "") + answer


def has_mark(text: str) -> bool:
    """Return whether a text has a mark of reasoning."""
    return split_reasoning(text) != (None, text)


class _Open(NamedTuple):
    """Opening mark in an answer that may begin a block: where it begins and ends, and whether it is in code."""

    start: int
    end: int
    in_code: bool


def _take_blocks(text: str, thoughts: list[str]) -> tuple[list[str], str]:
    """Return the reasoning with that of the blocks within an answer, and the answer without them.

    A closing mark may also end a reasoning whose beginning is not in the text, or in what is known of it. Marks that
    are quoted, stand in a block of code or within a sentence are a part of the answer.
    """
    if _JSON.match(text):
        return thoughts, text
    thoughts, taken = list(thoughts), list[tuple[int, int]]()
    opened: dict[str, list[_Open]] = {}
    in_code, is_nested = False, any(map(_OPENING.search, thoughts))
    for mark in _MARK.finditer(text):
        at, before = mark.start(), text[mark.start() - 1] if mark.start() else ""
        if mark["fence"]:
            in_code = not in_code
        elif mark["opening"]:
            if before not in _QUOTES:
                opened.setdefault(_closing_of(mark[0]), []).append(_Open(at, mark.end(), in_code))
        elif not in_code and not _is_quoted(text, before, mark.end()):
            pairs = opened.get(_lower(mark[0]))
            is_late = not pairs
            if is_late and thoughts and not is_nested:
                break
            block = pairs.pop() if pairs else _Open(0, 0, in_code)
            if _WITHIN_SENTENCE.search(text[max(0, block.start - _LONGEST_GAP) : block.start]):
                continue
            first = bisect_left(taken, (block.start, 0))
            thought = _without(text, block.end, at, taken[first:]).strip()
            if not is_late and thought and not any(map(str.isalnum, thought)):
                continue
            thoughts.append(thought)
            in_code = block.in_code
            is_nested = is_nested or _OPENING.search(thought) is not None
            following = _WORD.search(text, mark.end())
            taken[first:] = [(block.start, following.start() if following is not None else len(text))]
            for others in opened.values():
                while others and others[-1].start > block.start:
                    others.pop()
    return thoughts, _without(text, 0, len(text), taken) if taken else text


def _without(text: str, start: int, end: int, taken: list[tuple[int, int]]) -> str:
    """Return a part of a text without what was taken out of it."""
    parts: list[str] = []
    for first, last in taken:
        parts.append(text[start:first])
        start = last
    return "".join([*parts, text[start:end]])


def _is_quoted(text: str, before: str, end: int) -> bool:
    """Return whether a closing tag that ends at a position stands between quotes, or behind a backslash."""
    return before in _CLOSING_QUOTES and end < len(text) and text.startswith(_CLOSING_QUOTES[before], end)


def _closing_of(opening: str) -> str:
    """Return the mark, in lower case, that ends what an opening mark begins."""
    tag = _ATTRIBUTED_TAG.fullmatch(opening)
    return f"</{_lower(tag[1])}>" if tag is not None else _CLOSING[_lower(opening)]


def _lower(text: str) -> str:
    """Return a text of the same length with small letters of ASCII."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


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
