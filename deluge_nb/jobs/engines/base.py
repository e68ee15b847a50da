"""The protocol of engines, and the task that they run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...client.sending.progress import listening
from ...errors import SettingError
from ...warning import in_part
from ..spec import Spec
from ..storage.folder import JobFolder
from ..worker import Ask, ask_again, numbers_of, prompts_of, score_table, send

if TYPE_CHECKING:
    from ...prompts import Prompt


@dataclass(frozen=True, slots=True)
class Done:
    """Report of a part that was finished.

    Parameters
    ----------
    part
        Number of the part.
    rows
        Rows that were asked; 0 if the part had been finished already.
    """

    part: int
    rows: int


@dataclass(frozen=True, slots=True)
class Worker:
    """Task of an engine: run one part, from file to file.

    It can be pickled, and then carries settings and no keys. Calling it twice with one part is harmless: the second
    call finds the file, or replaces it by one of the same rows.

    Parameters
    ----------
    folder
        The job's folder, which every process must see under this path.
    fingerprint
        The job that the folder must hold.
    spec
        The question, and the client that asks it.
    again
        Whether to ask the rows again that failed for a reason that may be gone.
    """

    folder: str
    fingerprint: str
    spec: Spec
    again: bool = False

    def __call__(self, part: int) -> Done:
        """Ask the rows of a part and write their answers.

        Parameters
        ----------
        part
            Number of the part.
        """
        return self.run(part)

    def run(self, part: int, ask: Ask = send, only: Collection[int] | None = None) -> Done:
        """Run a part whose prompts are answered by the client, or by what a service has answered.

        Parameters
        ----------
        part
            Number of the part.
        ask
            What answers the prompts.
        only
            Numbers of the rows to ask again, of a part that is finished; by default all that failed for a reason that
            may be gone.
        """
        folder = self.open()
        is_done = folder.is_done(part)
        if is_done and not self.again:
            return Done(part, 0)
        questions = folder.read_questions(part)
        before = folder.read_answers(part) if is_done else None
        with in_part():  # the job counts the failures of all parts
            if before is None:
                answers = score_table(self.spec, questions, ask)
            else:
                answers = ask_again(self.spec, questions, before, ask, only)
        folder.write_answers(part, answers)
        return Done(part, questions.num_rows)

    def open(self) -> JobFolder:
        """Return the job's folder, after a check that it still holds this job."""
        return JobFolder.open(Path(self.folder), self.fingerprint)

    def prompts(self, part: int) -> dict[int, Prompt]:
        """Return the prompts of a part that :meth:`run` has to ask, by the numbers of their rows.

        Parameters
        ----------
        part
            Number of the part.
        """
        folder = self.open()
        if (is_done := folder.is_done(part)) and not self.again:
            return {}
        table = folder.read_questions(part)
        if is_done:
            table = table.filter(folder.read_answers(part, ["is_transient"])["is_transient"])
        found = zip(numbers_of(table), prompts_of(self.spec, table), strict=True)
        return {row: prompt for row, prompt in found if not isinstance(prompt, SettingError)}


def run_watched(worker: Worker, part: int, report: Callable[[float], object]) -> Done:
    """Run a part, and report the share of its rows that are done, from 0 to 1, several times a second.

    Parameters
    ----------
    worker
        The job.
    part
        Number of the part.
    report
        Receives the share, in the thread of the call. Not called where a row may take any number of requests.
    """
    if worker.spec.method not in (None, "first-token"):
        return worker(part)
    with listening(lambda done, total: report(done / max(total, 1))):
        return worker(part)


Watcher = Callable[[Mapping[int, float]], object]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Let a function receive the parts under way, each with its share of rows that are done, from 0 to 1.

    Parameters
    ----------
    watcher
        Called in the thread that takes the reports of an engine, several times a second.
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def report_under_way(shares: Mapping[int, float]) -> None:
    """Report the parts under way, from an engine that knows of them; see :func:`watching`.

    Parameters
    ----------
    shares
        Share of rows that are done, from 0 to 1, by the number of the part.
    """
    watcher = _watcher.get()
    if watcher is not None:
        watcher(shares)


class Engine(Protocol):
    """Protocol of engines.

    An engine schedules, and nothing more: the folder sees to it that each row has one answer, whatever an engine runs
    twice, and a run that ends early is continued by the next one. One that cannot run every job has a method ``check``,
    which raises an error for the specification of such a job before its folder is made.
    """

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        """Run each part at least once, in any order and any process, and yield a report whenever one is finished.

        Between reports it may call :func:`report_under_way`.

        Parameters
        ----------
        parts
            Numbers of the parts that are missing.
        worker
            Called with the number of a part, in this process or in another one.

        Raises
        ------
        Exception
            As the worker raised it for a part: an error that would befall every part, such as a missing key.
        """
        ...
