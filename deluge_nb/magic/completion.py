"""Completion in the line of ``%%deluge``: options, models and choices, and no names of Python."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from ..client.client import LLMClient
from ..local import LocalModel
from ..models import REGISTRY
from .line import option_names, options_of

_MAGIC = re.compile(r"\s*(%%?)deluge[ \t](?P<line>.*)", re.DOTALL)
# A word that is being typed, with its quotes.
_LAST_WORD = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*(?:"|\Z)|'[^']*(?:'|\Z))*\Z""")
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
        """Return the completions of the word before the cursor, and none outside the line of the magic."""
        line = _MAGIC.fullmatch(context.text_until_cursor)
        if line is None:
            return {"completions": []}
        fragment, choices = self._complete(line["line"], is_cell=line[1] == "%%")
        fitting = [SimpleCompletion(text=choice, type="magic") for choice in choices if choice.startswith(fragment)]
        return {"completions": fitting or _Nothing(), "matched_fragment": fragment, "suppress": True}

    def _complete(self, line: str, *, is_cell: bool) -> tuple[str, list[str]]:
        """Return the word that is being typed, and what it may become."""
        last = _LAST_WORD.search(line)
        word = last[0] if last is not None else ""
        head = line[: len(line) - len(word)]
        if not is_cell:
            return word, self._after(head.split())
        name, equals, value = word.partition("=")
        option = self._option(name) if equals else self._awaiting(head)
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

    def _awaiting(self, head: str) -> argparse.Action | None:
        """Return the option whose value comes next."""
        words = head.split()
        option = self._option(words[-1]) if words else None
        return option if option is not None and option.nargs != 0 else None

    def _option(self, name: str) -> argparse.Action | None:
        return next((action for action in options_of(self._parser) if name in action.option_strings), None)

    def _values(self, option: argparse.Action) -> Iterator[str]:
        if option.choices is not None:
            yield from map(str, option.choices)
        elif option.dest in ("model", "compare"):
            yield from REGISTRY.known_names()
            for name, value in self._variables.items():
                if isinstance(value, LLMClient | LocalModel) and not name.startswith("_"):
                    yield name
