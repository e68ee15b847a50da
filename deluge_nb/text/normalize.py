"""Normalise token text, so that answers can be compared with it in any script and spelling.

This module does not know the answers; :mod:`deluge_nb.text.matching` compares them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

# Some tokenizers replace a space (U+2581, U+0120) or a line break (U+010A) by a sign of their vocabulary.
LEAKED_SPACES = str.maketrans({"\u2581": " ", "\u0120": " ", "\u010a": "\n"})
# Circled Latin letters are symbols to Unicode, and letters to people: Ⓐ is A.
_CIRCLED = frozenset(map(chr, range(0x24B6, 0x24EA)))
_RAISED = frozenset("\u00b2\u00b3\u00b9") | set(map(chr, range(0x2070, 0x209D)))
# Circled numbers in black or with two circles, which NFKC keeps: ❶ is 1, as ① is.
_CIRCLED_NUMBERS = {
    character: str(int(unicodedata.numeric(character)))
    for character in map(chr, (*range(0x24EB, 0x2500), *range(0x2776, 0x2794)))
}
# One sign for each kind of apostrophe, hyphen, minus, fraction slash and decimal separator, and for the two Turkish
# kinds of i, whose capitals are those of each other elsewhere. What only changes how a character is drawn is dropped:
# variation selectors, the key around 1️⃣, and the mark that joins graphemes.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u02bc\u055a\u05f3", "'"),
        **dict.fromkeys("\u2010\u2212\u058a\u05be", "-"),
        **dict.fromkeys("\u2044\u2215", "/"),
        "\u066b": ".",
        "\u066c": ",",
        **dict.fromkeys("\u0130\u0131", "i"),
        **dict.fromkeys(["\u034f", "\u20e3", *map(chr, range(0xFE00, 0xFE10))]),
        **_CIRCLED_NUMBERS,
    }
)
_SPACES = re.compile(r"\s+")
# Spaces that do not break, or are narrow, part the thousands of a number: 4\u202f000.
_THOUSANDS = re.compile(r"(?<=\d)[\u00a0\u2007\u2009\u202f](?=\d)")
_OTHER_DIGITS = re.compile(r"[^\D0-9]")
# A minus and a decimal point belong to the number directly after them; a plus changes nothing.
_NUMBER_START = re.compile(r"([-\u2013]?)[\u00a2-\u00a5\u20a0-\u20c0$]?((?<![.,])[.,])?$")
# Hangul words are parted by spaces, but endings are written on.
_HANGUL = (
    range(0x1100, 0x1200),
    range(0x3130, 0x3190),
    range(0xA960, 0xA980),
    range(0xAC00, 0xD800),
    range(0xFFA0, 0xFFDD),
)
_HANGUL_NUMERALS = frozenset("십백천만억조")
_UNSPACED = (
    *_HANGUL,
    range(0x0E00, 0x0F00),  # Thai, Lao
    range(0x1000, 0x10A0),  # Burmese
    range(0x1780, 0x1800),  # Khmer
    range(0x1950, 0x19E0),  # Tai Le, New Tai Lue
    range(0x1A20, 0x1AB0),  # Tai Tham
    range(0x1B00, 0x1B80),  # Balinese
    range(0x3005, 0x3008),  # Han
    range(0x3041, 0x3100),  # Hiragana, Katakana
    range(0x3100, 0x3130),  # Bopomofo
    range(0x31A0, 0x31C0),  # Bopomofo
    range(0x31F0, 0x3200),  # Katakana
    range(0x3400, 0xA000),  # Han
    range(0xA980, 0xAA00),  # Javanese, Burmese
    range(0xAA60, 0xAAE0),  # Burmese, Tai Viet
    range(0xF900, 0xFB00),  # Han
    range(0xFF66, 0xFFA0),  # Katakana
    range(0x1AFF0, 0x1B170),  # Hiragana, Katakana
    range(0x20000, 0x40000),  # Han
)
# Characters. Longer texts are rarely tokens, and would fill the memory of the cache.
MAX_CACHED = 64


class NormalizedText(NamedTuple):
    """Normalised text.

    ``whole`` is the text without differences of case and spelling. ``answer`` begins at its first letter or digit,
    without the white space, quotes, brackets, dashes, bullets and other marks before it; the sign and the decimal point
    of a number belong to ``answer``. ``marks`` is the number of characters of ``whole`` before that letter or digit.
    """

    whole: str
    answer: str
    marks: int


def normalize(text: str) -> NormalizedText:
    """Normalise a text: compatibility forms, case, white space, and the spellings of signs and digits.

    Examples
    --------
    >>> from deluge_nb.text.normalize import normalize
    >>> normalize(" **Yes").answer
    'yes'
    >>> normalize("− 1").answer, normalize("−1").answer
    ('1', '-1')
    """
    return _cached(text) if len(text) <= MAX_CACHED else _normalize(text)


def is_word(character: str) -> bool:
    """Return whether a character is a letter, a combining mark or a digit of any script; False for an empty text."""
    return bool(character) and unicodedata.category(character)[0] in "LNM"


def is_number(character: str) -> bool:
    """Return whether a character is a digit or a numeral of any script, such as 十 (ten) or 만 (ten thousand)."""
    return character in _HANGUL_NUMERALS or unicodedata.numeric(character, None) is not None


def is_hangul(character: str) -> bool:
    """Return whether a character is a letter of Hangul, or a part of one."""
    return bool(character) and any(ord(character) in block for block in _HANGUL)


@lru_cache(maxsize=1 << 12)
def is_unspaced(character: str) -> bool:
    """Return whether a character is a letter of a script without spaces between words, or with endings written on.

    These are Han, Hiragana, Katakana, Thai, Lao, Khmer, Burmese and their neighbours, and Hangul.
    """
    if not character or not unicodedata.category(character).startswith("L"):
        return False
    return any(ord(character) in block for block in _UNSPACED)


def _normalize(text: str) -> NormalizedText:
    whole = _fold(text.translate(LEAKED_SPACES))
    marks = next((index for index, character in enumerate(whole) if is_word(character)), len(whole))
    answer = whole[marks:]
    if answer[:1].isdigit() and (start := _NUMBER_START.search(whole[:marks])):
        sign, point = start[1], start[2]
        answer = ("-" if sign else "") + (point or "") + answer
    return NormalizedText(whole, answer, marks)


_cached = lru_cache(maxsize=1 << 16)(_normalize)


@lru_cache(maxsize=1 << 12)
def _is_exempt(character: str) -> bool:
    """Return whether a character is exempt from NFKC: 5² must not become 52, nor № the word "no"."""
    if character in _RAISED:
        return True
    if is_word(character) or character in _CIRCLED:
        return False
    return any(map(is_word, unicodedata.normalize("NFKC", character)))


def _fold(text: str) -> str:
    """Return a text without differences of case, compatibility forms, digits of scripts and white space."""
    if not text.isascii():
        text = _THOUSANDS.sub(",", text)
        parts = (
            "".join(characters) if is_exempt else unicodedata.normalize("NFKC", "".join(characters))
            for is_exempt, characters in groupby(text, _is_exempt)
        )
        text = "".join(parts).translate(_SAME)
        text = _OTHER_DIGITS.sub(lambda match: str(unicodedata.decimal(match[0])), text)
    return _SPACES.sub(" ", text.casefold())
