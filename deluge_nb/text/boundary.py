"""Decide whether a space stands between a text and an answer that follows it.

A space parts two words. There is none after white space, an opening bracket or quote, or a dash; none at the border of
a script that is written without spaces; and none before an answer that begins with neither a word nor a number.
"""

from __future__ import annotations

import re
import unicodedata

from .normalize import is_hangul, is_unspaced, is_word

# A sign, a currency and a decimal point belong to the number after them.
_BEFORE_NUMBER = re.compile(r"[-+\u2212\u2013]?[$\u00a3\u00a5\u20a0-\u20c0]?[.,]?(?=\d)")
# One sign opens and closes: the second one of a pair closes.
_QUOTES, _MARKDOWN = "\"'", "`*_~"
# Punctuation that joins what it stands between, or opens something.
_JOINS = frozenset("\"'#&*/@\\\u00a1\u00a7\u00b6\u00b7\u00bf\u2020\u2021\u2022\u2023\u2024\u2027\u2043\u2e2e")
# Closing quotes and the opening ones that they may belong to: German closes with the quote that opens in English.
_OPENING = {
    "\u201d": "\u201c\u201e\u201f",
    "\u2019": "\u2018\u201a\u201b",
    "\u201c": "\u201e",
    "\u2018": "\u201a",
    "\u00bb": "\u00ab",
    "\u203a": "\u2039",
    "\u00ab": "\u00bb",
    "\u2039": "\u203a",
}


def space_between(before: str, answer: str) -> str:
    """Return the space that stands between a text and an answer after it: one space, or nothing.

    Parameters
    ----------
    before
        Text that the answer follows: a raw prompt, or the beginning of the model's turn.
    answer
        The answer; one that begins with white space needs no other.

    Returns
    -------
    str
        ``" "`` or ``""``.

    Examples
    --------
    >>> from deluge_nb.text.boundary import space_between
    >>> [space_between(before, "Paris") for before in ("The capital is", "The capital is:", "The capital is (", "")]
    [' ', ' ', '', '']
    >>> space_between("日本の首都は", "東京"), space_between("It is ", "5"), space_between("It is", "-5")
    ('', '', ' ')
    """
    return " " if _begins_word(answer) and _ends_word(before) else ""


def _begins_word(answer: str) -> bool:
    """Return whether a text begins with a word or a number of a script with spaces, also in quotes or brackets."""
    rest = answer
    while (
        rest
        and not _is_unspaced(rest[0])
        and (rest[0] in _QUOTES + _MARKDOWN or unicodedata.category(rest[0]) in ("Ps", "Pi"))
    ):
        rest = rest[1:]
    number = _BEFORE_NUMBER.match(rest)
    return _is_spaced_word(rest[number.end() :][:1] if number else rest[:1])


def _ends_word(before: str) -> bool:
    """Return whether a text ends in a word, a number, or a closing or sentence mark of a script with spaces."""
    last = before[-1:]
    if not last:
        return False
    category = unicodedata.category(last)
    if category.startswith("M"):
        return _ends_word(before[:-1])
    if _is_unspaced(last):
        return False
    if is_word(last):
        return True
    if last in _QUOTES + _MARKDOWN:
        return _closes_pair(before, last)
    if last in _OPENING:
        return _closes_quote(before, last, category)
    if category == "Sc":  # 5 € is complete, and $ waits for its number
        return before[-2:-1].isdigit() or bool(re.search(r"\d\s.$", before))
    return last == "\u00b0" or category == "Pe" or (category == "Po" and last not in _JOINS)


def _is_spaced_word(character: str) -> bool:
    return is_word(character) and not _is_unspaced(character)


def _is_unspaced(character: str) -> bool:
    """Return whether a character is of a script without spaces between words, or one of its wide marks."""
    if is_hangul(character):  # endings are written on, but words are parted
        return False
    return is_unspaced(character) or unicodedata.east_asian_width(character) in ("W", "F")


def _closes_pair(before: str, sign: str) -> bool:
    """Return whether the sign at the end is the second of a pair, apart from those inside words (can't)."""
    run = re.escape(sign) + ("+" if sign in _MARKDOWN else "")
    return len(re.findall(rf"(?<!\w){run}|{run}(?!\w)", before)) % 2 == 0


def _closes_quote(before: str, sign: str, category: str) -> bool:
    """Return whether the curly or angled quote at the end closes one that was opened before it."""
    text = before[:-1]
    opened = max(map(text.rfind, _OPENING[sign])) > text.rfind(sign)
    if category == "Pi":  # a closing quote only in the languages that open with its counterpart
        return opened and not text[-1:].isspace()
    return opened or not (text[-1:].isspace() or not text)
