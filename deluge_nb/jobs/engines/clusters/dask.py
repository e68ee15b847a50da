"""The engine of Dask: parts are futures, on a cluster of this machine or one that is given."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from ....errors import SettingError
from ....extras import import_extra
from ..base import Done, report_under_way
from .dask_cluster import PARTS_AT_A_TIME, start_cluster
from .limits import is_limited
from .remote import end_run, find_trouble, pack, require_able, run_packed

if TYPE_CHECKING:
    from distributed import Client

    from ..base import Worker

# Attempts of a part after the first, where it could not begin: an error of a part that has begun is final.
_RETRIES = 2
# Seconds for the first worker of a cluster to appear.
_PATIENCE = 300
# Seconds between two looks at the parts under way.
_TICK = 0.1
_LOST = "the cluster was restarted or closed, or its scheduler was lost"
_FEATURE = 'score_frame(on="dask")'


class Dask:
    """Engine that runs parts on Dask.

    Workers find keys in their own environment; settings travel, and secrets do not.

    Parameters
    ----------
    client
        A client, which is left open. None starts a cluster of this machine for each run, and closes it.
    workers
        Processes of that cluster; by default one for each core, and no more than there are parts.

    Raises
    ------
    MissingDependencyError
        When Dask is not installed.
    SettingError
        When the client cannot be used from here.
    """

    def __init__(self, client: Client | None = None, workers: int | None = None) -> None:
        import_extra("distributed", _FEATURE)
        if client is not None and client.asynchronous:
            raise SettingError(
                "on= is an asynchronous client of Dask, which waits for nothing; pass Client(address).",
                setting="on",
                value=client,
            )
        if client is not None and client.status != "running":
            raise SettingError(
                f"on= is a client of Dask that is {client.status}; make a new one, Client(address).",
                setting="on",
                value=client,
            )
        self._client, self._workers = client, workers

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        """Run each part at least once.

        Parameters
        ----------
        parts, worker
            As :meth:`~deluge_nb.jobs.engines.base.Engine.run` describes them.

        Raises
        ------
        MissingKeyError, SettingError
            When a worker has no key, does not see the folder, or cannot do the work for another reason. Nothing was
            sent.
        RuntimeError
            When worker processes cannot be started, the cluster gives up a part, or its scheduler is lost. The parts
            that are done are kept.
        """
        packed = pack(worker)
        with self._connected(len(parts)) as client:
            with _asking_scheduler(client):
                _check_workers(client, packed)
                if is_limited(worker.spec.client):
                    _share_limits(client)
            yield from _run(client, parts, packed)

    @contextlib.contextmanager
    def _connected(self, parts: int) -> Iterator[Client]:
        if self._client is not None:
            yield self._client
            return
        with start_cluster(self._workers, parts) as client:
            yield client


def _run(client: Client, parts: Sequence[int], packed: bytes) -> Iterator[Done]:
    from distributed import as_completed

    waiting, under_way = iter(parts), dict[Any, int]()
    finished = as_completed(loop=client.loop)
    run, is_done = uuid.uuid4().hex, False

    def fill() -> None:
        # A cluster may grow and shrink. A few parts at a time: each crash loses those that are under way.
        with _asking_scheduler(client):
            free = PARTS_AT_A_TIME * max(1, len(client.nthreads())) - len(under_way)
        for _, part in zip(range(free), waiting, strict=False):
            key = f"deluge_nb-part-{part}-{run}"
            future = client.submit(_run_part, packed, part, run, key=key, retries=_RETRIES, priority=-part)
            under_way[future] = part
            finished.add(future)

    try:
        fill()
        with _watched(client, run) as shares:
            while not finished.is_empty():
                if not finished.has_ready():
                    with finished.thread_condition:
                        finished.thread_condition.wait(_TICK)
                    report_under_way(shares.copy())
                    continue
                future = next(finished)
                part = under_way.pop(future)
                result = _result_of(future, part)
                fill()
                shares.pop(part, None)
                yield result
        is_done = True
    finally:
        if not is_done and client.status == "running":  # else nobody is there to hear it
            # Cancelled futures go on in their threads; what they have under way is paid for.
            with contextlib.suppress(OSError):  # the reason why the run ends counts, not that the scheduler is gone
                client.cancel(list(under_way), force=True)
                client.run(_end_run, run, wait=False, on_error="ignore")


@contextlib.contextmanager
def _watched(client: Client, run: str) -> Iterator[dict[int, float]]:
    """Collect how far the parts of a run are, as workers report it; a report that is lost costs nothing else."""
    shares: dict[int, float] = {}

    def take(event: Any) -> None:
        _, (part, share) = event
        shares[part] = share

    topic = _topic_of(run)
    with _asking_scheduler(client):
        client.subscribe_topic(topic, take)
    try:
        yield shares
    finally:
        with contextlib.suppress(Exception):  # the client may be closed
            client.unsubscribe_topic(topic)


def _topic_of(run: str) -> str:
    return f"deluge_nb-rows-{run}"


def _result_of(future: Any, part: int) -> Done:
    from distributed import KilledWorker

    try:
        result = future.result()
    except KilledWorker as error:
        raise RuntimeError(
            f"Part {part} was given up: the worker that ran it died, {error.allowed_failures + 1} times in a row. If "
            "memory ran out, start the job in another folder with fewer part_rows."
        ) from error
    except (OSError, CancelledError):  # an error of the part itself is its result
        raise RuntimeError(f"Part {part} was cancelled: {_LOST}.") from None
    if isinstance(result, Exception):
        raise result
    return result


@contextlib.contextmanager
def _asking_scheduler(client: Client) -> Iterator[None]:
    """Raise the errors of Dask about a scheduler that is gone as one that says so."""
    try:
        yield
    except (OSError, RuntimeError, CancelledError) as error:
        if isinstance(error, RuntimeError) and client.status == "running":
            raise
        raise RuntimeError(f"Dask cannot go on: {_LOST} ({error}).") from None


def _check_workers(client: Client, packed: bytes) -> None:
    from distributed.comm import CommClosedError

    if not client.nthreads():
        # A cluster that adapts to its load has no worker until there is something to do.
        try:
            client.submit(_do_nothing, pure=False).result(timeout=_PATIENCE)
        except TimeoutError:
            raise RuntimeError(
                f"The cluster of Dask has had no worker for {_PATIENCE} seconds, so nothing was sent; start one."
            ) from None
    found = client.run(find_trouble, packed, on_error="return")
    # A worker that is gone meanwhile gets no part.
    present = {name: trouble for name, trouble in found.items() if not isinstance(trouble, CommClosedError)}
    require_able(present)


def _share_limits(client: Client) -> None:
    from .dask_plugin import TurnsPlugin

    try:
        client.register_plugin(TurnsPlugin())
    except ImportError as error:
        raise SettingError(
            f"The scheduler cannot hand out turns within a limit, for it lacks a package ({error}), so nothing was "
            "sent; install deluge-nb where it runs.",
            setting="on",
        ) from None


def _run_part(packed: bytes, part: int, run: str) -> Done | Exception:
    from distributed import get_worker

    from .dask_plugin import ask_scheduler

    worker, topic = get_worker(), _topic_of(run)
    return run_packed(
        packed, part, run, ask_scheduler(worker), lambda share: worker.log_event(topic, [part, round(share, 2)])
    )


async def _end_run(run: str) -> None:
    # A coroutine, for the driver does not wait for those of workers that hang.
    end_run(run)


def _do_nothing() -> None:
    """Occupy a worker for a moment."""
