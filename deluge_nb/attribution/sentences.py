"""Cut a text into sentences or words, in any language.

Sentences: a line break ends one, unless a long line goes on with a small letter, as wrapped prose does; a blank line
always does. Within a line, a full stop, question mark or exclamation mark ends one where white space follows and no
small letter, because abbreviations and quotations go on with one; in a text without capitals, small letters begin
sentences, too. The marks of Chinese and Japanese need no white space. A full stop after an initial, a known
abbreviation or the number of a list's entry ends none.

Words: as :func:`deluge_nb.stats.word_surprisal` has them, separated by white space, with the punctuation that touches
them; and each character of Chinese and Japanese, which are written without spaces.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from ..text.normalize import is_hangul, is_unspaced, is_word

Span = tuple[int, int]

_CLOSING = "\"'\u201d\u2019\u00bb\u203a)\\]}\u300d\u300f\uff09\u3011\u300b*_"
# Full stops of scripts with spaces (Latin, Arabic, Urdu, Devanagari, Armenian, Ethiopic, Burmese, Khmer), which white
# space must follow, and those of scripts without, after which the next sentence begins at once.
_SPACED = ".!?\u2026\u203c\u2047-\u2049\u061f\u06d4\u0964\u0965\u0589\u1362\u1367\u104b\u17d4"
_WIDE_STOP = "\uff0e"  # it is a decimal point, too
_UNSPACED = f"\u3002\uff01\uff1f\uff61{_WIDE_STOP}"
_END = re.compile(rf"[{_SPACED}{_UNSPACED}]+[{_CLOSING}]*")
_NEEDS_NO_SPACE = re.compile(rf"[{_UNSPACED.replace(_WIDE_STOP, '')}]|{_WIDE_STOP}(?!\d)")
_BREAK = r"\n\r\x0b\x0c\x85\u2028\u2029"
_LINE = re.compile(f"[^{_BREAK}]+")
# The first character of what follows, without white space and what opens before it.
_NEXT = re.compile(r"[^\s\"'\u201c\u2018\u201e\u00ab\u2039(\[{\u00bf\u00a1*_]")
# The word before a full stop, without what opens before it.
_LAST_WORD = re.compile(r"([^\s\"'\u201c\u2018\u201e\u00ab(\[{]+)\.+$")
_LIST_MARK = re.compile(r"\s*[(\[]?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})\.$")
_INITIAL = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
# Characters; wrapped lines are longer, and lines of a list or a form mostly shorter.
_WRAPPED = 40
# Characters, with the full stop and what stands before the word.
_LONGEST_ABBREVIATION = 20
# Abbreviations that stand before a name or a sentence's next word, and those that only a number follows.
_ABBREVIATIONS = re.compile(
    r"(?:mr mrs ms dr prof rev hon st sr jr gen col sgt capt lt gov messrs mme mlle vs cf viz approx ca "
    r"e\.g i\.e z\.b d\.h u\.a bzw bspw hr hrn frl sra sres dra)".replace(" ", "|")
)
_BEFORE_NUMBERS = re.compile(
    r"(?:no nos nr num fig figs eq eqs sec ch vol p pp art al abb tab bd "
    r"jan feb mar apr jun jul aug sep sept oct nov dec)".replace(" ", "|")
)


def sentence_spans(text: str) -> list[Span]:
    """Return the beginning and the end of each sentence of a text, without the white space around it.

    Parameters
    ----------
    text
        The text.

    Examples
    --------
    >>> from deluge_nb.attribution.sentences import sentence_spans
    >>> text = "Dr. Who slept. It rained!\\n- one\\n- two\\n你好。再见。"
    >>> [text[begin:end] for begin, end in sentence_spans(text)]
    ['Dr. Who slept.', 'It rained!', '- one', '- two', '你好。', '再见。']
    """
    has_capitals = any(character.isupper() for character in text)
    return [span for begin, end in _paragraphs(text, has_capitals) for span in _within(text, begin, end, has_capitals)]


def word_spans(text: str) -> list[Span]:
    """Return the beginning and the end of each word of a text, with the punctuation that touches it.

    Parameters
    ----------
    text
        The text.

    Examples
    --------
    >>> from deluge_nb.attribution.sentences import word_spans
    >>> text = "Hello, world! 我爱你。"
    >>> [text[begin:end] for begin, end in word_spans(text)]
    ['Hello,', 'world!', '我', '爱', '你。']
    """
    spans: list[Span] = []
    for run in re.finditer(r"\S+", text):
        starts = [run.start(), *_breaks(text, *run.span()), run.end()]
        spans += pairwise(starts)
    return spans


def _paragraphs(text: str, has_capitals: bool) -> Iterator[Span]:
    """Yield lines, and lines of wrapped prose as one."""
    begin: int | None = None
    before: re.Match[str] | None = None
    for line in _LINE.finditer(text):
        if not line[0].strip():
            continue
        if begin is not None and before is not None and not (has_capitals and _is_wrapped(text, before, line)):
            yield begin, before.end()
            begin = None
        begin = line.start() if begin is None else begin
        before = line
    if begin is not None and before is not None:
        yield begin, before.end()


def _is_wrapped(text: str, before: re.Match[str], line: re.Match[str]) -> bool:
    """Return whether a line goes on with the sentence of the line before it."""
    between = text[before.end() : line.start()].replace("\r\n", "\n")
    return len(between) == 1 and len(before[0]) >= _WRAPPED and line[0].lstrip()[:1].islower()


def _within(text: str, begin: int, end: int, has_capitals: bool) -> Iterator[Span]:
    """Yield the sentences of one paragraph."""
    start = begin
    for match in _END.finditer(text, begin, end):
        stop = match.end()
        mark = _NEEDS_NO_SPACE.search(text, match.start(), min(stop + 1, end))
        if mark is None or mark.end() > stop:
            is_apart = stop == end or text[stop].isspace()
            if not is_apart or not _ends(text, start, stop, end, has_capitals):
                continue
        yield from _trimmed(text, start, stop)
        start = stop
    yield from _trimmed(text, start, end)


def _ends(text: str, start: int, stop: int, end: int, has_capitals: bool) -> bool:
    """Return whether a sentence of a script with spaces, ``start:stop``, ends before the rest of a paragraph."""
    following = _NEXT.search(text, stop, end)
    if following is None:
        return True
    if (has_capitals and following[0].islower()) or _LIST_MARK.fullmatch(text, start, stop):
        return False
    last = _LAST_WORD.search(text[max(start, stop - _LONGEST_ABBREVIATION) : stop])
    if last is None or last[0].endswith(".."):
        return True
    word = last[1].lower()
    if _INITIAL.fullmatch(last[1]) and last[1][0].isupper() and last[1] != "I":
        return False
    if _ABBREVIATIONS.fullmatch(word):
        return False
    return not (following[0].isdigit() and _BEFORE_NUMBERS.fullmatch(word))


def _trimmed(text: str, begin: int, end: int) -> Iterator[Span]:
    part = text[begin:end]
    if part.strip():
        yield begin + len(part) - len(part.lstrip()), begin + len(part.rstrip())


def _breaks(text: str, begin: int, end: int) -> Iterator[int]:
    """Yield the places within a run without white space at which another word begins."""
    has_character = _is_character(text[begin])
    for place in range(begin + 1, end):
        character = text[place]
        category = unicodedata.category(character)
        # Marks of length and repetition (ー, 々) belong to the character before them.
        if category[0] == "M" or category == "Lm":
            continue
        is_character = _is_character(character)
        is_opened = unicodedata.category(text[place - 1]) in ("Ps", "Pi")
        is_next = is_word(character) or category in ("Ps", "Pi")
        if not is_opened and (is_character or (is_next and has_character)):
            yield place
            has_character = False
        has_character = has_character or is_character


def _is_character(character: str) -> bool:
    """Return whether a character is a letter of Chinese or Japanese, of which each counts as a word."""
    is_wide = unicodedata.east_asian_width(character) in ("W", "F")
    return is_wide and is_unspaced(character) and not is_hangul(character)
