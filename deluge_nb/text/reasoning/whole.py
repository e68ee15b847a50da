"""Separate reasoning and answer in a whole text."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import NamedTuple

from .marks import (
    CLOSING,
    LONGEST_GAP,
    OPENING,
    QUOTES,
    WITHIN_SENTENCE,
    closing_of,
    is_quoted,
    lowered,
    pattern,
)
from .splitter import ReasoningSplitter

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
_WORD = re.compile(r"\S")
_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*(?:[\"\[{\]]|-?\d[\d.]*\s*,))")
# Marks within an answer, and the first and last lines of blocks of code.
_MARK = re.compile(
    rf"(?P<opening>{OPENING.pattern})|(?P<closing>{pattern(set(CLOSING.values()))})"
    r"|(?P<fence>^ {0,3}(?:```[^`\n]*|~~~.*)$)",
    re.ASCII | re.MULTILINE,
)


def split_reasoning(text: str) -> tuple[str | None, str]:
    """Return the reasoning in a whole text, None if it has none, and the answer.

    Examples
    --------
    >>> from deluge_nb.text.reasoning.whole import split_reasoning
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
    in_code, is_nested = False, any(map(OPENING.search, thoughts))
    for mark in _MARK.finditer(text):
        at, before = mark.start(), text[mark.start() - 1] if mark.start() else ""
        if mark["fence"]:
            in_code = not in_code
        elif mark["opening"]:
            if before not in QUOTES:
                opened.setdefault(closing_of(mark[0]), []).append(_Open(at, mark.end(), in_code))
        elif not in_code and not is_quoted(text, before, mark.end()):
            pairs = _pairs_of(mark[0], opened)
            is_late = not pairs
            if is_late and thoughts and not is_nested:
                break
            block = pairs.pop() if pairs else _Open(0, 0, in_code)
            if WITHIN_SENTENCE.search(text[max(0, block.start - LONGEST_GAP) : block.start]):
                continue
            first = bisect_left(taken, (block.start, 0))
            thought = _without(text, block.end, at, taken[first:]).strip()
            if not is_late and thought and not any(map(str.isalnum, thought)):
                continue
            thoughts.append(thought)
            in_code = block.in_code
            is_nested = is_nested or OPENING.search(thought) is not None
            following = _WORD.search(text, mark.end())
            taken[first:] = [(block.start, following.start() if following is not None else len(text))]
            for others in opened.values():
                while others and others[-1].start > block.start:
                    others.pop()
    return thoughts, _without(text, 0, len(text), taken) if taken else text


def _pairs_of(closing: str, opened: dict[str, list[_Open]]) -> list[_Open]:
    """Return the opening marks that a closing mark may end; those of another name if there is none of its own."""
    return opened.get("".join(lowered(closing).split())) or max(
        filter(None, opened.values()), key=lambda others: others[-1].start, default=[]
    )


def _without(text: str, start: int, end: int, taken: list[tuple[int, int]]) -> str:
    """Return a part of a text without what was taken out of it."""
    parts: list[str] = []
    for first, last in taken:
        parts.append(text[start:first])
        start = last
    return "".join([*parts, text[start:end]])
