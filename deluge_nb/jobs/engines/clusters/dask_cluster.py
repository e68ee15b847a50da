"""A cluster of this machine that serves one job, with settings for one: nobody opens its dashboard."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

T = TypeVar("T")

PARTS_AT_A_TIME = 2
"""Parts under way for each worker: the next one fills the end of the last, and a crash loses at most these."""
# At Dask's own settings, a cluster of two workers that has nothing to do takes 9 % of a core: a profile of each thread
# every 10 ms, a clock of the event loop every 20 ms, memory every 100 ms and the machine every 500 ms. Memory bounds
# what a worker may use; the others fill pages of the dashboard.
_SETTINGS = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
}
# Seconds between two moments at which an interrupt is noticed.
_TICK = 0.1


@contextlib.contextmanager
def start_cluster(workers: int | None, parts: int) -> Iterator[Client]:
    """Start a cluster of this machine, and end its processes when the block is left.

    Parameters
    ----------
    workers
        Number of processes; by default one for each core, and no more than there are parts.
    parts
        Number of parts of the job.

    Yields
    ------
    distributed.Client
        A client of the cluster.

    Raises
    ------
    RuntimeError
        When worker processes cannot be started.
    """
    from distributed import Client

    from .dask_plugin import CollectorPlugin

    with (
        _uninterrupted(workers, parts) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(CollectorPlugin())
        yield client


@contextlib.contextmanager
def _uninterrupted(workers: int | None, parts: int) -> Iterator[LocalCluster]:
    """Start a cluster and close it, in a thread, so that no interrupt leaves half of one.

    An interrupt of a notebook or a terminal goes to all its processes. Those that this thread starts do not get it,
    for they would die with a stack trace each, and nobody would end what they ask.
    """
    thread = ThreadPoolExecutor(1, "deluge_nb-cluster", initializer=_block_interrupts)
    start = thread.submit(_make_cluster, workers, parts)
    try:
        yield _wait_for(start)
    finally:
        end = thread.submit(_close, start)  # after the start, also where that goes on
        thread.shutdown(wait=False)
        _wait_for(end)


def _block_interrupts() -> None:
    """Block interrupts in this thread, and in all threads and processes that it starts."""
    if hasattr(signal, "pthread_sigmask"):  # POSIX
        from multiprocessing.resource_tracker import ensure_running

        ensure_running()  # its own start in another thread would let interrupts through again
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


def _wait_for(future: Future[T]) -> T:
    while not wait([future], _TICK).done:
        pass  # here an interrupt is raised
    return future.result()


def _close(start: Future[LocalCluster]) -> None:
    if start.exception() is None:
        start.result().close()


def _make_cluster(workers: int | None, parts: int) -> LocalCluster:
    import dask
    from dask.system import CPU_COUNT
    from distributed import LocalCluster

    try:
        with dask.config.set(_SETTINGS):  # read when a process starts
            return LocalCluster(
                n_workers=workers or max(1, min(CPU_COUNT, parts)),
                threads_per_worker=PARTS_AT_A_TIME,
                processes=True,
                # Any free port, for the usual one may belong to another cluster.
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
                silence_logs=50,
            )
    except RuntimeError as error:
        raise RuntimeError(
            "The worker processes of Dask could not be started. In a script, put the call under "
            '`if __name__ == "__main__":`, for each process imports the script.'
        ) from error
