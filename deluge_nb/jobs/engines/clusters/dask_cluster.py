"""A cluster of this machine that serves one job, with settings for one: nobody opens its dashboard."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

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
    import dask
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster

    from .dask_plugin import CollectorPlugin

    try:
        with dask.config.set(_SETTINGS):  # read when a process starts
            cluster = LocalCluster(
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
    with cluster, Client(cluster, set_as_default=False) as client:
        client.register_plugin(CollectorPlugin())
        yield client
