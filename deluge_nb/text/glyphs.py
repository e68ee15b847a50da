"""Write tokens for people: white space, control characters and other invisible characters become visible.

Every renderer uses this module, so the widget, the static page and the terminal always agree.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..printable import printable

SPACE, NEWLINE, TAB = "·", "↵", "⇥"
PARTIAL = "▏"
EMPTY = "∅"
# Direction characters would reverse the order of the whole line; joiners within a text are part of its spelling.
_DIRECTIONS = frozenset(map(chr, (*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x61C)))


# Combining marks that are drawn on one letter. Browsers shape a pile of n marks in a time of n².
HIGHEST_PILE = 30
# Characters of a token that are drawn. A browser takes a minute for five million, and elements for so many line breaks
# would be hundreds of megabytes.
LONGEST = 10_000
# At most one space, in front, and no other character that needs a mark.
_PLAIN = re.compile(rb" ?[!-~]{1,%d}" % (LONGEST - 1))
_JOINERS = "\u200c\u200d"
_TONES = "\U0001f3fb-\U0001f3ff"
# Variation selectors and other marks that have no shape of their own.
_SELECTORS = "\u034f\u17b4\u17b5\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_SELECTOR = re.compile(f"[{_SELECTORS}]")
# What a browser would draw on the end of the token before: this token would have no width, and could not be clicked.
# Also skin tones after anything but a pictograph, for which fonts have no shape.
_ATTACHED = re.compile(
    f"^[\u200d\U000e0020-\U000e007f{_TONES}{_SELECTORS}]+"
    f"|(?<![\u2600-\u27bf\ufe0f\U0001f300-\U0001f3fa\U0001f400-\U0001faff])[{_TONES}]"
)
# Letters of flags: two are one flag, also of two tokens.
_FLAG_LETTERS = re.compile("[\U0001f1e6-\U0001f1ff]+")
# Characters of a short label, and bytes that are enough for so many.
_SHORT, _SHORT_BYTES = 40, 192

# The fields of a fragment without its token: shown, copied, breaks, marked.
Shape = tuple[str, str, bool, bool]


class Fragment(NamedTuple):
    """Part of one token within one line.

    ``shown`` is the drawn text and ``copied`` the text it stands for. ``breaks`` is true where a line ends after it,
    ``marked`` where marks are drawn in place of invisible characters.
    """

    token: int
    shown: str
    copied: str
    breaks: bool = False
    marked: bool = False


def fragments(octets: Sequence[bytes]) -> list[Fragment]:
    """Return the fragments of a completion's tokens, at least one per token.

    A character that is split across tokens is drawn with the token that completes it; the tokens before are thin marks.

    Parameters
    ----------
    octets
        The bytes of each token.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    result: list[Fragment] = []
    # Long texts repeat few tokens, so the shapes of each are computed once.
    cache: dict[str, list[Shape]] = {}
    for token, raw in enumerate(octets):
        text = decoder.decode(raw, final=token == len(octets) - 1)
        if not text:
            result.append(Fragment(token, PARTIAL if raw else EMPTY, "", marked=True))
            continue
        shapes = cache.get(text)
        if shapes is None:
            shapes = cache[text] = token_shapes(text)
        result += [Fragment(token, *shape) for shape in shapes]
    return result


def shapes_of(text: str) -> list[Shape]:
    """Return the shapes that a text is drawn as, one for each of its lines."""
    return [_shape_of(line) for line in _lines(text)]


def token_shapes(text: str) -> list[Shape]:
    """Return the shapes of a token: of a very long one those of its beginning, and a sign that counts the rest.

    Examples
    --------
    >>> from deluge_nb.text.glyphs import token_shapes
    >>> token_shapes(" Paris"), token_shapes("a" * 5_000_000)[1][0]
    ([(' Paris', ' Paris', False, False)], '⟨+4990000⟩')
    """
    shapes = shapes_of(text[:LONGEST])
    rest = _more_of(text)
    return [*shapes, (rest, "", False, True)] if rest else shapes


def without_marks(fragment: Fragment) -> Fragment:
    """Return a fragment as a terminal draws it: without marks, so that the text selected there is the true text.

    Control and direction characters, and marks that are too many for one letter, stay signs.

    Examples
    --------
    >>> from deluge_nb.text.glyphs import fragments, without_marks
    >>> [without_marks(part).shown for part in fragments([b"  ", b"\x1b", b"\n"])]
    ['  ', '␛', '']
    """
    if fragment.shown == fragment.copied:
        return fragment
    if fragment.copied:
        return fragment._replace(shown=_verbatim(fragment.copied.removesuffix("\n")))
    return fragment._replace(shown="") if fragment.shown in (PARTIAL, EMPTY) else fragment


def is_plain(octets: bytes) -> bool:
    """Return whether a token is drawn without marks."""
    return _PLAIN.fullmatch(octets) is not None


def label(octets: bytes) -> str:
    """Return the text of a single token, as in a list of alternatives: visible outer spaces, invalid UTF-8 as bytes."""
    if not octets:
        return EMPTY
    if _PLAIN.fullmatch(octets):  # nearly all of a vocabulary
        return SPACE + octets[1:].decode() if octets[0] == 0x20 else octets.decode()
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return f"⟨{octets[:LONGEST].hex(' ').upper()}⟩{_more_of(octets)}"
    rest, text = _more_of(text), text[:LONGEST]
    body = text.strip(" ")
    leading = len(text) - len(text.lstrip(" "))
    trailing = len(text) - leading - len(body)
    shown = SPACE * leading + _draw(body, alone=True) + SPACE * trailing
    shown += rest
    return f"◌{shown}" if _is_mark(text[0]) and shown[0] == text[0] else shown


