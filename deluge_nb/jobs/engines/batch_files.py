"""The engines of batch files: requests written as files, answered by a service or by hand, and read back."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from ...client.calls.offline import check_keys, offline_route
from ...errors import RequestError, SettingError
from ...printable import printable
from ...text.counts import pluralize
from ...transport import portal
from ...transport.retries import is_transient
from ...warning import warn
from ..storage.files import write_whole
from .lines import Answers
from .rounds import BatchFile, Round, Rounds

if TYPE_CHECKING:
    from ..spec import Spec
    from .base import Done, Worker
    from .service import FileService

# Words for a batch that has ended, and for one under way, in lower case; some services write them in capitals.
_SUCCEEDED = frozenset({"completed", "success", "succeeded"})
_ENDED = _SUCCEEDED | {"failed", "expired", "cancelled", "canceled", "timeout_exceeded", "error", "system_error"}
_UNDER_WAY = frozenset(
    {"validating", "in_progress", "finalizing", "cancelling", "queued", "pending", "running", "cancellation_requested"}
)
# Seconds between two looks at a batch: at first short, for small batches, then longer.
_FIRST_LOOK, _LONGEST_PAUSE = 1.0, 60.0
# Looks in a row that may fail, half an hour of them: a batch takes a day, and no outage of a minute shall end the wait.
_MOST_FAILED_LOOKS = 30
# Statuses of a service that has no list of batches.
_NO_LIST = frozenset({404, 405, 501})


class _BatchFiles(ABC):
    """Engine that writes requests as files, and reads their answers from files."""

    feature: ClassVar[str]
    """Setting that selects the engine, for messages."""

    def check(self, spec: Spec) -> None:
        """Check that the requests of a job can be answered elsewhere.

        Parameters
        ----------
        spec
            The question and its client.

        Raises
        ------
        SettingError
            When they cannot.
        """
        offline_route(spec.client, self.feature)
        if spec.method is not None:
            raise SettingError(
                f"{self.feature} takes the requests of score_frame, and classify_frame may need several for a row; use "
                "score_frame with labels=.",
                setting="on",
                value=spec.method,
            )

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        """Have the requests of parts answered, in as many rounds as retries take.

        Parameters
        ----------
        parts, worker
            As :meth:`~deluge_nb.jobs.engines.base.Engine.run` describes them.

        Raises
        ------
        SettingError
            When the requests of the job cannot be answered elsewhere.
        RequestError
            While answers are missing, or when the service cannot be reached or refuses the files.
        MissingKeyError
            When a service needs a key and there is none.
        """
        self.check(worker.spec)
        rounds = Rounds(worker)
        yield from rounds.run(parts, partial(self._fetch, rounds))

    @abstractmethod
    def _fetch(self, rounds: Rounds, current: Round) -> Answers:
        """Return the answers to the requests of a round."""


class Files(_BatchFiles):
    """Engine whose requests are files, for ``vllm run-batch`` and for services that you upload to by hand.

    The first run writes ``batch/requests-….jsonl`` in the job's folder. Copy the files of answers beside them, under
    any names that end in ``.jsonl``; the same call then reads them.
    """

    feature = 'on="files"'

    def _fetch(self, rounds: Rounds, current: Round) -> Answers:
        folder = rounds.folder
        answers = Answers(rounds.worker.fingerprint, rounds.answer_files, rounds.fetched)
        waiting = [file for file in current.files if not answers.has_any(folder / file.requests, current.turn)]
        if waiting:
            rows = sum(file.rows for file in waiting)
            names = ", ".join(file.requests for file in waiting[:3]) + (", …" if len(waiting) > 3 else "")
            # The same call leaves failed rows alone.
            call = "call job.retry() again" if current.again else "run the same call again"
            raise RequestError(
                f"{pluralize(rows, 'request')} of {pluralize(len(waiting), 'file')} in {folder} ({names}) have no "
                "answers yet. Have them answered, as with vllm run-batch or the upload page of a service, copy the "
                f"files of answers into the same folder (under names that end in .jsonl), and {call}.",
                model=rounds.worker.spec.client.models[0],
            )
        return answers


class OpenAIBatch(_BatchFiles):
    """Engine of batch services with the API of OpenAI: files and batches, at the address of the client.

    The batch goes on when the notebook is closed; the same call finds it again.

    Parameters
    ----------
    window
        The time in which the service shall answer.
    sleep
        Waits some seconds between two looks at the batches.
    """

    feature = 'on="openai-batch"'

    def __init__(self, window: str = "24h", sleep: Callable[[float], object] | None = None) -> None:
        self._window = window
        self._sleep = sleep or time.sleep

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        """Run parts as :meth:`_BatchFiles.run` does, with a key that is there before any file is written."""
        self.check(worker.spec)
        check_keys(worker.spec.client)
        yield from super().run(parts, worker)

    def _fetch(self, rounds: Rounds, current: Round) -> Answers:
        # Deferred: it loads the network's libraries.
        from .service import FileService

        route = offline_route(rounds.worker.spec.client, self.feature)
        service = FileService(route.transport(), route.model)
        for file in current.files:
            if file.batch_id is None:
                portal.run(self._begin(service, rounds, file))
        self._wait(service, rounds, current)
        _check_refusal(rounds, current)
        paths = [rounds.folder / name for file in current.files for name in file.answers]
        answers = Answers(rounds.worker.fingerprint, paths, paths)
        _check_lines(rounds, current, answers)
        ends = sorted({file.status for file in current.files if file.status not in _SUCCEEDED})
        reasons = [f"the batch has ended as {', '.join(ends)}"] if ends else []
        if left_out := sum(answers.left_out.values()):
            reasons.append(f"{pluralize(left_out, 'line')} of the service could not be read as answers to this job")
        if reasons:
            answers.lost = f"there is no line with its answer, for {' and '.join(reasons)}"
        return answers

    def _wait(self, service: FileService, rounds: Rounds, current: Round) -> None:
        """Wait until all batches of a round have ended and their answers are fetched."""
        pause, failed, has_looked, strange = _FIRST_LOOK, 0, False, set[str]()
        while True:
            try:
                for file in current.files:
                    if not file.ended:
                        portal.run(_look(service, rounds, file))
                failed, has_looked = 0, True
            except RequestError as error:
                failed += 1
                may_pass = error.status_code is None or is_transient(error.status_code, "")
                # If the first look fails, somebody is there who has just made the call.
                if not (has_looked and may_pass and failed <= _MOST_FAILED_LOOKS):
                    raise
                if failed == 1:
                    warn(f"A look at the batch has failed and is repeated: {error}")
            if all(file.ended for file in current.files):
                return
            for status in {file.status for file in current.files if not file.ended} - _UNDER_WAY - strange:
                strange.add(status)
                warn(
                    f"The batch service gives a batch the status {status!r}, which is unknown here; the job waits for "
                    "another one, or for a file of answers."
                )
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _begin(self, service: FileService, rounds: Rounds, file: BatchFile) -> None:
        """Upload a file and make its batch; each step is saved, so that none is paid for twice."""
        label = f"{rounds.worker.fingerprint}/{file.requests}"
        if file.input_id is None:
            uploaded = await service.upload("/files", rounds.folder / file.requests, purpose="batch")
            file.input_id = _identifier(uploaded, "the upload of a file")
            rounds.save()
        if file.is_creating:  # a crash, or a connection that broke: the batch may be there
            known = await _list_batches(service, rounds, file)
            made = [one for one in known if (one.get("metadata") or {}).get("deluge_job") == label]
            if made:
                file.batch_id = _identifier(made[0], "the list of batches")
        if file.batch_id is None:
            file.is_creating = True
            rounds.save()
            asked = {
                "input_file_id": file.input_id,
                "endpoint": file.url,
                "completion_window": self._window,
                "metadata": {"deluge_job": label},
            }
            made = await service.document("POST", "/batches", asked)
            file.batch_id = _identifier(made.get("job") or made, "the new batch")
        file.is_creating = False
        rounds.save()


async def _list_batches(service: FileService, rounds: Rounds, file: BatchFile) -> list[dict[str, Any]]:
    """Return the batches of a service, among which may be that of a file."""
    reason = "it is no list"
    try:
        known = (await service.document("GET", "/batches?limit=100")).get("data", "")
    except RequestError as error:
        if error.status_code not in _NO_LIST:
            raise
        known, reason = "", str(error)
    if known is None or (isinstance(known, list) and all(isinstance(one, dict) for one in known)):
        return known or []
    raise RequestError(
        f"The connection broke while the batch of {file.requests} was made, and the service's list of batches cannot "
        f"be read ({reason}). If its own page shows no such batch, delete {rounds.file}: the same call then uploads "
        f'the requests anew. If it does, copy the answers from there into {rounds.folder} and use on="files".',
        model=file.model,
    )


def _check_lines(rounds: Rounds, current: Round, answers: Answers) -> None:
    """Raise an error if a file of the service has lines and none of them is an answer to this job."""
    useless = [path for path, count in answers.left_out.items() if count and not answers.taken[path]]
    if not useless:
        return
    for file in current.files:  # the next run fetches it again
        file.ended = file.ended and not any(rounds.folder / name in useless for name in file.answers)
    rounds.save()
    raise RequestError(
        f"No line of {useless[0]} is an answer to this job, as the batch service has sent it; run the same call to "
        'fetch it again, or copy the right file there and use on="files".',
        model=current.files[0].model,
    )


def _check_refusal(rounds: Rounds, current: Round) -> None:
    """Raise the reason of a service that has refused every file as a whole; it would be each row's failure."""
    refused = [file for file in current.files if file.status.startswith("failed") and not file.answers]
    if not refused or len(refused) < len(current.files):
        return
    reason = refused[0].status
    for file in refused:  # the next run uploads the same requests anew
        file.input_id = file.batch_id = None
        file.ended, file.status = False, ""
    rounds.save()
    raise RequestError(
        f"The batch service has refused the job: {reason}. Nothing was answered; "
        f"{'job.retry()' if current.again else 'the same call'} uploads it again.",
        model=refused[0].model,
    )


