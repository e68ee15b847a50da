"""The engine of this process: two parts at a time, so that requests never run dry at the end of a part."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext

from ...client.interruption import stopping
from ...client.sending.progress import listening
from .base import Done, Worker, report_under_way

# A crash loses at most this many parts.
_PARTS_AT_A_TIME = 2
# Seconds between two looks at the parts, after which an interrupt is noticed and progress is reported.
_TICK = 0.1


class Here:
    """Engine that runs parts in threads of this process."""

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        """Run each part once, at most two at a time.

        Parameters
        ----------
        parts, worker
            As :meth:`~deluge_nb.jobs.engines.base.Engine.run` describes them.
        """
        stop = threading.Event()
        shares: dict[int, float] = {}

        def run_part(part: int) -> Done:
            def listen(done: int, total: int) -> None:
                shares[part] = done / max(total, 1)

            # Other methods ask several times for each row, and how often is not known before.
            is_counted = worker.spec.method in (None, "first-token")
            with stopping(stop), listening(listen) if is_counted else nullcontext():
                return worker(part)

        pool = ThreadPoolExecutor(_PARTS_AT_A_TIME, thread_name_prefix="deluge_nb-job")
        waiting, running = iter(parts), set[Future[Done]]()
        try:
            while True:
                for part in waiting:
                    running.add(pool.submit(run_part, part))
                    if len(running) == _PARTS_AT_A_TIME:
                        break
                if not running:
                    return
                finished, running = wait(running, _TICK, FIRST_COMPLETED)
                for future in finished:
                    report = future.result()
                    shares.pop(report.part, None)
                    yield report
                report_under_way(shares.copy())
        finally:
            # Requests under way are cancelled: an interrupt must not wait for a thousand answers.
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