def short_label(octets: bytes) -> str:
    """Return the label of a token cut at 40 characters, as in a tooltip.

    Examples
    --------
    >>> from deluge_nb.text.glyphs import short_label
    >>> short_label(b" Paris"), short_label(b"\\n" * 1000) == "↵" * 39 + "…"
    ('·Paris', True)
    """
    if len(octets) > _SHORT_BYTES:
        octets = _whole_characters(octets[:_SHORT_BYTES])
        return f"{label(octets)[: _SHORT - 1]}…"
    text = label(octets)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def passage(text: str, longest: int) -> str:
    """Return a text to read in a cell of a table: cut, without control characters, and no letter with too many marks.

    Line breaks and tabs stay.

    Parameters
    ----------
    text
        The text of a model or a user.
    longest
        Largest number of characters to take of it.

    Examples
    --------
    >>> from deluge_nb.text.glyphs import passage
    >>> passage("Paris is lovely", 6)
    'Paris…'
    """
    excerpt = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return _verbatim(excerpt)


def _verbatim(text: str) -> str:
    return printable("".join(kept + (_more(hidden) if hidden else "") for kept, hidden in _split_piles(text)))


def _more_of(whole: str | bytes) -> str:
    return _more(len(whole) - LONGEST) if len(whole) > LONGEST else ""


def _more(count: int) -> str:
    """Return the sign for characters that are not drawn."""
    return f"⟨+{count}⟩"


def _whole_characters(octets: bytes) -> bytes:
    """Return bytes without a character that is cut off at their end; unchanged if they are no UTF-8 in any case."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(octets).encode()
    except UnicodeDecodeError:
        return octets


def _lines(text: str) -> list[str]:
    """Return the text split after each line break."""
    lines: list[str] = []
    start = 0
    for index, character in enumerate(text):
        if character == "\n":
            lines.append(text[start : index + 1])
            start = index + 1
    return [*lines, text[start:]] if start < len(text) else lines


def _shape_of(text: str) -> Shape:
    body = text.removesuffix("\n")
    breaks = body != text
    if not body.strip(" "):
        # Readers could not see or click a token of nothing but spaces.
        return SPACE * len(body) + NEWLINE * breaks, text, breaks, True
    if all(map(_is_mark, body)):
        # An accent alone would be drawn on the letter of the token before, and this token could not be clicked.
        return f"◌{_draw(body, alone=False)}{NEWLINE * breaks}", text, breaks, True
    shown = _draw(body, alone=all(map(_is_invisible, body)))
    return shown + NEWLINE * breaks, text, breaks, shown != body


def _draw(text: str, *, alone: bool) -> str:
    """Return a text whose spaces need no marks; ``alone`` if invisible characters must be drawn by their names."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "".join(character if character == " " else _visible(character, alone=alone) for character in _alone(kept))
        + (_more(hidden) if hidden else "")
        for kept, hidden in _split_piles(text)
    )


def _alone(text: str) -> str:
    """Return a text in which names stand for characters that would join those of another token."""
    return _ATTACHED.sub(lambda match: "".join(map(_name, match[0])), _FLAG_LETTERS.sub(_whole_flags, text))


def _whole_flags(match: re.Match[str]) -> str:
    """Return letters of flags; one that is left over by its name, in front if it may end the flag of another token."""
    letters = match[0]
    if len(letters) % 2 == 0:
        return letters
    return letters[:-1] + _name(letters[-1]) if match.start() else _name(letters[0]) + letters[1:]


def _split_piles(text: str) -> Iterator[tuple[str, int]]:
    """Yield the parts of a text that are drawn, each with the number of combining marks after it that are too many."""
    start = height = 0
    if len(text) > HIGHEST_PILE and not text.isascii():
        for index, character in enumerate(text):
            if _is_stacked(character):
                height += 1
                continue
            if height > HIGHEST_PILE:
                yield text[start : index - height + HIGHEST_PILE], height - HIGHEST_PILE
                start = index
            height = 0
    hidden = max(height - HIGHEST_PILE, 0)
    yield text[start : len(text) - hidden], hidden


def _is_stacked(character: str) -> bool:
    """Return whether a character is drawn on or with the letter before it."""
    return character in _JOINERS or unicodedata.category(character)[0] == "M"


def _visible(character: str, *, alone: bool) -> str:
    if character == "\n":
        return NEWLINE
    if character == "\t":
        return f"{TAB}   "
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    if character == "\x7f":
        return "␡"
    # Control characters are never passed on: terminals read the upper ones (C1) as commands, too.
    if (
        character in _DIRECTIONS
        or unicodedata.category(character) in ("Cc", "Zl", "Zp")
        or (_is_invisible(character) and alone)
    ):
        return _name(character)
    return character


def _name(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def _is_mark(character: str) -> bool:
    """Return whether a character is drawn on a letter, and is seen there."""
    return unicodedata.category(character)[0] == "M" and not _is_invisible(character)


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return (
        category in ("Cc", "Cf", "Zl", "Zp", "Cn", "Co")
        or (category == "Zs" and character != " ")
        or _SELECTOR.match(character) is not None
    )
