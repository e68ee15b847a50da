"""Which answers a token can be, or can still become."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import SettingError, bad

Matcher = Callable[[str, str], bool]

# Tokenizers that leak their own spelling write a space as one of these.
LEAKED_SPACES = str.maketrans({"\u2581": " ", "\u0120": " ", "\u010a": "\n"})
# What may stand in front of an answer without being one: quotes, brackets, Markdown.
_OPENING_OF_TOKENS = "\"'`“”‘’«»‹›„‚*_#~>([{<-–—•:¿¡"
_SIGNS = ("-", "–")
_TOKEN = 64


def is_match(token: str, label: str) -> bool:
    """Whether a token is, or begins, the answer ``label``.

    Upper and lower case, white space and opening marks (quotes, brackets, Markdown) do not count; letters and digits of
    every script do. A token matches when it equals the label, when it goes on with something that is neither letter nor
    digit (``"Yes."``, ``"A)"``), or when it is the beginning of the label (``"Pos"`` of ``"Positive"``). So
    ``"yesterday"`` is not ``"yes"``, ``"not"`` is not ``"no"``, and ``"\\n"`` is nothing. What tokenizers write in
    place of white space (``▁``, ``Ġ``, ``Ċ``) is white space.

    Parameters
    ----------
    token
        What the model wrote or weighed.
    label
        The answer that is looked for.
    """
    said, wanted = normalized(token), normalized(label)
    if not said or not wanted:
        return False
    if said == wanted or wanted.startswith(said):
        return True
    return said.startswith(wanted) and not is_word(said[len(wanted)])


def normalized(text: str) -> str:
    """The text as :func:`is_match` compares it."""
    # Tokens come again; a long text is none, and would fill the memory.
    return _kept(text) if len(text) <= _TOKEN else _normalized(text)


def _normalized(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text.translate(LEAKED_SPACES)).casefold()
    whole = folded.strip()
    bare = whole.lstrip(_OPENING_OF_TOKENS + " \t\r\n")
    # A dash is a bullet, unless it is a sign.
    if bare[:1].isdigit() and whole[: -len(bare)][-1:] in _SIGNS:
        return "-" + bare
    return bare


_kept = lru_cache(maxsize=1 << 16)(_normalized)


class Reading(NamedTuple):
    """What a text says of the answers: it settled on ``label``, or it can still become any of ``open`` (None: of all).

    Neither, where no answer begins with it: ``label`` is None and ``open`` is empty.
    """

    label: int | None
    open: frozenset[int] | None


# What may stand in front of an answer without being one. No dash: -1 is an answer.
_OPENING = " \t\r\n\v\f\u0085\u00a0\"'`“”‘’«»*_([{<#"
_ANYTHING = Reading(None, None)
_NOTHING = Reading(None, frozenset())


class Labels:
    """A set of answers with their spellings, and what each text that was seen says of them (kept: tokens come again).

    Raises
    ------
    SettingError
        When there are no answers, one has no spelling, or two have the same.
    """

    def __init__(self, labels: Mapping[str, Sequence[str]] | Sequence[str]) -> None:
        self.spellings = _spellings(labels)
        self.names = list(self.spellings)
        self.forms: list[tuple[str, int]] = []
        owners: dict[str, int] = {}
        for place, (name, spellings) in enumerate(self.spellings.items()):
            for spelling in spellings:
                form = beginning(spelling).rstrip()
                if not form:
                    raise SettingError(
                        f"The label {name!r} has the spelling {spelling!r}, which is nothing once white space and "
                        "opening marks are left out.",
                        setting="labels",
                        value=spelling,
                    )
                other = owners.setdefault(form, place)
                if other != place:
                    raise SettingError(
                        f"The labels {self.names[other]!r} and {name!r} cannot be told apart: both are spelt {form!r} "
                        "once case, white space and opening marks are left out.",
                        setting="labels",
                        value=spelling,
                    )
        self.forms = list(owners.items())
        self._seen: dict[str, Reading] = {}

    def __len__(self) -> int:
        return len(self.names)

    def read(self, text: str) -> Reading:
        """What a text says of the answers."""
        found = self._seen.get(text)
        if found is None:
            found = self._seen[text] = self._read(beginning(text))
        return found

    def _read(self, said: str) -> Reading:
        if not said:
            return _ANYTHING
        settled, length = None, 0
        becoming = set()
        for form, place in self.forms:
            if said.startswith(form) and not is_word(said[len(form) : len(form) + 1]):
                # The longest wins: "new york" is that, and not "new".
                if len(form) > length:
                    settled, length = place, len(form)
            elif form.startswith(said):
                becoming.add(place)
        if settled is None:
            return Reading(None, frozenset(becoming)) if becoming else _NOTHING
        if becoming - {settled}:
            return Reading(None, frozenset(becoming | {settled}))
        return Reading(settled, frozenset({settled}))


def beginning(text: str) -> str:
    """A text as the beginning of an answer: case and what stands in front are gone, what follows is not."""
    folded = unicodedata.normalize("NFKC", text.translate(LEAKED_SPACES)).casefold()
    return folded.lstrip(_OPENING)


def is_word(character: str) -> bool:
    """Whether a character after a word makes it another word; nothing does not."""
    return bool(character) and unicodedata.category(character)[0] in "LNM"


def _spellings(labels: Any) -> dict[str, list[str]]:
    if isinstance(labels, str | bytes) or not isinstance(labels, Mapping | Sequence) or not labels:
        raise bad("labels", labels, "a list of answers, or a dict from answer to its spellings, and not empty")
    if not isinstance(labels, Mapping):
        labels = {label: [label] for label in labels}
    made = {}
    for name, spellings in labels.items():
        listed = [spellings] if isinstance(spellings, str) else list(spellings)
        if not isinstance(name, str):
            raise bad("labels", name, "named by texts")
        if not listed or not all(isinstance(one, str) for one in listed):
            raise bad(f"labels[{name!r}]", spellings, "a list of at least one spelling")
        made[name] = listed
    return made
