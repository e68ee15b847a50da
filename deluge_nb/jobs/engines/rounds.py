"""The batch of a job on disk: its rounds of request files, in ``batch.json``, so that a closed notebook finds it."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SettingError
from ..storage.files import write_whole
from .lines import Answers, RequestFile, write_requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import Done, Worker

_VERSION = 1


@dataclass(slots=True)
class BatchFile:
    """File of requests, and the state of its batch.

    Parameters
    ----------
    requests
        Name of the file.
    rows
        Requests in it.
    url, model
        Path of the API and name of the model, for the service.
    input_id, batch_id
        Identifiers of the uploaded file and of the batch at the service; None until they are known.
    is_creating
        True from before the batch is made: if its number is not known then, the service is asked for it.
    status
        Last status of the batch, in lower case, and the reason of a failure.
    answers
        Names of files with answers.
    ended
        True once the batch has ended and its answers are fetched.
    """

    requests: str
    rows: int
    url: str
    model: str
    input_id: str | None = None
    batch_id: str | None = None
    is_creating: bool = False
    status: str = ""
    answers: list[str] = field(default_factory=list)
    ended: bool = False


@dataclass(slots=True)
class Round:
    """Requests that are written together, and their parts."""

    turn: int
    again: bool
    parts: list[int]
    files: list[BatchFile]
    is_done: bool = False


class Rounds:
    """The rounds of a job, saved at every change.

    Parameters
    ----------
    worker
        The job.

    Raises
    ------
    SettingError
        When ``batch.json`` cannot be read.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.folder = Path(worker.folder) / "batch"
        self.file = Path(worker.folder) / "batch.json"
        self.folder.mkdir(exist_ok=True)
        self._rounds = self._read()

    def _read(self) -> list[Round]:
        try:
            plain = json.loads(self.file.read_bytes())
            if plain["version"] > _VERSION or plain["fingerprint"] != self.worker.fingerprint:
                raise ValueError("it is of another job or a newer version")
            return [_round(**one) for one in plain["rounds"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise SettingError(
                f"{self.file} cannot be read ({str(error)[:100]}); choose another folder with out=.",
                setting="out",
                value=str(self.file),
            ) from None

    def save(self) -> None:
        """Write ``batch.json``."""
        plain = {
            "version": _VERSION,
            "fingerprint": self.worker.fingerprint,
            "rounds": [asdict(one) for one in self._rounds],
        }
        content = json.dumps(plain, indent=1).encode()
        write_whole(self.file, lambda file: file.write(content))

    def run(self, parts: Sequence[int], fetch: Callable[[Round], Answers]) -> Iterator[Done]:
        """Run parts: go on with the round that is under way, then ask the parts that it does not have.

        Parameters
        ----------
        parts
            Numbers of the parts.
        fetch
            Function that gets the answers of a round.
        """
        left = list(parts)
        if self.worker.again:
            left = yield from self._take_late(left)
        while left:
            current = self._current(left)
            answers = fetch(current)
            worker = replace(self.worker, again=current.again or self.worker.again)
            for part in current.parts:
                yield worker.run(part, answers)
            current.is_done = True
            self.save()
            for name in [name for file in current.files for name in file.answers]:  # the parts hold them now
                (self.folder / name).unlink(missing_ok=True)
            done = set(current.parts)
            left = [part for part in left if part not in done]

    @property
    def answer_files(self) -> list[Path]:
        """Files with answers in the folder of the batch, oldest first: also those that a person has put there."""
        found = (path for path in self.folder.glob("*.jsonl") if not path.name.startswith("requests-"))
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    @property
    def fetched(self) -> set[Path]:
        """Files with answers that a service has sent."""
        return {self.folder / name for one in self._rounds for file in one.files for name in file.answers}

    def _take_late(self, parts: Sequence[int]) -> Generator[Done, None, list[int]]:
        """Use the answers that have come since to rows that failed; return the parts that still have such rows."""
        answers, left = Answers(self.worker.fingerprint, self.answer_files, self.fetched), list[int]()
        folder = self.worker.open()
        for part in parts:
            late = answers.answered.intersection(self.worker.prompts(part)) if folder.is_done(part) else set[int]()
            done = self.worker.run(part, answers, late) if late else None
            if done is None or self.worker.prompts(part):
                left.append(part)
            else:
                yield done
        self._shorten(answers)
        return left

    def _shorten(self, answers: Answers) -> None:
        """Leave out of the round under way what needs no answer any more, unless a service has its file."""
        current = self._rounds[-1] if self._rounds else None
        if current is None or current.is_done:
            return
        wanted = {row for part in current.parts for row in self.worker.prompts(part)}
        for file in list(current.files):
            path = self.folder / file.requests
            if file.input_id is not None or answers.has_any(path, current.turn):
                continue
            lines = path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if answers.row_of(line) in wanted]
            if not kept:
                current.files.remove(file)
                path.unlink()
            elif len(kept) < len(lines):
                file.rows = len(kept)
                write_whole(path, lambda target, kept=kept: target.writelines(kept))
        current.is_done = not current.files
        self.save()

    def _current(self, parts: Sequence[int]) -> Round:
        if self._rounds and not self._rounds[-1].is_done:
            self._restore(self._rounds[-1])
            return self._rounds[-1]
        turn = len(self._rounds)
        written = write_requests(self.worker, parts, self.folder, turn)
        self._rounds.append(Round(turn, self.worker.again, list(parts), list(map(_file, written))))
        self.save()
        return self._rounds[-1]

    def _restore(self, current: Round) -> None:
        """Write the requests of a round again, if a file of them is gone."""
        if all((self.folder / file.requests).is_file() for file in current.files):
            return
        worker = replace(self.worker, again=current.again or self.worker.again)
        written = {file.path.name: file for file in write_requests(worker, current.parts, self.folder, current.turn)}
        # A service may have a file already; its answers are found by their rows, wherever those stand now.
        current.files = [file for file in current.files if file.requests in written or file.input_id is not None]
        known = {file.requests for file in current.files}
        current.files += [_file(file) for name, file in written.items() if name not in known]
        self.save()


def _file(written: RequestFile) -> BatchFile:
    return BatchFile(written.path.name, written.rows, written.url, written.model)


def _round(files: list[dict[str, Any]], **fields: Any) -> Round:
    return Round(files=[BatchFile(**file) for file in files], **fields)
