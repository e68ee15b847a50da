"""Completion in the line of ``%%deluge``: options, models and choices, and no names of Python."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from ..client.client import LLMClient
from ..local import LocalModel
from ..models import REGISTRY
from .line import option_names, options_of

_MAGIC = re.compile(r"\s*(%%?)deluge[ \t](?P<line>.*)", re.DOTALL)
# A word of the line, with its quotes; the last one may lack the second.
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|\\\Z|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|'[^']*(?:'|\Z))+""", re.DOTALL)
_FIRST = re.compile(r"\s*%%deluge(?:\s|\Z)")
_OTHER_MAGIC = re.compile(r"%%(?!deluge(?:\s|\Z))")
_SUBCOMMANDS = ("models", "course")


class _Nothing(list[SimpleCompletion]):
    """No completions. IPython asks the other matchers too unless this one says that it has some."""

    def __len__(self) -> int:
        return 1


class LineMatcher:
    """Matcher for IPython's completer.

    Parameters
    ----------
    parser
        Parser of the options.
    variables
        The notebook's variables, some of which may be clients or local models.
    """

    def __init__(self, parser: argparse.ArgumentParser, variables: dict[str, Any]) -> None:
        self._parser = parser
        self._variables = variables

        @context_matcher(identifier="deluge_nb", priority=1)
        def match(context: CompletionContext) -> SimpleMatcherResult:
            return self.match(context)

        self.matcher = match
        """The function to be registered."""

    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return the completions of the word before the cursor: none in the prompt, and those of others elsewhere."""
        if _is_in_prompt(context):
            return {"completions": _Nothing(), "suppress": True}
        line = _MAGIC.fullmatch(context.text_until_cursor)
        if line is None:
            return {"completions": []}
        fragment, choices = self._complete(line["line"], is_cell=line[1] == "%%")
        fitting = [SimpleCompletion(text=choice, type="magic") for choice in choices if choice.startswith(fragment)]
        return {"completions": fitting or _Nothing(), "matched_fragment": fragment, "suppress": True}

    def _complete(self, line: str, *, is_cell: bool) -> tuple[str, list[str]]:
        """Return the word that is being typed, and what it may become."""
        words = [match[0] for match in _WORD.finditer(line)]
        word = words.pop() if words and line.endswith(words[-1]) else ""
        if not is_cell:
            return word, self._after(words)
        name, equals, value = word.partition("=")
        if word[:1] == "-" and word[1:2] not in ("", "-") and word[2:3] not in ("", "="):  # as in -mNAME
            name, equals, value = word[:2], "=", word[2:]
        option = self._option(name) if equals else self._awaiting(words)
        if option is None:
            return word, option_names(self._parser) if not word or word.startswith("-") else []
        value = value if equals else word
        quote = value[:1] if value[:1] in ("'", '"') else ""
        return value, [quote + choice for choice in self._values(option)]

    @staticmethod
    def _after(words: list[str]) -> list[str]:
        """Return what may follow the words after ``%deluge``."""
        if words == ["course"]:
            from ..lab.lessons import LESSONS

            return [str(lesson.number) for lesson in LESSONS]
        return [] if words else list(_SUBCOMMANDS)

    def _awaiting(self, words: list[str]) -> argparse.Action | None:
        """Return the option whose value comes next."""
        option = self._option(words[-1]) if words else None
        return option if option is not None and option.nargs != 0 else None

    def _option(self, name: str) -> argparse.Action | None:
        """Return the option of a name, or of the beginning that no other option has."""
        options = options_of(self._parser)
        exact = [action for action in options if name in action.option_strings]
        if exact or not name.startswith("--"):
            return exact[0] if exact else None
        longer = [action for action in options if any(known.startswith(name) for known in action.option_strings)]
        return longer[0] if len(longer) == 1 else None

    def _values(self, option: argparse.Action) -> Iterator[str]:
        if option.choices is not None:
            yield from map(str, option.choices)
        elif option.dest in ("model", "compare"):
            yield from REGISTRY.known_names()
            for name, value in self._variables.items():
                if isinstance(value, LLMClient | LocalModel) and not name.startswith("_"):
                    yield name


def _is_in_prompt(context: CompletionContext) -> bool:
    """Return whether the cursor is below the line of the magic."""
    above = context.full_text.split("\n")[: context.cursor_line]
    # Other magics of cells may stand above, as %%time.
    lines = itertools.dropwhile(lambda line: not line.strip() or _OTHER_MAGIC.match(line), above)
    return _FIRST.match(next(lines, "")) is not None
