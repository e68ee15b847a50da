"""Requests and answers as JSON lines, the form that batch services and vLLM's ``run-batch`` have in common.

A line of a request has a ``custom_id`` made of the job's fingerprint, the number of the row and the round (0, then one
more for each retry). Lines of answers come in any order and in any number of files; failures may be in files of their
own. So an answer is found by its ``custom_id`` and by nothing else.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ...client.calls.offline import Offline, offline_route
from ...errors import SettingError
from ...transport.wire import encode_body
from ..storage.files import write_whole

if TYPE_CHECKING:
    from ...prompts import Prompt
    from ...response import APIResponse
    from ..spec import Spec
    from .base import Worker

MOST_LINES = 50_000
"""Requests in a file, at most."""
MOST_BYTES = 95 << 20
"""Bytes of a file, at most: below the smallest limit of the services."""
# Bytes of a line of answers, as many as an answer by a connection may have.
_MOST_OF_A_LINE = 64 << 20
_NO_ANSWER = "there is no line with its answer: the batch was cut off, or a file of its answers is missing"


class RequestFile(NamedTuple):
    """File of requests: its path, its number of lines, and the path of the API and the model for the service."""

    path: Path
    rows: int
    url: str
    model: str


def write_requests(
    worker: Worker, parts: Sequence[int], folder: Path, turn: int, limits: tuple[int, int] | None = None
) -> list[RequestFile]:
    """Write the requests of some parts to files within the limits of the services.

    Parameters
    ----------
    worker
        The job.
    parts
        Parts whose rows are to be asked.
    folder
        Folder of the files.
    turn
        Number of the round.
    limits
        Lines and bytes of a file, at most.

    Raises
    ------
    SettingError
        When a request alone is too long for a file.
    """
    most_lines, most_bytes = limits or (MOST_LINES, MOST_BYTES)
    files: list[RequestFile] = []
    lines: list[bytes] = []
    size, url, model = 0, "", offline_route(worker.spec.client, "A job of batch files").model

    def flush() -> None:
        if lines:
            path = folder / f"requests-{turn:03d}-{len(files):04d}.jsonl"
            write_whole(path, lambda file: file.writelines(lines))
            files.append(RequestFile(path, len(lines), url, model))
            lines.clear()

    for part in parts:
        for line, path in _lines(worker, worker.prompts(part), turn):
            if len(line) > most_bytes:
                raise SettingError(
                    f"A row of part {part} takes a request of {len(line):,} bytes, and a batch file at most "
                    f"{most_bytes:,}; leave out on=, or shorten the row.",
                    setting="on",
                    value=len(line),
                )
            if len(lines) == most_lines or size + len(line) > most_bytes:
                flush()
                size = 0
            lines.append(line)
            size, url = size + len(line), path
    flush()
    return files


def _lines(worker: Worker, prompts: dict[int, Prompt], turn: int) -> Iterator[tuple[bytes, str]]:
    """Yield the line of each request, and the path that it is for."""
    spec = worker.spec
    if not prompts:
        return
    offline = Offline(spec.client, [prompt.as_asked for prompt in prompts.values()], spec.settings)
    is_bare = offline_route(spec.client, "A job of batch files").endpoint.name == "mistral"
    for index, row in enumerate(prompts):
        request = offline.request(index)
        url, body = f"/v1{request.path}", dict(request.body or {})
        if is_bare:  # there the batch has the model and the path, and its lines have neither
            body.pop("model", None)
        target = {} if is_bare else {"method": "POST", "url": url}
        line = {"custom_id": custom_id(worker.fingerprint, row, turn), **target, "body": body}
        yield encode_body(line) + b"\n", url


def custom_id(fingerprint: str, row: int, turn: int) -> str:
    """Return the mark of a request; the first round has no number."""
    return f"{fingerprint}-{row}" if not turn else f"{fingerprint}-{row}-{turn}"


class _Place(NamedTuple):
    is_answer: bool
    turn: int
    path: Path
    begin: int


class Answers:
    """Index of files of answers: the position of each row's answer, so that a million answers take little memory.

    The answer of a retry replaces a failure; among answers, and among failures, that of the later round counts.

    Parameters
    ----------
    fingerprint
        The job.
    paths
        The files.
    fetched
        Those of them that a service has sent: their damaged or foreign lines are left out and counted, for nobody can
        copy them again.

    Raises
    ------
    SettingError
        When another file is damaged, or has lines of another job.
    """

    def __init__(self, fingerprint: str, paths: Iterable[Path], fetched: Collection[Path] = ()) -> None:
        self._fingerprint = fingerprint
        self.left_out, self.taken = Counter[Path](), Counter[Path]()
        """Lines of each file that are left out, and those that are answers of this job."""
        self.lost = _NO_ANSWER
        """Reason of the failure of a row whose answer is in no file."""
        self._places: dict[int, _Place] = {}
        self._turns: dict[int, int] = {}
        mark = re.compile(rf"{re.escape(fingerprint)}-(\d+)(?:-(\d+))?")
        for path in paths:
            with path.open("rb") as file:
                begin = 0
                for number, (size, line) in enumerate(_read_lines(file), 1):
                    if line is None or not line.isspace():
                        trouble = self._add(mark, path, begin, line)
                        if trouble and path not in fetched:
                            raise SettingError(f"Line {number} of {path} {trouble}.", setting="on", value=str(path))
                        (self.left_out if trouble else self.taken)[path] += 1
                    begin += size

    def _add(self, mark: re.Pattern[str], path: Path, begin: int, line: bytes | None) -> str | None:
        """Add the answer of a line; return the reason if it has none of this job."""
        if line is None:
            return f"has more than {_MOST_OF_A_LINE:,} bytes; leave it out"
        entry = _parse(line)
        if entry is None:
            return "is no JSON object; copy the whole file there"
        name = entry.get("custom_id")
        found = mark.fullmatch(name) if isinstance(name, str) else None
        if found is None:
            return f"belongs to another job ({str(name)[:60]!r}); move the file out of the folder"
        row, turn = int(found[1]), int(found[2] or 0)
        status, _, error = _reply(entry)
        place = _Place(error is None and 200 <= status < 300, turn, path, begin)
        self._turns[row] = max(turn, self._turns.get(row, 0))
        if row not in self._places or place[:2] >= self._places[row][:2]:
            self._places[row] = place
        return None

    @property
    def answered(self) -> set[int]:
        """Rows that have an answer, and no mere failure."""
        return {row for row, place in self._places.items() if place.is_answer}

    def row_of(self, request: bytes) -> int:
        """Return the row of a line of a request."""
        return int(json.loads(request)["custom_id"].removeprefix(f"{self._fingerprint}-").partition("-")[0])

    def has_any(self, requests: Path, turn: int) -> bool:
        """Return whether any request of a file was answered, in a round or a later one."""
        with requests.open("rb") as file:
            return any(self._turns.get(self.row_of(line), -1) >= turn for line in file)

    def __call__(self, spec: Spec, prompts: Sequence[Prompt], rows: Sequence[int]) -> list[APIResponse]:
        """Return the responses to the prompts of rows; a row that is in no file has a failure."""
        offline = Offline(spec.client, [prompt.as_asked for prompt in prompts], spec.settings)
        return offline.collect([self._response(offline, index, row) for index, row in enumerate(rows)])

    def _response(self, offline: Offline, index: int, row: int) -> APIResponse:
        place = self._places.get(row)
        if place is None:
            return offline.failure(index, self.lost)
        with place.path.open("rb") as file:
            file.seek(place.begin)
            entry = _parse(file.readline()) or {}
        status, body, error = _reply(entry)
        if error is not None and not body:
            return offline.failure(index, error, None if 200 <= status < 300 else status)
        return offline.response(index, status, body)


def _read_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield the size and the content of each line; None for a content that would fill the memory."""
    while line := file.readline(_MOST_OF_A_LINE + 1):
        size, content = len(line), line
        while len(line) > _MOST_OF_A_LINE and not line.endswith(b"\n"):
            line, content = file.readline(_MOST_OF_A_LINE + 1), None
            size += len(line)
        yield size, content


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        # Not msgspec: some services write NaN and Infinity.
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _reply(entry: dict[str, Any]) -> tuple[int, bytes, str | None]:
    """Return status, body and error of a line; the answer's fields may stand under ``response`` itself."""
    response, error = entry.get("response"), entry.get("error")
    response = response if isinstance(response, dict) else {}
    body = response.get("body", response)
    status = response.get("status_code")
    has_body = bool(body) and (body is not response or not set(body) <= {"status_code", "request_id"})
    if not isinstance(status, int) or isinstance(status, bool):
        status = 200 if has_body and not error else 500 if error else 200
    content = json.dumps(body).encode() if has_body else b""
    if error:
        inner = error.get("error") if isinstance(error, dict) else None
        error = inner if isinstance(inner, dict) else error  # vLLM
        message = error.get("message") or error.get("code") if isinstance(error, dict) else error
        reason = f"the batch reports: {message or json.dumps(error)}"
        is_usable = has_body and status >= 400
        return status, content if is_usable else b"", reason
    return status, content, None if has_body else _NO_ANSWER
