"""The command line: ``python -m deluge_nb score in.parquet …`` for jobs, ``python -m deluge_nb course`` for lessons."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import DelugeError
from .paths import is_endless
from .printable import printable

if TYPE_CHECKING:
    from .jobs.job import Job

_INTERRUPTED = 130
"""Exit status of a command that the user interrupts, as shells have it."""
# Words for Python in messages, and those for the command line; the first that fits at a place.
_PHRASES = {
    "job.retry() asks": "the same command with --retry asks",
    "the same call": "the same command",
    "score_frame()": "score",
    "the call that": "the command that",
    ", or give api_key=": "",
    " or give api_key=": "",
    "leave out logprobs=True": "write --keep probabilities, without --labels",
    "logprobs=True": "--keep logprobs",
    "give LLMClient(…, continues=True) or ": "",
    ", or say that your own server continues it (continues=True)": "",
    "pass RawPrompt(…) with": "write --raw, and the prompt with",
    ", or None,": ",",
    ", or None for": ", or be left out for",
    ", or pass pyarrow.parquet.read_table(folder)": "",
    "pass what": "make one of what",
    ", or use LocalModel(path, context=…)": "",
    "dedup=": "asking equal prompts once",
}
# A text in quotes, which may be cut off; an apostrophe begins none.
_QUOTED = r"""(?<!\w)'(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$)"""


class _Parser(argparse.ArgumentParser):
    """Parser whose errors have no control characters of an argument."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        The words after ``python -m deluge_nb``; by default those of the process.

    Returns
    -------
    int
        The exit status: 0, 1 for an error or where every row failed, 2 for a wrong argument, 130 after an interrupt.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "score":
        _check(given, parser)
    try:
        text, has_failed = (_course(given, parser), False) if given.command == "course" else _score_rows(given)
        _write(text)
    except DelugeError as error:
        sys.stderr.write(f"{_with_options(str(error))}\n")
        return 1
    except KeyboardInterrupt as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        sys.stderr.write(f"\nInterrupted. {_with_options(notes)}\n")
        return _INTERRUPTED
    return int(has_failed)


def _write(text: str) -> None:
    """Write to standard output, which may be closed, a full disk, or a program that has read enough."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        with Path(os.devnull).open("w") as nothing, contextlib.suppress(OSError):
            os.dup2(nothing.fileno(), sys.stdout.fileno())  # so that Python does not try again at its end
        if not isinstance(error, BrokenPipeError):
            raise DelugeError(f"The output cannot be written ({error.strerror}).") from None


