"""The engine of Ray: parts are tasks, on a Ray that is running or one that is started for the run."""

from __future__ import annotations

import contextlib
import logging
import math
import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ....client.interruption import describe
from ....extras import import_extra
from .limits import Allowances, is_limited
from .remote import find_trouble, pack, require_able, run_packed

if TYPE_CHECKING:
    from ..base import Done, Worker
    from .limits import Wish

# Attempts of a part after the first, where the process that ran it has died.
_RETRIES = 3
# Parts that wait for a free process, so that none is idle.
_PARTS_IN_QUEUE = 2
# Seconds for the first worker of a cluster to appear.
_PATIENCE = 300
_FEATURE = 'score_frame(on="ray")'


class Ray:
    """Engine that runs parts as tasks of Ray, one for each CPU of the cluster.

    A Ray that is running (``ray.init()``, or the address in ``RAY_ADDRESS``) is used and left alone. Else one is
    started on this machine for each run, and shut down. Workers find keys in their own environment.

    Raises
    ------
    MissingDependencyError
        When Ray is not installed.
    """

    def __init__(self) -> None:
        import_extra("ray", _FEATURE)

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
            When Ray does not start, or gives up a part. The parts that are done are kept.
        """
        packed = pack(worker)
        with _connected() as ray:
            # Sent once to each node, and not with every part.
            task = ray.put(packed)
            _check_workers(ray, task)
            limit = _start_limit(ray) if is_limited(worker.spec.client) else None
            yield from _run(ray, parts, task, limit)


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    ray = import_extra("ray", _FEATURE)
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
    except Exception as error:
        ray.shutdown()
        raise RuntimeError(
            f"Ray did not start ({describe(error)}); nothing was sent. Start it with ray.init(), and run the same call "
            "again."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _run(ray: Any, parts: Sequence[int], task: Any, limit: Any) -> Iterator[Done]:
    waiting, under_way, run = iter(parts), dict[Any, int](), uuid.uuid4().hex
    # An error that a part raises is final: what it has asked is paid for.
    start = ray.remote(num_cpus=1, max_retries=_RETRIES, retry_exceptions=False)(_run_part).remote

    def fill() -> None:
        # A cluster may grow and shrink.
        free = math.ceil(_cpus(ray)) + _PARTS_IN_QUEUE - len(under_way)
        for _, part in zip(range(free), waiting, strict=False):
            under_way[start(task, part, run, limit)] = part

    try:
        fill()
        while under_way:
            (ready,), _ = ray.wait(list(under_way), num_returns=1)
            result = _result_of(ray, ready, under_way.pop(ready))
            fill()
            yield result
    finally:
        for future in under_way:
            # As an interrupt in the worker, which ends its requests.
            with contextlib.suppress(Exception):
                ray.cancel(future)


def _result_of(ray: Any, future: Any, part: int) -> Done:
    try:
        result = ray.get(future)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.TaskCancelledError:
        raise RuntimeError(f"Part {part} was cancelled in Ray.") from None
    except ray.exceptions.RayError as error:
        raise RuntimeError(
            f"Part {part} was given up: the worker that ran it died, {_RETRIES + 1} times in a row "
            f"({type(error).__name__}). If memory ran out, start the job in another folder with fewer part_rows."
        ) from error
    if isinstance(result, Exception):
        raise result
    return result


def _check_workers(ray: Any, task: Any) -> None:
    """Let every node say whether its processes can work; what starts later has the same environment."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    check = ray.remote(num_cpus=0, max_retries=_RETRIES)(find_trouble)
    asked: dict[str, Any] = {}
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU"):
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerHostname']} ({node['NodeID'][:8]})"
            asked[name] = check.options(scheduling_strategy=place).remote(task)
    if not asked:
        # A cluster that adapts to its load has no worker until there is something to do.
        asked["a worker"] = check.options(num_cpus=1).remote(task)
        if not ray.wait(list(asked.values()), timeout=_PATIENCE)[0]:
            raise RuntimeError(f"Ray has had no CPU for a worker in {_PATIENCE} seconds; nothing was sent.")
    require_able({name: _trouble_of(ray, future) for name, future in asked.items()})


def _trouble_of(ray: Any, future: Any) -> Exception | None:
    try:
        return ray.get(future)
    except ray.exceptions.RayTaskError as error:
        return error.cause
    except ray.exceptions.RayError:
        return None  # a node that is gone meanwhile gets no part


def _cpus(ray: Any) -> float:
    return max(1.0, ray.cluster_resources().get("CPU", 1.0))


class _Limit:
    """Allowances in a process of their own, which outlives workers."""

    def __init__(self, processes: int) -> None:
        self._allowances, self._processes = Allowances(), processes

    def reply(self, wish: Wish) -> tuple[int, float, float]:
        return self._allowances.reply(wish, self._processes)


def _start_limit(ray: Any) -> Any:
    limit = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Limit)
    return limit.remote(math.ceil(_cpus(ray)))


def _run_part(packed: bytes, part: int, run: str, limit: Any) -> Done | Exception:
    """Run one part in a process of Ray."""

    async def ask(wish: Wish) -> Any:
        try:
            return await limit.reply.remote(wish)
        except Exception as error:  # an error of Ray is neither of those that a cluster raises
            raise RuntimeError(describe(error)) from error

    return run_packed(packed, part, run, ask)
