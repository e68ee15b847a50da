"""The line of ``%%deluge``: shell words, read by one parser for all options."""

from __future__ import annotations

import argparse
import difflib
import keyword
import shlex
from collections.abc import Iterable

from IPython.core.error import UsageError

MAGIC = "%%deluge"
_BELOW = f"Use {MAGIC}, with two percent signs, and write the prompt on the lines below it."


def read_options(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    """Return the options in a line, which is split as a shell splits its own.

    Parameters
    ----------
    parser
        Parser of the options.
    line
        The line, without the name of the magic. ``--name value``, ``--name=value`` and ``-nvalue`` mean the same;
        quotes and backslashes are those of a POSIX shell.

    Raises
    ------
    UsageError
        When a quote is not closed, or an option or its value is wrong.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        raise UsageError(f"A quote in the line of {MAGIC} is not closed: {line.strip()}") from None
    try:
        options, unknown = parser.parse_known_args(words)
    except ValueError:  # Python 3.11 drops such a value, and then misses it
        raise UsageError("The value of an option cannot be two dashes alone.") from None
    if unknown:
        raise UsageError(_explain(unknown, option_names(parser)))
    return options


def option_names(parser: argparse.ArgumentParser) -> list[str]:
    """Return the names of all options, sorted, without the one for help."""
    names = (name for action in options_of(parser) for name in action.option_strings)
    return sorted(name for name in names if name not in ("-h", "--help"))


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options of a parser in the order of their declaration."""
    return [action for action in parser._actions if action.option_strings]


def variable_name(name: str) -> str:
    """Return the name of a variable that can be assigned.

    Raises
    ------
    UsageError
        When it is none.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"--out must be the name of a variable, not {name!r}.")
    return name


def misplaced_prompt(line: str) -> UsageError:
    """Return the error for text behind ``%deluge``, which takes none but ``models`` and ``course``."""
    words = line.split()
    if words and words[0].startswith("model"):
        return UsageError("The list of models is %deluge models, and %deluge models gpt shows those with that word.")
    if words and words[0].startswith(("cours", "lesson")):
        return UsageError("The lessons are %deluge course, and %deluge course 5 copies one of them into this folder.")
    return UsageError(_BELOW)


def below_comment() -> None:
    """Say that nothing may stand above the magic; called by a cell in which a comment does.

    Raises
    ------
    UsageError
        Always.
    """
    raise UsageError(f"{MAGIC} must be the first line of its cell; move the comment above it into another cell.")


def _explain(unknown: Iterable[str], names: list[str]) -> str:
    words = list(unknown)
    wrong = next((word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1), None)
    if wrong is None:
        return f"{words[0]!r} is no option of {MAGIC}; the prompt goes on the lines below it."
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.7)
    remedy = f"did you mean {close[0]}?" if close else f"{MAGIC}? lists the options."
    return f"There is no option {wrong}; {remedy}"
