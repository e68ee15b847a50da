"""The line of ``%%deluge``: shell words, read by one parser for all options."""

from __future__ import annotations

import argparse
import copy
import difflib
import itertools
import keyword
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable

from IPython.core.error import UsageError

MAGIC = "%%deluge"
_BELOW = f"Use {MAGIC}, with two percent signs, and write the prompt on the lines below it."
# Word processors and chats write these in place of a hyphen and of straight quotes.
_DASHES = re.compile(r"[\u2010-\u2015\u2212]+")
_OPENING, _CLOSING = ("\u2018", "\u201a", "\u201c", "\u201e"), ("\u2019", "\u201d")
# Python 3.11 drops a value that is two dashes; this stands for it, and no cell can hold it in a line.
_TWO_DASHES = "\n--"
_AS_VALUE = re.compile(r"(?:(?<==)|(?<=\A-\w))--\Z")


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
        if comment := _comment_with_quote(line):
            raise UsageError(_no_comment(comment)) from None
        raise UsageError(f"A quote in the line of {MAGIC} is not closed: {line.strip()}") from None
    names = option_names(parser)
    for word in words:
        _check_name(word.partition("=")[0], names, has_value="=" in word)
    parser.exit_on_error = False  # its own words for a wrong value are those of a command line
    try:
        options, unknown = parser.parse_known_args([_AS_VALUE.sub(_TWO_DASHES, word) for word in words])
    except argparse.ArgumentError as error:
        raise UsageError(_wrong_value(parser, error, words)) from None
    if unknown:
        raise UsageError(_explain(unknown, names))
    for name, value in vars(options).items():
        if isinstance(value, list):
            setattr(options, name, [_as_written(item) for item in value])
        elif isinstance(value, str):
            setattr(options, name, _as_written(value))
    return options


def asks_for_help(line: str) -> bool:
    """Return whether a line has the option for help, which no text in quotes is."""
    try:
        return not {"-h", "--help"}.isdisjoint(shlex.split(line))
    except ValueError:
        return False


def help_text(parser: argparse.ArgumentParser) -> str:
    """Return the options of a parser with their help."""
    brief = copy.copy(parser)
    brief.description = None
    return brief.format_help().removeprefix("::").strip()  # a mark of reStructuredText


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
        raise _not_a("an integer", text) from None


def number(text: str) -> float:
    """Return the number that a value of an option spells; the parser gives the error the option's name."""
    try:
        return float(text)
    except ValueError:
        raise _not_a("a number", text) from None


def some_text(text: str) -> str:
    """Return a value of an option for which an empty text means nothing, as of a variable that was never set."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"has an empty value, {text!r}; give it one or leave it out")
    return text


def variable_name(text: str) -> str:
    """Return the name of a variable that can be assigned; the parser gives the error the option's name."""
    # Python reads names in this form.
    name = unicodedata.normalize("NFKC", text)
    if not name.isidentifier() or keyword.iskeyword(name) or name == "__debug__":
        raise _not_a("the name of a variable", text)
    if name == "get_ipython":
        raise argparse.ArgumentTypeError("cannot be get_ipython, by which IPython runs every magic")
    return name


def one_of(choices: Iterable[str]) -> Callable[[str], str]:
    """Return a function that returns a value of an option which is one of the choices."""
    names = list(choices)

    def choice(text: str) -> str:
        if text not in names:
            close = difflib.get_close_matches(text, names, n=1)
            listed = _not_a(f"one of {', '.join(names)}", text)
            raise argparse.ArgumentTypeError(f"{listed}; did you mean {close[0]}?") if close else listed
        return text

    return choice


def misplaced_prompt(line: str) -> UsageError:
    """Return the error for text behind ``%deluge``, which takes none but ``models`` and ``course``."""
    word = line.split()[0].casefold()
    close = difflib.get_close_matches(word, ("models", "course", "lessons"), n=1, cutoff=0.7)
    if close == ["models"]:
        return UsageError("The list of models is %deluge models, and %deluge models gpt shows those with that word.")
    if close:
        return UsageError("The lessons are %deluge course, and %deluge course 5 copies one of them into this folder.")
    return UsageError(_BELOW)


def below_others(above: str) -> None:
    """Say that nothing may stand above the magic; called by a cell in which something does.

    Parameters
    ----------
    above
        Name of that, such as "comment".

    Raises
    ------
    UsageError
        Always.
    """
    raise UsageError(f"{MAGIC} must be the first line of its cell; move the {above} above it into another cell.")


def _check_name(name: str, names: list[str], *, has_value: bool) -> None:
    if name == "--" and has_value:
        raise UsageError(f"There is no option --; {MAGIC}? lists the options.")
    longer = [known for known in names if known.startswith(name)] if name.startswith("--") and name != "--" else []
    if len(longer) > 1 and name not in names:
        raise UsageError(f"{name} is short for {' and for '.join(longer)}; write one of them.")


def _as_written(value: str) -> str:
    return "--" if value == _TWO_DASHES else value


def _not_a(kind: str, text: str) -> argparse.ArgumentTypeError:
    shown = repr(_as_written(text))
    return argparse.ArgumentTypeError(f"must be {kind}, not {shown if len(shown) <= 80 else f'{shown[:79]}…'}")


def _wrong_value(parser: argparse.ArgumentParser, error: argparse.ArgumentError, words: list[str]) -> str:
    name = (error.argument_name or "").rpartition("/")[2]
    option = next((action for action in options_of(parser) if name in action.option_strings), None)
    if isinstance(error.__context__, argparse.ArgumentTypeError):
        return f"{name} {error.message}{'' if error.message.endswith('?') else '.'}"
    if option is None or option.nargs == 0:
        return f"{name} takes no value."
    names = option_names(parser)
    for word, after in itertools.pairwise(words):
        if word in option.option_strings and after.startswith("-") and after.partition("=")[0] not in names:
            return f"{name} needs a value; write {name}={shlex.quote(after)} for one that begins with a dash."
    return f"{name} needs a value."


def _comment_with_quote(line: str) -> str | None:
    """Return the end of a line that looks like a comment, if the quote that is not closed is in it."""
    comment = re.search(r"(?<!\S)#.*", line)
    try:
        shlex.split(line[: comment.start()] if comment else line)
    except ValueError:
        return None
    return comment and comment[0].rstrip()


def _no_comment(comment: str) -> str:
    return f"The line of {MAGIC} has no comments; remove {comment!r}."


def _explain(unknown: Iterable[str], names: list[str]) -> str:
    words = list(unknown)
    if words[0].startswith("#"):
        return _no_comment(" ".join(words))
    # The end of a value whose beginning an option took.
    curly = next((word for word in words if word.endswith(_CLOSING)), None)
    if curly and not any(word.startswith(_OPENING) for word in words):
        return f"{curly!r} has a curly quote; write straight ones, ' or \", around a value with spaces."
    wrong = next((word.partition("=")[0] for word in words if len(word) > 1 and _DASHES.sub("-", word)[0] == "-"), None)
    if wrong is None:
        return f"{words[0]!r} is no option of {MAGIC}; the prompt goes on the lines below it."
    plain = _DASHES.sub("-", wrong).lstrip("-")
    close = difflib.get_close_matches(f"{'--' if len(plain) > 1 else '-'}{plain}", names, n=1, cutoff=0.7)
    remedy = f"did you mean {close[0]}?" if close else f"{MAGIC}? lists the options."
    return f"There is no option {wrong}; {remedy}"
