"""A worker in other processes: what travels there, what is checked before anything is sent, and how a run is ended.

The engines of clusters share it. Settings travel, and secrets do not: they are looked up where the worker arrives.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ....client.calls.offline import check_keys
from ....client.calls.travel import check_place, describe_place, pickled
from ....client.interruption import describe, stopping
from ....errors import DelugeError, MissingKeyError, SettingError
from ....extras import import_extra
from ..base import run_watched
from .limits import Ask, connect, share_limit

if TYPE_CHECKING:
    from ..base import Done, Worker

# Runs of which a process remembers whether they were ended.
_MOST_RUNS = 100

# Share of a part's rows, and seconds, between two reports of how far it is.
_LEAST_STEP, _LEAST_PAUSE = 0.05, 0.2

_runs: OrderedDict[str, threading.Event] = OrderedDict()
_lock = threading.Lock()


def pack(worker: Worker) -> bytes:
    """Return a worker and what it expects of the process where it arrives.

    Parameters
    ----------
    worker
        The worker.

    Raises
    ------
    SettingError
        When its client cannot travel.
    """
    spec = worker.spec
    expected = describe_place(spec.client, spec.settings)
    sent = replace(worker, spec=replace(spec, client=share_limit(spec.client)))
    # Another version may not even be able to unpickle the rest.
    return pickle.dumps((version(), pickled((sent, expected), spec.client)))


def version() -> str:
    """Return the version of this package."""
    return metadata.version("deluge-nb")


def _unpack(packed: bytes) -> tuple[Worker, list[dict[str, Any]]]:
    there, inner = pickle.loads(packed)
    if there != (here := version()):
        raise SettingError(
            f"deluge-nb {here} is installed here, and {there} where the job was started; install the same version on "
            "both.",
            setting="on",
            value=here,
        )
    return pickle.loads(inner)


def run_packed(
    packed: bytes, part: int, run: str, ask: Ask, report: Callable[[float], object] | None = None
) -> Done | Exception:
    """Run one part in this process, where all parts of a job share a client, and so its connections and limits.

    Parameters
    ----------
    packed
        What :func:`pack` returned.
    part
        Number of the part.
    run
        Name of the run, which :func:`end_run` ends.
    ask
        Function that carries what this process wants of a limit that all share.
    report
        Function that carries the share of rows that are done to the driver. What it raises is ignored.

    Returns
    -------
    Done or Exception
        An error is returned and not raised, so that no engine tries again what may have been paid for.
    """
    event = _event_of(run)
    if event.is_set():
        return CancelledError("the run was ended")
    worker, _ = _unpack(packed)
    connect(worker.spec.client, ask)
    try:
        with stopping(event):
            return worker(part) if report is None else run_watched(worker, part, _in_steps(report))
    except Exception as error:
        return error


def _in_steps(report: Callable[[float], object]) -> Callable[[float], None]:
    """Return a function that passes shares on in steps, so that a part sends a bounded number of messages."""
    sent, at = 0.0, -math.inf

    def pass_on(share: float) -> None:
        nonlocal sent, at
        now = time.monotonic()
        if share - sent >= _LEAST_STEP and now - at >= _LEAST_PAUSE:
            sent, at = share, now
            with contextlib.suppress(Exception):  # the rows count, and not how far they are
                report(share)

    return pass_on


def end_run(run: str) -> None:
    """End the requests of a run that are under way in this process; its parts that arrive later do nothing.

    Parameters
    ----------
    run
        Name of the run.
    """
    _event_of(run).set()


def find_trouble(packed: bytes) -> Exception | None:
    """Return the reason why this process cannot work on a job; None if it can. Nothing is sent.

    Parameters
    ----------
    packed
        What :func:`pack` returned.
    """
    try:
        worker, expected = _unpack(packed)
        import_extra("pyarrow", "score_frame()")
        worker.open()
        check_place(worker.spec.client, worker.spec.settings, expected)
        check_keys(worker.spec.client)
    except Exception as error:
        return error
    return None


def require_able(troubles: Mapping[str, Exception | None]) -> None:
    """Check that all processes can work on a job.

    Parameters
    ----------
    troubles
        What :func:`find_trouble` returned, by the name of the process.

    Raises
    ------
    MissingKeyError
        When one has no key.
    SettingError
        When one cannot work for another reason.
    """
    unable = {name: trouble for name, trouble in troubles.items() if trouble is not None}
    if not unable:
        return
    name, trouble = next(iter(unable.items()))
    message = (
        f"{len(unable)} of {len(troubles)} workers cannot work on this job, so nothing was sent. {name} says: "
        f"{trouble if isinstance(trouble, DelugeError) else describe(trouble)}"
    )
    if isinstance(trouble, MissingKeyError):
        message += " Set it in the environment of the workers, for a key that is given as api_key= does not travel."
        raise MissingKeyError(message, endpoint=trouble.endpoint, variable=trouble.variable)
    if "No module named 'deluge_nb'" in message:
        message += ". Install deluge-nb where the workers run."
    raise SettingError(message, setting="on")


def _event_of(run: str) -> threading.Event:
    with _lock:
        event = _runs.setdefault(run, threading.Event())
        while len(_runs) > _MOST_RUNS:
            _runs.popitem(last=False)
        return event