def _course(given: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """Return the list of lessons, the name of a copied lesson, or the table of notebooks that were handed in."""
    from .lab import Catalog, collect, copy_lesson
    from .lab.catalog import read_number

    words = given.words
    if not words:
        return f"{Catalog()}\n"
    if words[0] == "collect" and len(words) == 2:
        entries = collect(words[1])
        for problem in entries.problems:
            sys.stderr.write(f"{printable(problem)}\n")
        return entries.to_csv()
    number = read_number(words[1:] if words[0] == "copy" else words)
    if number is None:
        parser.error(
            "course takes the number of a lesson, as in python -m deluge_nb course 5, or collect and one folder, "
            f"not {' '.join(words)!r}"
        )
    try:
        return printable(f"{copy_lesson(number)}\n")
    except OSError as error:
        parser.exit(1, f"The lesson cannot be copied into this folder ({error.strerror}).\n")


def _score_rows(given: argparse.Namespace) -> tuple[str, bool]:
    """Run a job and return the sentence about it, and whether every row failed."""
    job = _score(given)
    if given.retry and job.progress.transient:
        job.retry(show_progress=not given.quiet)
    if given.result is not None:
        _write_result(job, given.result)
    failed = f"; {job.progress.describe_failed()} failed" if job.progress.failed else ""
    is_useless = job.progress.failed == len(job) > 0
    return printable(
        f"{len(job):,} {'row is' if len(job) == 1 else 'rows are'} done{failed}, in {job.folder}\n"
    ), is_useless


def _check(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """End the process for arguments that would fail at the end, be ignored, or overwrite the input."""
    if given.template_file is not None:
        try:
            given.template = given.template_file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeError) as error:
            parser.error(f"--template-file cannot be read: {error}")
    if given.method is not None and given.labels is None:
        parser.error("--method needs --labels")
    if given.result is not None:
        if not given.result.absolute().parent.is_dir() or given.result.is_dir():
            parser.error(f"--result {given.result} must be a file in a folder that exists")
        if is_endless(given.result):
            parser.error(f"--result {given.result} is a pipe or a device; name a file")
        if given.result.resolve() == Path(given.data).expanduser().resolve():
            parser.error(f"--result {given.result} is the input; name another file")


def _score(given: argparse.Namespace) -> Job:
    from .client.client import LLMClient
    from .jobs.score import classify_frame, score_frame
    from .prompts import RawPrompt

    settings = {
        name: getattr(given, name)
        for name in (
            "base_url",
            "temperature",
            "max_new_tokens",
            "top_logprobs",
            "max_concurrent_requests",
            "max_requests_per_minute",
        )
        if getattr(given, name) is not None
    }
    client = LLMClient(given.model, logprobs=given.keep != "probabilities" or given.labels is not None, **settings)
    template = RawPrompt(given.template) if given.raw else given.template
    labels = None if given.labels is None else [label.strip() for label in given.labels.split(",")]
    shared: dict[str, Any] = {
        "out": given.out,
        "keep": given.keep,
        "part_rows": given.part_rows,
        "precision": given.precision,
        "show_progress": not given.quiet,
    }
    if given.method is not None and labels is not None:
        return classify_frame(given.data, labels, client, template=template, method=given.method, **shared)
    return score_frame(given.data, template, client, labels=labels, **shared)


def _write_result(job: Job, path: Path) -> None:
    import pyarrow.parquet as pq

    from .jobs.storage.files import write_whole

    write_whole(path, lambda file: pq.write_table(job.table, file, compression="zstd"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m deluge_nb", description="Jobs outside notebooks, and the course in probability.")
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser(
        "score",
        help="ask one question about every row of a Parquet file",
        description="Ask one question about every row of a Parquet file. The same command again asks what is missing.",
    )
    score.add_argument("data", help="the Parquet file")
    score.add_argument("--model", required=True, help="name of the model, such as gpt-4o-mini or local")
    template = score.add_mutually_exclusive_group(required=True)
    template.add_argument("--template", help="the prompt, with names of columns as placeholders: 'Is it? {text}'")
    template.add_argument("--template-file", type=Path, help="file with the prompt")
    score.add_argument("--raw", action="store_true", help="send the prompt as raw text to continue, not as a message")
    score.add_argument("--labels", help="the answers, separated by commas")
    score.add_argument("--method", choices=["first-token", "trie", "exact"], help="classify the labels by this method")
    score.add_argument("--out", help="folder of the job; by default one in your cache folder")
    score.add_argument("--result", type=Path, help="Parquet file to write the table to at the end")
    score.add_argument(
        "--keep",
        choices=["probabilities", "logprobs", "all"],
        default="logprobs",
        help="what to keep (default: logprobs)",
    )
    score.add_argument("--precision", choices=["float64", "float32"], default="float64", help="of log-probabilities")
    score.add_argument("--part-rows", type=int, default=1000, help="rows of a part (default: 1000)")
    score.add_argument("--base-url", help="address of your own server")
    score.add_argument("--temperature", type=float, help="by default 0 with labels")
    score.add_argument("--max-new-tokens", type=int, help="most tokens of an answer")
    score.add_argument("--top-logprobs", type=int, help="alternatives of each token")
    score.add_argument("--max-concurrent-requests", type=int, help="most requests at a time")
    score.add_argument("--max-requests-per-minute", type=float, help="rate limit")
    score.add_argument(
        "--retry",
        action="store_true",
        help="ask rows again that failed for a reason that may be gone",
    )
    score.add_argument("--quiet", action="store_true", help="show no progress bar")
    course = commands.add_parser(
        "course",
        usage="%(prog)s [-h] [NUMBER | collect FOLDER]",
        help="list the lessons in probability, copy one, or read handed-in notebooks",
        description="List the lessons. With the number of one, copy its notebook into this folder, where no file is "
        "overwritten. With collect and a folder, write the guesses and answers of all notebooks in it as CSV.",
    )
    course.add_argument("words", nargs="*", metavar="NUMBER", help="number of a lesson, or collect and a folder")
    return parser


@cache
def _parameters() -> tuple[dict[str, str], re.Pattern[str]]:
    """Return what the command line calls each parameter, and the pattern of all that a message says differently."""
    given = vars(_parser().parse_args(["score", "", "--model", "", "--template", ""]))
    options = {name: name if name == "data" else f"--{name.replace('_', '-')}" for name in given if name != "command"}
    names = "|".join(sorted(options, key=len, reverse=True))
    unmistakable = "|".join(name for name in options if "_" in name)
    patterns = [
        f"(?P<phrase>{'|'.join(map(re.escape, _PHRASES))})",
        rf"(?P<quoted>{_QUOTED})",
        rf"(?<![\w./-])(?:settings\.)?(?P<set>{names})=(?P<value>{_QUOTED}|[\w.-]*\w)?",
        rf"(?:^|(?<![\w./-])settings\.)(?P<named>{names})(?=[ \[])",
        rf"(?<![\w./-])(?P<bare>{unmistakable})(?![\w/-])",
    ]
    return options, re.compile("|".join(patterns))


def _with_options(message: str) -> str:
    """Return a message that says the parameters of Python's functions as options; nothing in quotes changes."""
    options, pattern = _parameters()

    def say(match: re.Match[str]) -> str:
        if match["quoted"] is not None:
            return match[0]
        if match["phrase"] is not None:
            return _PHRASES[match[0]]
        option = options[match["set"] or match["named"] or match["bare"]]
        return f"{option} {match['value']}" if match["value"] else option

    return pattern.sub(say, message)


def _as_sentence(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Return a warning without the line of code that it is about, which is none of the user's."""
    return f"{_with_options(f'{message}')}\n"


if __name__ == "__main__":
    warnings.formatwarning = _as_sentence
    sys.exit(main())
