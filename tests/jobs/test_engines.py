"""Engines: a worker that travels to other processes, and the engine of this one."""

from __future__ import annotations

import multiprocessing
import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from deluge_nb.jobs.engines.base import Done, Worker
from deluge_nb.jobs.engines.clusters.limits import Wish
from deluge_nb.jobs.engines.clusters.remote import pack, run_packed
from deluge_nb.jobs.engines.here import Here
from deluge_nb.jobs.inputs.frames import Frame
from deluge_nb.jobs.run import prepare
from deluge_nb.jobs.spec import make_spec
from deluge_nb.jobs.worker import answer_schema, score_table
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, ask, check, row_server, rows


@pytest.fixture
def server() -> Iterator[RowServer]:
    with row_server() as running:
        yield running


class Processes:
    """Engine that runs parts in two other processes."""

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            yield from pool.map(worker, parts)


@pytest.mark.slow
def test_parts_run_in_other_processes(server: RowServer, tmp_path: Path) -> None:
    job = ask(server.client(), 60, tmp_path, part_rows=10, on=Processes())
    check(job, 60)
    assert server.counts == Counter(range(60))
    assert job.logprobs(59).text == ask(server.client(), 60, tmp_path).logprobs(59).text


def test_a_worker_carries_no_key_and_all_parts_of_a_process_share_a_client(server: RowServer) -> None:
    spec = make_spec(TEMPLATE, server.client(api_key="sk-secret"), labels=LABELS)
    with pytest.warns(UserWarning, match="carries no secrets"):
        pickled = pickle.dumps(Worker("/tmp/job", "abc", spec))
    assert b"sk-secret" not in pickled
    first, second = pickle.loads(pickled), pickle.loads(pickled)
    assert first.spec.client is second.spec.client
    assert first.spec.question == spec.question


def test_score_table_needs_no_folder(server: RowServer) -> None:
    spec = make_spec(TEMPLATE, server.client(), labels=LABELS)
    answers = score_table(spec, rows(5))
    assert answers.schema.equals(answer_schema(spec))
    assert answers["row"].to_pylist() == list(range(5))
    assert answers["p_yes"].null_count == 0
    empty = score_table(spec, rows(0))
    assert empty.num_rows == 0
    assert empty.schema.equals(answer_schema(spec))


def test_a_report_of_progress_that_is_lost_costs_nothing_else(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.15
    client = server.client(max_concurrent_requests=4)
    spec = make_spec(TEMPLATE, client, labels=LABELS)
    folder = prepare(Frame(rows(12)), spec, tmp_path, 12, None, print)
    shares: list[float] = []

    def lose(share: float) -> None:
        shares.append(share)
        raise OSError("the connection is gone")

    async def ask_nobody(wish: Wish) -> None: ...

    packed = pack(Worker(str(tmp_path), folder.manifest.fingerprint, spec))
    assert run_packed(packed, 0, "a run", ask_nobody, lose) == Done(0, 12)
    assert shares
    check(ask(client, 12, tmp_path), 12)
    assert server.requests == 12


def test_at_most_two_parts_are_under_way(tmp_path: Path) -> None:
    running, most = set[int](), [0]

    class Counting(Worker):
        def __call__(self, part: int) -> Done:
            running.add(part)
            most[0] = max(most[0], len(running))
            running.discard(part)
            return Done(part, 0)

    with row_server() as server:
        spec = make_spec(TEMPLATE, server.client())
        done = [report.part for report in Here().run(range(20), Counting(str(tmp_path), "", spec))]
    assert sorted(done) == list(range(20))
    assert most[0] <= 2


def test_an_error_in_a_part_ends_the_run(server: RowServer, tmp_path: Path) -> None:
    class Failing(Worker):
        def __call__(self, part: int) -> Done:
            if part == 3:
                raise ValueError("no disk")
            return Done(part, 1)

    spec = make_spec(TEMPLATE, server.client())
    with pytest.raises(ValueError, match="no disk"):
        list(Here().run(range(20), Failing(str(tmp_path), "", spec)))
