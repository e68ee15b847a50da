"""Match texts to a set of answers: the one rule that every function of answers uses.

A text *settles* an answer if it equals the answer, or continues it with something other than a letter or digit ("Yes.",
"A)"). It leaves *open* every answer that it may still become ("Pos" of "Positive"). White space and marks before an
answer are ignored. All other text is none of the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import SettingError, invalid_argument
from .normalize import NormalizedText, is_word, normalize

Matcher = Callable[[str, str], bool]

# A number continues over one of these and a digit: 4.5, 1,000, 1'000, 1/2.
_NUMBER_JOINTS = ".,'/"
# A word continues over one of these and a letter: can't, no-one.
_WORD_JOINTS = "'-"
_SIGNS = "+-"
_MINUSES = ("-", "\u2013")


class Reading(NamedTuple):
    """Result of matching a text to a set of answers, which are given by their indices.

    ``label`` is the settled answer, or None. ``open`` holds the answers that the text is or may still become; None
    stands for all of them (white space and marks). It is empty where the text is none of the answers. ``ended`` is true
    where the text after the settled answer ends it: "Yes." has ended, "Yes" may continue to "Yesterday".
    """

    label: int | None
    open: frozenset[int] | None
    ended: bool = False

    @property
    def is_undecided(self) -> bool:
        """True where the text may become an answer and is none yet."""
        return self.label is None and (self.open is None or bool(self.open))

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
    """Match of a text with a form: start and length in the text, whole form or only its beginning, ended or not."""

    start: int
    length: int
    is_whole: bool
    ended: bool


_TRANSPARENT = Reading(None, None)
_OTHER = Reading(None, frozenset())


def is_match(token: str, label: str) -> bool:
    """Return whether a token is, or begins, the answer ``label``.

    A token matches if it equals the answer, if it continues the answer with something other than a letter or digit
    (``"Yes."``, ``"A)"``), or if it is the beginning of the answer (``"Pos"`` of ``"Positive"``).

    Case, white space and marks before the answer (quotes, brackets, bullets, Markdown, zero-width marks) are ignored in
    every script, unless the answer itself begins with them. A word continues over an apostrophe or a hyphen and a
    letter, a number over a separator and a digit: ``"can't"`` is not ``"can"``, ``"4.5"`` is not ``"4"``. A minus
    directly before a digit belongs to the number.

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
    text = normalize(token)
    return any(_compare(text, form) is not None for form in _forms(label))


class Labels:
    """Set of answers with their spellings. Readings are cached, because tokens repeat.

    Parameters
    ----------
    labels
        The answers, or a dict from each answer to its spellings.

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

    def __init__(self, labels: Mapping[str, Sequence[str]] | Sequence[str]) -> None:
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
        self._readings: dict[str, Reading] = {}

    def __len__(self) -> int:
        return len(self.names)

    def read(self, text: str) -> Reading:
        """Return the reading of a text that begins a response."""
        reading = self._readings.get(text)
        if reading is None:
            reading = self._readings[text] = self._read(normalize(text))
        return reading

    def find(self, text: str) -> int | None:
        """Return the index of the first answer that occurs in a text as a whole word or number; None without one."""
        whole = normalize(text).whole
        # Two characters after an answer decide whether it has ended.
        length = max(len(form.text) for form, _ in self._forms) + 2
        for start in _word_starts(whole):
            reading = self._read(normalize(whole[start : start + length]))
            if reading.label is not None:
                return reading.label
        return None

    def _read(self, text: NormalizedText) -> Reading:
        best: tuple[int, int] | None = None
        label, ended = None, False
        possible: set[int] = set()
        for form, index in self._forms:
            match = _compare(text, form)
            if match is None:
                continue
            if not match.is_whole:
                possible.add(index)
                continue
            # The first match wins, and among equal starts the longest: "new york" is not "new".
            rank = (-match.start, match.length)
            if best is None or rank > best:
                best, label, ended = rank, index, match.ended
        if label is None:
            if not text.answer:
                return self._read_marks(text.whole)
            return Reading(None, frozenset(possible)) if possible else _OTHER
        if possible - {label}:
            return Reading(None, frozenset(possible | {label}))
        return Reading(label, frozenset({label}), ended)

    def _read_marks(self, marks: str) -> Reading:
        """Read a text without letters and digits: a minus begins negative numbers, other marks begin any answer."""
        negative = {index for form, index in self._forms if form.text[0] == "-" and form.text[1:2].isdigit()}
        return Reading(None, frozenset(negative)) if negative and marks[-1:] in _MINUSES else _TRANSPARENT


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
        return None if _is_continued(form, rest) else _Match(start, len(form), True, _has_ended(form, rest))
    return _Match(start, len(text), False, False) if form.startswith(text) else None


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
