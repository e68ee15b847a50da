"""The line of ``%%deluge``: shell words, read by one parser for all options."""

from __future__ import annotations

import argparse
import difflib
import keyword
import shlex
from collections.abc import Callable, Iterable

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
    except ValueError as error:
        if "escape" in str(error):
            raise UsageError(f"The options of {MAGIC} stand on one line, which cannot end in a backslash.") from None
        raise UsageError(f"A quote in the line of {MAGIC} is not closed: {line.strip()}") from None
    names = option_names(parser)
    for word in words:
        _check_unambiguous(word.partition("=")[0], names)
    parser.exit_on_error = False  # its own words for a wrong value are those of a command line
    try:
        options, unknown = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(_wrong_value(parser, error)) from None
    except ValueError:  # Python 3.11 drops such a value, and then misses it
        raise UsageError("The value of an option cannot be two dashes alone.") from None
    if unknown:
        raise UsageError(_explain(unknown, names))
    return options


def option_names(parser: argparse.ArgumentParser) -> list[str]:
    """Return the names of all options, sorted, without the one for help."""
    names = (name for action in options_of(parser) for name in action.option_strings)
    return sorted(name for name in names if name not in ("-h", "--help"))


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options of a parser in the order of their declaration."""
    return [action for action in parser._actions if action.option_strings]


def integer(text: str) -> int:
    """Return the integer that a value of an option spells; the parser gives the error the option's name."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, not {text!r}") from None


def number(text: str) -> float:
    """Return the number that a value of an option spells; the parser gives the error the option's name."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None


def some_text(text: str) -> str:
    """Return a value of an option for which an empty text means nothing, as of a variable that was never set."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"has an empty value, {text!r}; give it one or leave it out")
    return text


def variable_name(text: str) -> str:
    """Return the name of a variable that can be assigned; the parser gives the error the option's name."""
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"must be the name of a variable, not {text!r}")
    return text


def one_of(choices: Iterable[str]) -> Callable[[str], str]:
    """Return a function that returns a value of an option which is one of the choices."""
    names = list(choices)

    def choice(text: str) -> str:
        if text not in names:
            close = difflib.get_close_matches(text, names, n=1)
            listed = f"must be one of {', '.join(names)}, not {text!r}"
            raise argparse.ArgumentTypeError(f"{listed}; did you mean {close[0]}?" if close else listed)
        return text

    return choice


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


def _check_unambiguous(word: str, names: list[str]) -> None:
    longer = [name for name in names if name.startswith(word)] if word.startswith("--") and len(word) > 2 else []
    if len(longer) > 1 and word not in names:
        raise UsageError(f"{word} is short for {' and for '.join(longer)}; write one of them.")


def _wrong_value(parser: argparse.ArgumentParser, error: argparse.ArgumentError) -> str:
    name = (error.argument_name or "").rpartition("/")[2]
    option = next((action for action in options_of(parser) if name in action.option_strings), None)
    if isinstance(error.__context__, argparse.ArgumentTypeError):
        return f"{name} {error.message}{'' if error.message.endswith('?') else '.'}"
    return f"{name} takes no value." if option is not None and option.nargs == 0 else f"{name} needs a value."


def _explain(unknown: Iterable[str], names: list[str]) -> str:
    words = list(unknown)
    wrong = next((word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1), None)
    if wrong is None:
        return f"{words[0]!r} is no option of {MAGIC}; the prompt goes on the lines below it."
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.7)
    remedy = f"did you mean {close[0]}?" if close else f"{MAGIC}? lists the options."
    return f"There is no option {wrong}; {remedy}"
