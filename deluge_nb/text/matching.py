"""Match texts to a set of answers: the one rule that every function of answers uses.

A text *settles* an answer if it equals the answer, or continues it with something other than a letter or digit ("Yes.",
"A)"). It leaves *open* every answer that it may still become ("Pos" of "Positive", half an emoji). White space and
marks before an answer are ignored. All other text is none of the answers.

Where words are not separated by spaces, or take endings ("是的" for 是), text that goes on from an answer with letters
is *attributed* to it: it counts for the answer, but does not settle it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import SettingError, invalid_argument
from .end_tokens import is_end_token
from .normalize import MAX_CACHED, NormalizedText, is_number, is_unspaced, is_word, normalize
from .partial import can_be_mark, can_become, exact_text, join, split_unfinished

Matcher = Callable[[str, str], bool]

# A number continues over one of these and a digit: 4.5, 1,000, 1'000, 1/2.
_NUMBER_JOINTS = ".,'/"
# A word continues over one of these and a letter: can't, no-one.
_WORD_JOINTS = "'-"
_SIGNS = "+-"


class Reading(NamedTuple):
    """Result of matching a text to a set of answers, which are given by their indices.

    ``label`` is the settled answer, or None. ``open`` holds the answers that the text is or may still become; None
    stands for all of them (white space and marks). It is empty where the text is none of the answers. ``ended`` is true
    where no text that follows changes the reading: "Yes." has ended, "Yes" may continue to "Yesterday". ``equal`` is
    the answer that an open text spells: "1" is open to 1 and 10, and equal to 1.
    """

    label: int | None
    open: frozenset[int] | None
    ended: bool = False
    equal: int | None = None

    @property
    def is_undecided(self) -> bool:
        """True where the text may become an answer and is none yet."""
        return self.label is None and not self.ended and (self.open is None or bool(self.open))

    @property
    def attributed(self) -> int | None:
        """Answer that a text which settles none counts for: the only one that it is open to; None without one."""
        return self.only if self.label is None else None

    @property
    def only(self) -> int | None:
        """Answer that the text is, or the only one that it may become; None where there is no such answer."""
        if self.label is not None:
            return self.label
        return next(iter(self.open)) if self.open is not None and len(self.open) == 1 else None


class _Form(NamedTuple):
    """Normalised spelling of an answer; ``marked`` where it begins with a mark ("+", "<b>", an emoji)."""

    text: str
    marked: bool


class _Match(NamedTuple):
    """Match of a text with a form: start and length in the text, and how much of the form it is.

    ``is_whole`` where the text holds the whole form, ``is_extended`` where letters of a script without spaces follow
    it, ``ended`` where the text after it ends it.
    """

    start: int
    length: int
    is_whole: bool
    ended: bool = False
    is_extended: bool = False


# Texts; more than the distinct tokens of most runs.
_MOST_READINGS = 1 << 16
_TRANSPARENT = Reading(None, None)
_OTHER = Reading(None, frozenset())
_ENDED = Reading(None, frozenset(), ended=True)


def is_match(token: str, label: str) -> bool:
    """Return whether a token is, or begins, the answer ``label``.

    A token matches if it equals the answer, if it continues the answer with something other than a letter or digit
    (``"Yes."``, ``"A)"``), or if it is the beginning of the answer (``"Pos"`` of ``"Positive"``).

    Case, white space and marks before the answer (quotes, brackets, bullets, Markdown, zero-width marks) are ignored in
    every script, unless the answer itself begins with them. A word continues over an apostrophe or a hyphen and a
    letter, a number over a separator and a digit: ``"can't"`` is not ``"can"``, ``"4.5"`` is not ``"4"``. A minus
    directly before a digit belongs to the number. Letters of a script without spaces between words, or with endings
    written on, make no other word: ``"是的"`` is ``"是"``.

    Parameters
    ----------
    token
        Text of a chosen token or an alternative.
    label
        The answer to look for.

    Returns
    -------
    bool
        True for a match; False also where the token or the answer is empty or only white space.

    Examples
    --------
    >>> from deluge_nb import is_match
    >>> is_match(" **Yes", "yes"), is_match("A)", "a"), is_match("Pos", "Positive")
    (True, True, True)
    >>> is_match("yesterday", "yes"), is_match("1,000", "1"), is_match("-1", "1")
    (False, False, False)
    """
    return _cached_match(token, label) if len(token) <= MAX_CACHED else _matches(token, label)


def _matches(token: str, label: str) -> bool:
    if is_end_token(token):
        return False
    whole, unfinished = split_unfinished(exact_text(token))
    text = normalize(whole)
    if unfinished == b"":
        return any(_compare(text, form) is not None for form in _forms(label))
    return any(_can_finish(text, unfinished, form) for form in _forms(label))


_cached_match = lru_cache(maxsize=1 << 16)(_matches)


class Labels:
    """Set of answers with their spellings. Readings are cached, because tokens repeat.

    Parameters
    ----------
    labels
        The answers, or a dict from each answer to its spellings.
    single_tokens
        Whether every answer is one token of the vocabulary, so that a token that equals one is that answer and nothing
        more.

    Raises
    ------
    SettingError
        When there are no answers, an answer has no spelling, or two answers share one.

    Examples
    --------
    >>> from deluge_nb.text.matching import Labels
    >>> answers = Labels(["yes", "no"])
    >>> answers.read("Yes,").label, answers.read("n").open, answers.read("not")
    (0, frozenset({1}), Reading(label=None, open=frozenset(), ended=False))
    """

    def __init__(self, labels: Mapping[str, Sequence[str]] | Sequence[str], *, single_tokens: bool = False) -> None:
        self.spellings = _spellings(labels)
        self.names = list(self.spellings)
        owners: dict[_Form, int] = {}
        optional: dict[_Form, int] = {}
        for index, (name, spellings) in enumerate(self.spellings.items()):
            for spelling in spellings:
                form, *others = _forms(spelling) or (None,)
                if form is None:
                    raise SettingError(
                        f"The label {name!r} has the spelling {spelling!r}, which is only white space; give it text.",
                        setting="labels",
                        value=spelling,
                    )
                other = owners.setdefault(form, index)
                if other != index:
                    raise SettingError(
                        f"The labels {self.names[other]!r} and {name!r} are the same answer: both read {form.text!r} "
                        "without case and opening marks; use labels that differ.",
                        setting="labels",
                        value=spelling,
                    )
                for unmarked in others:
                    optional.setdefault(unmarked, index)
        self._forms = list({**optional, **owners}.items())
        self._single_tokens = single_tokens
        self._readings: dict[str, Reading] = {}

    def __len__(self) -> int:
        return len(self.names)

    def read(self, text: str, *, is_complete: bool = False) -> Reading:
        """Return the reading of a text that begins a response.

        Parameters
        ----------
        text
            The text; bytes of an unfinished character are lone surrogates, as :func:`~.partial.exact_text` returns it.
        is_complete
            Whether the response ends there, so that the text can no longer become a longer answer.
        """
        reading = self._readings.get(text)
        if reading is None:
            reading = self._read_token(text)
            if len(text) <= MAX_CACHED and len(self._readings) < _MOST_READINGS:
                self._readings[text] = reading
        if is_complete and not reading.ended:
            return self._complete(reading)
        return reading

    def read_after(self, text: str, token: str) -> Reading:
        """Return the reading of a text and the next token; a token that ends the response completes the text."""
        if not text:  # a token that ends an empty response is none of the answers either way
            return self.read(token)
        return self.read(text, is_complete=True) if is_end_token(token) else self.read(join(text, token))

    def find(self, text: str, *, is_complete: bool = True) -> int | None:
        """Return the index of the first answer that occurs in a text as a whole word or number; None without one.

        ``is_complete`` says that the text was not cut off, so that an answer at its end is not the beginning of another
        one.
        """
        whole = normalize(text).whole
        # Two characters after an answer decide whether it has ended.
        length = max(len(form.text) for form, _ in self._forms) + 2
        for start in _word_starts(whole):
            reading = self._read(normalize(whole[start : start + length]))
            if is_complete and start + length >= len(whole):
                reading = self._complete(reading)
            if reading.label is not None:
                return reading.label
            if reading.ended and reading.only is not None:
                return reading.only
        return None

    def _complete(self, reading: Reading) -> Reading:
        """Return the reading of a text that nothing follows."""
        label = reading.equal if reading.label is None else reading.label
        if label is not None:
            return Reading(label, frozenset({label}), ended=True)
        return reading if reading.ended else _ENDED

    def _read_token(self, text: str) -> Reading:
        """Return the reading of a text that may end inside a character."""
        if is_end_token(text):
            return _ENDED
        whole, unfinished = split_unfinished(text)
        if unfinished == b"":
            return self._read(normalize(text))
        normalized = normalize(whole)
        before = self._read(normalized)
        if before.ended or before.open == frozenset():
            return before
        possible = {index for form, index in self._forms if _can_finish(normalized, unfinished, form)}
        # What follows a whole answer may be a mark that ends it.
        possible |= {before.label} if before.label is not None else set()
        if self._single_tokens:
            return _OTHER
        if possible:
            return Reading(None, frozenset(possible))
        return _TRANSPARENT if before.open is None and can_be_mark(unfinished) else _OTHER

    def _read(self, text: NormalizedText) -> Reading:
        best: tuple[int, int] | None = None
        label, ended = None, False
        possible: set[int] = set()
        extended: tuple[int, int] | None = None
        for form, index in self._forms:
            match = _compare(text, form)
            if match is None:
                continue
            if match.is_extended:
                extended = max(extended or (0, 0), (match.length, index))
                continue
            if not match.is_whole:
                possible.add(index)
                continue
            # The first match wins, and among equal starts the longest: "new york" is not "new".
            rank = (-match.start, match.length)
            if best is None or rank > best:
                best, label, ended = rank, index, match.ended
        if self._single_tokens:
            possible, ended = set(), True
        if label is None:
            if extended is not None:
                return Reading(None, frozenset(possible | {extended[1]}), ended=not possible)
            if not text.answer:
                return _TRANSPARENT
            return Reading(None, frozenset(possible)) if possible else _OTHER
        if possible - {label}:
            return Reading(None, frozenset(possible | {label}), equal=label)
        return Reading(label, frozenset({label}), ended)


def shared_labels(labels: Mapping[str, Sequence[str]] | Sequence[str], *, single_tokens: bool = False) -> Labels:
    """Return the set of answers, as one object for equal sets, so that calls share what they have read.

    Parameters
    ----------
    labels, single_tokens
        As for :class:`Labels`.
    """
    spellings = tuple((name, tuple(texts)) for name, texts in _spellings(labels).items())
    return _labels_of(spellings, single_tokens)


@lru_cache(maxsize=1 << 6)
def _labels_of(spellings: tuple[tuple[str, tuple[str, ...]], ...], single_tokens: bool) -> Labels:
    return Labels(dict(spellings), single_tokens=single_tokens)


def _compare(text: NormalizedText, form: _Form) -> _Match | None:
    """Return the match of a text with a form; None where there is none."""
    if not form.marked:
        return _compare_at(text.answer, form.text, text.marks)
    # Other marks may stand before the answer's own.
    for start in range(min(text.marks, len(text.whole) - 1) + 1):
        match = _compare_at(text.whole[start:], form.text, start)
        if match is not None:
            return match
    return None


def _compare_at(text: str, form: str, start: int) -> _Match | None:
    if not text:
        return None
    if text.startswith(form):
        rest = text[len(form) :]
        if not _is_continued(form, rest):
            return _Match(start, len(form), True, _has_ended(form, rest))
        return _Match(start, len(form), False, is_extended=True) if _is_extended(form, rest) else None
    return _Match(start, len(text), False) if form.startswith(text) else None


def _can_finish(text: NormalizedText, unfinished: bytes | None, form: _Form) -> bool:
    """Return whether a text and an unfinished character after it may be the beginning of a form, or all of it."""
    texts = [text.whole[start:] for start in range(text.marks + 1)] if form.marked else [text.answer]
    return any(
        form.text.startswith(begun) and len(begun) < len(form.text) and can_become(unfinished, form.text[len(begun)])
        for begun in texts
    )


def _is_continued(form: str, rest: str) -> bool:
    """Return whether the text after an answer makes it another word or number."""
    last, first, second = form[-1], rest[:1], rest[1:2]
    if not first:
        return False
    if not is_word(last):
        return last in _SIGNS and first.isdigit()
    if is_word(first):
        return True
    return _joins(last, first, second)


def _is_extended(form: str, rest: str) -> bool:
    """Return whether letters after an answer leave its word what it is, because the script has no spaces."""
    return is_unspaced(rest[:1]) and not (is_number(form[-1]) and is_number(rest[:1]))


def _has_ended(form: str, rest: str) -> bool:
    """Return whether the text after an answer ends it, so that no later text can change it."""
    joints = _WORD_JOINTS + (_NUMBER_JOINTS if form[-1].isdigit() else "")
    return bool(rest) and (len(rest) > 1 or rest not in joints)


@lru_cache(maxsize=1 << 10)
def _forms(spelling: str) -> tuple[_Form, ...]:
    """Return the forms of a spelling: unchanged, and without marks around it if it has any; none for white space."""
    whole, answer, marks = normalize(spelling)
    full = whole.strip()
    if not full:
        return ()
    bare = answer.rstrip()
    # A sign or a decimal point is a part of its number.
    if not answer or (marks and full not in (bare, f"+{bare}")):
        unmarked = bare if is_word(bare[-1:]) else bare.rstrip(".,;:!?\"'`*_~)]}>»”」』）")
        return (_Form(full, marked=True), *((_Form(unmarked, marked=False),) if unmarked else ()))
    return (_Form(bare, marked=False),)


def _word_starts(text: str) -> Iterator[int]:
    """Yield the indices in a text where a word, a number or a mark begins."""
    for index, character in enumerate(text):
        before, after = text[index - 1 : index], text[index + 1 : index + 2]
        if character.isspace() or (is_word(character) and is_word(before)):
            continue
        # No word begins inside can't, no-one, 4.5 and 1,000: neither at the joint nor after it.
        if _joins(before, character, after) or _joins(text[max(0, index - 2) : max(0, index - 1)], before, character):
            continue
        yield index


def _joins(left: str, joint: str, right: str) -> bool:
    """Return whether a character joins two parts of a word or a number."""
    if left.isdigit() and right.isdigit():
        return bool(joint) and joint in _NUMBER_JOINTS
    return bool(joint) and joint in _WORD_JOINTS and is_word(left) and right.isalpha()


def _spellings(labels: Any) -> dict[str, list[str]]:
    if isinstance(labels, str | bytes) or not isinstance(labels, Mapping | Sequence) or not labels:
        raise invalid_argument("labels", labels, "a list of answers or a dict from answers to spellings, and not empty")
    if not isinstance(labels, Mapping):
        labels = {label: [label] for label in labels}
    spellings = {}
    for name, forms in labels.items():
        texts = [forms] if isinstance(forms, str) else list(forms)
        if not isinstance(name, str):
            raise invalid_argument("labels", name, "answers that are texts")
        if not texts or not all(isinstance(text, str) for text in texts):
            raise invalid_argument(f"labels[{name!r}]", forms, "a list of at least one spelling")
        spellings[name] = texts
    return spellings
