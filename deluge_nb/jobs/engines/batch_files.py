"""The engines of batch files: requests written as files, answered by a service or by hand, and read back."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...client.calls.offline import check_keys, offline_route
from ...errors import RequestError, SettingError
from ...printable import printable
from ...text.counts import pluralize
from ...transport import portal
from ..storage.files import write_whole
from .lines import Answers
from .rounds import BatchFile, Round, Rounds

if TYPE_CHECKING:
    from ..spec import Spec
    from .base import Done, Worker
    from .service import FileService

# Words for a batch that has ended, in lower case; some services write them in capitals.
_SUCCEEDED = frozenset({"completed", "success", "succeeded"})
_ENDED = _SUCCEEDED | {"failed", "expired", "cancelled", "canceled", "timeout_exceeded", "error", "system_error"}
# Seconds between two looks at a batch: at first short, for small batches, then longer.
_FIRST_LOOK, _LONGEST_PAUSE = 1.0, 60.0


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
        answers = Answers(rounds.worker.fingerprint, rounds.answer_files)
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
        pause = _FIRST_LOOK
        while True:
            for file in current.files:
                if not file.ended:
                    portal.run(_look(service, rounds, file))
            if all(file.ended for file in current.files):
                break
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        _check_refusal(rounds, current)
        names = [name for file in current.files for name in file.answers]
        answers = Answers(rounds.worker.fingerprint, [rounds.folder / name for name in names])
        ends = sorted({file.status for file in current.files if file.status not in _SUCCEEDED})
        if ends:
            answers.lost = f"there is no line with its answer, for the batch has ended as {', '.join(ends)}"
        return answers

    async def _begin(self, service: FileService, rounds: Rounds, file: BatchFile) -> None:
        """Upload a file and make its batch; each step is saved, so that none is paid for twice."""
        label = f"{rounds.worker.fingerprint}/{file.requests}"
        if file.input_id is None:
            uploaded = await service.upload("/files", rounds.folder / file.requests, purpose="batch")
            file.input_id = _text(uploaded, "id", "the upload of a file")
            rounds.save()
        if file.is_creating:  # a crash, or a connection that broke: the batch may be there
            known = (await service.document("GET", "/batches?limit=100")).get("data") or []
            made = [one for one in known if (one.get("metadata") or {}).get("deluge_job") == label]
            if made:
                file.batch_id = _text(made[0], "id", "the list of batches")
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
            file.batch_id = _text(made.get("job") or made, "id", "the new batch")
        file.is_creating = False
        rounds.save()


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
        if error.status_code != 404:
            raise
        raise RequestError(
            f"{error}. If the batch is gone for good, delete {rounds.file}: the same call then uploads its requests "
            "anew.",
            model=file.model,
            status_code=404,
        ) from None


async def _fetch_ended(service: FileService, rounds: Rounds, file: BatchFile) -> None:
    batch = await service.document("GET", f"/batches/{file.batch_id}")
    status = printable(str(batch.get("status") or "")).lower()
    file.status = status
    if status not in _ENDED:
        rounds.save()
        return
    file.status = ": ".join(filter(None, [status, _reason(batch)]))
    file.answers = []
    # Either may be missing: a batch without a success has no output, and one without a failure no errors.
    for kind in ("error", "output"):
        name = batch.get(f"{kind}_file_id") or batch.get(f"{kind}_file")
        if not isinstance(name, str) or not name:
            continue
        into = rounds.folder / f"answers-{Path(file.requests).stem.removeprefix('requests-')}-{kind}.jsonl"
        partly = into.with_suffix(".part")
        with partly.open("wb") as target:
            await service.download(f"/files/{name}/content", target)
        with partly.open("rb") as source:
            write_whole(into, lambda target, source=source: target.writelines(source))
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


def _text(document: dict[str, Any], name: str, what: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise RequestError(f"The batch service gave {what} no {name!r}.")
    return value
