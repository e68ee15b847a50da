"""The batch of a job on disk: its rounds of request files, in ``batch.json``, so that a closed notebook finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SettingError
from ..files import write_whole
from .lines import Answers, write_requests

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
        self._file = Path(worker.folder) / "batch.json"
        self.folder.mkdir(exist_ok=True)
        self._rounds = self._read()

    def _read(self) -> list[Round]:
        try:
            plain = json.loads(self._file.read_bytes())
            if plain["version"] > _VERSION or plain["fingerprint"] != self.worker.fingerprint:
                raise ValueError("it is of another job or a newer version")
            return [_round(**one) for one in plain["rounds"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise SettingError(
                f"{self._file} cannot be read ({str(error)[:100]}); choose another folder with out=.",
                setting="out",
                value=str(self._file),
            ) from None

    def save(self) -> None:
        """Write ``batch.json``."""
        plain = {
            "version": _VERSION,
            "fingerprint": self.worker.fingerprint,
            "rounds": [asdict(one) for one in self._rounds],
        }
        content = json.dumps(plain, indent=1).encode()
        write_whole(self._file, lambda file: file.write(content))

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
        while left:
            current = self._current(left)
            answers = fetch(current)
            worker = replace(self.worker, again=current.again)
            for part in current.parts:
                yield worker.run(part, answers)
            current.is_done = True
            self.save()
            for name in [name for file in current.files for name in file.answers]:  # the parts hold them now
                (self.folder / name).unlink(missing_ok=True)
            done = set(current.parts)
            left = [part for part in left if part not in done]

    def _current(self, parts: Sequence[int]) -> Round:
        if self._rounds and not self._rounds[-1].is_done:
            return self._rounds[-1]
        turn = len(self._rounds)
        written = write_requests(self.worker, parts, self.folder, turn)
        files = [BatchFile(one.path.name, one.rows, one.url, one.model) for one in written]
        self._rounds.append(Round(turn, self.worker.again, list(parts), files))
        self.save()
        return self._rounds[-1]


def _round(files: list[dict[str, Any]], **fields: Any) -> Round:
    return Round(files=[BatchFile(**file) for file in files], **fields)
