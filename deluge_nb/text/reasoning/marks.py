"""Marks that models write around their reasoning.

The marks are tags such as ``<think>``, ``[THINK]`` and ``<|START_THINKING|>``, and the channels of the harmony format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase

_NAMES = (
    *("think", "thinking", "thought", "thoughts", "reasoning"),
    *("seed:think", "mm:think", "antml:thinking", "antml:reasoning"),
    *("chain_of_thought", "cot", "inner_thoughts", "internal_thoughts", "longcat_think", "reasoning_content"),
    *("reflection", "scratchpad", "thought_process"),
)
_BARRED = ("think", "thinking", "thought", "reasoning")
# In lower case; the first marks that models write, each with the one that ends the reasoning.
CLOSING = {
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
AROUND_ANSWERS = {
    "<|start_response|>": "<|end_response|>",
    "<|begin_of_solution|>": "<|end_of_solution|>",
}
_HARMONY = ("start", "channel", "message", "end", "return", "call", "constrain")
HARMONY_MARKS = tuple(f"<|{name}|>" for name in _HARMONY)
HARMONY_MARK = re.compile(rf"<\|({'|'.join(_HARMONY)})\|>")
CHANNELS = ("analysis", "commentary", "final")
FIRST_CHANNEL = re.compile(r"(?:<\|start\|>)?(?:assistant)?<\|channel\|>\s*([^\s<]*)")
# A chat template may have written the first marks.
HARMONY_BEGINNINGS = (
    *("<|channel|>", "<|start|>assistant", "assistant<|channel|>"),
    *(f"{channel}<|message|>" for channel in CHANNELS),
)
# With the length of the word before the mark: a part of it begins too many answers to be held back.
_BEGINNINGS = {
    beginning: len(beginning) - len(beginning.lstrip(ascii_lowercase))
    for beginning in (*CLOSING, *AROUND_ANSWERS, *HARMONY_BEGINNINGS)
}
_ATTRIBUTED = rf"<({'|'.join(map(re.escape, _NAMES))})\s[^<>]{{0,200}}"
# Marks are ASCII in capital or small letters: a dotless i is no i, and no letter becomes two in lower case. Those in
# square brackets are in capital letters, for "[Reasoning]" is how people write a heading.
_ANY_CASE = re.IGNORECASE | re.ASCII
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def pattern(marks: Iterable[str]) -> str:
    """Return a pattern for marks that are given in small letters."""
    others = "|".join(map(_spelling, (mark for mark in sorted(marks) if mark[0] != "[")))
    return "|".join([f"(?i:{others})", *(re.escape(mark.upper()) for mark in sorted(marks) if mark[0] == "[")])


def _spelling(mark: str) -> str:
    """Return a pattern for a mark; a closing tag may end in white space."""
    return re.escape(mark.removesuffix(">")) + r"\s{0,5}>" if mark.startswith("</") else re.escape(mark)


CLOSING_PATTERNS = {mark: re.compile(_spelling(mark), _ANY_CASE) for mark in CLOSING.values()}
LONGEST_CLOSING = max(map(len, CLOSING_PATTERNS)) + 5
# Some models end their reasoning with a tag of another name than its first.
CLOSING_TAG = re.compile("|".join(_spelling(mark) for mark in CLOSING_PATTERNS if mark[:2] == "</"), _ANY_CASE)
PART_OF_CLOSING_TAG = re.compile(r"<(?:/[\w:]{0,20}\s{0,5})?\Z", re.ASCII)
OPENING = re.compile(rf"{pattern(CLOSING)}|(?i:{_ATTRIBUTED}>)", re.ASCII)
# A tag with attributes, of which the end may not have come yet.
ATTRIBUTED_TAG = re.compile(rf"{_ATTRIBUTED}(>|\Z)", _ANY_CASE)
# A tag behind one of these is quoted: the text is about it.
QUOTES = frozenset("`'\"“‘«")
# The quote that closes each; a reasoning may end with a quotation, so a closing tag is quoted on both sides.
_CLOSING_QUOTES = {"'": "'", '"': '"', "`": "`", "“": "”", "‘": "’", "«": "»"}
# Between a word or one of these and a tag, white space says that the text is about the tag: a block of reasoning stands
# on a line of its own, behind a sentence, or without a space.
WITHIN_SENTENCE = re.compile(r"[\w,;(|/=&+–—-][ \t]+\Z|[(|/=,][ \t]*\Z")


# Characters of white space between a word and a tag.
LONGEST_GAP = 100


def is_quoted(text: str, before: str, end: int) -> bool:
    """Return whether a closing tag that ends at a position stands between quotes."""
    return before in _CLOSING_QUOTES and end < len(text) and text.startswith(_CLOSING_QUOTES[before], end)


def closing_of(opening: str) -> str:
    """Return the mark, in lower case, that ends what an opening mark begins."""
    tag = ATTRIBUTED_TAG.fullmatch(opening)
    return f"</{lowered(tag[1])}>" if tag is not None else CLOSING[lowered(opening)]


def lowered(text: str) -> str:
    """Return a text of the same length with small letters of ASCII."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def may_become_mark(text: str) -> bool:
    """Return whether a text in lower case may be the beginning of a first mark."""
    return any(len(text) >= least and beginning.startswith(text) for beginning, least in _BEGINNINGS.items())


def length_of_beginning(text: str, marks: tuple[str, ...]) -> int:
    """Return the length of the longest end of a text that may become one of the marks."""
    longest = max(map(len, marks)) - 1
    for length in range(min(longest, len(text)), 0, -1):
        ending = text[-length:]
        if any(mark.startswith(ending) for mark in marks):
            return length
    return 0