async def _look(service: FileService, rounds: Rounds, file: BatchFile) -> None:
    """Ask for the state of a batch; when it has ended, fetch its answers."""
    try:
        await _fetch_ended(service, rounds, file)
    except RequestError as error:
        if error.status_code == 404:
            cure = f"If the batch is gone for good, delete {rounds.file}: the same call then uploads its requests anew."
        elif error.status_code is not None and 300 <= error.status_code < 400:
            # Another server must not receive the key.
            cure = f'If it keeps answers elsewhere, copy them from its own page into {rounds.folder}, with on="files".'
        else:
            raise
        raise RequestError(f"{error}. {cure}", model=file.model, status_code=error.status_code) from None


async def _fetch_ended(service: FileService, rounds: Rounds, file: BatchFile) -> None:
    batch = await service.document("GET", f"/batches/{quote(file.batch_id or '', safe='')}")
    status = printable(str(batch.get("status") or "")).lower()[:100]
    file.status = status
    # Either may be missing: a batch without a success has no output, and one without a failure no errors.
    names = {kind: _file_id(batch, kind, rounds) for kind in ("error", "output")}
    # A file of answers also says that a batch has ended, if its status does not say that it is under way.
    if status not in _ENDED and (status in _UNDER_WAY or not any(names.values())):
        rounds.save()
        return
    file.status = ": ".join(filter(None, [status, _reason(batch)]))
    file.answers = []
    for kind, name in names.items():
        if name is None:
            continue
        into = rounds.folder / f"answers-{Path(file.requests).stem.removeprefix('requests-')}-{kind}.jsonl"
        partly = into.with_suffix(".part")
        with partly.open("wb") as target:
            await service.download(f"/files/{quote(name, safe='')}/content", target)
        with partly.open("rb") as source:
            write_whole(into, lambda target, source=source: target.writelines(map(service.without_secrets, source)))
        partly.unlink()
        file.answers.append(into.name)
    file.ended = True
    rounds.save()


def _reason(batch: dict[str, Any]) -> str:
    """Return why a service has refused a file; empty if it does not say."""
    errors = batch.get("errors")
    found = errors.get("data") if isinstance(errors, dict) else errors
    first = found[0] if isinstance(found, list) and found else found
    reason = first.get("message") if isinstance(first, dict) else first
    return printable(str(reason))[:300] if reason else ""


def _file_id(batch: dict[str, Any], kind: str, rounds: Rounds) -> str | None:
    """Return the identifier of a file of answers; None if the batch has none."""
    name = batch.get(f"{kind}_file_id") or batch.get(f"{kind}_file")
    if not name:
        return None
    if (found := _as_identifier(name)) is None:
        raise RequestError(
            f"The batch service names a file of answers by {printable(repr(name))[:80]}, which is no identifier; copy "
            f'the file from its own page into {rounds.folder} and use on="files".',
            status_code=200,
        )
    return found


def _identifier(document: dict[str, Any], what: str) -> str:
    found = _as_identifier(document.get("id")) if isinstance(document, dict) else None
    if found is None:
        raise RequestError(f"The batch service gave {what} no 'id'.")
    return found


def _as_identifier(value: Any) -> str | None:
    """Return a text or a number as an identifier; None for anything else."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None
