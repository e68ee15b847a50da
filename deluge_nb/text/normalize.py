"""Normalise token text, so that an answer can be compared with it in any script and spelling.

Nothing here knows which answers are looked for: :mod:`deluge_nb.text.matching` does.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

# Some tokenizers write their own sign for a space (U+2581, U+0120) or a line break (U+010A).
LEAKED_SPACES = str.maketrans({"\u2581": " ", "\u0120": " ", "\u010a": "\n"})
# Circled Latin letters are symbols to Unicode, and letters to people: Ⓐ is A.
_CIRCLED = frozenset(map(chr, range(0x24B6, 0x24EA)))
_RAISED = frozenset("\u00b2\u00b3\u00b9") | set(map(chr, range(0x2070, 0x209D)))
# One sign for each kind of apostrophe, hyphen, minus, fraction slash and decimal separator; variation selectors, which
# choose between two drawings of the same character, are dropped.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u02bc", "'"),
        **dict.fromkeys("\u2010\u2212", "-"),
        "\u2044": "/",
        "\u066b": ".",
        "\u066c": ",",
        **dict.fromkeys(map(chr, range(0xFE00, 0xFE10))),
    }
)
_SPACES = re.compile(r"\s+")
_OTHER_DIGITS = re.compile(r"[^\D0-9]")
# A sign and a decimal point belong to the number that follows them directly; the plus changes nothing.
_NUMBER_START = re.compile(r"([-\u2013]?)[\u00a2-\u00a5\u20a0-\u20c0$]?((?<![.,])[.,])?$")
# Longer texts are no tokens, and would fill the memory of the cache.
_LONGEST_TOKEN = 64


class NormalizedText(NamedTuple):
    """A text as answers are compared with it.

    ``whole`` is the text without differences of case and spelling; ``answer`` is what follows the white space, quotes,
    brackets, dashes, bullets and other marks in front of its first letter or digit. The sign and the decimal point of
    a number belong to ``answer``. ``marks`` is the number of characters of ``whole`` in front of that letter or digit.
    """

    whole: str
    answer: str
    marks: int


def normalize(text: str) -> NormalizedText:
    """Normalise a text: compatibility forms, case, white space, and the spellings of signs and digits.

    Examples
    --------
    >>> normalize(" **Yes").answer
    'yes'
    >>> normalize("− 1").answer, normalize("−1").answer
    ('1', '-1')
    """
    return _cached(text) if len(text) <= _LONGEST_TOKEN else _normalize(text)


def is_word(character: str) -> bool:
    """Return whether a character is a letter, a mark or a digit of any script; an empty text is none."""
    return bool(character) and (unicodedata.category(character)[0] in "LNM" or character == "\ufffd")


def _normalize(text: str) -> NormalizedText:
    whole = _fold(text.translate(LEAKED_SPACES))
    marks = next((at for at, character in enumerate(whole) if is_word(character)), len(whole))
    answer = whole[marks:]
    if answer[:1].isdigit() and (start := _NUMBER_START.search(whole[:marks])):
        sign, point = start[1], start[2]
        answer = ("-" if sign else "") + (point or "") + answer
    return NormalizedText(whole, answer, marks)


_cached = lru_cache(maxsize=1 << 16)(_normalize)


@lru_cache(maxsize=1 << 12)
def _is_kept(character: str) -> bool:
    """Whether a character keeps its form: 5² must not become 52, nor № the word "no"."""
    if character in _RAISED:
        return True
    if is_word(character) or character in _CIRCLED:
        return False
    return any(map(is_word, unicodedata.normalize("NFKC", character)))


def _fold(text: str) -> str:
    if not text.isascii():
        parts = (
            run if is_kept else unicodedata.normalize("NFKC", run)
            for is_kept, run in ((kept, "".join(characters)) for kept, characters in groupby(text, _is_kept))
        )
        text = "".join(parts).translate(_SAME)
        text = _OTHER_DIGITS.sub(lambda match: str(unicodedata.decimal(match[0])), text)
    return _SPACES.sub(" ", text.casefold())
