"""How a token is written for people: white space and what has no shape of its own made visible.

Used by every rendering, so that the widget, the static page and the terminal never disagree.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

SPACE, NEWLINE, TAB = "·", "↵", "⇥"
PARTIAL = "▏"
EMPTY = "∅"
# Joins in the middle of a text are part of its spelling; directions would turn the whole line around.
_TURNING = frozenset(map(chr, (*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x61C)))


# At most one space, in front, and nothing else that needs a mark.
_PLAIN = re.compile(rb" ?[!-~]+")

# A fragment but for its token: shown, copied, breaks, marked.
Shape = tuple[str, str, bool, bool]


class Fragment(NamedTuple):
    """A stretch of one token within one line.

    ``shown`` is what is drawn, ``copied`` what it stands for in the text; ``breaks`` whether a line ends after it,
    ``marked`` whether it is drawn in place of something that has no shape.
    """

    token: int
    shown: str
    copied: str
    breaks: bool = False
    marked: bool = False


def fragments(octets: Sequence[bytes]) -> list[Fragment]:
    """The tokens of a completion as they follow each other, each as one fragment or more.

    A character that is cut across tokens is drawn where it is complete; the tokens before are thin marks.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    found: list[Fragment] = []
    # Long texts are made of few words: each is drawn once.
    drawn: dict[str, list[Shape]] = {}
    for token, raw in enumerate(octets):
        text = decoder.decode(raw, final=token == len(octets) - 1)
        if not text:
            found.append(Fragment(token, PARTIAL if raw else EMPTY, "", marked=True))
            continue
        shapes = drawn.get(text)
        if shapes is None:
            shapes = drawn[text] = shapes_of(text)
        found += [Fragment(token, *shape) for shape in shapes]
    return found


def shapes_of(text: str) -> list[Shape]:
    """What a text is drawn as: a stretch for each of its lines."""
    return [_drawn(line) for line in _lines(text)]


def is_plain(octets: bytes) -> bool:
    """Whether a token is drawn just as it is."""
    return _PLAIN.fullmatch(octets) is not None


def label(octets: bytes) -> str:
    """A token by itself, as in a list of alternatives: spaces at its ends visible, bytes where it is no text."""
    if not octets:
        return EMPTY
    if _PLAIN.fullmatch(octets):  # nearly all of a vocabulary
        return SPACE + octets[1:].decode() if octets[0] == 0x20 else octets.decode()
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return f"⟨{octets.hex(' ').upper()}⟩"
    inner = range(len(text) - len(text.lstrip(" ")), len(text.rstrip(" ")))
    shown = "".join(
        " " if character == " " and place in inner else _visible(character, alone=True)
        for place, character in enumerate(text)
    )
    return f"◌{shown}" if unicodedata.combining(text[0]) and shown[0] == text[0] else shown


def _lines(text: str) -> list[str]:
    """The text cut after each line break."""
    found: list[str] = []
    start = 0
    for place, character in enumerate(text):
        if character == "\n":
            found.append(text[start : place + 1])
            start = place + 1
    return [*found, text[start:]] if start < len(text) else found


def _drawn(text: str) -> Shape:
    body = text.removesuffix("\n")
    breaks = body != text
    if not body.strip(" "):
        # Nothing but spaces would be nothing to point at.
        return SPACE * len(body) + NEWLINE * breaks, text, breaks, True
    if all(map(unicodedata.combining, body)):
        # On the letter before, an accent would be of that token and leave nothing of this one to point at.
        return f"◌{body}{NEWLINE * breaks}", text, breaks, True
    alone = all(_shapeless(character) for character in body)
    shown = "".join(_visible(character, alone=alone) if character != " " else " " for character in body)
    return shown + NEWLINE * breaks, text, breaks, shown != body


def _visible(character: str, *, alone: bool) -> str:
    if character == " ":
        return SPACE
    if character == "\n":
        return NEWLINE
    if character == "\t":
        return f"{TAB}   "
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    if character == "\x7f":
        return "␡"
    # Controls are never passed on: to a terminal the upper ones are commands, as the lower ones are.
    if (
        character in _TURNING
        or unicodedata.category(character) in ("Cc", "Zl", "Zp")
        or (_shapeless(character) and alone)
    ):
        return f"⟨U+{ord(character):04X}⟩"
    return character


def _shapeless(character: str) -> bool:
    category = unicodedata.category(character)
    return (
        category in ("Cc", "Cf", "Zl", "Zp", "Cn", "Co")
        or (category == "Zs" and character != " ")
        or ("\ufe00" <= character <= "\ufe0f")
    )
